"""How solved voltages answer to small currents: the power flow's fixed point, differentiated, on the same factors.

`Y·dV + D·conj(dV) = dI` with `D = diag(conj(S)/conj(V)²)` is solved as `dV = Y⁻¹·(dI - D·conj(dV))`, which contracts
around a solution as the power flow does; its transpose, seen as real numbers, as `λ = Y⁻ᴴ·(w - D·conj(λ))`.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled
from grid_models.powerflow.kernel import LANES, Network, multiply, subtract, sweep

RELATIVE_TOLERANCE = 1e-13
"""Change of an iteration against what it leads to, both as root of summed squares."""

MAX_ITERATIONS = 1000
"""Ten times what a power flow is given; what has not converged then is NaN."""


@compiled
def sweep_adjoint(net: Network, x: Floats) -> None:
    """Solve (L·U)ᴴ·x = y in place for all lanes: y in the order of the factors' solution, x in that of their rows."""
    n = net.diagonal.shape[0]
    for j in range(n):
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            subtract(x, j, net.upper[k, 0], -net.upper[k, 1], net.upper_row[k])
        multiply(x, j, net.diagonal[j, 0], -net.diagonal[j, 1])
    for j in range(n - 1, -1, -1):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            subtract(x, j, net.lower[k, 0], -net.lower[k, 1], net.lower_row[k])


@compiled
def answer_back(d: Floats, at: Ints, seen: Floats, x: Floats) -> None:
    """Subtract D·conj(seen) from the right-hand side `x` at the buses with injections."""
    for i in range(at.size):
        a, b, k = d[i, 0], d[i, 1], at[i]
        for lane in range(x.shape[2]):
            re, im = seen[i, 0, lane], seen[i, 1, lane]
            x[k, 0, lane] -= a * re + b * im
            x[k, 1, lane] -= b * re - a * im


@compiled
def look(found: Floats, at: Ints, seen: Floats) -> tuple[float, float]:
    """Take what was found at the buses with injections as seen; squares of its change and of itself, summed."""
    change, size = 0.0, 0.0
    for i in range(at.size):
        k = at[i]
        for part in range(2):
            for lane in range(found.shape[2]):
                value = found[k, part, lane]
                change += (value - seen[i, part, lane]) ** 2
                size += value * value
                seen[i, part, lane] = value
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
    Solutions, (n, 2, W), in the other order; NaN where the fixed point is not found.
    """
    into, out = (net.node, net.into) if adjoint else (net.into, net.node)
    solved = np.full(y.shape, np.nan)
    for first in range(0, y.shape[2], LANES):
        stop = min(first + LANES, y.shape[2])
        seen = np.zeros((net.node.size, 2, stop - first))
        for _ in range(MAX_ITERATIONS):
            x = y[:, :, first:stop].copy()
            answer_back(d, into, seen, x)
            if adjoint:
                sweep_adjoint(net, x)
            else:
                sweep(net, x)
            change, size = look(x, out, seen)
            if not size < np.inf:  # nor is a NaN
                break
            if change <= RELATIVE_TOLERANCE * RELATIVE_TOLERANCE * size:
                solved[:, :, first:stop] = x
                break
    return solved
