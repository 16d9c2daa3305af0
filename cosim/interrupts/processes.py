"""Processes that work for this one: Ctrl-C is this one's to answer, and ends them; so does whatever ends this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def open_pool(n_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Pool of new processes; if the context ends by an error or Ctrl-C they end at once, with their work undone."""
    spawn = multiprocessing.get_context("spawn")  # a fork would take threads of compiled code with it
    pool = ProcessPoolExecutor(n_processes, mp_context=spawn, initializer=_begin_work)
    broken_pipes = ignore_broken_pipes()
    try:
        yield pool
    except BaseException:
        threading.excepthook = _say_nothing  # the pool's own thread finds its processes ended, which is no news
        pool.shutdown(wait=False, cancel_futures=True)
        end_children()
        raise
    pool.shutdown()
    if broken_pipes is not None:
        signal.signal(signal.SIGPIPE, broken_pipes)


def _begin_work() -> None:
    """Ctrl-C reaches all processes of a terminal; the one that started this one ends it, or it ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the process that started this one has ended, however it did, and end: nobody wants the work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _say_nothing(_: threading.ExceptHookArgs) -> None:
    """Hook of errors in threads, once all work is given up."""


def ignore_broken_pipes() -> signal.Handlers | None:
    """Let a pipe or connection whose other end is closed raise an error, not end this process.

    A command that ends quietly with `head` would end with a process of its pool, a server with a browser's tab.

    Returns what was done with such pipes before if that is a default, else None; it stays so if the pool is given up,
    since the interpreter writes to its pipes until it ends.
    """
    if not hasattr(signal, "SIGPIPE") or threading.current_thread() is not threading.main_thread():
        return None
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return before if isinstance(before, signal.Handlers) else None


def end_children() -> None:
    """End the processes that this one has started by `multiprocessing`."""
    for child in multiprocessing.active_children():
        child.terminate()
