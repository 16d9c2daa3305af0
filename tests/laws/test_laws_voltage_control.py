"""Laws of runs with P(V) and tap changers: energy to the Wh, bands kept, all solved again from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from cosim import Result, Scenario, run
from cosim.audit.audit import audit_ledger, make_bench
from cosim.audit.physics import audit_blocks
from cosim.audit.recorded import open_block, read_first_block, read_recorded
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.recording.topology import read_taps
from cosim.scenario.files import load_scenario
from grid_models.powerflow.admittance import RUNPP_OPTIONS
from market.exchanges import Kind, Reason
from market.ledger.format.records import RecordKind
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole runs

HOURS = 72
CURVE, SHARE, FAR = (1.02, 1.05), 0.2, 9
BAND = (0.99, 1.03)
CHANGES: dict[str, Any] = {
    "horizon": {"hours": HOURS, "start": "2017-06-03T00:00:00Z"},
    "pv": {"volt_watt": True, "volt_watt_vm_pu": CURVE, "control": "q_v"},
    "tap_changer": {"enabled": True, "vm_lower_pu": BAND[0], "vm_upper_pu": BAND[1], "bus": str(FAR)},
    "ledger": {"facts": True},
}


def make_scenario(**changes: Any) -> Scenario:
    return load_scenario("stressed").with_changes(**{**CHANGES, **changes})


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("controlled") / "run"
    run(make_scenario(), made)
    return made


@pytest.fixture(scope="module")
def result(directory: Path) -> Result:
    return Result.load(directory)


def test_the_energy_that_inverters_took_has_a_name_and_is_exact(result: Result) -> None:
    houses, exchanges = result.houses.reset_index(), result.exchanges.reset_index()
    spilled = exchanges[(exchanges["kind"] == "spill") & (exchanges["reason"] == "volt_watt")]
    assert houses["volt_watt_wh"].sum() == spilled["delivered_wh"].sum() > 0
    assert (houses["volt_watt_wh"] <= houses["spilled_wh"]).all()
    assert result.summary["voltage_control"]["volt_watt_kwh"] == houses["volt_watt_wh"].sum() / 1000
    into = houses[["pv_wh", "fuel_cell_wh", "discharge_wh", "bought_wh", "imported_wh"]].sum(axis=1)
    out = houses[["load_wh", "charge_wh", "sold_wh", "exported_wh", "spilled_wh"]].sum(axis=1) - houses["shed_wh"]
    assert np.array_equal(into, out)
    # Nothing that P(V) took is called curtailed.
    assert not (result.table("curtailment").to_pandas()["reason"] == "volt_watt").any()
    reduced = exchanges[exchanges["reason"] == "volt_watt"]
    assert (exchanges["amount_neur"] == exchanges["delivered_wh"] * exchanges["price_ueur_per_kwh"]).all()
    assert len(reduced)


def test_every_inverter_passes_what_its_curve_allows_at_the_voltage_found(result: Result) -> None:
    case = build_case(make_scenario())
    assert case.active is not None
    houses = result.houses.reset_index()
    voltage = result.bus_voltage.reset_index().pivot_table(index="time", columns="bus", values="vm_pu", observed=True)
    names = dict(zip(case.feeder.participants, case.feeder.bus, strict=True))
    labels = dict(zip(*case.feeder.labels["bus"], strict=True))
    rated = dict(zip(case.feeder.participants, case.active.rated_kw, strict=True))
    for row in houses[houses["volt_watt_wh"] > 0].itertuples():
        vm_pu = voltage.loc[row.time, labels[names[row.house]]]
        allowed = np.interp(vm_pu, CURVE, (1.0, SHARE)) * rated[row.house] * 1000.0
        assert abs(row.pv_wh - row.volt_watt_wh - allowed) < 1.5 + 1e-3 * allowed


def test_the_band_is_kept_where_the_taps_allow_it(result: Result) -> None:
    case = build_case(make_scenario())
    assert case.taps is not None
    label = dict(zip(*case.feeder.labels["bus"], strict=True))[FAR]
    voltages = result.bus_voltage.reset_index()
    far = voltages.loc[voltages["bus"] == label, "vm_pu"].to_numpy()
    position = result.intervals["tap_pos_0"].to_numpy()
    inside = (far >= BAND[0] - 1e-6) & (far <= BAND[1] + 1e-6)
    at_end = (position == case.taps.lowest[0]) | (position == case.taps.highest[0])
    outcome = result.intervals["outcome"].to_numpy()
    assert (inside | at_end | (outcome != "clean")).all()
    assert np.abs(np.diff(position)).sum() == result.summary["voltage_control"]["taps"]["tap_pos_0"]["steps"] > 0


def test_the_ledger_says_enough_for_anybodys_runpp_and_for_the_audit(directory: Path, result: Result) -> None:
    audit = audit_ledger(directory, sample=None)
    assert audit.findings == ()
    assert len(audit.heights) == HOURS
    assert rerun_ledger(directory).ok
    net, hours = pp.from_json(str(directory / "network.json")), result.intervals.index
    houses = result.houses.reset_index()
    case = build_case(make_scenario())
    elements = [pp.create_sgen(net, int(bus), p_mw=0.0) for bus in case.feeder.bus]
    with Store.open_to_read(directory) as store:
        taps = {k: read_taps(decode_records(store.block(k + 1).records)) for k in (2, 12, 13, 40)}
    for k, positions in taps.items():
        rows = houses[houses["time"] == hours[k]]
        injected = rows.eval("pv_wh - spilled_wh + fuel_cell_wh + discharge_wh - load_wh + shed_wh - charge_wh")
        net.sgen.loc[elements, "p_mw"] = injected.to_numpy() / 1e6
        net.sgen.loc[elements, "q_mvar"] = rows["q_var"].to_numpy() / 1e6
        for trafo, position in positions:
            net.trafo.loc[trafo, "tap_pos"] = position
        pp.runpp(net, tolerance_mva=1e-10, **RUNPP_OPTIONS)
        voltages = result.bus_voltage.reset_index()
        ours = voltages.loc[voltages["time"] == hours[k], "vm_pu"].to_numpy()
        np.testing.assert_allclose(ours, net.res_bus.vm_pu.to_numpy(), atol=1e-6)


def test_an_audit_finds_a_false_tap_position_and_a_reduction_at_a_low_voltage(directory: Path) -> None:
    with Store.open_to_read(directory) as store:
        physics = make_bench(read_recorded(directory, read_first_block(store, None))).physics
        opened = open_block(store.block(13), {})
    assert audit_blocks(physics, [opened]) == [[]]
    moved = opened.records.copy()
    at = np.flatnonzero(moved[:, 0] == RecordKind.TOPOLOGY)
    moved[at, 16:20] = [1 if moved[at[0], 16] == 2 else 2, 0, 0, 0]
    assert any("vm" in what for what in audit_blocks(physics, [opened._replace(records=moved)])[0])
    moved[at, 16:20] = [7, 0, 0, 0]
    assert "it has -2 to 2" in audit_blocks(physics, [opened._replace(records=moved)])[0][0]
    without = np.delete(opened.records, at, axis=0)
    assert "recorded tap changers" in audit_blocks(physics, [opened._replace(records=without)])[0][0]
    false = opened.records.copy()
    spill = np.flatnonzero((false[:, 0] == Kind.GRID_EXPORT) | (false[:, 0] == Kind.P2P))[:1]
    false[spill, 0], false[spill, 2] = Kind.SPILL, Reason.VOLT_WATT
    low = physics._replace(scenario=make_scenario(pv={**CHANGES["pv"], "volt_watt_vm_pu": (1.2, 1.3)}))
    assert any("takes nothing yet" in what for what in audit_blocks(low, [opened._replace(records=false)])[0])


def test_the_length_of_a_window_changes_nothing(result: Result, tmp_path: Path) -> None:
    again = run(make_scenario(engine={"window": 1, "verify_sample": 0}), tmp_path / "one")
    assert again.summary["ledger"]["hash"] == result.summary["ledger"]["hash"]


def test_hunting_is_counted_and_never_passed_as_clean() -> None:
    taps = {"enabled": True, "vm_lower_pu": 1.0005, "vm_upper_pu": 1.0256, "bus": str(FAR)}
    result = run(make_scenario(tap_changer=taps, pv={}))
    hunting = result.intervals["hunting"].to_numpy()
    assert result.summary["voltage_control"]["hunting"] == hunting.sum() > 0
    assert (result.intervals["outcome"].to_numpy()[hunting] != "clean").all()


def test_phases_are_controlled_as_well(tmp_path: Path) -> None:
    horizon = {"hours": 4, "start": "2017-06-03T11:00:00Z"}
    model = {"model": "three_phase"}
    result = run(make_scenario(network=model, horizon=horizon, engine={"verify_sample": 2}), tmp_path / "run")
    assert result.summary["voltage_control"]["volt_watt_kwh"] > 0
    assert result.summary["agreement"]["max_vm_error_pu"] < 1e-6
    assert audit_ledger(tmp_path / "run", sample=2).findings == ()
