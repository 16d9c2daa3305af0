"""Say so while functions are compiled, on the first use of a machine: a command would seem to hang otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.event import Listener, install_listener

ONCE = "compiling for this machine: takes up to a minute, and is done once"
EVERY_TIME = (
    "compiling: takes up to a minute, every time, as no folder can be written to for what is compiled; "
    "name one in the environment variable NUMBA_CACHE_DIR"
)


class _Once(Listener):  # type: ignore[misc] # numba has no types
    """Tells a message when the first function is compiled; what is only loaded from disk is no such event."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._told = tell, False

    def on_start(self, event: Any) -> None:
        """A function is about to be compiled."""
        if not self._told:
            self._told = True
            kept = event.data["dispatcher"].stats.cache_path is not None
            self._tell(ONCE if kept else EVERY_TIME)

    def on_end(self, event: Any) -> None:
        """It is compiled."""


@contextmanager
def told_when_compiling(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell one message if anything is compiled meanwhile.

    Parameters
    ----------
    tell
        Called with the message, at most once.
    """
    with install_listener("numba:compile", _Once(tell)):
        yield
