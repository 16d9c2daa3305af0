"""Whether a contract of anchors proves a receipt, whoever made the contract and whatever was in its storage then.

The code of a contract can be compared, its storage not: code that makes a contract may write roots there that nobody
sees, and leave the genuine code behind. So a root counts only if the contract lists it, where everybody sees it, and if
the listed anchors are one history: their proofs of growth, which are in the transactions that brought them, are
computed again here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from market.contract.abi import find_entry, hash_signature
from market.contract.anchors import (
    NOTHING,
    PATIENCE_S,
    Anchor,
    Deadline,
    extends,
    find_confirmed,
    list_anchors,
    open_anchor,
    read_proof,
)
from market.contract.chain import Chain, Contract, RevertedError
from market.contract.rpc import NodeError, RefusedError
from market.ledger.check.receipt import Receipt

AT_ONCE = 200
"""Anchors whose events are asked for at once."""

Logs = Sequence[tuple[bytes, list[bytes]]]
"""Hashes of transactions, and the topics of their events."""


def find_unproven(
    chain: Chain, address: str, receipt: Receipt, size: int, confirmations: int, patience_s: float = PATIENCE_S
) -> str:
    """Why a contract does not prove a receipt; nothing if it does.

    Parameters
    ----------
    chain, address
        The contract.
    receipt, size
        The receipt, and the blocks of its checkpoint.
    confirmations
        Blocks that an anchor must have, its own counted.
    patience_s
        Seconds in all.

    Raises
    ------
    ChainError
        If the chain cannot be read, or not in time.
    """
    deadline, block = Deadline(patience_s), find_confirmed(chain, confirmations)
    contract = open_anchor(chain, address, block)
    anchors = list_anchors(contract, block, deadline=deadline)
    if size not in {anchor.size for anchor in anchors}:
        listed = ", ".join(str(anchor.size) for anchor in anchors[-8:]) or "none"
        return f"its checkpoint of {size} blocks is not anchored, but {listed}; make it with --size"
    if not _is_proven(contract, receipt, size, block):
        return "the contract does not prove it: its anchor is of another ledger"
    return find_ungrown(contract, anchors, block, deadline)


def _is_proven(contract: Contract, receipt: Receipt, size: int, block: int) -> bool:
    path, header_path = list(receipt.record_path), list(receipt.header_path)
    try:
        (is_proven,) = contract.read("prove", size, receipt.record, path, receipt.header, header_path, at=block)
    except RevertedError:
        return False
    return bool(is_proven)


def find_ungrown(contract: Contract, anchors: Sequence[Anchor], block: int, deadline: Deadline) -> str:
    """Which anchor did not come with a proof that it extends the one before; nothing if all did.

    Parameters
    ----------
    contract, anchors, block
        The contract, and all that it lists as of a block.
    deadline
        Of all of it.
    """
    before = NOTHING
    for number, (anchor, proofs) in enumerate(_list_proofs(contract, anchors, block, deadline)):
        deadline.check(contract.chain, f"{len(anchors):,} proofs of growth", f"{number:,}")
        if not any(extends(before, anchor, proof) for proof in proofs):
            return (
                f"the contract lists an anchor of {anchor.size} blocks, but the node shows no transaction that brought "
                "it with a proof of growth: the contract's maker wrote its storage, or the node keeps no old events"
            )
        before = anchor
    return ""


def _list_proofs(
    contract: Contract, anchors: Sequence[Anchor], block: int, deadline: Deadline
) -> Iterator[tuple[Anchor, list[list[bytes]]]]:
    """Anchors, each with the proofs of the transactions that an event says have brought it."""
    for first in range(0, len(anchors), AT_ONCE):
        asked = anchors[first : first + AT_ONCE]
        found = _find_transactions(contract, [anchor.size for anchor in asked], block, deadline)
        for anchor in asked:
            calls = (contract.chain.transaction(digest) for digest in found.get(anchor.size, ()))
            proofs = (_read_call(contract, anchor, *call) for call in calls if call is not None)
            yield anchor, [proof for proof in proofs if proof is not None]


def _find_transactions(
    contract: Contract, sizes: Sequence[int], block: int, deadline: Deadline
) -> dict[int, list[bytes]]:
    """Hashes of the transactions with an event `Anchored`, by size; at most three of each, for there is one."""
    topics = [_hex(hash_signature(find_entry(contract.artifact, "event", "Anchored")))]
    wanted = [topics, [_hex(size.to_bytes(32, "big")) for size in sizes]]
    found: dict[int, list[bytes]] = {}
    for logs in _list_logs(contract, wanted, 0, block):
        deadline.check(contract.chain, f"events of {len(sizes):,} anchors", f"{len(found):,}")
        for size, hashes in _group(logs, sizes).items():
            found[size] = [*found.get(size, ()), *hashes][:3]
        if len(found) == len(sizes):
            break
    return found


def _list_logs(contract: Contract, wanted: list[list[str]], first: int, last: int) -> Iterator[Logs]:
    """Events of blocks `first` to `last`, the newest first: many nodes answer for some thousand blocks at once."""
    try:
        logs = contract.chain.logs(contract.address, wanted, first, last)
    except RefusedError as reason:
        if first == last:
            raise NodeError(f"{reason}; ask a node that keeps the events of all blocks") from None
        middle = (first + last) // 2
        yield from _list_logs(contract, wanted, middle + 1, last)
        yield from _list_logs(contract, wanted, first, middle)
    else:
        yield logs


def _group(logs: Logs, sizes: Sequence[int]) -> dict[int, list[bytes]]:
    wanted, found = set(sizes), dict[int, list[bytes]]()
    for digest, topics in logs:
        size = int.from_bytes(topics[1], "big") if len(topics) == 2 else 0
        if size in wanted and len(hashes := found.setdefault(size, [])) < 3:
            hashes.append(digest)
    return found


def _read_call(contract: Contract, anchor: Anchor, to: str | None, data: bytes) -> list[bytes] | None:
    """The proof of a transaction that anchors; None if it is another."""
    return read_proof(contract, anchor, data) if to is not None and to.lower() == contract.address.lower() else None


def _hex(content: bytes) -> str:
    return f"0x{content.hex()}"
