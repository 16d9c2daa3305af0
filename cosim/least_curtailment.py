"""Curtail as little as possible: a linear programme on the sensitivities of the current AC state, until AC is clean.

Batteries absorb first, then uncommitted exports go, then sharing transfers, then trades, load last of all. The
programme only decides what to change; an AC power flow decides whether the result is clean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.curtailment_search import Found, Problem, Search, largest_clean
from cosim.linear_programme import minimise
from cosim.redispatch import battery_room
from cosim.setpoints import injection_kw, mean_kw
from grid_models.kernel import Floats
from grid_models.limits import Limits
from grid_models.response import Response
from grid_models.sensitivity import sensitivity
from market.exchanges import Kind
from market.settlement import Delivery, Settlement, as_cleared, settle

ROUNDS = 6
"""Linear programmes until one is clean; with the power flows before and of the refinement that makes eight."""

FACETS = 16
ABSORB, EXPORT, SHARE, TRADE, SHED = 0.1, 1.0, 2.0, 3.0, 1e4
"""Cost per kW."""
SLACK = 1e9
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
    """

    rows: npt.NDArray[np.intp]
    effect: Floats
    weight: Floats
    largest: Floats
    absorbs: Floats


def levers(search: Search) -> Levers:
    """Levers of a problem: every cut acts at the bus where the energy enters the network.

    Cutting an exchange lowers the seller's injection, that of the battery's host for a lot; a share that is not stored
    raises the host's. What a buyer misses it takes from the grid at the same bus, which changes nothing there. Exports
    cut for the own battery cost less than those spilled: the programme's column `absorbed` takes that difference off.
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
    weight = np.concatenate([_weights(kind), np.full(n, ABSORB - EXPORT), np.full(n, SHED)])
    cleared = mean_kw(exchanges["cleared_wh"], minutes)
    largest = np.concatenate([cleared, np.minimum(mean_kw(room, minutes), absorbs @ cleared), _imports(p)])
    return Levers(rows, effect, weight, largest, absorbs)


def _weights(kind: npt.NDArray[np.uint8]) -> Floats:
    weight = np.full(kind.size, TRADE)
    weight[np.isin(kind, [int(Kind.SHARE_USE), int(Kind.SHARE_STORE)])] = SHARE
    weight[kind == Kind.GRID_EXPORT] = EXPORT
    later = np.arange(kind.size) / max(kind.size, 1)
    return np.asarray(weight * (1.0 + EARLIER * (1.0 - later)))


def _imports(p: Problem) -> Floats:
    """Grid import of each house as cleared, kW: what shedding can take away."""
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


class Solution(NamedTuple):
    """Lever values, what each limit costs at the margin, {limit: cost per pu}, and whether all limits are kept."""

    x: Floats
    price: dict[int, float]
    keeps: bool


def programme(response: Response, limits: Limits, effect: Floats, x: Floats, distance: Floats) -> Programme:
    """Linear constraints around the AC state that the lever values `x` led to.

    Voltages by their derivative; currents by a polygon of 16 facets around the limit's circle, turned so that one
    facet stands square on the present current, because the derivative of |I| alone fails under heavy overload.
    `distance` is kept from each limit beside the margins, (2B + E,) as in `excess`.
    """
    n_buses, n_ends = response.vm_pu.size, response.current_percent.size
    high = np.flatnonzero(response.vm_pu > limits.max_vm_pu - NEAR_VM_PU)
    low = np.flatnonzero(response.vm_pu < limits.min_vm_pu + NEAR_VM_PU)
    rated = _rated_percent(limits)
    ends = np.flatnonzero(np.abs(response.current_percent) > rated - NEAR_PERCENT)
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


def _rated_percent(limits: Limits) -> Floats:
    """Limits of the branch ends, (E,) per cent."""
    return np.tile(np.concatenate([limits.max_line_loading_percent, limits.max_trafo_loading_percent]), 2)


def solve_programme(p: Programme, lever: Levers) -> Solution | None:
    """Cheapest lever values that keep the constraints, or that break them least; None if HiGHS finds none.

    Only where no values keep the constraints, as can be far from the solution, a slack is admitted.
    """
    found = _solved(p, lever, elastic=False)
    return _solved(p, lever, elastic=True) if found is None else found


def _solved(p: Programme, lever: Levers, *, elastic: bool) -> Solution | None:
    """The programme over the levers that can move at all."""
    (n, m), slacks = lever.absorbs.shape, int(elastic)
    moving = np.flatnonzero(lever.largest > 0.0)
    absorbing = np.flatnonzero(lever.largest[m : m + n] > 0.0)
    k = absorbing.size
    limited = np.hstack([-lever.absorbs[absorbing], np.eye(n)[absorbing], np.zeros((k, n))])[:, moving]
    found = minimise(
        np.append(lever.weight[moving], np.full(slacks, SLACK)),
        np.block([[p.matrix[:, moving], -np.ones((p.bound.size, slacks))], [limited, np.zeros((k, slacks))]]),
        np.append(p.bound, np.zeros(k)),
        np.append(lever.largest[moving], np.full(slacks, np.inf)),
    )
    if found is None:
        return None
    x = np.zeros(lever.weight.size)
    x[moving] = found.x[: moving.size]
    price = found.price[: p.bound.size]
    return Solution(x, {int(p.limit[row]): float(price[row]) for row in np.flatnonzero(price)}, not elastic)


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
    imports = np.rint(lever.largest[m + n :] * hours_wh).astype(np.int64)
    return search.delivery(delivered, np.clip(shed, 0, imports))


def cleared_injection_kw(p: Problem) -> Floats:
    """Injections of the exchanges as cleared, (N,) kW."""
    settlement = settle(as_cleared(p.rows, p.orders.need_wh.size), p.orders, p.state, p.case.rules)
    return injection_of(settlement, p)


def injection_of(settlement: Settlement, p: Problem) -> Floats:
    """Injections of a settled interval, (N,) kW."""
    return np.asarray(injection_kw(settlement.meters[None, :], p.case.interval_minutes)[0])


def least_curtailment(search: Search) -> Found | None:
    """Cheapest clean delivery: linearise, solve the programme, ask AC, at most six times; then bisect."""
    p = search.problem
    lever = levers(search)
    limits, x = p.case.limits, np.zeros(lever.weight.size)
    p_kw = cleared_injection_kw(p)
    distance = np.zeros(2 * limits.max_vm_pu.size + _rated_percent(limits).size)
    solution: Solution | None = None
    for _ in range(ROUNDS):
        response = sensitivity(p.case.engine, p_kw)
        if response is None:
            break
        if solution is not None and solution.keeps:
            distance += BACK_OFF * excess(response, limits)
        solution = solve_programme(programme(response, limits, lever.effect, x, distance), lever)
        if solution is None:
            break
        x = solution.x
        tried = search.try_all([delivery_of(search, lever, x)])
        p_kw = injection_of(tried.settlements[0], p)
        if tried.clean()[0]:
            return _refined(search, lever, solution, Found(tried.settlements[0], tried.flow), p_kw)
    return _towards_nothing(search, lever, x)


def _refined(search: Search, lever: Levers, solution: Solution, clean: Found, p_kw: Floats) -> Found:
    """A clean delivery made cheaper once, where linearising has cut too much and the result is clean."""
    case = search.problem.case
    response = sensitivity(case.engine, p_kw)
    if response is None:
        return clean
    no_distance = np.zeros_like(excess(response, case.limits))
    constraints = programme(response, case.limits, lever.effect, solution.x, no_distance)
    if possible_gain(constraints, solution) <= GOOD_ENOUGH * (lever.weight @ solution.x):
        return clean
    x = tightened(constraints, solution, lever)
    if x is None:
        again = solve_programme(constraints, lever)
        x = solution.x if again is None else again.x
    tried = search.try_all([delivery_of(search, lever, x)])
    return Found(tried.settlements[0], tried.flow) if tried.clean()[0] else clean


def _towards_nothing(search: Search, lever: Levers, x: Floats) -> Found | None:
    """Between the last programme's cuts and no exchange at all, the least that is clean."""
    m, n = lever.rows.size, lever.absorbs.shape[0]
    everything = np.concatenate([lever.largest[:m], np.zeros(n), x[m + n :]])
    return largest_clean(
        search, lambda share: delivery_of(search, lever, everything + share * (x - everything))
    )
