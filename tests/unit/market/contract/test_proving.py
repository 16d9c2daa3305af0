"""Receipts proven by a contract, whoever made it: a root that its maker wrote into the storage proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chain_world import (
    MADE,
    Clock,
    FakeNode,
    FaultError,
    anchorer_at,
    deployed,
    factory_code,
    make_ledger,
    seed,
    seeded,
    seeding_code,
    sender_at,
)
from log_world import forked, grow

from market.contract import proving
from market.contract.abi import encode_call, find_entry, hash_signature
from market.contract.anchors import Anchor, check_anchors, read_tree
from market.contract.artifacts import read_artifact
from market.contract.chain import Chain, open_chain
from market.contract.extra import import_extra
from market.contract.rpc import NodeError
from market.errors import ChainError
from market.ledger.check.receipt import prove
from market.ledger.store.store import Store


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_ledger(tmp_path / "run")


@pytest.fixture
def fork(tmp_path: Path) -> tuple[Path, Path]:
    """Two ledgers, of 31 and 32 blocks, that part at block 12."""
    forked(tmp_path / "one", tmp_path / "other", 12)
    return tmp_path / "one", tmp_path / "other"


def unproven(url: str, address: str, directory: Path, size: int | None = None, patience_s: float = 60.0) -> str:
    """Why a contract does not prove that a record stands in the first `size` blocks."""
    with Store.open_to_read(directory) as store, open_chain(url) as chain:
        receipt = prove(store, 5, 2, size)
        return proving.find_unproven(chain, address, receipt, size or read_tree(directory).newest.size, 1, patience_s)


def grown(directory: Path, url: str, node: FakeNode, n: int = 3) -> str:
    """A contract with `n` anchors of a ledger that grew."""
    address = deployed(url, Clock(node))
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
        for first in range(20, 20 + 7 * (n - 1), 7):
            grow(directory, MADE, first, first + 7)
            anchorer.run_round(directory)
    return address


def test_every_anchor_of_a_ledger_proves(directory: Path, url: str, node: FakeNode) -> None:
    address = grown(directory, url, node)
    assert [unproven(url, address, directory, size) for size in (21, 28, 35)] == [""] * 3


def test_a_root_that_is_not_listed_proves_nothing(fork: tuple[Path, Path], url: str, node: FakeNode) -> None:
    """The attacker's: code, name and root are as they should be, and the list shows nothing."""
    tree = read_tree(fork[1])
    address = seeded(url, Clock(node), seed(tree.chain_id, [], [tree.newest]))
    assert unproven(url, address, fork[1]) == (
        "its checkpoint of 32 blocks is not anchored, but none; make it with --size"
    )


def test_a_root_that_no_transaction_brought_proves_nothing(fork: tuple[Path, Path], url: str, node: FakeNode) -> None:
    tree = read_tree(fork[1])
    address = seeded(url, Clock(node), seed(tree.chain_id, [tree.newest]))
    assert unproven(url, address, fork[1]).startswith(
        "the contract lists an anchor of 32 blocks, but the node shows no transaction that brought it with a proof"
    )
    with open_chain(url) as chain:  # a ledger's own verification sees what is listed
        assert check_anchors(chain, address, fork[1], 1).contradiction == ""  # the code is genuine, and so is the root
        assert check_anchors(chain, address, fork[0], 1).contradiction.startswith("ROLLBACK: 32 blocks were anchored")


@pytest.mark.parametrize("by_factory", [False, True])
def test_an_event_of_the_making_proves_nothing(
    by_factory: bool, fork: tuple[Path, Path], url: str, node: FakeNode
) -> None:
    """Code that makes a contract may make its events too, in a transaction to another that looks like an anchor's."""
    tree, artifact = read_tree(fork[1]), read_artifact("Anchor")
    anchored = int.from_bytes(hash_signature(find_entry(artifact, "event", "Anchored")), "big")
    code = seeding_code(seed(tree.chain_id, [tree.newest]), [[anchored, tree.newest.size]])
    with sender_at(url, Clock(node)) as sender:
        made = sender.settle(sender.prepare(None, factory_code(code) if by_factory else code, None, "it")).created
        if by_factory:
            call = encode_call(artifact, "anchor", [*tree.newest, []])
            sender.settle(sender.prepare(made, call, None, "it"))
            made = address_made_by(str(made), 1)
        wanted = [[f"0x{anchored:064x}"], [f"0x{tree.newest.size:064x}"]]
        assert len(sender.chain.logs(str(made), wanted, 0, sender.chain.block().number)) == 1
    assert "shows no transaction that brought it" in unproven(url, str(made), fork[1])


def address_made_by(maker: str, number: int) -> str:
    """Address of the contract that an account, or a contract, makes with this number (Yellow Paper, section 7)."""
    encoded = import_extra("rlp").encode([bytes.fromhex(maker[2:]), number])
    return f"0x{bytes(import_extra('eth_utils').keccak(encoded))[12:].hex()}"


def test_what_grew_from_a_root_that_was_written_proves_nothing(directory: Path, url: str, node: FakeNode) -> None:
    """All that was anchored after it came with proofs; nobody knows what the written root is the root of."""
    tree = read_tree(directory)
    address = seeded(url, Clock(node), seed(tree.chain_id, [tree.newest]))
    grow(directory, MADE, 20, 30)
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
    assert "an anchor of 21 blocks, but the node shows no transaction" in unproven(url, address, directory, 31)


def test_two_histories_in_one_list_prove_nothing(
    fork: tuple[Path, Path], url: str, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where every anchor has its transaction: the proof must be of the anchor before."""
    other = fork[1]
    tree, older = read_tree(other), Anchor(21, b"\7" * 32)
    address = deployed(url, Clock(node), tree.chain_id)
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(other)
    assert unproven(url, address, other) == ""
    monkeypatch.setattr(proving, "list_anchors", lambda *_, **__: [older, tree.newest])
    real = proving._read_call
    monkeypatch.setattr(proving, "_read_call", lambda c, a, *call: [] if a == older else real(c, a, *call))
    monkeypatch.setattr(proving, "_find_transactions", lambda c, sizes, *_: {each: [digest_of(node)] for each in sizes})
    assert "an anchor of 32 blocks, but the node shows no transaction" in unproven(url, address, other)


def digest_of(node: FakeNode) -> bytes:
    """Hash of the last transaction."""
    return bytes.fromhex(node.sent[-1]["hash"][2:])


@pytest.mark.parametrize("window", [1, 1000])
def test_a_node_that_gives_events_of_few_blocks_is_asked_again(
    window: int, directory: Path, url: str, node: FakeNode
) -> None:
    address = grown(directory, url, node)
    node.most_blocks_of_logs = window
    assert unproven(url, address, directory, 28) == ""
    assert node.asked.count("eth_getLogs") > 1 or window == 1000


def test_a_node_that_gives_no_events_proves_nothing(directory: Path, url: str, node: FakeNode) -> None:
    """It may have thrown old ones away."""
    address = grown(directory, url, node, 1)
    node.faults["eth_getLogs"] = [FaultError(-32000, "pruned")] * 99
    with pytest.raises(NodeError, match=r"eth_getLogs, refused: pruned .*; ask a node that keeps the events"):
        unproven(url, address, directory)


def test_a_receipt_of_another_ledger_is_not_proven(fork: tuple[Path, Path], url: str, node: FakeNode) -> None:
    tree = read_tree(fork[1])
    for log, root in ((tree.chain_id, b"\7" * 32), (b"\7" * 32, tree.newest.root)):
        address = seeded(url, Clock(node), seed(log, [Anchor(tree.newest.size, root)]))
        assert unproven(url, address, fork[1]) == "the contract does not prove it: its anchor is of another ledger"


def test_all_questions_together_have_a_time(
    directory: Path, url: str, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = grown(directory, url, node)
    real = Chain.transaction

    def late(self: Chain, digest: bytes) -> Any:
        passed[0] += 30.0
        return real(self, digest)

    passed = [0.0]
    monkeypatch.setattr(Chain, "transaction", late)
    monkeypatch.setattr("market.contract.anchors.time.monotonic", lambda: passed[0])
    with pytest.raises(ChainError, match=r"expected 3 proofs of growth within 60 s, got [12]; .*--patience"):
        unproven(url, address, directory, 28)


@pytest.mark.parametrize(
    "events",
    [
        {},
        [1],
        [{"transactionHash": "0x12", "topics": []}],
        [{"transactionHash": "0x" + "12" * 32}],
        [{"transactionHash": "0x" + "12" * 32, "topics": [1]}],
        [{"transactionHash": "0x" + "12" * 32, "topics": ["0x" + "12" * 32] * 9}],
    ],
)
def test_events_that_are_none_are_told(events: Any, directory: Path, url: str, node: FakeNode) -> None:
    address = grown(directory, url, node, 1)
    node.eth_getLogs = lambda wanted: json.loads(json.dumps(events))  # type: ignore[method-assign]
    with pytest.raises(ChainError, match="eth_getLogs: expected"):
        unproven(url, address, directory)


def test_events_that_were_not_asked_for_are_left_out(directory: Path, url: str, node: FakeNode) -> None:
    address = grown(directory, url, node, 1)
    real = node.eth_getLogs
    many = [{"transactionHash": "0x" + "12" * 32, "topics": ["0x" + "12" * 32, f"0x{size:064x}"]} for size in range(50)]
    node.eth_getLogs = lambda wanted: [*real(wanted), *many]  # type: ignore[method-assign]
    assert unproven(url, address, directory) == ""
    node.eth_getLogs = lambda wanted: [*many, *many, *many, *real(wanted)]  # type: ignore[method-assign]
    assert "shows no transaction that brought it" in unproven(
        url, address, directory
    )  # a node that lies may hide, not make up
