"""The interval clock: closes an interval every so many seconds, or when the operator says so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

TICK_S = 1.0
"""How often what was decided elsewhere is carried out, at the latest, s."""

LEAST_OPEN = 0.25
"""Part of an interval for which its gate is open at least."""


class Clock:
    """A thread that closes intervals; nothing else does.

    Parameters
    ----------
    close
        Closes one interval; returns whether there is another. What it raises stops the clock and is kept.
    tick
        Called at least every `TICK_S`. What it raises is kept; it is called again.
    seconds
        Between two intervals; None: only steps.
    """

    def __init__(self, close: Callable[[], bool], tick: Callable[[], None], seconds: float | None) -> None:
        self._close, self._tick = close, tick
        self._changed = threading.Condition()
        self._steps, self._ends = 0, False
        self.seconds, self.failure = seconds, ""
        self._next = time.monotonic() + (seconds or 0.0)
        self._thread = threading.Thread(target=self._run, name="interval clock", daemon=True)

    def __enter__(self) -> Clock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End once an interval that is being closed is closed."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join()

    def run_every(self, seconds: float | None) -> None:
        """Close an interval every so many seconds from now on; None: only steps."""
        with self._changed:
            self.seconds, self.failure = seconds, ""
            self._next = time.monotonic() + (seconds or 0.0)
            self._changed.notify()

    def step(self) -> None:
        """Close one interval soon."""
        with self._changed:
            self._steps, self.failure = self._steps + 1, ""
            self._changed.notify()

    def seconds_left(self) -> float | None:
        """Until the gate closes; None where the operator steps."""
        return None if self.seconds is None else max(self._next - time.monotonic(), 0.0)

    def _run(self) -> None:
        while self._wait():
            try:
                self._tick()
            except Exception as error:  # such as a store that another command holds: it is tried again soon
                self._keep(error)
            try:
                if self._is_due():
                    if not self._close():
                        self.run_every(None)
                    self._leave_open()
            except Exception as error:  # a defect, or a full disk: it must be seen, and the pages must stay
                self.run_every(None)
                self._keep(error)

    def _keep(self, error: Exception) -> None:
        """Keep an error for the operator's page and the log."""
        logger.error("interval clock", exc_info=error)
        self.failure = f"{type(error).__name__}: {error}"

    def _wait(self) -> bool:
        """Wait for the next thing to do; False at the end."""
        with self._changed:
            left = self.seconds_left()
            if not self._steps and not self._ends:
                self._changed.wait(TICK_S if left is None else min(left, TICK_S))
            return not self._ends

    def _leave_open(self) -> None:
        """Leave people a part of every interval, also where closing one takes longer than an interval."""
        with self._changed:
            if self.seconds is not None:
                self._next = max(self._next, time.monotonic() + LEAST_OPEN * self.seconds)

    def _is_due(self) -> bool:
        with self._changed:
            if self._steps:
                self._steps -= 1
                return True
            due = self.seconds is not None and time.monotonic() >= self._next
            if due:
                self._next = max(self._next + (self.seconds or 0.0), time.monotonic())
            return due
