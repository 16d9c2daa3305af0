"""A run's ledger: the same head every time, in another process too, and after an interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import cosim.simulation.simulate
from cosim import Scenario, run
from cosim.errors import ScenarioError
from cosim.recording.recorder import decode_state, encode_state
from cosim.results.directory import JOINED, check_directory
from cosim.simulation.simulate import Progress
from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger

DAYS = Scenario().with_changes(
    horizon={"hours": 96, "start": "2017-06-01T00:00:00Z"}, engine={"verify_sample": 3, "window": 8}
)


@pytest.mark.slow
def test_two_runs_and_another_process_have_the_same_head(tmp_path: Path) -> None:
    first = run(DAYS, tmp_path / "first").summary["ledger"]
    second = run(DAYS, tmp_path / "second").summary["ledger"]
    code = (
        "import sys, json; from cosim import Scenario, run;"
        "s = Scenario().with_changes(horizon={'hours': 96, 'start': '2017-06-01T00:00:00Z'});"
        "print(json.dumps(run(s, sys.argv[1]).summary['ledger']))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "third")], capture_output=True, text=True, check=True
    )
    assert first == second == json.loads(other.stdout)
    assert run(DAYS.with_changes(seed=2), tmp_path / "seed").summary["ledger"] != first


def test_the_ledger_of_a_run_verifies(tmp_path: Path) -> None:
    result = run(DAYS, tmp_path / "run")
    report = verify_ledger(tmp_path / "run", checkpoint=(tmp_path / "run.checkpoint").read_text())
    assert report.ok, report.reason
    assert report.n_blocks == 97
    assert report.head.hex() == result.summary["ledger"]["hash"]


class _InterruptedError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [8, 40, 88])
def test_an_interrupted_run_resumes_to_the_same_head(
    stop_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosim.simulation.simulate, "GROUP", 16)

    def interrupt(progress: Progress) -> None:
        if progress.done >= stop_at:
            raise _InterruptedError

    with pytest.raises(_InterruptedError):
        run(DAYS, tmp_path / "cut", listener=interrupt)
    assert not (tmp_path / "cut" / "summary.json").exists()
    resumed = run(DAYS, tmp_path / "cut", resume=True)
    whole = run(DAYS, tmp_path / "whole")
    assert resumed.summary == whole.summary
    for table in ("exchanges", "houses", "bus_voltage"):
        assert getattr(resumed, table).equals(getattr(whole, table)), table


def test_resuming_a_finished_run_reads_it_and_writes_nothing(tmp_path: Path) -> None:
    """Also one that was killed while it removed its parts."""
    directory = tmp_path / "run"
    done = run(DAYS, directory)
    written = {path.name: path.read_bytes() for path in directory.iterdir()}
    (directory / JOINED).mkdir()
    (directory / JOINED / "houses-000000000-000000016.arrow").touch()
    again = run(DAYS, directory, resume=True)
    assert again.summary == done.summary
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == written


def test_resuming_another_scenario_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(DAYS, tmp_path / "run")
    with pytest.raises((LedgerError, ScenarioError)):
        run(DAYS.with_changes(market={"beta": 0.4}), tmp_path / "run", resume=True)
    with pytest.raises((LedgerError, ScenarioError)):
        run(DAYS.with_changes(seed=2), tmp_path / "run", resume=True)


def test_what_was_killed_before_its_ledger_is_begun_anew(tmp_path: Path) -> None:
    left = tmp_path / "run"
    (left / ".parts").mkdir(parents=True)
    for name in (
        "ledger.lock",
        "ledger.lock-journal",
        ".ledger.sqlite.partial",
        ".ledger.sqlite.partial-wal",
    ):
        (left / name).write_bytes(b"")
    for resume in (True, False):
        check_directory(left, resume=resume)
    with pytest.raises(ScenarioError, match="run without --resume"):
        check_directory(tmp_path / "nowhere", resume=True)
    (left / "mine.txt").touch()
    for resume in (True, False):
        with pytest.raises(ScenarioError, match="found other files"):
            check_directory(left, resume=resume)


def test_state_survives_its_bytes() -> None:
    from cosim.case.case import build_case
    from cosim.interval.fold import run_intervals

    case = build_case(DAYS)
    chunk = next(run_intervals(case, case.opening))
    state = chunk.window.state
    again, outage = decode_state(encode_state(state, chunk.network))
    for name in ("own_wh", "wallet_neur", "account_neur", "pools_neur", "tally"):
        assert (getattr(again, name) == getattr(state, name)).all()
    assert all((a == b).all() for a, b in zip(again.lots, state.lots, strict=True))
    assert all((a == b).all() for a, b in zip(again.ratings, state.ratings, strict=True))
    for found, kept in (
        (outage._replace(period=()), chunk.network._replace(period=())),
        (outage.period, chunk.network.period),
    ):
        assert all(np.array_equal(a, b) for a, b in zip(found, kept, strict=True))


def test_a_run_is_signed_by_the_key_the_scenario_names(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    file = tmp_path / "operator.pem"
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    run(DAYS.with_changes(ledger={"operator_key": file}), tmp_path / "own")
    run(DAYS, tmp_path / "demonstration")
    public = key.public_key().public_bytes_raw()
    assert verify_ledger(tmp_path / "own", operator=public).ok
    assert not verify_ledger(tmp_path / "demonstration", operator=public).ok
    with pytest.raises(LedgerError, match="key"):
        run(DAYS.with_changes(ledger={"operator_key": tmp_path / "none.pem"}), tmp_path / "missing")
