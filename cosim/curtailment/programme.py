"""The linear programme of least curtailment: limits linearised around an AC state, the cheapest decision values within.

Limits are numbered as in `limit_excess`: upper voltages of the B buses, their lower ones, then the E branch ends. What
is done with a programme's solution belongs in `cosim.curtailment.least`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array

from cosim.curtailment.decision_variables import DecisionVariables
from grid_models.arrays import Floats, Mask, Places
from grid_models.highs import Programme
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response

FACETS = 16
SLACK_COST = 1e10
"""Cost per pu of exceeding the limits; above that of shed load, of which 1 kW (1e5 at most) changes about 1e-4 pu."""

NEAR_VM_PU, NEAR_PERCENT = 0.03, 40.0
"""Only limits that a state has been this close to enter a programme."""

MARGIN_VM_PU, MARGIN_PERCENT = 2e-6, 2e-4
"""Distance kept from every limit."""
BACK_OFF = 1.5
"""A limit that AC exceeds nevertheless is tightened by this many times the excess in the programmes that follow.

Otherwise houses whose shedding costs the same would replace one another from programme to programme, each time with the
error of a linearisation around another state.
"""
ALMOST_VM_PU, ALMOST_PERCENT = 4e-4, 0.4
"""Only a smaller excess tightens a limit: most of a larger one is removed by the next programme anyway."""

SHRINK, GROW = 0.5, 2.0
"""Factors on a variable's trust radius when it changes direction, and when it goes on in the same one."""
LEAST_RADIUS_KW = 0.1
"""Deliveries are whole Wh: the trust region must be wide enough to correct an excess by rounding."""


class LinearConstraints(NamedTuple):
    """Constraints `matrix @ x <= bound` on decision values x, from the linearised network.

    `limit` is the number of the limit that each row stands for, the same in every programme; the rating of a branch end
    has a number for each facet of its polygon, 2B + facet·E + end.
    """

    matrix: Floats
    bound: Floats
    limit: Places


class ProgrammeSolution(NamedTuple):
    """Decision values, the multiplier of each binding limit, cost per pu, and whether all constraints are kept."""

    x: Floats
    multipliers: dict[int, float]
    feasible: bool


def find_near_limits(response: Response, limits: Limits) -> Mask:
    """Limits that an AC state is close to or beyond, (2B + E,)."""
    high = response.vm_pu > limits.max_vm_pu - NEAR_VM_PU
    low = response.vm_pu < limits.min_vm_pu + NEAR_VM_PU
    end = np.abs(response.current_percent) > limits.max_end_percent - NEAR_PERCENT
    return np.concatenate([high, low, end])


def linearise_limits(
    response: Response, limits: Limits, working_set: Mask, effect: csc_array, x: Floats, tightening: Floats
) -> LinearConstraints:
    """Linear constraints of the limits in `working_set`, (2B + E,), around the AC state of the decision values `x`.

    `effect` is that of `DecisionVariables`; `tightening` is kept from each limit in addition to the margins, (2B + E,).
    """
    n_buses = response.vm_pu.size
    high, low, ends = (np.flatnonzero(part) for part in np.split(working_set, [n_buses, 2 * n_buses]))
    of_voltages = _linearise_voltages(response, limits, high, low, effect, x, tightening)
    if ends.size == 0:
        return of_voltages
    of_currents = _linearise_currents(response, limits, ends, effect, x, tightening)
    return LinearConstraints._make(map(np.concatenate, zip(of_voltages, of_currents, strict=True)))


def _linearise_voltages(
    response: Response,
    limits: Limits,
    high: Places,
    low: Places,
    effect: csc_array,
    x: Floats,
    tightening: Floats,
) -> LinearConstraints:
    """Upper limits of some buses and lower ones of others, by the derivatives of their voltages."""
    n_buses, buses = response.vm_pu.size, np.concatenate([high, low])
    by_x = response.by_p.vm_pu(buses) @ effect.real
    if np.iscomplexobj(effect):
        by_x += response.by_q.vm_pu(buses) @ effect.imag
    v0 = response.vm_pu[buses] - by_x @ x
    above = limits.max_vm_pu[high] - MARGIN_VM_PU - tightening[high] - v0[: high.size]
    below = v0[high.size :] - limits.min_vm_pu[low] - MARGIN_VM_PU - tightening[n_buses + low]
    by_x[high.size :] *= -1.0
    return LinearConstraints(by_x, np.concatenate([above, below]), np.concatenate([high, n_buses + low]))


def _linearise_currents(
    response: Response, limits: Limits, ends: Places, effect: csc_array, x: Floats, tightening: Floats
) -> LinearConstraints:
    """Ratings of some branch ends: |I| <= rating is a circle, approximated by a polygon of 16 facets around it.

    The first facet is perpendicular to the present current. The derivative of |I| alone fails under heavy overload.
    """
    n_voltages, n_ends = 2 * response.vm_pu.size, response.current_percent.size
    current, by_x = response.current_percent[ends], response.by_p.current_percent(ends) @ effect.real
    if np.iscomplexobj(effect):
        by_x = by_x + response.by_q.current_percent(ends) @ effect.imag
    facets = 2.0 * np.pi * np.arange(FACETS)[:, None] / FACETS
    turn = np.exp(-1j * (np.angle(current) + facets))
    along = (turn[:, :, None] * by_x).real.reshape(-1, x.size)
    i0 = (turn * (current - by_x @ x)).real
    room = limits.max_end_percent[ends] - MARGIN_PERCENT - tightening[n_voltages + ends] - i0
    limit = n_voltages + np.arange(FACETS)[:, None] * n_ends + ends
    return LinearConstraints(along / 100.0, room.ravel() / 100.0, limit.ravel())


def limit_excess(response: Response, limits: Limits) -> Floats:
    """Excess of an AC state over each limit, negative within, (2B + E,): voltages above, below, pu; ends, per cent."""
    current = np.abs(response.current_percent) - limits.max_end_percent
    return np.concatenate([response.vm_pu - limits.max_vm_pu, limits.min_vm_pu - response.vm_pu, current])


def make_no_tightening(limits: Limits) -> Floats:
    """Tightening by 0 of every limit, (2B + E,)."""
    return np.zeros(2 * limits.max_vm_pu.size + limits.max_end_percent.size)


def back_off(response: Response, limits: Limits) -> Floats:
    """Further tightening of each limit that AC exceeds by a little, (2B + E,)."""
    n_voltages, excess = 2 * limits.max_vm_pu.size, np.fmax(limit_excess(response, limits), 0.0)
    little = np.repeat([ALMOST_VM_PU, ALMOST_PERCENT], [n_voltages, excess.size - n_voltages])
    return np.where(excess < little, BACK_OFF * excess, 0.0)


def possible_saving(solution: ProgrammeSolution, response: Response, limits: Limits) -> float:
    """Cost that could still be saved: room that AC leaves at the binding limits of the solution, times multipliers.

    Valid where the trust region bound no variable, since that bound has a multiplier of its own.
    """
    excess, n_voltages = limit_excess(response, limits), 2 * limits.max_vm_pu.size
    room = -excess - np.where(np.arange(excess.size) < n_voltages, MARGIN_VM_PU, MARGIN_PERCENT)
    room[n_voltages:] /= 100.0
    which = _find_limits(np.array(list(solution.multipliers), dtype=np.int64), limits)
    return float(room[which] @ np.array(list(solution.multipliers.values())))


def find_binding(solution: ProgrammeSolution, limits: Limits) -> Mask:
    """Limits that bind a solution, (2B + E,)."""
    binding = np.zeros(2 * limits.max_vm_pu.size + limits.max_end_percent.size, dtype=bool)
    binding[_find_limits(np.array(list(solution.multipliers), dtype=np.int64), limits)] = True
    return binding


def _find_limits(rows: Places, limits: Limits) -> Places:
    """Limits that rows with these numbers stand for, as `LinearConstraints.limit` has them."""
    n_voltages, n_ends = 2 * limits.max_vm_pu.size, max(limits.max_end_percent.size, 1)
    return np.where(rows < n_voltages, rows, n_voltages + (rows - n_voltages) % n_ends)


class TrustRegion(NamedTuple):
    """Largest change of each decision variable, its radius, and its latest change, both (M + 2N,) kW."""

    radius: Floats
    step: Floats

    def is_unbounded(self) -> bool:
        """Whether no variable has a finite radius."""
        return bool(np.isinf(self.radius).all())

    def contains(self, step: Floats) -> bool:
        """Whether a step is in the interior: no variable goes as far as it may."""
        return bool(np.all(np.abs(step) < self.radius))


def make_region(n: int, radius_kw: float = np.inf) -> TrustRegion:
    """Trust region of n variables with one radius, before any step."""
    return TrustRegion(np.full(n, max(radius_kw, LEAST_RADIUS_KW)), np.zeros(n))


def update_region(region: TrustRegion, step: Floats) -> TrustRegion:
    """Trust region after a step.

    A variable that changed direction gets half of the shorter of its two latest steps as radius; the radius of one that
    went on doubles. Between houses whose shedding has much the same effect the cheapest share of each lies inside the
    feasible set, where no programme has a vertex: without radii programmes would alternate between two vertices for
    ever. The rule is the one for the asymptotes of Svanberg 1987, doi:10.1002/nme.1620240207.
    """
    turned, goes_on = step * region.step < 0.0, step * region.step > 0.0
    shorter = SHRINK * np.minimum(np.abs(step), np.abs(region.step))
    closer = np.clip(shorter, LEAST_RADIUS_KW, region.radius)
    return TrustRegion(np.where(turned, closer, np.where(goes_on, GROW * region.radius, region.radius)), step)


class _Stage:
    """The linear programme of the variables that may move, and of the slack where there is one."""

    def __init__(self, variables: DecisionVariables, lower: Floats, upper: Floats, moving: Places, slacks: int) -> None:
        self.moving, self.slacks, self.limit = moving, slacks, np.zeros(0, np.int64)
        self.programme = Programme(
            np.append(variables.cost[moving], np.full(slacks, SLACK_COST)),
            np.append(upper[moving], np.full(slacks, np.inf)),
            np.append(lower[moving], np.zeros(slacks)),
        )

    def add(self, constraints: LinearConstraints, by_slack: float = -1.0) -> None:
        """Add constraints; what does not move is zero."""
        slack = np.full((constraints.bound.size, self.slacks), by_slack)
        self.programme.add_rows(np.hstack([constraints.matrix[:, self.moving], slack]), constraints.bound)
        self.limit = np.concatenate([self.limit, constraints.limit])


STAGES = ((False, 0), (True, 0), (True, 1))
"""Whether load may be shed, and the number of slacks, in the order in which they are tried."""


class GrowingProgramme:
    """Cheapest values in the trust region around `x` that keep constraints, or exceed them least; more can be added.

    Load is shed only where no other variables keep the constraints, and a slack is admitted only where none at all do,
    as can be far from the solution. What some constraints do not admit, more of them do not admit either: a stage that
    was left is not gone back to.
    """

    def __init__(self, variables: DecisionVariables, x: Floats, region: TrustRegion) -> None:
        self._variables = variables
        self._lower = np.maximum(x - region.radius, 0.0)
        self._upper = np.minimum(x + region.radius, variables.upper)
        self._constraints: list[LinearConstraints] = []
        self._n_entered = 0
        self._stage: _Stage | None = None

    def add(self, constraints: LinearConstraints) -> None:
        """Add constraints to those there are."""
        self._constraints.append(constraints)
        if self._stage is not None:
            self._stage.add(constraints)

    def solve(self) -> ProgrammeSolution | None:
        """Solution that keeps all constraints so far, or exceeds them least; None without any."""
        while self._stage is not None or self._n_entered < len(STAGES):
            if self._stage is None:
                self._stage = self._make_stage(*STAGES[self._n_entered])
                self._n_entered += 1
                continue
            stage, optimum = self._stage, self._stage.programme.solve()
            if optimum is not None:
                values = np.zeros(self._variables.cost.size)
                values[stage.moving] = optimum.x[: stage.moving.size]
                binding = np.flatnonzero((optimum.multipliers != 0.0) & (stage.limit >= 0))
                multipliers = {int(stage.limit[k]): float(optimum.multipliers[k]) for k in binding}
                return ProgrammeSolution(values, multipliers, feasible=stage.slacks == 0)
            self._stage = None
        return None

    def _make_stage(self, shedding: bool, slacks: int) -> _Stage | None:
        """Programme of a stage with the constraints so far; None where nothing can move, or what is shed must not."""
        first_shed, can_move = self._variables.first_shed, self._upper > 0.0
        can_move[first_shed:] &= shedding
        moving = np.flatnonzero(can_move)
        if moving.size == 0 or (not shedding and bool((self._lower[first_shed:] > 0.0).any())):
            return None
        stage = _Stage(self._variables, self._lower, self._upper, moving, slacks)
        for constraints in self._constraints:
            stage.add(constraints)
        stage.add(_couple_to_cuts(self._variables, moving), by_slack=0.0)
        return stage


def _couple_to_cuts(variables: DecisionVariables, moving: Places) -> LinearConstraints:
    """Absorbed is at most what is cut, unserved load at most imports and cut purchases; rows of no limit, -1."""
    n, m = variables.absorbs.shape
    waits = variables.first_waiting < variables.first_shed
    bound = np.concatenate([np.zeros(n), variables.imports])
    follows = moving[moving >= m] - m
    if waits:  # what waits and what is shed of a house are one sum
        follows = np.unique(np.where(follows < n, follows, n + follows % n))
        follows = follows[(follows >= n) | (variables.upper[m + follows] > 0.0)]
    else:
        follows = follows[bound[follows] < variables.upper[m + follows]]
    matrix = np.zeros((follows.size, variables.cost.size))
    matrix[:, :m] = -np.vstack([variables.absorbs, variables.misses])[follows]
    for first in range(m, variables.cost.size, n):
        mine = follows < n if first == m else follows >= n
        matrix[np.flatnonzero(mine), first + follows[mine] % n] = 1.0
    return LinearConstraints(matrix, bound[follows], np.full(follows.size, -1))
