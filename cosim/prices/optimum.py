"""Least cost of serving an interval within the limits of its AC power flow, and multipliers of those that bind.

Successive linear programming with one trust region and an exact penalty (Fletcher and Sainz de la Maza 1989,
doi:10.1007/BF01582292): each round linearises losses and limits around the AC state, a linear programme proposes a
step, and an AC power flow says whether cost and excess together fall. What the last programme's rows would save per
unit of their bounds are the multipliers. Least curtailment (`cosim.curtailment.least`) ends as soon as it is within
0.2 % of the least cost, in whole Wh; prices are derivatives, and are read where nothing is left to gain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.curtailment.programme import (
    MARGIN_PERCENT,
    MARGIN_VM_PU,
    LinearConstraints,
    find_near_limits,
    limit_excess,
    linearise_limits,
    make_no_tightening,
)
from cosim.prices.resources import Resources
from grid_models.arrays import Floats, Mask
from grid_models.highs import Programme
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response
from grid_models.response.sensitivity import AnyPowerFlow, sensitivity

MAX_ROUNDS = 150
EXCESS_PU = 1e-6
"""Largest excess of an optimum over a limit and its margin, pu or shares of a rating; half of a voltage's margin."""
LEAST_RADIUS_KW = 1e-6
GAIN_EUR_PER_H = 1e-9
"""A programme that promises no more ends the search."""
PENALTY = 1e7
"""Cost of an excess in EUR/h per pu where no step of the trust region keeps all limits."""
SETTLED = 2e-3
"""Largest difference between the cost of a resource that gives way in part and the price there, relative to both."""


class Sought(NamedTuple):
    """A problem: the network, its limits, who can give way, and the price at the head, EUR/kWh."""

    engine: AnyPowerFlow
    limits: Limits
    resources: Resources
    head_eur_per_kwh: float


class Optimum(NamedTuple):
    """The AC optimum.

    Attributes
    ----------
    x
        Amounts of the resources, (M,) kW.
    cost_eur_per_h
        What the power at the head and the resources cost.
    rows
        Linearised limits around it.
    multipliers
        EUR/h per unit of each row's bound, at least 0.
    response
        AC state and its derivatives.
    """

    x: Floats
    cost_eur_per_h: float
    rows: LinearConstraints
    multipliers: Floats
    response: Response


class NotPriced(NamedTuple):
    """Why an interval has no prices."""

    reason: str


NO_SOLUTION = "the AC power flow has no solution, whatever gives way"
NOT_ADMISSIBLE = "no admissible operation: limits are broken whatever gives way"
NOT_SETTLED = "the optimum was not found"


class _Point(NamedTuple):
    """Amounts, the AC state they lead to, its cost and its largest excess over a limit, pu or shares of a rating."""

    x: Floats
    response: Response
    cost: float
    excess: float


class _Step(NamedTuple):
    """What a programme proposes: amounts, the excess that it must leave, its rows and their multipliers."""

    x: Floats
    excess: float
    rows: LinearConstraints
    multipliers: Floats


def find_optimum(sought: Sought) -> Optimum | NotPriced:
    """AC optimum of a problem, or why there is none."""
    point = _find_start(sought)
    if point is None:
        return NotPriced(NO_SOLUTION)
    radius, weight = max(float(sought.resources.upper_kw.max(initial=0.0)), 1.0), 0.0
    working_set = np.zeros(make_no_tightening(sought.limits).size, dtype=bool)
    for _ in range(MAX_ROUNDS):
        working_set = working_set | find_near_limits(point.response, sought.limits)
        gradient = find_gradient(sought, point.response)
        step = _solve_programme(sought, point, gradient, working_set, radius)
        if step is None:
            return NotPriced(NOT_SETTLED)
        weight = PENALTY if step.excess > 0.0 else max(weight, 2.0 * float(step.multipliers.sum()))
        gain = float(gradient @ (point.x - step.x)) + weight * (point.excess - step.excess)
        if gain <= GAIN_EUR_PER_H or radius <= LEAST_RADIUS_KW:
            return _conclude(sought, point, gradient, step)
        tried = _try_amounts(sought, step.x)
        made = -np.inf if tried is None else point.cost - tried.cost + weight * (point.excess - tried.excess)
        length = float(np.abs(step.x - point.x).max())
        if made < 0.25 * gain:
            radius = 0.5 * min(radius, length)
        elif made > 0.75 * gain and length >= 0.99 * radius:
            radius *= 2.0
        if tried is not None and made > 1e-4 * gain:
            point = tried
    return NotPriced(NOT_SETTLED)


def find_gradient(sought: Sought, response: Response) -> Floats:
    """Derivatives of the cost by the amounts, (M,) EUR/kWh."""
    effect = sought.resources.effect
    by_p, by_q = (by.slack_kva().real.sum(axis=0) for by in (response.by_p, response.by_q))
    return np.asarray(
        sought.head_eur_per_kwh * (by_p @ effect.real + by_q @ effect.imag) + sought.resources.cost_eur_per_kwh
    )


def _find_start(sought: Sought) -> _Point | None:
    """Nothing gives way, or where AC has no solution for that, the first quarter of all amounts that has."""
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        point = _try_amounts(sought, share * sought.resources.upper_kw)
        if point is not None:
            return point
    return None


def _try_amounts(sought: Sought, x: Floats) -> _Point | None:
    """The point of some amounts; None where AC has no solution."""
    response = sensitivity(sought.engine, *sought.resources.at(x))
    if response is None:
        return None
    cost = sought.head_eur_per_kwh * float(response.slack_kva.real.sum()) + float(sought.resources.cost_eur_per_kwh @ x)
    excess, n_voltages = limit_excess(response, sought.limits), 2 * response.vm_pu.size
    excess[:n_voltages] += MARGIN_VM_PU
    excess[n_voltages:] = (excess[n_voltages:] + MARGIN_PERCENT) / 100.0
    return _Point(x, response, cost, max(float(np.nanmax(excess, initial=0.0)), 0.0))


def _solve_programme(sought: Sought, point: _Point, gradient: Floats, working_set: Mask, radius: float) -> _Step | None:
    """Cheapest amounts in the trust region that keep the linearised limits, or exceed them least."""
    upper, no_tightening = sought.resources.upper_kw, make_no_tightening(sought.limits)
    rows = linearise_limits(point.response, sought.limits, working_set, sought.resources.effect, point.x, no_tightening)
    room = rows.bound - rows.matrix @ point.x
    low, high = np.maximum(-point.x, -radius), np.minimum(upper - point.x, radius)
    if upper.size == 0:
        return _Step(point.x, max(float(-room.min(initial=0.0)), 0.0), rows, np.zeros(room.size))
    for slacks in (0, 1):
        programme = Programme(
            np.append(gradient, np.full(slacks, PENALTY)),
            np.append(high, np.full(slacks, np.inf)),
            np.append(low, np.zeros(slacks)),
        )
        programme.add_rows(np.hstack([rows.matrix, np.full((room.size, slacks), -1.0)]), room)
        found = programme.solve()
        if found is not None:
            x = np.clip(point.x + found.x[: upper.size], 0.0, upper)
            return _Step(x, float(found.x[upper.size :].sum()), rows, np.maximum(found.multipliers, 0.0))
    return None


def _conclude(sought: Sought, point: _Point, gradient: Floats, step: _Step) -> Optimum | NotPriced:
    """The point itself where it keeps all limits, and no resource would gain by giving way more or less."""
    if point.excess > EXCESS_PU:
        return NotPriced(NOT_ADMISSIBLE)
    reduced = gradient + step.multipliers @ step.rows.matrix
    upper = sought.resources.upper_kw
    tolerance = SETTLED * (abs(sought.head_eur_per_kwh) + np.abs(sought.resources.cost_eur_per_kwh) + np.abs(gradient))
    near = np.minimum(1e-4, 1e-3 * upper)
    gains = ((reduced > tolerance) & (point.x > near)) | ((reduced < -tolerance) & (point.x < upper - near))
    if gains.any():
        return NotPriced(NOT_SETTLED)
    return Optimum(point.x, point.cost, step.rows, step.multipliers, point.response)
