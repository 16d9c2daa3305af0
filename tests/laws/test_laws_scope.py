"""Law: no rule cuts an exchange, or sheds a house, that has no effect on a limit that binds.

Houses on two cables; one cable may carry only little, the rest of the network anything::

    grid --(transformer)--+--- one cable, with a low rating or a narrow voltage band
                          +--- the other
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandapower.topology as topology
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cosim.case.case import Case
from cosim.curtailment.feasible import RULES, Feasible, Outcome, make_feasible
from cosim.validation.trades import TradedInterval, Trades, make_traded_interval
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.arrays import Mask
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from market.exchanges import GRID, Kind

pytestmark = pytest.mark.slow  # laws over whole runs

WIDE = {"min_vm_pu": 0.5, "max_vm_pu": 1.5, "max_loading_percent": 1000.0}


def _feeder(n: int, spacing_m: int) -> Feeder:
    """Feeder whose loads draw no reactive power: where own panels serve the load, no rule could cut it."""
    houses = [f"house {k}" for k in range(n)]
    feeder = make_radial_feeder(houses, n_branches=2, spacing_m=spacing_m, rng=np.random.default_rng(n))
    return replace(feeder, load_tan_phi=np.zeros(n))


def _find_behind(feeder: Feeder) -> tuple[Mask, Mask, Mask]:
    """Houses, lines and buses behind the cable of house 0."""
    net = feeder.net
    graph = topology.create_nxgraph(net, nogobuses=set(net.trafo.lv_bus))
    behind = set(topology.connected_component(graph, feeder.bus[0]))
    lines = net.line.from_bus.isin(behind) | net.line.to_bus.isin(behind)
    return np.isin(feeder.bus, list(behind)), lines.to_numpy(), net.bus.index.isin(list(behind))


def _interval(rng: np.random.Generator, n: int, n_trades: int, *, importing: bool) -> tuple[Profiles, TradedInterval]:
    """Random exchanges; in hours of import houses draw much and sell little."""
    load = rng.integers(0, 30_000 if importing else 1_000, (1, n))
    pv = rng.integers(0, 1_000 if importing else 30_000, (1, n))
    names = tuple(f"house {k}" for k in range(n))
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, names, load, pv, np.array([200_000]), {})
    seller = rng.integers(0, n, n_trades)
    buyer = (seller + rng.integers(1, n, n_trades)) % n
    buyer[rng.random(n_trades) < 0.3] = GRID
    wh = rng.integers(1, 3_000 if importing else 15_000, n_trades)
    trades = Trades(np.zeros(n_trades, np.int64), seller, buyer, wh, np.full(n_trades, 100_000))
    return profiles, make_traded_interval(trades, profiles, 0)


def _touched(feasible: Feasible) -> Mask:
    """Houses that are shed, or sell less to somebody who is not shed, (N,)."""
    rows = feasible.settlement.rows
    cut = rows[(rows["delivered_wh"] < rows["cleared_wh"]) & (rows["kind"] != Kind.GRID_IMPORT)]
    touched = feasible.settlement.meters["shed_wh"] > 0
    buyer_is_shed = touched[cut["buyer"]] & (cut["buyer"] != GRID)
    touched[cut["seller"][~buyer_is_shed]] = True
    return touched


def _limited(case: Case, lines: Mask, buses: Mask, rating: float | None, band: float) -> Case:
    """Case in which only some lines have a rating, or only some buses a narrow band."""
    limits = case.limits
    if rating is not None:
        return replace(case, limits=replace(limits, max_line_loading_percent=np.where(lines, rating, 1000.0)))
    return replace(
        case,
        limits=replace(
            limits,
            min_vm_pu=np.where(buses, 1.0 - band, 0.5),
            max_vm_pu=np.where(buses, 1.0 + band, 1.5),
        ),
    )


@pytest.mark.parametrize("rule", sorted(RULES))
@example(n=4, spacing_m=40, seed=1, n_trades=9, importing=False, rating=2.0)  # shed, a cable carries generation
@settings(max_examples=12)
@given(
    n=st.sampled_from([4, 7]),
    spacing_m=st.sampled_from([40, 200]),
    seed=st.integers(0, 2**31),
    n_trades=st.integers(1, 12),
    importing=st.booleans(),
    rating=st.sampled_from([2.0, 5.0, 15.0]),
)
def test_nothing_behind_another_cable_is_touched_where_a_rating_binds(
    rule: str, n: int, spacing_m: int, seed: int, n_trades: int, importing: bool, rating: float
) -> None:
    feeder, rng = _feeder(n, spacing_m), np.random.default_rng(seed)
    houses, lines, buses = _find_behind(feeder)
    profiles, interval = _interval(rng, n, n_trades, importing=importing)
    case = _limited(make_case(feeder, profiles, rule, WIDE), lines, buses, rating, 0.0)
    feasible = make_feasible(case, interval.orders, case.opening, interval.rows)
    assert feasible.outcome != Outcome.DE_ENERGISED
    assert not _touched(feasible)[~houses].any()


@pytest.mark.parametrize("importing", [False, True])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_nor_where_a_voltage_binds_that_one_cable_can_keep(rule: str, importing: bool) -> None:
    feeder, n = _feeder(7, 200), 7
    houses, lines, buses = _find_behind(feeder)
    profiles, interval = _interval(np.random.default_rng(1), n, 12, importing=importing)
    wide = make_case(feeder, profiles, rule, WIDE)
    flow = make_feasible(wide, interval.orders, wide.opening, interval.rows).flow
    band = 0.6 * float(np.abs(flow.vm_pu[0][buses] - 1.0).max())
    case = _limited(wide, lines, buses, None, band)
    feasible = make_feasible(case, interval.orders, case.opening, interval.rows)
    assert feasible.outcome in (Outcome.CURTAILED, Outcome.SHED)
    touched = _touched(feasible)
    assert touched[houses].any()
    assert not touched[~houses].any()
