"""Change of solved voltages by small currents: the power flow's equation, differentiated, and its factors.

`Y·dV + D·conj(dV) = dI` with `D = diag(conj(S)/conj(V)²)` is linear in real and imaginary parts only, since `conj` is
not complex differentiable: each admittance is a block of 2 × 2 real numbers. D changes blocks that Y has and adds none,
so the factors have the places of those of Y and take its order of elimination (Gilbert and Peierls 1988,
doi:10.1137/0909058).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled
from grid_models.powerflow.admittance import read_columns
from grid_models.powerflow.kernel import LANES, Network


class Columns(NamedTuple):
    """Columns of the admittance matrix of n unknown voltages: starts, rows and values, (n + 1,), (k,) and (k, 2) pu.

    Rows and columns are in the order of the factors.
    """

    start: Ints
    row: Ints
    y: Floats


class Factors(NamedTuple):
    """Blocks of the factors, row by row in the last axis, in the places that `Network` states.

    Attributes
    ----------
    lower, upper
        (l, 4) and (u, 4), without the diagonals.
    inverse_diagonal
        Inverse of the upper factor's diagonal, (n, 4).
    """

    lower: Floats
    upper: Floats
    inverse_diagonal: Floats


def multiply_factors(net: Network) -> Columns:
    """The admittance matrix that a network's factors stand for."""
    n = net.inverse_diagonal.shape[0]
    lower, upper = (
        sparse.csc_matrix((values[:, 0] + 1j * values[:, 1], row, start), (n, n))
        for start, row, values in (
            (net.lower_start, net.lower_row, net.lower),
            (net.upper_start, net.upper_row, net.upper),
        )
    )
    diagonal = sparse.diags(1.0 / (net.inverse_diagonal[:, 0] + 1j * net.inverse_diagonal[:, 1]))
    return Columns(*read_columns((sparse.identity(n) + lower) @ (upper + diagonal)))


@compiled
def subtract_product(x: Floats, i: int, a: Floats, k: int, b: Floats, j: int) -> None:
    """Subtract the product of the blocks a[k] and b[j] from the block x[i]."""
    x[i, 0] -= a[k, 0] * b[j, 0] + a[k, 1] * b[j, 2]
    x[i, 1] -= a[k, 0] * b[j, 1] + a[k, 1] * b[j, 3]
    x[i, 2] -= a[k, 2] * b[j, 0] + a[k, 3] * b[j, 2]
    x[i, 3] -= a[k, 2] * b[j, 1] + a[k, 3] * b[j, 3]


@compiled
def move_block(x: Floats, i: int, out: Floats, k: int) -> None:
    """Move the block x[i] to out[k] and leave zeros."""
    for part in range(4):
        out[k, part] = x[i, part]
        x[i, part] = 0.0


@compiled
def invert_block(x: Floats, i: int) -> None:
    """Invert the block x[i] in place; no number where it has no inverse."""
    a, b, c, d = x[i, 0], x[i, 1], x[i, 2], x[i, 3]
    inverse = 1.0 / (a * d - b * c)
    if not abs(inverse) < np.inf:
        inverse = np.nan
    x[i, 0], x[i, 1], x[i, 2], x[i, 3] = d * inverse, -b * inverse, -c * inverse, a * inverse


@compiled
def factorise(net: Network, columns: Columns, d: Floats) -> Factors:
    """Factors of the system.

    Parameters
    ----------
    net
        Topology of n buses of unknown voltage, m of them with injections.
    columns
        Their admittance matrix.
    d
        Diagonal of D at these, (m, 2).
    """
    n = net.inverse_diagonal.shape[0]
    lower, upper = np.empty((net.lower_row.size, 4)), np.empty((net.upper_row.size, 4))
    inverse, work, scaled = np.empty((n, 4)), np.zeros((n, 4)), np.zeros((1, 4))
    of_column = np.full(n, -1)
    for i in range(net.node.size):
        of_column[net.node[i]] = i
    for j in range(n):
        for k in range(columns.start[j], columns.start[j + 1]):
            i, re, im = columns.row[k], columns.y[k, 0], columns.y[k, 1]
            work[i, 0], work[i, 1], work[i, 2], work[i, 3] = re, -im, im, re
        if of_column[j] >= 0:
            i = net.rhs_row[of_column[j]]
            re, im = d[of_column[j], 0], d[of_column[j], 1]
            work[i, 0] += re
            work[i, 1] += im
            work[i, 2] += im
            work[i, 3] -= re
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            above = net.upper_row[k]
            move_block(work, above, upper, k)
            for below in range(net.lower_start[above], net.lower_start[above + 1]):
                subtract_product(work, net.lower_row[below], lower, below, upper, k)
        move_block(work, j, inverse, j)
        invert_block(inverse, j)
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            scaled[0] = 0.0
            subtract_product(scaled, 0, work, net.lower_row[k], inverse, j)
            for part in range(4):
                lower[k, part] = -scaled[0, part]
                work[net.lower_row[k], part] = 0.0
    return Factors(lower, upper, inverse)


@compiled
def subtract_block(x: Floats, i: int, a: float, b: float, c: float, d: float, j: int) -> None:
    """Subtract the block (a, b; c, d) times x[j] from x[i] in all lanes."""
    for lane in range(x.shape[2]):
        re, im = x[j, 0, lane], x[j, 1, lane]
        x[i, 0, lane] -= a * re + b * im
        x[i, 1, lane] -= c * re + d * im


@compiled
def multiply_block(x: Floats, i: int, a: float, b: float, c: float, d: float) -> None:
    """Multiply x[i] by the block (a, b; c, d) in all lanes."""
    for lane in range(x.shape[2]):
        re, im = x[i, 0, lane], x[i, 1, lane]
        x[i, 0, lane] = a * re + b * im
        x[i, 1, lane] = c * re + d * im


@compiled
def solve_lanes(net: Network, factors: Factors, x: Floats) -> None:
    """Solve the system in place, (n, 2, W)."""
    lower, upper, inverse = factors.lower, factors.upper, factors.inverse_diagonal
    n = inverse.shape[0]
    for j in range(n):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            subtract_block(x, net.lower_row[k], lower[k, 0], lower[k, 1], lower[k, 2], lower[k, 3], j)
    for j in range(n - 1, -1, -1):
        multiply_block(x, j, inverse[j, 0], inverse[j, 1], inverse[j, 2], inverse[j, 3])
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            subtract_block(x, net.upper_row[k], upper[k, 0], upper[k, 1], upper[k, 2], upper[k, 3], j)


@compiled
def solve_lanes_adjoint(net: Network, factors: Factors, x: Floats) -> None:
    """Solve the transpose of the system in place, (n, 2, W)."""
    lower, upper, inverse = factors.lower, factors.upper, factors.inverse_diagonal
    n = inverse.shape[0]
    for j in range(n):
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            subtract_block(x, j, upper[k, 0], upper[k, 2], upper[k, 1], upper[k, 3], net.upper_row[k])
        multiply_block(x, j, inverse[j, 0], inverse[j, 2], inverse[j, 1], inverse[j, 3])
    for j in range(n - 1, -1, -1):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            subtract_block(x, j, lower[k, 0], lower[k, 2], lower[k, 1], lower[k, 3], net.lower_row[k])


@compiled
def solve_linear(net: Network, factors: Factors, y: Floats, adjoint: bool) -> Floats:
    """Solve the linear system, or its transpose, for W right-hand sides.

    Parameters
    ----------
    net, factors
        Topology of n buses of unknown voltage, and the system's factors.
    y
        Right-hand sides, (n, 2, W): of the system in the order of the factors' rows, of its transpose in that of their
        solution.
    adjoint
        Whether to solve the transpose.

    Returns
    -------
    Floats
        Solutions, (n, 2, W), in the other order; no numbers where the system is singular.
    """
    solved = np.empty(y.shape)
    for first in range(0, y.shape[2], LANES):
        stop = min(first + LANES, y.shape[2])
        x = y[:, :, first:stop].copy()
        if adjoint:
            solve_lanes_adjoint(net, factors, x)
        else:
            solve_lanes(net, factors, x)
        solved[:, :, first:stop] = x
    return solved
