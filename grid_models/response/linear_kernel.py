"""Change of solved voltages by small currents: the power flow's fixed point, differentiated, on the same factors.

`Y·dV + D·conj(dV) = dI` with `D = diag(conj(S)/conj(V)²)` is solved as `dV = Y⁻¹·(dI - D·conj(dV))`, which contracts
around a solution as the power flow does; its transpose, seen as real numbers, as `λ = Y⁻ᴴ·(w - D·conj(λ))`.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled
from grid_models.powerflow.kernel import LANES, Network, multiply, solve_factors, subtract_multiple

RELATIVE_TOLERANCE = 1e-13
"""Change of the last iteration relative to the solution, both as root of summed squares."""

MAX_ITERATIONS = 1000
"""Ten times those of a power flow; what has not converged then is NaN."""


@compiled
def solve_factors_adjoint(net: Network, x: Floats) -> None:
    """Solve (L·U)ᴴ·x = y in place for all lanes: y in the order of the factors' solution, x in that of their rows."""
    n = net.inverse_diagonal.shape[0]
    for j in range(n):
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            subtract_multiple(x, j, net.upper[k, 0], -net.upper[k, 1], net.upper_row[k])
        multiply(x, j, net.inverse_diagonal[j, 0], -net.inverse_diagonal[j, 1])
    for j in range(n - 1, -1, -1):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            subtract_multiple(x, j, net.lower[k, 0], -net.lower[k, 1], net.lower_row[k])


@compiled
def subtract_feedback(d: Floats, at: Ints, iterate: Floats, x: Floats) -> None:
    """Subtract D·conj(iterate) from the right-hand side `x` at the buses with injections."""
    for i in range(at.size):
        a, b, k = d[i, 0], d[i, 1], at[i]
        for lane in range(x.shape[2]):
            re, im = iterate[i, 0, lane], iterate[i, 1, lane]
            x[k, 0, lane] -= a * re + b * im
            x[k, 1, lane] -= b * re - a * im


@compiled
def update_iterate(found: Floats, at: Ints, iterate: Floats) -> tuple[float, float]:
    """Take the solution at the buses with injections as iterate; returns the squared norms of change and solution."""
    change, size = 0.0, 0.0
    for i in range(at.size):
        k = at[i]
        for part in range(2):
            for lane in range(found.shape[2]):
                value = found[k, part, lane]
                change += (value - iterate[i, part, lane]) ** 2
                size += value * value
                iterate[i, part, lane] = value
    return change, size


@compiled
def solve_linear(net: Network, d: Floats, y: Floats, adjoint: bool) -> Floats:
    """Solve the linear system, or its transpose, for W right-hand sides.

    Parameters
    ----------
    net
        Topology of n buses of unknown voltage, m of them with injections.
    d
        Diagonal of D at these, (m, 2).
    y
        Right-hand sides, (n, 2, W): of the system in the order of the factors' rows, of its transpose in that of their
        solution.
    adjoint
        Whether to solve the transpose.

    Returns
    -------
    Floats
        Solutions, (n, 2, W), in the other order; NaN where the fixed point is not found.
    """
    rhs, out = (net.node, net.rhs_row) if adjoint else (net.rhs_row, net.node)
    solved = np.full(y.shape, np.nan)
    for first in range(0, y.shape[2], LANES):
        stop = min(first + LANES, y.shape[2])
        iterate = np.zeros((net.node.size, 2, stop - first))
        for _ in range(MAX_ITERATIONS):
            x = y[:, :, first:stop].copy()
            subtract_feedback(d, rhs, iterate, x)
            if adjoint:
                solve_factors_adjoint(net, x)
            else:
                solve_factors(net, x)
            change, size = update_iterate(x, out, iterate)
            if not size < np.inf:  # infinite or NaN
                break
            if change <= RELATIVE_TOLERANCE * RELATIVE_TOLERANCE * size:
                solved[:, :, first:stop] = x
                break
    return solved
