"""Devices that join and what the operator switches while a run goes on: recorded, resumed, audited, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_world import HOURS, LIVE, LIVE_WITH_FACTS, close_all, join, key_of, state_device, submit
from naive_ledger import first_fault
from resigned import resign

from cosim import run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.devices import make_battery
from cosim.errors import ScenarioError
from cosim.web.live.run import LiveRun
from market.errors import LedgerError, MarketError
from market.exchanges import Reason
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.records import SIZE, Change, DeviceKind, RecordKind
from market.ledger.format.statements import make_device_record
from market.ledger.store.store import Store

pytestmark = pytest.mark.slow  # each runs a market


def run_with_acts(directory: Path, scenario: Any = LIVE_WITH_FACTS, *, stops: tuple[int, ...] = ()) -> None:
    """Panels and a battery join; the grid is off for two hours; a line is out for one. Stopped and opened again."""
    live = LiveRun.open(scenario, directory)
    join(live, 0, 1)
    while not live.is_over:
        t = live.next_interval
        if t == 2:
            assert live.register_device(state_device(live, 0, DeviceKind.PV, 1500)).reason == Reason.NONE
        if t == 3:
            live.register_device(state_device(live, 1, DeviceKind.BATTERY, battery_w(live), 4000))
        if t in (5, 7):
            live.switch(Change.GRID_OUT, 0, opens=t == 5)
        if t in (10, 11):
            live.switch(Change.LINE_OUT, int(live.case.feeder.net.line.index[-1]), opens=t == 10)
        if t == 12:
            submit(live, 1, 12, net_wh=0)
        live.close_interval()
        if t in stops:
            live.close()
            live = LiveRun.open(scenario, directory)
    live.close()


def battery_w(live: LiveRun) -> int:
    return round(make_battery(live.case.scenario.battery, 4000).rated_kw * 1000)


@pytest.mark.slow
@pytest.mark.parametrize("facts", [False, True])
def test_acts_pass_verify_audit_and_rerun(facts: bool, tmp_path: Path) -> None:
    run_with_acts(tmp_path / "live", LIVE_WITH_FACTS if facts else LIVE)
    report = verify_ledger(tmp_path / "live")
    assert (report.ok, report.reason) == (True, "")
    assert first_fault(tmp_path / "live") is None
    audit = audit_ledger(tmp_path / "live", sample=None)
    assert audit.findings == ()
    assert len(audit.islanded) >= 2
    rerun = rerun_ledger(tmp_path / "live")
    assert (rerun.findings, rerun.differences, rerun.n_intervals) == ((), (), HOURS)


@pytest.mark.slow
def test_stopped_and_opened_again_it_ends_on_the_same_head(tmp_path: Path) -> None:
    run_with_acts(tmp_path / "whole")
    run_with_acts(tmp_path / "cut", stops=(1, 2, 3, 6, 10, 13))
    heads = []
    for name in ("whole", "cut"):
        with Store.open_to_read(tmp_path / name) as store:
            heads.append(store.block(store.size() - 1).hash)
    assert heads[0] == heads[1]


def test_what_joined_counts_from_the_next_interval_on(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        while live.next_interval < 7:
            live.close_interval()
        assert live.last is not None
        assert live.last.chunk.window.meters[0]["pv_wh"][0] == 0
        answer = live.register_device(state_device(live, 0, DeviceKind.PV, 2000))
        assert (answer.reason, answer.height) == (Reason.NONE, live.next_height - 1)
        assert live.close_interval().chunk.window.meters[0]["pv_wh"][0] > 100


def test_a_device_that_the_wires_cannot_carry_is_refused_with_the_element(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        live.close_interval()
        height = live.next_height
        answer = live.register_device(state_device(live, 0, DeviceKind.PV, 400_000))
        assert answer.reason in (Reason.OVERVOLTAGE, Reason.TRAFO_OVERLOAD, Reason.LINE_OVERLOAD, Reason.NOT_SOLVED)
        assert (answer.height, live.next_height) == (-1, height)
        assert len(live.case.fleet.devices) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": DeviceKind.FUEL_CELL}, "fuel cell, data sheet: expected the SHA-256 of 'gridsettle fuel cell NAME'"),
        ({"power_w": 0}, "pv: expected 1 to 1000000000 W and 0 Wh, got 0 W"),
        ({"energy_wh": 5}, "pv: expected 1 to 1000000000 W and 0 Wh, got 100 W and 5 Wh"),
        ({"kind": DeviceKind.BATTERY, "energy_wh": 4000, "power_w": 1}, "battery: expected the"),
        ({"bus": 0}, "bus: expected"),
        ({"joins": False}, "device: expected a statement that it joins"),
    ],
)
def test_devices_that_cannot_join_are_refused_by_name(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        bus = int(live.case.feeder.bus[0])
        wanted = {"device": 1, "kind": DeviceKind.PV, "bus": bus, "power_w": 100, "energy_wh": 0} | changed
        records = make_device_record(live.chain_id, 0, live.next_number(0), key_of(0), datasheet=bytes(32), **wanted)
        with pytest.raises(ScenarioError) as refused:
            live.register_device(records)
        assert str(refused.value).startswith(message)


def test_a_device_of_another_members_key_changes_nothing(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0, 1)
        bus = int(live.case.feeder.bus[1])
        records = make_device_record(
            *(live.chain_id, 1, live.next_number(1), key_of(0)),
            device=1,
            kind=DeviceKind.PV,
            bus=bus,
            power_w=100,
            energy_wh=0,
            datasheet=bytes(32),
        )
        with pytest.raises(LedgerError):
            live.register_device(records)
        assert live.case.fleet.devices == ()


@pytest.mark.parametrize(
    ("change", "element", "opens", "message"),
    [
        (Change.LINE_OUT, 999, True, "line 999: expected an element of the network, found none"),
        (Change.GRID_OUT, 1, True, "grid: expected element 0, got 1"),
        (Change.GRID_OUT, 0, False, "grid: expected it opened by a command, it is not"),
        (Change.TRANSFORMER_OUT, 0, True, "command: expected grid, line or switch, got change 3"),
    ],
)
def test_commands_that_cannot_be_are_refused_by_name(
    change: Change, element: int, opens: bool, message: str, tmp_path: Path
) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        height = live.next_height
        with pytest.raises(ScenarioError) as refused:
            live.switch(change, element, opens=opens)
        assert str(refused.value).startswith(message)
        assert live.next_height == height


def test_what_is_open_is_not_opened_again(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        live.switch(Change.GRID_OUT, 0, opens=True)
        with pytest.raises(ScenarioError, match="grid: expected it closed, it is not"):
            live.switch(Change.GRID_OUT, 0, opens=True)
        close_all(live)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a device that nobody asked for", "a command that was never given"])
def test_acts_that_were_not_are_found_when_the_run_is_made_again(what: str, tmp_path: Path) -> None:
    run_with_acts(tmp_path / "live")
    wanted = RecordKind.HOUSE if "device" in what else RecordKind.TOPOLOGY

    def change(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE).copy()
        inside = (records[:, 0] == RecordKind.VERDICT).any()
        if header.height > 0 and not inside and (records[:, 0] == wanted).any():
            if wanted == RecordKind.HOUSE:
                records[records[:, 0] == wanted, 16] += 1  # a larger battery
            else:
                records[0, 2] = 3 - records[0, 2]  # opens for closes
        return header, records.tobytes()

    resign(tmp_path / "live", make_demonstration_key(LIVE.seed), change)
    assert not rerun_ledger(tmp_path / "live").ok


@pytest.mark.slow
def test_a_run_that_is_over_gets_its_tables(tmp_path: Path) -> None:
    run_with_acts(tmp_path / "live")
    result = run(LIVE_WITH_FACTS, tmp_path / "live", resume=True)
    houses = result.table("houses").to_pandas()
    joined = houses[(houses.house == "house_01") & (houses.pv_wh > 0)]
    assert len(joined) > 3  # its panels
    assert len(result.table("intervals")) == HOURS
    assert result.summary["network"]["intervals"] == HOURS
    assert result.report(tmp_path / "report.html").exists()


def test_a_run_that_is_not_over_goes_on_with_its_server_alone(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        live.close_interval()
    with pytest.raises(ScenarioError, match="got one in which people take part, after 1 of 16 intervals; go on with"):
        run(LIVE, tmp_path / "live", resume=True)


@pytest.mark.slow
def test_a_run_that_goes_on_is_audited_so_far(tmp_path: Path) -> None:
    with LiveRun.open(LIVE_WITH_FACTS, tmp_path / "live") as live:
        live.close_interval()
        live.close_interval()
        assert [finding.what for finding in audit_ledger(tmp_path / "live", sample=None).findings] == [
            "the ledger ends after 2 of 16 intervals"
        ]
        assert audit_ledger(tmp_path / "live", sample=None, so_far=True).findings == ()
        assert rerun_ledger(tmp_path / "live", so_far=True).ok


@pytest.mark.slow
def test_an_outage_of_the_scenario_is_no_commands_to_end(tmp_path: Path) -> None:
    """One that lasts to the end of the run was taken for a command's; closing it changed what the scenario says."""
    last = {"kind": "outage", "start": "2017-06-20T13:00:00Z", "hours": 3, "grid": True}
    with LiveRun.open(LIVE_WITH_FACTS.with_changes(events=[last]), tmp_path / "live") as live:
        with pytest.raises(ScenarioError, match="grid: expected it opened by a command, it is not"):
            live.switch(Change.GRID_OUT, 0, opens=False)
        live.switch(Change.GRID_OUT, 0, opens=True)
        live.close_interval()
        live.switch(Change.GRID_OUT, 0, opens=False)
        close_all(live)
    assert verify_ledger(tmp_path / "live").ok
    assert audit_ledger(tmp_path / "live", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "live").ok


def test_when_the_run_is_over_nothing_more_happens(tmp_path: Path) -> None:
    with LiveRun.open(LIVE.with_changes(horizon={"hours": 1}), tmp_path / "live") as live:
        join(live, 0)
        live.close_interval()
        for late in (
            lambda: live.switch(Change.GRID_OUT, 0, opens=True),
            lambda: live.register_device(state_device(live, 0, DeviceKind.PV, 100)),
            lambda: submit(live, 0, 1),
        ):
            with pytest.raises((MarketError, ScenarioError), match="run is over"):
                late()
