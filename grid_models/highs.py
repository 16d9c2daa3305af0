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
def _solver() -> Any:
    """The one solver of the process; every programme replaces the one before and its basis."""
    solver = _Silent()
    solver.setOptionValue("output_flag", False)  # for versions that enable no callbacks during construction
    # Presolving a programme of this size takes longer than solving it.
    solver.setOptionValue("presolve", "off")
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
    m, n = matrix.shape
    # Coefficients of pu per kW are small; unscaled, multipliers get so large that HiGHS fails without its presolve.
    scale = 1.0 / np.maximum(np.abs(matrix).max(axis=1, initial=0.0), NEGLIGIBLE)
    matrix, bound = matrix * scale[:, None], bound * scale
    row, column = np.nonzero(matrix)
    starts = np.searchsorted(row, np.arange(m + 1)).astype(np.int32)
    solver = _solver()
    solver.passModel(  # arrays as they are: a `HighsLp` takes them number by number
        *(n, m, row.size, int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0),
        *(cost, lower, upper, np.full(m, -np.inf), bound),
        *(starts, column.astype(np.int32), matrix[row, column]),
        np.zeros(n, np.int32),  # no integers
    )
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    multipliers[binding] = -np.array(solution.row_dual) * scale
    return Optimum(np.array(solution.col_value), multipliers)


def _find_rows_that_can_bind(matrix: Floats, bound: Floats, lower: Floats, upper: Floats) -> Places:
    """Rows that some values between `lower` and `upper` break; most facets of a current's circle are none of them."""
    # Split by sign, because 0 times an infinite bound is NaN.
    most = np.maximum(matrix, 0.0) @ np.minimum(upper, _LARGE) + np.minimum(matrix, 0.0) @ lower
    return np.flatnonzero(~(most <= bound))  # a row with NaN is kept: such a programme has no optimum
