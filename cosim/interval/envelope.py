"""Envelopes of one interval: how much of what houses would do the wires carry, in any combination."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cosim.case.case import Case
from cosim.interval.bounds import Envelope, make_no_limits
from cosim.interval.rooms import Doers, Plan, list_doers
from grid_models.arrays import Floats, Ints
from grid_models.envelopes.corners import Background
from grid_models.envelopes.excess import list_excess
from grid_models.envelopes.solve import find_envelopes
from grid_models.envelopes.wires import Wires
from market.clipping import NO_LIMIT_WH, Rooms

_ROUNDING_WH = 1e-3

DIM_STEPS = 16

Dim = Callable[[float], Plan]
"""Plan of the same interval where devices get a share of what they ask for."""


def solve_envelope(case: Case, plan: Plan, dim: Dim) -> Envelope:
    """Envelope of the one interval of a plan, by the rule of the scenario.

    Where what houses do anyway breaks a limit, devices get one share of what they ask for, the largest in sixteenths
    with which nothing is broken, and the rest is shared out around that.
    """
    found = _solve(case, plan)
    if found.exists or not (plan.asked.cars_wh.any() or plan.asked.heat_pumps_wh.any()):
        return found
    plans = [dim(step / DIM_STEPS) for step in range(DIM_STEPS)]
    p_kw, q_kvar = (np.concatenate([getattr(each, name) for each in plans]) for name in ("anyway_kw", "q_kvar"))
    clean = (list_excess(case.engine.solve(p_kw, q_kvar), case.limits) <= 0.0).all(axis=1)
    for step in np.flatnonzero(clean)[::-1].tolist():
        found = _solve(case, plans[step])
        if found.exists:
            return _with_dimmed(found, plan, plans[step])
    return found


def _with_dimmed(found: Envelope, plan: Plan, dimmed: Plan) -> Envelope:
    """Envelope of dimmed orders, with what devices may take of what they asked for, and no offer beyond what it was."""
    made = found.limit._asdict()
    for name in ("cars_wh", "heat_pumps_wh"):
        asked, may = getattr(plan.asked, name)[0], getattr(dimmed.asked, name)[0]
        made[name] = np.where(may < asked, may, NO_LIMIT_WH)
    of_dimmed = np.where(dimmed.asked.surplus_wh > plan.asked.surplus_wh, dimmed.asked.surplus_wh, NO_LIMIT_WH)[0]
    made["surplus_wh"] = np.where(made["surplus_wh"] == NO_LIMIT_WH, of_dimmed, made["surplus_wh"])
    return found._replace(limit=Rooms(**made))


def _solve(case: Case, plan: Plan) -> Envelope:
    """Envelope of a plan, whose devices draw reactive power with what they take."""
    doers, n = list_doers(case, plan, plan.first), plan.asked.surplus_wh.shape[1]
    if doers.house.size == 0:
        flow = case.engine.solve(plan.anyway_kw, plan.q_kvar)
        return make_no_limits(n, exists=bool((list_excess(flow, case.limits) <= 0.0).all()))
    wires, others = Wires((case.engine,), case.limits), Background(plan.anyway_kw, plan.least_q_kvar)
    found = find_envelopes(wires, doers.as_customers(), others, case.scenario.market.envelope_rule)
    if not found.robust[0]:
        return make_no_limits(n, exists=False)
    stops = np.maximum(found.export_limit, found.import_limit)[0]
    return _share_out(case, plan, doers, found.export_kw[0] - found.import_kw[0], stops)


def _share_out(case: Case, plan: Plan, doers: Doers, room_kw: Floats, stops: Ints) -> Envelope:
    """Rooms of doers as limits of houses, in whole Wh, rounded down."""
    made = make_no_limits(plan.asked.surplus_wh.shape[1])
    wh = np.floor(room_kw * 1000.0 * case.interval_minutes / 60.0 + _ROUNDING_WH).astype(np.int64)
    for house, room, limit, stop in zip(*(c.tolist() for c in (doers.house, doers.room, wh, stops)), strict=True):
        asked, used = (int(rooms[room][0, house]) for rooms in (plan.asked, plan.used))
        if limit < used:
            made.limit[room][house], made.stops[room, house] = limit + asked - used, stop
    return made
