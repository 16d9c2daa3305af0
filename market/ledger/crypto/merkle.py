"""Merkle trees of RFC 6962 §2.1 and RFC 9162 §2.1: root hashes, inclusion proofs and consistency proofs.

The leaf hash is SHA-256(0x00 ‖ data), the node hash SHA-256(0x01 ‖ left ‖ right), the root hash of the empty tree
SHA-256 of nothing. Who verifies a proof takes index and size from what is signed or hashed, never from the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from market.ledger.crypto.sha256 import Digests, hash_joined, hash_rows

EMPTY_ROOT = sha256(b"").digest()
_EMPTY = np.frombuffer(EMPTY_ROOT, np.uint8)


def leaf_hash(data: bytes) -> bytes:
    """Leaf hash of RFC 6962."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Node hash of RFC 6962."""
    return sha256(b"\x01" + left + right).digest()


def root_of_leaf_hashes(hashes: Sequence[bytes]) -> bytes:
    """Root hash of the tree over leaf hashes."""
    level = list(hashes) or [EMPTY_ROOT]
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def _parents(level: list[bytes]) -> list[bytes]:
    """The level above; an odd last node moves up unchanged.

    This gives the same tree as RFC 6962's recursive split at the largest power of two.
    """
    pairs = zip(level[::2], level[1::2], strict=False)
    return [node_hash(left, right) for left, right in pairs] + level[len(level) & ~1 :]


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """Root hash of the tree over leaves."""
    return root_of_leaf_hashes([leaf_hash(leaf) for leaf in leaves])


def group_roots(rows: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Digests:
    """Root hashes of K trees at once: tree k has the leaves rows[offsets[k] : offsets[k + 1]].

    All trees are built level by level together, so that each call of the hash function gets many messages.

    Parameters
    ----------
    rows
        Leaves of one length, (M, W).
    offsets
        (K + 1,), from 0 to M.

    Returns
    -------
    Digests
        (K, 32).
    """
    nodes, begin = hash_rows(0, rows), np.asarray(offsets, np.int64)
    sizes = np.diff(begin)
    while sizes.size and sizes.max() > 1:
        parents = (sizes + 1) // 2
        above = np.concatenate([[0], np.cumsum(parents)])
        left = np.repeat(begin[:-1] - 2 * above[:-1], parents) + 2 * np.arange(above[-1])
        single = above[1:][sizes % 2 == 1] - 1
        pairs = np.stack([left, left + 1], axis=1)
        pairs[single, 1] = left[single]
        joined = hash_joined(1, nodes, pairs)
        joined[single] = nodes[left[single]]
        nodes, begin, sizes = joined, above, parents
    roots = np.tile(_EMPTY, (sizes.size, 1))
    roots[sizes > 0] = nodes[begin[:-1][sizes > 0]]
    return roots


class History:
    """A tree to which leaves are appended; it keeps the roots of its complete subtrees only (a compact range).

    Parameters
    ----------
    size
        Number of leaves so far.
    peaks
        Root hashes of the complete subtrees of a tree of `size` leaves, largest first.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def copy(self) -> History:
        """Copy of the tree, to append to independently."""
        return History(self.size, self.peaks)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append a leaf hash; returns the nodes that it completes as (level, index, hash), the leaf first."""
        completed = [(0, self.size, leaf)]
        level, index, node = 0, self.size, leaf
        while index % 2:
            node = node_hash(self.peaks.pop(), node)
            level, index = level + 1, index // 2
            completed.append((level, index, node))
        self.peaks.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Root hash of the tree."""
        if not self.peaks:
            return EMPTY_ROOT
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = node_hash(peak, node)
        return node


def peak_positions(size: int) -> list[tuple[int, int]]:
    """(level, index) of the complete subtrees of a tree of `size` leaves, largest first.

    Examples
    --------
    >>> peak_positions(6)
    [(2, 0), (1, 2)]
    """
    positions, first = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            positions.append((level, first >> level))
            first += 1 << level
    return positions


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Inclusion proof of leaf `index` in the tree over leaf hashes (RFC 9162 §2.1.3.1).

    Raises
    ------
    IndexError
        If there is no such leaf.
    """
    if not 0 <= index < len(hashes):
        raise IndexError(f"leaf {index}: expected 0 to {len(hashes) - 1}")
    path, level = [], list(hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, index = _parents(level), index // 2
    return path


def root_from_inclusion_proof(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Root hash that an inclusion proof leads to, None if the proof has a wrong length (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return None
    node, last, rest = leaf, size - 1, list(path)
    while last > 0:
        if index % 2 or index < last:
            if not rest:
                return None
            sibling = rest.pop(0)
            node = node_hash(sibling, node) if index % 2 else node_hash(node, sibling)
        index, last = index // 2, last // 2
    return None if rest else node


def consistency_proof(hashes: Sequence[bytes], first: int) -> list[bytes]:
    """Consistency proof: the tree over the first `first` leaf hashes is a prefix of the whole (RFC 9162 §2.1.4.1).

    Raises
    ------
    IndexError
        If `first` is not 1 … number of hashes.
    """
    if not 1 <= first <= len(hashes):
        raise IndexError(f"first size {first}: expected 1 to {len(hashes)}")
    return _subproof(first, hashes, complete=True)


def _subproof(first: int, hashes: Sequence[bytes], *, complete: bool) -> list[bytes]:
    if first == len(hashes):
        return [] if complete else [root_of_leaf_hashes(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if first <= split:
        return [*_subproof(first, hashes[:split], complete=complete), root_of_leaf_hashes(hashes[split:])]
    return [*_subproof(first - split, hashes[split:], complete=False), root_of_leaf_hashes(hashes[:split])]


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a consistency proof shows that the tree of `second` leaves extends the first (RFC 9162 §2.1.4.2)."""
    if not 1 <= first <= second or len(proof) > 2 * 64:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn % 2:
        fn, sn = fn // 2, sn // 2
    old = new = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn % 2 or fn == sn:
            old, new = node_hash(node, old), node_hash(node, new)
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn // 2, sn // 2
        else:
            new = node_hash(new, node)
        fn, sn = fn // 2, sn // 2
    return sn == 0 and old == first_root and new == second_root
