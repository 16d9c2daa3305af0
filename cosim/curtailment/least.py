"""Least curtailment by successive linear programming (SLP) with a trust region.

Each round linearises the limits around the current AC state, solves a linear programme for the cheapest values of the
decision variables within the trust region, and has an AC power flow judge them. Every step is accepted that has an AC
solution; of the clean states on the way the one of least cost, the *incumbent*, is the result. There is no other merit
function: an unclean state counts for nothing but the next linearisation.

Law: a programme only decides what to change; whether the result is clean, an AC power flow decides.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np

from cosim.case.solve import linearise
from cosim.curtailment.cutting_planes import solve_by_rows
from cosim.curtailment.decision_variables import DecisionVariables, apply_values, make_decision_variables
from cosim.curtailment.programme import (
    SHRINK,
    ProgrammeSolution,
    back_off,
    find_binding,
    find_near_limits,
    make_no_tightening,
    make_region,
    possible_saving,
    update_region,
)
from cosim.curtailment.scope import list_scopes, with_purchases
from cosim.curtailment.search import Attempt, Found, Search, find_largest_clean
from grid_models.arrays import Floats
from grid_models.powerflow.verdicts import Judgement
from grid_models.response.response import Response
from market.exchanges import Reason
from market.settlement import Delivery

MAX_ROUNDS = 24
"""Linear programmes at most. Three or four are the rule; more where AC has no solution for the proposed values."""

MAX_HALVINGS = 3
"""Halvings of a step for which AC has no solution."""

COST_TOLERANCE = 0.002
"""The incumbent is the result when a programme around it promises to save no more than this share of its cost."""

RESTART_TOLERANCE = 0.004
"""The same after a restart from the incumbent: what is promised then is realised only in part."""


class _State(NamedTuple):
    """Decision values `x`, the linear response of the network around their AC state, and the result if it is clean.

    `response` is None where AC, or its derivative, has no solution.
    """

    x: Floats
    response: Response | None
    clean: Found | None


def least_curtailment(search: Search) -> Found | None:
    """Cheapest clean delivery by SLP; if no state on the way is clean, by bisection towards no exchange at all.

    The search ends when a programme around the incumbent promises too little. Where a programme around another state
    promises too little, it restarts at the incumbent: without a trust region if it is there already, otherwise with
    half the farthest distance it had gone, once for each incumbent.
    """
    variables, limits = make_decision_variables(search), search.problem.case.limits
    state = _find_start(search, variables)
    incumbent = state if state.clean else None
    least = np.inf if incumbent is None else float(variables.cost @ state.x)
    tightening = make_no_tightening(limits)
    working_set = np.zeros(tightening.size, dtype=bool)  # limits once near stay, or a programme would undo the last one
    bound = working_set.copy()
    region, farthest = make_region(state.x.size), 0.0
    solution = ProgrammeSolution(state.x, {}, feasible=False)
    at_vertex = restarted = gone_back = False
    for _ in range(MAX_ROUNDS):
        found = None
        if state.response is not None:
            if solution.feasible:
                tightening += back_off(state.response, limits)
            # Load is shed in deep undervoltage, where the multipliers of one state say little about the next.
            trusted = at_vertex and not state.x[variables.first_shed :].any()
            if trusted and possible_saving(solution, state.response, limits) <= COST_TOLERANCE * least:
                break
            working_set |= find_near_limits(state.response, limits)
            found = solve_by_rows(state.response, limits, working_set, variables, state.x, tightening, region, bound)
        tolerance = RESTART_TOLERANCE if restarted else COST_TOLERANCE
        if found is None or variables.cost @ found.x >= (1.0 - tolerance) * least:
            # Around an unclean state a programme may promise nothing although something could be saved.
            if incumbent is None or (restarted or region.is_unbounded() if state is incumbent else gone_back):
                break
            if state is incumbent:
                region = make_region(state.x.size)
            else:  # once for each incumbent: between houses that cost the same, more would save little
                region, gone_back = make_region(state.x.size, SHRINK * farthest), True
            state, restarted, at_vertex = incumbent, True, False
            tightening, farthest = make_no_tightening(limits), 0.0
            continue
        solution = found
        bound |= find_binding(solution, limits)
        proposed = _step_to(search, variables, state.x, solution.x)
        step = proposed.x - state.x
        at_vertex = proposed.x is solution.x and region.contains(step) and proposed.clean is not None
        region, state, restarted = update_region(region, step), proposed, False
        if incumbent is not None:
            farthest = max(farthest, float(np.abs(state.x - incumbent.x).max()))
        if state.clean:
            tightening = make_no_tightening(limits)
            if variables.cost @ state.x < least:
                incumbent, least = state, float(variables.cost @ state.x)
                gone_back, farthest = False, 0.0
    return _bisect_to_nothing(search, variables, state.x) if incumbent is None else incumbent.clean


def _find_start(search: Search, variables: DecisionVariables) -> _State:
    """Nothing curtailed, or where AC has no solution for that, the first quarter of all decision values that has."""
    p = search.problem
    if p.reason not in (Reason.NOT_SOLVED, Reason.CONTROL):
        return _State(np.zeros(variables.cost.size), linearise(p.case, p.meters), None)
    quarters = [share * variables.upper for share in (0.25, 0.5, 0.75, 1.0)]
    tried = search.try_all([apply_values(search, variables, x) for x in quarters])
    first = int(np.argmax(tried.flow.converged))
    return _make_state(search, quarters[first], tried, first)


def _make_state(search: Search, x: Floats, tried: Attempt, k: int = 0) -> _State:
    """State of the k-th delivery tried, which the decision values `x` led to."""
    found = tried.at(k)
    solved, clean = found.flow.converged[0], found.verdicts.status[0] == Judgement.OK
    response = linearise(search.problem.case, found.settlement.meters) if solved else None
    return _State(x, response, found if clean else None)


def _step_to(search: Search, variables: DecisionVariables, solved: Floats, x: Floats) -> _State:
    """State at the decision values `x`, or with the step from the values `solved` halved until AC has a solution."""
    for _ in range(1 + MAX_HALVINGS):
        state = _make_state(search, x, search.try_all([apply_values(search, variables, x)]))
        if state.response is not None:
            break
        x = 0.5 * (solved + x)
    return state


def _bisect_to_nothing(search: Search, variables: DecisionVariables, x: Floats) -> Found | None:
    """Least that is clean between the values `x` and none of a scope's exchanges; if need be, none of its load."""
    m, waiting, first = variables.rows.size, variables.first_waiting, variables.first_shed
    for scope in chain(with_purchases(search, list_scopes(search)), [search.everything]):
        cut, load = variables.upper[:m] * scope.exchanges[variables.rows], variables.upper[first:] * scope.houses
        waits = (variables.upper[waiting:first].reshape(-1, load.size) * scope.houses).reshape(-1)
        for shed in (x[first:], load):
            nothing = np.concatenate([cut, np.zeros(waiting - m), waits, shed])

            def deliver_between(share: float, nothing: Floats = nothing) -> Delivery:
                return apply_values(search, variables, nothing + share * (x - nothing))

            found = find_largest_clean(search, deliver_between)
            if found is not None:
                return found
    return None
