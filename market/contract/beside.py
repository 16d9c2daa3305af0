"""Anchor a ledger beside the run that writes it: the run never waits, and a node that is away stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Condition, Thread

from market.contract.anchoring import Anchorer
from market.errors import MarketError

logger = logging.getLogger(__name__)

RETRY_S = 5.0
"""Seconds until a chain that could not be used is tried again."""


class Beside:
    """Anchors the newest checkpoint whenever enough blocks are new, in a thread of its own.

    Several groups of blocks that become due while one anchor is on its way are anchored together: an anchor covers all
    blocks before it.

    Parameters
    ----------
    directory
        Run directory; there need be no ledger before the first notice.
    open_anchorer
        Opens the contract; called in the thread, again after each failure.
    every
        Blocks after which an anchor is due.
    """

    def __init__(
        self, directory: Path, open_anchorer: Callable[[], AbstractContextManager[Anchorer]], every: int
    ) -> None:
        self._directory, self._open, self._every = directory, open_anchorer, every
        self._changed = Condition()
        self._asked = self._wanted = self._done = 0
        self._last_call, self._failure = False, ""
        self._defect: Exception | None = None
        self._thread = Thread(target=self._work, name="anchors", daemon=True)
        self._thread.start()

    def notice(self, n_blocks: int) -> None:
        """The ledger has this many blocks now, durably."""
        with self._changed:
            self._asked = n_blocks
            if n_blocks - max(self._wanted, self._done) >= self._every:
                self._wanted = n_blocks
                self._changed.notify()

    def finish(self) -> str:
        """Anchor what is left, and wait for it; returns why that failed, or nothing."""
        with self._changed:
            self._wanted, self._last_call = max(self._asked, self._wanted, 1), True
            self._changed.notify()
        while self._thread.is_alive():
            self._thread.join(0.2)  # between two of these a Ctrl-C is answered
        if self._defect is not None:
            raise self._defect
        return self._failure

    @property
    def n_anchored(self) -> int:
        """Blocks of the last anchor."""
        return self._done

    def _work(self) -> None:
        try:
            self._work_until_done()
        except Exception as defect:  # no fault of the input: told by whoever waits for the thread
            self._defect = defect

    def _work_until_done(self) -> None:
        while self._wait_until_due():
            failure = self._try()
            with self._changed:
                if failure and failure != self._failure:
                    logger.warning("anchors: %s", failure)
                self._failure = failure
                if failure and not self._last_call:
                    self._changed.wait(RETRY_S)
                elif self._last_call and (failure or self._done >= self._wanted):
                    return

    def _wait_until_due(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted > self._done or self._last_call)
            return self._wanted > self._done

    def _try(self) -> str:
        """Run a round; returns why it failed, or nothing."""
        try:
            with self._open() as anchorer:
                found = anchorer.run_round(self._directory)
        except MarketError as reason:
            return str(reason)
        with self._changed:
            self._done = max(found.last.size, self._done)
        return ""
