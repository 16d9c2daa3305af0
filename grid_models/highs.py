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
    """HiGHS 1.16 prints a banner while it is constructed, into the JSON that a command writes to standard output.

    `programme` is the one whose rows and basis it holds.
    """

    programme: Programme | None = None

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
    # Presolving a programme of this size takes longer than solving it, and so does counting the machine's cores.
    solver.setOptionValue("presolve", "off")
    solver.setOptionValue("threads", 1)
    if scaled:
        solver.setOptionValue("simplex_scale_strategy", 0)
        # The exact weights of a basis that is handed over (strategy 2) take longer than the steps that they save.
        solver.setOptionValue("simplex_dual_edge_weight_strategy", 1)
    return solver


_LARGE = 1e30
"""In place of an infinite upper bound."""

NEGLIGIBLE = 1e-6
"""Rows are scaled by their largest coefficient, but by no smaller number than this."""


class Programme:
    """Minimise cost·x subject to lower <= x <= upper and to rows matrix·x <= bound, of which more can be added.

    A solution starts from the one before: its basis stays optimal but for the rows that it breaks, which takes the
    dual simplex method a few steps (Koberstein 2005, "The dual simplex method", ch. 2).

    Parameters
    ----------
    cost, upper, lower
        (n,); `upper` may be infinite, `lower` one number for all.
    scaled
        Whether HiGHS takes the rows as they are, which are scaled here, and scales no columns.
    changing
        Whether bounds are to change: then no row is left out, and the basis is kept while others are solved.

    Examples
    --------
    >>> programme = Programme(np.array([1.0, 3.0]), np.array([4.0, 9.0]))
    >>> programme.add_rows(np.array([[-1.0, -1.0]]), np.array([-5.0]))
    >>> programme.solve().x.tolist()
    [4.0, 1.0]
    >>> programme.add_rows(np.array([[1.0, 0.0]]), np.array([2.0]))
    >>> programme.solve().x.tolist(), programme.solve().multipliers.tolist()
    ([2.0, 3.0], [3.0, 2.0])
    """

    def __init__(
        self,
        cost: Floats,
        upper: Floats,
        lower: Floats | float = 0.0,
        *,
        scaled: bool = False,
        changing: bool = False,
    ) -> None:
        self._cost, self._upper, self._lower, self._scaled = cost, upper, np.zeros(cost.size) + lower, scaled
        self._changing, self._n_in_basis = changing, 0
        self._basis: Any = None
        self._rows: list[tuple[Any, ...]] = []
        self._n_passed = self._n_rows = 0
        self._is_finite = bool(np.isfinite(cost).all())  # HiGHS may search for ever else, or lose a row
        self._place, self._scale = np.zeros(0, np.int64), np.zeros(0)

    def add_rows(self, matrix: Floats, bound: Floats) -> None:
        """Add rows matrix·x <= bound, (m, n) and (m,)."""
        binding = np.arange(bound.size)
        if not self._changing:
            binding = _find_rows_that_can_bind(matrix, bound, self._lower, self._upper)
        matrix, m = matrix[binding], binding.size
        if not np.isfinite(matrix).all():
            self._is_finite = False
            return
        # Coefficients of pu per kW are small; unscaled, multipliers get so large that HiGHS fails without its presolve.
        scale = 1.0 / np.maximum(np.abs(matrix).max(axis=1, initial=0.0), NEGLIGIBLE)
        matrix = matrix * scale[:, None]
        row, column = np.nonzero(matrix)
        starts = np.searchsorted(row, np.arange(m)).astype(np.int32)
        bounds = np.full(m, -np.inf), bound[binding] * scale
        self._rows.append((m, *bounds, row.size, starts, column.astype(np.int32), matrix[row, column]))
        self._place = np.concatenate([self._place, self._n_rows + binding])
        self._scale = np.concatenate([self._scale, scale])
        self._n_rows += bound.size

    def change_bounds(self, bound: Floats, upper: Floats, lower: Floats) -> None:
        """Other bounds of all rows so far, (m,), and of the values, (n,); the basis of the last solution stays."""
        self._upper, self._lower, first = upper, lower, 0
        for k, (m, least, _, *entries) in enumerate(self._rows):
            here = slice(first, first + m)
            self._rows[k] = (m, least, bound[here] * self._scale[here], *entries)
            first += m
        self._n_passed = -1

    def solve(self) -> Optimum | None:
        """Optimum of all rows so far; None where that is infeasible, or something is no finite number."""
        solver = _solver(scaled=self._scaled)
        if not self._is_finite or not self._pass_on(solver):
            return None
        if solver.run() == highspy.HighsStatus.kError:  # other users of HiGHS in this process have started more threads
            solver.setOptionValue("threads", 0)
            solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        if self._changing:
            self._basis, self._n_in_basis = solver.getBasis(), len(self._rows)
        solution = solver.getSolution()
        multipliers = np.zeros(self._n_rows)
        multipliers[self._place] = -np.array(solution.row_dual) * self._scale
        return Optimum(np.array(solution.col_value), multipliers)

    def _pass_on(self, solver: Any) -> bool:
        """Pass on what the solver does not have yet; whether it takes that, which it does not of NaN."""
        if solver.programme is not self or self._n_passed < 0:  # it has solved another one since
            solver.programme, self._n_passed = self, 0
            n, none, no_places = self._cost.size, np.zeros(0), np.zeros(0, np.int32)
            solver.passModel(  # arrays as they are: a `HighsLp` takes them number by number
                *(n, 0, 0, int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0),
                *(self._cost, self._lower, self._upper, none, none),
                *(np.zeros(1, np.int32), no_places, none),
                np.zeros(n, np.int32),  # no integers
            )
        for rows in self._rows[self._n_passed :]:
            if solver.addRows(*rows) == highspy.HighsStatus.kError:
                return False
            self._n_passed += 1
            if self._basis is not None and self._n_passed == self._n_in_basis:
                solver.setBasis(self._basis)
        return True


FEWER_ROWS = 96
"""Rows that a programme begins with, and that it gets more at a time."""

KEPT = 1e-8
"""By so much a row may be broken that is left out."""


class ManyRows:
    """Minimise cost·x again and again, by the same rows matrix·x <= bound, many more than columns, with other bounds.

    Rows that are closest to their bounds come first, then those that each solution breaks, until there is none: so the
    optimum is that of all rows (cutting planes, Kelley 1960, doi:10.1137/0108053). With other bounds the rows that it
    has already come first, from the basis that it has.

    Parameters
    ----------
    cost, matrix
        (n,) and (m, n).

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> most, none = np.full(2, 9.0), np.zeros(2)
    >>> programme = ManyRows(-np.ones(2), rows)
    >>> programme.minimise(np.array([2.0, 3.0, 4.0]), most, none, none).sum()
    np.float64(4.0)
    >>> programme.minimise(np.array([2.0, 3.0, 4.5]), most, none, none).sum()
    np.float64(4.5)
    """

    def __init__(self, cost: Floats, matrix: Floats) -> None:
        self._cost, self._matrix = cost, matrix
        self._used, self._multipliers = np.zeros(0, np.int64), np.zeros(0)
        self._programme: Programme | None = None

    def minimise(self, bound: Floats, upper: Floats, lower: Floats, near: Floats) -> Floats | None:
        """Values, (n,); None where that is infeasible. Rows are closest at `near`, (n,)."""
        programme, new = self._programme, self._used[:0]
        if programme is None:
            programme = Programme(self._cost, upper, lower, scaled=True, changing=True)
            new, self._programme = _find_largest(self._matrix @ near - bound, FEWER_ROWS), programme
        else:
            programme.change_bounds(bound[self._used], upper, lower)
        while True:
            programme.add_rows(self._matrix[new], bound[new])
            self._used = np.concatenate([self._used, new])
            best = programme.solve()
            if best is None:
                return None
            self._multipliers = best.multipliers
            beyond = self._matrix @ best.x - bound
            beyond[self._used] = -np.inf
            new = _find_largest(beyond, FEWER_ROWS)
            new = new[beyond[new] > KEPT]
            if new.size == 0:
                return best.x

    def find_least_cost(self, bound: Floats, upper: Floats, lower: Floats) -> float:
        """A cost that no values within these bounds go below, by the last solution's multipliers (weak duality)."""
        mine = self._used[: self._multipliers.size]
        rest = self._cost + self._multipliers @ self._matrix[mine]
        return float(np.minimum(rest * lower, rest * upper).sum() - self._multipliers @ bound[mine])


def _find_largest(values: Floats, n: int) -> Places:
    """Places of the n largest values, in their order."""
    if n >= values.size:
        return np.arange(values.size)
    return np.sort(np.argpartition(values, values.size - n)[values.size - n :])


def _find_rows_that_can_bind(matrix: Floats, bound: Floats, lower: Floats, upper: Floats) -> Places:
    """Rows that some values between `lower` and `upper` break; most facets of a current's circle are none of them."""
    # Split by sign, because 0 times an infinite bound is NaN.
    most = np.maximum(matrix, 0.0) @ np.minimum(upper, _LARGE) + np.minimum(matrix, 0.0) @ lower
    return np.flatnonzero(~(most <= bound))  # a row with NaN is kept: such a programme has no optimum
