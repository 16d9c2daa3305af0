"""Verify a ledger offline, block by block: bytes, links, root hashes, signatures, books; name the first bad block.

A broken ledger is a finding, not an exception. The caller pins the operator's key; if it does not, the key in the
genesis block is used, and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.ledger.books.bookkeeper import Bookkeeper, read_terms
from market.ledger.books.covered import CoveredKeeper, CoveredOpenedKeeper
from market.ledger.books.private import AggregateKeeper, OpenedKeeper
from market.ledger.check.kept_elsewhere import Chain, Policy, find_contradiction, find_witnessed_size
from market.ledger.check.submissions import SubmissionLog
from market.ledger.crypto.merkle import History
from market.ledger.crypto.signatures import Claim, SignatureChecks
from market.ledger.database import DamagedError
from market.ledger.format.checkpoint import log_origin
from market.ledger.format.header import NO_PREVIOUS, header_message, make_chain_id
from market.ledger.format.quorum import Quorum, read_quorum
from market.ledger.format.records import CHARGES_PARAMETER, RecordBytes, RecordKind, read_parameters, read_places
from market.ledger.format.version import VERSIONS, find_version, has_devices, has_phases
from market.ledger.private.commitments import open_commitments
from market.ledger.private.entries import entries_message, find_meter_number, read_entry_signatures
from market.ledger.private.vault import Entry
from market.ledger.store.blocks import (
    Block,
    BrokenError,
    Fault,
    find_wrong_field,
    find_wrong_root,
    link_block,
)
from market.ledger.store.registry import EMPTY, Registry, find_key_in_force, find_operators_key, replay_statements
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import extend_registry_tree

_SUBMISSION = int(RecordKind.SUBMISSION)

GROUP = 512
"""Number of blocks that are verified together."""


class Report(NamedTuple):
    """What a verification found.

    Attributes
    ----------
    ok
        Whether nothing is wrong.
    n_blocks, n_records
        How many were verified, up to the first fault.
    height, reason
        First bad block and what is wrong with it; -1 and empty if nothing is.
    head
        Hash of the last verified block.
    pinned
        Whether the caller gave the operator's key.
    in_sums
        Whether private records were verified in sums only, since they were not opened.
    witnesses, quorum, witnessed
        Number of witnesses that the first block names, how many of them must cosign a checkpoint for it to count, and
        the blocks of the largest that counts; all 0 without a quorum.
    """

    ok: bool
    n_blocks: int
    n_records: int
    height: int
    reason: str
    head: bytes
    pinned: bool
    in_sums: bool
    witnesses: int = 0
    quorum: int = 0
    witnessed: int = 0


Keeper = Bookkeeper | AggregateKeeper


def _make_keeper(genesis: RecordBytes, entries: Mapping[tuple[int, int], Entry] | None) -> Keeper:
    """Make the bookkeeper for a ledger with this genesis block and the private records that were opened, if any."""
    terms = read_terms(genesis)
    if terms.private and has_devices(find_version(genesis)):
        raise BrokenError("private records in a ledger with devices that can wait")
    if terms.private and CHARGES_PARAMETER in read_parameters(genesis):
        raise BrokenError("private records in a ledger with network charges")
    if terms.cover is not None:
        return CoveredKeeper(genesis) if entries is None else CoveredOpenedKeeper(genesis, entries)
    if np.isin(genesis[:, 0], (RecordKind.PRIVATE, RecordKind.AGGREGATE)).any():
        raise BrokenError("a private record in the first block of a ledger that was begun without")
    if not terms.private:
        return Bookkeeper(genesis)
    if has_phases(find_version(genesis)):
        raise BrokenError("private records beside verdicts in clear in a ledger with phases")
    return AggregateKeeper(genesis) if entries is None else OpenedKeeper(genesis, entries)


class Verification:
    """A verification in progress: what follows from the blocks so far.

    Parameters
    ----------
    operator, origin
        Operator's key and log origin as pinned by the caller, None to trust those of the genesis block.
    signatures
        Checks the signatures.
    first
        Record roots and signatures of blocks below this height are not verified.
    entries
        Private records by (interval, number), None to verify them in sums only.
    """

    def __init__(
        self,
        operator: bytes | None,
        origin: str | None,
        signatures: SignatureChecks,
        first: int,
        entries: Mapping[tuple[int, int], Entry] | None,
    ) -> None:
        self.operator, self.origin, self.signatures = operator, origin, signatures
        self.first, self.entries = first, entries
        self.history = History()
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.hashes: list[bytes] = []
        self.previous = NO_PREVIOUS
        self.versions: Sequence[int] = VERSIONS
        self.chain_id = b""
        self.registry: Registry = EMPTY
        self.registry_tree = History()
        self.interval_start, self.interval = 0, 0
        self.n_records = 0
        self.keeper: Keeper | None = None
        self.submissions = SubmissionLog()
        self.quorum: Quorum | None = None

    def check(self, stored: Sequence[StoredBlock]) -> Fault | None:
        """Verify the next blocks; returns the first that is wrong, if any.

        Every stage gets only the blocks below the faults found so far, so the last fault found is the lowest.
        """
        fault, blocks = self._link(stored)
        for stage in (
            self._check_roots,
            self._check_fields,
            self._check_statements,
            self._check_times,
            self._check_signatures,
            self._check_books,
        ):
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
        """The chain of the blocks so far."""
        return Chain(self.chain_id, self.registry, self.hashes, self.nodes, self.interval)

    def _link(self, stored: Sequence[StoredBlock]) -> tuple[Fault | None, list[Block]]:
        blocks: list[Block] = []
        for block in stored:
            height = self.history.size + len(blocks)
            try:
                blocks.append(link_block(block, height, self.previous, self.versions))
                if height == 0:
                    self._begin(blocks[0])
            except LedgerError as broken:
                return (height, str(broken)), blocks[: height - self.history.size]
            self.previous = block.hash
        return None, blocks

    def _begin(self, genesis: Block) -> None:
        records = genesis.records
        if (wrong := find_wrong_root([genesis]) or find_wrong_field([genesis], 0)) is not None:
            raise BrokenError(wrong[1])
        if genesis.header.version != (version := find_version(records)):
            raise BrokenError(f"expected version {version} for the model that it names, found {genesis.header.version}")
        self.versions = (version,)
        self.registry = replay_statements(EMPTY, records, b"", 0)
        key = find_operators_key(self.registry, 0)
        if self.operator is not None and self.operator != key:
            raise BrokenError("the operator is not the pinned one")
        self.chain_id = make_chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
        if self.origin not in (None, log_origin(self.chain_id)):
            raise BrokenError(f"the log is '{log_origin(self.chain_id)}', not the pinned one")
        self.keeper = _make_keeper(records, self.entries)
        self.quorum = read_quorum(read_parameters(records))

    def _check_roots(self, blocks: Sequence[Block]) -> Fault | None:
        return find_wrong_root([block for block in blocks if block.header.height >= self.first])

    def _check_fields(self, blocks: Sequence[Block]) -> Fault | None:
        return find_wrong_field(blocks, self.interval)

    def _check_statements(self, blocks: Sequence[Block]) -> Fault | None:
        """Replay the registry; compare its root and the chain id with those in every header."""
        for block in blocks:
            height = block.header.height
            if block.has_statements():
                self.registry_tree = extend_registry_tree(self.registry_tree, block.records)
                try:
                    self.registry = replay_statements(self.registry, block.records, self.chain_id, height)
                except LedgerError as reason:
                    return height, str(reason)
            if block.header.registry_root != self.registry_tree.root():
                return height, "the registry root does not follow from the registry records"
            if block.header.chain_id != self.chain_id:
                return height, "the chain id is not the genesis block's"
        return None

    def _check_times(self, blocks: Sequence[Block]) -> Fault | None:
        """Every interval begins where the one before ends; a block without one repeats the time of the block before."""
        for block in blocks:
            if block.holds_interval and self.keeper is not None:
                self.interval_start = self.keeper.terms.interval_start_s(self.interval)
                self.interval += 1
            if block.header.interval_start != self.interval_start:
                return block.header.height, "the interval does not begin where the one before ends"
        return None

    def _check_signatures(self, blocks: Sequence[Block]) -> Fault | None:
        claims: list[Claim] = []
        for block in blocks:
            height = block.header.height
            try:
                submitted = self._claim_submissions(block)
            except LedgerError as reason:
                self.signatures.add(claims)
                return height, str(reason)
            if height < self.first:
                continue
            claims += submitted
            key = find_operators_key(self.registry, height) or b""
            message = header_message(block.stored.header)
            claims.append(Claim(height, "the signature is not the operator's", key, block.stored.signature, message))
            try:
                claims += self._claim_entries(block)
            except LedgerError as reason:
                self.signatures.add(claims)
                return height, str(reason)
        self.signatures.add(claims)
        return None

    def _claim_submissions(self, block: Block) -> list[Claim]:
        """Claims that members have signed what they submitted; nothing may be submitted where records are private."""
        if not block.holds_interval or not (self.submissions.holds_any() or _SUBMISSION in block.kinds):
            return []
        if self.keeper is None or self.keeper.terms.private:
            raise LedgerError("a submission in clear in a ledger with private records")
        height, interval = block.header.height, int(read_places(block.records[:1])[0, 0])
        find_key = partial(find_key_in_force, self.registry, height=height, interval=interval)
        return self.submissions.claim(height, self.chain_id, block.records, find_key)

    def _claim_entries(self, block: Block) -> list[Claim]:
        """Claims that members have signed their entries, where the terms of the ledger require it."""
        if self.keeper is None or not self.keeper.terms.members_sign or not block.holds_interval:
            return []
        height, signed = block.header.height, dict(read_entry_signatures(block.records))
        interval = int(read_places(block.records[:1])[0, 0])
        keys = {
            member: key
            for member in self.registry.keys
            if member >= 0 and (key := find_key_in_force(self.registry, member, height, interval)) is not None
        }
        if set(keys) != set(signed):
            raise LedgerError("not every member with a key has signed its entries, or somebody else has")
        entries = self.entries if self.keeper.terms.private else {}
        if entries is None or isinstance(opened := open_commitments(block.records, interval, entries), str):
            return []
        claims = []
        for member, key in keys.items():
            number = find_meter_number(opened, member)
            meter = None if number is None else entries.get((interval, number))
            salt = b"" if meter is None else meter.salt
            message = entries_message(self.chain_id, interval, opened, member, salt)
            reason = f"member {member} did not sign these entries"
            claims.append(Claim(height, reason, key, signed[member], message))
        return claims

    def _check_books(self, blocks: Sequence[Block]) -> Fault | None:
        return self.keeper.check(blocks) if self.keeper is not None else None


def verify_ledger(
    directory: str | Path,
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
        Public key (32 bytes) of the operator in the genesis block, as pinned by the caller.
    origin
        Log origin (`gridsettle/…`), if the caller pins that too.
    checkpoint
        Signed note of a checkpoint that was kept elsewhere; a ledger that does not extend it is a rollback or a fork.
    policy
        Witnesses that must have cosigned the checkpoint.
    entries
        All private records opened from member stores, and the salts of the state roots, by (interval, number); the
        operator's store holds all of them. Without them private records are verified in sums.
    first, last
        Heights to verify in full: record roots and signatures below `first` are not verified, blocks above `last` are
        not read.
    n_processes
        Processes that verify signatures. With more than one, the calling program's main module must be importable.
    listener
        Called with the number of blocks verified so far.

    Raises
    ------
    LedgerError
        If the directory holds no ledger, or the checkpoint is no signed note.
    """
    witnessed = 0
    with SignatureChecks(n_processes) as signatures:
        verification = Verification(operator, origin, signatures, first, entries)
        try:
            with Store.open_to_read(Path(directory)) as store:
                fault = _first_fault(store, verification, last, listener)
                if fault is None:
                    chain, whole = verification.chain(), last is None
                    fault = find_contradiction(store, chain, checkpoint, policy, whole=whole)
                if fault is None and verification.quorum is not None:
                    witnessed = find_witnessed_size(store, chain, checkpoint, verification.quorum)
        except DamagedError as damage:
            fault = verification.history.size, str(damage)
        fault = min((found for found in (fault, signatures.find_first_fault()) if found is not None), default=None)
    height, reason = fault or (-1, "")
    return Report(
        fault is None,
        verification.history.size,
        verification.n_records,
        height,
        reason,
        verification.hashes[-1] if verification.hashes else NO_PREVIOUS,
        operator is not None,
        isinstance(verification.keeper, AggregateKeeper),
        *((0, 0) if (quorum := verification.quorum) is None else (len(quorum.witnesses), quorum.needed)),
        witnessed,
    )


def _first_fault(
    store: Store, verification: Verification, last: int | None, listener: Callable[[int], None] | None
) -> Fault | None:
    for group in store.groups(GROUP):
        wanted = group if last is None else [block for block in group if block.height <= last]
        if (fault := verification.check(wanted)) is not None:
            return fault
        if listener is not None:
            listener(verification.history.size)
        if len(wanted) < len(group):
            break
    return (0, "the ledger holds no block") if verification.history.size == 0 else None
