"""Laws of trees, of grouping, and of what a verifier may believe."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import append, begin, world

from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.merkle import (
    History,
    consistency_proof,
    group_roots,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    peak_positions,
    root_from_inclusion_proof,
    root_hash,
    root_of_leaf_hashes,
)
from market.ledger.crypto.sha256 import hash_joined, hash_rows

leaves = st.lists(st.binary(max_size=4), max_size=40).map(lambda data: [leaf_hash(item) for item in data])
some_leaves = leaves.filter(bool)


def mutations(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """The proof with one thing wrong: a bit, a node too few, too many, twice, or two in the other order."""
    kind = data.draw(st.sampled_from(["bit", "short", "long", "swap"] if proof else ["long"]))
    at = data.draw(st.integers(0, max(len(proof) - 1, 0)))
    if kind == "bit":
        changed = bytearray(proof[at])
        changed[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
        return [*proof[:at], bytes(changed), *proof[at + 1 :]]
    if kind == "short":
        return [*proof[:at], *proof[at + 1 :]]
    if kind == "long":
        return [*proof[:at], data.draw(st.binary(min_size=32, max_size=32)), *proof[at:]]
    return [*proof[at:], *proof[:at]]


@given(some_leaves, st.data())
def test_inclusion_is_proven_and_no_mutated_proof_is(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    proof, tree = inclusion_proof(hashes, index), root_of_leaf_hashes(hashes)
    assert root_from_inclusion_proof(hashes[index], index, len(hashes), proof) == tree
    changed = mutations(proof, data)
    if changed != proof:
        assert root_from_inclusion_proof(hashes[index], index, len(hashes), changed) != tree


@given(some_leaves, st.data())
def test_a_proof_holds_for_its_leaf_index_and_size_alone(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    proof, tree = inclusion_proof(hashes, index), root_of_leaf_hashes(hashes)
    other = data.draw(st.integers(0, len(hashes) + 2))
    if other != index and (other >= len(hashes) or hashes[other] != hashes[index]):
        assert root_from_inclusion_proof(hashes[index], other, len(hashes), proof) != tree or len(set(hashes)) < len(
            hashes
        )
    assert root_from_inclusion_proof(sha256(b"another").digest(), index, len(hashes), proof) != tree
    assert root_from_inclusion_proof(hashes[index], len(hashes), len(hashes), proof) is None
    assert root_from_inclusion_proof(hashes[index], -1, len(hashes), proof) is None


@given(some_leaves, st.data())
def test_consistency_is_proven_and_no_mutated_proof_is(hashes: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(hashes)))
    proof = consistency_proof(hashes, first)
    old, new = root_of_leaf_hashes(hashes[:first]), root_of_leaf_hashes(hashes)
    assert is_consistent(first, old, len(hashes), new, proof)
    changed = mutations(proof, data)
    if changed != proof:
        assert not is_consistent(first, old, len(hashes), new, changed)
    assert not is_consistent(first, sha256(b"fork").digest(), len(hashes), new, proof)
    assert not is_consistent(first, old, len(hashes), sha256(b"fork").digest(), proof)


@given(leaves)
def test_a_growing_tree_is_the_whole_tree_at_every_size(hashes: list[bytes]) -> None:
    tree, made = History(), {}
    for k, leaf in enumerate(hashes):
        made.update({(level, index): node for level, index, node in tree.append(leaf)})
        assert tree.root() == root_of_leaf_hashes(hashes[: k + 1])
        assert tree.peaks == [made[at] for at in peak_positions(k + 1)]
    assert len(made) == sum(len(hashes) >> level for level in range(8))


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 130), st.integers(0, 2**32))
def test_many_small_trees_at_once_are_the_same_trees(sizes: list[int], width: int, seed: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = np.random.default_rng(seed).integers(0, 256, (int(offsets[-1]), width), dtype=np.uint8)
    found = group_roots(rows, offsets)
    for k in range(len(sizes)):
        assert found[k].tobytes() == root_hash(row.tobytes() for row in rows[offsets[k] : offsets[k + 1]])


@given(st.integers(0, 40), st.integers(0, 260), st.integers(0, 255), st.integers(0, 2**32))
def test_hashing_in_lanes_is_hashlib(n_rows: int, width: int, prefix: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (n_rows, width), dtype=np.uint8)
    expected = b"".join(sha256(bytes([prefix]) + row.tobytes()).digest() for row in rows)
    assert hash_rows(prefix, rows).tobytes() == expected


@given(st.integers(1, 40), st.integers(0, 3), st.integers(0, 90), st.integers(0, 2**32))
def test_hashing_joined_rows_is_hashlib_of_the_rows_joined(n: int, n_parts: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (7, width), dtype=np.uint8)
    parts = rng.integers(0, 7, (n, n_parts))
    expected = [sha256(b"\1" + b"".join(rows[part].tobytes() for part in row)).digest() for row in parts]
    assert hash_joined(1, rows, parts).tobytes() == b"".join(expected)


@settings(max_examples=10)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 3))
def test_grouping_never_changes_a_byte(groups: list[int], seed: int) -> None:
    made = world(3, 20, seed)
    with tempfile.TemporaryDirectory() as folder:
        heads = []
        for name, sizes in (("one", [20]), ("many", groups)):
            with begin(Path(folder) / name, made) as ledger:
                first = 0
                for size in [*sizes, 20]:
                    stop = min(first + size, 20)
                    if stop > first:
                        append(ledger, made, first, stop)
                    first = stop
                heads.append((ledger.head(), ledger.state()))
        assert heads[0] == heads[1]


@settings(max_examples=15)
@given(st.integers(2, 7), st.integers(1, 40), st.integers(0, 2**20), st.sampled_from([2, 3, 4, 5, 6, 7]))
def test_sound_ledgers_are_never_flagged(n_houses: int, n_intervals: int, seed: int, mechanism: int) -> None:
    made = world(n_houses, n_intervals, seed, mechanism)
    with tempfile.TemporaryDirectory() as folder:
        with begin(Path(folder) / "run", made) as ledger:
            append(ledger, made, 0, n_intervals)
        report = verify_ledger(Path(folder) / "run")
        assert report.ok, report.reason
        assert report.n_blocks == n_intervals + 1
