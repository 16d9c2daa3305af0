"""What is held against a verified chain: its stored tree and state, its checkpoints, and what others kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import is_signed
from market.ledger.crypto.merkle import History
from market.ledger.format.checkpoint import origin_of
from market.ledger.format.header import state_message
from market.ledger.format.note import VerifierKey, cosignatures, split_note
from market.ledger.format.records import next_interval
from market.ledger.store.blocks import Fault
from market.ledger.store.registry import Registry, key_in_force
from market.ledger.store.store import Store
from market.ledger.store.tip import records_of, signed_checkpoint


class Policy(NamedTuple):
    """How many of which witnesses must have cosigned the checkpoint given from outside."""

    witnesses: tuple[VerifierKey, ...]
    threshold: int


class Chain(NamedTuple):
    """A chain whose blocks are sound.

    Attributes
    ----------
    chain_id
        Its name.
    registry
        Members behind the last block.
    hashes
        Header hashes, in order.
    nodes
        Complete nodes of the history tree by (level, index).
    next_interval
        Number of intervals.
    """

    chain_id: bytes
    registry: Registry
    hashes: Sequence[bytes]
    nodes: Mapping[tuple[int, int], bytes]
    next_interval: int


def first_contradiction(
    store: Store, chain: Chain, given: str | None, policy: Policy | None, *, whole: bool
) -> Fault | None:
    """The first thing that speaks against the chain.

    Parameters
    ----------
    store, chain
        The store, and what its blocks say.
    given
        Signed note kept elsewhere, None without one.
    policy
        Witnesses that the given note needs, None for none.
    whole
        False if blocks behind the chain's end were left out on purpose; then nothing that needs them is checked.

    Raises
    ------
    LedgerError
        If the given checkpoint is no signed note.
    """
    found = _wrong_node(store, chain, whole=whole) or (_wrong_state(store, chain) if whole else None)
    own = [(note, size) for size, note in store.checkpoints() if whole or size <= len(chain.hashes)]
    if found is not None:
        return found
    outside = [] if given is None else [(given, None)]
    return next(_speaking_against(chain, [*own, *outside], policy, whole=whole), None)


def _wrong_node(store: Store, chain: Chain, *, whole: bool) -> Fault | None:
    stored = {(level, index): node for level, index, node in store.nodes()}
    unknown = stored.keys() - chain.nodes.keys() if whole else set()
    wrong = {at for at, node in chain.nodes.items() if stored.get(at) != node} | unknown
    if not wrong:
        return None
    # A damaged file may hold anything as a node's place, though not its schema.
    places = [at for at in wrong if all(isinstance(each, int) and each >= 0 for each in at)]
    heights = [((index + 1) << min(level, 64)) - 1 for level, index in places]
    return min(heights, default=0), "the stored history tree is not that of the headers"


def _wrong_state(store: Store, chain: Chain) -> Fault | None:
    states = store.states()
    last = len(chain.hashes) - 1
    if len(states) != 1:
        return last, f"expected one state to resume from, found {len(states)}"
    height, blob, signature = states[0]
    if (
        not 0 <= height <= last
        or next_interval(records_of(store.block(height).records)) != chain.next_interval
    ):
        return last, f"the state is not that behind interval {chain.next_interval - 1}"
    signer = key_in_force(chain.registry, OPERATOR, height) or b""
    if not is_signed(signer, signature, state_message(chain.hashes[height], blob)):
        return height, "the state is not signed by the operator"
    return None


def _speaking_against(
    chain: Chain, notes: Sequence[tuple[str, int | None]], policy: Policy | None, *, whole: bool
) -> Iterator[Fault]:
    """Faults that own checkpoints (with the size they are stored under) and the given one show."""
    origin, end = origin_of(chain.chain_id), len(chain.hashes)
    roots = _roots(chain.hashes)
    for note, stored_size in notes:
        whose = "given" if stored_size is None else "own"
        at = end - 1 if stored_size is None else min(max(stored_size - 1, 0), end - 1)
        try:
            checkpoint = signed_checkpoint(note, origin, chain.registry)
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
            yield from _lacking(note, policy, at)


def _roots(hashes: Sequence[bytes]) -> list[bytes]:
    """Root of the history tree at every size."""
    growing = History()
    roots = [growing.root()]
    for leaf in hashes:
        growing.append(leaf)
        roots.append(growing.root())
    return roots


def _lacking(note: str, policy: Policy, at: int) -> Iterator[Fault]:
    n_valid = len(cosignatures(note, list(policy.witnesses)))
    if n_valid < policy.threshold:
        yield (
            at,
            f"expected {policy.threshold} of {len(policy.witnesses)} witnesses to cosign, found {n_valid}",
        )
