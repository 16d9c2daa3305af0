"""Small medium-voltage nets with feeders, and the whole as one net that `pandapower.runpp` solves."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandapower.toolbox

from cosim.case.case import Case
from cosim.portfolio.medium_voltage.agree import Agreed
from cosim.portfolio.medium_voltage.feeders import FeederUnder, build_cases
from cosim.portfolio.medium_voltage.net import MediumVoltage, Placement, read_medium_voltage
from cosim.scenario.model import Scenario
from grid_models.powerflow.head import HeadPowerFlow, make_head


def make_net(vn_kv: float = 20.0, load_mw: float = 0.2, second_ka: float = 0.004) -> Any:
    """A transformer and three buses on one line, with a load of its own at the first.

    ::

        grid 110 kV --O-- station ---- middle ---- end
                                         |
                                        load
    """
    net = pp.create_empty_network(name="ring main")
    grid = pp.create_bus(net, 110.0, name="grid")
    station, middle, end = (pp.create_bus(net, vn_kv, name=name) for name in ("station", "middle", "end"))
    pp.create_ext_grid(net, grid, vm_pu=1.01)
    pp.create_transformer_from_parameters(
        net, grid, station, sn_mva=10.0, vn_hv_kv=110.0, vn_lv_kv=vn_kv, vk_percent=12.0, vkr_percent=0.5, pfe_kw=8.0,
        i0_percent=0.05, shift_degree=150.0, name="substation",
    )  # fmt: skip
    for start, stop, name in ((station, middle, "first"), (middle, end, "second")):
        pp.create_line(net, start, stop, 4.0, "NA2XS2Y 1x95 RM/25 12/20 kV", name=name)
    net.line["c_nf_per_km"] = 0.0  # so that what is on the second line is the feeders' power alone
    net.line.loc[1, "max_i_ka"] = second_ka
    pp.create_load(net, middle, load_mw, 0.05)
    return net


def make_scenario(name: str, hours: int = 6, **more: Any) -> Scenario:
    """Five houses with much sun that sell all of it."""
    base: dict[str, Any] = {
        "name": name,
        "horizon": {"start": "2017-06-01T09:00:00Z", "hours": hours},
        "houses": {"n_houses": 5, "n_prosumers": 4, "production_ratio": 4.0},
        "market": {"feed_in": True},
        "seed": len(name),
    }
    return Scenario(name, **(base | more))


def place(net: Any, feeders: Sequence[FeederUnder], **limits: Any) -> MediumVoltage:
    """The net with the feeders at their buses."""
    return read_medium_voltage(net, [Placement(feeder.name, feeder.mv_bus) for feeder in feeders], **limits)


def build(net: Any, feeders: Sequence[FeederUnder], **limits: Any) -> tuple[MediumVoltage, list[Case]]:
    """Net and cases."""
    mv = place(net, feeders, **limits)
    return mv, build_cases(mv, feeders)


@cache
def make_two() -> tuple[MediumVoltage, list[Case]]:
    """Two feeders at one bus."""
    return build(make_net(), [FeederUnder(name, "end", make_scenario(name)) for name in ("a", "bb")])


class Joined(NamedTuple):
    """One net of all, solved by `pandapower.runpp`, and the first rows of each feeder's buses, lines, transformers."""

    net: Any
    first: list[tuple[int, int, int]]


def solve_joined(cases: Sequence[Case], agreed: Agreed, t: int) -> Joined:
    """Medium and low voltage as one net, with what feeders deliver in interval t."""
    net, first = deepcopy(agreed.mv.feeder.as_given().net), list[tuple[int, int, int]]()
    for k, (case, delivered) in enumerate(zip(cases, agreed.delivered, strict=True)):
        assert not delivered.is_off[t], "a feeder that is off is no part of the net"
        low = deepcopy(case.feeder.as_given().net)
        head = int(low.ext_grid.bus.iloc[0])
        low.ext_grid = low.ext_grid.drop(low.ext_grid.index)
        injected = zip(case.feeder.bus.tolist(), delivered.p_kw[t], delivered.q_kvar[t], strict=True)
        for bus, p_kw, q_kvar in injected:
            pp.create_sgen(low, bus, p_kw / 1000.0, q_kvar / 1000.0)
        first.append((len(net.bus), len(net.line), len(net.trafo)))
        net, lookup = pandapower.toolbox.merge_nets(
            net, low, validate=False, return_net2_reindex_lookup=True, net2_reindex_log_level=None
        )
        pp.create_switch(net, int(agreed.mv.feeder.bus[k]), int(lookup["bus"][head]), et="b")
    pp.runpp(net, tolerance_mva=1e-11, max_iteration=50, numba=False)
    return Joined(net, first)


def compare_with_joined(cases: Sequence[Case], agreed: Agreed, t: int) -> tuple[float, float]:
    """Largest differences of voltages, pu, and loadings, %, between one net and net and feeders by themselves."""
    joined = solve_joined(cases, agreed, t)
    parts = [(agreed.flow.select_one(t), (0, 0, 0))]
    for case, delivered, series, first in zip(cases, agreed.delivered, agreed.heads, joined.first, strict=True):
        engine = HeadPowerFlow(make_head(case.engine.origin), series.vm_pu[t : t + 1])
        parts.append((engine.solve(delivered.p_kw[t : t + 1], delivered.q_kvar[t : t + 1]), first))
    vm, loading = [], []
    for flow, (bus, line, trafo) in parts:
        n_bus, n_line, n_trafo = (flow[k].shape[1] for k in (1, 2, 3))
        vm.append(joined.net.res_bus.vm_pu.to_numpy()[bus : bus + n_bus] - flow.vm_pu[0])
        of_lines = joined.net.res_line.loading_percent.to_numpy()[line : line + n_line]
        of_trafos = joined.net.res_trafo.loading_percent.to_numpy()[trafo : trafo + n_trafo]
        loading += [of_lines - flow.line_loading_percent[0], of_trafos - flow.trafo_loading_percent[0]]
    return float(np.nanmax(np.abs(np.concatenate(vm)))), float(np.nanmax(np.abs(np.concatenate(loading))))
