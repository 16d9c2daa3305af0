"""Curtail as little as possible: a linear programme on the sensitivities of the current AC state, until AC is clean.

The programme only decides what to change; an AC power flow decides whether the result is clean.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from cosim.curtailment_programme import (
    Solution,
    back_off,
    box_around,
    excess,
    near,
    next_move,
    no_distance,
    possible_gain,
    programme,
    solve_programme,
)
from cosim.curtailment_search import Attempt, Found, Search, largest_clean
from cosim.levers import Levers, delivery_of, levers
from cosim.reactive import response_at
from grid_models.kernel import Floats
from market.exchanges import Reason, Rows
from market.settlement import Delivery, as_cleared, settle

ROUNDS = 24
"""Linear programmes at most. Three or four are the rule; many where AC has no solution for what is proposed."""

HALVINGS = 3
"""Steps back towards a solvable state where AC has no solution for what a programme proposes."""

GOOD_ENOUGH = 0.0005
"""A clean delivery is taken when no more than this share of its cost could be saved."""


def least_curtailment(search: Search) -> Found | None:
    """Cheapest clean delivery: linearise, solve the programme, ask AC, until there is nothing to save; else bisect."""
    p = search.problem
    lever, limits = levers(search), p.case.limits
    x, meters = _opening(search, lever)
    distance, known = no_distance(limits), None
    move, step = np.full_like(x, np.inf), np.zeros_like(x)
    best: Found | None = None
    least = float(np.inf)
    solution, at_vertex = Solution(x, {}, keeps=False), False
    for _ in range(ROUNDS):
        response = response_at(p.case, meters)
        if response is None:
            break
        if solution.keeps:
            distance += back_off(excess(response, limits), limits)
        if at_vertex and possible_gain(solution, response, limits) <= GOOD_ENOUGH * least:
            break
        known = near(response, limits, known)
        constraints = programme(response, limits, known, lever.effect, x, distance)
        found = solve_programme(constraints, lever, box_around(x, move, lever))
        if found is None or lever.weight @ found.x >= (1.0 - GOOD_ENOUGH) * least:
            break
        solution = found
        solved, tried = _nearest_solved(search, lever, x, solution.x)
        free = solved is solution.x and bool(np.all(np.abs(solved - x) < move))
        move, step = next_move(move, solved - x, step), solved - x
        x, meters = solved, tried.settlements[0].meters
        at_vertex = free and bool(tried.clean()[0])
        if tried.clean()[0]:
            distance = no_distance(limits)
            if lever.weight @ x < least:
                best, least = Found(tried.settlements[0], tried.flow), float(lever.weight @ x)
    return best or _towards_nothing(search, lever, x)


def _opening(search: Search, lever: Levers) -> tuple[Floats, Rows]:
    """Lever values and meters to begin at: none moved, or where AC has no solution then, the first quarter that has."""
    p = search.problem
    if p.reason not in (Reason.NOT_SOLVED, Reason.CONTROL):
        as_is = settle(as_cleared(p.rows, p.orders.need_wh.size), p.orders, p.state, p.case.rules)
        return np.zeros(lever.weight.size), as_is.meters
    quarters = [share * lever.largest for share in (0.25, 0.5, 0.75, 1.0)]
    tried = search.try_all([delivery_of(search, lever, x) for x in quarters])
    first = int(np.argmax(tried.flow.converged))
    return quarters[first], tried.settlements[first].meters


def _nearest_solved(search: Search, lever: Levers, solved: Floats, x: Floats) -> tuple[Floats, Attempt]:
    """The lever values `x`, or half way back, and half of that, towards values that AC can solve."""
    tried = search.try_all([delivery_of(search, lever, x)])
    for _ in range(HALVINGS):
        if tried.flow.converged[0]:
            break
        x = 0.5 * (solved + x)
        tried = search.try_all([delivery_of(search, lever, x)])
    return x, tried


def _towards_nothing(search: Search, lever: Levers, x: Floats) -> Found | None:
    """Between the last programme's cuts and no exchange at all, the least that is clean; no load either, if need be."""
    m, n = lever.rows.size, lever.absorbs.shape[0]
    for shed in (x[m + n :], lever.largest[m + n :]):
        everything = np.concatenate([lever.largest[:m], np.zeros(n), shed])
        found = largest_clean(search, partial(_between, search, lever, everything, x))
        if found is not None:
            return found
    return None


def _between(search: Search, lever: Levers, everything: Floats, x: Floats, share: float) -> Delivery:
    return delivery_of(search, lever, everything + share * (x - everything))
