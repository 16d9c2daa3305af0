"""Solve many AC power flows of one topology by the current-injection fixed point, compiled.

`I = conj(S/V)`, `V = Y⁻¹(I - Y_ref·V_ref)`: the factors of the reduced admittance matrix are made once, an iteration
is two sparse triangular sweeps (Z-bus method; Glenn W. Stagg, Ahmed H. El-Abiad 1968, "Computer Methods in Power System
Analysis", ch. 8). Eight intervals are solved side by side, one per lane of the innermost loop. A lane that has
converged is frozen, so its result does not depend on its neighbours; no BLAS, no reordered sums: the length of a
batch never changes a bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.compiled import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LANES = 8


class Network(NamedTuple):
    """A topology as the kernel takes it; n unknown buses, m buses with the references behind, all in pu.

    Attributes
    ----------
    lower_start, lower_row, lower_re, lower_im
        Unit lower factor by columns, diagonal left out.
    upper_start, upper_row, upper_re, upper_im
        Upper factor by columns, diagonal left out; `diagonal_re/im` its inverse diagonal.
    into, out_of
        Row of each unknown in the factors' right-hand side, and in their solution.
    source_re, source_im
        -Y_ref·V_ref, (n,).
    start_re, start_im
        Voltages without injections, references behind, (m,).
    fixed_p, fixed_q
        Constant injections, (m,).
    reference_start, reference_column, reference_re, reference_im
        Rows of the admittance matrix of the reference buses.
    branch_from, branch_to
        Position of each branch's ends, -1 where it is out of service; lines first, then transformers.
    branch_y
        (n_branches, 8): Yff, Yft, Ytf, Ytt as re, im.
    scale_from, scale_to
        Loading in per cent per pu of current at either end.
    n_lines
        How many of the branches are lines.
    bus
        Position of each bus of the net, -1 without supply.
    participant
        Position of each participant, -1 without supply.
    base_kw
        Power base.
    """

    lower_start: Ints
    lower_row: Ints
    lower_re: Floats
    lower_im: Floats
    upper_start: Ints
    upper_row: Ints
    upper_re: Floats
    upper_im: Floats
    diagonal_re: Floats
    diagonal_im: Floats
    into: Ints
    out_of: Ints
    source_re: Floats
    source_im: Floats
    start_re: Floats
    start_im: Floats
    fixed_p: Floats
    fixed_q: Floats
    reference_start: Ints
    reference_column: Ints
    reference_re: Floats
    reference_im: Floats
    branch_from: Ints
    branch_to: Ints
    branch_y: Floats
    scale_from: Floats
    scale_to: Floats
    n_lines: int
    bus: Ints
    participant: Ints
    base_kw: float


class Solution(NamedTuple):
    """What the kernel found; NaN in intervals that did not converge.

    `voltage_re`, `voltage_im` hold the complex voltages of the m positions, (K, m); the other shapes are those of
    `grid_models.powerflow.Flow`.
    """

    iterations: Ints
    voltage_re: Floats
    voltage_im: Floats
    vm_pu: Floats
    line_loading_percent: Floats
    trafo_loading_percent: Floats
    trafo_p_kw: Floats
    p_grid_kw: Floats
    q_grid_kvar: Floats
    losses_kw: Floats


@compiled
def injections(net: Network, p_kw: Floats, q_kvar: Floats, first: int, p: Floats, q: Floats) -> None:
    """Sum participants' and constant injections per position into p, q (m, LANES), pu."""
    for i in range(p.shape[0]):
        for lane in range(LANES):
            p[i, lane] = net.fixed_p[i]
            q[i, lane] = net.fixed_q[i]
    for lane in range(min(LANES, p_kw.shape[0] - first)):
        for house in range(net.participant.size):
            i = net.participant[house]
            if i >= 0:
                p[i, lane] += p_kw[first + lane, house] / net.base_kw
                q[i, lane] += q_kvar[first + lane, house] / net.base_kw


@compiled
def sweep(net: Network, yr: Floats, yi: Floats) -> None:
    """Solve L·U·w = y in place for all lanes, y of shape (n, LANES)."""
    n = yr.shape[0]
    for j in range(n):
        for k in range(net.lower_start[j], net.lower_start[j + 1]):
            i, a, b = net.lower_row[k], net.lower_re[k], net.lower_im[k]
            for lane in range(LANES):
                yr[i, lane] -= a * yr[j, lane] - b * yi[j, lane]
                yi[i, lane] -= a * yi[j, lane] + b * yr[j, lane]
    for j in range(n - 1, -1, -1):
        a, b = net.diagonal_re[j], net.diagonal_im[j]
        for lane in range(LANES):
            re = a * yr[j, lane] - b * yi[j, lane]
            yi[j, lane] = a * yi[j, lane] + b * yr[j, lane]
            yr[j, lane] = re
        for k in range(net.upper_start[j], net.upper_start[j + 1]):
            i, a, b = net.upper_row[k], net.upper_re[k], net.upper_im[k]
            for lane in range(LANES):
                yr[i, lane] -= a * yr[j, lane] - b * yi[j, lane]
                yi[i, lane] -= a * yi[j, lane] + b * yr[j, lane]


@compiled
def iterate(
    net: Network, p: Floats, q: Floats, vr: Floats, vi: Floats, tolerance_pu: float, max_iterations: int
) -> Ints:
    """Fixed point from the no-load voltages on; returns iterations per lane, 0 where it did not converge."""
    n = net.into.size
    yr, yi = np.empty((n, LANES)), np.empty((n, LANES))
    largest = np.empty(LANES)
    done = np.zeros(LANES, np.int64)
    for i in range(vr.shape[0]):
        for lane in range(LANES):
            vr[i, lane] = net.start_re[i]
            vi[i, lane] = net.start_im[i]
    for iteration in range(1, max_iterations + 1):
        for i in range(n):
            k = net.into[i]
            for lane in range(LANES):
                a, b = vr[i, lane], vi[i, lane]
                square = a * a + b * b
                yr[k, lane] = net.source_re[i] + (p[i, lane] * a + q[i, lane] * b) / square
                yi[k, lane] = net.source_im[i] + (p[i, lane] * b - q[i, lane] * a) / square
        sweep(net, yr, yi)
        for lane in range(LANES):
            largest[lane] = 0.0
        for i in range(n):
            k = net.out_of[i]
            for lane in range(LANES):
                dr, di = yr[k, lane] - vr[i, lane], yi[k, lane] - vi[i, lane]
                change = dr * dr + di * di
                # Written so that a NaN stays: it compares false and is taken over.
                largest[lane] = largest[lane] if change <= largest[lane] else change
                frozen = done[lane] != 0
                vr[i, lane] = vr[i, lane] if frozen else yr[k, lane]
                vi[i, lane] = vi[i, lane] if frozen else yi[k, lane]
        remaining = 0
        for lane in range(LANES):
            if done[lane] == 0:
                if largest[lane] < tolerance_pu * tolerance_pu:
                    done[lane] = iteration
                else:
                    remaining += 1
        if remaining == 0:
            break
    return done


@compiled
def write_branches(net: Network, out: Solution, vr: Floats, vi: Floats, lane: int, k: int) -> None:
    """Loadings of lines and transformers of interval k from the voltages in `lane`."""
    for b in range(net.branch_from.size):
        loading, power = 0.0, 0.0
        f, t = net.branch_from[b], net.branch_to[b]
        if f >= 0:
            y = net.branch_y[b]
            fr, fi, tr, ti = vr[f, lane], vi[f, lane], vr[t, lane], vi[t, lane]
            from_re = y[0] * fr - y[1] * fi + y[2] * tr - y[3] * ti
            from_im = y[0] * fi + y[1] * fr + y[2] * ti + y[3] * tr
            to_re = y[4] * fr - y[5] * fi + y[6] * tr - y[7] * ti
            to_im = y[4] * fi + y[5] * fr + y[6] * ti + y[7] * tr
            at_from = np.sqrt(from_re * from_re + from_im * from_im) * net.scale_from[b]
            at_to = np.sqrt(to_re * to_re + to_im * to_im) * net.scale_to[b]
            loading = max(at_from, at_to)
            power = (fr * from_re + fi * from_im) * net.base_kw
        if b < net.n_lines:
            out.line_loading_percent[k, b] = loading
        else:
            out.trafo_loading_percent[k, b - net.n_lines] = loading
            out.trafo_p_kw[k, b - net.n_lines] = power


@compiled
def write_balance(
    net: Network, out: Solution, p: Floats, q: Floats, vr: Floats, vi: Floats, lane: int, k: int
) -> None:
    """Exchange with the grid and losses of interval k."""
    n = net.into.size
    grid_p, grid_q = 0.0, 0.0
    for r in range(net.reference_start.size - 1):
        ir, ii = 0.0, 0.0
        for e in range(net.reference_start[r], net.reference_start[r + 1]):
            j, a, b = net.reference_column[e], net.reference_re[e], net.reference_im[e]
            ir += a * vr[j, lane] - b * vi[j, lane]
            ii += a * vi[j, lane] + b * vr[j, lane]
        grid_p += vr[n + r, lane] * ir + vi[n + r, lane] * ii - p[n + r, lane]
        grid_q += vi[n + r, lane] * ir - vr[n + r, lane] * ii - q[n + r, lane]
    injected = 0.0
    for i in range(p.shape[0]):
        injected += p[i, lane]
    out.p_grid_kw[k] = grid_p * net.base_kw
    out.q_grid_kvar[k] = grid_q * net.base_kw
    out.losses_kw[k] = (grid_p + injected) * net.base_kw


@compiled
def empty_solution(net: Network, n_intervals: int) -> Solution:
    """Solution of `n_intervals` that are all not solved."""
    n_lines, m = net.n_lines, net.start_re.size
    n_trafos = net.branch_from.size - n_lines
    return Solution(
        np.zeros(n_intervals, np.int64),
        np.full((n_intervals, m), np.nan),
        np.full((n_intervals, m), np.nan),
        np.full((n_intervals, net.bus.size), np.nan),
        np.full((n_intervals, n_lines), np.nan),
        np.full((n_intervals, n_trafos), np.nan),
        np.full((n_intervals, n_trafos), np.nan),
        np.full(n_intervals, np.nan),
        np.full(n_intervals, np.nan),
        np.full(n_intervals, np.nan),
    )


@compiled
def solve_all(
    net: Network, p_kw: Floats, q_kvar: Floats, tolerance_pu: float, max_iterations: int
) -> Solution:
    """Solve every interval of p_kw, q_kvar (K, N); what does not converge stays NaN with 0 iterations."""
    n_intervals, m = p_kw.shape[0], net.start_re.size
    out = empty_solution(net, n_intervals)
    p, q = np.empty((m, LANES)), np.empty((m, LANES))
    vr, vi = np.empty((m, LANES)), np.empty((m, LANES))
    for first in range(0, n_intervals, LANES):
        injections(net, p_kw, q_kvar, first, p, q)
        done = iterate(net, p, q, vr, vi, tolerance_pu, max_iterations)
        for lane in range(min(LANES, n_intervals - first)):
            if done[lane] == 0:
                continue
            k = first + lane
            out.iterations[k] = done[lane]
            for i in range(m):
                out.voltage_re[k, i] = vr[i, lane]
                out.voltage_im[k, i] = vi[i, lane]
            for b in range(net.bus.size):
                i = net.bus[b]
                if i >= 0:
                    out.vm_pu[k, b] = np.sqrt(vr[i, lane] * vr[i, lane] + vi[i, lane] * vi[i, lane])
            write_branches(net, out, vr, vi, lane, k)
            write_balance(net, out, p, q, vr, vi, lane, k)
    return out
