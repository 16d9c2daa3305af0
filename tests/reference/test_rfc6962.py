"""Published roots of the eight-leaf tree of the Certificate Transparency tests, and RFC 6962's worked proofs."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.ledger.crypto.merkle import (
    History,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion_proof,
    root_hash,
    root_of_leaf_hashes,
)

# Inputs and roots: google/certificate-transparency, merkletree tests.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1 as it is written: split at the largest power of two below the size."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while 2 * split < len(hashes):
        split *= 2
    return node_hash(naive_root(hashes[:split]), naive_root(hashes[split:]))


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert root_hash(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_empty_root_is_the_hash_of_nothing() -> None:
    assert root_hash([]) == sha256(b"").digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_root_and_history_equal_the_definition(leaves: list[bytes]) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves]
    history = History()
    for size, leaf in enumerate(hashes, start=1):
        history.append(leaf)
        assert history.root() == naive_root(hashes[:size])
    assert root_of_leaf_hashes(hashes) == naive_root(hashes)


@given(st.integers(1, 80), st.data())
def test_inclusion_proofs_verify_and_mutated_ones_never_do(size: int, data: st.DataObject) -> None:
    hashes = [leaf_hash(bytes([k])) for k in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(hashes, index)
    expected = naive_root(hashes)
    assert root_from_inclusion_proof(hashes[index], index, size, path) == expected
    other = data.draw(st.integers(0, size - 1).filter(lambda k: k != index)) if size > 1 else None
    if other is not None:
        assert root_from_inclusion_proof(hashes[other], index, size, path) != expected
        assert root_from_inclusion_proof(hashes[index], other, size, path) != expected
    assert root_from_inclusion_proof(hashes[index], index, size, [*path, hashes[0]]) is None
    if path:
        assert root_from_inclusion_proof(hashes[index], index, size, path[:-1]) != expected
        broken = list(path)
        k = data.draw(st.integers(0, len(path) - 1))
        broken[k] = bytes([broken[k][0] ^ 1]) + broken[k][1:]
        assert root_from_inclusion_proof(hashes[index], index, size, broken) != expected
    assert root_from_inclusion_proof(hashes[index], size, size, path) is None


@given(st.integers(1, 80), st.data())
def test_consistency_proofs_verify_and_mutated_ones_never_do(second: int, data: st.DataObject) -> None:
    hashes = [leaf_hash(bytes([k])) for k in range(second)]
    first = data.draw(st.integers(1, second))
    old, new = naive_root(hashes[:first]), naive_root(hashes)
    proof = consistency_proof(hashes, first)
    assert is_consistent(first, old, second, new, proof)
    wrong = leaf_hash(b"wrong")
    assert not is_consistent(first, wrong, second, new, proof)
    assert not is_consistent(first, old, second, wrong, proof)
    assert not is_consistent(first, old, second, new, [*proof, wrong])
    if proof:
        assert not is_consistent(first, old, second, new, proof[:-1])
        k = data.draw(st.integers(0, len(proof) - 1))
        broken = list(proof)
        broken[k] = bytes([broken[k][0] ^ 1]) + broken[k][1:]
        assert not is_consistent(first, old, second, new, broken)
