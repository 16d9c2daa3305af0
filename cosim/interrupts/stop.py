"""Ctrl-C stops a command between two lines of this project's Python, never inside a library.

Python calls a signal's handler wherever its interpreter is at the time. numba's wrappers around compiled functions
enter the interpreter too: they unpickle the classes of named tuples and call them, and do not look whether that raised.
A KeyboardInterrupt raised there is lost, comes out as a SystemError, or ends the process by signal 11. So the handler
raises nothing: it asks the interpreter to trace the frames of this project, and the next line of any of them raises.

What only waits for a process, a thread or the keyboard has no next line; it is interrupted at once. A module that is
being imported cannot be interrupted: where it is imported on demand, the interpreter drops what it raises. So the
process ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_OURS = tuple(os.path.join(_ROOT, name, "") for name in ("cosim", "data", "grid_models", "market"))

WAITING = ("threading", "subprocess", "selectors", "getpass", "concurrent", "multiprocessing", "click", "typer")
"""Modules, and packages, whose frames wait for something where a signal finds them."""


class Stopped(BaseException):
    """The user has interrupted the command; the message says how to go on. It is no `Exception`: `main` ends it."""


class _Stopping:
    """Handler of SIGINT.

    Parameters
    ----------
    error
        Raised at the next line.
    end
        Called when it is asked a second time, or while a module is imported.
    """

    def __init__(self, error: type[BaseException], end: Callable[[], object]) -> None:
        self._error, self._end = error, end
        self._asked, self._tracing = False, False
        self._traced_before: Any = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Stop at the next line; at once if that was asked for before, or there is none."""
        if self._asked or _imports(frame):
            self._end()
            return
        self._asked = True
        if frame is None or _module(frame).partition(".")[0] in WAITING:
            raise self._error
        self._traced_before, self._tracing = sys.gettrace(), True
        while frame is not None:
            if _is_ours(frame):
                frame.f_trace = self._raise_in_ours
            frame = frame.f_back
        sys.settrace(self._raise_in_ours)

    def _raise_in_ours(self, frame: FrameType, event: str, argument: Any) -> None:
        """Raise where a line or function of this project is about to be run; let all others go on."""
        if _is_ours(frame) and not _imports(frame):
            self.end_tracing()
            raise self._error

    def end_tracing(self) -> None:
        """Trace again what was traced before; where a trace function raises, the interpreter forgets all tracing."""
        if self._tracing or (self._traced_before is not None and sys.gettrace() is None):
            sys.settrace(self._traced_before)
            self._tracing = False


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_ours(frame: FrameType) -> bool:
    """Whether a frame is of this project, and not of this module: what cleans up here is not interrupted."""
    name = frame.f_code.co_filename
    return name.startswith(_OURS) and name != __file__


def _interrupt_as_python_does() -> None:
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    """Whether an import is under way."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def stop_between_lines(
    error: type[BaseException] = KeyboardInterrupt, end: Callable[[], object] = _interrupt_as_python_does
) -> Iterator[None]:
    """While the context lasts, Ctrl-C raises between two lines of this project.

    It does nothing in threads other than the main one, where SIGINT has a handler of somebody else's, or where it is
    ignored, as it is for background processes.

    Parameters
    ----------
    error
        What is raised.
    end
        Called by a second Ctrl-C, if the next line is long in coming, and by one during an import; raises
        KeyboardInterrupt if left out.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    stopping = _Stopping(error, end)
    signal.signal(signal.SIGINT, stopping)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stopping:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # first: a signal that waits is handled in it
        stopping.end_tracing()
