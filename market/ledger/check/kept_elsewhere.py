"""Compare a verified chain with what is not part of it: the stored tree and state, and checkpoints.

Checkpoints in the ledger's own file are a convenience; one that was kept elsewhere shows a rollback or a fork.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.keys import is_signed
from market.ledger.crypto.merkle import History
from market.ledger.format.checkpoint import log_origin
from market.ledger.format.header import state_message
from market.ledger.format.note import VerifierKey, read_cosignatures, split_note
from market.ledger.format.quorum import Quorum, count_cosigners
from market.ledger.format.records import read_next_interval
from market.ledger.store.blocks import Fault
from market.ledger.store.registry import Registry, find_operators_key
from market.ledger.store.store import OF_A_COPY, Store
from market.ledger.store.tip import decode_records, open_checkpoint


class Policy(NamedTuple):
    """At least `threshold` of these witnesses must have cosigned the checkpoint that was kept elsewhere."""

    witnesses: tuple[VerifierKey, ...]
    threshold: int


class Chain(NamedTuple):
    """A chain whose blocks have been verified.

    Attributes
    ----------
    chain_id
        Its name.
    registry
        Members after the last block.
    hashes
        Hashes of the blocks, in order: the leaf hashes of the history tree.
    nodes
        Node hashes of the complete subtrees of the history tree by (level, index).
    next_interval
        Number of intervals.
    """

    chain_id: bytes
    registry: Registry
    hashes: Sequence[bytes]
    nodes: Mapping[tuple[int, int], bytes]
    next_interval: int


def find_contradiction(
    store: Store, chain: Chain, given: str | None, policy: Policy | None, *, whole: bool
) -> Fault | None:
    """Find the first contradiction between the chain and what is stored with it or was kept elsewhere.

    Parameters
    ----------
    store, chain
        The store, and the chain of its blocks.
    given
        Signed note of a checkpoint that was kept elsewhere, or None.
    policy
        Witnesses that must have cosigned the given note, None for none.
    whole
        False if blocks after the end of `chain` were not read on purpose; then nothing that needs them is checked.

    Raises
    ------
    LedgerError
        If the given checkpoint is no signed note.
    """
    found = _check_tree(store, chain, whole=whole) or (_check_state(store, chain) if whole else None)
    own = [(note, size) for size, note in store.checkpoints() if whole or size <= len(chain.hashes)]
    if found is not None:
        return found
    outside = [] if given is None else [(given, None)]
    return next(_check_checkpoints(chain, [*own, *outside], policy, whole=whole), None)


def find_witnessed_size(store: Store, chain: Chain, given: str | None, quorum: Quorum) -> int:
    """Blocks of the largest checkpoint that a quorum of witnesses has cosigned, 0 for none.

    Parameters
    ----------
    store, chain, given
        As of `find_contradiction`, which has found none: all of their checkpoints are of this chain.
    quorum
        The quorum that the first block states.
    """
    notes = [note for size, note in store.checkpoints() if size <= len(chain.hashes)]
    counting = [note for note in [*notes, given] if note is not None and count_cosigners(note, quorum) >= quorum.needed]
    sizes = [open_checkpoint(note, log_origin(chain.chain_id), chain.registry).size for note in counting]
    return max((size for size in sizes if size <= len(chain.hashes)), default=0)


def _check_tree(store: Store, chain: Chain, *, whole: bool) -> Fault | None:
    stored = {(level, index): node for level, index, node in store.nodes()}
    unknown = stored.keys() - chain.nodes.keys() if whole else set()
    wrong = {at for at, node in chain.nodes.items() if stored.get(at) != node} | unknown
    if not wrong:
        return None
    # A damaged file may hold anything as the place of a node.
    places = [at for at in wrong if all(isinstance(each, int) and each >= 0 for each in at)]
    heights = [((index + 1) << min(level, 64)) - 1 for level, index in places]
    return min(heights, default=0), "the stored history tree is not that of the headers"


def _check_state(store: Store, chain: Chain) -> Fault | None:
    states = store.states()
    last = len(chain.hashes) - 1
    if len(states) != 1:
        return last, f"expected one state to resume from, found {len(states)}"
    if states[0] == OF_A_COPY:
        return None
    height, blob, signature = states[0]
    if (
        not 0 <= height <= last
        or read_next_interval(decode_records(store.block(height).records)) != chain.next_interval
    ):
        return last, f"the state is not that behind interval {chain.next_interval - 1}"
    signer = find_operators_key(chain.registry, height) or b""
    if not is_signed(signer, signature, state_message(chain.hashes[height], blob)):
        return height, "the state is not signed by the operator"
    return None


def _check_checkpoints(
    chain: Chain, notes: Sequence[tuple[str, int | None]], policy: Policy | None, *, whole: bool
) -> Iterator[Fault]:
    """Faults that checkpoints show: the own ones, each with the size it is stored under, and the given one (None)."""
    origin, end = log_origin(chain.chain_id), len(chain.hashes)
    roots = _list_roots(chain.hashes)
    for note, stored_size in notes:
        whose = "given" if stored_size is None else "own"
        at = end - 1 if stored_size is None else min(max(stored_size - 1, 0), end - 1)
        try:
            checkpoint = open_checkpoint(note, origin, chain.registry)
        except LedgerError as reason:
            if stored_size is None:
                split_note(note)
            yield at, f"{whose} {reason}"
            continue
        if stored_size not in (None, checkpoint.size):
            yield at, f"own checkpoint {stored_size}: it says size {checkpoint.size}"
        elif checkpoint.size > end and whole:
            yield (
                end,
                f"ROLLBACK: the {whose} checkpoint knows {checkpoint.size} blocks, the ledger has {end}",
            )
        elif checkpoint.size <= end and checkpoint.root != roots[checkpoint.size]:
            yield at, f"FORK: the {whose} checkpoint of {checkpoint.size} blocks has another root"
        elif stored_size is None and policy is not None:
            yield from _check_witnesses(note, policy, at)


def _list_roots(hashes: Sequence[bytes]) -> list[bytes]:
    """Root hash of the history tree at every size from 0 on."""
    tree = History()
    roots = [tree.root()]
    for leaf in hashes:
        tree.append(leaf)
        roots.append(tree.root())
    return roots


def _check_witnesses(note: str, policy: Policy, at: int) -> Iterator[Fault]:
    n, n_valid = len(policy.witnesses), len(read_cosignatures(note, list(policy.witnesses)))
    if n_valid < policy.threshold:
        yield at, f"expected {policy.threshold} of {n} witnesses to cosign, found {n_valid}"
