"""The web server that runs the application until it is told to stop."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from cosim.interrupts.processes import ignore_broken_pipes

if sys.platform != "win32":
    import resource


MOST_AT_ONCE = 2000
"""Connections and answers at once; beyond it the server says 503."""
GRACE_S = 2
"""How long answers that are under way may take when the server stops; pages that listen never end by themselves."""

SWITCH_S = 0.0005
"""How long a thread may keep others waiting, s: pages are answered while an interval is solved."""


SILENT_S = 15.0
"""How long a connection may take to send its first request; a page that listens has sent one."""
OPEN_FILES = 8192


class PatientServer(uvicorn.Server):
    """A server that drops connections which say nothing: a thousand of them would leave no file for the ledger."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._since: dict[Any, float] = {}

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            self.drop_silent(time.monotonic())
        return await super().on_tick(counter)

    def drop_silent(self, now: float) -> None:
        """Close connections that have been open for long and have not asked for anything."""
        waiting = {each for each in self.server_state.connections if getattr(each, "cycle", None) is None}
        self._since = {each: self._since.get(each, now) for each in waiting}
        for each, since in self._since.items():
            if now - since > SILENT_S and each.transport is not None:
                each.transport.abort()


def raise_open_files() -> None:
    """Let this process open more files than a shell allows, as far as the system lets it."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_until_stopped(
    app: FastAPI, listener: socket.socket, *, stopping: Callable[[], None] = lambda: None, proxied: bool = False
) -> None:
    """Serve on a socket until SIGINT or SIGTERM.

    Parameters
    ----------
    app, listener
        The application, and the socket that listens.
    stopping
        Called when it is told to stop: what never ends by itself is to end.
    proxied
        Whether a proxy on this machine stands before it, and says whom it asks for.
    """
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=proxied,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=MOST_AT_ONCE,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = PatientServer(config)
    raise_open_files()
    sys.setswitchinterval(SWITCH_S)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True
        stopping()

    # uvicorn stops by handlers of its own, and then raises the signal again for those that were there before.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    ignore_broken_pipes()
    gc.freeze()  # what is loaded by now stays: to search all of it for garbage stops every page for 0.2 s
    try:
        server.run(sockets=[listener])
    finally:
        gc.unfreeze()
        for number, handler in before.items():
            signal.signal(number, handler)
