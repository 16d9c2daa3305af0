"""Serve a node's copy over HTTP: the paths of a log, to be read, and `add-checkpoint`, if the node is a witness.

The copy is read by every request anew; only the node's own thread writes, so that requests to cosign are handed to it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Full
from threading import BoundedSemaphore, Thread, Timer
from typing import Any

from market.errors import LedgerError
from market.ledger.follow.cosigning import ADD_CHECKPOINT, LONGEST_REQUEST, Reply
from market.ledger.read.tiles import list_headers, read_path
from market.ledger.store.store import Store

MOST_CONNECTIONS = 64
"""Connections that are answered at a time; others are closed at once."""

IDLE_S, READ_S, ANSWER_S = 15.0, 20.0, 60.0
"""Seconds for which a silent connection is kept, in which a request must have come, and that cosigning may take."""

_LONGEST_PATH = 200
Ask = Callable[[bytes], "Future[Reply]"]
"""Hands a request to cosign to the thread of the node."""


class CopyServer(ThreadingHTTPServer):
    """An HTTP server of a node's copy; a context manager that serves in threads of its own.

    Parameters
    ----------
    directory
        Directory of the copy.
    host, port
        Address; with port 0 the system chooses one, which `url` then says.
    ask
        Takes requests to cosign, None if the node is no witness.

    Raises
    ------
    LedgerError
        If the address cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, directory: Path, host: str, port: int, ask: Ask | None) -> None:
        self.directory, self.ask = directory, ask
        self._room = BoundedSemaphore(MOST_CONNECTIONS)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as reason:
            text = getattr(reason, "strerror", None) or reason
            raise LedgerError(
                f"{host}:{port}: expected an address to serve at, got: {text}; choose another"
            ) from reason

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def __enter__(self) -> CopyServer:
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread, if there is room for one more."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that goes away is no concern of a server."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gridsettle", ""
    timeout = IDLE_S
    wbufsize, disable_nagle_algorithm = -1, True  # else every answer waits 40 ms for the client to confirm its headers
    server: CopyServer

    def handle_one_request(self) -> None:
        """Read and answer a request; one that drips in, byte by byte, would keep others out."""
        self._watch = Timer(READ_S, self._cut_off)
        self._watch.daemon = True
        self._watch.start()
        try:
            super().handle_one_request()
        finally:
            self._watch.cancel()

    def finish(self) -> None:
        """Close what was opened, also where the other end is gone before the answer."""
        with suppress(OSError):
            super().finish()
        self.rfile.close()

    def _cut_off(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        """Answer with what the log has under the path."""
        self._watch.cancel()
        path = self.path.partition("?")[0]
        try:
            with Store.open_to_read(self.server.directory) as store:
                content = read_path(store, path) if len(path) <= _LONGEST_PATH else None
        except LedgerError:
            content = None  # before its first block the copy has no file
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain; charset=utf-8"}, b"not found\n")
        else:
            self._send_part(list_headers(path), content)

    def do_POST(self) -> None:
        """Hand a request to cosign to the node."""
        length = self.headers.get("Content-Length", "")
        if self.server.ask is None or self.path != f"/{ADD_CHECKPOINT}":
            return self._refuse(HTTPStatus.NOT_FOUND, "not found")
        if not (length.isascii() and length.isdigit() and int(length[:9]) <= LONGEST_REQUEST and len(length) < 9):
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {LONGEST_REQUEST} bytes")
        try:
            content = self.rfile.read(int(length))
            self._watch.cancel()
            reply = self.server.ask(content).result(ANSWER_S)
        except (TimeoutError, Full):
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy")
        return self._send(reply.status, {"Content-Type": reply.content_type}, reply.content)

    def _send_part(self, headers: dict[str, str], content: bytes) -> None:
        """Send content, or its end if that is asked for, as a node does that has the beginning."""
        first = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        if first.isascii() and first.isdigit() and len(first) < 16 and 0 < int(first) < len(content):
            said = {"Content-Range": f"bytes {int(first)}-{len(content) - 1}/{len(content)}"}
            self._send(HTTPStatus.PARTIAL_CONTENT, headers | said, content[int(first) :])
        else:
            self._send(HTTPStatus.OK, headers, content)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True  # what is left of the request has not been read
        self._send(status, {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}, f"{why}\n".encode())

    def _send(self, status: HTTPStatus, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in (*headers.items(), ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:
        """Nothing: the terminal is the node's own."""
