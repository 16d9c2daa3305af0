"""Linear programmes by HiGHS (Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5), without modelling layers.

A repaired interval solves a few small programmes; `scipy.optimize.linprog` takes several times as long to hand one over
as HiGHS takes to solve it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats


class Optimum(NamedTuple):
    """Values (n,), and the marginal cost of each bound (m,), 0 or positive: what one unit more of room would save."""

    x: Floats
    price: Floats


class _Silent(highspy.Highs):  # type: ignore[misc] # highspy has no types
    """HiGHS 1.16 prints who it is while it is made, into the JSON that a command writes to standard output."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Called as it is made; nothing is printed before."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


@cache
def _solver() -> Any:
    """The process's solver; every programme replaces the one before and its basis."""
    solver = _Silent()
    solver.setOptionValue("output_flag", False)  # where it enables no callbacks as it is made
    # Presolving a programme of this size takes longer than solving it.
    solver.setOptionValue("presolve", "off")
    return solver


_MANY = 1e30
"""In place of no upper bound at all."""

NEGLIGIBLE = 1e-6
"""Rows with no larger coefficient are not scaled up any more."""


def minimise(
    cost: Floats, matrix: Floats, bound: Floats, largest: Floats, smallest: Floats | float = 0.0
) -> Optimum | None:
    """Minimise cost·x subject to matrix·x <= bound and smallest <= x <= largest; None where nothing keeps them.

    Parameters
    ----------
    cost, largest, smallest
        (n,); `largest` may be infinite, `smallest` one number for all.
    matrix, bound
        (m, n) and (m,).

    Examples
    --------
    >>> best = minimise(np.array([1.0, 3.0]), np.array([[-1.0, -1.0]]), np.array([-5.0]), np.array([4.0, 9.0]))
    >>> best.x.tolist(), best.price.tolist()
    ([4.0, 1.0], [3.0])
    """
    every = matrix.shape[0]
    smallest = np.zeros(cost.size) + smallest
    binds = _can_bind(matrix, bound, smallest, largest)
    matrix, bound = matrix[binds], bound[binds]
    m, n = matrix.shape
    # Coefficients of pu per kW are small; unscaled, prices grow so large that HiGHS gives up without its presolve.
    scale = 1.0 / np.maximum(np.abs(matrix).max(axis=1, initial=0.0), NEGLIGIBLE)
    matrix, bound = matrix * scale[:, None], bound * scale
    row, column = np.nonzero(matrix)
    starts = np.searchsorted(row, np.arange(m + 1)).astype(np.int32)
    solver = _solver()
    solver.passModel(  # arrays as they are: a `HighsLp` takes them number by number
        *(n, m, row.size, int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0),
        *(cost, smallest, largest, np.full(m, -np.inf), bound),
        *(starts, column.astype(np.int32), matrix[row, column]),
        np.zeros(n, np.int32),  # no integers
    )
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    price = np.zeros(every)
    price[binds] = -np.array(solution.row_dual) * scale
    return Optimum(np.array(solution.col_value), price)


def _can_bind(matrix: Floats, bound: Floats, smallest: Floats, largest: Floats) -> npt.NDArray[np.intp]:
    """Rows that some values within their bounds could break; most facets of a current's circle are none of them."""
    # Split by sign: 0 times a bound that is infinite is no number.
    most = np.maximum(matrix, 0.0) @ np.minimum(largest, _MANY) + np.minimum(matrix, 0.0) @ smallest
    return np.flatnonzero(~(most <= bound))  # a row that is no number is kept, and has no optimum
