"""Verify a ledger offline, block by block: bytes, links, roots, signatures, books; the first bad block is named.

A broken ledger is a finding, not an exception. The key is given by whoever verifies; where none is pinned, the genesis
block's own is used and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.books.bookkeeper import Bookkeeper, terms_of
from market.ledger.books.private import AggregateKeeper, OpenedKeeper
from market.ledger.check.kept_elsewhere import Chain, Policy, first_contradiction
from market.ledger.crypto.merkle import History
from market.ledger.crypto.signatures import Claim, SignatureChecks
from market.ledger.format.checkpoint import origin_of
from market.ledger.format.header import NO_PREVIOUS, chain_id, header_message
from market.ledger.format.records import RecordBytes, RecordKind
from market.ledger.private.entries import entries_message, entry_signatures, meter_number
from market.ledger.private.vault import Entry
from market.ledger.store.blocks import Block, BrokenError, Fault, first_wrong_field, first_wrong_root, linked
from market.ledger.store.registry import EMPTY, Registry, begun, key_in_force, replayed
from market.ledger.store.store import DamagedError, Store, StoredBlock
from market.ledger.store.tip import with_registry

GROUP = 512
"""Blocks verified together."""


class Report(NamedTuple):
    """What a verification found.

    Attributes
    ----------
    ok
        Whether nothing is wrong.
    n_blocks, n_records
        How much was verified before a fault, or at all.
    height, reason
        First bad block and what is wrong with it; -1 and empty if nothing is.
    head
        Hash of the last header read.
    pinned
        Whether the operator's key was given from outside.
    in_sums
        Whether private records were verified in sums only, since nobody opened them.
    """

    ok: bool
    n_blocks: int
    n_records: int
    height: int
    reason: str
    head: bytes
    pinned: bool
    in_sums: bool


Keeper = Bookkeeper | AggregateKeeper


def keeper_of(genesis: RecordBytes, entries: Mapping[tuple[int, int], Entry] | None) -> Keeper:
    """The books that a ledger with this genesis block and what is opened of it allow."""
    if not terms_of(genesis).private:
        return Bookkeeper(genesis)
    return AggregateKeeper(genesis) if entries is None else OpenedKeeper(genesis, entries)


class Verification:
    """A verification in progress: what earlier blocks established.

    Parameters
    ----------
    operator, origin
        The pinned key and name of the log, None to trust the genesis block's own.
    signatures
        Where claims of signatures go.
    first
        Height below which record roots and signatures are taken for granted.
    entries
        Private records opened from their stores, None to verify them in sums only.
    """

    def __init__(
        self,
        operator: bytes | None,
        origin: str | None,
        signatures: SignatureChecks,
        first: int = 0,
        entries: Mapping[tuple[int, int], Entry] | None = None,
    ) -> None:
        self.operator, self.origin, self.signatures = operator, origin, signatures
        self.first, self.entries = first, entries
        self.history = History()
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.hashes: list[bytes] = []
        self.previous = NO_PREVIOUS
        self.chain_id = b""
        self.registry: Registry = EMPTY
        self.registry_tree = History()
        self.start, self.interval = 0, 0
        self.n_records = 0
        self.keeper: Keeper | None = None

    def take(self, stored: Sequence[StoredBlock]) -> Fault | None:
        """Verify the next blocks; the first that is wrong, if any.

        Each stage sees the blocks that all stages before found sound, so what is left is the lowest fault.
        """
        fault, blocks = self._linked(stored)
        for stage in (self._roots, self._fields, self._statements, self._places, self._signed, self._booked):
            if (found := stage(blocks)) is not None:
                fault = found
                blocks = [block for block in blocks if block.header.height < found[0]]
        for block in blocks:
            self.hashes.append(block.stored.hash)
            self.n_records += block.header.n_records
            for level, index, node in self.history.append(block.stored.hash):
                self.nodes[level, index] = node
        return fault

    def chain(self) -> Chain:
        """What the blocks so far say."""
        return Chain(self.chain_id, self.registry, self.hashes, self.nodes, self.interval)

    def _linked(self, stored: Sequence[StoredBlock]) -> tuple[Fault | None, list[Block]]:
        blocks: list[Block] = []
        for block in stored:
            height = self.history.size + len(blocks)
            try:
                blocks.append(linked(block, height, self.previous))
                if height == 0:
                    self._begin(blocks[0])
            except LedgerError as broken:
                return (height, str(broken)), blocks[: height - self.history.size]
            self.previous = block.hash
        return None, blocks

    def _begin(self, genesis: Block) -> None:
        records = genesis.records
        if (wrong := first_wrong_root([genesis]) or first_wrong_field([genesis], 0)) is not None:
            raise BrokenError(wrong[1])
        self.registry = begun(records)
        key = key_in_force(self.registry, OPERATOR, 0)
        if self.operator is not None and self.operator != key:
            raise BrokenError("the operator is not the pinned one")
        self.chain_id = chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
        if self.origin not in (None, origin_of(self.chain_id)):
            raise BrokenError(f"the log is '{origin_of(self.chain_id)}', not the pinned one")
        self.keeper = keeper_of(records, self.entries)

    def _roots(self, blocks: Sequence[Block]) -> Fault | None:
        return first_wrong_root([block for block in blocks if block.header.height >= self.first])

    def _fields(self, blocks: Sequence[Block]) -> Fault | None:
        return first_wrong_field(blocks, self.interval)

    def _statements(self, blocks: Sequence[Block]) -> Fault | None:
        """Replay the registry; its root and the chain's name are in every header."""
        for block in blocks:
            height = block.header.height
            if block.has_statements():
                self.registry_tree = with_registry(self.registry_tree, block.records)
                try:
                    if height > 0:
                        self.registry = replayed(self.registry, block.records, self.chain_id, height)
                except LedgerError as reason:
                    return height, str(reason)
            if block.header.registry_root != self.registry_tree.root():
                return height, "the registry root does not follow from the registry records"
            if block.header.chain_id != self.chain_id:
                return height, "the chain id is not the genesis block's"
        return None

    def _places(self, blocks: Sequence[Block]) -> Fault | None:
        """Every interval begins where the one before ends; a block without one repeats the time of the last."""
        for block in blocks:
            if block.holds_interval and self.keeper is not None:
                self.start = self.keeper.terms.start_of(self.interval)
                self.interval += 1
            if block.header.interval_start != self.start:
                return block.header.height, "the interval does not begin where the one before ends"
        return None

    def _signed(self, blocks: Sequence[Block]) -> Fault | None:
        claims = []
        for block in blocks:
            height = block.header.height
            if height < self.first:
                continue
            key = key_in_force(self.registry, OPERATOR, height) or b""
            message = header_message(block.stored.header)
            claims.append(
                Claim(height, "the signature is not the operator's", key, block.stored.signature, message)
            )
            try:
                claims += self._entries_signed(block)
            except LedgerError as reason:
                self.signatures.add(claims)
                return height, str(reason)
        self.signatures.add(claims)
        return None

    def _entries_signed(self, block: Block) -> list[Claim]:
        """What members claim by signing their entries, where the ledger's terms ask for it."""
        if self.keeper is None or not self.keeper.terms.members_sign or not block.holds_interval:
            return []
        height, signed = block.header.height, dict(entry_signatures(block.records))
        keys = {
            member: key
            for member in self.registry.keys
            if member >= 0 and (key := key_in_force(self.registry, member, height)) is not None
        }
        if set(keys) != set(signed):
            raise LedgerError("not every member with a key has signed its entries, or somebody else has")
        records = self.keeper.clear(block)
        if records is None:
            return []
        interval = int(records[0, 4:8].copy().view("<u4")[0])
        return [
            Claim(
                height,
                f"member {member} did not sign these entries",
                key,
                signed[member],
                entries_message(self.chain_id, interval, records, member, salt),
            )
            for member, key in keys.items()
            for salt in [self._salt(interval, records, member)]
        ]

    def _salt(self, interval: int, records: RecordBytes, member: int) -> bytes:
        """Salt of a member's meter in a block in clear, where it is private."""
        number = meter_number(records, member)
        return b"" if number is None or self.keeper is None else self.keeper.salt(interval, number)

    def _booked(self, blocks: Sequence[Block]) -> Fault | None:
        return self.keeper.take(blocks) if self.keeper is not None else None


def verify_ledger(
    directory: Path,
    *,
    operator: bytes | None = None,
    origin: str | None = None,
    checkpoint: str | None = None,
    policy: Policy | None = None,
    entries: Mapping[tuple[int, int], Entry] | None = None,
    first: int = 0,
    last: int | None = None,
    n_processes: int = 1,
    listener: Callable[[int], None] | None = None,
) -> Report:
    """Verify the ledger in a run directory.

    Parameters
    ----------
    directory
        Run directory.
    operator
        Public key (32 bytes) of the operator of the genesis block, as pinned by the caller.
    origin
        Name of the log (`gridsettle/…`), if the caller pins that too.
    checkpoint
        A signed note kept elsewhere; a ledger that does not extend it is a rollback or a fork.
    policy
        Witnesses whose cosignatures the checkpoint must carry.
    entries
        Private records opened from member stores, by (interval, number): every one, and the salts of the state roots,
        as an operator's store holds them. Without them private records are verified in sums.
    first, last
        Heights to verify in full: below `first`, record roots and signatures are taken for granted, and the blocks
        behind `last` are not read.
    n_processes
        Processes that verify signatures; with more than one, call from a program that may be imported.
    listener
        Called with the number of blocks verified so far.

    Raises
    ------
    LedgerError
        If the directory holds no ledger, or the checkpoint is no signed note.
    """
    with SignatureChecks(n_processes) as signatures:
        verification = Verification(operator, origin, signatures, first, entries)
        try:
            with Store.open_to_read(directory) as store:
                fault = _first_fault(store, verification, last, listener)
                if fault is None:
                    chain, whole = verification.chain(), last is None
                    fault = first_contradiction(store, chain, checkpoint, policy, whole=whole)
        except DamagedError as damage:
            fault = verification.history.size, str(damage)
        fault = min((found for found in (fault, signatures.first_fault()) if found is not None), default=None)
    return Report(
        fault is None,
        verification.history.size,
        verification.n_records,
        -1 if fault is None else fault[0],
        "" if fault is None else fault[1],
        verification.hashes[-1] if verification.hashes else NO_PREVIOUS,
        operator is not None,
        isinstance(verification.keeper, AggregateKeeper),
    )


def _first_fault(
    store: Store, verification: Verification, last: int | None, listener: Callable[[int], None] | None
) -> Fault | None:
    for group in store.groups(GROUP):
        wanted = group if last is None else [block for block in group if block.height <= last]
        if (fault := verification.take(wanted)) is not None:
            return fault
        if listener is not None:
            listener(verification.history.size)
        if len(wanted) < len(group):
            break
    return (0, "the ledger holds no block") if verification.history.size == 0 else None
