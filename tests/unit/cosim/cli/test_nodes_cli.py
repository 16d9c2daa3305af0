"""The commands about copies of a log as their users meet them: answers, exit codes, one message for bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import append, begin, world, written
from log_world import Running, forked, served, vkey, with_quorum, witness
from typer.testing import CliRunner, Result

from cosim.cli.app import app
from cosim.scenario.files import format_toml, load_scenario, parse_scenario
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.note import COSIGNATURE, VerifierKey, add_cosignature, read_cosignatures
from market.ledger.store.store import Store

MADE = world(2, 20, seed=6)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("cli") / "run", MADE, 20)


def ledger(code: int, *arguments: str | Path) -> str:
    result: Result = CliRunner().invoke(app, ["ledger", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_a_log_is_followed_once_and_its_copy_verifies(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url:
        said = ledger(0, "follow", url, "--out", tmp_path / "copy", "--once")
        key = tmp_path / "copy/operator.vkey"
        assert f"pinned on first use: {key.read_text()}" in said
        assert "21 blocks, head" in said
        assert "(21 new, verified)" in said
        again = ledger(0, "follow", url, "--out", tmp_path / "copy", "--once", "--key", key)
        assert "pinned" not in again
        ledger(0, "follow", url, "--out", tmp_path / "other", "--once", "--key", key.read_text().strip())
    assert "21 blocks" in ledger(0, "verify", tmp_path / "copy", "--key", key)
    assert ledger(0, "compare", tmp_path / "copy", directory) == "equal: 21 blocks\n"
    ledger(0, "show", tmp_path / "copy")


def test_a_node_cosigns(directory: Path, tmp_path: Path) -> None:
    cosigner = witness(1, tmp_path)
    write_key_pair(tmp_path / "w.pem", cosigner.key)
    options = ("--out", tmp_path / "copy", "--once", "--cosign", tmp_path / "w.pem", "--name", cosigner.name)
    with served(directory) as url:
        said = ledger(0, "follow", url, *options)
    assert f"cosigning as {vkey(cosigner.name, cosigner.key)}" in said
    assert "cosigned" in said.splitlines()[-1]
    (tmp_path / "w.vkey").write_text(vkey(cosigner.name, cosigner.key))
    note = checkpoint_path(tmp_path / "copy").read_text()
    assert len(read_cosignatures(note, [cosigner.verifier_key()])) == 1
    ledger(0, "verify", tmp_path / "copy", "--witness", tmp_path / "w.vkey")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--once", "--serve", "0"), "expected a node that stays, got --once"),
        (("--once", "--key", "nowhere.vkey"), "nowhere.vkey: expected a readable text file"),
        (("--once", "--key", "a+b+c"), "verifier key: expected"),
        (("--once", "--cosign", "nowhere.pem"), "nowhere.pem: expected a key file"),
        (("--once",), "127.0.0.1:9/checkpoint: expected an answer"),
    ],
)
def test_bad_input_of_follow(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in ledger(2, "follow", "http://127.0.0.1:9", "--out", tmp_path / "copy", *options)
    assert not (tmp_path / "copy").exists() or not list((tmp_path / "copy").iterdir())


def test_bad_urls_and_keys_of_witnesses(directory: Path, tmp_path: Path) -> None:
    assert "expected a URL" in ledger(2, "follow", "runs/default", "--out", tmp_path / "copy", "--once")
    key = VerifierKey("a.witness", COSIGNATURE, witness(1, tmp_path).verifier_key().public_key).text()
    said = ledger(2, "follow", "http://127.0.0.1:9", "--out", tmp_path / "copy", "--once", "--key", key)
    assert "expected the verifier key of a log" in said
    write_key_pair(tmp_path / "w.pem", witness(1, tmp_path).key)
    options = ("--once", "--cosign", tmp_path / "w.pem", "--name", "a b")
    assert "--name" in ledger(2, "follow", "http://127.0.0.1:9", "--out", tmp_path / "copy", *options)


def test_a_fork_ends_a_node_and_is_compared(tmp_path: Path) -> None:
    forked(tmp_path / "one", tmp_path / "other", 10)
    with served(tmp_path / "one") as url:
        ledger(0, "follow", url, "--out", tmp_path / "copy", "--once")
    with served(tmp_path / "other") as url:
        said = ledger(1, "follow", url, "--out", tmp_path / "copy", "--once")
        assert "FORK: the log of 32 blocks" in said
        assert "part at block 11" in said
        found = ledger(1, "compare", tmp_path / "copy", url)
    assert found.startswith("PARTED at block 11")
    assert "PROOF of a fork: checkpoints of both are signed" in found
    assert len(list((tmp_path / "copy/evidence").iterdir())) == 1
    ledger(0, "verify", tmp_path / "copy")


def test_a_part_is_no_fork_and_strangers_are_bad_input(directory: Path, tmp_path: Path) -> None:
    with begin(tmp_path / "short", MADE) as run:
        append(run, MADE, 0, 4)
    said = ledger(0, "compare", directory, tmp_path / "short")
    assert said == f"{tmp_path / 'short'} is the first 5 of 21 blocks of {directory}\n"
    assert "expected a directory with a ledger" in ledger(2, "compare", directory, tmp_path)


def test_tiles_are_published_again_and_again(directory: Path, tmp_path: Path) -> None:
    assert "21 blocks, 6 files written" in ledger(0, "publish", directory, "--out", tmp_path / "www")
    assert "21 blocks, 1 files written" in ledger(0, "publish", directory, "--out", tmp_path / "www")
    assert ledger(0, "publish", directory, "--out", tmp_path / "www", "--quiet") == ""
    assert "got neither or both" in ledger(2, "publish", directory)
    assert "got neither or both" in ledger(2, "publish", directory, tmp_path / "x", "--out", tmp_path / "www")
    assert "found no" in ledger(2, "publish", tmp_path, "--out", tmp_path / "y") or not (tmp_path / "y").exists()
    assert ledger(0, "compare", directory, tmp_path / "www") == "equal: 21 blocks\n"


def test_verify_says_how_far_the_quorum_is_behind(tmp_path: Path) -> None:
    cosigners = [witness(k, tmp_path) for k in range(3)]
    written(tmp_path / "run", with_quorum(cosigners, 2), 6)
    assert "NOT YET WITNESSED: no checkpoint is cosigned by 2 of 3 witnesses." in ledger(0, "verify", tmp_path / "run")
    ledger(1, "verify", tmp_path / "run", "--witnessed")
    assert "not yet witnessed" in ledger(2, "prove", tmp_path / "run", "3", "0")
    for size in (7, 13):
        with Store.open_to_write(tmp_path / "run") as store:
            note = store.last_checkpoint(size) or ""
            for cosigner in cosigners[:2]:
                note = add_cosignature(note, cosigner.name, cosigner.key, 7)
            store.add_checkpoint(size, note)
        said = ledger(0 if size == 13 else 1, "verify", tmp_path / "run", "--witnessed")
        assert ("the last 6 blocks; 2 of 3 witnesses have cosigned the first 7" in said) == (size == 7)
        ledger(0, "prove", tmp_path / "run", "3", "0", "--out", tmp_path / "receipt.json")
    assert "Witnessed: 2 of 3 witnesses have cosigned all blocks." in said
    assert "got --to" in ledger(2, "verify", tmp_path / "run", "--witnessed", "--to", "5")
    assert "WITNESSED" not in ledger(0, "verify", tmp_path / "run", "--to", "5")
    written(tmp_path / "plain", MADE, 20)
    assert "which names none" in ledger(2, "verify", tmp_path / "plain", "--witnessed")
    assert '"witnessed": 13' in ledger(0, "verify", tmp_path / "run", "--json")


def test_collect_needs_witnesses(directory: Path, tmp_path: Path) -> None:
    assert "--witness" in ledger(2, "collect", directory, "http://127.0.0.1:9")
    (tmp_path / "w.vkey").write_text(witness(1, tmp_path).verifier_key().text())
    before = checkpoint_path(directory).read_text()
    said = ledger(1, "collect", directory, "http://127.0.0.1:9", "--witness", tmp_path / "w.vkey")
    assert "0 of 1 cosignatures" in said
    assert checkpoint_path(directory).read_text() == before


def test_an_operator_collects_what_its_quorum_asks_for(tmp_path: Path) -> None:
    cosigners = [witness(k, tmp_path) for k in range(3)]
    written(tmp_path / "run", with_quorum(cosigners, 2))
    with served(tmp_path / "run") as url:
        nodes = [Running(url, cosigner, tmp_path / f"copy{k}") for k, cosigner in enumerate(cosigners[:2])]
        said = ledger(1, "collect", tmp_path / "run", nodes[0].address)
        assert "1 of 2 cosignatures" in said
        said = ledger(0, "collect", tmp_path / "run", *(node.address for node in nodes))
        assert f"{nodes[1].address}: cosigned\n" in said
        assert "2 of 2 cosignatures" in said
        ledger(0, "follow", url, "--out", tmp_path / "late", "--once")
        for node in nodes:
            node.stop()
    for name in ("run", "late"):
        ledger(0, "verify", tmp_path / name, "--witnessed")


def test_a_scenario_names_its_witnesses(tmp_path: Path) -> None:
    lines = [witness(k, tmp_path).verifier_key().text() for k in range(3)]
    plain = load_scenario("rural")
    scenario = plain.with_changes(ledger={"witnesses": lines, "quorum": 2})
    assert parse_scenario(format_toml(scenario), "text") == scenario
    assert scenario.digest() == plain.digest()
    for wrong in ({"quorum": 2}, {"witnesses": lines, "quorum": 4}, {"witnesses": ["x"]}, {"witnesses": lines[:1] * 2}):
        with pytest.raises(ValueError, match=r"quorum|verifier key|different keys"):
            plain.with_changes(ledger=wrong)
