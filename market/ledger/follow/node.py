"""A node: a member's own, verified copy of a log, which is brought up to its newest checkpoint again and again.

Blocks are stored only once they have been verified, by the functions of `ledger verify`, in groups that are durable as
a whole, so that a node that was killed goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.check.tree import TiledTree, WrongTilesError
from market.ledger.check.verify import GROUP, Verification
from market.ledger.crypto.merkle import root_of_leaf_hashes
from market.ledger.crypto.signatures import SignatureChecks
from market.ledger.durable import report_unwritable, write_durably
from market.ledger.follow.evidence import prove_broken, prove_fork, prove_rollback
from market.ledger.follow.partings import find_parting, is_operators_block, is_operators_header
from market.ledger.follow.remote import ServerError
from market.ledger.follow.source import Log, Note, parse_note
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.note import (
    VerifierKey,
    format_signature,
    merge_notes,
    read_note,
    read_verifier_key,
    split_note,
)
from market.ledger.format.quorum import Quorum, list_cosigners, read_quorum
from market.ledger.format.records import read_parameters
from market.ledger.format.tiles import WITNESSED
from market.ledger.store.registry import EMPTY, Registry, Tenure
from market.ledger.store.store import FILE, OF_A_COPY, Store, StoredBlock
from market.ledger.store.tip import decode_records, find_signer, open_checkpoint, read_log_key

KEY_FILE = "operator.vkey"
MOST_KEPT = 48
"""Signatures of a note that are kept; there is room for more, such as the node's own."""


class Progress(NamedTuple):
    """State of a node: blocks of its copy, how many are new, its newest note, and whether it pinned the key itself."""

    size: int
    n_new: int
    note: str
    first_use: bool


class Node:
    """A member's copy of a log, a context manager; while it is open no other process may write to it.

    Parameters
    ----------
    log
        The log that is followed.
    directory
        Directory of the copy; made if there is none.
    pinned
        The operator's verifier key, None to pin the one that the log shows first.

    Raises
    ------
    LedgerError
        If the directory holds a copy of another log, or a damaged one.
    """

    def __init__(self, log: Log, directory: Path, pinned: VerifierKey | None) -> None:
        self.log, self.directory = log, directory
        with report_unwritable(directory, "folder"):
            directory.mkdir(parents=True, exist_ok=True)
        self.pinned = _read_pinned(directory, pinned)
        self.first_use = self.pinned is None
        self.store: Store | None = None
        self._beside = ""  # what this node has written beside its directory
        self._begin_verification(0)
        if (directory / FILE).exists():
            self._open_copy()
        if pinned is not None and not (directory / KEY_FILE).exists():
            write_durably(directory / KEY_FILE, pinned.text() + "\n")

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.remote.close()
        if self.store is not None:
            self.store.close()

    @property
    def size(self) -> int:
        """Number of blocks of the copy."""
        return self.verification.history.size

    def registry(self) -> Registry:
        """Members as far as they are known: behind the copy's last block; before the first the pinned operator."""
        if self.size or self.pinned is None:
            return self.verification.registry
        return EMPTY._replace(keys={OPERATOR: (Tenure(0, self.pinned.public_key),)})

    def root(self, size: int) -> bytes:
        """Root hash of the tree over the first `size` blocks of the copy."""
        tree = self.verification.history
        return tree.root() if size == tree.size else root_of_leaf_hashes(self.verification.hashes[:size])

    def quorum(self) -> Quorum | None:
        """Quorum that the first block states, None for none."""
        if self.store is None:
            return None
        return read_quorum(read_parameters(decode_records(self.store.block(0).records)))

    def catch_up(self) -> Progress:
        """Fetch, verify and store what the log has beyond the copy, up to its checkpoint.

        Raises
        ------
        LyingError
            If the checkpoint is behind the last or does not extend it, or a block does not verify; the notes are kept.
        LedgerError
            If the server does not answer as a log does, or the copy cannot be written.
        """
        shown = self.log.read_note()
        if shown is None or shown.checkpoint.size == 0:
            raise ServerError(
                f"{self.log.remote.url}: expected a log with a checkpoint, found none; is this its address?"
            )
        before = self.size
        if self.pinned is not None:
            self._check_origin(shown)
        signed = self.is_signed(shown)
        if signed:
            self._check_no_rollback(shown)
        tree = self._read_extension(shown, signed=signed)
        for group in self.log.fetch_blocks(tree, self.size):
            self._take(group, shown)
        if not signed and not self.is_signed(shown):
            raise ServerError(
                f"{self.log.remote.url}/checkpoint: expected the signature of '{self._name()}', found none"
            )
        self._check_beside(shown)
        note = self.keep_note(shown.text)
        self._learn_witnessed()
        return Progress(self.size, self.size - before, note, self.first_use)

    def keep_note(self, text: str) -> str:
        """Store a checkpoint that has been proven, with all cosignatures that are known; returns its note."""
        if self.store is None:
            raise LedgerError(f"{self.directory}: expected a copy with a block, found none")
        text, size = self._trim(text), parse_note(text).checkpoint.size
        known = self.store.last_checkpoint(size)
        note = text if known is None else merge_notes(text, known)  # of another size: the text itself
        if note != known:
            self.store.add_checkpoint(size, note)
        newest = self.store.last_checkpoint()
        if newest is not None and newest != self._beside:
            write_durably(checkpoint_path(self.directory), newest)
            self._beside = newest
        return note

    def _trim(self, note: str) -> str:
        """A note with the operator's signature first, then its quorum's, then others as far as there is room."""
        text, signatures = split_note(note)
        quorum = self.quorum()
        first = [] if quorum is None else list(list_cosigners(note, quorum.witnesses).values())
        own = find_signer(note, self._name(), self.registry()).key_id()
        ordered = sorted(signatures, key=lambda line: (line[1][:4] != own, line not in first))
        return text + "\n" + "".join(format_signature(*line) for line in ordered[:MOST_KEPT])

    def seen(self) -> Note | None:
        """The newest checkpoint that was accepted, None for none."""
        note = None if self.store is None else self.store.last_checkpoint()
        return None if note is None else parse_note(note)

    def _name(self) -> str:
        return "the operator" if self.pinned is None else self.pinned.name

    def _begin_verification(self, first: int) -> None:
        key, origin = (None, None) if self.pinned is None else (self.pinned.public_key, self.pinned.name)
        self.verification = Verification(key, origin, SignatureChecks(), first, None)

    def _open_copy(self) -> None:
        """Open the copy and replay it."""
        self.store = Store.open_to_write(self.directory)
        try:
            if self.store.states() != [OF_A_COPY]:
                raise LedgerError(
                    f"{self.directory}: expected a copy that a node made, found the ledger of a run; take another"
                )
            if self.pinned is None:
                self._pin(self.store.block(0), None)
            self._replay()
        except BaseException:
            self.store.close()
            raise

    def _replay(self) -> None:
        """Replay what has been stored, so verified before: books, registry and tree, but no signatures."""
        self._begin_verification(0 if self.store is None else self.store.size())
        for group in () if self.store is None else self.store.groups(GROUP):
            if (fault := self.verification.check(group)) is not None:
                raise LedgerError(
                    f"{self.directory}: expected the verified copy, found block {fault[0]} broken: {fault[1]}; "
                    "remove the directory and follow the log anew"
                )
        self.verification.first = 0

    def _pin(self, first: StoredBlock, shown: Note | None) -> None:
        """Take the operator's key from a first block and write it down, if it is that of the log that was shown."""
        self.pinned = read_log_key(first)
        if shown is not None and shown.checkpoint.origin != self.pinned.name:
            raise ServerError(
                f"{self.log.remote.url}: expected blocks of log '{shown.checkpoint.origin}', found '{self.pinned.name}'"
            )
        write_durably(self.directory / KEY_FILE, self.pinned.text() + "\n")

    def _check_origin(self, shown: Note) -> None:
        if shown.checkpoint.origin != self._name():
            raise LedgerError(
                f"{self.log.remote.url}: expected log '{self._name()}', whose key is pinned in "
                f"{self.directory / KEY_FILE}, found log '{shown.checkpoint.origin}'"
            )

    def is_signed(self, shown: Note) -> bool:
        """Whether a key of the operator that is known by now has signed a note."""
        if self.pinned is None:
            return False
        try:
            open_checkpoint(shown.text, self.pinned.name, self.registry())
        except LedgerError:
            return False
        return True

    def _check_no_rollback(self, shown: Note) -> None:
        seen = self.seen()
        if seen is not None and shown.checkpoint.size < seen.checkpoint.size:
            raise prove_rollback(self.directory, seen, shown)

    def _check_beside(self, shown: Note) -> None:
        """Hold what was fetched against the checkpoint beside the directory: it outlives a copy that was lost."""
        path = checkpoint_path(self.directory)
        if self._beside or not path.exists():
            return
        kept = parse_note(read_note(path))
        if kept.checkpoint.origin != self._name() or not self.is_signed(kept):
            raise LedgerError(f"{path}: expected a checkpoint of '{self._name()}', found another; move it away")
        if kept.checkpoint.size > self.size:
            raise prove_rollback(self.directory, kept, shown)
        if kept.checkpoint.root != self.root(kept.checkpoint.size):
            raise self._prove_fork(None, shown, signed=True, seen=kept)

    def _read_extension(self, shown: Note, *, signed: bool) -> TiledTree:
        """The tree of a checkpoint, which extends the copy or is a part of it."""
        checkpoint = shown.checkpoint
        differs = checkpoint.size <= self.size and checkpoint.root != self.root(checkpoint.size)
        try:
            tree: TiledTree | None = self.log.read_tree(checkpoint)
        except WrongTilesError:
            if not (signed and differs):
                raise
            tree = None  # the signed note alone is proof enough; where the histories part stays unknown
        if tree is not None and tree.root_of(0, min(self.size, tree.size)) == self.root(min(self.size, tree.size)):
            return tree
        raise self._prove_fork(tree, shown, signed=signed)

    def _prove_fork(
        self, tree: TiledTree | None, shown: Note, *, signed: bool, seen: Note | None = None
    ) -> LedgerError:
        """Keep what proves that the operator has signed two histories, and return what to say.

        A note that is not signed by a key known here proves nothing, but the block where the histories part may be.
        """
        seen, registry, parting = seen or self.seen(), self.registry(), None
        if tree is not None and self.store is not None:
            parting = find_parting(self.log, tree, self.store, self.root(self.size))
        theirs = None if parting is None else parting.theirs
        if not signed and (theirs is None or not is_operators_header(theirs, registry)):
            return ServerError(f"{self.log.remote.url}: expected a log signed by '{self._name()}', found none")
        return prove_fork(self.directory, seen, shown, parting)

    def _explain(self, block: StoredBlock, reason: str, shown: Note) -> LedgerError:
        """Whose fault a block is that does not verify: the operator's if it has signed all of it, else the server's."""
        if not is_operators_block(block, self.registry()):
            url = self.log.remote.url
            return ServerError(
                f"{url}: expected block {block.height} as '{self._name()}' signed it, got another: {reason}"
            )
        return prove_broken(self.directory, self.seen(), shown, block, reason)

    def _take(self, group: list[StoredBlock], shown: Note) -> None:
        """Verify blocks and store them."""
        tree, nodes = self.verification.history.copy(), []
        faults = [self.verification.check(group), self.verification.signatures.find_first_fault()]
        if found := [fault for fault in faults if fault is not None]:
            height, reason = min(found)
            problem = self._explain(group[height - group[0].height], reason, shown)
            self._replay()  # a verification that has found a fault is not gone on with
            raise problem
        for block in group:
            nodes += tree.append(block.hash)
        if self.store is None:
            if self.pinned is None:
                self._pin(group[0], shown)
            self.store = Store.create(self.directory, group[0], OF_A_COPY)
            group, nodes = group[1:], nodes[1:]
        if group:
            self.store.append(group, nodes, None)

    def _learn_witnessed(self) -> None:
        """Keep the newest checkpoint that the quorum has cosigned, if the first block asks for one."""
        if self.quorum() is None or (shown := self.log.read_note(WITNESSED)) is None:
            return
        checkpoint = shown.checkpoint
        if not 0 < checkpoint.size <= self.size or checkpoint.origin != self._name() or not self.is_signed(shown):
            return
        if checkpoint.root != self.root(checkpoint.size):
            raise self._prove_fork(None, shown, signed=True)
        self.keep_note(shown.text)


def _read_pinned(directory: Path, given: VerifierKey | None) -> VerifierKey | None:
    """The key that is pinned: the given one, which has to be that of the directory if it has one."""
    path = directory / KEY_FILE
    if not path.exists():
        return given
    kept = read_verifier_key(path)
    if given is not None and given != kept:
        raise LedgerError(f"{path}: expected the given key of '{given.name}', found another, of '{kept.name}'")
    return kept
