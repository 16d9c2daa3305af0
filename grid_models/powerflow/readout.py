"""Solve a batch of intervals, and compute magnitudes, loadings and powers from the voltages, compiled.

numba caches a function by its own file only: after a change in `kernel.py` remove the caches (CONTRIBUTING.md).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled
from grid_models.powerflow.kernel import LANES, LaneBlock, Network, make_block, solve_block, sum_injections


class Solution(NamedTuple):
    """Results of K intervals; NaN, and 0 iterations, where one did not converge. Shapes as in `flow.Flow`."""

    vm_pu: Floats
    line_loading_percent: Floats
    trafo_loading_percent: Floats
    trafo_p_kw: Floats
    p_slack_kw: Floats
    q_slack_kvar: Floats
    p_grid_kw: Floats
    q_grid_kvar: Floats
    losses_kw: Floats
    iterations: Ints


class Reading(NamedTuple):
    """Work space: results computed from the voltages of a block, one interval per lane.

    Attributes
    ----------
    magnitude
        (n + r, W) pu.
    branch
        Loading in per cent, and power in kW that enters at the from-end, (L + R, 2, W).
    slack
        kW, kvar out of each reference bus into the network, (r, 2, W).
    injected
        kW of all other injections, (W,).
    """

    magnitude: Floats
    branch: Floats
    slack: Floats
    injected: Floats


@compiled
def make_reading(net: Network, lanes: int) -> Reading:
    """Work space for a topology."""
    return Reading(
        np.zeros((net.no_load.shape[0], lanes)),
        np.zeros((net.branch_from.size, 2, lanes)),
        np.zeros((net.is_grid.size, 2, lanes)),
        np.zeros(lanes),
    )


@compiled
def compute_magnitudes(v: Floats, magnitude: Floats) -> None:
    """Set the voltage magnitudes of all positions."""
    for k in range(v.shape[0]):
        for lane in range(v.shape[2]):
            re, im = v[k, 0, lane], v[k, 1, lane]
            magnitude[k, lane] = np.sqrt(re * re + im * im)


@compiled
def compute_branches(net: Network, v: Floats, branch: Floats) -> None:
    """Set loadings from the larger of both ends' currents, and the power that enters at the from-end."""
    base_kw = net.base_kw
    for b in range(net.branch_from.size):
        f, t, y = net.branch_from[b], net.branch_to[b], net.branch_y[b]
        ff_re, ff_im, ft_re, ft_im = y[0], y[1], y[2], y[3]
        tf_re, tf_im, tt_re, tt_im = y[4], y[5], y[6], y[7]
        scale_from, scale_to = net.scale_from[b], net.scale_to[b]
        for lane in range(v.shape[2]):
            fr, fi, tr, ti = v[f, 0, lane], v[f, 1, lane], v[t, 0, lane], v[t, 1, lane]
            from_re = ff_re * fr - ff_im * fi + ft_re * tr - ft_im * ti
            from_im = ff_re * fi + ff_im * fr + ft_re * ti + ft_im * tr
            to_re = tf_re * fr - tf_im * fi + tt_re * tr - tt_im * ti
            to_im = tf_re * fi + tf_im * fr + tt_re * ti + tt_im * tr
            at_from = np.sqrt(from_re * from_re + from_im * from_im) * scale_from
            at_to = np.sqrt(to_re * to_re + to_im * to_im) * scale_to
            branch[b, 0, lane] = at_from if at_from > at_to else at_to
            branch[b, 1, lane] = (fr * from_re + fi * from_im) * base_kw


@compiled
def compute_balance(net: Network, block: LaneBlock, reading: Reading) -> None:
    """Set the power that each reference bus supplies, and the sum of all other injections."""
    n, m, base_kw = net.inverse_diagonal.shape[0], net.node.size, net.base_kw
    v, s, slack, injected = block.v, block.s, reading.slack, reading.injected
    for lane in range(injected.size):
        injected[lane] = 0.0
    for i in range(s.shape[0]):
        for lane in range(injected.size):
            injected[lane] += s[i, 0, lane] * base_kw
    for r in range(net.is_grid.size):
        for lane in range(injected.size):
            re, im = 0.0, 0.0
            for e in range(net.slack_start[r], net.slack_start[r + 1]):
                j, a, b = net.slack_column[e], net.slack[e, 0], net.slack[e, 1]
                re += a * v[j, 0, lane] - b * v[j, 1, lane]
                im += a * v[j, 1, lane] + b * v[j, 0, lane]
            vr, vi = v[n + r, 0, lane], v[n + r, 1, lane]
            slack[r, 0, lane] = (vr * re + vi * im - s[m + r, 0, lane]) * base_kw
            slack[r, 1, lane] = (vi * re - vr * im - s[m + r, 1, lane]) * base_kw


@compiled
def write_interval(net: Network, reading: Reading, lane: int, out: Solution, k: int) -> None:
    """Copy a lane of the reading into interval k.

    Losses are what sources supply and everything else injects, but for what shunts take: those of the branches.
    """
    for b in range(net.bus.size):
        out.vm_pu[k, b] = reading.magnitude[net.bus[b], lane] if net.bus[b] >= 0 else np.nan
    for b in range(net.n_lines):
        out.line_loading_percent[k, b] = reading.branch[b, 0, lane]
    for t in range(net.branch_from.size - net.n_lines):
        out.trafo_loading_percent[k, t] = reading.branch[net.n_lines + t, 0, lane]
        out.trafo_p_kw[k, t] = reading.branch[net.n_lines + t, 1, lane]
    supplied, grid_p, grid_q = 0.0, 0.0, 0.0
    for r in range(net.is_grid.size):
        p, q = reading.slack[r, 0, lane], reading.slack[r, 1, lane]
        out.p_slack_kw[k, r] = p
        out.q_slack_kvar[k, r] = q
        supplied += p
        if net.is_grid[r]:
            grid_p += p
            grid_q += q
    out.p_grid_kw[k] = grid_p
    out.q_grid_kvar[k] = grid_q
    taken = 0.0
    for i in range(net.shunt.size):
        taken += net.shunt_kw[i] * reading.magnitude[net.shunt[i], lane] ** 2
    out.losses_kw[k] = supplied + reading.injected[lane] - taken


@compiled
def make_solution(net: Network, n_intervals: int) -> Solution:
    """Solution of `n_intervals` of which none has been solved: all NaN."""
    n_trafos, r = net.branch_from.size - net.n_lines, net.is_grid.size
    return Solution(
        np.full((n_intervals, net.bus.size), np.nan),
        np.full((n_intervals, net.n_lines), np.nan),
        np.full((n_intervals, n_trafos), np.nan),
        np.full((n_intervals, n_trafos), np.nan),
        np.full((n_intervals, r), np.nan),
        np.full((n_intervals, r), np.nan),
        np.full(n_intervals, np.nan),
        np.full(n_intervals, np.nan),
        np.full(n_intervals, np.nan),
        np.zeros(n_intervals, np.int64),
    )


@compiled
def solve_all(net: Network, p_kw: Floats, q_kvar: Floats, tolerance_pu: float, max_iterations: int) -> Solution:
    """Solve every interval of p_kw, q_kvar (K, N); what does not converge is NaN with 0 iterations."""
    n_intervals = p_kw.shape[0]
    lanes = max(1, min(LANES, n_intervals))
    out, block, reading = make_solution(net, n_intervals), make_block(net, lanes), make_reading(net, lanes)
    for first in range(0, n_intervals, lanes):
        sum_injections(net, block, p_kw, q_kvar, first)
        solve_block(net, block, tolerance_pu, max_iterations)
        compute_magnitudes(block.v, reading.magnitude)
        compute_branches(net, block.v, reading.branch)
        compute_balance(net, block, reading)
        for lane in range(min(lanes, n_intervals - first)):
            if block.iterations[lane] > 0:
                write_interval(net, reading, lane, out, first + lane)
                out.iterations[first + lane] = block.iterations[lane]
    return out


@compiled
def solve_voltages(
    net: Network, p_kw: Floats, q_kvar: Floats, tolerance_pu: float, max_iterations: int
) -> tuple[int, Floats]:
    """Solve one interval, p_kw and q_kvar (1, N); returns its iterations, 0 if not solved, and voltages (n + r, 2)."""
    block = make_block(net, 1)
    sum_injections(net, block, p_kw, q_kvar, 0)
    solve_block(net, block, tolerance_pu, max_iterations)
    return block.iterations[0], block.v[:, :, 0].copy()
