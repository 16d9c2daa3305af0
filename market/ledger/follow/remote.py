"""Ask an HTTP server that may be hostile: every answer has a greatest length and a time by which it must be there.

No redirect is followed, so that no other scheme, host or file is ever asked.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Timer
from typing import NamedTuple
from urllib.parse import urlsplit

from market.errors import LedgerError
from market.ledger.durable import shorten

PATIENCE_S = 20.0
"""Seconds for an answer to begin and, beyond what its length takes, to end."""

SLOWEST = 50_000
"""Bytes a second below which a server is too slow."""

_AT_A_TIME = 1 << 16
_ERRORS = (OSError, http.client.HTTPException, ValueError, zlib.error)


class ServerError(LedgerError):
    """A server does not answer as a log does; that says nothing about the log itself."""


class Answer(NamedTuple):
    """Status and body of an answer to a POST."""

    status: int
    body: bytes


class Body:
    """The body of an answer, read piece by piece.

    Parameters
    ----------
    response
        The answer.
    what
        Its address, for messages.
    is_over
        Set when the connection is shut down because it takes too long: what ends then is not whole.
    """

    def __init__(self, response: http.client.HTTPResponse, what: str, is_over: Event) -> None:
        self._response, self._what, self._is_over, self._left = response, what, is_over, b""
        packed = response.headers.get("Content-Encoding", "identity").lower() == "gzip"
        self._unpack = zlib.decompressobj(31) if packed else None

    def read_up_to(self, most: int) -> bytes:
        """All of the body.

        Raises
        ------
        ServerError
            If it has more than `most` bytes.
        """
        content = self._gather(most + 1)
        if len(content) > most:
            raise ServerError(f"{self._what}: expected at most {most:,} bytes, got more")
        return content

    def read_exactly(self, n: int) -> bytes:
        """The next `n` bytes.

        Raises
        ------
        ServerError
            If it ends before.
        """
        content = self._gather(n)
        if len(content) < n:
            raise ServerError(f"{self._what}: expected {n - len(content):,} bytes more, got the end")
        return content

    def skip(self, n: int) -> None:
        """Read over the next `n` bytes."""
        while n > 0:
            n -= len(self.read_exactly(min(n, _AT_A_TIME)))

    def _gather(self, n: int) -> bytes:
        parts, missing = [], n
        while missing > 0 and (part := self._next(missing)):
            parts.append(part)
            missing -= len(part)
        if missing > 0 and self._is_over.is_set():
            raise TimeoutError("a part of it")
        return b"".join(parts)

    def _next(self, most: int) -> bytes:
        """The next bytes, at most `most` of them; none at the end."""
        if self._unpack is None:
            return self._response.read1(min(most, _AT_A_TIME))
        while not self._unpack.eof:
            packed = self._left or self._response.read1(_AT_A_TIME)
            part = self._unpack.decompress(packed, min(most, _AT_A_TIME))
            self._left = self._unpack.unconsumed_tail
            if part or not packed:
                return part
        return b""


class Remote:
    """A log or witness at a URL; connections are kept between requests. Made for one thread.

    Parameters
    ----------
    url
        `http://…` or `https://…`, below which the paths are.
    patience_s
        Seconds that an answer may take, beyond what its length takes.
    name
        What messages call it. Default: its URL.

    Raises
    ------
    LedgerError
        If it is no such URL.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S, name: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        wanted = parts.scheme in ("http", "https") and parts.hostname and not parts.username and not parts.query
        if not wanted or parts.fragment or not url.isascii() or any(c <= " " for c in url):
            raise LedgerError(f"expected a URL like http://host:port/path, without a name or query, got {shorten(url)}")
        self.url, self.patience_s, self._name = url.rstrip("/"), patience_s, name
        self._scheme, self._host, self._port, self._prefix = parts.scheme, parts.hostname, port, parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def read(self, path: str, most: int) -> bytes | None:
        """What is served under a path, at most `most` bytes; None if there is nothing (404).

        Raises
        ------
        ServerError
            If the server does not answer in time, or with anything else.
        """
        with self.open(path, most) as body:
            return None if body is None else body.read_up_to(most)

    @contextmanager
    def open(self, path: str, most: int, skip: int = 0) -> Iterator[Body | None]:
        """Body under a path, to be read piece by piece from byte `skip` on; None if there is nothing (404).

        Raises
        ------
        ServerError
            As `read` does.
        """
        what = self._call(path)
        headers = {"Range": f"bytes={skip}-"} if skip else {}
        with self._request("GET", path, None, headers, most) as (response, body):
            if response.status == 404:
                body.read_up_to(_AT_A_TIME)
                yield None
                return
            if response.status not in (200, 206 if skip else 200):
                raise ServerError(f"{what}: expected an answer with status 200, got {_describe(response)}")
            if response.status == 200:
                body.skip(skip)
            yield body

    def post(self, path: str, content: bytes, most: int, kind: str = "application/octet-stream") -> Answer:
        """Answer to a POST, its body at most `most` bytes; raises as `read` does."""
        with self._request("POST", path, content, {"Content-Type": kind}, most) as (response, body):
            return Answer(response.status, body.read_up_to(most))

    def _call(self, path: str) -> str:
        return f"{self.url}/{path}" if self._name is None else self._name

    @contextmanager
    def _request(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str], most: int
    ) -> Iterator[tuple[http.client.HTTPResponse, Body]]:
        """Answer to a request, and its body; the connection is kept only if all of it has been read."""
        seconds = self.patience_s + most / SLOWEST
        try:
            connection, sock = self._connect()
            with (
                _ends_after(seconds, sock) as is_over,
                closing(self._ask(connection, method, path, content, headers)) as response,
            ):
                yield response, Body(response, self._call(path), is_over)
                finished = not response.read1(1)
        except _ERRORS as reason:
            self.close()
            if isinstance(reason, LedgerError):
                raise
            text = str(reason) or type(reason).__name__
            raise ServerError(f"{self._call(path)}: expected an answer within {seconds:.0f} s, got: {text}") from reason
        except BaseException:
            self.close()
            raise
        if not finished:
            self.close()

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        content: bytes | None,
        more: dict[str, str],
    ) -> http.client.HTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "gridsettle", **more}
        connection.request(method, f"{self._prefix}/{path}" if path else self._prefix or "/", content, headers)
        return connection.getresponse()

    def _connect(self) -> tuple[http.client.HTTPConnection, socket.socket]:
        """The connection that is kept if it still is one, else a new one."""
        if (
            self._connection is not None
            and self._connection.sock is not None
            and not _is_readable(self._connection.sock)
        ):
            return self._connection, self._connection.sock
        self.close()
        if self._scheme == "https":
            context = ssl.create_default_context()
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host or "", self._port, timeout=self.patience_s, context=context
            )
        else:
            made = http.client.HTTPConnection(self._host or "", self._port, timeout=self.patience_s)
        self._connection = made
        made.connect()
        return made, made.sock


def _is_readable(sock: socket.socket) -> bool:
    """Whether an idle connection has something to read: its end, or what nobody asked for."""
    try:
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


@contextmanager
def _ends_after(seconds: float, sock: socket.socket) -> Iterator[Event]:
    """Shut a connection down if what is done with it takes longer: a server may send a byte now and then for ever.

    The event is set then.
    """
    is_over = Event()

    def end() -> None:
        is_over.set()
        with suppress(OSError, ValueError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


def _describe(response: http.client.HTTPResponse) -> str:
    """Status of an answer, and where it would send us."""
    where = response.headers.get("Location")
    return (
        str(response.status) if where is None else f"{response.status}, a redirect to {shorten(where)}; give that URL"
    )
