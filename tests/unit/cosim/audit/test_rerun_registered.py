"""Devices that members register by a statement alone, in a run that knows nothing of them: named, and no finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lies import DAY
from resigned import resign
from typer.testing import CliRunner, Result

from cosim import Scenario, run
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.cli.app import app
from cosim.interval.fold import run_intervals
from cosim.recording.recorder import open_recorder
from cosim.results.directory import prepare_directory
from cosim.simulation.simulate import write_inputs
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.records import LAYOUTS, SIZE, RecordKind
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # runs, made again

EVENTS = {"kind": "register", "at": "2017-06-20T05:00:00Z", "participant": "house_05", "device": "pv", "pv_kwp": 3.3}


def ledger(*words: object) -> Result:
    result = CliRunner().invoke(app, ["ledger", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result


def run_with_statements(directory: Path, scenario: Scenario = DAY) -> None:
    """A plain run, stopped after five hours; a member registers devices on the command line; then it goes on."""
    case = build_case(scenario)
    prepare_directory(directory, resume=False)
    with open_recorder(case, directory, resume=False) as recorder:
        recorder.record(list(run_intervals(case, case.opening, 0, stop=5)))
    ledger("init", directory.parent / "keys", "--members", 1)
    (key,) = (path for path in (directory.parent / "keys").glob("*.key") if path.stem != "operator")
    ledger("register", directory, 0, "--key", key)
    device = ["device", directory, 0]
    ratings = ["--key", key, "--bus", case.feeder.bus[0], "--power-w"]
    ledger(*device, 1, "--kind", "pv", *ratings, 5000)
    ledger(*device, 2, "--kind", "battery", *ratings, 2000, "--energy-wh", 4000)
    ledger(*device, 3, "--kind", "fuel_cell", *ratings, 1000, "--energy-wh", 9000)
    ledger(*device, 1, "--kind", "pv", *ratings, 5000, "--retire")
    run(scenario, directory, resume=True)


@pytest.mark.parametrize("events", [[], [EVENTS]])
def test_an_honest_statement_accuses_nobody(events: list[dict[str, object]], tmp_path: Path) -> None:
    run_with_statements(tmp_path / "run", DAY.with_changes(events=events))
    assert verify_ledger(tmp_path / "run").ok
    found = rerun_ledger(tmp_path / "run")
    assert (found.ok, found.differences, found.findings) == (True, (), ())
    assert [(house, number) for _, house, number in found.registered] == [(0, 1), (0, 2), (0, 3)]
    told = ledger("audit", tmp_path / "run", "--rerun").output
    assert "device 2 of house 0 is registered, and takes no part in the run." in " ".join(told.split())


def test_a_statement_that_is_made_an_act_is_found(tmp_path: Path) -> None:
    """An operator adds the record by which a run takes a battery in, and cannot show its energy."""
    run_with_statements(tmp_path / "run")
    before = rerun_ledger(tmp_path / "run").registered

    def change(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE)
        if header.height == before[1][0]:
            house = next(row for row in genesis if row[0] == RecordKind.HOUSE)[None].copy()
            house[0, 4:12] = records[-1, 4:12]
            house[0, 8] += 1
            house[0, 40:52] = 0  # no energy, no money
            return header, records.tobytes() + house.tobytes()
        genesis[len(genesis) :] = list(records) if header.height == 0 else []
        return header, body

    genesis: list[np.ndarray] = []
    resign(tmp_path / "run", make_demonstration_key(DAY.seed), change)
    found = rerun_ledger(tmp_path / "run")
    assert not found.ok
    assert found.differences[0].height == before[1][0]


def test_a_device_that_was_run_without_an_act_is_found(tmp_path: Path) -> None:
    """Panels that are only registered, and whose energy stands in the meters all the same."""
    run_with_statements(tmp_path / "run")

    def change(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE).copy()
        meters = np.flatnonzero(records[:, 0] == 16)
        if meters.size and header.height > 12:
            records[meters[0], 20] += 1  # panels of house 0
        return header, records.tobytes()

    resign(tmp_path / "run", make_demonstration_key(DAY.seed), change)
    assert not rerun_ledger(tmp_path / "run").ok


@pytest.mark.parametrize("at", [5, 24])
def test_a_battery_that_nobody_brought_is_found(at: int, tmp_path: Path) -> None:
    """An operator gives a house 10 MWh, in the course of the run or behind its last interval."""
    case = build_case(DAY)
    prepare_directory(tmp_path / "run", resume=False)
    with open_recorder(case, tmp_path / "run", resume=False) as recorder:
        recorder.record(list(run_intervals(case, case.opening, 0, stop=at)))
    with Store.open_to_read(tmp_path / "run") as store:
        genesis = decode_records(store.block(0).records)
    given = genesis[genesis[:, 0] == RecordKind.HOUSE][1:2].copy()
    row = given.view(LAYOUTS[RecordKind.HOUSE]).reshape(-1)
    row["own_wh"], row["wallet_neur"] = 10_000_000, 0
    with open_recorder(case, tmp_path / "run", resume=True) as recorder:
        recorder.ledger.append_registry(given)
    write_inputs(case, tmp_path / "run")
    found = rerun_ledger(tmp_path / "run", so_far=at < 24)
    assert [each.height for each in found.differences] == [at + 1]
