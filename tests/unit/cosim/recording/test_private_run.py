"""Runs with private records and signatures of the houses: who reads, who is refused, what cannot be guessed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import cosim.recording.blocks
import cosim.recording.recorder
import cosim.simulation.simulate
import market.ledger.write.private
from cosim import Scenario, run
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.recording.keys import make_participant_key
from cosim.simulation.simulate import Progress
from market.errors import LedgerError
from market.exchanges import METER, OPERATOR, Kind
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import is_signed, public_bytes, read_private_key, write_key_pair
from market.ledger.format.header import decode_header, make_demonstration_key
from market.ledger.format.records import RecordBytes, RecordKind, read_integer_parameter, read_parameters
from market.ledger.private.commitments import commit, derive_salt, derive_salt_secret, open_commitments
from market.ledger.private.entries import (
    entries_message,
    find_meter_number,
    read_entry_signatures,
    with_signatures,
)
from market.ledger.private.vault import Entry, Vault, vault_path
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole private runs

SMALL = Scenario().with_changes(
    horizon={"hours": 36, "start": "2017-06-01T06:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 2},
    engine={"verify_sample": 0, "window": 4},
)


def ledger(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["ledger", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private") / "keys"
    assert ledger("init", str(folder), "--members", "4").exit_code == 0
    return folder


def private(keys: Path, **options: Any) -> Scenario:
    chosen = {
        "operator_key": keys / "operator.key",
        "member_keys": keys,
        "private": True,
        "members_sign": True,
    }
    return SMALL.with_changes(ledger={**chosen, **options})


@pytest.fixture(scope="module")
def done(keys: Path) -> Path:
    run(private(keys), keys.parent / "run")
    return keys.parent / "run"


def entries_in(done: Path, keys: Path) -> Mapping[tuple[int, int], Entry]:
    with Vault(vault_path(done, OPERATOR)) as vault:
        return {(entry.interval, entry.seq): entry for entry in vault.read(read_private_key(keys / "operator.key"))}


def block_of(done: Path, interval: int) -> tuple[bytes, RecordBytes]:
    """Chain and records of an interval's block; the houses join in block 1."""
    with Store.open_to_read(done) as store:
        block = store.block(interval + 2)
    return decode_header(block.header).chain_id, decode_records(block.records)


def test_strangers_verify_in_sums_and_the_operator_in_full(done: Path, keys: Path) -> None:
    report = verify_ledger(done)
    assert (report.ok, report.in_sums, report.n_blocks) == (True, True, 38), report.reason
    report = verify_ledger(done, entries=entries_in(done, keys))
    assert (report.ok, report.in_sums) == (True, False), report.reason


def test_the_ledger_shows_no_house_and_no_state(done: Path) -> None:
    with Store.open_to_read(done) as store:
        blocks = [decode_records(block.records) for group in store.groups() for block in group][2:]
        (state,) = store.states()
    for records in blocks:
        assert not (records[:, 0] == Kind.METER).any()
        assert not (records[:, 0] < Kind.METER).any()
        assert (records[:, 0] == RecordKind.PRIVATE).sum() >= 4
    assert b"wallet_neur" not in state.blob
    assert b"wallet_neur" not in (done / "ledger.sqlite").read_bytes()


def test_accounts_are_for_those_who_may_read(done: Path, keys: Path) -> None:
    own = ["account", str(done), "1", "--key", str(keys / "member-001.key")]
    other = ["account", str(done), "1", "--key", str(keys / "member-000.key"), "--as", "0"]
    operator = ["--operator-key", str(keys / "operator.key")]
    assert "REFUSED: expected the key of member 1" in ledger("account", str(done), "1").output
    assert ledger(*other).exit_code == 1
    account = json.loads(ledger(*own, "--json").output)
    rows = cosim.Result.load(done).houses.query("house == 'house_02'")  # the second of the houses: member 1
    assert account["n_intervals"] == 36
    assert account["wallet_neur"] == rows["wallet_neur"].iloc[-1]
    assert account["account_neur"] == rows["account_neur"].iloc[-1]
    assert account["energy_wh"]["imported_wh"] == rows["imported_wh"].sum() > 0
    granted = ledger("grant", str(done), "1", "0", "--key", str(keys / "member-001.key"), *operator)
    assert granted.exit_code == 0, granted.output
    shown = ledger(*other, *operator, "--json")
    assert json.loads(shown.output.splitlines()[-1]) == account
    accessed = json.loads(ledger("show", str(done), "--json").output.splitlines()[1])
    assert (accessed["record"], accessed["member"], accessed["other"]) == ("access", 0, 1)


def test_no_record_of_a_run_can_be_guessed(done: Path, keys: Path) -> None:
    """A stranger knows all of a meter but its load, and every key that can be derived; 20,000 loads are tried."""
    interval = 3
    entry = next(e for e in entries_in(done, keys).values() if e.interval == interval and e.record[0] == Kind.METER)
    chain, shown = block_of(done, interval)
    committed = shown[entry.seq, 12:44].tobytes()
    row = np.frombuffer(entry.record, METER).copy()
    guesses = []
    for load in range(20_000):
        row["load_wh"] = load
        guesses.append(row.tobytes())
    derived = [derive_salt_secret(make_demonstration_key(seed)) for seed in range(3)]
    derived += [derive_salt_secret(make_participant_key(1, house)) for house in range(2)]
    salts = [b"", bytes(32), chain, *(derive_salt(secret, chain, interval, entry.seq) for secret in derived)]
    assert all(commit(salt, guess) != committed for salt in salts for guess in guesses)
    assert [guess for guess in guesses if commit(entry.salt, guess) == committed] == [entry.record]


def test_signatures_give_nothing_to_guess_either(done: Path, keys: Path) -> None:
    """The very entries a house signed do not fit its signature without the salt of its meter."""
    interval, entries = 12, entries_in(done, keys)
    chain, shown = block_of(done, interval)
    clear = open_commitments(shown, interval, entries)
    assert not isinstance(clear, str)
    signed = dict(read_entry_signatures(shown))
    assert sorted(signed) == [0, 1, 2, 3]
    for member, signature in signed.items():
        key = public_bytes(read_private_key(keys / f"member-{member:03d}.key"))
        number = find_meter_number(clear, member)
        assert number is not None
        salt = entries[interval, number].salt
        assert is_signed(key, signature, entries_message(chain, interval, clear, member, salt))
        assert not is_signed(key, signature, entries_message(chain, interval, clear, member))


@pytest.mark.parametrize("hidden", [True, False])
def test_verify_misses_a_signature_that_a_house_did_not_give(
    hidden: bool, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forging(records: Any, offsets: Any, signers: Any, *rest: Any) -> Any:
        return with_signatures(records, offsets, {**signers, 2: signers[1]}, *rest)

    monkeypatch.setattr(market.ledger.write.private if hidden else cosim.recording.recorder, "with_signatures", forging)
    run(private(keys, private=hidden), tmp_path / "run")
    report = verify_ledger(tmp_path / "run", entries=entries_in(tmp_path / "run", keys) if hidden else None)
    assert (report.ok, report.height, report.reason) == (False, 2, "member 2 did not sign these entries")


def test_houses_sign_with_demonstration_keys_too(tmp_path: Path) -> None:
    run(SMALL.with_changes(ledger={"members_sign": True}), tmp_path / "run")
    report = verify_ledger(tmp_path / "run")
    assert report.ok, report.reason
    _, records = block_of(tmp_path / "run", 5)
    assert dict(read_entry_signatures(records)).keys() == {0, 1, 2, 3}


class _InterruptedError(Exception):
    pass


def test_an_interrupted_private_run_resumes_to_the_same_head(
    keys: Path, tmp_path: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(20, private(keys), tmp_path / "cut", monkeypatch)
    with pytest.raises(LedgerError, match="was begun with"):
        run(private(keys, members_sign=False), tmp_path / "cut", resume=True)
    resumed = run(private(keys), tmp_path / "cut", resume=True)
    assert resumed.summary["ledger"] == cosim.Result.load(done).summary["ledger"]
    assert verify_ledger(tmp_path / "cut", entries=entries_in(tmp_path / "cut", keys)).ok


@pytest.mark.parametrize("hidden", [True, False])
def test_a_run_goes_on_though_a_members_key_was_ended_or_changed(
    hidden: bool, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody signs for a member whose key was ended; its private records are sealed to the operator meanwhile."""
    scenario = private(keys, private=hidden)
    interrupt_at(20, scenario, tmp_path / "cut", monkeypatch)
    operator = ["--operator-key", str(keys / "operator.key")]
    assert ledger("revoke", str(tmp_path / "cut"), "2", *operator).exit_code == 0
    new = tmp_path / "new.key"
    write_key_pair(new, make_demonstration_key(4711))
    rotated = ledger("rotate", str(tmp_path / "cut"), "1", "--key", str(keys / "member-001.key"),
                     "--new-key", str(new), *operator)  # fmt: skip
    assert rotated.exit_code == 0
    with pytest.raises(ScenarioError, match="expected the key of member 1 that is in force"):
        run(scenario, tmp_path / "cut", resume=True)
    changed = tmp_path / "keys"
    shutil.copytree(keys, changed)
    (changed / "member-001.key").unlink()
    shutil.copy(new, changed / "member-001.key")
    run(private(changed, private=hidden, operator_key=keys / "operator.key"), tmp_path / "cut", resume=True)
    report = verify_ledger(tmp_path / "cut", entries=entries_in(tmp_path / "cut", keys) if hidden else None)
    assert report.ok, report.reason
    with Store.open_to_read(tmp_path / "cut") as store:
        last = decode_records(store.block(store.size() - 1).records)
    assert dict(read_entry_signatures(last)).keys() == {0, 1, 3}


def interrupt_at(interval: int, scenario: Scenario, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a run, and leave it behind this interval."""
    monkeypatch.setattr(cosim.simulation.simulate, "GROUP", 8)

    def interrupt(progress: Progress) -> None:
        if progress.done >= interval:
            raise _InterruptedError

    with pytest.raises(_InterruptedError):
        run(scenario, directory, listener=interrupt)


def test_an_audit_needs_the_meters(done: Path, keys: Path) -> None:
    refused = ledger("audit", str(done), "--all")
    assert refused.exit_code == 2
    assert "open them with --open-with" in refused.output
    audited = ledger("audit", str(done), "--all", "--open-with", str(keys / "operator.key"))
    assert "ok, 36 blocks" in audited.output
    again = ledger("audit", str(done), "--rerun", "--open-with", str(keys / "operator.key"))
    assert again.exit_code == 0, again.output
    assert ledger("audit", str(done), "--rerun").exit_code == 2


def test_private_needs_real_keys_and_three_houses(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only with operator_key and member_keys"):
        SMALL.with_changes(ledger={"private": True})
    two = private(keys).with_changes(houses={"n_houses": 2, "n_prosumers": 1}, network={"n_branches": 1})
    with pytest.raises(ScenarioError, match="at least 3 participants, got 2"):
        run(two, tmp_path / "two")
    many = private(keys).with_changes(houses={"n_houses": 6, "n_prosumers": 2})
    with pytest.raises(ScenarioError, match=r"found none at .*member-004.key; make them with: .* --members 6"):
        run(many, tmp_path / "many")


def test_what_the_genesis_block_says_is_not_in_the_digest(keys: Path) -> None:
    assert private(keys).digest() == SMALL.digest()


def begun_by_an_earlier_version(scenario: Scenario, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose first block states no waiting time, as those of earlier versions."""
    monkeypatch.setattr(cosim.recording.blocks, "_list_terms", lambda *_: {})
    run(scenario, directory)
    monkeypatch.undo()


def test_a_run_with_keys_that_an_earlier_version_began_goes_on_and_is_audited(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = private(keys, private=False)
    begun_by_an_earlier_version(scenario, tmp_path / "run", monkeypatch)
    head = verify_ledger(tmp_path / "run").head
    (tmp_path / "run" / "houses.parquet").unlink()
    assert run(scenario, tmp_path / "run", resume=True).summary["ledger"]["hash"] == head.hex()
    assert ledger("audit", str(tmp_path / "run"), "--rerun").exit_code == 0
    assert ledger("audit", str(tmp_path / "run")).exit_code == 0
    waits = "replacement_wait_hours only with operator_key"
    with pytest.raises(ValueError, match=waits):
        SMALL.with_changes(ledger={"replacement_wait_hours": 5})


def test_a_run_with_keys_states_how_long_a_replaced_key_waits(keys: Path, tmp_path: Path) -> None:
    for hours, stated in ((None, 168), (30, 30), (0, 0)):
        directory = tmp_path / str(hours)
        run(private(keys, private=False, members_sign=False, replacement_wait_hours=hours), directory)
        with Store.open_to_read(directory) as store:
            parameters = read_parameters(decode_records(store.block(0).records))
        assert read_integer_parameter(parameters, "replacement_wait") == stated
    run(SMALL, tmp_path / "demonstration")
    with Store.open_to_read(tmp_path / "demonstration") as store:
        assert "replacement_wait" not in read_parameters(decode_records(store.block(0).records))
