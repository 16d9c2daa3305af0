"""The tree on chain is that of the ledger: proofs of Python are taken, forged ones refused, by the same answers."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import world, written
from log_world import random_leaves

from market.contract.abi import decode_result, encode_call, encode_deployment
from market.contract.artifacts import is_code_of, list_artifacts, read_artifact
from market.ledger.check.receipt import prove
from market.ledger.crypto.merkle import (
    consistency_proof,
    inclusion_proof,
    is_consistent,
    root_from_inclusion_proof,
    root_of_leaf_hashes,
)
from market.ledger.format.checkpoint import parse_checkpoint
from market.ledger.format.header import decode_header
from market.ledger.format.note import split_note
from market.ledger.store.store import Store

pyrevm = pytest.importorskip("pyrevm", reason="pyrevm: not installed, it has no wheel for this Python")
ANCHOR, CALLER, LOG = read_artifact("Anchor"), "0x" + "11" * 20, b"\5" * 32
LEAVES = random_leaves(64)


class OnChain:
    """The contract in this process."""

    def __init__(self, log: bytes = LOG) -> None:
        self.evm = pyrevm.EVM(spec_id="CANCUN")
        self.evm.set_balance(CALLER, 10**20)
        self.address = self.evm.deploy(CALLER, encode_deployment(ANCHOR, [log]))

    def call(self, name: str, *arguments: Any) -> Any:
        answer = self.evm.message_call(CALLER, self.address, calldata=encode_call(ANCHOR, name, arguments))
        found = decode_result(ANCHOR, name, bytes(answer), len(arguments))
        return found[0] if len(found) == 1 else found

    def anchor(self, size: int, root: bytes, proof: list[bytes]) -> bool:
        """Whether an anchor is taken."""
        try:
            self.call("anchor", size, root, proof)
        except RuntimeError:
            return False
        return True


def test_every_proof_below_64_is_taken_and_no_other_index_or_leaf() -> None:
    for size in range(1, 64):
        hashes, chain = LEAVES[:size], OnChain()
        root = root_of_leaf_hashes(hashes)
        assert chain.anchor(size, root, [])
        for index in range(size):
            path = inclusion_proof(hashes, index)
            assert root_from_inclusion_proof(hashes[index], index, size, path) == root
            assert chain.call("proveBlock", size, index, hashes[index], path)
            assert not chain.call("proveBlock", size, index ^ 1, hashes[index], path) or size == 1
            assert not chain.call("proveBlock", size, index, LEAVES[(index + 1) % 64], path)


def test_every_growth_below_64_is_taken() -> None:
    for first in range(1, 63):
        second = first + 1 + (first * 7) % (63 - first)
        chain = OnChain()
        assert chain.anchor(first, root_of_leaf_hashes(LEAVES[:first]), [])
        proof = consistency_proof(LEAVES[:second], first)
        assert chain.anchor(second, root_of_leaf_hashes(LEAVES[:second]), proof)
        assert chain.call("latest") == (second, root_of_leaf_hashes(LEAVES[:second]))


@st.composite
def forgeries(draw: st.DrawFn) -> tuple[int, int, bytes, list[bytes]]:
    """A claim that one tree extends another, with a proof that may be whole, changed, cut or of something else."""
    first, second = draw(st.integers(1, 63)), draw(st.integers(1, 63))
    least, most = sorted((first, second))
    proof = consistency_proof(LEAVES[:most], least)
    for change in draw(st.lists(st.sampled_from(["cut", "add", "flip", "swap"]), max_size=2)):
        at = draw(st.integers(0, max(len(proof) - 1, 0)))
        if change == "add":
            proof.insert(at, draw(st.sampled_from(LEAVES)))
        elif change == "cut" and proof:
            proof.pop(at)
        elif change == "flip" and proof:
            proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        elif change == "swap" and proof:
            proof[0], proof[at] = proof[at], proof[0]
    root = root_of_leaf_hashes(LEAVES[: draw(st.sampled_from([second, second, second, first]))])
    return first, second, root, proof


@given(forgeries())
def test_the_chain_and_python_agree_on_every_claim_of_growth(claim: tuple[int, int, bytes, list[bytes]]) -> None:
    first, second, root, proof = claim
    chain, old = OnChain(), root_of_leaf_hashes(LEAVES[:first])
    assert chain.anchor(first, old, [])
    grown = second > first and is_consistent(first, old, second, root, proof)
    assert chain.anchor(second, root, proof) == grown


@given(
    st.integers(1, 63),
    st.integers(0, 70),
    st.lists(st.sampled_from(LEAVES), max_size=7) | st.none(),
    st.integers(0, 63),
)
def test_the_chain_and_python_agree_on_every_claim_of_inclusion(
    size: int, index: int, path: list[bytes] | None, leaf: int
) -> None:
    hashes, chain = LEAVES[:size], OnChain()
    root = root_of_leaf_hashes(hashes)
    assert chain.anchor(size, root, [])
    given_path = inclusion_proof(hashes, leaf % size) if path is None else path
    proven = root_from_inclusion_proof(LEAVES[leaf], index, size, given_path) == root
    assert chain.call("proveBlock", size, index, LEAVES[leaf], given_path) == proven


def test_a_receipt_of_a_ledger_is_proven_on_chain_and_nothing_else_is(tmp_path: Path) -> None:
    made = world(3, 12, seed=4)
    with Store.open_to_read(written(tmp_path / "run", made)) as store:
        receipt, name = prove(store, 5, 2), decode_header(store.block(0).header).chain_id
    checkpoint, chain = parse_checkpoint(split_note(receipt.checkpoint)[0]), OnChain(name)
    assert chain.anchor(checkpoint.size, checkpoint.root, [])
    parts = [receipt.record, list(receipt.record_path), receipt.header, list(receipt.header_path)]

    def is_proven(size: int, *given: Any) -> bool:
        try:
            return bool(chain.call("prove", size, *given))
        except RuntimeError:
            return False

    assert is_proven(checkpoint.size, *parts)
    assert not is_proven(checkpoint.size - 1, *parts)
    for k, part in enumerate(parts):
        whole = part if isinstance(part, bytes) else b"".join(part)
        for at in range(0, len(whole), 5):
            flipped = whole[:at] + bytes([whole[at] ^ 8]) + whole[at + 1 :]
            changed = flipped if isinstance(part, bytes) else [flipped[i : i + 32] for i in range(0, len(flipped), 32)]
            assert not is_proven(checkpoint.size, *parts[:k], changed, *parts[k + 1 :])
        shorter, longer = part[:-1], part + (b"\0" if isinstance(part, bytes) else [b"\0" * 32])
        for changed in (shorter, longer):
            assert not is_proven(checkpoint.size, *parts[:k], changed, *parts[k + 1 :])
    other = OnChain(sha256(name).digest())
    assert other.anchor(checkpoint.size, checkpoint.root, [])
    assert not other.call("prove", checkpoint.size, *parts)


def test_the_code_on_a_chain_is_known_whatever_its_immutable_values_are() -> None:
    assert "Anchor" in list_artifacts()
    for log in (LOG, bytes(32)):
        chain = OnChain(log)
        code = bytes(chain.evm.get_code(chain.address))[: len(ANCHOR.runtime)]
        assert is_code_of(ANCHOR, code)
        assert code != ANCHOR.runtime
        assert not is_code_of(ANCHOR, code[:-1])
        assert not is_code_of(ANCHOR, code + b"\0")
        assert not is_code_of(ANCHOR, code[:50] + bytes([code[50] ^ 1]) + code[51:])
    assert not is_code_of(ANCHOR, b"")
