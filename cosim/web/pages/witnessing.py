"""Witnesses: the nodes of members that cosign checkpoints; asked in a thread, so that no page and no interval waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cosim.web.live.run import LiveRun
from market.errors import LedgerError
from market.ledger.check.witness import make_prover
from market.ledger.follow.collect import collect_cosignatures
from market.ledger.format.checkpoint import parse_checkpoint
from market.ledger.format.note import split_note
from market.ledger.format.quorum import Quorum, count_cosigners
from market.ledger.read.tiles import find_witnessed, read_terms_of_quorum
from market.ledger.store.store import Store

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long a witness may take to answer."""


class Witnessed(NamedTuple):
    """How far a quorum has cosigned.

    Attributes
    ----------
    needed, n_witnesses
        How many of how many witnesses the first block asks for.
    size, behind
        Blocks of the newest checkpoint that the quorum has cosigned, and how many blocks came since.
    """

    needed: int
    n_witnesses: int
    size: int
    behind: int


def find_quorum(directory: Path) -> Quorum | None:
    """The quorum that the first block of a ledger asks for, None for none."""
    with Store.open_to_read(directory) as store:
        return read_terms_of_quorum(store)


def measure_witnessed(directory: Path, quorum: Quorum) -> Witnessed:
    """How far the quorum of a ledger has cosigned."""
    with Store.open_to_read(directory) as store:
        note, size = find_witnessed(store), store.size()
    witnessed = 0 if note is None else parse_checkpoint(split_note(note)[0]).size
    return Witnessed(quorum.needed, len(quorum.witnesses), witnessed, size - witnessed)


class Calls:
    """Asks witnesses to cosign the newest checkpoint, again and again; a context manager that ends it.

    Parameters
    ----------
    live
        The run whose ledger it is.
    urls
        Where witnesses are asked.
    tell
        Called when cosignatures have come.
    seconds
        Between two rounds.

    Raises
    ------
    LedgerError
        If witnesses are named, but the first block asks for none.
    """

    def __init__(self, live: LiveRun, urls: Sequence[str], tell: Callable[[], None], seconds: float = 5.0) -> None:
        self._live, self._urls, self._tell, self._seconds = live, tuple(urls), tell, seconds
        self.quorum = find_quorum(live.directory)
        if urls and self.quorum is None:
            raise LedgerError(
                "--witness: expected a scenario whose [ledger] names witnesses and a quorum, got one without; add them"
            )
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witnesses", daemon=True)

    def __enter__(self) -> Calls:
        if self._urls:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        if self._urls:
            self._thread.join(PATIENCE_S * len(self._urls) + 1.0)

    def measure(self) -> Witnessed | None:
        """How far the quorum has cosigned; None where the first block asks for none."""
        return None if self.quorum is None else measure_witnessed(self._live.directory, self.quorum)

    def _run(self) -> None:
        while not self._ends.wait(self._seconds):
            try:
                if self.ask_once():
                    self._tell()
            except LedgerError as reason:
                logger.warning("witnesses: %s", reason)

    def ask_once(self) -> bool:
        """Ask for cosignatures of the newest checkpoint; whether any came."""
        with Store.open_to_read(self._live.directory) as store:
            note = store.last_checkpoint()
            if self.quorum is None or note is None or count_cosigners(note, self.quorum) >= self.quorum.needed:
                return False
            found = collect_cosignatures(note, self.quorum.witnesses, self._urls, make_prover(store), PATIENCE_S)
        for url, answer in found.answers.items():
            logger.info("witness %s: %s", url, answer)
        if found.note == note:
            return False
        self._live.keep_cosignatures(found.note)
        return True
