"""Rows of the compiled functions' work space, made of sparse matrices: see `grid_models.phases.kernel`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU

from grid_models.arrays import Complex, Ints
from grid_models.phases.kernel import TILE, Readout, Rows
from grid_models.phases.wires import Wires
from grid_models.powerflow.admittance import as_pairs

ONE = 0
"""Place that is one in all lanes: constants are entries in its column."""


class Places(NamedTuple):
    """First places of the parts of the work space, and the place of each node's voltage, (n,).

    They are the ports' currents and next voltages, what the forward half of a sweep finds, the unknowns, currents that
    many conductors carry, and a tile. Most voltages take a place of the forward half, which nobody reads any more.
    """

    current: int
    following: int
    forward: int
    unknown: int
    carried: int
    tile: int
    node: Ints

    @property
    def size(self) -> int:
        """Places of the work space."""
        return self.tile + TILE


def arrange_places(n_ports: int, to_nodes: Any, n_carried: int) -> Places:
    """Parts one behind the other; `to_nodes` is sparse (n, x), the nodes' voltages by the unknowns."""
    rows, users = to_nodes.tocsr(), np.bincount(to_nodes.tocsr().indices, minlength=to_nodes.shape[1])
    own = np.diff(rows.indptr) == 1
    own[own] = users[rows.indices[rows.indptr[:-1][own]]] == 1
    n = to_nodes.shape[1]
    at = np.cumsum([1, n_ports, n_ports, n, n, int((~own).sum()), n_carried])
    current, following, forward, unknown, other, carried, tile = (int(first) for first in at)
    node = np.empty(own.size, np.int64)
    node[own] = forward + rows.indices[rows.indptr[:-1][own]]
    node[~own] = other + np.arange((~own).sum())
    return Places(current, following, forward, unknown, carried, tile, node)


def make_rows(target: Ints, row: Ints, column: Ints, value: Complex) -> Rows:
    """Rows of entries (row, column, value), with zeros that make their numbers even.

    Examples
    --------
    >>> rows = make_rows(np.array([5]), np.array([0, 0, 0]), np.array([3, 7, 9]), np.array([1.0, 2.0, 3.0]))
    >>> rows.column.tolist(), rows.value[:, 0].tolist()
    ([3, 7, 9, 0], [1.0, 2.0, 3.0, 0.0])
    """
    order = np.lexsort((column, row))
    count = np.bincount(row, minlength=target.size)
    start = count_from_zero(np.maximum(2, count + count % 2))
    at = start[row[order]] + np.arange(row.size) - count_from_zero(count)[row[order]]
    columns, values = np.full(start[-1], ONE, np.int64), np.zeros((start[-1], 2))
    columns[at], values[at] = column[order], as_pairs(value[order] + 0j)
    return Rows(target.astype(np.int64), start, columns, values)


def count_from_zero(sizes: Any) -> Ints:
    """Where each of several parts begins, and the end of the last."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def join_matrices(target: Ints, parts: list[tuple[int, Any]]) -> Rows:
    """Rows that are the sums of products of matrices, each with the places from a first one on."""
    found = [(first, sparse.coo_array(matrix)) for first, matrix in parts]
    row = np.concatenate([matrix.row for _, matrix in found]).astype(np.int64)
    column = np.concatenate([first + matrix.col for first, matrix in found]).astype(np.int64)
    return make_rows(target, row, column, np.concatenate([matrix.data for _, matrix in found]))


def make_sweep(factors: SuperLU, given: Any, places: Places) -> Rows:
    """Rows that solve for the unknowns; `given` is sparse (x, m), the ports' currents on the right-hand side."""
    place = np.arange(given.shape[0])
    inverse = sparse.diags_array(1.0 / factors.U.diagonal())
    forward = [(places.current, given), (places.forward, -sparse.tril(factors.L, -1))]
    backward = [(places.forward, inverse), (places.unknown, -inverse @ sparse.triu(factors.U, 1))]
    down, up = join_matrices(places.forward + place, forward), join_matrices(places.unknown + place, backward)
    return append_rows(down, reverse_rows(up))


def append_rows(one: Rows, other: Rows) -> Rows:
    """Rows of one, then those of another."""
    return Rows(
        np.concatenate([one.target, other.target]),
        np.concatenate([one.start, one.start[-1] + other.start[1:]]),
        np.concatenate([one.column, other.column]),
        np.concatenate([one.value, other.value]),
    )


def reverse_rows(rows: Rows) -> Rows:
    """The same rows, the last one first."""
    count = np.diff(rows.start)[::-1]
    start = count_from_zero(count)
    entry = np.repeat(rows.start[:-1][::-1] - start[:-1], count) + np.arange(start[-1])
    return Rows(rows.target[::-1].copy(), start, rows.column[entry], rows.value[entry])


def make_voltage_readout(no_load: Complex, to_nodes: Any, places: Places) -> Readout:
    """Voltages of the nodes, V, (n,) without injections and sparse (n, x) by the unknowns."""
    n = no_load.size
    rows = join_matrices(places.node, [(ONE, no_load[:, None]), (places.unknown, to_nodes)])
    first = np.append(np.arange(0, n, TILE), n)
    return Readout(rows, first, first, places.node, np.ones(n))


def make_current_readout(matrix: Any, sizes: Ints, wires: Wires, places: Places) -> Readout:
    """Currents into the terminals, A; `matrix` is sparse (c, n), S, by the voltages, `sizes` the branches' terminals.

    Conductors in a row are computed once, before the first tile, and read in as many tiles as they reach into.
    """
    at, first = _fill_tiles(sizes)
    begin = count_from_zero(sizes)
    place = places.tile + np.repeat(at - begin[:-1], sizes) + np.arange(begin[-1])
    place[wires.shared] = places.carried + np.arange(wires.shared.size)
    alone = np.setdiff1d(np.flatnonzero(wires.leader == np.arange(begin[-1])), wires.shared)
    entries = matrix[np.concatenate([wires.shared, alone])].tocoo()
    target = place[np.concatenate([wires.shared, alone])]
    rows = make_rows(target, entries.row.astype(np.int64), places.node[entries.col], entries.data)
    first_row = wires.shared.size + np.searchsorted(alone, begin[first])
    first_row[0] = 0
    return Readout(rows, first_row, begin[first], place[wires.leader], wires.sign)


def _fill_tiles(sizes: Ints) -> tuple[Ints, Ints]:
    """Place of each branch in its tile, and the first branch of each tile, and their number."""
    at, first, used = [], [0], 0
    for k, size in enumerate(sizes.tolist()):
        if used + size > TILE:
            first.append(k)
            used = 0
        at.append(used)
        used += size
    return np.array(at, dtype=np.int64), np.array([*first, sizes.size], dtype=np.int64)
