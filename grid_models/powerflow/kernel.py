"""Solve many AC power flows of one topology by the current-injection fixed point, compiled.

`I = conj(S/V)`, `V = V₀ + Y⁻¹·I`: the factors of the reduced bus admittance matrix are made once, and an iteration is
two sparse triangular sweeps (the Z-bus method; Stagg & El-Abiad 1968, "Computer Methods in Power System Analysis",
ch. 8). Up to 32 intervals are solved side by side, one per lane of the innermost loop. A lane that has converged is
held, and the last sweep starts from what each lane holds, so no lane depends on its neighbours; there is no BLAS and
no reordered sum: the length of a batch never changes a bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled

LANES = 32
"""Intervals side by side: wide enough for vector instructions, small enough for the cache."""


class Network(NamedTuple):
    """A topology as the compiled functions take it, in pu; complex numbers as pairs (re, im) in the last axis.

    The n unknown buses come in the order of the factors' solution, the r reference buses behind them; m of the
    unknown ones have injections.

    Attributes
    ----------
    lower_start, lower_row, lower
        Unit lower factor by columns, diagonal left out.
    upper_start, upper_row, upper
        Upper factor by columns, diagonal left out.
    diagonal
        Inverse of the upper factor's diagonal, (n, 2).
    node, into
        Position of each bus with injections, and its row in the factors' right-hand side, (m,).
    still
        Voltages without injections, (n + r, 2).
    fixed
        Constant injections, (m + r, 2).
    participant
        Place of each participant among the m + r injections, -1 without supply, (N,).
    slack_start, slack_column, slack
        Rows of the admittance matrix of the reference buses.
    is_grid
        Whether a reference bus is a connection to the external grid, (r,).
    branch_from, branch_to, branch_y
        Positions of the ends of each branch, and Yff, Yft, Ytf, Ytt as re, im, (L + R, 8); lines first, then
        transformers. A branch without current has zeros.
    scale_from, scale_to
        Loading in per cent per pu of current at either end, (L + R,).
    n_lines
        L.
    bus
        Position of each bus of the net, -1 without supply, (B,).
    base_kw
        Power base.
    """

    lower_start: Ints
    lower_row: Ints
    lower: Floats
    upper_start: Ints
    upper_row: Ints
    upper: Floats
    diagonal: Floats
    node: Ints
    into: Ints
    still: Floats
    fixed: Floats
    participant: Ints
    slack_start: Ints
    slack_column: Ints
    slack: Floats
    is_grid: Ints
    branch_from: Ints
    branch_to: Ints
    branch_y: Floats
    scale_from: Floats
    scale_to: Floats
    n_lines: int
    bus: Ints
    base_kw: float


class LaneBlock(NamedTuple):
    """Work space of W intervals, one per lane.

    Attributes
    ----------
    s
        Injections p, q, (m + r, 2, W).
    seen
        Voltages at the buses with injections, (m, 2, W).
    v
        Right-hand side, then solution of the factors, then voltages everywhere, (n + r, 2, W).
    change
        Sum of the squared changes of the last iteration, (W,).
    moves
        1 while a lane iterates, 0 once it is held, (W,).
    done
        Iterations taken where a lane has converged, 0 where it has not, (W,).
    """

    s: Floats
    seen: Floats
    v: Floats
    change: Floats
    moves: Floats
    done: Ints


@compiled
def new_block(net: Network, lanes: int) -> LaneBlock:
    """Work space for a topology."""
    return LaneBlock(
        np.zeros((net.fixed.shape[0], 2, lanes)),
        np.zeros((net.node.size, 2, lanes)),
        np.zeros((net.still.shape[0], 2, lanes)),
        np.zeros(lanes),
        np.zeros(lanes),
        np.zeros(lanes, np.int64),
    )


@compiled
def take_injections(net: Network, block: LaneBlock, p_kw: Floats, q_kvar: Floats, first: int) -> None:
    """Sum constant and participants' injections from interval `first` on; lanes beyond the end stay constant."""
    lanes = block.done.size
    for i in range(net.fixed.shape[0]):
        for lane in range(lanes):
            block.s[i, 0, lane] = net.fixed[i, 0]
            block.s[i, 1, lane] = net.fixed[i, 1]
    for lane in range(min(lanes, p_kw.shape[0] - first)):
        for house in range(net.participant.size):
            i = net.participant[house]
            if i >= 0:
                block.s[i, 0, lane] += p_kw[first + lane, house] / net.base_kw
                block.s[i, 1, lane] += q_kvar[first + lane, house] / net.base_kw


@compiled
def inject(net: Network, block: LaneBlock) -> None:
    """Right-hand side of the factors: the currents I = conj(S/V) of the injections at the voltages seen."""
    s, seen, v = block.s, block.seen, block.v
    for k in range(v.shape[0]):
        for lane in range(v.shape[2]):
            v[k, 0, lane] = 0.0
            v[k, 1, lane] = 0.0
    for i in range(net.node.size):
        k = net.into[i]
        for lane in range(v.shape[2]):
            p, q, re, im = s[i, 0, lane], s[i, 1, lane], seen[i, 0, lane], seen[i, 1, lane]
            inverse = 1.0 / (re * re + im * im)
            v[k, 0, lane] = (p * re + q * im) * inverse
            v[k, 1, lane] = (p * im - q * re) * inverse


@compiled
def subtract(x: Floats, i: int, a: float, b: float, j: int) -> None:
    """Subtract (a + jb)·x[j] from x[i] in all lanes."""
    for lane in range(x.shape[2]):
        re, im = x[j, 0, lane], x[j, 1, lane]
        x[i, 0, lane] -= a * re - b * im
        x[i, 1, lane] -= a * im + b * re


@compiled
def multiply(x: Floats, j: int, a: float, b: float) -> None:
    """Multiply x[j] by (a + jb) in all lanes."""
    for lane in range(x.shape[2]):
        re, im = x[j, 0, lane], x[j, 1, lane]
        x[j, 0, lane] = a * re - b * im
        x[j, 1, lane] = a * im + b * re


@compiled
def sweep(net: Network, x: Floats) -> None:
    """Solve L·U·x = y in place for all lanes, y in the first n rows."""
    n = net.diagonal.shape[0]
    for j in range(n):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            subtract(x, net.lower_row[k], net.lower[k, 0], net.lower[k, 1], j)
    for j in range(n - 1, -1, -1):
        multiply(x, j, net.diagonal[j, 0], net.diagonal[j, 1])
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            subtract(x, net.upper_row[k], net.upper[k, 0], net.upper[k, 1], j)


@compiled
def move(net: Network, block: LaneBlock) -> None:
    """Let the lanes that still iterate see their new voltages, and sum up how far those moved."""
    v, seen, change, moves = block.v, block.seen, block.change, block.moves
    for lane in range(change.size):
        change[lane] = 0.0
    for i in range(net.node.size):
        k = net.node[i]
        still_re, still_im = net.still[k, 0], net.still[k, 1]
        for lane in range(v.shape[2]):
            re = (still_re + v[k, 0, lane] - seen[i, 0, lane]) * moves[lane]
            im = (still_im + v[k, 1, lane] - seen[i, 1, lane]) * moves[lane]
            # A sum, not a maximum: a NaN stays in it whatever comes later.
            change[lane] += re * re + im * im
            seen[i, 0, lane] += re
            seen[i, 1, lane] += im


@compiled
def hold(block: LaneBlock, iteration: int, tolerance_pu: float) -> bool:
    """Hold the lanes that have converged or never will; returns whether any still iterates."""
    any_left = False
    for lane in range(block.done.size):
        if block.moves[lane] == 1.0:
            if block.change[lane] < tolerance_pu * tolerance_pu:
                block.done[lane] = iteration
                block.moves[lane] = 0.0
            elif block.change[lane] < np.inf:
                any_left = True
            else:
                block.moves[lane] = 0.0
    return any_left


@compiled
def solve_block(net: Network, block: LaneBlock, tolerance_pu: float, max_iterations: int) -> None:
    """Voltages of the block's injections, from those without injections on; `block.done` says what to believe."""
    lanes = block.done.size
    for lane in range(lanes):
        block.done[lane] = 0
        block.moves[lane] = 1.0
        for i in range(net.node.size):
            block.seen[i, 0, lane] = net.still[net.node[i], 0]
            block.seen[i, 1, lane] = net.still[net.node[i], 1]
    any_left, iteration = True, 0
    while True:
        inject(net, block)
        sweep(net, block.v)
        if not any_left or iteration == max_iterations:
            # Once more behind the last iteration: `v` was that of the slowest lane, now it is each lane's own.
            break
        iteration += 1
        move(net, block)
        any_left = hold(block, iteration, tolerance_pu)
    for k in range(net.still.shape[0]):
        for lane in range(lanes):
            block.v[k, 0, lane] += net.still[k, 0]
            block.v[k, 1, lane] += net.still[k, 1]
