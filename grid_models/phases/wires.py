"""Which conductors of a circuit carry the same current, because nothing branches off between them.

Where just two series conductors meet at a node, and neither a port nor a source nor an earth does, what comes by one
goes on by the other. A street's cable is drawn in dozens of pieces; the current of one of them is that of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.phases.circuit import EARTH, Branch, Circuit


class Wires(NamedTuple):
    """Whose current each of c terminals has.

    Attributes
    ----------
    leader
        The terminal whose current it is, (c,); itself where it shares none.
    sign
        1 or -1: what its current is to the leader's, (c,).
    shared
        Terminals that lead those of other branches, in rising order.
    """

    leader: Ints
    sign: Floats
    shared: Ints


def is_series(branch: Branch) -> bool:
    """Whether what enters a conductor at one end leaves it at the other."""
    y, half = branch.admittance, branch.node.size // 2
    z = y[:half, :half]
    return np.array_equal(y, np.block([[z, -z], [-z, z]]))


def find_wires(circuit: Circuit) -> Wires:
    """Find conductors in a row; that of least admittance leads, since its voltages differ most.

    Examples
    --------
    Two pieces of a cable behind each other, with a load at the end of a; the second piece is longer:

    >>> import numpy as np
    >>> from grid_models.phases.circuit import Source
    >>> def make_piece(name, near, ohm):
    ...     y = np.kron(np.array([[1, -1], [-1, 1]]), np.eye(3) / ohm).astype(complex)
    ...     node = np.arange(3 * near, 3 * near + 6)
    ...     return Branch(name, node, ("from",) * 3 + ("to",) * 3, tuple("abcabc"), y, np.full(6, 100.0), ())
    >>> source = Source(np.arange(3), np.full(3, 230.0 + 0j), np.zeros(3, complex))
    >>> circuit = Circuit(
    ...     tuple("nnnmmmfff"), tuple("abc" * 3), np.full(9, 230.0), (make_piece("1", 0, 0.1), make_piece("2", 1, 0.2)),
    ...     (source,), np.zeros(0, int), np.zeros(0, complex), np.array([6]), np.array([EARTH]), np.ones(1, complex),
    ... )
    >>> wires = find_wires(circuit)
    >>> wires.leader.tolist(), wires.sign.astype(int).tolist(), wires.shared.tolist()
    ([6, 7, 8, 6, 7, 8, 6, 7, 8, 6, 7, 8], [1, 1, 1, -1, -1, -1, 1, 1, 1, -1, -1, -1], [6, 7, 8])
    """
    other = _find_other_ends(circuit)
    on = _find_continuations(circuit, other)
    diagonal = [np.abs(branch.admittance.diagonal()) for branch in circuit.branches]
    weight = np.concatenate([*diagonal, np.zeros(0)])
    leader, sign = np.arange(weight.size), np.ones(weight.size)
    shared: list[int] = []
    seen: set[int] = set()
    for start in other:
        if start not in seen and start not in on:
            near, far = zip(*_follow(start, other, on), strict=True)
            lead = min(near, key=lambda terminal: weight[terminal])
            leader[[*near, *far]], sign[[*far]] = lead, -1.0
            shared += [lead] * (len(near) > 1)
            seen.update(far)
    return Wires(leader, sign, np.array(sorted(shared), dtype=np.int64))


def _find_other_ends(circuit: Circuit) -> dict[int, int]:
    """The other end of the conductor, of each terminal of a series branch."""
    other: dict[int, int] = {}
    first = 0
    for branch in circuit.branches:
        half = branch.node.size // 2
        if is_series(branch):
            other |= {first + k: first + (k + half) % (2 * half) for k in range(2 * half)}
        first += branch.node.size
    return other


def _find_continuations(circuit: Circuit, other: dict[int, int]) -> dict[int, int]:
    """The terminal that a terminal's current goes on into, where there is just one."""
    node = np.concatenate([*(branch.node for branch in circuit.branches), np.zeros(0, np.int64)])
    sources = [source.node for source in circuit.sources]
    taken = np.concatenate([circuit.port_from, circuit.port_to, circuit.earth_node, *sources])
    count = np.bincount(node, minlength=len(circuit.bus))
    count[taken[taken != EARTH].astype(np.int64)] = 0
    waiting: dict[int, int] = {}
    on: dict[int, int] = {}
    for terminal in np.flatnonzero(count[node] == 2).tolist():
        met = waiting.setdefault(int(node[terminal]), terminal)
        if met != terminal and met in other and terminal in other:
            on |= {met: terminal, terminal: met}
    return on


def _follow(start: int, other: dict[int, int], on: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Both ends of each conductor from an end on, that first at which the current enters."""
    near = start
    while near >= 0:
        yield near, other[near]
        near = on.get(other[near], -1)
