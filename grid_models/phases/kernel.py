"""Solve many power flows of one circuit by a fixed point on its ports, compiled.

A port with power s and voltage v carries the current `I = conj(s/v)`, and `v = v₀ + Z·I` with Z the impedance that
ports see. Only ports are iterated on; one sweep through the factors gives all nodes afterwards. Where there are many
ports, an iteration is a sweep. Intervals are solved side by side in lanes, as in `grid_models.powerflow.kernel`.

All that is linear is rows that are carried out one after the other on one work space, the factors too: a place of it
becomes a sum of products of numbers and other places. One function does that, and it is where the time goes.

Law: an interval's result is the same to the bit whatever other intervals are solved beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled

LANES = 64
"""Intervals side by side, where the work space of so many stays in the nearer caches; else half as many."""
LARGEST_WORK = 1000
"""Places of a work space that does."""
TILE = 128
"""Quantities that are computed for all lanes before they are written interval by interval: as many as stay in cache."""
_FIRST = cast(int, np.int64(0))  # a plain 0 has a type of its own, for which numba compiles a function again


class Rows(NamedTuple):
    """Sums of products, carried out in this order; complex numbers as pairs (re, im) in the last axis.

    Attributes
    ----------
    target
        Place of the work space that each row sets, (r,).
    start
        First entry of each row, and the number of entries, (r + 1,). Each row has an even number of entries, two at
        least, none of them its own target: lanes are computed side by side only where nothing overlaps.
    column, value
        Entries: places of the work space, (e,), and what multiplies them, (e, 2).
    """

    target: Ints
    start: Ints
    column: Ints
    value: Floats


class PhaseNetwork(NamedTuple):
    """A circuit as the compiled functions take it, in pu; complex numbers as pairs (re, im) in the last axis.

    Places of the work space: 0 is one, then the m ports' currents, the m ports' next voltages, and the others.

    Attributes
    ----------
    no_load
        Voltages of the ports without injections, (m, 2).
    size
        Places of the work space, those of the readouts included.
    by_ports
        Whether an iteration is on the ports alone.
    iteration
        The ports' next voltages by their currents, or by the unknowns.
    sweep
        The unknowns by the ports' currents: both factors.
    """

    no_load: Floats
    size: int
    by_ports: bool
    iteration: Rows
    sweep: Rows


class Readout(NamedTuple):
    """Quantities by the unknowns, in tiles that are computed and then written.

    Attributes
    ----------
    rows
        What computes them.
    first_row, first
        First row and first quantity of each of t tiles, and their numbers, (t + 1,).
    place, sign
        Where each quantity is in the work space, and 1 or -1, (q,).
    """

    rows: Rows
    first_row: Ints
    first: Ints
    place: Ints
    sign: Floats


class PortBlock(NamedTuple):
    """Work space of W intervals, one per lane; complex numbers as (re, im) in the axis before the last.

    Attributes
    ----------
    s, v
        Power into the network, and voltage of the ports, (m, 2, W).
    work
        What `Rows` work on, (size, 2, W).
    change, active, iterations
        As in `grid_models.powerflow.kernel.LaneBlock`, (W,).
    """

    s: Floats
    v: Floats
    work: Floats
    change: Floats
    active: Floats
    iterations: Ints


@compiled
def carry_out(target: Ints, start: Ints, column: Ints, value: Floats, first: int, end: int, x: Floats) -> None:
    """Carry out rows `first` to `end` of `Rows` in all lanes of x.

    It is one function without calls, its arrays its own arguments: numba counts references at each call, which would
    take longer than the row. Four entries at a time, since most of the time goes into loading and storing the target.
    """
    for row in range(first, end):
        i, k = target[row], start[row]
        j0, j1 = column[k], column[k + 1]
        a0, b0, a1, b1 = value[k, 0], value[k, 1], value[k + 1, 0], value[k + 1, 1]
        for lane in range(x.shape[2]):
            re0, im0, re1, im1 = x[j0, 0, lane], x[j0, 1, lane], x[j1, 0, lane], x[j1, 1, lane]
            x[i, 0, lane] = (a0 * re0 - b0 * im0) + (a1 * re1 - b1 * im1)
            x[i, 1, lane] = (a0 * im0 + b0 * re0) + (a1 * im1 + b1 * re1)
        k += 2
        while k + 4 <= start[row + 1]:
            j0, j1, j2, j3 = column[k], column[k + 1], column[k + 2], column[k + 3]
            a0, b0, a1, b1 = value[k, 0], value[k, 1], value[k + 1, 0], value[k + 1, 1]
            a2, b2, a3, b3 = value[k + 2, 0], value[k + 2, 1], value[k + 3, 0], value[k + 3, 1]
            for lane in range(x.shape[2]):
                re0, im0, re1, im1 = x[j0, 0, lane], x[j0, 1, lane], x[j1, 0, lane], x[j1, 1, lane]
                re2, im2, re3, im3 = x[j2, 0, lane], x[j2, 1, lane], x[j3, 0, lane], x[j3, 1, lane]
                re = (a0 * re0 - b0 * im0) + (a1 * re1 - b1 * im1)
                im = (a0 * im0 + b0 * re0) + (a1 * im1 + b1 * re1)
                x[i, 0, lane] += re + ((a2 * re2 - b2 * im2) + (a3 * re3 - b3 * im3))
                x[i, 1, lane] += im + ((a2 * im2 + b2 * re2) + (a3 * im3 + b3 * re3))
            k += 4
        if k < start[row + 1]:
            j0, j1 = column[k], column[k + 1]
            a0, b0, a1, b1 = value[k, 0], value[k, 1], value[k + 1, 0], value[k + 1, 1]
            for lane in range(x.shape[2]):
                re0, im0, re1, im1 = x[j0, 0, lane], x[j0, 1, lane], x[j1, 0, lane], x[j1, 1, lane]
                x[i, 0, lane] += (a0 * re0 - b0 * im0) + (a1 * re1 - b1 * im1)
                x[i, 1, lane] += (a0 * im0 + b0 * re0) + (a1 * im1 + b1 * re1)


@compiled
def carry_out_all(rows: Rows, work: Floats) -> None:
    """Carry out all rows."""
    carry_out(rows.target, rows.start, rows.column, rows.value, _FIRST, rows.target.size, work)


@compiled
def compute_port_currents(s: Floats, v: Floats, work: Floats) -> None:
    """Set the ports' currents, from place 1 on, to conj(s/v)."""
    for i in range(v.shape[0]):
        for lane in range(v.shape[2]):
            p, q, re, im = s[i, 0, lane], s[i, 1, lane], v[i, 0, lane], v[i, 1, lane]
            inverse = 1.0 / (re * re + im * im)
            work[1 + i, 0, lane] = (p * re + q * im) * inverse
            work[1 + i, 1, lane] = (p * im - q * re) * inverse


@compiled
def take_voltages(v: Floats, following: Floats, active: Floats, change: Floats) -> None:
    """Take the next voltages in the active lanes, and sum up their squared changes."""
    change[:] = 0.0
    for i in range(v.shape[0]):
        for lane in range(change.size):
            re = (following[i, 0, lane] - v[i, 0, lane]) * active[lane]
            im = (following[i, 1, lane] - v[i, 1, lane]) * active[lane]
            # A sum, not a maximum: a NaN stays in it whatever comes later.
            change[lane] += re * re + im * im
            v[i, 0, lane] += re
            v[i, 1, lane] += im


@compiled
def freeze_lanes(block: PortBlock, iteration: int, tolerance_pu: float) -> bool:
    """Freeze the lanes that have converged or have diverged; returns whether any is still active."""
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
    m = net.no_load.shape[0]
    block.iterations[:] = 0
    block.active[:] = 1.0
    for i in range(m):
        block.v[i, 0] = net.no_load[i, 0]
        block.v[i, 1] = net.no_load[i, 1]
    for iteration in range(1, max_iterations + 1):
        compute_port_currents(block.s, block.v, block.work)
        if not net.by_ports:
            carry_out_all(net.sweep, block.work)
        carry_out_all(net.iteration, block.work)
        take_voltages(block.v, block.work[1 + m : 1 + 2 * m], block.active, block.change)
        if not freeze_lanes(block, iteration, tolerance_pu):
            break
    compute_port_currents(block.s, block.v, block.work)
    carry_out_all(net.sweep, block.work)


@compiled
def write_quantities(x: Floats, place: Ints, sign: Floats, first: int, end: int, found: Floats) -> None:
    """Write quantities `first` to `end` of the first L lanes, (L, q, 2), a whole line of the cache at a time."""
    i = first
    while i + 4 <= end:
        k0, k1, k2, k3 = place[i], place[i + 1], place[i + 2], place[i + 3]
        s0, s1, s2, s3 = sign[i], sign[i + 1], sign[i + 2], sign[i + 3]
        for lane in range(found.shape[0]):
            found[lane, i, 0] = s0 * x[k0, 0, lane]
            found[lane, i, 1] = s0 * x[k0, 1, lane]
            found[lane, i + 1, 0] = s1 * x[k1, 0, lane]
            found[lane, i + 1, 1] = s1 * x[k1, 1, lane]
            found[lane, i + 2, 0] = s2 * x[k2, 0, lane]
            found[lane, i + 2, 1] = s2 * x[k2, 1, lane]
            found[lane, i + 3, 0] = s3 * x[k3, 0, lane]
            found[lane, i + 3, 1] = s3 * x[k3, 1, lane]
        i += 4
    while i < end:
        for lane in range(found.shape[0]):
            found[lane, i, 0] = sign[i] * x[place[i], 0, lane]
            found[lane, i, 1] = sign[i] * x[place[i], 1, lane]
        i += 1


@compiled
def read_lanes(readout: Readout, block: PortBlock, found: Floats) -> None:
    """Set the quantities of a readout, (L, q, 2), of the first L lanes; NaN where a lane holds no solution."""
    rows = readout.rows
    for tile in range(readout.first.size - 1):
        first_row, end_row = readout.first_row[tile], readout.first_row[tile + 1]
        carry_out(rows.target, rows.start, rows.column, rows.value, first_row, end_row, block.work)
        first, end = readout.first[tile], readout.first[tile + 1]
        write_quantities(block.work, readout.place, readout.sign, first, end, found)
    for lane in range(found.shape[0]):
        if block.iterations[lane] == 0:
            found[lane] = np.nan


@compiled
def make_block(net: PhaseNetwork, lanes: int) -> PortBlock:
    """Work space for a circuit."""
    ports = (net.no_load.shape[0], 2, lanes)
    work = np.zeros((net.size, 2, lanes))
    work[0, 0] = 1.0
    return PortBlock(
        np.zeros(ports), np.zeros(ports), work, np.zeros(lanes), np.zeros(lanes), np.zeros(lanes, np.int64)
    )


@compiled
def solve_intervals(
    net: PhaseNetwork, p: Floats, q: Floats, tolerance_pu: float, max_iterations: int, to: tuple[Any, ...]
) -> Ints:
    """Solve K intervals.

    Parameters
    ----------
    net
        The circuit.
    p, q
        Power into the network at the ports, pu, (K, m).
    tolerance_pu
        Root of the summed squared voltage changes of the last iteration.
    max_iterations
        Iterations after which an interval is not solved.
    to
        Voltages' readout and currents' readout, and the arrays (K, n, 2) and (K, c, 2) that are set to them, NaN where
        an interval is not solved.

    Returns
    -------
    iterations
        (K,), 0 where not solved.
    """
    voltages, currents, v, current_a = to
    n_intervals, m = p.shape
    lanes = max(1, min(LANES if net.size <= LARGEST_WORK else LANES // 2, n_intervals))
    block = make_block(net, lanes)
    iterations = np.zeros(n_intervals, np.int64)
    for first in range(0, n_intervals, lanes):
        count = min(lanes, n_intervals - first)
        block.s[:] = 0.0
        for lane in range(count):
            for i in range(m):
                block.s[i, 0, lane] = p[first + lane, i]
                block.s[i, 1, lane] = q[first + lane, i]
        solve_lanes(net, block, tolerance_pu, max_iterations)
        for lane in range(count):
            iterations[first + lane] = block.iterations[lane]
        read_lanes(voltages, block, v[first : first + count])
        read_lanes(currents, block, current_a[first : first + count])
    return iterations
