"""The command `gridsettle ledger …` as its users meet it: answers, refusals, bad input, and no traceback."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ledger_world import append, begin, world, written
from typer.testing import CliRunner, Result

from cosim.cli.app import app
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import make_house_records
from market.ledger.write.ledger import Ledger
from market.storage import Ratings

MADE = world(4, 24, seed=6)


def ledger(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["ledger", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def ok(*arguments: str) -> str:
    result = ledger(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def no(*arguments: str) -> str:
    result = ledger(*arguments)
    assert result.exit_code == 1, result.output
    return result.output


def bad(*arguments: str) -> str:
    result = ledger(*arguments)
    assert result.exit_code == 2, result.output
    return result.output


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("cli") / "run", MADE, 24)


@pytest.fixture
def here(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger `run` and keys of members 0-2 in `keys`, in the current directory."""
    shutil.copytree(sound, tmp_path / "run")
    shutil.copy(sound.with_name("run.checkpoint"), tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("keys").mkdir()
    for name, seed in (("0", 100), ("1", 101), ("2", 102), ("operator", 6), ("other", 7)):
        write_key_pair(Path(f"keys/{name}.key"), make_demonstration_key(seed))
    return tmp_path


def test_verify_says_what_it_does_not_cover(here: Path) -> None:
    found = ok("verify", "run")
    assert "ok, 25 blocks" in found
    assert "taken from the ledger itself" in found
    assert "taken from" not in ok("verify", "run", "--key", "keys/operator.pub")
    Path("run.checkpoint").unlink()
    assert "only one kept elsewhere" in ok("verify", "run", "--key", "keys/operator.pub")


def test_verify_finds_the_wrong_key_and_the_broken_block(here: Path) -> None:
    assert "BROKEN at block 0: the operator is not the pinned one" in no("verify", "run", "--key", "keys/other.pub")
    with closing(sqlite3.connect("run/ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE block SET hash = zeroblob(32) WHERE height = 7")
    connection.close()
    assert "BROKEN at block 7" in no("verify", "run")
    report = json.loads(no("verify", "run", "--json"))
    assert (report["ok"], report["height"]) == (False, 7)
    assert "ok" in ok("verify", "run", "--to", "6")


def test_a_recreated_shorter_ledger_is_a_rollback_against_the_checkpoint_beside_it(here: Path) -> None:
    shutil.rmtree("run")
    with begin(here / "short", MADE):
        pass
    Path("short").rename("run")
    assert "ROLLBACK" in no("verify", "run")


def test_show_prints_tables_or_json(here: Path) -> None:
    table = ok("show", "run", "12")
    assert re.search(r"^height +12$", table, re.M)
    assert "grid_import" in table
    lines = [json.loads(line) for line in ok("show", "run", "12", "--json").splitlines()]
    assert lines[0]["height"] == 12
    assert [line["seq"] for line in lines[1:]] == list(range(len(lines) - 1))
    assert json.loads(ok("show", "run", "--json").splitlines()[0])["height"] == 24
    assert "found none" in bad("show", "run", "99")


def test_export_writes_lines_and_tables(here: Path) -> None:
    ok("export", "run", "all.jsonl")
    lines = [json.loads(line) for line in Path("all.jsonl").read_text().splitlines()]
    assert sum(line["record"] == "header" for line in lines) == 25
    assert sum(line["record"] == "meter" for line in lines) == 24 * 4
    ok("export", "run", "tables")
    exchanges = pq.read_table("tables/exchanges.parquet")
    assert exchanges.num_rows == MADE.window.rows.size
    assert exchanges["amount_neur"].to_pylist() == MADE.window.rows["amount_neur"].tolist()
    assert pq.read_table("tables/meters.parquet").num_rows == 96
    assert pq.read_table("tables/topology.parquet")["element"].to_pylist()[:4] == [0, 3, 0, 8]
    assert pq.read_table("tables/blocks.parquet")["height"].to_pylist() == list(range(25))
    assert "FILE.jsonl or a folder" in bad("export", "run", "x.csv")


def test_a_receipt_is_proven_by_the_pinned_key_alone(here: Path) -> None:
    ok("prove", "run", "5", "2", "--out", "receipt.json")
    shutil.rmtree("run")
    found = ok("verify-receipt", "receipt.json", "--key", "keys/operator.pub")
    assert "proven, block 6 of 25" in found
    assert "seq=2" in found
    assert "NOT PROVEN" in no("verify-receipt", "receipt.json", "--key", "keys/other.pub")
    Path("receipt.json").write_text("{}")
    assert "receipt: expected" in bad("verify-receipt", "receipt.json", "--key", "keys/operator.pub")


def test_keys_are_made_for_their_owner_alone(here: Path) -> None:
    ok("init", "new", "--members", "2")
    assert sorted(path.name for path in Path("new").glob("*.key")) == [
        "member-000.key",
        "member-001.key",
        "operator.key",
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in Path("new").glob("*.key"))
    assert "never overwritten" in bad("init", "new")
    Path("keys/0.key").chmod(0o644)
    assert "chmod 600" in bad("register", "run", "0", "--key", "keys/0.key")


def test_a_passphrase_is_asked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSETTLE_PASSPHRASE", "secret")
    ok("init", "sealed", "--passphrase")
    assert "ENCRYPTED" in Path("sealed/operator.key").read_text()
    monkeypatch.setenv("GRIDSETTLE_PASSPHRASE", "guess")
    assert "passphrase" in bad("register", "run", "0", "--key", "sealed/operator.key")


def test_members_come_change_and_go(here: Path) -> None:
    ok("register", "run", "0", "--key", "keys/0.key")
    ok("register", "run", "1", "--key", "keys/1.key", "--role", "auditor")
    ok(
        "device",
        "run",
        "0",
        "3",
        "--kind",
        "fuel_cell",
        "--bus",
        "2",
        "--power-w",
        "6000",
        "--key",
        "keys/0.key",
    )
    ok("rotate", "run", "0", "--key", "keys/0.key", "--new-key", "keys/2.key")
    lines = [json.loads(line) for line in ok("members", "run", "--json").splitlines()]
    assert [(line.get("member"), line.get("role")) for line in lines[:3]] == [
        ("operator", "operator"),
        (0, "participant"),
        (1, "auditor"),
    ]
    assert lines[3]["power_w"] == 6000
    assert lines[-1]["log"].startswith("gridsettle/")
    assert "expected no key in force" in no("register", "run", "0", "--key", "keys/other.key")
    ok("revoke", "run", "1")
    ok("verify", "run")
    assert "expected a registered member" in bad("revoke", "run", "3")


def test_the_operator_changes_its_key(here: Path) -> None:
    ok("rotate", "run", "operator", "--key", "keys/operator.key", "--new-key", "keys/other.key")
    assert "left for the operator to admit" in ok("register", "run", "0", "--key", "keys/0.key")
    assert "expected the operator's private key" in bad("admit", "run")
    assert "expected the key that signs this ledger" in bad("admit", "run", "--operator-key", "keys/operator.key")
    assert "1 admitted" in ok("admit", "run", "--all", "--operator-key", "keys/other.key")
    assert "no request waits" in ok("admit", "run", "--operator-key", "keys/other.key")
    ok("verify", "run", "--key", "keys/operator.pub")


def test_an_account_is_shown_to_its_member_and_to_whom_it_granted(here: Path) -> None:
    open_account = json.loads(ok("account", "run", "0", "--json"))
    assert open_account["wallet_neur"] == MADE.window.accounts[-1][0]
    for member in ("0", "1"):
        ok("register", "run", member, "--key", f"keys/{member}.key")
    as_other = ["account", "run", "0", "--key", "keys/1.key", "--as", "1"]
    assert "REFUSED: expected the key of member 0" in no("account", "run", "0")
    assert "REFUSED: member 0 has not granted" in no(*as_other)
    assert json.loads(ok("account", "run", "0", "--key", "keys/0.key", "--json")) == open_account
    ok("grant", "run", "0", "1", "--key", "keys/0.key")
    before = ok("members", "run")
    shown = ok(*as_other)
    assert "grid_import" in shown
    assert "member=0" in before
    accessed = [json.loads(line) for line in ok("show", "run", "--json").splitlines()][1]
    assert (accessed["record"], accessed["member"], accessed["other"]) == ("access", 1, 0)
    ok("grant", "run", "0", "1", "--key", "keys/0.key", "--withdraw")
    assert "REFUSED" in no(*as_other)
    ok("verify", "run")


def test_an_access_is_left_to_record_where_the_operator_is_away(here: Path) -> None:
    for member in ("0", "1"):
        ok("register", "run", member, "--key", f"keys/{member}.key")
    ok("grant", "run", "0", "1", "--key", "keys/0.key")
    ok("rotate", "run", "operator", "--key", "keys/operator.key", "--new-key", "keys/other.key")
    assert "left for the operator" in ok("account", "run", "0", "--key", "keys/1.key", "--as", "1")
    assert "1 admitted" in ok("admit", "run", "--all", "--operator-key", "keys/other.key")


def test_witnesses_cosign_and_verify_counts_them(here: Path) -> None:
    log = next(line for line in ok("members", "run").splitlines() if line.startswith("log="))
    Path("log.vkey").write_text(log.removeprefix("log=") + "\n")
    for k in ("0", "1"):
        named = ["--name", f"w{k}.example", "--log", "log.vkey", "--ledger", "run"]
        out = ok("cosign", "run.checkpoint", "--key", f"keys/{k}.key", *named)
        Path(f"w{k}.vkey").write_text(out.splitlines()[-1])
    assert "ok" in ok("verify", "run", "--key", "log.vkey", "--witness", "w0.vkey", "--witness", "w1.vkey")
    Path("run.checkpoint").write_text("".join(Path("run.checkpoint").read_text().splitlines(keepends=True)[:-1]))
    assert "witnesses to cosign" in no("verify", "run", "--witness", "w0.vkey", "--witness", "w1.vkey")
    ok("verify", "run", "--witness", "w0.vkey", "--witness", "w1.vkey", "--threshold", "1")
    assert "expected 1 to 2 witnesses" in bad(
        "verify", "run", "--witness", "w0.vkey", "--witness", "w1.vkey", "--threshold", "3"
    )
    assert "expected witnesses" in bad("verify", "run", "--threshold", "1")


def test_a_witness_refuses_a_log_that_went_back(here: Path) -> None:
    log = next(line for line in ok("members", "run").splitlines() if line.startswith("log="))
    Path("log.vkey").write_text(log.removeprefix("log="))
    cosign = ["--key", "keys/0.key", "--name", "w.example", "--log", "log.vkey"]
    ok("cosign", "run.checkpoint", *cosign, "--ledger", "run")
    with begin(here / "short", MADE):
        pass
    assert "REFUSED: ROLLBACK" in no("cosign", "short.checkpoint", *cosign, "--ledger", "short")
    assert "without spaces" in bad("cosign", "run.checkpoint", *cosign[:3], "a b", *cosign[4:], "--ledger", "run")


DEVICE = ["--bus", "1", "--power-w", "1", "--key", "keys/0.key"]
LOG = ["--log", "none", "--ledger", "run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "nowhere"], "expected a run directory"),
        (["verify", "run", "--key", "nokey"], "nokey: expected a key file"),
        (["verify", "run", "--key", "run.checkpoint"], "verifier key: expected"),
        (["verify", "run", "--checkpoint", "none"], "none: expected a readable text file"),
        (["verify", "run", "--checkpoint", "keys/0.pub"], "expected a signature line"),
        (["verify", "run", "--open-with", "keys/0.key"], "expected the operator's store"),
        (["show", "nowhere"], "expected a run directory"),
        (["prove", "run", "99", "0"], "expected a ledger with interval 99"),
        (["prove", "run", "1", "999"], "expected a record from 0"),
        (["verify-receipt", "none", "--key", "keys/0.pub"], "none: expected a readable text file"),
        (["register", "run", "0", "--key", "none"], "none: expected a key file"),
        (["register", "run", "0", "--key", "keys/0.pub"], "expected an Ed25519 key"),
        (["register", "run", "0", "--key", "keys/0.key", "--role", "king"], "expected participant or auditor"),
        (["rotate", "run", "x", "--key", "keys/0.key", "--new-key", "keys/1.key"], "a number from 0 on or 'operator'"),
        (["rotate", "run", "2", "--key", "keys/0.key", "--new-key", "keys/1.key"], "expected a registered member"),
        (["grant", "run", "king", "1", "--key", "keys/0.key"], "a number from 0 on or 'operator'"),
        (["device", "run", "0", "1", "--kind", "dynamo", *DEVICE], "expected pv"),
        (["account", "run", "77"], "expected a house from 0 to 3"),
        (["account", "nowhere", "0"], "expected a run directory"),
        (["cosign", "none", "--key", "keys/0.key", "--name", "w", *LOG], "none: expected"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_message(here: Path, arguments: list[str], message: str) -> None:
    Path("keys/0.pub").chmod(0o600)
    out = bad(*arguments)
    assert message in out
    assert out.count("gridsettle:") == 1


def test_the_operator_is_known_by_its_word_alone(here: Path) -> None:
    assert OPERATOR == -3
    ok("register", "run", "1", "--key", "keys/1.key")
    ok("grant", "run", "operator", "1", "--key", "keys/operator.key")
    assert "grant=operator  reader=1" in ok("members", "run")


def without_operator(here: Path) -> None:
    """From now on statements wait, since the operator has changed its key."""
    ok("rotate", "run", "operator", "--key", "keys/operator.key", "--new-key", "keys/other.key")


AS_OPERATOR = ["--operator-key", "keys/other.key"]


def test_requests_are_listed_and_chosen(here: Path) -> None:
    without_operator(here)
    for member in ("0", "1", "2"):
        register = ["register", "run", member, "--key", f"keys/{member}.key", "--effective", "40"]
        assert "left for the operator" in ok(*register)
    waiting = [json.loads(line) for line in ok("admit", "run", "--list", "--json").splitlines()]
    assert [line["request"] for line in waiting] == [1, 2, 3]
    assert {line["member"] for line in waiting} == {0, 1, 2}
    assert all(line["asks"] == "member" and len(line["public_key"]) == 64 for line in waiting)
    assert waiting == [json.loads(line) for line in ok("members", "run", "--json").splitlines()][-3:]
    assert "or --all, got none; 3 wait" in bad("admit", "run", *AS_OPERATOR)
    assert "expected a number from 1 to 3 or a name" in bad("admit", "run", "4", *AS_OPERATOR)
    assert "1 admitted" in ok("admit", "run", "2", *AS_OPERATOR)
    assert "1 admitted" in ok("admit", "run", waiting[2]["name"], *AS_OPERATOR)
    left = [json.loads(line) for line in ok("admit", "run", "--list", "--json").splitlines()]
    assert [line["name"] for line in left] == [waiting[0]["name"]]
    ok("verify", "run")


def test_an_earlier_statement_of_a_member_is_never_passed_over(here: Path) -> None:
    ok("register", "run", "0", "--key", "keys/0.key")
    ok("register", "run", "1", "--key", "keys/1.key")
    without_operator(here)
    ok("grant", "run", "0", "1", "--key", "keys/0.key")
    ok("grant", "run", "0", "1", "--key", "keys/0.key", "--withdraw")
    assert "expected the earlier request 1 of member 0 with it" in bad("admit", "run", "2", *AS_OPERATOR)
    device = ["device", "run", "0", "1", "--kind", "pv", *DEVICE, *AS_OPERATOR]
    assert "expected no earlier statement that waits" in bad(*device)
    assert "2 admitted" in ok("admit", "run", "1", "2", *AS_OPERATOR)
    ok(*device)


@pytest.mark.parametrize("change", ["a house", "two statements", "out of range", "a meter"])
def test_a_request_is_one_statement_and_nothing_else(here: Path, change: str) -> None:
    """The operator signs the block: whatever else lay in a request would be its word."""
    without_operator(here)
    ok("register", "run", "0", "--key", "keys/0.key")
    file = next(Path("run/requests").iterdir())
    records = bytes.fromhex(file.read_text())
    house = make_house_records(["a"], [0], Ratings(*[1] * 7), 10**6, 0, 0).tobytes()
    more = {
        "a house": records + house,
        "two statements": records * 2,
        "out of range": records[:1] + b"\7" + records[2:],
        "a meter": bytes([16]) + records[1:],
    }[change]
    file.write_text(more.hex())
    height = json.loads(ok("show", "run", "--json").splitlines()[0])["height"]
    assert "expected a request, got something else" in bad("admit", "run", "--all", *AS_OPERATOR)
    assert json.loads(ok("show", "run", "--json").splitlines()[0])["height"] == height


def test_a_grant_ends_at_its_time(here: Path) -> None:
    for member in ("0", "1"):
        ok("register", "run", member, "--key", f"keys/{member}.key")
    grant = ["grant", "run", "0", "1", "--key", "keys/0.key"]
    assert "the grant ends with interval 72, 2015-01-04 00:00 UTC" in ok(*grant, "--until", "2")
    assert "until_interval=72  stands=True" in ok("members", "run")
    ok("account", "run", "0", "--key", "keys/1.key", "--as", "1")
    ok(*grant, "--withdraw")
    assert "interval 25, 2015-01-02 01:00" in ok(*grant, "--until", "2015-01-02T00:30")
    ok(*grant, "--withdraw")
    assert "interval 25, 2015-01-02 01:00" in ok(*grant, "--until", "2015-01-02T02:00+01:00")
    for wrong in ("soon", "2014-01-01", "0", "2015-01-02", "1e9", "9" * 30, "2015-13-01"):
        assert "--until: expected a time" in bad(*grant, "--until", wrong)
    assert "expected it without --withdraw" in bad(*grant, "--withdraw", "--until", "3")
    ok("verify", "run")


def test_a_grant_that_has_ended_opens_no_account(here: Path) -> None:
    """The ledger's own time counts: a grant until its present end has ended once an interval is recorded."""
    shutil.rmtree("run")
    made = world(4, 25, seed=6)
    with begin(here / "run", made) as begun:
        append(begun, made, 0, 24)
    for member in ("0", "1"):
        ok("register", "run", member, "--key", f"keys/{member}.key")
    ok("grant", "run", "0", "1", "--key", "keys/0.key", "--until", "0.01")
    ok("account", "run", "0", "--key", "keys/1.key", "--as", "1")
    with Ledger.resume(here / "run", made.key) as opened:
        append(opened, made, 24, 25)
    assert "has not granted its account" in no("account", "run", "0", "--key", "keys/1.key", "--as", "1")
    assert "stands=False" in ok("members", "run")
    ok("verify", "run")


def test_a_replaced_key_waits_where_the_ledger_says_so(here: Path) -> None:
    shutil.rmtree("run")
    made = world(4, 4, seed=6, parameters={"replacement_wait": 3})
    with begin(here / "run", made) as begun:
        append(begun, made, 0, 1)
    ok("register", "run", "0", "--key", "keys/0.key")
    ok("register", "run", "1", "--key", "keys/1.key")
    ok("revoke", "run", "0")
    said = ok("register", "run", "0", "--key", "keys/2.key")
    assert "its key was ended by the operator, so the new one counts from interval 4 on (now 1)" in said
    assert "replacement=waits  member=0" in ok("members", "run")
    assert json.loads(ok("show", "run", "--json").splitlines()[-1])["replacement"] == "waits"
    assert "REFUSED" in no("account", "run", "0", "--key", "keys/2.key")
    with Ledger.resume(here / "run", made.key) as opened:
        append(opened, made, 1, 4)
    ok("account", "run", "0", "--key", "keys/2.key")
    assert "replacement=counts  member=0" in ok("members", "run")
    ok("revoke", "run", "1", "--key", "keys/1.key")
    assert "counts from" not in ok("register", "run", "1", "--key", "keys/other.key")
    ok("verify", "run")


def test_the_last_key_hands_a_number_on_at_once(here: Path) -> None:
    shutil.rmtree("run")
    with begin(here / "run", world(4, 4, seed=6, parameters={"replacement_wait": 3})):
        pass
    ok("register", "run", "0", "--key", "keys/0.key")
    ok("revoke", "run", "0")
    refused = no("register", "run", "0", "--key", "keys/2.key", "--last-key", "keys/1.key")
    assert "REFUSED: member of member 0: expected a signature by the member's key, found another" in refused
    ok("register", "run", "0", "--key", "keys/2.key", "--last-key", "keys/0.key")
    assert "replacement" not in ok("members", "run")
    ok("verify", "run")
