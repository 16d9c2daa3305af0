"""Networks of public bug reports, each through a file: solved as pandapower solves it, with power and without.

Each case bears the address of the thread that tells of it.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from grid_models.feeder.named_nets import read_feeder_json
from grid_models.powerflow.engine import PowerFlow
from tests.laws.given_nets import Maker

CASES: dict[str, Callable[[Maker], None]] = {}


def of(address: str) -> Callable[[Callable[[Maker], None]], Callable[[Maker], None]]:
    """Enter a net under the thread that tells of it."""

    def enter(build: Callable[[Maker], None]) -> Callable[[Maker], None]:
        CASES[f"{address} {build.__name__}"] = build
        return build

    return enter


@of("https://github.com/e2nIEE/pandapower/issues/943")
def branches_to_buses_out_of_service(make: Maker) -> None:
    for in_service in (True, False):
        end = pp.create_bus(make.net, 0.4, in_service=in_service)
        pp.create_line(make.net, make.low[2], end, 0.3, "NAYY 4x150 SE")
        top = pp.create_bus(make.net, 20.0, in_service=in_service)
        pp.create_transformer(make.net, top, make.low[3], "0.25 MVA 20/0.4 kV")
        pp.create_impedance(make.net, make.low[4], pp.create_bus(make.net, 0.4, in_service=in_service), 0.01, 0.1, 1.0)


@of("https://github.com/e2nIEE/pandapower/issues/118")
def lines_between_buses_out_of_service_with_gaps_in_the_index(make: Maker) -> None:
    ends = [pp.create_bus(make.net, 0.4, in_service=False) for _ in range(2)]
    pp.create_line(make.net, ends[0], ends[1], 0.3, "NAYY 4x150 SE", index=77)
    pp.create_line(make.net, make.low[1], make.low[5], 0.3, "NAYY 4x150 SE", index=55)


@of("https://github.com/e2nIEE/pandapower/issues/30")
def an_open_switch_at_a_three_winding_transformer(make: Maker) -> None:
    tertiary = pp.create_bus(make.net, 10.0)
    make.net.ext_grid["bus"] = make.high
    index = pp.create_transformer3w(make.net, make.high, make.medium, tertiary, "63/25/38 MVA 110/20/10 kV")
    pp.create_switch(make.net, tertiary, index, "t3", closed=False)
    pp.create_load(make.net, tertiary, 1.0)


@of("https://github.com/e2nIEE/pandapower/issues/1504")
def a_voltage_dependent_load_out_of_service(make: Maker) -> None:
    pp.create_load(make.net, make.low[3], 0.01, 0.002, const_z_p_percent=40.0, const_i_q_percent=30.0)
    pp.create_load(make.net, make.low[3], 0.01, 0.002, in_service=False, const_i_p_percent=100.0)


@of("https://github.com/e2nIEE/pandapower/issues/62")
def constant_currents_behind_a_vector_group(make: Maker) -> None:
    for bus in make.low[2:5]:
        pp.create_load(make.net, bus, 0.006, 0.001, const_i_p_percent=100.0, const_i_q_percent=100.0)


@of("https://github.com/e2nIEE/pandapower/issues/683")
def constant_currents_beside_generators(make: Maker) -> None:
    pp.create_load(make.net, make.low[3], 0.006, const_i_p_percent=100.0, scaling=0.7)
    pp.create_sgen(make.net, make.low[3], 0.009, scaling=1.3)


@of("https://github.com/e2nIEE/pandapower/pull/2153")
def two_tap_changers(make: Maker) -> None:
    for tap, side, position in (("tap", "hv", 2), ("tap2", "lv", -1)):
        columns = ["changer_type", "side", "neutral", "min", "max", "step_percent", "step_degree", "pos"]
        for column, value in zip(columns, ["Ratio", side, 0, -4, 4, 2.0, 0.0, position], strict=True):
            make.net.trafo[f"{tap}_{column}"] = value


@of("https://github.com/e2nIEE/pandapower/issues/2557")
def a_negative_no_load_current(make: Maker) -> None:
    make.net.trafo["i0_percent"] *= -1.0


@of("https://github.com/e2nIEE/pandapower/pull/2490")
def a_shunt_with_a_table_of_steps(make: Maker) -> None:
    pp.create_shunt(make.net, make.low[3], 0.001, step=2, max_step=3)
    table = {"id_characteristic": [0] * 3, "step": [1, 2, 3], "q_mvar": [-0.001, -0.003, -0.004], "p_mw": [0.0] * 3}
    make.net["shunt_characteristic_table"] = pd.DataFrame(table)
    make.net.shunt["step_dependency_table"] = True
    make.net.shunt["id_characteristic_table"] = pd.Series([0], dtype="Int64")


@of("https://github.com/e2nIEE/pandapower/issues/22")
def a_shunt_of_another_rated_voltage(make: Maker) -> None:
    pp.create_shunt(make.net, make.low[3], -0.01, p_mw=0.002, vn_kv=0.42, step=2, max_step=2)


@of("https://github.com/e2nIEE/pandapower/issues/259")
def bus_bars_joined_in_a_row(make: Maker) -> None:
    bars = [make.low[2], *(pp.create_bus(make.net, 0.4) for _ in range(3))]
    for start, end in pairwise(bars):
        pp.create_switch(make.net, start, end, "b")
    pp.create_load(make.net, bars[-1], 0.01)


@of("https://github.com/powsybl/pypowsybl/pull/1256")
def scaled_loads_on_another_base(make: Maker) -> None:
    make.net.sn_mva = 100.0
    pp.create_load(make.net, make.low[3], 0.01, 0.003, scaling=0.4)
    pp.create_impedance(make.net, make.low[3], pp.create_bus(make.net, 0.4), 0.02, 0.03, 0.2, gf_pu=0.001)
    pp.create_load(make.net, make.net.bus.index[-1], 0.002)


@of("https://github.com/e2nIEE/pandapower/issues/966")
def a_line_switched_off_at_one_end(make: Maker) -> None:
    pp.create_line(make.net, make.low[1], make.low[5], 0.8, "NA2XS2Y 1x240 RM/25 6/10 kV")
    pp.create_switch(make.net, make.low[5], make.net.line.index[-1], "l", closed=False)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_network_of_a_report_is_solved_as_pandapower_solves_it(case: str, tmp_path: Path) -> None:
    make = Maker(random.Random(1), 1.0, 50.0)
    CASES[case](make)
    path = tmp_path / "net.json"
    pp.to_json(make.net, str(path))
    placement = [(f"p{k}", f"#{bus}") for k, bus in enumerate(make.low[2:5])]
    engine = PowerFlow(read_feeder_json(path, placement, keep_elements=True))
    flow = engine.solve(np.zeros((1, 3)))
    given = pp.from_json(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(given, tolerance_mva=1e-11, max_iteration=30, numba=False)
    np.testing.assert_allclose(flow.vm_pu[0], given.res_bus.vm_pu, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(
        flow.trafo_loading_percent[0], given.res_trafo.loading_percent.fillna(0.0), rtol=0.0, atol=1e-6
    )
    np.testing.assert_allclose(
        flow.line_loading_percent[0], given.res_line.loading_percent.fillna(0.0), rtol=0.0, atol=1e-6
    )
    assert engine.verify(np.array([[-4.0, 3.0, 1.0]]), np.array([[-1.0, 0.5, 0.0]])).n == 1
