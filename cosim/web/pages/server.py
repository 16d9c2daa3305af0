"""The web server that runs the application until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from cosim.interrupts.processes import ignore_broken_pipes

GRACE_S = 2
"""How long answers that are under way may take when the server stops; pages that listen never end by themselves."""

SWITCH_S = 0.0005
"""How long a thread may keep others waiting, s: pages are answered while an interval is solved."""


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
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = uvicorn.Server(config)
    sys.setswitchinterval(SWITCH_S)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True
        stopping()

    # uvicorn stops by handlers of its own, and then raises the signal again for those that were there before.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    ignore_broken_pipes()
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
