"""Losses are those of branches: what pandapower finds as `pl_mw`, whatever else the net holds, from both engines."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models.feeder.feeder import make_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.runpp import solve_by_runpp

pytestmark = pytest.mark.slow  # whole runs beside runpp

BRANCHES = ("line", "trafo", "trafo3w", "impedance")


def _net() -> Any:
    net = pp.create_empty_network()
    grid = pp.create_bus(net, 10.0)
    pp.create_ext_grid(net, grid)
    buses = [pp.create_bus(net, 0.4) for _ in range(3)]
    pp.create_transformer(net, grid, buses[0], "0.25 MVA 10/0.4 kV")
    for a, b in ((0, 1), (1, 2)):
        pp.create_line(net, buses[a], buses[b], 0.1, "NAYY 4x50 SE")
    return net


def _behind_three_windings(net: Any, bus: int) -> None:
    high, middle = pp.create_bus(net, 110.0), pp.create_bus(net, 20.0)
    net.ext_grid["bus"] = high
    pp.create_transformer3w(net, high, middle, 0, "63/25/38 MVA 110/20/10 kV")


ELEMENTS: dict[str, Callable[[Any, int], Any]] = {
    "shunt": lambda net, bus: pp.create_shunt(net, bus, q_mvar=-0.004, p_mw=0.003),
    "ward": lambda net, bus: pp.create_ward(net, bus, 0.001, 0.0, 0.002, 0.0),
    "load": lambda net, bus: pp.create_load(net, bus, 0.004),
    "sgen": lambda net, bus: pp.create_sgen(net, bus, 0.004),
    "motor": lambda net, bus: pp.create_motor(net, bus, 0.003, 0.9),
    "gen": lambda net, bus: pp.create_gen(net, bus, 0.002, vm_pu=1.0),
    "impedance": lambda net, bus: pp.create_impedance(net, bus, 2, 0.01, 0.01, 0.1),
    "trafo3w": _behind_three_windings,
}


def _lost_in_branches_kw(net: Any, bus: int, p_kw: float) -> float:
    given_net = deepcopy(net)
    pp.create_sgen(given_net, bus, p_kw / 1000.0)
    pp.runpp(given_net, tolerance_mva=1e-11)
    return 1000.0 * sum(float(given_net[f"res_{table}"].pl_mw.sum()) for table in BRANCHES if len(given_net[table]))


@pytest.mark.parametrize("name", ELEMENTS)
def test_losses_are_those_of_branches(name: str) -> None:
    net = _net()
    ELEMENTS[name](net, 3)
    feeder, p_kw = make_feeder("losses", net, ["house"], [3]), np.array([[-4.0]])
    expected = _lost_in_branches_kw(net, 3, -4.0)
    for flow in (PowerFlow(feeder).solve(p_kw), solve_by_runpp(feeder, p_kw)):
        assert flow.losses_kw[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(sorted(set(ELEMENTS) - {"gen", "trafo3w"})), max_size=4), st.floats(-15.0, 15.0))
def test_what_other_elements_take_is_no_loss(names: list[str], p_kw: float) -> None:
    net = _net()
    for k, name in enumerate(names):
        ELEMENTS[name](net, 2 if k % 2 and name != "impedance" else 3)
    flow = PowerFlow(make_feeder("losses", net, ["house"], [3])).solve(np.array([[p_kw]]))
    assert flow.losses_kw[0] == pytest.approx(_lost_in_branches_kw(net, 3, p_kw), abs=1e-5)
