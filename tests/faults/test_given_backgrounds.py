"""Reported: in islands, loads and generators of the net were booked as losses, or left out, and the audit failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import naive_ledger
import pandapower as pp
import pandas as pd
import pytest
from background_runs import bus, cut_grid, find_agreeing, make_net, make_scenario, run_on

import cosim.islands.island
from cosim import Result
from cosim.audit.audit import audit_ledger
from cosim.case.case import build_case
from grid_models.errors import GridError
from market.exchanges import OPERATOR, Kind
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.records import Change, RecordKind, select_rows
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole runs and their audits

COMMUNITY = {"enabled": True, "battery_kwh": 20.0, "fuel_cell": "pem-6kw"}
PLAIN: dict[str, Any] = {
    "houses": {"load_cos_phi": 1},
    "battery": {"capacity_kwh_min": 4.0, "capacity_kwh_max": 4.0},
    "community": COMMUNITY,
    "events": [cut_grid(2, 3)],
}


def keep(load_kw: float = 0.0, generation_kw: float = 0.0, at: str = "H3", **load: float) -> Any:
    """Net with a load and a generator of its own."""
    net = make_net()
    if load_kw:
        pp.create_load(net, bus(net, at), p_mw=load_kw / 1000, name="pump", **load)
    if generation_kw:
        pp.create_sgen(net, bus(net, at), p_mw=generation_kw / 1000, name="old pv")
    return net


def check(result: Result, net: Any) -> pd.DataFrame:
    """Balance of a run that closes, agrees with `runpp` and passes its audit."""
    balance = result.energy_balance
    assert (balance["residual_wh"] == 0).all()
    for time in balance.index:
        assert find_agreeing(result, net, time), (time, dict(balance.loc[time]))
    assert result.directory is not None
    assert audit_ledger(result.directory, sample=None).findings == ()
    assert naive_ledger.first_fault(result.directory, checkpoint_path(result.directory).read_text()) is None
    balance["island"] = (result.intervals["outcome"] == "islanded").to_numpy()
    assert not balance.loc[balance["island"], ["from_grid_wh", "to_grid_wh"]].to_numpy().any()
    return balance


def test_a_kept_load_is_no_loss_and_nobody_is_paid_for_it(tmp_path: Path) -> None:
    net = keep(load_kw=5.0)
    result = run_on(tmp_path, net, **PLAIN)
    balance = check(result, net)
    assert balance["island"].sum() == 4
    assert (balance["background_load_wh"] == 5000).all()
    lost_wh = 1000 * result.intervals["losses_kw"]
    assert (balance["losses_wh"] - lost_wh).abs().max() <= 1
    rows = result.exchanges[result.exchanges["kind"] == "background"]
    assert (rows["buyer"] == "operator").all()
    assert not rows["amount_neur"].any()
    assert rows.groupby(level=0)["delivered_wh"].sum().eq(5000).all()


def test_kept_generation_serves_charges_and_is_turned_down(tmp_path: Path) -> None:
    net = keep(load_kw=5.0, generation_kw=20.0)
    balance = check(run_on(tmp_path, net, **PLAIN), net)
    on_grid, island = balance[~balance["island"]], balance[balance["island"]]
    assert (on_grid["background_generation_wh"] == 20_000).all()
    assert (on_grid["to_grid_wh"] >= 20_000).all()
    assert (island["background_load_wh"] == 5000).all()
    assert (island["background_generation_wh"] >= 5000).all()
    assert (island["background_generation_wh"] < 20_000).any()


def test_a_load_that_would_cost_critical_load_is_switched_off_and_recorded(tmp_path: Path) -> None:
    net = keep(load_kw=60.0)
    result = run_on(tmp_path, net, **PLAIN)
    balance = check(result, net)
    assert (balance["background_load_wh"][balance["island"]] == 0).all()
    assert (balance["background_load_wh"][~balance["island"]] == 60_000).all()
    assert result.directory is not None
    with Store.open_to_read(result.directory) as store:
        records = decode_records(store.block(4).records)
    assert Change.BACKGROUND_OFF in select_rows(records, RecordKind.TOPOLOGY)["status"]
    assert Kind.BACKGROUND not in records[:, 0]


def test_a_part_without_a_former_is_dark_with_its_elements(tmp_path: Path) -> None:
    net = keep(load_kw=2.0, generation_kw=9.0)
    none = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    balance = check(run_on(tmp_path, net, **{**PLAIN, "battery": none, "community": {}}), net)
    dark = balance[balance["served_wh"] == 0]
    assert len(dark) == 3
    assert not dark[["background_load_wh", "background_generation_wh", "losses_wh"]].to_numpy().any()


def test_a_part_without_participants_is_dark(tmp_path: Path) -> None:
    net = keep(load_kw=3.0)
    far = pp.create_bus(net, 0.4, name="far")
    pp.create_line(net, bus(net, "H4"), far, 0.05, "NAYY 4x150 SE", name="to far")
    pp.create_load(net, far, p_mw=0.002)
    cut = {**cut_grid(1, 2), "grid": False, "lines": ["to far"]}
    balance = check(run_on(tmp_path, net, **{**PLAIN, "events": [cut]}), net)
    assert balance["background_load_wh"].tolist() == [5000, 3000, 3000, 5000, 5000, 5000]


@pytest.mark.parametrize("at", ["MV", "LV", "H1"])
def test_elements_at_the_slack_the_busbar_and_a_house(tmp_path: Path, at: str) -> None:
    net = keep(load_kw=4.0, generation_kw=7.0, at=at)
    balance = check(run_on(tmp_path, net, **PLAIN), net)
    assert (balance["background_load_wh"][balance["island"]] == (0 if at == "MV" else 4000)).all()


def test_scaling_shunts_wards_and_motors_count_at_their_voltage(tmp_path: Path) -> None:
    net = keep(load_kw=2.0, scaling=0.5)
    pp.create_shunt(net, bus(net, "H2"), q_mvar=0.001, p_mw=0.0006, step=2, max_step=2, vn_kv=0.41)
    pp.create_ward(net, bus(net, "H3"), 0.0005, 0.0, 0.0007, 0.0)
    pp.create_motor(net, bus(net, "H4"), pn_mech_mw=0.001, cos_phi=0.9, efficiency_percent=90)
    balance = check(run_on(tmp_path, net, **PLAIN), net)
    assert balance["background_load_wh"].nunique() > 1, "voltages differ"
    assert balance["background_load_wh"].between(4200, 4600).all()


def test_a_generator_larger_than_all_load_exports_through_the_transformer(tmp_path: Path) -> None:
    net = keep(generation_kw=80.0)
    result = run_on(tmp_path, net, **{**PLAIN, "events": []})
    balance = result.energy_balance
    assert (result.intervals["p_grid_kw"] < -60).all()
    assert (balance["to_grid_wh"] >= 80_000).all()
    assert (balance["from_grid_wh"] - balance["to_grid_wh"] - 1000 * result.intervals["p_grid_kw"]).abs().max() <= 1
    energy = result.summary["energy_kwh"]
    assert energy["to_grid"] == balance["to_grid_wh"].sum() / 1000
    assert energy["background_generation"] == 480.0


def _claim_twice(rows: Any) -> Any:
    """The generation that served the net's own loads, twice."""
    rows["delivered_wh"][(rows["seller"] == OPERATOR) & (rows["buyer"] == OPERATOR)] *= 2
    return rows


def _name_another_host(rows: Any) -> Any:
    rows["host"] = 1
    return rows


@pytest.mark.parametrize(
    ("lie", "found"),
    [(_claim_twice, "is out of balance by"), (_name_another_host, "recorded where no former holds an island")],
)
def test_false_exchanges_with_the_background_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: Any, found: str
) -> None:
    honest = cosim.islands.island.make_background_rows
    monkeypatch.setattr(cosim.islands.island, "make_background_rows", lambda *given: lie(honest(*given)))
    result = run_on(tmp_path, keep(load_kw=2.0, generation_kw=9.0), **PLAIN)
    assert result.directory is not None
    audit = audit_ledger(result.directory, sample=None)
    assert {finding.height for finding in audit.findings} == {3, 4, 5, 6}
    assert all(any(found in one.what for one in audit.findings if one.height == h) for h in (3, 4, 5, 6))


UNSOUND = {
    "gen 0 'chp' (generator that holds its voltage)": lambda net, at: pp.create_gen(net, at, p_mw=0.001, name="chp"),
    "xward 0 (extended ward)": lambda net, at: pp.create_xward(net, at, 0.001, 0, 0, 0, 0.1, 0.1, 1.0),
    "shunt 0 (shunt that feeds)": lambda net, at: pp.create_shunt(net, at, q_mvar=0, p_mw=-0.001),
    "load 0 (load whose power depends": lambda net, at: pp.create_load(net, at, p_mw=0.001, const_z_p_percent=50),
}


@pytest.mark.parametrize("message", UNSOUND)
def test_what_an_island_cannot_carry_is_refused_by_name(tmp_path: Path, message: str) -> None:
    net = make_net()
    UNSOUND[message](net, bus(net, "H3"))
    with pytest.raises(GridError) as refused:
        build_case(make_scenario(tmp_path, net, **PLAIN))
    assert message in str(refused.value)
    build_case(make_scenario(tmp_path, net, **{**PLAIN, "events": []}))


def test_the_same_element_beyond_the_islands_is_no_reason(tmp_path: Path) -> None:
    net = make_net()
    pp.create_gen(net, bus(net, "MV"), p_mw=0.001)
    build_case(make_scenario(tmp_path, net, **PLAIN))


SOLVED_ONLY = {
    "gen": (lambda net, at: pp.create_gen(net, at, p_mw=0.003, vm_pu=1.0), 0, 3000),
    "xward": (lambda net, at: pp.create_xward(net, at, 0.001, 0, 0.0005, 0, 0.1, 0.1, 1.0), 1500, 0),
    "load of constant impedance": (lambda net, at: pp.create_load(net, at, p_mw=0.004, const_z_p_percent=100), 4000, 0),
    "DC line": (lambda net, at: pp.create_dcline(net, at, 1, 0.002, 10, 0, 1.0, 1.0), 200, 0),
}


@pytest.mark.parametrize("name", SOLVED_ONLY)
def test_what_only_the_solution_tells_is_in_the_balance(tmp_path: Path, name: str) -> None:
    make, load_wh, generation_wh = SOLVED_ONLY[name]
    net = make_net()
    make(net, bus(net, "H3"))
    result = run_on(tmp_path, net, **{**PLAIN, "events": []}, hours=2)
    balance = result.energy_balance
    assert (balance["background_load_wh"] - load_wh).abs().max() <= 0.05 * load_wh
    assert (balance["background_generation_wh"] - generation_wh).abs().max() <= 2
    assert (balance["from_grid_wh"] - balance["to_grid_wh"] - 1000 * result.intervals["p_grid_kw"]).abs().max() <= 2
    assert (balance["residual_wh"] == 0).all()
    assert result.directory is not None
    assert audit_ledger(result.directory, sample=None).findings == ()
