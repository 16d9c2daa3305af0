"""Linear programmes: optimum, multipliers, what has none, and silence."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from grid_models.highs import FEWER_ROWS, ManyRows, Optimum, Programme


def minimise(cost: Any, matrix: Any, bound: Any, upper: Any, lower: Any = 0.0) -> Optimum | None:
    """Optimum of a programme whose rows come at once."""
    programme = Programme(cost, upper, lower)
    programme.add_rows(matrix, bound)
    return programme.solve()


@pytest.mark.parametrize("seed", range(5))
def test_optimum_and_multipliers_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = 6, 4
    cost, matrix = rng.uniform(0.5, 3.0, n), -rng.uniform(0.1, 1.0, (m, n)) * 1e-3
    largest = rng.uniform(5.0, 20.0, n)
    bound = 0.5 * matrix @ largest
    ours = minimise(cost, matrix, bound, largest)
    theirs = linprog(cost, matrix, bound, bounds=[(0.0, each) for each in largest], method="highs")
    assert ours is not None
    assert cost @ ours.x == pytest.approx(theirs.fun, rel=1e-9)
    assert ours.multipliers == pytest.approx(-theirs.ineqlin.marginals, rel=1e-6, abs=1e-6)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 6), m=st.integers(1, 12), unbounded=st.booleans())
def test_rows_that_nothing_can_break_change_nothing(seed: int, n: int, m: int, unbounded: bool) -> None:
    """Rows of every tightness, a few of zeros, against scipy, which is given all of them."""
    rng = np.random.default_rng(seed)
    cost, matrix = rng.uniform(0.5, 3.0, n), rng.uniform(-1.0, 1.0, (m, n)) * rng.integers(0, 2, (m, 1))
    smallest = rng.uniform(0.0, 2.0, n)
    largest = smallest + rng.uniform(0.0, 9.0, n)
    if unbounded:
        largest[-1] = np.inf
    bound = matrix @ np.minimum(largest, smallest + 4.0) + rng.uniform(-2.0, 6.0, m)
    ours = minimise(cost, matrix, bound, largest, smallest)
    theirs = linprog(cost, matrix, bound, bounds=list(zip(smallest, largest, strict=True)), method="highs")
    assert (ours is None) == (theirs.status == 2)
    if ours is not None:
        assert cost @ ours.x == pytest.approx(theirs.fun, rel=1e-9, abs=1e-9)
        assert (matrix @ ours.x <= bound + 1e-6).all()
        assert (ours.multipliers[matrix @ ours.x < bound - 1e-6] == 0.0).all()


def test_what_cannot_be_kept_has_no_optimum() -> None:
    assert minimise(np.ones(1), -np.ones((1, 1)), -2.0 * np.ones(1), np.ones(1)) is None


def test_rows_that_are_no_numbers_are_not_passed_over() -> None:
    assert minimise(np.ones(1), np.full((1, 1), np.nan), np.ones(1), np.ones(1)) is None


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 6), interrupted=st.booleans())
def test_rows_added_later_count_like_rows_at_once(seed: int, n: int, interrupted: bool) -> None:
    """A programme that is solved in between goes on from its own rows, whatever the solver held meanwhile."""
    rng = np.random.default_rng(seed)
    cost, largest = rng.uniform(0.5, 3.0, n), rng.uniform(1.0, 9.0, n)
    matrix, smallest = rng.uniform(-1.0, 1.0, (9, n)), 0.1 * rng.uniform(0.0, 1.0, n)
    bound = matrix @ (0.5 * largest) + rng.uniform(-1.0, 1.0, 9)
    programme, grown = Programme(cost, largest, smallest), []
    for first in range(0, 9, 3):
        programme.add_rows(matrix[first : first + 3], bound[first : first + 3])
        grown.append(programme.solve())
        if interrupted:
            assert minimise(np.ones(1), np.ones((1, 1)), np.ones(1), np.ones(1)) is not None
    for found, n_rows in zip(grown, (3, 6, 9), strict=True):
        at_once = minimise(cost, matrix[:n_rows], bound[:n_rows], largest, smallest)
        assert (found is None) == (at_once is None)
        if found is not None and at_once is not None:
            np.testing.assert_allclose(found.x, at_once.x, atol=1e-9)
            np.testing.assert_allclose(found.multipliers, at_once.multipliers, atol=1e-7)


@pytest.mark.parametrize("cost", [np.array([np.nan, -3.0]), np.array([-1.0, np.inf])])
def test_a_cost_that_is_no_number_has_no_optimum(cost: Any) -> None:
    assert minimise(cost, np.eye(2), np.ones(2), np.array([4.0, 9.0])) is None


def test_a_row_without_end_is_not_lost() -> None:
    assert minimise(-np.ones(2), np.array([[np.inf, 0.0]]), np.array([3.0]), np.array([4.0, 9.0])) is None


@pytest.mark.slow
def test_another_user_of_highs_may_have_started_threads() -> None:
    code = (
        "import highspy, numpy as np; from grid_models.highs import Programme\n"
        "other = highspy.Highs(); other.addVar(0.0, 1.0); other.setOptionValue('threads', 2); other.run()\n"
        "p = Programme(np.ones(1), np.ones(1)); p.add_rows(-np.ones((1, 1)), np.full(1, -0.5)); "
        "assert p.solve() is not None"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_nothing_is_printed() -> None:
    """Standard output belongs to `--json`; HiGHS writes to it from outside Python."""
    code = (
        "import numpy as np; from grid_models.highs import Programme; "
        "p = Programme(np.ones(1), np.ones(1)); p.add_rows(-np.ones((1, 1)), np.full(1, -0.5)); "
        "assert p.solve() is not None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("interrupted", [False, True])
def test_few_rows_first_find_the_optimum_of_all_rows_again_and_again(seed: int, *, interrupted: bool) -> None:
    """With other bounds, too, of rows that bound nothing before; what is said beforehand is never undercut."""
    rng = np.random.default_rng(seed)
    n, m = 12, 5 * FEWER_ROWS
    matrix, cost = rng.random((m, n)) * 1e-3, -rng.uniform(1.0, 2.0, n)
    many, promises = ManyRows(cost, matrix), []
    for _ in range(4):
        bound, near = rng.uniform(5e-3, 6e-3, m), rng.uniform(0.0, 3.0, n)
        least, most = rng.uniform(0.0, 0.1, n), rng.uniform(1.0, 3.0, n)
        promised = many.find_least_cost(bound, most, least)
        whole, found = minimise(cost, matrix, bound, most, least), many.minimise(bound, most, least, near)
        assert whole is not None
        assert found is not None
        assert cost @ found == pytest.approx(cost @ whole.x, rel=1e-8)
        assert (matrix @ found <= bound + 1e-8).all()
        assert promised <= cost @ whole.x + 1e-8
        assert many.find_least_cost(bound, most, least) == pytest.approx(cost @ whole.x, rel=1e-8)
        promises.append(promised / (cost @ whole.x))
        if interrupted:
            assert minimise(np.ones(1), np.ones((1, 1)), np.ones(1), np.ones(1)) is not None
    assert promises[0] > promises[1]  # multipliers of before are worth something


def test_few_rows_first_say_so_where_there_is_nothing_and_go_on() -> None:
    matrix, bound = np.ones((3 * FEWER_ROWS, 2)), np.append(np.full(3 * FEWER_ROWS - 1, 9.0), 1.0)
    many, most, none = ManyRows(-np.ones(2), matrix), np.full(2, 9.0), np.zeros(2)
    assert many.minimise(bound, most, np.ones(2), none) is None
    found = many.minimise(bound, most, none, none)
    assert found is not None
    assert found.sum() == pytest.approx(1.0)
