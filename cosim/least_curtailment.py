"""Curtail as little as possible: a linear programme on the sensitivities of the current AC state, until AC is clean.

Batteries absorb first, then uncommitted exports go, then sharing transfers, then trades, load last of all. The
programme only decides what to change; an AC power flow decides whether the result is clean.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.curtailment_search import Attempt, Found, Problem, Search, largest_clean
from cosim.linear_programme import minimise
from cosim.priority import value_of_lost_load
from cosim.reactive import response_at
from cosim.redispatch import battery_room
from cosim.setpoints import mean_kw
from grid_models.kernel import Floats
from grid_models.limits import Limits
from grid_models.response import Response
from market.exchanges import Kind, Reason, Rows
from market.settlement import Delivery, as_cleared, settle

ROUNDS = 6
"""Linear programmes until one is clean; with the power flows before and of the refinement that makes eight."""

HALVINGS = 3
"""Steps back towards a solvable state where AC has no solution for what a programme proposes."""
FACETS = 16
ABSORB, EXPORT, SHARE, TRADE = 0.1, 1.0, 2.0, 3.0
"""Cost per kW; of shed load see `cosim.priority`."""
SLACK = 1e10
"""Cost per pu: what 1 kW of shed load can do, 1e-4 pu, is still dearer left undone."""
EARLIER = 0.01
"""How much dearer the first trade of an interval is than the last, as a share."""

NEAR_VM_PU, NEAR_PERCENT = 0.03, 40.0
"""Only elements this close to a limit enter a programme."""

MARGIN_VM_PU, MARGIN_PERCENT = 2e-6, 2e-4
"""Distance kept from every limit."""
BACK_OFF = 1.5
"""A limit that AC exceeds nevertheless is kept this many times the excess further away in the rounds that follow.

Houses whose shedding costs the same would else replace one another from round to round, each time with the error of a
linearisation made elsewhere.
"""
ALMOST_VM_PU, ALMOST_PERCENT = 4e-4, 0.4
"""Backing off from a larger excess, which the next programme of its own accord leaves little of, would cut too much."""

GOOD_ENOUGH = 0.0002
"""A clean delivery is taken when no more than this share of its cost could be saved."""


class Levers(NamedTuple):
    """What a programme can change; M cuttable exchanges, N houses, columns [cut | absorbed | shed], kW.

    Attributes
    ----------
    rows
        Positions of the M cuttable exchanges.
    effect
        (N, M + 2N): change of each house's injection per kW.
    weight, largest
        (M + 2N,) cost per kW and largest value.
    absorbs
        (N, M): which cuts of a house its battery may absorb at the lower cost.
    misses
        (N, M): which cuts leave a house without energy that it bought, so that it can be shed.
    imports
        (N,) what each house imports as cleared, and can be shed without any cut, kW.
    """

    rows: npt.NDArray[np.intp]
    effect: Floats
    weight: Floats
    largest: Floats
    absorbs: Floats
    misses: Floats
    imports: Floats


def levers(search: Search) -> Levers:
    """Levers of a problem: every cut acts at the bus where the energy enters the network.

    Cutting an exchange lowers the seller's injection, that of the battery's host for a lot; a share that is not stored
    raises the host's. What a buyer misses it takes from the grid at the same bus, which changes nothing there, unless
    it is shed: a house sheds of its load what it imports as cleared or is cut of what it bought. Exports cut for the
    own battery cost less than those spilled: the programme's column `absorbed` takes that difference off.
    """
    p = search.problem
    rows = np.flatnonzero(search.curtailable)
    exchanges, n, m = p.rows[rows], p.orders.need_wh.size, rows.size
    kind, minutes = exchanges["kind"], p.case.interval_minutes
    source = np.where(kind == Kind.LOT_SALE, exchanges["host"], exchanges["seller"])
    effect = np.zeros((n, m + 2 * n))
    effect[source, np.arange(m)] = -1.0
    stored = np.flatnonzero(kind == Kind.SHARE_STORE)
    effect[exchanges["host"][stored], stored] += 1.0
    effect[:, m + n :] = np.eye(n)
    room, _ = battery_room(p.orders, p.state, p.rows, p.rows["cleared_wh"].astype(np.int64))
    absorbs = np.zeros((n, m))
    absorbs[source, np.arange(m)] = kind == Kind.GRID_EXPORT
    bought = np.flatnonzero(np.isin(kind, [int(Kind.P2P), int(Kind.SHARE_USE), int(Kind.LOT_SALE)]))
    misses = np.zeros((n, m))
    misses[exchanges["buyer"][bought], bought] = 1.0
    weight = np.concatenate([_weights(kind), np.full(n, ABSORB - EXPORT), value_of_lost_load(p.case)])
    cleared, imports = mean_kw(exchanges["cleared_wh"], minutes), _imports(p)
    absorbed = np.minimum(mean_kw(room, minutes), absorbs @ cleared)
    largest = np.concatenate([cleared, absorbed, imports + misses @ cleared])
    return Levers(rows, effect, weight, largest, absorbs, misses, imports)


def _weights(kind: npt.NDArray[np.uint8]) -> Floats:
    weight = np.full(kind.size, TRADE)
    weight[np.isin(kind, [int(Kind.SHARE_USE), int(Kind.SHARE_STORE)])] = SHARE
    weight[kind == Kind.GRID_EXPORT] = EXPORT
    later = np.arange(kind.size) / max(kind.size, 1)
    return np.asarray(weight * (1.0 + EARLIER * (1.0 - later)))


def _imports(p: Problem) -> Floats:
    """Grid import of each house as cleared, kW."""
    wh = np.zeros(p.orders.need_wh.size, np.int64)
    imports = p.rows[p.rows["kind"] == Kind.GRID_IMPORT]
    np.add.at(wh, imports["buyer"], imports["cleared_wh"])
    return mean_kw(wh, p.case.interval_minutes)


class Programme(NamedTuple):
    """Constraints `matrix @ x <= bound` on the levers' values x, from the linearised network.

    `limit` says which limit a row is: upper voltages of the B buses, their lower ones, then facet by facet the E branch
    ends; so that a row can be found again in the next programme.
    """

    matrix: Floats
    bound: Floats
    limit: npt.NDArray[np.intp]


class Near(NamedTuple):
    """Limits that a programme knows: upper and lower voltages of the B buses, (B,), and ratings of the E ends, (E,)."""

    high: npt.NDArray[np.bool_]
    low: npt.NDArray[np.bool_]
    end: npt.NDArray[np.bool_]


class Solution(NamedTuple):
    """Lever values, what each limit costs at the margin, {limit: cost per pu}, and whether all limits are kept."""

    x: Floats
    price: dict[int, float]
    keeps: bool


def near(response: Response, limits: Limits, known: Near | None = None) -> Near:
    """Limits that the state is close to or beyond, and those that earlier programmes knew.

    Without the latter a programme would undo what the one before it did.
    """
    now = Near(
        response.vm_pu > limits.max_vm_pu - NEAR_VM_PU,
        response.vm_pu < limits.min_vm_pu + NEAR_VM_PU,
        np.abs(response.current_percent) > _rated_percent(limits) - NEAR_PERCENT,
    )
    return now if known is None else Near(*(a | b for a, b in zip(now, known, strict=True)))


def programme(
    response: Response, limits: Limits, known: Near, effect: Floats, x: Floats, distance: Floats
) -> Programme:
    """Linear constraints of the known limits around the AC state that the lever values `x` led to.

    Voltages by their derivative; currents by a polygon of 16 facets around the limit's circle, turned so that one
    facet stands square on the present current, because the derivative of |I| alone fails under heavy overload.
    `distance` is kept from each limit beside the margins, (2B + E,) as in `excess`.
    """
    n_buses, n_ends = response.vm_pu.size, response.current_percent.size
    rated = _rated_percent(limits)
    high, low, ends = (np.flatnonzero(mask) for mask in known)
    buses = np.concatenate([high, low])
    by_x = response.by_p.vm_pu(buses) @ effect
    v0 = response.vm_pu[buses] - by_x @ x
    current, by_x_current = response.current_percent[ends], response.by_p.current_percent(ends) @ effect
    facets = 2.0 * np.pi * np.arange(FACETS)[:, None] / FACETS
    turn = np.exp(-1j * (np.angle(current) + facets))
    along = (turn[:, :, None] * by_x_current).real.reshape(-1, x.size)
    i0 = (turn * (current - by_x_current @ x)).real
    bound = (
        limits.max_vm_pu[high] - MARGIN_VM_PU - distance[high] - v0[: high.size],
        v0[high.size :] - limits.min_vm_pu[low] - MARGIN_VM_PU - distance[n_buses + low],
        (rated[ends] - MARGIN_PERCENT - distance[2 * n_buses + ends] - i0).ravel() / 100.0,
    )
    limit = (high, n_buses + low, (2 * n_buses + np.arange(FACETS)[:, None] * n_ends + ends).ravel())
    return Programme(
        np.vstack([by_x[: high.size], -by_x[high.size :], along / 100.0]),
        np.concatenate(bound),
        np.concatenate(limit),
    )


def excess(response: Response, limits: Limits) -> Floats:
    """How far an AC state is beyond each limit, (2B + E,): upper voltages, lower ones, pu, branch ends, per cent."""
    beyond = (
        response.vm_pu - limits.max_vm_pu,
        limits.min_vm_pu - response.vm_pu,
        np.abs(response.current_percent) - _rated_percent(limits),
    )
    return np.maximum(np.nan_to_num(np.concatenate(beyond)), 0.0)


def back_off(beyond: Floats, limits: Limits) -> Floats:
    """Further distance to be kept from each limit that AC exceeds by a little, (2B + E,)."""
    n_voltages = 2 * limits.max_vm_pu.size
    little = np.repeat([ALMOST_VM_PU, ALMOST_PERCENT], [n_voltages, beyond.size - n_voltages])
    return np.where(beyond < little, BACK_OFF * beyond, 0.0)


def _rated_percent(limits: Limits) -> Floats:
    """Limits of the branch ends, (E,) per cent."""
    return np.tile(np.concatenate([limits.max_line_loading_percent, limits.max_trafo_loading_percent]), 2)


def solve_programme(p: Programme, lever: Levers) -> Solution | None:
    """Cheapest lever values that keep the constraints, or that break them least; None if HiGHS finds none.

    Load is shed only where no other levers keep the constraints, and a slack is admitted only where none at all do, as
    can be far from the solution.
    """
    for shedding, elastic in ((False, False), (True, False), (True, True)):
        found = _solved(p, lever, shedding=shedding, elastic=elastic)
        if found is not None:
            return found
    return None


def _solved(p: Programme, lever: Levers, *, shedding: bool, elastic: bool) -> Solution | None:
    """The programme over the levers that can move at all."""
    m, slacks = lever.rows.size, int(elastic)
    can_move = lever.largest > 0.0
    can_move[m + lever.absorbs.shape[0] :] &= shedding
    moving = np.flatnonzero(can_move)
    if moving.size == 0:
        return None
    limited, most = _limited_by_cuts(lever, moving)
    found = minimise(
        np.append(lever.weight[moving], np.full(slacks, SLACK)),
        np.block(
            [
                [p.matrix[:, moving], -np.ones((p.bound.size, slacks))],
                [limited, np.zeros((most.size, slacks))],
            ]
        ),
        np.append(p.bound, most),
        np.append(lever.largest[moving], np.full(slacks, np.inf)),
    )
    if found is None:
        return None
    x = np.zeros(lever.weight.size)
    x[moving] = found.x[: moving.size]
    price = found.price[: p.bound.size]
    return Solution(x, {int(p.limit[row]): float(price[row]) for row in np.flatnonzero(price)}, not elastic)


def _limited_by_cuts(lever: Levers, moving: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Rows `matrix @ x <= bound`: a battery absorbs what is cut, and what a house sheds it imports or is cut of."""
    n, m = lever.absorbs.shape
    bound = np.concatenate([np.zeros(n), lever.imports])
    matters = np.isin(np.arange(2 * n), moving[moving >= m] - m) & (bound < lever.largest[m:])
    cuts = -np.vstack([lever.absorbs, lever.misses])[matters]
    return np.hstack([cuts, np.eye(2 * n)[matters]])[:, moving], bound[matters]


def possible_gain(p: Programme, solution: Solution) -> float:
    """What could be saved: the room that AC leaves below the limits which bind the solution, at their prices."""
    room = p.bound - p.matrix @ solution.x
    return float(_prices(p, solution) @ room)


def _prices(p: Programme, solution: Solution) -> Floats:
    return np.array([solution.price.get(int(limit), 0.0) for limit in p.limit])


def tightened(p: Programme, solution: Solution, lever: Levers) -> Floats | None:
    """Lever values that fill the room below the limits that bind; None where the vertex of the programme has moved.

    One step of Newton's method on the limits that have a price, by the levers between their bounds.
    """
    binding = np.flatnonzero(_prices(p, solution))
    m = lever.rows.size
    between = (solution.x > 0.0) & (solution.x < lever.largest)
    between[m : m + lever.absorbs.shape[0]] = False  # what a battery absorbs of a cut follows from the cut
    free = np.flatnonzero(between)
    room = p.bound[binding] - p.matrix[binding] @ solution.x
    x = solution.x.copy()
    x[free] += np.linalg.lstsq(p.matrix[np.ix_(binding, free)], room, rcond=None)[0]
    return x if bool(np.all((x >= 0.0) & (x <= lever.largest))) else None


def delivery_of(search: Search, lever: Levers, x: Floats) -> Delivery:
    """Delivery of lever values: cut energies rounded up, shed energy rounded up, in Wh."""
    p = search.problem
    m, n = lever.rows.size, lever.absorbs.shape[0]
    hours_wh = 1000.0 * p.case.interval_minutes / 60.0
    delivered = p.rows["cleared_wh"].astype(np.int64).copy()
    cut = np.ceil(x[:m] * hours_wh - 1e-6).astype(np.int64)
    delivered[lever.rows] = np.clip(delivered[lever.rows] - cut, 0, delivered[lever.rows])
    shed = np.ceil(x[m + n :] * hours_wh - 1e-6).astype(np.int64)
    return search.delivery(delivered, np.minimum(shed, search.imports_wh(delivered)) if shed.any() else shed)


def least_curtailment(search: Search) -> Found | None:
    """Cheapest clean delivery: linearise, solve the programme, ask AC, at most six times; then bisect."""
    p = search.problem
    lever, limits = levers(search), p.case.limits
    x, meters = _opening(search, lever)
    distance = np.zeros(2 * limits.max_vm_pu.size + _rated_percent(limits).size)
    known: Near | None = None
    solution: Solution | None = None
    for _ in range(ROUNDS):
        response = response_at(p.case, meters)
        if response is None:
            break
        if solution is not None and solution.keeps:
            distance += back_off(excess(response, limits), limits)
        known = near(response, limits, known)
        solution = solve_programme(programme(response, limits, known, lever.effect, x, distance), lever)
        if solution is None:
            break
        x, tried = _nearest_solved(search, lever, x, solution.x)
        solution = solution._replace(x=x)
        meters = tried.settlements[0].meters
        if tried.clean()[0]:
            return _refined(search, lever, solution, Found(tried.settlements[0], tried.flow), known)
    return _towards_nothing(search, lever, x)


def _opening(search: Search, lever: Levers) -> tuple[Floats, Rows]:
    """Lever values and meters to begin at: none moved, or where AC has no solution then, the first quarter that has."""
    p = search.problem
    if p.reason not in (Reason.NOT_SOLVED, Reason.CONTROL):
        as_is = settle(as_cleared(p.rows, p.orders.need_wh.size), p.orders, p.state, p.case.rules)
        return np.zeros(lever.weight.size), as_is.meters
    quarters = [share * lever.largest for share in (0.25, 0.5, 0.75, 1.0)]
    tried = search.try_all([delivery_of(search, lever, x) for x in quarters])
    first = int(np.argmax(tried.flow.converged))
    return quarters[first], tried.settlements[first].meters


def _nearest_solved(search: Search, lever: Levers, solved: Floats, x: Floats) -> tuple[Floats, Attempt]:
    """The lever values `x`, or half way back, and half of that, towards values that AC can solve."""
    tried = search.try_all([delivery_of(search, lever, x)])
    for _ in range(HALVINGS):
        if tried.flow.converged[0]:
            break
        x = 0.5 * (solved + x)
        tried = search.try_all([delivery_of(search, lever, x)])
    return x, tried


def _refined(search: Search, lever: Levers, solution: Solution, clean: Found, known: Near) -> Found:
    """A clean delivery made cheaper once, where linearising has cut too much and the result is clean."""
    case = search.problem.case
    response = response_at(case, clean.settlement.meters)
    if response is None:
        return clean
    no_distance = np.zeros_like(excess(response, case.limits))
    known = near(response, case.limits, known)
    constraints = programme(response, case.limits, known, lever.effect, solution.x, no_distance)
    if possible_gain(constraints, solution) <= GOOD_ENOUGH * (lever.weight @ solution.x):
        return clean
    x = tightened(constraints, solution, lever)
    if x is None:
        again = solve_programme(constraints, lever)
        x = solution.x if again is None else again.x
    tried = search.try_all([delivery_of(search, lever, x)])
    return Found(tried.settlements[0], tried.flow) if tried.clean()[0] else clean


def _towards_nothing(search: Search, lever: Levers, x: Floats) -> Found | None:
    """Between the last programme's cuts and no exchange at all, the least that is clean; no load either, if need be."""
    m, n = lever.rows.size, lever.absorbs.shape[0]
    for shed in (x[m + n :], lever.largest[m + n :]):
        everything = np.concatenate([lever.largest[:m], np.zeros(n), shed])
        found = largest_clean(search, partial(_between, search, lever, everything, x))
        if found is not None:
            return found
    return None


def _between(search: Search, lever: Levers, everything: Floats, x: Floats, share: float) -> Delivery:
    return delivery_of(search, lever, everything + share * (x - everything))
