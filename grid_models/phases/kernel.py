"""Solve many power flows of one circuit by a fixed point on its ports, compiled.

A port with power s and voltage v carries the current `I = conj(s/v)`, and `v = v₀ + Z·I` with Z the impedance that
ports see. Only ports are iterated on; one sweep through the factors gives all nodes afterwards. Where there are many
ports, an iteration is a sweep. Intervals are solved side by side in lanes, as in `grid_models.powerflow.kernel`.

Law: an interval's result is the same to the bit whatever other intervals are solved beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled
from grid_models.powerflow.kernel import LANES, solve_factors

TILE = 64
"""Rows that are computed for all lanes before they are written interval by interval: as many as fit the fast cache."""


class PhaseNetwork(NamedTuple):
    """A circuit as the compiled functions take it, in pu; complex numbers as pairs (re, im) in the last axis.

    Attributes
    ----------
    lower_start, lower_row, lower, upper_start, upper_row, upper, inverse_diagonal
        Factors as in `grid_models.powerflow.kernel.Network`, of x unknowns.
    port_start, port_rhs_row, port_place, port_value
        What each of m ports injects, by ports: rows of the right-hand side, places of the solution, and factors.
    no_load
        Voltages of the ports without injections, (m, 2).
    impedance
        Impedance that the ports see, (m, m, 2); empty where an iteration is a sweep.
    """

    lower_start: Ints
    lower_row: Ints
    lower: Floats
    upper_start: Ints
    upper_row: Ints
    upper: Floats
    inverse_diagonal: Floats
    port_start: Ints
    port_rhs_row: Ints
    port_place: Ints
    port_value: Floats
    no_load: Floats
    impedance: Floats


class Rows(NamedTuple):
    """Quantities that are linear in the factors' solution, by sparse rows; complex numbers as pairs.

    Attributes
    ----------
    start, column, value
        Rows of a sparse matrix over the solution's places.
    constant
        Quantities without injections, (r, 2).
    negative_of
        An earlier row of which a row is the negative, -1 where there is none, (r,).
    """

    start: Ints
    column: Ints
    value: Floats
    constant: Floats
    negative_of: Ints


class PortBlock(NamedTuple):
    """Work space of W intervals, one per lane; complex numbers as (re, im) in the axis before the last.

    Attributes
    ----------
    s, v, current, following
        Power into the network, voltage, current, and next voltage of the ports, (m, 2, W).
    x
        Right-hand side and solution of the factors, (x, 2, W).
    change, active, iterations
        As in `grid_models.powerflow.kernel.LaneBlock`, (W,).
    """

    s: Floats
    v: Floats
    current: Floats
    following: Floats
    x: Floats
    change: Floats
    active: Floats
    iterations: Ints


@compiled
def add_product(to: Floats, i: int, a: float, b: float, of: Floats, j: int) -> None:
    """Add (a + jb)·of[j] to to[i] in all lanes."""
    for lane in range(to.shape[2]):
        re, im = of[j, 0, lane], of[j, 1, lane]
        to[i, 0, lane] += a * re - b * im
        to[i, 1, lane] += a * im + b * re


@compiled
def compute_port_currents(block: PortBlock) -> None:
    """Set the ports' currents to conj(s/v)."""
    s, v, current = block.s, block.v, block.current
    for i in range(v.shape[0]):
        for lane in range(v.shape[2]):
            p, q, re, im = s[i, 0, lane], s[i, 1, lane], v[i, 0, lane], v[i, 1, lane]
            inverse = 1.0 / (re * re + im * im)
            current[i, 0, lane] = (p * re + q * im) * inverse
            current[i, 1, lane] = (p * im - q * re) * inverse


@compiled
def sweep(net: PhaseNetwork, block: PortBlock) -> None:
    """Solve for what the ports' currents change at all unknowns, into `block.x`."""
    block.x[:] = 0.0
    for i in range(net.port_start.size - 1):
        for k in range(net.port_start[i], net.port_start[i + 1]):
            add_product(block.x, net.port_rhs_row[k], net.port_value[k, 0], net.port_value[k, 1], block.current, i)
    solve_factors(net, block.x)


@compiled
def compute_port_voltages(net: PhaseNetwork, block: PortBlock) -> None:
    """Set `block.following` to the ports' voltages that follow from their currents."""
    following = block.following
    for i in range(net.no_load.shape[0]):
        for lane in range(following.shape[2]):
            following[i, 0, lane] = net.no_load[i, 0]
            following[i, 1, lane] = net.no_load[i, 1]
    if net.impedance.size:
        for i in range(net.no_load.shape[0]):
            for j in range(net.no_load.shape[0]):
                add_product(following, i, net.impedance[i, j, 0], net.impedance[i, j, 1], block.current, j)
        return
    sweep(net, block)
    for i in range(net.no_load.shape[0]):
        for k in range(net.port_start[i], net.port_start[i + 1]):
            add_product(following, i, net.port_value[k, 0], -net.port_value[k, 1], block.x, net.port_place[k])


@compiled
def take_voltages(block: PortBlock, iteration: int, tolerance_pu: float) -> bool:
    """Take the next voltages in the active lanes and freeze those that are done; whether any is still active."""
    block.change[:] = 0.0
    for i in range(block.v.shape[0]):
        for lane in range(block.change.size):
            re = (block.following[i, 0, lane] - block.v[i, 0, lane]) * block.active[lane]
            im = (block.following[i, 1, lane] - block.v[i, 1, lane]) * block.active[lane]
            # A sum, not a maximum: a NaN stays in it whatever comes later.
            block.change[lane] += re * re + im * im
            block.v[i, 0, lane] += re
            block.v[i, 1, lane] += im
    any_active = False
    for lane in range(block.change.size):
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
def solve_lanes(net: PhaseNetwork, block: PortBlock, tolerance_pu: float, max_iterations: int) -> None:
    """Solve for `block.s`, starting without load; only lanes with `block.iterations` > 0 hold a solution."""
    for lane in range(block.iterations.size):
        block.iterations[lane] = 0
        block.active[lane] = 1.0
        for i in range(net.no_load.shape[0]):
            block.v[i, 0, lane] = net.no_load[i, 0]
            block.v[i, 1, lane] = net.no_load[i, 1]
    for iteration in range(1, max_iterations + 1):
        compute_port_currents(block)
        compute_port_voltages(net, block)
        if not take_voltages(block, iteration, tolerance_pu):
            break
    compute_port_currents(block)
    sweep(net, block)


@compiled
def compute_rows(rows: Rows, block: PortBlock, first: int, count: int, found: Floats) -> None:
    """Set `found`, (TILE, 2, W), to the quantities of `count` rows from `first` on in all lanes."""
    for i in range(count):
        other = rows.negative_of[first + i] - first
        if other >= 0:
            for lane in range(found.shape[2]):
                found[i, 0, lane] = -found[other, 0, lane]
                found[i, 1, lane] = -found[other, 1, lane]
            continue
        for lane in range(found.shape[2]):
            found[i, 0, lane] = rows.constant[first + i, 0]
            found[i, 1, lane] = rows.constant[first + i, 1]
        for k in range(rows.start[first + i], rows.start[first + i + 1]):
            add_product(found, i, rows.value[k, 0], rows.value[k, 1], block.x, rows.column[k])


@compiled
def read_lanes(rows: Rows, block: PortBlock, tile: Floats, quantities: Floats) -> None:
    """Set the quantities of all rows, (L, r, 2), of the first L lanes; NaN where a lane holds no solution."""
    n_rows = rows.constant.shape[0]
    for first in range(0, n_rows, TILE):
        count = min(TILE, n_rows - first)
        compute_rows(rows, block, first, count, tile)
        for lane in range(quantities.shape[0]):
            solved = block.iterations[lane] > 0
            for i in range(count):
                quantities[lane, first + i, 0] = tile[i, 0, lane] if solved else np.nan
                quantities[lane, first + i, 1] = tile[i, 1, lane] if solved else np.nan


@compiled
def solve_intervals(
    net: PhaseNetwork, rows: Rows, p: Floats, q: Floats, tolerance_pu: float, max_iterations: int
) -> tuple[Ints, Floats]:
    """Solve K intervals.

    Parameters
    ----------
    net, rows
        The circuit, and what is asked for.
    p, q
        Power into the network at the ports, pu, (K, m).
    tolerance_pu
        Root of the summed squared voltage changes of the last iteration.
    max_iterations
        Iterations after which an interval is not solved.

    Returns
    -------
    iterations, quantities
        (K,), 0 where not solved, and the quantities of the rows, (K, r, 2), NaN there.
    """
    n_intervals, m, n = p.shape[0], p.shape[1], net.inverse_diagonal.shape[0]
    lanes = max(1, min(LANES, n_intervals))
    ports = (m, 2, lanes)
    block = PortBlock(
        np.zeros(ports), np.zeros(ports), np.zeros(ports), np.zeros(ports), np.zeros((n, 2, lanes)),
        np.zeros(lanes), np.zeros(lanes), np.zeros(lanes, np.int64),
    )  # fmt: skip
    n_rows = rows.constant.shape[0]
    tile = np.zeros((TILE, 2, lanes))
    iterations, quantities = np.zeros(n_intervals, np.int64), np.empty((n_intervals, n_rows, 2))
    for first in range(0, n_intervals, lanes):
        count = min(lanes, n_intervals - first)
        block.s[:] = 0.0
        for lane in range(count):
            for i in range(m):
                block.s[i, 0, lane] = p[first + lane, i]
                block.s[i, 1, lane] = q[first + lane, i]
        solve_lanes(net, block, tolerance_pu, max_iterations)
        iterations[first : first + count] = block.iterations[:count]
        read_lanes(rows, block, tile, quantities[first : first + count])
    return iterations, quantities
