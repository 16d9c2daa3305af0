"""Anchors on a chain held against a ledger's own tree: whoever rolls a ledger back or forks it, it shows there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from market.contract.abi import decode, find_entry, select
from market.contract.accounts import check_address
from market.contract.artifacts import read_artifact
from market.contract.chain import LARGEST, Chain, Contract
from market.contract.rpc import NodeError
from market.errors import ChainError, LedgerError
from market.ledger.crypto.merkle import History, consistency_proof, is_consistent
from market.ledger.format.checkpoint import parse_checkpoint
from market.ledger.format.header import decode_header
from market.ledger.format.note import split_note
from market.ledger.store.store import Store

NO_LOG = bytes(32)
PAGE = 500
"""Anchors asked for at once."""

MOST_ANCHORS = 1_000_000
"""Anchors that a contract may list: one an hour for a century."""

PATIENCE_S = 900.0
"""Seconds that all questions about the anchors of a contract may take."""


class ContradictedError(ChainError):
    """The chain holds what this ledger is not: it was rolled back or forked, or the contract is another ledger's."""


class Deadline:
    """When all questions to a chain must have been answered, one after the other.

    Parameters
    ----------
    patience_s
        Seconds from now.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s, self._end = patience_s, time.monotonic() + patience_s

    def check(self, chain: Chain, expected: str, got: str) -> None:
        """Check that there is time left.

        Raises
        ------
        ChainError
            If there is none.
        """
        if time.monotonic() > self._end:
            raise ChainError(
                f"{chain.rpc.name}: expected {expected} within {self._patience_s:g} s, got {got}; allow more with "
                "--patience"
            )


class Anchor(NamedTuple):
    """Blocks and root hash of the history tree that were anchored."""

    size: int
    root: bytes


NOTHING = Anchor(0, b"")
"""What is there before the first anchor."""


class Tree(NamedTuple):
    """A ledger's name, the hashes of its blocks, and its newest checkpoint."""

    chain_id: bytes
    hashes: Sequence[bytes]
    newest: Anchor


def read_tree(directory: Path) -> Tree:
    """Read the tree of a ledger, also while a run writes to it.

    Raises
    ------
    LedgerError
        If there is no ledger, or it does not end as its checkpoint says.
    """
    with Store.open_to_read(directory) as store:
        note, hashes = store.last_checkpoint(), store.hashes()
        name = decode_header(store.block(0).header).chain_id
    checkpoint = None if note is None else parse_checkpoint(split_note(note)[0])
    if checkpoint is None or not 0 < checkpoint.size <= len(hashes):
        raise LedgerError(f"{directory}: expected a checkpoint of its blocks, found none; run gridsettle ledger verify")
    if find_roots(hashes, [checkpoint.size])[0] != checkpoint.root:
        raise LedgerError(
            f"{directory}: expected the root of its checkpoint, got another; run gridsettle ledger verify"
        )
    return Tree(name, hashes, Anchor(checkpoint.size, checkpoint.root))


def find_roots(hashes: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
    """Root hashes of the trees of the first blocks.

    Parameters
    ----------
    hashes
        Leaf hashes, in order.
    sizes
        shape (k,): ascending, from 0 to the number of hashes.
    """
    history, found = History(), []
    for size in sizes:
        for leaf in hashes[history.size : size]:
            history.append(leaf)
        found.append(history.root())
    return found


def prove_growth(tree: Tree, first: int, second: int) -> list[bytes]:
    """Proof that the tree of `second` blocks extends that of `first`; nothing to prove for the first anchor."""
    return consistency_proof(tree.hashes[:second], first) if first else []


def open_anchor(chain: Chain, address: str, at: int | str = "latest") -> Contract:
    """Open the contract of anchors at an address.

    Raises
    ------
    ChainError
        If another stands there, or none.
    """
    contract = Contract(chain, read_artifact("Anchor"), address)
    contract.check_code(at)
    return contract


def read_latest(contract: Contract, at: int | str = "latest") -> Anchor | None:
    """The last anchor of a contract."""
    size, root = contract.read("latest", at=at)
    return Anchor(size, root) if size else None


def list_anchors(contract: Contract, at: int, most: int = LARGEST, deadline: Deadline | None = None) -> list[Anchor]:
    """The anchors of a contract as of a block, each larger than the one before.

    Whoever made the contract, or the node, may say that there are endlessly many: it ends with the first that does not
    grow, with the page that holds one above `most`, with the millionth, or with the time.

    Parameters
    ----------
    contract, at
        The contract, and the number of the block.
    most
        Blocks of the ledger that the anchors are held against; what is larger is not of it.
    deadline
        Of all of it. Default: that of `PATIENCE_S` from now.

    Raises
    ------
    ChainError
        If the answers are none of this contract, or take longer.
    """
    deadline = deadline or Deadline()
    (count,) = contract.read("count", at=at)
    found: list[Anchor] = []
    while len(found) < count and (not found or found[-1].size <= most):
        deadline.check(contract.chain, f"{count:,} anchors", f"{len(found):,}")
        sizes, roots = contract.read("list", len(found), PAGE, at=at)
        if not 0 < len(sizes) == len(roots) <= min(PAGE, count - len(found)):
            raise NodeError(f"{contract.chain.rpc.name}: expected {count} anchors, got {len(found)} and no more")
        check_growing([found[-1].size if found else 0, *sizes], contract)
        found += map(Anchor, sizes, roots)
        if len(found) > MOST_ANCHORS:
            raise NodeError(f"{contract.chain.rpc.name}: expected at most {MOST_ANCHORS:,} anchors, got more")
    return found


def extends(before: Anchor, anchor: Anchor, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that an anchor extends the one before, as the contract asks; the first needs none."""
    if not before.size:
        return not proof
    return is_consistent(before.size, before.root, anchor.size, anchor.root, proof)


def read_proof(contract: Contract, anchor: Anchor, data: bytes) -> list[bytes] | None:
    """The proof in a call that brings this anchor; None if the call is another."""
    entry = find_entry(contract.artifact, "function", "anchor")
    if data[:4] != select(entry):
        return None
    try:
        size, root, proof = decode([each["type"] for each in entry["inputs"]], data[4:], "anchor")
    except ChainError:
        return None
    return list(proof) if (size, root) == anchor else None


def check_growing(sizes: Sequence[int], contract: Contract) -> None:
    """Check that anchors are in order of size; the contract takes no others.

    Raises
    ------
    NodeError
        If they are not.
    """
    for one, other in pairwise(sizes):
        if not one < other <= LARGEST:
            raise NodeError(
                f"{contract.chain.rpc.name}: expected the anchors of {contract.address} in order of size, got "
                f"{other} blocks after {one}; the node lies, or whoever made the contract wrote its storage"
            )


def find_contradiction(hashes: Sequence[bytes], anchors: Sequence[Anchor]) -> str:
    """Why a ledger is not what was anchored; nothing if it is."""
    held = [anchor for anchor in anchors if anchor.size <= len(hashes)]
    roots = find_roots(hashes, [anchor.size for anchor in held])
    for anchor, root in zip(held, roots, strict=True):
        if root != anchor.root:
            return (
                f"FORK: {anchor.size:,} blocks were anchored with root {anchor.root.hex()}, those of this ledger have "
                f"{root.hex()}"
            )
    if len(held) < len(anchors):
        return f"ROLLBACK: {anchors[-1].size:,} blocks were anchored, this ledger has {len(hashes):,}"
    return ""


class Anchored(NamedTuple):
    """What a chain says of a ledger.

    Attributes
    ----------
    anchors
        As of `block`.
    chain_id, operator
        The chain, and the address that anchors.
    block
        The newest block that has enough confirmations.
    contradiction
        Why the ledger is not what was anchored; nothing if it is.
    """

    anchors: tuple[Anchor, ...]
    chain_id: int
    operator: str
    block: int
    contradiction: str

    def show(self) -> dict[str, Any]:
        """What a chain says, as JSON."""
        listed = [{"size": anchor.size, "root": anchor.root.hex()} for anchor in self.anchors]
        return {**self._asdict(), "anchors": listed}


def check_anchors(
    chain: Chain, address: str, directory: Path, confirmations: int, patience_s: float = PATIENCE_S
) -> Anchored:
    """Hold every anchor of a contract against a ledger.

    Raises
    ------
    ChainError, LedgerError
        If the contract or the ledger cannot be read.
    """
    deadline, block = Deadline(patience_s), find_confirmed(chain, confirmations)
    contract = open_anchor(chain, address, block)
    (log,), (operator,) = contract.read("log", at=block), contract.read("operator", at=block)
    with Store.open_to_read(directory) as store:
        hashes, name = store.hashes(), decode_header(store.block(0).header).chain_id
    anchors = list_anchors(contract, block, len(hashes), deadline)
    if log not in (NO_LOG, name):
        why = f"the contract is of log {log.hex()}, this ledger is {name.hex()}"
    else:
        why = find_contradiction(hashes, anchors)
    return Anchored(tuple(anchors), chain.chain_id, check_address(operator, "operator"), block, why)


def find_confirmed(chain: Chain, confirmations: int) -> int:
    """Number of the newest block with as many confirmations, its own counted.

    Raises
    ------
    ChainError
        If the chain is shorter.
    """
    block = chain.block().number - confirmations + 1
    if block < 0:
        raise ChainError(f"{chain.rpc.name}: expected a chain of {confirmations} blocks, got {block + confirmations}")
    return block
