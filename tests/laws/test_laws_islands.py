"""Laws of islands: the former's bounds, balance against runpp, no grid, no house forgotten, ledgers that verify."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from cosim import Scenario, run
from cosim.case.case import Case, build_case
from cosim.case.solve import load_q_kvar
from cosim.delivery.setpoints import injection_kw, mean_kw
from cosim.interval.chunk import Chunk
from cosim.interval.fold import run_intervals
from cosim.islands.event_interval import PartResult
from cosim.islands.switching import Switching
from grid_models.feeder.topology import Supply
from grid_models.powerflow.verdicts import Judgement
from market.exchanges import Kind, Reason
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import make_demonstration_key
from market.ledger.store.store import Store
from market.ledger.write.ledger import Ledger

pytestmark = pytest.mark.slow  # whole outages

GRID_OUT = {"kind": "outage", "start": "2017-06-20T18:00:00Z", "hours": 14, "grid": True}
DAY_OUT = {**GRID_OUT, "start": "2017-06-20T09:00:00Z", "hours": 5}
BRANCH_OUT = {"kind": "outage", "start": "2017-06-20T20:00:00Z", "hours": 9, "switches": ["branch 2"]}
SECOND = {"kind": "register", "at": "2017-06-20T23:00:00Z", "participant": "house_03", "device": "fuel_cell"}
BASE: dict[str, Any] = {
    "horizon": {"hours": 48, "start": "2017-06-20T00:00:00Z"},
    "houses": {"n_houses": 8, "n_prosumers": 4},
    "network": {"n_branches": 2},
    "community": {"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw"},
}
CASES: dict[str, dict[str, Any]] = {
    "one island": {"events": [GRID_OUT]},
    "two islands, at night with empty batteries": {
        "events": [GRID_OUT, BRANCH_OUT],
        "battery": {"capacity_kwh_min": 2.0, "capacity_kwh_max": 3.0},
    },
    "a lit island and a dark one": {
        "events": [GRID_OUT, BRANCH_OUT],
        "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
    },
    "two islands that keep energy for critical load": {
        "events": [GRID_OUT, BRANCH_OUT],
        "battery": {"capacity_kwh_min": 2.0, "capacity_kwh_max": 3.0},
        "outage": {"dispatch": "ahead"},
    },
    "one branch without the grid": {"events": [BRANCH_OUT], "market": {"feed_in": True}},
    "no former at all": {
        "events": [GRID_OUT],
        "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        "community": {"enabled": False},
    },
    "fuel cells only, central sharing": {
        "events": [GRID_OUT, SECOND],
        "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        "community": {"enabled": True, "battery_kwh": 0.0},
        "market": {"mechanism": "sharing_central"},
    },
    "inverters absorb by day, two islands": {
        "events": [DAY_OUT, {**BRANCH_OUT, "start": "2017-06-20T11:00:00Z", "hours": 3}],
        "pv": {"control": "cos_phi", "cos_phi": 0.92},
        "houses": {**BASE["houses"], "load_cos_phi": 0.97},
        "battery": {"inverter_cos_phi": 0.8},
    },
    "inverters follow voltages by day": {
        "events": [DAY_OUT],
        "pv": {"control": "q_v", "q_v_vm_pu": [0.98, 0.999, 1.0, 1.002]},
    },
    "poor houses, quarter hours": {
        "events": [GRID_OUT, SECOND],
        "horizon": {**BASE["horizon"], "interval_minutes": 15},
        "houses": {**BASE["houses"], "wallet_eur": 0.2},
        "market": {"mechanism": "sharing_hybrid"},
    },
}


def scenario_of(changes: dict[str, Any]) -> Scenario:
    return Scenario().with_changes(**{**BASE, **changes})


@pytest.fixture(scope="module", params=sorted(CASES))
def simulated(request: pytest.FixtureRequest) -> tuple[Case, list[Chunk]]:
    case = build_case(scenario_of(CASES[request.param]))
    return case, [chunk for chunk in run_intervals(case, case.opening) if chunk.event is not None]


def _islands(case: Case, stream: list[Chunk]) -> list[tuple[Chunk, PartResult]]:
    return [
        (chunk, part)
        for chunk in stream
        if chunk.event is not None
        for part in chunk.event.parts
        if part.supply == Supply.ISLAND
    ]


def test_every_disturbed_interval_is_clean_and_every_house_is_in_one_part(
    simulated: tuple[Case, list[Chunk]],
) -> None:
    _, stream = simulated
    assert stream
    for chunk in stream:
        assert chunk.event is not None
        assert (chunk.verdicts.status == Judgement.OK).all()
        assert (np.sum([part.inside for part in chunk.event.parts], axis=0) == 1).all()


def test_island_buys_nothing_from_the_grid_and_sells_nothing_to_it(
    simulated: tuple[Case, list[Chunk]],
) -> None:
    _, stream = simulated
    for chunk in stream:
        assert chunk.event is not None
        rows, meters = chunk.window.rows, chunk.window.meters[0]
        for part in chunk.event.parts:
            if part.supply == Supply.GRID:
                continue
            assert (meters["imported_wh"][part.inside] == 0).all()
            assert (meters["exported_wh"][part.inside] == 0).all()
            trade = rows[np.isin(rows["kind"], (int(Kind.P2P), int(Kind.SHARE_USE)))]
            assert (part.inside[trade["seller"]] == part.inside[trade["buyer"]]).all()
        if not any(part.supply == Supply.GRID for part in chunk.event.parts):
            assert chunk.flow.p_grid_kw[0] == 0.0


def test_former_is_within_power_apparent_power_and_energy(simulated: tuple[Case, list[Chunk]]) -> None:
    case, stream = simulated
    hours, ratings = case.interval_minutes / 60.0, case.opening.ratings
    for chunk, part in _islands(case, stream)[::3]:
        assert part.former is not None
        house = part.former.house
        m = chunk.window.meters[0][house]
        if part.former.cell < 0:
            assert m["discharge_wh"] <= ratings.max_discharge_wh[house]
            assert m["own_wh"] >= ratings.soc_min_wh[house]
            p_kw = (int(m["discharge_wh"]) - int(m["charge_wh"])) / 1000.0 / hours
            s_kva = ratings.max_discharge_wh[house] / 1000.0 / hours / case.scenario.battery.inverter_cos_phi
            bus = int(case.feeder.bus[house])
            assert np.hypot(p_kw, _reactive_kvar(case, chunk, bus)) <= s_kva + 1e-9
        for k, wh in part.fuel_wh.items():
            plant = case.fleet.devices[k].plant
            assert plant is not None
            assert wh <= plant.nominal_kw * 1000.0 * hours * (1 + 1e-9)
            assert chunk.network.plants[k, 0] >= 0.0


def _solved_by_pandapower(case: Case, chunk: Chunk) -> Any:
    assert chunk.event is not None
    switching = Switching(case.feeder, case.engine, case.timeline.outages)
    formers = [part.former for part in chunk.event.parts if part.former is not None]
    engine = switching.engine(chunk.network.in_force, [int(case.feeder.bus[former.house]) for former in formers])
    net = deepcopy(engine.feeder.net)
    p_kw = injection_kw(chunk.window.meters, case.interval_minutes)[0]
    q_kvar = chunk.window.meters["q_var"][0] / 1000.0
    pp.create_sgens(net, case.feeder.bus, p_mw=p_kw / 1000.0, q_mvar=q_kvar / 1000.0)
    pp.runpp(net, tolerance_mva=1e-11, calculate_voltage_angles=True)
    return net


def _reactive_kvar(case: Case, chunk: Chunk, bus: int) -> float:
    net = _solved_by_pandapower(case, chunk)
    return float(net.res_gen.q_mvar[net.gen.bus == bus].sum()) * 1000.0


def test_supply_is_what_is_served_and_lost_by_pandapower(simulated: tuple[Case, list[Chunk]]) -> None:
    case, stream = simulated
    islands = _islands(case, stream)
    for chunk, part in islands[:: max(1, len(islands) // 4)]:
        net = _solved_by_pandapower(case, chunk)
        assert part.former is not None
        bus = int(case.feeder.bus[part.former.house])
        residual_kw = float(net.res_gen.p_mw[net.gen.bus == bus].sum()) * 1000.0
        # what the meters say, the losses booked on the former included, leaves its slack with less than a Wh
        assert abs(residual_kw) * case.interval_minutes / 60.0 <= 1e-3
        m = chunk.window.meters[0][part.inside]
        hours = case.interval_minutes / 60.0
        supply = m["pv_wh"] - m["spilled_wh"] + m["fuel_cell_wh"] + m["discharge_wh"]
        served = m["load_wh"] - m["shed_wh"] + m["charge_wh"]
        balance_kw = int(supply.sum() - served.sum()) / 1000.0 / hours + residual_kw
        lines = net.line.from_bus.isin(case.feeder.bus) | net.line.to_bus.isin(case.feeder.bus)
        assert lines.any()
        if sum(p.supply != Supply.DARK for p in chunk.event.parts) == 1:  # type: ignore[union-attr]
            lost_kw = float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()) * 1000.0
            assert balance_kw == pytest.approx(lost_kw, abs=1e-6)


def test_inverters_of_islands_keep_to_their_rule_at_pandapowers_voltages(simulated: tuple[Case, list[Chunk]]) -> None:
    case, stream = simulated
    if case.control is None:
        return
    acts = 0
    for chunk, part in _islands(case, stream)[::2]:
        meters = chunk.window.meters[0]
        vm_pu = _solved_by_pandapower(case, chunk).res_bus.vm_pu.loc[case.feeder.bus].to_numpy()
        pv_kw = mean_kw(np.maximum(meters["pv_wh"].astype(np.int64) - meters["spilled_wh"], 0), case.interval_minutes)
        wanted = case.control.q_kvar(pv_kw, vm_pu)
        of_loads = load_q_kvar(case, chunk.window.meters)
        found = meters["q_var"] / 1000.0 - (0.0 if of_loads is None else of_loads[0])
        moved = np.abs(case.control.slope_kvar_per_pu(pv_kw, vm_pu)) * 2e-6
        assert (np.abs(found - wanted)[part.inside] <= (1e-3 + moved)[part.inside]).all()
        acts += int(np.abs(found[part.inside]).max() > 0.01)
    assert acts > 0


def test_dark_part_says_so_and_moves_nothing(simulated: tuple[Case, list[Chunk]]) -> None:
    _, stream = simulated
    for chunk in stream:
        assert chunk.event is not None
        for part in chunk.event.parts:
            if part.supply != Supply.DARK:
                continue
            m = chunk.window.meters[0][part.inside]
            assert (m["shed_wh"] == m["load_wh"]).all()
            assert (m["spilled_wh"] == m["pv_wh"]).all()
            assert (m["charge_wh"] == 0).all()
            assert (m["discharge_wh"] == 0).all()
            rows = chunk.window.rows
            here = np.isin(rows["buyer"], np.flatnonzero(part.inside)) | np.isin(
                rows["seller"], np.flatnonzero(part.inside)
            )
            assert (rows["reason"][here] == Reason.DARK).all()
            assert (rows["amount_neur"][here] == 0).all()


def test_nothing_shed_is_billed(simulated: tuple[Case, list[Chunk]]) -> None:
    _, stream = simulated
    for chunk in stream:
        rows = chunk.window.rows
        assert (rows["amount_neur"][rows["kind"] == Kind.SHED] == 0).all()


def test_island_with_a_second_device_serves_no_less() -> None:
    served = {}
    for name, events in (("alone", [GRID_OUT]), ("with a second", [GRID_OUT, SECOND])):
        case = build_case(scenario_of({"events": events, "battery": {"capacity_kwh_min": 2, "capacity_kwh_max": 3}}))
        served[name] = [
            (chunk.first, int((chunk.window.meters["load_wh"] - chunk.window.meters["shed_wh"]).sum()))
            for chunk in run_intervals(case, case.opening)
            if chunk.event is not None
        ]
    assert all(t == u and more >= less for (t, less), (u, more) in zip(*served.values(), strict=False))
    assert sum(wh for _, wh in served["with a second"]) > sum(wh for _, wh in served["alone"])


def test_two_islands_are_two_and_both_are_lit() -> None:
    case = build_case(scenario_of({"events": [GRID_OUT, BRANCH_OUT]}))
    parts = {
        chunk.first: [part.supply for part in chunk.event.parts]
        for chunk in run_intervals(case, case.opening)
        if chunk.event is not None
    }
    assert parts[18] == [Supply.ISLAND]
    assert parts[20] == [Supply.ISLAND, Supply.ISLAND]


def test_component_without_a_former_is_dark_and_says_so_beside_one_that_is_lit() -> None:
    """branch 1 ── community (battery, fuel cell)    ·switch open·    branch 2: four houses without any."""
    result = run(scenario_of(CASES["a lit island and a dark one"]))
    rows = result.table("outage_intervals").to_pylist()
    split = [[row["supply"] for row in rows if row["time"].hour == hour] for hour in (20, 21, 22, 23, 0, 4)]
    assert split == 6 * [["dark", "island"]]
    dark = [row for row in rows if row["supply"] == "dark"]
    assert {row["houses"] for row in dark} == {4}
    assert all(row["former"] == "" and row["served_wh"] == 0 < row["load_wh"] for row in dark)
    assert result.summary["resilience"]["dark_part_hours"] == 9.0
    reasons = result.table("exchanges").to_pandas()
    shed = reasons[(reasons["kind"] == "shed") & (reasons["reason"] == "dark")]
    assert shed["delivered_wh"].sum() == sum(row["load_wh"] for row in dark)


def test_ledger_of_an_outage_is_the_same_for_every_window_and_verifies(tmp_path: Path) -> None:
    scenario = scenario_of({"events": [GRID_OUT, BRANCH_OUT, {**SECOND, "participant": "house_02"}]})
    heads = {}
    for window in (None, 1, 7):
        directory = tmp_path / str(window)
        run(scenario.with_changes(engine={"window": window, "verify_sample": 2}), directory)
        with Store.open_to_read(directory) as store:
            heads[window] = store.hashes()
        report = verify_ledger(directory)
        assert report.ok, report.reason
        with Ledger.resume(directory, make_demonstration_key(scenario.seed)) as ledger:
            (device,) = ledger.registry.devices.values()
            assert device.power_w == 5129
    assert all(hashes == heads[None] for hashes in heads.values())


def test_interrupted_outage_resumes_to_the_same_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.simulation.simulate.GROUP", 5)
    scenario = scenario_of({"events": [GRID_OUT, SECOND]})

    class _CutError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.done == 27:
            raise _CutError

    with pytest.raises(_CutError):
        run(scenario, tmp_path / "cut", listener=stop)
    resumed = run(scenario, tmp_path / "cut", resume=True)
    assert resumed.summary["ledger"] == run(scenario, tmp_path / "whole").summary["ledger"]


def test_run_without_events_is_what_it_was() -> None:
    scenario = scenario_of({"community": {"enabled": False}})
    case = build_case(scenario)
    assert all(chunk.event is None for chunk in run_intervals(case, case.opening))
    assert case.timeline.next_event(0) == case.n_intervals


@pytest.mark.parametrize("mechanism", ["sharing_p2p", "none", "trading_battery"])
@pytest.mark.parametrize("rating_ka", [None, 0.006])
def test_priorities_hold_in_islands(mechanism: str, rating_ka: float | None) -> None:
    """Low before normal before high: where load of a house is shed, lower ranks get no more than their own."""
    low, high = ["house_01", "house_04"], ["house_03", "house_06"]
    priority = {**dict.fromkeys(low, "low"), **dict.fromkeys(high, "high")}
    changes: dict[str, Any] = {
        "events": [GRID_OUT],
        "curtailment": {"priority": priority},
        "market": {"mechanism": mechanism},
        "battery": {"capacity_kwh_min": 2.0, "capacity_kwh_max": 3.0},
        "community": {**BASE["community"], "battery_kwh": 8.0, "tank_kg": 0.2},
    }
    if rating_ka is not None:
        changes["network"] = {**BASE["network"], "line_ratings_ka": {"service house_08": rating_ka}}
    case = build_case(scenario_of(changes))
    rank = np.array([0 if n in low else 2 if n in high else 1 for n in case.profiles.participants])
    shed, orders_seen = np.zeros(3), 0
    for chunk, part in _islands(case, [c for c in run_intervals(case, case.opening) if c.event is not None]):
        meters = chunk.window.meters[0]
        load, cut = meters["load_wh"].astype(np.int64), meters["shed_wh"].astype(np.int64)
        np.add.at(shed, rank[part.inside], cut[part.inside])
        rows = part.delivery.rows
        lots = np.zeros(load.size, np.int64)
        sold = rows[rows["kind"] == Kind.LOT_SALE]
        np.add.at(lots, sold["buyer"], sold["delivered_wh"])
        critical = np.rint(load * case.scenario.community.critical_share)
        own = np.maximum(critical, part.orders.pv_wh) + lots + 1
        for i in np.flatnonzero(part.inside & (cut > 0)):
            below = part.inside & (rank < rank[i])
            assert (load - cut <= own)[below].all()
            orders_seen += int(below.any())
            if load[i] - cut[i] < critical[i] - 1:
                assert (load - cut <= part.orders.pv_wh + lots + 1)[below].all()
    assert orders_seen > 0
    assert shed[0] > 0


EMPTY = {
    "events": [{"kind": "outage", "start": "2017-06-20T18:00:00Z", "hours": 3, "grid": True}],
    "battery": {"capacity_kwh_min": 8.0, "capacity_kwh_max": 8.0},
    "community": {"enabled": False},
}
ONE_DARK = {
    "events": [
        {"kind": "outage", "start": "2017-06-20T20:00:00Z", "hours": 5, "grid": True},
        {"kind": "outage", "start": "2017-06-20T20:00:00Z", "hours": 5, "switches": ["branch 2"]},
    ],
    "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
}


@pytest.mark.parametrize("name", [*CASES, "empty", "one dark"])
def test_nobody_is_dark_beside_a_grid_that_is_back(name: str) -> None:
    case = build_case(scenario_of({**CASES, "empty": EMPTY, "one dark": ONE_DARK}[name]))
    intervals_after = 0
    for chunk in run_intervals(case, case.opening):
        if chunk.event is None or case.timeline.open[chunk.first].any():
            continue
        assert all(part.supply != Supply.DARK for part in chunk.event.parts)
        meters = chunk.window.meters[0]
        assert (meters["shed_wh"] <= 0.99 * meters["load_wh"]).all()
        intervals_after += 1
    assert intervals_after > 0 or name == "no former at all"


def test_an_island_that_ran_empty_is_joined_in_the_first_hour_of_the_grid() -> None:
    case = build_case(scenario_of(EMPTY))
    supplies = {
        chunk.first: {part.supply for part in chunk.event.parts}
        for chunk in run_intervals(case, case.opening)
        if chunk.event is not None
    }
    last = max(np.flatnonzero(case.timeline.open.any(axis=1)))
    assert supplies[last] == {Supply.ISLAND}, "held in the last hour without the grid, with next to nothing left"
    assert supplies.get(last + 1, {Supply.GRID}) == {Supply.GRID}
