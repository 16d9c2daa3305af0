"""Envelopes of one interval: how much of what houses would do the wires carry, in any combination."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.interval.rooms import Doers, Plan, Plans, list_doers
from grid_models.arrays import Floats, Ints
from grid_models.envelopes.corners import Background
from grid_models.envelopes.solve import find_envelopes
from grid_models.envelopes.wires import Wires
from market.clipping import NO_LIMIT_WH, Rooms

_ROUNDING_WH = 1e-3


class Envelope(NamedTuple):
    """Envelope of an interval.

    Attributes
    ----------
    limit
        Rooms of the houses, (N,) Wh; `NO_LIMIT_WH` where the network does not stop a house.
    stops
        What stops each, (5, N): number of a limit as in `grid_models.envelopes.excess`; -1 where nothing does.
    exists
        Whether there is one: not where what houses do anyway breaks a limit. Then nothing is clipped.
    """

    limit: Rooms
    stops: Ints
    exists: bool = True

    @property
    def binds(self) -> bool:
        """Whether anybody is kept from something."""
        return any((limit != NO_LIMIT_WH).any() for limit in self.limit)


def make_no_limits(n: int, *, exists: bool = True) -> Envelope:
    """Envelope that keeps nobody from anything."""
    return Envelope(Rooms(*(np.full(n, NO_LIMIT_WH) for _ in Rooms._fields)), np.full((5, n), -1), exists)


def solve_envelope(case: Case, plans: Plans) -> Envelope:
    """Envelope of the one interval of its plans, by the rule of the scenario.

    Where what houses do anyway breaks a limit, devices may be kept from what they should not miss, too.
    """
    found = _solve(case, plans.wait)
    if found.exists or np.array_equal(plans.wait.anyway_kw, plans.forgo.anyway_kw):
        return found
    return _solve(case, plans.forgo)


def _solve(case: Case, plan: Plan) -> Envelope:
    doers, n = list_doers(case, plan), plan.asked.surplus_wh.shape[1]
    wires, others = Wires((case.engine,), case.limits), Background(plan.anyway_kw, plan.q_kvar)
    found = find_envelopes(wires, doers.as_customers(), others, case.scenario.market.envelope_rule)
    if not found.robust[0]:
        return make_no_limits(n, exists=False)
    room_kw, stops = found.export_kw[0] - found.import_kw[0], np.maximum(found.export_limit, found.import_limit)[0]
    return _share_out(case, plan, doers, room_kw, stops)


def _share_out(case: Case, plan: Plan, doers: Doers, room_kw: Floats, stops: Ints) -> Envelope:
    """Rooms of doers as limits of houses, in whole Wh, rounded down."""
    made = make_no_limits(plan.asked.surplus_wh.shape[1])
    wh = np.floor(room_kw * 1000.0 * case.interval_minutes / 60.0 + _ROUNDING_WH).astype(np.int64)
    for house, room, limit, stop in zip(*(c.tolist() for c in (doers.house, doers.room, wh, stops)), strict=True):
        asked, used = (int(rooms[room][0, house]) for rooms in (plan.asked, plan.used))
        if limit < used:
            made.limit[room][house], made.stops[room, house] = limit + asked - used, stop
    return made
