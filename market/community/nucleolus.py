"""The nucleolus of a game by a sequence of linear programmes, made exact.

Schmeidler (1969): among all ways to share the worth of all, the one whose excesses, sorted from the largest, are
smallest in the order of a dictionary. Each programme makes the largest excess that is still open as small as it can be
(Kopelowitz 1967; Maschler, Peleg and Shapley 1979). Coalitions with a dual value above zero are tight in every optimum
and are settled with it. After at most n - 1 programmes the settled ones determine all shares: a linear system with
whole coefficients, solved in fractions, and held against every coalition in fractions.

It is the prenucleolus: no member's share is forced to be at least what it is worth alone. Where the game is such that
members can all have that and more, as all of communities here, both are the same.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from market.community.gains import Shares, find_excesses
from market.community.games import Game, list_memberships
from market.errors import MarketError
from market.exchanges import Ints

MOST_MEMBERS = 12
"""Of a game whose nucleolus is looked for: a programme has a row for each of 4,096 coalitions then."""
TIGHT = 1e-7
"""Dual value from which on a coalition is tight; duals of a programme sum to 1."""


class Nucleolus(NamedTuple):
    """The nucleolus: each member's share, exact, (n,), nEUR, and the largest excess of each programme, falling."""

    shares: Shares
    levels_neur: tuple[Fraction, ...]


def find_nucleolus(game: Game) -> Nucleolus:
    """Find the nucleolus of a game.

    Raises
    ------
    MarketError
        If it has more than 12 members, or its coalitions are too close to one another to be told apart.

    Examples
    --------
    >>> from market.community.games import make_game
    >>> [float(share) for share in find_nucleolus(make_game(("ann", "bob"), (0, 1, 2, 6).__getitem__)).shares]
    [2.5, 3.5]
    """
    n = len(game.names)
    if n > MOST_MEMBERS:
        raise MarketError(
            f"nucleolus: expected at most {MOST_MEMBERS} members, got {n}; take the Shapley value, or fewer members"
        )
    member = list_memberships(n)
    settled: list[tuple[int, int]] = []  # coalition, and the programme that settled it
    span = member[-1:]
    n_programmes = 0
    while (open_ := _find_open(member, span)).size:
        tight = _solve_programme(game, member, open_, settled)
        settled += [(int(coalition), n_programmes) for coalition in tight]
        span = member[[game.everybody, *(coalition for coalition, _ in settled)]]
        n_programmes += 1
    found = _solve_exactly(game, member, settled, n_programmes)
    _check_levels(game, member, settled, found)
    return found


def _find_open(member: Ints, span: Ints) -> Ints:
    """Coalitions, not nobody, whose share does not follow from the settled ones and the whole."""
    null = _find_null_space(span)
    return np.flatnonzero((member @ null != 0).any(axis=1)) if null.shape[1] else np.zeros(0, np.int64)


def _find_null_space(rows: Ints) -> Ints:
    """Whole vectors that span the null space of whole rows, (n, dimension)."""
    reduced, pivots = _eliminate([[Fraction(int(value)) for value in row] for row in rows], rows.shape[1])
    free = [column for column in range(rows.shape[1]) if column not in pivots]
    vectors = []
    for column in free:
        vector = [Fraction(0)] * rows.shape[1]
        vector[column] = Fraction(1)
        for row, pivot in enumerate(pivots):
            vector[pivot] = -reduced[row][column]
        scale = int(np.lcm.reduce([value.denominator for value in vector]))
        vectors.append([int(value * scale) for value in vector])
    return np.array(vectors, np.int64).reshape(len(free), rows.shape[1]).T


def _eliminate(rows: list[list[Fraction]], n_columns: int) -> tuple[list[list[Fraction]], list[int]]:
    """Reduced row echelon form by the first columns, and its pivots."""
    pivots: list[int] = []
    for column in range(n_columns):
        place = len(pivots)
        found = next((k for k in range(place, len(rows)) if rows[k][column]), None)
        if found is None:
            continue
        rows[place], rows[found] = rows[found], rows[place]
        head = rows[place][column]
        rows[place] = [value / head for value in rows[place]]
        for k in range(len(rows)):
            if k != place and rows[k][column]:
                factor = rows[k][column]
                rows[k] = [value - factor * by for value, by in zip(rows[k], rows[place], strict=True)]
        pivots.append(column)
    return rows, pivots


def _solve_programme(game: Game, member: Ints, open_: Ints, settled: list[tuple[int, int]]) -> Ints:
    """Coalitions that are tight where the largest open excess is as small as it can be.

    Unknown are the shares and that excess; worths are scaled to at most 1.
    """
    scale = max(abs(worth) for worth in game.worth_neur) or 1
    worth = np.array([value / scale for value in game.worth_neur])
    levels = max((programme for _, programme in settled), default=-1) + 1
    n, n_fixed = member.shape[1], len(settled)
    fixed = np.zeros((n_fixed + 1, n + levels + 1))
    fixed[0, :n] = 1.0
    for row, (coalition, programme) in enumerate(settled, 1):
        fixed[row, :n], fixed[row, n + programme] = member[coalition], 1.0
    right = worth[[game.everybody, *(coalition for coalition, _ in settled)]]
    rows = np.hstack([-member[open_], np.zeros((open_.size, levels)), -np.ones((open_.size, 1))])
    aim = np.zeros(n + levels + 1)
    aim[-1] = 1.0
    # levels of earlier programmes are unknowns that their own rows determine
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * aim.size
    if levels:
        known = _solve_exactly(game, member, settled, levels, partial=True).levels_neur
        bounds[n : n + levels] = [(float(level / scale),) * 2 for level in known]
    found = linprog(aim, rows, -worth[open_], fixed, right, bounds, method="highs-ds")
    if found.status != 0:
        raise MarketError(f"nucleolus: expected a programme that can be solved, got: {found.message}")
    duals: npt.NDArray[np.float64] = -np.asarray(found.ineqlin.marginals)
    return open_[duals > TIGHT]


def _solve_exactly(
    game: Game, member: Ints, settled: list[tuple[int, int]], n_levels: int, *, partial: bool = False
) -> Nucleolus:
    """Shares and levels from the settled coalitions, in fractions; `partial` asks for levels alone.

    Raises
    ------
    MarketError
        If they do not determine them, or contradict one another.
    """
    n = member.shape[1]
    rows = [[Fraction(1)] * n + [Fraction(0)] * n_levels + [Fraction(game.worth_neur[game.everybody])]]
    for coalition, programme in settled:
        row = [Fraction(int(value)) for value in member[coalition]] + [Fraction(0)] * n_levels
        row[n + programme] = Fraction(1)
        rows.append([*row, Fraction(game.worth_neur[coalition])])
    reduced, pivots = _eliminate(rows, n + n_levels)
    values = {pivot: reduced[k][-1] for k, pivot in enumerate(pivots)}
    loose = any(any(row[:-1]) is False and row[-1] for row in reduced)
    wanted = range(n, n + n_levels) if partial else range(n + n_levels)
    free = {column for column in range(n + n_levels) if column not in values}
    depends = any(reduced[pivots.index(column)][other] for column in wanted if column in values for other in free)
    if loose or depends or any(column not in values for column in wanted):
        raise MarketError("nucleolus: expected coalitions that determine it, got worths too close to be told apart")
    levels = tuple(values[n + k] for k in range(n_levels))
    return Nucleolus(tuple(values.get(i, Fraction(0)) for i in range(n)), levels)


def _check_levels(game: Game, member: Ints, settled: list[tuple[int, int]], found: Nucleolus) -> None:
    """Hold every coalition against the level of the first programme in which it was open, and levels against order."""
    excesses = find_excesses(game, found.shares)
    span = member[-1:]
    for programme, level in enumerate(found.levels_neur):
        open_ = _find_open(member, span)
        own = [coalition for coalition, of in settled if of == programme]
        if max(excesses[k] for k in open_.tolist()) != level or any(excesses[k] != level for k in own):
            raise MarketError("nucleolus: expected coalitions that are told apart, got worths too close to one another")
        span = np.vstack([span, member[own]])
