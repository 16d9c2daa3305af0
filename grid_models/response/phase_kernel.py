"""Small dense products and systems of `grid_models.response.phase_sensitivity`, compiled.

A curtailed interval asks for some ten of them. They are too small for the threads of a BLAS, which on a busy machine
wait for one another many times as long as the product takes.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Complex
from grid_models.compiled import compiled

MAX_ITERATIONS = 500
"""Of the fixed point; near collapse hundreds are needed, as in the power flow itself."""
TOLERANCE = 1e-12
"""Largest change in the last iteration, relative to the largest value."""


@compiled
def multiply(a: Complex, b: Complex) -> Complex:
    """Matrix product, (n, k), of (n, m) and (m, k)."""
    found = np.zeros((a.shape[0], b.shape[1]), np.complex128)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            factor = a[i, j]
            for k in range(b.shape[1]):
                found[i, k] += factor * b[j, k]
    return found


@compiled
def solve_changes(z: Complex, d: Complex, right: Complex) -> tuple[Complex, bool]:
    """Solve `x = right + z·diag(d)·conj(x)` by a fixed point; returns x, (m, k), and whether it converged.

    Parameters
    ----------
    z, d
        (m, m) and (m,).
    right
        (m, k).
    """
    turned = z * d
    x = right.copy()
    for _ in range(MAX_ITERATIONS):
        following = right + multiply(turned, np.conj(x))
        change = np.abs(following - x).max()
        x = following
        if change <= TOLERANCE * np.abs(x).max():
            return x, True
        if not np.isfinite(change):
            break
    return x, False
