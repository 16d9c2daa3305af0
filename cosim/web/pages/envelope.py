"""The envelope of a house: how much more the wires would have carried from it, or to it, in the last interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.curtailment.feasible import find_binding_limit
from cosim.delivery.setpoints import metered_injections
from cosim.web.live.run import LiveRun
from cosim.web.pages.words import PlaceName, explain_reason, name_by_number
from grid_models.powerflow.verdicts import Judgement, check_limits, judge
from market.exchanges import Rows, with_conductor

STEPS_KW = np.arange(1.0, 31.0)
"""What is tried out on top of what was metered, kW."""


class Room(NamedTuple):
    """How much more in one direction: kW, and what binds beyond; empty where all that was tried is carried."""

    kw: float
    why: str


class Envelope(NamedTuple):
    """Room for what a house gives to the network, and for what it takes."""

    give: Room
    take: Room


class Envelopes:
    """Envelopes of houses in the last interval, each found once; elements are named as members see them."""

    def __init__(self, live: LiveRun, place: PlaceName) -> None:
        self._live, self._place, self._found = live, place, dict[int, tuple[int, Envelope]]()

    def find(self, house: int) -> Envelope | None:
        """Envelope of a house; None before the first interval since the server began, and in an outage."""
        last, case = self._live.last, self._live.case
        if last is None or last.chunk.event is not None:
            return None
        known = self._found.get(house)
        if known is None or known[0] != last.interval:
            meters = last.chunk.window.meters
            rooms = [find_room(case, meters, house, sign, self._place) for sign in (1.0, -1.0)]
            known = last.interval, Envelope(*rooms)
            self._found[house] = known
        return known[1]


def find_room(case: Case, meters: Rows, house: int, sign: float, place: PlaceName = name_by_number) -> Room:
    """How much more a house could give (`sign` 1) or take (-1) where its load is, beside these meters, (1, N)."""
    connections, loads = case.feeder.connections, case.load_reactive
    load_var = None if loads is None else loads.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, case.interval_minutes, connections, load_var)
    column = house if connections is None else int(connections.column("load")[house])
    before = 0.0
    for kw in STEPS_KW.tolist():  # one after the other: far beyond the limits there may be no solution, found slowly
        tried = p_kw.copy()
        tried[:, column] += sign * kw
        flow = case.engine.solve(tried, q_kvar)
        if judge(flow, case.limits).status[0] != Judgement.OK:
            reason, element, phase = find_binding_limit(check_limits(case.feeder, case.limits, flow, 0))
            return Room(before, explain_reason(with_conductor(reason, phase), element, place))
        before = kw
    return Room(before, "")
