"""Curtail as little as possible: a linear programme on the sensitivities of the current AC state, until AC is clean.

The programme only decides what to change; an AC power flow decides whether the result is clean.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from cosim.case.solve import response_at
from cosim.curtailment.decision_variables import DecisionVariables, make_decision_variables, make_delivery
from cosim.curtailment.programme import (
    CLOSER,
    ProgrammeSolution,
    anywhere,
    back_off,
    box_around,
    excess,
    near,
    next_reach,
    no_distance,
    possible_gain,
    programme,
    solve_programme,
    within,
)
from cosim.curtailment.search import Attempt, Found, Search, largest_clean
from grid_models.arrays import Floats
from grid_models.powerflow.limits import Judgement
from grid_models.response.response import Response
from market.exchanges import Reason
from market.settlement import Delivery

ROUNDS = 24
"""Linear programmes at most. Three or four are the rule; many where AC has no solution for what is proposed."""

HALVINGS = 3
"""Steps back towards a solvable state where AC has no solution for what a programme proposes."""

GOOD_ENOUGH = 0.002
"""A clean delivery is taken when no more than this share of its cost could be saved."""

WORTH_A_RETURN = 0.004
"""The same once the programmes have gone by small steps, or away and back: they save less than they promise then."""


class _State(NamedTuple):
    """Lever values that AC was asked about, how the network answers to changes there, and what is found if clean.

    `response` is None where AC, or its derivative, has no solution.
    """

    x: Floats
    response: Response | None
    clean: Found | None


def least_curtailment(search: Search) -> Found | None:
    """Cheapest clean delivery: linearise, solve the programme, ask AC, until there is nothing to save; else bisect."""
    lever, limits = make_decision_variables(search), search.problem.case.limits
    at = _opening(search, lever)
    best = at if at.clean else None
    least = np.inf if best is None else float(lever.weight @ at.x)
    distance, known = no_distance(limits), None
    reach, farthest = anywhere(at.x.size), 0.0
    solution = ProgrammeSolution(at.x, {}, keeps=False)
    at_vertex = returned = gone_back = False
    for _ in range(ROUNDS):
        found = None
        if at.response is not None:
            if solution.keeps:
                distance += back_off(excess(at.response, limits), limits)
            # Load is shed in deep undervoltage, where prices of one state say little about the next.
            trusted = at_vertex and not at.x[lever.first_shed :].any()
            if trusted and possible_gain(solution, at.response, limits) <= GOOD_ENOUGH * least:
                break
            known = near(at.response, limits, known)
            constraints = programme(at.response, limits, known, lever.effect, at.x, distance)
            found = solve_programme(constraints, lever, box_around(at.x, reach, lever))
        enough = WORTH_A_RETURN if returned else GOOD_ENOUGH
        if found is None or lever.weight @ found.x >= (1.0 - enough) * least:
            # Around an unclean state a programme may promise nothing although something could be saved.
            if best is None or (returned or reach.is_anywhere() if at is best else gone_back):
                break
            if at is best:
                reach = anywhere(at.x.size)
            else:  # once for each clean delivery: between houses that cost the same more would save little
                reach, gone_back = within(CLOSER * farthest, at.x.size), True
            at, returned, at_vertex = best, True, False
            distance, farthest = no_distance(limits), 0.0
            continue
        solution = found
        then = _nearest_solved(search, lever, at.x, solution.x)
        free = then.x is solution.x and reach.is_inside(then.x - at.x)
        reach = next_reach(reach, then.x - at.x)
        at, returned, at_vertex = then, False, free and then.clean is not None
        if best is not None:
            farthest = max(farthest, float(np.abs(at.x - best.x).max()))
        if at.clean:
            distance = no_distance(limits)
            if lever.weight @ at.x < least:
                best, least = at, float(lever.weight @ at.x)
                gone_back, farthest = False, 0.0
    return _towards_nothing(search, lever, at.x) if best is None else best.clean


def _opening(search: Search, lever: DecisionVariables) -> _State:
    """Where to begin: no lever moved, or where AC has no solution then, the first quarter that has."""
    p = search.problem
    if p.reason not in (Reason.NOT_SOLVED, Reason.CONTROL):
        return _State(np.zeros(lever.weight.size), response_at(p.case, p.meters), None)
    quarters = [share * lever.largest for share in (0.25, 0.5, 0.75, 1.0)]
    tried = search.try_all([make_delivery(search, lever, x) for x in quarters])
    first = int(np.argmax(tried.flow.converged))
    return _state(search, quarters[first], tried, first)


def _state(search: Search, x: Floats, tried: Attempt, k: int = 0) -> _State:
    """State of the k-th delivery that was tried, which the lever values `x` led to."""
    found = tried.at(k)
    solved, clean = found.flow.converged[0], found.verdicts.status[0] == Judgement.OK
    response = response_at(search.problem.case, found.settlement.meters) if solved else None
    return _State(x, response, found if clean else None)


def _nearest_solved(search: Search, lever: DecisionVariables, solved: Floats, x: Floats) -> _State:
    """The lever values `x`, or half way back, and half of that, towards values that AC can solve."""
    for _ in range(1 + HALVINGS):
        state = _state(search, x, search.try_all([make_delivery(search, lever, x)]))
        if state.response is not None:
            break
        x = 0.5 * (solved + x)
    return state


def _towards_nothing(search: Search, lever: DecisionVariables, x: Floats) -> Found | None:
    """Between the last programme's cuts and no exchange at all, the least that is clean; no load either, if need be."""
    m, first = lever.rows.size, lever.first_shed
    for shed in (x[first:], lever.largest[first:]):
        everything = np.concatenate([lever.largest[:m], np.zeros(first - m), shed])
        found = largest_clean(search, partial(_between, search, lever, everything, x))
        if found is not None:
            return found
    return None


def _between(
    search: Search, lever: DecisionVariables, everything: Floats, x: Floats, share: float
) -> Delivery:
    return make_delivery(search, lever, everything + share * (x - everything))
