"""Six congested feeders, and their local prices the naive way: the least cost found anew with more load, and with less.

The least cost is that of scipy's SLSQP over whole AC power flows, derivatives by differences; it knows nothing of the
sensitivities, programmes and multipliers of `cosim.prices`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandapower as pp
from scipy.optimize import minimize
from scipy.sparse import csc_array

from cosim.prices.nodes import Nodes, make_nodes
from cosim.prices.optimum import Optimum, Sought, find_optimum
from cosim.prices.resources import Resources
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits
from grid_models.response.sensitivity import make_engine

Solve = Callable[[np.ndarray, np.ndarray], Flow]
"""Flow of K intervals of injections, (K, C) kW and kvar."""

STEP_KW = 0.2
HEAD_EUR_PER_KWH = 0.25


def make_street(n: int, n_branches: int, *, spacing_m: float, ring: bool = False) -> Feeder:
    """Houses on cables; a ring joins the ends of the first two."""
    rng = np.random.default_rng(3)
    feeder = make_radial_feeder([f"house {k}" for k in range(n)], n_branches=n_branches, spacing_m=spacing_m, rng=rng)
    if not ring:
        return feeder
    net = deepcopy(feeder.net)
    ends = [net.bus.index[net.bus["name"].str.startswith(f"joint {k}.")][-1] for k in (1, 2)]
    pp.create_line(net, *ends, length_km=0.2, std_type="NAYY 4x150 SE", name="ring")
    return replace(feeder, net=net, given=None)


def make_sought(
    feeder: Feeder,
    pv_kw: list[float],
    load_kw: list[float],
    *,
    lost_load: float = 4.0,
    min_vm_pu: float = 0.5,
    max_vm_pu: float = 1.5,
    line_percent: float = 1000.0,
    trafo_percent: float = 1000.0,
) -> Sought:
    """A problem in which panels give way for little, and load for much, with a third of it reactive."""
    limits = Limits.from_feeder(feeder, min_vm_pu=min_vm_pu, max_vm_pu=max_vm_pu, override=True)
    limits = replace(
        limits,
        max_line_loading_percent=np.full(len(feeder.net.line), line_percent),
        max_trafo_loading_percent=np.full(len(feeder.net.trafo), trafo_percent),
    )
    pv, load, n = np.array(pv_kw), np.array(load_kw), len(pv_kw)
    effect = csc_array(np.hstack([-np.eye(n), (1.0 + 1j / 3.0) * np.eye(n)]))
    # Houses differ a little in what generation and load are worth.
    cost = np.concatenate([0.03 + 0.01 * np.arange(n), lost_load + 0.1 * np.arange(n)])
    upper = np.concatenate([pv, load])
    resources = Resources(pv - load, -load / 3.0, effect, cost, upper)
    moving = np.flatnonzero(upper > 0.0)
    resources = resources._replace(effect=effect[:, moving], cost_eur_per_kwh=cost[moving], upper_kw=upper[moving])
    return Sought(make_engine(feeder), limits, resources, HEAD_EUR_PER_KWH)


def make_congested() -> dict[str, Sought]:
    """Six cases by what is scarce in them."""
    one, two = (make_street(4, n, spacing_m=150.0) for n in (1, 2))
    ring = make_street(4, 2, spacing_m=150.0, ring=True)
    sun, evening = [40.0, 50.0, 30.0, 60.0], [30.0, 20.0, 40.0, 35.0]
    none = [0.0] * 4
    return {
        "noon: highest voltage": make_sought(one, sun, [1.0, 2.0, 0.5, 1.5], max_vm_pu=1.05),
        "evening: lowest voltage": make_sought(one, none, evening, min_vm_pu=0.96),
        "noon: line": make_sought(one, sun, [1.0, 2.0, 0.5, 1.5], line_percent=50.0),
        "evening: transformer": make_sought(one, none, evening, trafo_percent=40.0),
        "noon: voltage and line": make_sought(two, sun, [1.0, 2.0, 0.5, 1.5], max_vm_pu=1.03, line_percent=45.0),
        "evening: ring": make_sought(ring, none, [60.0, 20.0, 70.0, 35.0], line_percent=45.0, min_vm_pu=0.95),
    }


def nodes_of(sought: Sought) -> Nodes:
    """All nodes of a problem's feeder."""
    feeder = sought.engine.feeder
    return make_nodes(feeder, np.arange(len(feeder.net.bus)))


def at_node(sought: Sought, nodes: Nodes, node: int, load_kw: float) -> Sought:
    """The same problem on the network of the nodes, with more load at one of them."""
    n, resources = nodes.column.size, sought.resources
    more, none = np.zeros(n), np.zeros(n)
    more[node] = -load_kw
    effect = csc_array(np.vstack([resources.effect.toarray(), np.zeros((n, resources.upper_kw.size))]))
    p_kw, q_kvar = np.concatenate([resources.p_kw, more]), np.concatenate([resources.q_kvar, none])
    return sought._replace(engine=nodes.engine, resources=resources._replace(p_kw=p_kw, q_kvar=q_kvar, effect=effect))


def price_by_optimum(sought: Sought, nodes: Nodes, node: int, step_kw: float = STEP_KW) -> float:
    """Difference quotient of the least cost by the same successive programmes, EUR/kWh."""

    def least(load_kw: float) -> float:
        found = find_optimum(at_node(sought, nodes, node, load_kw))
        assert isinstance(found, Optimum), found
        return found.cost_eur_per_h

    return (least(step_kw) - least(-step_kw)) / (2.0 * step_kw)


def price_by_search(sought: Sought, nodes: Nodes, node: int, solve: Solve, start: np.ndarray) -> float:
    """Difference quotient of the least cost by SLSQP, EUR/kWh."""
    costs = [_least_cost(at_node(sought, nodes, node, load), solve, start) for load in (STEP_KW, -STEP_KW)]
    return (costs[0] - costs[1]) / (2.0 * STEP_KW)


def _least_cost(sought: Sought, solve: Solve, start: np.ndarray) -> float:
    resources, limits = sought.resources, sought.limits
    upper, scale = resources.upper_kw, 10.0

    def evaluate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Costs, (K,), and margins, (K, m), of K choices."""
        s_kva = (resources.p_kw + 1j * resources.q_kvar)[None] + x @ resources.effect.toarray().T
        flow = solve(s_kva.real, s_kva.imag)
        assert flow.converged.all()
        cost = sought.head_eur_per_kwh * flow.p_slack_kw.sum(axis=1) + x @ resources.cost_eur_per_kwh
        margins = (
            100.0 * (limits.max_vm_pu - flow.vm_pu),
            100.0 * (flow.vm_pu - limits.min_vm_pu),
            (limits.max_line_loading_percent - flow.line_loading_percent) / 10.0,
            (limits.max_trafo_loading_percent - flow.trafo_loading_percent) / 10.0,
        )
        return cost / scale, np.hstack(margins)

    def slopes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = 1e-3
        both = np.concatenate([x + step * np.eye(x.size), x - step * np.eye(x.size)])
        cost, margins = (np.split(values, 2) for values in evaluate(both))
        return (cost[0] - cost[1]) / (2.0 * step), (margins[0] - margins[1]).T / (2.0 * step)

    found = minimize(
        lambda x: evaluate(x[None])[0][0],
        start,
        jac=lambda x: slopes(x)[0],
        bounds=[(0.0, kw) for kw in upper],
        constraints={
            "type": "ineq",
            "fun": lambda x: evaluate(x[None])[1][0],
            "jac": lambda x: slopes(x)[1],
        },
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-9},
    )
    assert found.success, found.message
    assert evaluate(found.x[None])[1].min() > -1e-6
    return float(found.fun) * scale
