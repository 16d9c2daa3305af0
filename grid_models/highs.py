"""Linear programmes by HiGHS (Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5), called directly.

A curtailed interval solves a few small programmes; `scipy.optimize.linprog` takes several times as long to pass one on
as HiGHS takes to solve it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import highspy
import numpy as np

from grid_models.arrays import Floats, Places


class Optimum(NamedTuple):
    """Values (n,), and the Lagrange multiplier of each row (m,), at least 0: cost saved per unit of its bound."""

    x: Floats
    multipliers: Floats


class _Silent(highspy.Highs):  # type: ignore[misc] # highspy has no types
    """HiGHS 1.16 prints a banner while it is constructed, into the JSON that a command writes to standard output."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Called during construction, before anything is printed."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


@cache
def _solver(*, scaled: bool = False) -> Any:
    """The one solver of the process, and one more for programmes that are scaled as they should be.

    Every programme replaces the one before and its basis.
    """
    solver = _Silent()
    solver.setOptionValue("output_flag", False)  # for versions that enable no callbacks during construction
    # Presolving a programme of this size takes longer than solving it.
    solver.setOptionValue("presolve", "off")
    if scaled:
        solver.setOptionValue("simplex_scale_strategy", 0)
    return solver


_LARGE = 1e30
"""In place of an infinite upper bound."""

NEGLIGIBLE = 1e-6
"""Rows are scaled by their largest coefficient, but by no smaller number than this."""


def minimise(cost: Floats, matrix: Floats, bound: Floats, upper: Floats, lower: Floats | float = 0.0) -> Optimum | None:
    """Minimise cost·x subject to matrix·x <= bound and lower <= x <= upper; None where that is infeasible.

    Parameters
    ----------
    cost, upper, lower
        (n,); `upper` may be infinite, `lower` one number for all.
    matrix, bound
        (m, n) and (m,).

    Examples
    --------
    >>> best = minimise(np.array([1.0, 3.0]), np.array([[-1.0, -1.0]]), np.array([-5.0]), np.array([4.0, 9.0]))
    >>> best.x.tolist(), best.multipliers.tolist()
    ([4.0, 1.0], [3.0])
    """
    multipliers = np.zeros(bound.size)
    lower = np.zeros(cost.size) + lower
    binding = _find_rows_that_can_bind(matrix, bound, lower, upper)
    matrix, bound = matrix[binding], bound[binding]
    scale, solver = _find_scale(matrix), _solver()
    _pass(solver, cost, matrix * scale[:, None], bound * scale, (lower, upper))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    multipliers[binding] = -np.array(solution.row_dual) * scale
    return Optimum(np.array(solution.col_value), multipliers)


def _pass(solver: Any, cost: Floats, matrix: Floats, bound: Floats, between: tuple[Floats, Floats]) -> None:
    """Pass a programme; arrays as they are: a `HighsLp` takes them number by number."""
    starts, column, value = _make_rows(matrix)
    solver.passModel(
        *(cost.size, bound.size, value.size, int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0),
        *(cost, *between, np.full(bound.size, -np.inf), bound),
        *(starts, column, value),
        np.zeros(cost.size, np.int32),  # no integers
    )


def _make_rows(matrix: Floats) -> tuple[Any, Any, Floats]:
    """Where each row begins, (m + 1,), and columns and values of its entries."""
    row, column = np.nonzero(matrix)
    return (
        np.searchsorted(row, np.arange(len(matrix) + 1)).astype(np.int32),
        column.astype(np.int32),
        matrix[row, column],
    )


FEWER_ROWS = 48
"""Rows that a programme begins with, and that it gets more at a time."""

KEPT = 1e-8
"""By so much a row may be broken that is left out."""


def minimise_by_few_rows(
    cost: Floats, matrix: Floats, bound: Floats, upper: Floats, lower: Floats, near: Floats
) -> Floats | None:
    """Values, (n,), of `minimise` where many more rows than columns are asked for; None where that is infeasible.

    Rows that are closest to their bounds at `near`, (n,), come first, then those that each solution breaks, until there
    is none: so the optimum is that of all rows (cutting planes, Kelley 1960, doi:10.1137/0108053).

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> most = np.full(2, 9.0)
    >>> minimise_by_few_rows(-np.ones(2), rows, np.array([2.0, 3.0, 4.0]), most, 0.0 * most, 0.0 * most).sum()
    np.float64(4.0)
    """
    solver, beyond, used = _solver(scaled=True), matrix @ near - bound, np.zeros(bound.size, dtype=bool)
    new = _find_largest(beyond, FEWER_ROWS)
    scale = _find_scale(matrix[new])
    _pass(solver, cost, matrix[new] * scale[:, None], bound[new] * scale, (lower, upper))
    while True:
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        used[new] = True
        found: Floats = np.array(solver.getSolution().col_value)
        beyond = np.where(used, -np.inf, matrix @ found - bound)
        new = _find_largest(beyond, FEWER_ROWS)
        new = new[beyond[new] > KEPT]
        if new.size == 0:
            return found
        scale = _find_scale(matrix[new])
        starts, column, value = _make_rows(matrix[new] * scale[:, None])
        solver.addRows(new.size, np.full(new.size, -np.inf), bound[new] * scale, value.size, starts[:-1], column, value)


def _find_largest(values: Floats, n: int) -> Places:
    """Places of the n largest values, in their order."""
    if n >= values.size:
        return np.arange(values.size)
    return np.sort(np.argpartition(values, values.size - n)[values.size - n :])


def _find_scale(matrix: Floats) -> Floats:
    """What makes the largest coefficient of each row 1.

    Coefficients of pu per kW are small; unscaled, multipliers get so large that HiGHS fails without its presolve.
    """
    return np.asarray(1.0 / np.maximum(np.abs(matrix).max(axis=1, initial=0.0), NEGLIGIBLE))


def _find_rows_that_can_bind(matrix: Floats, bound: Floats, lower: Floats, upper: Floats) -> Places:
    """Rows that some values between `lower` and `upper` break; most facets of a current's circle are none of them."""
    # Split by sign, because 0 times an infinite bound is NaN.
    most = np.maximum(matrix, 0.0) @ np.minimum(upper, _LARGE) + np.minimum(matrix, 0.0) @ lower
    return np.flatnonzero(~(most <= bound))  # a row with NaN is kept: such a programme has no optimum
