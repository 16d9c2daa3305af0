"""Three phases of a pandapower net: as the balanced engine where all is balanced, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from phase_nets import add_one_phase_loads, add_zero_sequence, make_generated, make_two_stars

from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.feeder.connection import A, B, C, make_connections
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases import three_phase, zero_sequence
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.three_phase import make_three_phase


@cache
def _make_small() -> Any:
    net = add_zero_sequence(make_radial_feeder(["a", "b", "c"], rng=np.random.default_rng(3)).net)
    return add_one_phase_loads(net, net.bus.index[2:], 3)


def make_small() -> Any:
    """A copy that may be changed: making it takes ten times as long."""
    return deepcopy(_make_small())


@pytest.mark.slow
@pytest.mark.parametrize("group", ["Dyn", "YNyn", "Yyn", "Yzn"])
def test_balanced_input_gives_the_balanced_solution(group: str) -> None:
    net = make_small()
    add_zero_sequence(net, group)
    if group == "YNyn":
        net.trafo["shift_degree"] = 180.0
    net.asymmetric_load.drop(net.asymmetric_load.index, inplace=True)
    net.asymmetric_sgen.drop(net.asymmetric_sgen.index, inplace=True)
    for k, bus in enumerate(net.bus.index[2:]):
        pp.create_load(net, bus, 0.004, 0.001, type="delta" if k % 2 else "wye")
    balanced, phases = solve_network(net, Model.BALANCED), solve_network(net, Model.THREE_PHASE)
    for place, v in balanced.v.items():
        assert abs(phases.v[place] - v) < 1e-10 * balanced.base_v[place]
    for terminal, i in balanced.current_a.items():
        assert phases.current_a[terminal] == pytest.approx(i, abs=1e-5)
    assert max(phases.unbalance_percent.values()) < 1e-8


def set_value(table: str, column: str, value: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = net[table][column].astype(object) if isinstance(value, str | None) else net[table][column]
        net[table].loc[net[table].index[0], column] = value

    return change


def drop(table: str, column: str) -> Callable[[Any], None]:
    return lambda net: net[table].drop(columns=column, inplace=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("line", "r0_ohm_per_km"), r"line 0 .* and \d+ more: expected r0_ohm_per_km .*four-core cables"),
        (set_value("line", "c0_nf_per_km", np.nan), "line 0.*: expected c0_nf_per_km"),
        (set_value("line", "x0_ohm_per_km", "much"), "line 0.*: expected x0_ohm_per_km"),
        (set_value("trafo", "si0_hv_partial", 1.5), "trafo 0.*: expected si0_hv_partial from 0 to 1, got 1.5"),
        (set_value("trafo", "mag0_percent", -1.0), "expected mag0_percent from 0 to"),
        (drop("trafo", "vk0_percent"), "trafo 0.*: expected vk0_percent .*vk0_percent = vk_percent"),
        (set_value("trafo", "vk0_percent", np.nan), "trafo 0.*: expected vk0_percent"),
        (set_value("trafo", "vk0_percent", 0.0), "expected vk0_percent above 0"),
        (drop("trafo", "vector_group"), "expected the column vector_group"),
        *((set_value("trafo", "vector_group", g), f"Yyn or YNyn, got '{g}'") for g in ("Dy", "Yy", "Yd", "Dd", "YNd")),
        (set_value("trafo", "vector_group", "Dyn5"), "got 'Dyn5'; write 'Dyn', and the clock as shift_degree"),
        *((set_value("trafo", "vector_group", g), "Yyn or YNyn, got none; a low") for g in (None, np.nan, "")),
        (set_value("trafo", "vector_group", "YNyn"), "expected shift_degree 0 or 180 of a YNyn transformer, got 150"),
        (drop("ext_grid", "s_sc_max_mva"), "ext_grid 0.*: expected s_sc_max_mva"),
        (set_value("ext_grid", "s_sc_max_mva", 0.0), "ext_grid 0: expected s_sc_max_mva above 0"),
        (set_value("asymmetric_load", "type", "Wye"), "asymmetric_load 0: expected type wye or delta, got 'Wye'"),
        (set_value("asymmetric_load", "type", None), "expected type wye or delta, got 'None'"),
        (set_value("asymmetric_load", "p_a_mw", np.nan), "asymmetric_load 0: expected numbers in p_a_mw"),
        (lambda net: pp.create_shunt(net, 1, 0.001), "shunt 0: expected no shunt in service"),
        (lambda net: pp.create_gen(net, 3, 0.001), "gen 0: expected no generator that holds its voltage"),
        (lambda net: pp.create_load(net, 3, 0.001, const_z_p_percent=50.0), "expected loads of constant power"),
        (lambda net: pp.create_ext_grid(net, net.ext_grid.bus.iloc[0], s_sc_max_mva=1.0, rx_max=0.1, x0x_max=1.0,
                                        r0x0_max=0.1), "expected one external grid at a bus"),
        (lambda net: pp.create_switch(net, 2, 3, et="b", z_ohm=0.01), "expected closed switches without impedance"),
        (lambda net: net.update({"user_pf_options": {"trafo_model": "pi"}}), "expected no options for runpp"),
    ],
)  # fmt: skip
def test_what_three_phases_cannot_represent_is_named(change: Callable[[Any], None], message: str) -> None:
    net = make_small()
    change(net)
    with pytest.raises(GridError, match=message):
        make_three_phase(net)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e20, 1e160, 1e300, 1.7e308, 1e-320, 1e-160, -1e160, np.inf])
@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, rows in zero_sequence.RANGES.items() for column, _, _ in rows],
)
def test_a_zero_sequence_no_device_has_is_refused_by_name(table: str, column: str, value: float) -> None:
    net = make_small()
    net[table][column] = net[table][column].astype(float)
    set_value(table, column, value)(net)
    with pytest.raises(GridError, match=rf"network, {table} 0.*: expected (\w+ and |vk0_percent.*)?{column}"):
        make_three_phase(net)


@pytest.mark.parametrize("column", ["rn_ohm", "xn_ohm"])
def test_an_earth_of_a_star_point_that_none_has_is_refused(column: str) -> None:
    net = make_small()
    net.trafo[column] = 1e300
    with pytest.raises(GridError, match="expected rn_ohm and xn_ohm of at most 1e"):
        make_three_phase(net)


def test_another_pandapower_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(three_phase, "READ_VERSION", "2.14.")
    with pytest.raises(GridError, match=r"expected pandapower 2\.14\.x, whose reading of mag0_percent is known"):
        make_three_phase(make_small())


def test_what_is_out_of_service_needs_no_data() -> None:
    net = make_small()
    net.line.loc[net.line.index[-1], "in_service"] = False
    net.line.loc[net.line.index[-1], "r0_ohm_per_km"] = np.nan
    pp.create_shunt(net, 1, 0.001, in_service=False)
    found = solve_network(net, Model.THREE_PHASE)
    assert found.converged
    assert any(np.isnan(v) for v in found.v.values())  # the bus behind the line


def test_ordinary_loads_are_carried_and_said() -> None:
    made = make_three_phase(make_two_stars())
    assert "1 rows of the table 'storage' know no phases; a third of each is on every phase" in made.notes
    assert made.circuit.power_kva.sum() == pytest.approx(
        sum(complex(s) for s in (30 + 10j, -20, 10)) + 0.9 * _sum_one_phase(make_two_stars(), "asymmetric_load")
        - _sum_one_phase(make_two_stars(), "asymmetric_sgen")
    )  # fmt: skip


def _sum_one_phase(net: Any, table: str) -> complex:
    rows = net[table]
    return 1000.0 * sum(complex(rows[f"p_{k}_mw"].sum(), rows[f"q_{k}_mvar"].sum()) for k in "abc")


def test_the_reading_of_magnetisation_is_said() -> None:
    assert "trafo 0: mag0_percent = 150 is read as per cent of vk0, as in pandapower 3.5.x" in (
        make_three_phase(make_small()).notes
    )


def test_the_star_points_impedance_acts_threefold() -> None:
    net = make_small()
    net.trafo["xn_ohm"] = 0.5
    before, after = make_three_phase(make_small()), make_three_phase(net)
    added = 1.0 / after.trafo_zero[0, 1, 1] - 1.0 / before.trafo_zero[0, 1, 1]
    assert added == pytest.approx(1.5j)
    assert any("star point's impedance" in note for note in after.notes)


def test_collapse_leaves_no_numbers() -> None:
    net = make_generated()
    made = make_three_phase(net)
    flow = PhasePowerFlow(made.circuit).solve(np.outer([1.0, 100.0, 1.0], made.circuit.power_kva))
    assert flow.converged.tolist() == [True, False, True]
    assert np.isnan(flow.v[1]).all()
    assert np.array_equal(flow.v[0], flow.v[2])


@pytest.mark.parametrize("group", ["Dyn", "Yzn", "Yyn"])
def test_runpp_3ph_judges_transformers_that_it_does_not_know(group: str) -> None:
    """It solves no Yyn, and its Yzn depends on the base power; a Dyn of the same zero sequence is in their place."""
    feeder = make_radial_feeder(["a", "b", "c"], rng=np.random.default_rng(3))
    net = add_zero_sequence(deepcopy(feeder.net), group)
    net.trafo[["si0_hv_partial", "mag0_percent", "mag0_rx"]] = 0.7, 150.0, 0.2
    placed = replace(feeder, net=net, given=None, connections=make_connections([A, B, C]))
    found = FeederPhaseFlow(placed).verify(np.array([[3.0, -4.0, 2.0], [-6.0, 1.0, 5.0]]))
    assert found.n == 2
    assert found.max_vm_error_pu < 1e-7
