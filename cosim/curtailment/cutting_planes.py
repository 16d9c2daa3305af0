"""Rows of a programme taken as solutions break them (cutting planes; Kelley 1960, doi:10.1137/0108053).

In a feeder of hundreds of houses nearly every voltage is close to its limit, and a handful of them bind. A row costs a
system to solve for and a coefficient a variable; what one solution does to all limits costs one system. So a programme
starts with few rows, and takes those that its solution breaks until there is none. Its optimum is that of all rows.
"""

from __future__ import annotations

import numpy as np

from cosim.curtailment.decision_variables import DecisionVariables
from cosim.curtailment.programme import (
    FACETS,
    MARGIN_PERCENT,
    MARGIN_VM_PU,
    GrowingProgramme,
    LinearConstraints,
    ProgrammeSolution,
    TrustRegion,
    limit_excess,
    linearise_limits,
)
from grid_models.arrays import Complex, Floats, Mask
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response

AT_ONCE = 256
"""So many limits or fewer are all taken at once: a programme of 200 rows takes less time than several of 40."""
FIRST = 16
"""Rows taken at first, and in the first pass after; twice as many in each one that follows."""
BROKEN_PU = 1e-10
"""Excess in pu, or in hundredths of a rating, by which a row counts as broken: the solver's own tolerance."""


def solve_by_rows(
    response: Response,
    limits: Limits,
    working_set: Mask,
    variables: DecisionVariables,
    x: Floats,
    tightening: Floats,
    region: TrustRegion,
    bound: Mask,
) -> ProgrammeSolution | None:
    """Solution of the programme with all limits in `working_set`; None without any.

    Parameters
    ----------
    response, limits, working_set, tightening
        As of `linearise_limits`.
    variables, x, region
        As of `GrowingProgramme`.
    bound
        (2B + E,) limits that have bound before, with which to begin.
    """

    def linearise(chosen: Mask) -> LinearConstraints:
        return linearise_limits(response, limits, chosen, variables.effect, x, tightening)

    programme = GrowingProgramme(variables, x, region)
    if np.count_nonzero(working_set) <= AT_ONCE:
        programme.add(linearise(working_set))
        return programme.solve()
    n, added = FIRST, []
    more = _choose_worst(limit_excess(response, limits), working_set & ~bound, n) | (working_set & bound)
    left = working_set
    while True:
        added.append(linearise(more))
        programme.add(added[-1])
        left = left & ~more
        found = programme.solve()
        if found is None:
            return None
        slack = max(float((rows.matrix @ found.x - rows.bound).max(initial=0.0)) for rows in added)
        excess = predict_excess(response, limits, left, variables.effect @ (found.x - x), tightening)
        broken = left & (excess > slack + BROKEN_PU)
        if not broken.any():
            return found
        more, n = _choose_worst(excess, broken, n), 2 * n


def _choose_worst(excess: Floats, among: Mask, n: int) -> Mask:
    """The n limits of the largest excess."""
    chosen, candidates = np.zeros_like(among), np.flatnonzero(among)
    chosen[candidates[np.argsort(-excess[candidates], kind="stable")[:n]]] = True
    return chosen


def predict_excess(
    response: Response, limits: Limits, among: Mask, change: Floats | Complex, tightening: Floats
) -> Floats:
    """Excess over each row after a change of the injections, by derivatives, (2B + E,): pu, currents in ratings.

    Of the facets of a current's circle the one that is broken most counts.

    Parameters
    ----------
    response, limits, tightening
        As of `linearise_limits`.
    among
        (2B + E,) limits that are asked for; that of the others is -inf.
    change
        (C,) kW, complex where reactive power changes too.
    """
    dv, di = response.by_p.along(change.real)
    if np.iscomplexobj(change):
        by_q = response.by_q.along(change.imag)
        dv, di = dv + by_q[0], di + by_q[1]
    n, excess = response.vm_pu.size, np.full(among.size, -np.inf)
    high, low, ends = (np.flatnonzero(part) for part in np.split(among, [n, 2 * n]))
    vm, now = response.vm_pu + dv, response.current_percent[ends]
    facets = 2.0 * np.pi * np.arange(FACETS)[:, None] / FACETS
    along = (np.exp(-1j * (np.angle(now) + facets)) * (now + di[ends])).real.max(axis=0)
    excess[high] = vm[high] - limits.max_vm_pu[high] + MARGIN_VM_PU + tightening[high]
    excess[n + low] = limits.min_vm_pu[low] - vm[low] + MARGIN_VM_PU + tightening[n + low]
    at = 2 * n + ends
    excess[at] = (along - limits.max_end_percent[ends] + MARGIN_PERCENT + tightening[at]) / 100.0
    return excess
