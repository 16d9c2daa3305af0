"""Anchor a ledger: settle what is on its way, then bring the newest checkpoint to the chain with a proof of growth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from market.contract.abi import encode_deployment
from market.contract.anchors import (
    NO_LOG,
    NOTHING,
    Anchor,
    ContradictedError,
    Deadline,
    Tree,
    extends,
    find_contradiction,
    find_roots,
    list_anchors,
    open_anchor,
    prove_growth,
    read_latest,
    read_proof,
    read_tree,
)
from market.contract.artifacts import Artifact
from market.contract.chain import Contract, Receipt, RevertedError
from market.contract.outbox import Outbox, Waiting
from market.contract.sender import LostError, Sender
from market.contract.transactions import find_foreign
from market.errors import ChainError

logger = logging.getLogger(__name__)


class Round(NamedTuple):
    """What a round has done: the anchors that it brought to the chain, and the last one that is there."""

    new: tuple[Anchor, ...]
    last: Anchor


class Anchorer:
    """Anchors ledgers in one contract.

    Parameters
    ----------
    sender
        Who sends.
    address
        The contract.

    Raises
    ------
    ChainError
        If another contract stands there, or its operator is another account.
    """

    def __init__(self, sender: Sender, address: str) -> None:
        self._sender, self._contract = sender, open_anchor(sender.chain, address)
        (operator,) = self._contract.read("operator")
        if operator.lower() != sender.account.address.lower():
            raise ChainError(
                f"{address}: expected a contract of {sender.account.address}, the account of the key, got one of "
                f"{operator}, who alone anchors there"
            )

    def run_round(self, directory: Path) -> Round:
        """Anchor the newest checkpoint of a ledger, if the chain does not have it.

        A round that ends early, by a crash or an error, is taken up by the next one: what was sent is in the outbox.

        Raises
        ------
        ContradictedError
            If the chain holds what this ledger is not.
        ChainError, LedgerError
            If the chain cannot be used now, or the ledger cannot be read.
        """
        with Outbox(directory, self._sender.chain.chain_id, self._contract.address) as outbox:
            tree = read_tree(directory)
            self._check(tree)
            new = [anchor] if (anchor := self._settle(outbox, tree)) else []
            last = self._check(tree)
            if self._contract.read("log") == (NO_LOG,):
                self._send(outbox, Anchor(0, b""), "name", [tree.chain_id])
            if last is None or last.size < tree.newest.size:
                last = self._anchor(outbox, tree, last)
                new.append(last)
        return Round(tuple(new), last)

    def _anchor(self, outbox: Outbox, tree: Tree, last: Anchor | None) -> Anchor:
        size, root = tree.newest
        proof = prove_growth(tree, last.size if last else 0, size)
        self._send(outbox, tree.newest, "anchor", [size, root, proof])
        logger.info("%d blocks anchored", size)
        return tree.newest

    def _check(self, tree: Tree) -> Anchor | None:
        """The last anchor, which must be of this ledger."""
        (log,), last = self._contract.read("log"), read_latest(self._contract)
        if log not in (NO_LOG, tree.chain_id):
            raise ContradictedError(
                f"{self._contract.address}: expected the contract of log {tree.chain_id.hex()}, got that of {log.hex()}"
            )
        if last is not None and (why := find_contradiction(tree.hashes, [last])):
            raise ContradictedError(why)
        return last

    def _settle(self, outbox: Outbox, tree: Tree) -> Anchor | None:
        """Carry out what was on its way when a round before ended; the anchor that it was."""
        if outbox.waiting is None:
            return None
        size, root, sent = outbox.waiting
        self._check_waiting(outbox, tree)
        try:
            receipt = self._sender.settle(sent, outbox.keeper(size, root))
        except (LostError, RevertedError) as reason:
            logger.warning("%s; it is made anew", reason)
            outbox.drop()
            return None
        outbox.confirm(receipt.hash, receipt.block)
        return Anchor(size, root) if size else None

    def _check_waiting(self, outbox: Outbox, tree: Tree) -> None:
        """Check that what waits was signed by us, and says what this ledger is.

        Whoever can write the file must have us neither sign nor send another: every version must carry our signature
        of just these fields, and the call must be the one that we would make of our own ledger now.
        """
        if outbox.waiting is None:
            return
        (size, root, sent), contract = outbox.waiting, self._contract
        if (sent.draft.to or "").lower() != contract.address.lower():
            raise _foreign(outbox, f"to to be {contract.address}")
        if flaw := find_foreign(sent, self._sender.chain.chain_id, self._sender.account.address):
            raise _foreign(outbox, flaw)
        if size and read_proof(contract, Anchor(size, root), sent.draft.data) is None:
            raise _foreign(outbox, "data to anchor the size and root that stand beside it")
        if size and (why := find_contradiction(tree.hashes, [Anchor(size, root)])):
            raise ContradictedError(f"{outbox.path}: what waits to be anchored is not of this ledger. {why}")
        if sent.draft.data != self._rebuild(outbox, tree, outbox.waiting):
            raise _foreign(outbox, "data to be what this ledger gives from an anchor before")

    def _rebuild(self, outbox: Outbox, tree: Tree, waiting: Waiting) -> bytes:
        """The call that waits, made of our own ledger; nothing if no round before can have made it.

        Its proof began at what was the last anchor then, and between two roots there is only one.
        """
        (size, root, sent), contract = waiting, self._contract
        if not size:
            return contract.encode("name", [tree.chain_id])
        block, deadline = self._sender.chain.block().number, Deadline(self._sender.pace.patience_s)
        on_chain = list_anchors(contract, block, len(tree.hashes), deadline)
        sizes = {each.size for each in on_chain} | {each.size for each in outbox.confirmed}
        before = sorted(each for each in sizes if each < size)
        firsts = [NOTHING, *map(Anchor, before, find_roots(tree.hashes, before))]
        proof = read_proof(contract, Anchor(size, root), sent.draft.data)
        if proof is None or not any(extends(first, Anchor(size, root), proof) for first in reversed(firsts)):
            return b""
        return contract.encode("anchor", [size, root, proof])

    def _send(self, outbox: Outbox, anchor: Anchor, function: str, arguments: Sequence[Any]) -> None:
        contract = self._contract
        sent = self._sender.prepare(contract.address, contract.encode(function, arguments), contract, function)
        try:
            receipt = self._sender.settle(sent, outbox.keeper(*anchor))
        except (LostError, RevertedError):
            outbox.drop()
            raise
        outbox.confirm(receipt.hash, receipt.block)


def _foreign(outbox: Outbox, flaw: str) -> ChainError:
    return ChainError(
        f"{outbox.path}: expected waiting.{flaw}, got another; nothing was signed or sent. Somebody else wrote it: "
        "move it away, what is on the chain is asked for again"
    )


def deploy(sender: Sender, artifact: Artifact, arguments: Sequence[Any]) -> tuple[Contract, Receipt]:
    """Make a contract on a chain.

    Raises
    ------
    ChainError
        If it cannot be made, or other code stands there then.
    """
    sent = sender.prepare(None, encode_deployment(artifact, arguments), None, f"the contract {artifact.name}")
    receipt = sender.settle(sent)
    if receipt.created is None:
        raise ChainError(f"{sender.chain.rpc.name}: expected the address of the new contract, got none")
    contract = Contract(sender.chain, artifact, receipt.created)
    contract.check_code()
    return contract, receipt
