"""The linear programme of least curtailment: limits linearised around an AC state, the cheapest lever values within."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.curtailment.decision_variables import DecisionVariables
from cosim.curtailment.highs import minimise
from grid_models.arrays import Floats
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response

Places = npt.NDArray[np.intp]

FACETS = 16
SLACK = 1e10
"""Cost per pu: what 1 kW of shed load can do, 1e-4 pu, is still dearer left undone."""

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


CLOSER, WIDER = 0.5, 2.0
"""What becomes of a lever's reach when it turns round, and when it goes on."""
LEAST_MOVE_KW = 0.1
"""Deliveries are whole Wh: what rounding them exceeds must stay within reach."""


class Programme(NamedTuple):
    """Constraints `matrix @ x <= bound` on the levers' values x, from the linearised network.

    `limit` says which limit a row is: upper voltages of the B buses, their lower ones, then facet by facet the E branch
    ends; so that a row can be found again in the next programme.
    """

    matrix: Floats
    bound: Floats
    limit: Places


class Near(NamedTuple):
    """Limits that a programme knows: upper and lower voltages of the B buses, (B,), and ratings of the E ends, (E,)."""

    high: npt.NDArray[np.bool_]
    low: npt.NDArray[np.bool_]
    end: npt.NDArray[np.bool_]


class Box(NamedTuple):
    """Smallest and largest values that a programme may give each lever, both (M + 2N,)."""

    smallest: Floats
    largest: Floats


class ProgrammeSolution(NamedTuple):
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
        np.abs(response.current_percent) > limits.max_end_percent - NEAR_PERCENT,
    )
    return now if known is None else Near(*(a | b for a, b in zip(now, known, strict=True)))


def programme(
    response: Response, limits: Limits, known: Near, effect: Floats, x: Floats, distance: Floats
) -> Programme:
    """Linear constraints of the known limits around the AC state that the lever values `x` led to.

    `distance` is kept from each limit beside the margins, (2B + E,) as in `excess`.
    """
    high, low, ends = (np.flatnonzero(mask) for mask in known)
    of_voltages = _of_voltages(response, limits, high, low, effect, x, distance)
    if ends.size == 0:
        return of_voltages
    of_currents = _of_currents(response, limits, ends, effect, x, distance)
    return Programme._make(map(np.concatenate, zip(of_voltages, of_currents, strict=True)))


def _of_voltages(
    response: Response, limits: Limits, high: Places, low: Places, effect: Floats, x: Floats, distance: Floats
) -> Programme:
    """Upper limits of some buses and lower ones of others, by the derivatives of their voltages."""
    n_buses, buses = response.vm_pu.size, np.concatenate([high, low])
    by_x = response.by_p.vm_pu(buses) @ effect
    v0 = response.vm_pu[buses] - by_x @ x
    above = limits.max_vm_pu[high] - MARGIN_VM_PU - distance[high] - v0[: high.size]
    below = v0[high.size :] - limits.min_vm_pu[low] - MARGIN_VM_PU - distance[n_buses + low]
    by_x[high.size :] *= -1.0
    return Programme(by_x, np.concatenate([above, below]), np.concatenate([high, n_buses + low]))


def _of_currents(
    response: Response, limits: Limits, ends: Places, effect: Floats, x: Floats, distance: Floats
) -> Programme:
    """Ratings of some branch ends, by a polygon of 16 facets around the circle that each is.

    It is turned so that one facet stands square on the present current, because the derivative of |I| alone fails
    under heavy overload.
    """
    n_voltages, n_ends = 2 * response.vm_pu.size, response.current_percent.size
    current, by_x = response.current_percent[ends], response.by_p.current_percent(ends) @ effect
    facets = 2.0 * np.pi * np.arange(FACETS)[:, None] / FACETS
    turn = np.exp(-1j * (np.angle(current) + facets))
    along = (turn[:, :, None] * by_x).real.reshape(-1, x.size)
    i0 = (turn * (current - by_x @ x)).real
    room = limits.max_end_percent[ends] - MARGIN_PERCENT - distance[n_voltages + ends] - i0
    limit = n_voltages + np.arange(FACETS)[:, None] * n_ends + ends
    return Programme(along / 100.0, room.ravel() / 100.0, limit.ravel())


def no_distance(limits: Limits) -> Floats:
    """Distances of 0 from every limit, (2B + E,)."""
    return np.zeros(2 * limits.max_vm_pu.size + limits.max_end_percent.size)


def excess(response: Response, limits: Limits) -> Floats:
    """How far an AC state is beyond each limit, (2B + E,): upper voltages, lower ones, pu, branch ends, per cent."""
    return np.fmax(_beyond(response, limits), 0.0)


def _beyond(response: Response, limits: Limits) -> Floats:
    """Distance of an AC state beyond each limit, negative where it is within, (2B + E,)."""
    current = np.abs(response.current_percent) - limits.max_end_percent
    return np.concatenate([response.vm_pu - limits.max_vm_pu, limits.min_vm_pu - response.vm_pu, current])


def possible_gain(solution: ProgrammeSolution, response: Response, limits: Limits) -> float:
    """What could still be saved: the room that AC leaves below the limits which bind the solution, at their prices.

    It holds where no lever was bound by its largest move, which has a price of its own.
    """
    beyond, n_voltages = _beyond(response, limits), 2 * limits.max_vm_pu.size
    room = -beyond - np.where(np.arange(beyond.size) < n_voltages, MARGIN_VM_PU, MARGIN_PERCENT)
    room[n_voltages:] /= 100.0
    n_ends = beyond.size - n_voltages
    which = [k if k < n_voltages else n_voltages + (k - n_voltages) % n_ends for k in solution.price]
    return float(room[which] @ np.array(list(solution.price.values())))


def back_off(beyond: Floats, limits: Limits) -> Floats:
    """Further distance to be kept from each limit that AC exceeds by a little, (2B + E,)."""
    n_voltages = 2 * limits.max_vm_pu.size
    little = np.repeat([ALMOST_VM_PU, ALMOST_PERCENT], [n_voltages, beyond.size - n_voltages])
    return np.where(beyond < little, BACK_OFF * beyond, 0.0)


class Reach(NamedTuple):
    """How far each lever may go from where it is, and how far it last went, both (M + 2N,) kW."""

    most: Floats
    step: Floats

    def is_anywhere(self) -> bool:
        """Whether no lever is bounded."""
        return bool(np.isinf(self.most).all())

    def is_inside(self, step: Floats) -> bool:
        """Whether no lever goes as far as it may."""
        return bool(np.all(np.abs(step) < self.most))


def anywhere(n: int) -> Reach:
    """No bounds on n levers that have not moved."""
    return Reach(np.full(n, np.inf), np.zeros(n))


def box_around(x: Floats, reach: Reach, lever: DecisionVariables) -> Box:
    """Values of the levers within reach of `x`, and at most all that each has."""
    return Box(np.maximum(x - reach.most, 0.0), np.minimum(x + reach.most, lever.largest))


def next_reach(reach: Reach, step: Floats) -> Reach:
    """Reach after a step: half of the shorter of two steps where a lever has turned round, wider where it goes on.

    Between houses whose shedding does much the same the cheapest share of each lies inside the box, where no programme
    has a vertex; without a bound the programmes go to and fro between two of them for ever. The rule is the one for
    the asymptotes of Svanberg 1987, doi:10.1002/nme.1620240207: closer where a variable oscillates, else wider.
    """
    turned, goes_on = step * reach.step < 0.0, step * reach.step > 0.0
    shorter = CLOSER * np.minimum(np.abs(step), np.abs(reach.step))
    closer = np.clip(shorter, LEAST_MOVE_KW, reach.most)
    return Reach(np.where(turned, closer, np.where(goes_on, WIDER * reach.most, reach.most)), step)


def within(radius_kw: float, n: int) -> Reach:
    """Reach of n levers that may all go equally far, and have not moved."""
    return Reach(np.full(n, max(radius_kw, LEAST_MOVE_KW)), np.zeros(n))


def solve_programme(p: Programme, lever: DecisionVariables, box: Box) -> ProgrammeSolution | None:
    """Cheapest lever values in a box that keep the constraints, or that break them least; None if HiGHS finds none.

    Load is shed only where no other levers keep the constraints, and a slack is admitted only where none at all do, as
    can be far from the solution.
    """
    for shedding, elastic in ((False, False), (True, False), (True, True)):
        found = _solved(p, lever, box, shedding=shedding, elastic=elastic)
        if found is not None:
            return found
    return None


def _solved(
    p: Programme, lever: DecisionVariables, box: Box, *, shedding: bool, elastic: bool
) -> ProgrammeSolution | None:
    """The programme over the levers that can be other than 0."""
    slacks = int(elastic)
    can_move = box.largest > 0.0
    can_move[lever.first_shed :] &= shedding
    moving = np.flatnonzero(can_move)
    if moving.size == 0 or (not shedding and bool((box.smallest[lever.first_shed :] > 0.0).any())):
        return None
    limited, most = _limited_by_cuts(lever, moving)
    matrix = np.zeros((p.bound.size + most.size, moving.size + slacks))
    matrix[: p.bound.size, : moving.size] = p.matrix[:, moving]
    matrix[: p.bound.size, moving.size :] = -1.0
    matrix[p.bound.size :, : moving.size] = limited
    found = minimise(
        np.append(lever.weight[moving], np.full(slacks, SLACK)),
        matrix,
        np.append(p.bound, most),
        np.append(box.largest[moving], np.full(slacks, np.inf)),
        np.append(box.smallest[moving], np.zeros(slacks)),
    )
    if found is None:
        return None
    x = np.zeros(lever.weight.size)
    x[moving] = found.x[: moving.size]
    price = found.price[: p.bound.size]
    return ProgrammeSolution(
        x, {int(p.limit[row]): float(price[row]) for row in np.flatnonzero(price)}, not elastic
    )


def _limited_by_cuts(lever: DecisionVariables, moving: Places) -> tuple[Floats, Floats]:
    """Rows `matrix @ x <= bound`: a battery absorbs what is cut, and what a house sheds it imports or is cut of."""
    n, m = lever.absorbs.shape
    bound = np.concatenate([np.zeros(n), lever.imports])
    follows = moving[moving >= m] - m
    follows = follows[bound[follows] < lever.largest[m + follows]]
    if follows.size == 0:
        return np.zeros((0, moving.size)), np.zeros(0)
    matrix = np.zeros((follows.size, lever.weight.size))
    matrix[:, :m] = -np.vstack([lever.absorbs, lever.misses])[follows]
    matrix[np.arange(follows.size), m + follows] = 1.0
    return matrix[:, moving], bound[follows]
