"""Linear programmes: optimum, prices, what has none, and silence."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import linprog

from cosim.linear_programme import minimise


@pytest.mark.parametrize("seed", range(5))
def test_optimum_and_prices_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = 6, 4
    cost, matrix = rng.uniform(0.5, 3.0, n), -rng.uniform(0.1, 1.0, (m, n)) * 1e-3
    largest = rng.uniform(5.0, 20.0, n)
    bound = 0.5 * matrix @ largest
    ours = minimise(cost, matrix, bound, largest)
    theirs = linprog(cost, matrix, bound, bounds=[(0.0, each) for each in largest], method="highs")
    assert ours is not None
    assert cost @ ours.x == pytest.approx(theirs.fun, rel=1e-9)
    assert ours.price == pytest.approx(-theirs.ineqlin.marginals, rel=1e-6, abs=1e-6)


def test_what_cannot_be_kept_has_no_optimum() -> None:
    assert minimise(np.ones(1), -np.ones((1, 1)), -2.0 * np.ones(1), np.ones(1)) is None


def test_nothing_is_printed() -> None:
    """Standard output belongs to `--json`; HiGHS writes to it from outside Python."""
    code = (
        "import numpy as np; from cosim.linear_programme import minimise; "
        "one = np.ones(1); assert minimise(one, -one[None], -0.5 * one, one) is not None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
