"""Solve many AC power flows of one topology by the current-injection fixed point, compiled.

`I = conj(S/V)`, `V = V₀ + Y⁻¹·I`: the reduced bus admittance matrix is factorised once, and an iteration is two sparse
triangular solves (the Z-bus method; Stagg & El-Abiad 1968, "Computer Methods in Power System Analysis", ch. 8). Up to
32 intervals are solved side by side, each in a lane, which is one place of the innermost array axis.

Law: an interval's result is the same to the bit whatever other intervals are solved beside it. A lane is frozen at its
own last iterate once it has converged, and the final solve starts from that. There is no BLAS and no reordered sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled

LANES = 32
"""Intervals side by side: wide enough for vector instructions, small enough for the cache."""


class Network(NamedTuple):
    """A topology as the compiled functions take it, in pu; complex numbers as pairs (re, im) in the last axis.

    Positions: the n buses of unknown voltage come first, in the order of the factors' solution, then the r reference
    buses. m of the unknown ones have injections.

    Attributes
    ----------
    lower_start, lower_row, lower
        Unit lower factor by columns, without its diagonal.
    upper_start, upper_row, upper
        Upper factor by columns, without its diagonal.
    inverse_diagonal
        Inverse of the upper factor's diagonal, (n, 2).
    node, rhs_row
        Position of each bus with injections, and its row in the factors' right-hand side, (m,).
    no_load
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
    shunt, shunt_kw
        Positions of the buses with a conductance to earth, and its power at 1 pu, kW.
    """

    lower_start: Ints
    lower_row: Ints
    lower: Floats
    upper_start: Ints
    upper_row: Ints
    upper: Floats
    inverse_diagonal: Floats
    node: Ints
    rhs_row: Ints
    no_load: Floats
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
    shunt: Ints
    shunt_kw: Floats


class LaneBlock(NamedTuple):
    """Work space of W intervals, one per lane; complex numbers as (re, im) in the axis before the last.

    Attributes
    ----------
    s
        Injections p, q, pu, (m + r, 2, W).
    iterate
        Voltages at the buses with injections after the latest iteration, (m, 2, W).
    v
        Right-hand side, then solution of the factors, then voltages everywhere, (n + r, 2, W).
    change
        Sum of the squared changes of the latest iteration, (W,).
    active
        1 while a lane iterates, 0 once it is frozen, (W,).
    iterations
        Iterations taken where a lane has converged, 0 where it has not, (W,).
    """

    s: Floats
    iterate: Floats
    v: Floats
    change: Floats
    active: Floats
    iterations: Ints


@compiled
def make_block(net: Network, lanes: int) -> LaneBlock:
    """Work space for a topology."""
    return LaneBlock(
        np.zeros((net.fixed.shape[0], 2, lanes)),
        np.zeros((net.node.size, 2, lanes)),
        np.zeros((net.no_load.shape[0], 2, lanes)),
        np.zeros(lanes),
        np.zeros(lanes),
        np.zeros(lanes, np.int64),
    )


@compiled
def sum_injections(net: Network, block: LaneBlock, p_kw: Floats, q_kvar: Floats, first: int) -> None:
    """Set `block.s` to constant plus participants' injections of the intervals from `first` on.

    Lanes beyond the last interval have the constant ones alone.
    """
    lanes = block.iterations.size
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
def compute_currents(net: Network, block: LaneBlock) -> None:
    """Set the factors' right-hand side to the currents I = conj(S/V) at the latest iterate."""
    s, iterate, v = block.s, block.iterate, block.v
    for k in range(v.shape[0]):
        for lane in range(v.shape[2]):
            v[k, 0, lane] = 0.0
            v[k, 1, lane] = 0.0
    for i in range(net.node.size):
        k = net.rhs_row[i]
        for lane in range(v.shape[2]):
            p, q, re, im = s[i, 0, lane], s[i, 1, lane], iterate[i, 0, lane], iterate[i, 1, lane]
            inverse = 1.0 / (re * re + im * im)
            v[k, 0, lane] = (p * re + q * im) * inverse
            v[k, 1, lane] = (p * im - q * re) * inverse


@compiled
def subtract_multiple(x: Floats, i: int, a: float, b: float, j: int) -> None:
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
def solve_factors(net: Any, x: Floats) -> None:
    """Solve L·U·x = y in place for all lanes, y in the first n rows; `net` has the factors' fields of `Network`."""
    n = net.inverse_diagonal.shape[0]
    for j in range(n):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            subtract_multiple(x, net.lower_row[k], net.lower[k, 0], net.lower[k, 1], j)
    for j in range(n - 1, -1, -1):
        multiply(x, j, net.inverse_diagonal[j, 0], net.inverse_diagonal[j, 1])
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            subtract_multiple(x, net.upper_row[k], net.upper[k, 0], net.upper[k, 1], j)


@compiled
def update_iterate(net: Network, block: LaneBlock) -> None:
    """Take the new voltages as iterate in the active lanes, and sum up their squared changes."""
    v, iterate, change, active = block.v, block.iterate, block.change, block.active
    for lane in range(change.size):
        change[lane] = 0.0
    for i in range(net.node.size):
        k = net.node[i]
        no_load_re, no_load_im = net.no_load[k, 0], net.no_load[k, 1]
        for lane in range(v.shape[2]):
            re = (no_load_re + v[k, 0, lane] - iterate[i, 0, lane]) * active[lane]
            im = (no_load_im + v[k, 1, lane] - iterate[i, 1, lane]) * active[lane]
            # A sum, not a maximum: a NaN stays in it whatever comes later.
            change[lane] += re * re + im * im
            iterate[i, 0, lane] += re
            iterate[i, 1, lane] += im


@compiled
def freeze_lanes(block: LaneBlock, iteration: int, tolerance_pu: float) -> bool:
    """Freeze the lanes that have converged or have diverged; returns whether any is still active."""
    any_active = False
    for lane in range(block.iterations.size):
        if block.active[lane] == 1.0:
            if block.change[lane] < tolerance_pu * tolerance_pu:
                block.iterations[lane] = iteration
                block.active[lane] = 0.0
            elif block.change[lane] < np.inf:
                any_active = True
            else:
                block.active[lane] = 0.0
    return any_active


@compiled
def solve_block(net: Network, block: LaneBlock, tolerance_pu: float, max_iterations: int) -> None:
    """Solve for the voltages of the block's injections, starting from those without injections.

    Only lanes with `block.iterations` > 0 hold a solution.
    """
    lanes = block.iterations.size
    for lane in range(lanes):
        block.iterations[lane] = 0
        block.active[lane] = 1.0
        for i in range(net.node.size):
            block.iterate[i, 0, lane] = net.no_load[net.node[i], 0]
            block.iterate[i, 1, lane] = net.no_load[net.node[i], 1]
    any_active, iteration = True, 0
    while True:
        compute_currents(net, block)
        solve_factors(net, block.v)
        if not any_active or iteration == max_iterations:
            # One solve more than there are iterations: it makes `v` follow from each lane's own last iterate.
            break
        iteration += 1
        update_iterate(net, block)
        any_active = freeze_lanes(block, iteration, tolerance_pu)
    for k in range(net.no_load.shape[0]):
        for lane in range(lanes):
            block.v[k, 0, lane] += net.no_load[k, 0]
            block.v[k, 1, lane] += net.no_load[k, 1]
