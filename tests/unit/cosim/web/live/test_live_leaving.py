"""Devices that leave, and fuel cells that join, while a run goes on: recorded, resumed, audited, made again."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_world import (
    HOURS,
    LIVE,
    LIVE_WITH_FACTS,
    close_all,
    close_until,
    join,
    state_device,
    submit,
    withdraw_own,
)
from naive_ledger import first_fault
from resigned import resign

from cosim import run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.devices import make_battery
from cosim.case.plugged import name_cell, rate_cell_w
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from cosim.web.live import checks
from cosim.web.live.admission import SubmissionError
from cosim.web.live.run import LiveRun
from market.errors import LedgerError
from market.exchanges import Ask, Reason
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.records import SIZE, Change, DeviceKind, RecordBytes, RecordKind, select_rows
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

PV, BATTERY, CELL = DeviceKind.PV, DeviceKind.BATTERY, DeviceKind.FUEL_CELL
SHARING = LIVE_WITH_FACTS.with_changes(
    houses={"production_ratio": 3.0}, limits={"max_vm_pu": 1.05}, market={"feed_in": True, "tau_hours": 2}
)
"""Sun enough that surplus is shared, and stored at houses without panels."""
PRESET = "pem-1.26kw"


def state_cell(live: LiveRun, house: int, units: int = 1, **given: Any) -> RecordBytes:
    sheet = sha256(name_cell(PRESET).encode()).digest()
    return state_device(live, house, CELL, rate_cell_w(PRESET, units), 33_330, **{"datasheet": sheet, **given})


def battery_w(live: LiveRun) -> int:
    return round(make_battery(live.case.scenario.battery, 4000).rated_kw * 1000)


def run_with_coming_and_going(directory: Path, scenario: Scenario, *, stops: tuple[int, ...] = ()) -> None:
    """Everything joins and leaves again; what houses had leaves too; the grid is off meanwhile. Stopped at times."""
    live = LiveRun.open(scenario, directory)
    join(live, 0, 1, 3, 4)
    acts: dict[int, Any] = {
        1: lambda: live.register_device(state_device(live, 0, PV, 1500, device=7)),
        2: lambda: live.register_device(state_device(live, 1, BATTERY, battery_w(live), 4000, device=7)),
        3: lambda: live.register_device(state_cell(live, 4, device=7)),
        4: lambda: withdraw_own(live, 4, BATTERY),
        5: lambda: live.switch(Change.GRID_OUT, 0, opens=True),
        7: lambda: live.switch(Change.GRID_OUT, 0, opens=False),
        10: lambda: live.withdraw_device(state_device(live, 0, PV, 1500, device=7, joins=False)),
        11: lambda: withdraw_own(live, 3, PV),
        12: lambda: live.withdraw_device(state_device(live, 1, BATTERY, battery_w(live), 4000, device=7, joins=False)),
        13: lambda: live.withdraw_device(state_cell(live, 4, device=7, joins=False)),
        14: lambda: live.register_device(state_device(live, 3, PV, 1000, device=7)),
    }
    while not live.is_over:
        t = live.next_interval
        if t in acts:
            acts[t]()
        live.close_interval()
        if t in stops:
            live.close()
            live = LiveRun.open(scenario, directory)
    live.close()


@pytest.mark.slow
@pytest.mark.parametrize("facts", [False, True])
def test_who_comes_and_goes_passes_verify_audit_and_rerun(facts: bool, tmp_path: Path) -> None:
    run_with_coming_and_going(tmp_path / "live", LIVE_WITH_FACTS if facts else LIVE)
    report = verify_ledger(tmp_path / "live")
    assert (report.ok, report.reason) == (True, "")
    assert first_fault(tmp_path / "live") is None
    assert audit_ledger(tmp_path / "live", sample=None).findings == ()
    rerun = rerun_ledger(tmp_path / "live")
    assert (rerun.findings, rerun.differences, rerun.n_intervals, rerun.registered) == ((), (), HOURS, ())


@pytest.mark.slow
def test_stopped_and_opened_again_it_ends_on_the_same_head(tmp_path: Path) -> None:
    run_with_coming_and_going(tmp_path / "whole", LIVE)
    run_with_coming_and_going(tmp_path / "cut", LIVE, stops=(1, 3, 4, 5, 7, 10, 11, 12, 13))
    heads = []
    for name in ("whole", "cut"):
        with Store.open_to_read(tmp_path / name) as store:
            heads.append(store.block(store.size() - 1).hash)
    assert heads[0] == heads[1]


@pytest.mark.slow
def test_a_run_in_which_who_comes_and_goes_gets_its_tables(tmp_path: Path) -> None:
    run_with_coming_and_going(tmp_path / "live", LIVE)
    result = run(LIVE, tmp_path / "live", resume=True)
    cells = result.table("fuel_cells").to_pandas()
    assert set(cells.house) == {"house_05"}
    assert (cells.delivered_wh > 0).any()
    assert result.summary["fuel_cells"]["delivered_kwh"] > 0
    assert result.summary["resilience"]["hours_without_grid"] == 2


def read_houses(directory: Path, height: int) -> Any:
    with Store.open_to_read(directory) as store:
        return select_rows(decode_records(store.block(height).records), RecordKind.HOUSE)


@pytest.mark.slow
def test_panels_that_leave_generate_no_more(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0, 3)
        close_until(live, 9)
        live.register_device(state_device(live, 0, PV, 2000, device=5))
        assert live.close_interval().chunk.window.meters[0]["pv_wh"][[0, 3]].min() > 100
        answer = live.withdraw_device(state_device(live, 0, PV, 2000, device=5, joins=False))
        assert (answer.height, answer.energy_wh, answer.waits) == (live.next_height - 1, 0, False)
        withdraw_own(live, 3, PV)
        assert live.close_interval().chunk.window.meters[0]["pv_wh"][[0, 3]].tolist() == [0, 0]
        live.register_device(state_device(live, 0, PV, 1000, device=5))  # its number is free again
        assert live.close_interval().chunk.window.meters[0]["pv_wh"][0] > 100


@pytest.mark.slow
def test_what_is_in_a_battery_that_leaves_goes_with_it(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 2)
        close_until(live, 12)
        assert live.last is not None
        own = int(live.last.chunk.window.state.own_wh[2])
        assert own > 3000
        answer = withdraw_own(live, 2, BATTERY)
        assert (answer.energy_wh, answer.waits) == (own, False)
        (row,) = read_houses(tmp_path / "live", answer.height)
        assert (row["house"], row["own_wh"], row["soc_max_wh"], row["max_charge_wh"]) == (2, -own, 0, 0)
        meters = live.close_interval().chunk.window.meters[0]
        assert (meters["own_wh"][2], meters["charge_wh"][2], meters["discharge_wh"][2]) == (0, 0, 0)


def share_until(live: LiveRun, interval: int) -> None:
    """Houses without panels ask for shares from the ninth hour on."""
    while live.next_interval < interval:
        if live.next_interval >= 9:
            for house in (0, 1, 4):
                submit(live, house, live.next_interval, ask=Ask.SHARE)
        live.close_interval()


@pytest.mark.slow
def test_a_battery_with_energy_of_others_waits(tmp_path: Path) -> None:
    """It is no longer charged, and leaves when their lots are due; stopped and opened again meanwhile."""
    with LiveRun.open(SHARING, tmp_path / "live") as live:
        join(live, 0, 1, 4)
        share_until(live, 11)
        answer = withdraw_own(live, 1, BATTERY)
        assert (answer.energy_wh, answer.waits) == (0, True)
        (row,) = read_houses(tmp_path / "live", answer.height)
        assert (row["own_wh"], row["soc_max_wh"], row["max_charge_wh"]) == (0, 0, 0)
        assert row["max_discharge_wh"] > 0
        with pytest.raises(ScenarioError, match="battery: expected house_02 to have a battery of its own, found none"):
            live.withdraw_device(state_device(live, 1, BATTERY, 6670, 13340, joins=False, registered=False))
        live.close_interval()
    with LiveRun.open(SHARING, tmp_path / "live") as live:
        share_until(live, HOURS)
        assert live.last is not None
        meters = live.last.chunk.window.meters[0]
        assert (meters["own_wh"][1], meters["hosted_wh"][1]) == (0, 0)
    report = verify_ledger(tmp_path / "live")
    assert (report.ok, report.reason) == (True, "")
    assert first_fault(tmp_path / "live") is None
    assert audit_ledger(tmp_path / "live", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "live").ok


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """A run before its first interval, in which house 0 has plugged in panels under number 7."""
    with LiveRun.open(LIVE, tmp_path_factory.mktemp("registered") / "live") as live:
        join(live, 0)
        live.register_device(state_device(live, 0, PV, 1500, device=7))
        yield live
        assert live.close_interval().interval == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": -1}, "device: expected a number from 0 to 1000000, got -1"),
        ({"device": 8}, "device 8: expected one of house_01 that takes part, found none"),
        ({"power_w": 1}, "device 7: expected pv, 1500 W and 0 Wh, as it is, got pv, 1 W and 0 Wh"),
        ({"kind": BATTERY}, "device 7: expected pv, 1500 W and 0 Wh, as it is, got battery"),
        ({"bus": 0}, "bus: expected"),
        ({"joins": True}, "device: expected a statement that it leaves"),
        ({"registered": False}, "pv: expected house_01 to have panels of its own that generate in what is left"),
        (
            {"registered": False, "kind": BATTERY},
            "battery of house_01: expected battery, 6920 W and 13841 Wh, as it is",
        ),
        ({"registered": False, "kind": CELL}, "device: expected pv or battery of the house, got fuel_cell"),
    ],
)
def test_what_is_not_there_cannot_leave(given: dict[str, Any], message: str, registered: LiveRun) -> None:
    height = registered.next_height
    stated = {"kind": PV, "power_w": 1500, "device": 7, "joins": False, **given}
    with pytest.raises(ScenarioError) as refused:
        registered.withdraw_device(state_device(registered, 0, **stated))
    assert str(refused.value).startswith(message)
    assert registered.next_height == height


def test_nobody_withdraws_what_is_anothers(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0, 3)
        records = state_device(live, 3, PV, 4406, joins=False, registered=False)
        forged = records.copy()
        forged[0, 12] = 2  # house 2, whose panels are other ones
        with pytest.raises(ScenarioError):
            live.withdraw_device(forged)
        replayed = live.withdraw_device(records).height
        with pytest.raises((ScenarioError, LedgerError)):
            live.withdraw_device(records)
        assert live.next_height == replayed + 1


@pytest.mark.slow
def test_what_a_house_may_submit_follows_its_devices(tmp_path: Path) -> None:
    """A battery that was plugged in could keep nothing, and panels that were could not be offered."""
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0, 2)
        withdraw_own(live, 2, BATTERY)
        withdraw_own(live, 0, BATTERY)
        live.register_device(state_device(live, 0, BATTERY, battery_w(live), 4000))
        assert live.register_device(state_device(live, 0, PV, 3000)).reason == Reason.NONE
        submit(live, 0, 0, reserve_wh=3000, net_wh=2500)
        with pytest.raises(SubmissionError, match=r"Your battery holds up to 0\.000 kWh"):
            submit(live, 2, 0, reserve_wh=1)
        live.close_interval()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"units": 2, "power_w": 2000}, "fuel cell: expected the power of 1 to 1000 stacks pem-1.26kw"),
        ({"energy_wh": 0}, "fuel cell: expected a tank of 1 to 1000000000 Wh, got 0"),
        ({"datasheet": bytes(32)}, "fuel cell, data sheet: expected the SHA-256 of"),
    ],
)
def test_fuel_cells_that_cannot_join_are_refused_by_name(
    given: dict[str, Any], message: str, registered: LiveRun
) -> None:
    units, known = given.get("units", 1), {"datasheet": sha256(name_cell(PRESET).encode()).digest()}
    stated = {"power_w": rate_cell_w(PRESET, units), "energy_wh": 33_330, **known, **given}
    stated.pop("units", None)
    with pytest.raises(ScenarioError) as refused:
        registered.register_device(state_device(registered, 0, CELL, **stated))
    assert str(refused.value).startswith(message)


@pytest.mark.slow
def test_a_fuel_cell_that_the_wires_cannot_carry_is_refused(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 4)
        live.close_interval()
        assert live.register_device(state_cell(live, 4, units=400)).reason != Reason.NONE
        assert live.register_device(state_cell(live, 4)).reason == Reason.NONE


def test_a_house_has_had_so_many_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each device that comes and goes costs every later interval memory and time."""
    monkeypatch.setattr(checks, "MOST_EVER", 2)
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        for _ in range(2):
            live.register_device(state_device(live, 0, PV, 10, device=1))
            live.withdraw_device(state_device(live, 0, PV, 10, device=1, joins=False))
        with pytest.raises(ScenarioError, match="house_01: expected at most 2 devices in a run, got one more"):
            live.register_device(state_device(live, 0, PV, 10, device=1))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["more energy", "less capacity", "left out"])
def test_a_leaving_that_was_not_is_found_when_the_run_is_made_again(what: str, tmp_path: Path) -> None:
    """An operator who takes more out of a battery than there was, or pretends that nothing left."""
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 2)
        close_until(live, 12)
        height = withdraw_own(live, 2, BATTERY).height
        close_all(live)

    def change(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE).copy()
        if header.height == height:
            house = records[:, 0] == RecordKind.HOUSE
            if what == "left out":
                records = records[~house]
            else:
                records[house, 40 if what == "more energy" else 16] += 1
        return header, records.tobytes()

    resign(tmp_path / "live", make_demonstration_key(LIVE.seed), change)
    assert not rerun_ledger(tmp_path / "live").ok


def test_when_the_run_is_over_nothing_leaves(tmp_path: Path) -> None:
    with LiveRun.open(LIVE.with_changes(horizon={"hours": 1}), tmp_path / "live") as live:
        join(live, 3)
        live.close_interval()
        assert live.list_own(3) == []
        with pytest.raises(ScenarioError, match="run is over"):
            live.withdraw_device(state_device(live, 3, PV, 4406, joins=False, registered=False))
