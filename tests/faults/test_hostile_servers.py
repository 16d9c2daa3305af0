"""Servers that lie, dawdle, babble or send elsewhere: one message, soon, little memory, and the folder as it was."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Never

import pytest
from ledger_world import world, written
from log_world import answering, node_of, served

from market.errors import LedgerError
from market.ledger.check.tree import WrongTilesError
from market.ledger.follow import server as follow_server
from market.ledger.follow.local import Local
from market.ledger.follow.node import Node
from market.ledger.follow.remote import Remote, ServerError
from market.ledger.follow.server import CopyServer
from market.ledger.follow.source import Log
from market.ledger.read.tiles import read_path
from market.ledger.store.store import Store

Answer = Callable[[socket.socket, bytes], None]
MADE = world(2, 300, seed=5)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("log") / "run", MADE, 300)


def says(content: bytes) -> Answer:
    """A server that sends these bytes and ends."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


def endless(begin: bytes, part: bytes, pause_s: float = 0.0) -> Answer:
    """A server that never ends."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(part)
            sleep(pause_s)

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(1 << 26))
SERVERS: dict[str, Answer] = {
    "a body without end": endless(OK + b"\r\n", b"x" * 65536),
    "chunks without end": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
    "headers without end": endless(OK, b"X-Header: y\r\n"),
    "a line without end": endless(b"HTTP/1.1 ", b"2" * 65536),
    "more than it says": says(OK + b"Content-Length: 99999999999\r\n\r\n" + b"x" * (1 << 21)),
    "less than it says": says(OK + b"Content-Length: 1000\r\n\r\nshort"),
    "a negative length": says(OK + b"Content-Length: -5\r\n\r\nx"),
    "a wrong length": says(OK + b"Content-Length: many\r\n\r\nx"),
    "a byte now and then": endless(OK + b"\r\n", b"x", 0.05),
    "a header now and then": endless(OK, b"X: y\r\n", 0.05),
    "silence": endless(b"", b"", 0.05),
    "nothing": says(b""),
    "garbage": says(bytes(range(256)) * 9),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "500": says(b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno"),
    "204": says(b"HTTP/1.1 204 No\r\n\r\n"),
    "206 of nothing asked": says(b"HTTP/1.1 206 Part\r\nContent-Length: 1\r\n\r\nx"),
    "a redirect to a file": says(b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
    "a redirect to https": says(b"HTTP/1.1 301 F\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n"),
    "a redirect to itself": says(b"HTTP/1.1 307 F\r\nLocation: /checkpoint\r\nContent-Length: 0\r\n\r\n"),
    "a bomb": says(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
    "no gzip": says(OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
    "no text": says(OK + b"Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc"),
    "no note": says(OK + b"Content-Length: 6\r\n\r\nhello\n"),
    "a huge size": says(OK + b"Content-Length: 80\r\n\r\n" + b"gridsettle/0\n9223372036854775807\n" + b"A" * 35),
}


@pytest.mark.parametrize("name", SERVERS)
def test_whatever_a_server_does_one_message_comes_soon(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.ledger.follow.remote.SLOWEST", 10_000_000)
    tracemalloc.start()
    begin, before = monotonic(), tracemalloc.get_traced_memory()[0]
    with answering(SERVERS[name]) as url, node_of(url, tmp_path / "copy", patience_s=0.5) as node:
        with pytest.raises(ServerError) as found:
            node.catch_up()
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert monotonic() - begin < 15  # far beyond half a second: a busy machine is no fault
    assert peak - before < 30e6
    assert "\n" not in str(found.value).strip()
    assert url in str(found.value)
    assert list((tmp_path / "copy").iterdir()) == []


def flip(content: bytes) -> bytes:
    """The content with one bit in its midst changed."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


CHANGES: dict[str, Callable[[bytes], bytes | None]] = {
    "a bit": flip,
    "a byte less": lambda content: content[:-1],
    "a byte more": lambda content: content + b"x",
    "nothing": lambda _: b"",
    "missing": lambda _: None,
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize(
    "change", [pytest.param(change, marks=[pytest.mark.slow] * (change != "a bit")) for change in CHANGES]
)
@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/0/001.p/45", "tile/1/000.p/1", "tile/entries/000", "tile/records/000"]
)
def test_a_changed_tile_is_never_taken(change: str, path: str, directory: Path, tmp_path: Path) -> None:
    """A byte behind the records of a bundle is read by nobody; everything else that is changed is refused."""
    with Store.open_to_read(directory) as store:

        def find(asked: str) -> bytes | None:
            content = read_path(store, asked)
            return CHANGES[change](content) if asked == path and content is not None else content

        with Node(Log(Local("here", find)), tmp_path / "copy", None) as node:
            if (change, path) == ("a byte more", "tile/records/000"):
                assert node.catch_up().size == 301
                return
            with pytest.raises((ServerError, WrongTilesError)):  # it proves nothing about the log, and is asked again
                node.catch_up()
    assert not (tmp_path / "copy/ledger.sqlite").exists()


@pytest.mark.parametrize("at", [0, 40, 200, 299])
def test_a_node_goes_on_when_a_server_has_come_to_its_senses(at: int, directory: Path, tmp_path: Path) -> None:
    """A block that came wrong leaves nothing behind by which the right one would be judged."""
    wrong = [True]
    with Store.open_to_read(directory) as store:
        body = b"".join(store.block(at)[3:4])

        def find(asked: str) -> bytes | None:
            content = read_path(store, asked)
            if content is None or not wrong[0] or not asked.startswith("tile/records"):
                return content
            place = content.find(body)
            return content if place < 0 else content[:place] + flip(body) + content[place + 64 :]

        with Node(Log(Local("here", find)), tmp_path / "copy", None) as node:
            for _ in range(2):
                with pytest.raises(ServerError, match=f"expected block {at} as"):
                    node.catch_up()
            wrong[0] = False
            assert node.catch_up().size == 301
        assert not (tmp_path / "copy/evidence").exists()


def test_records_of_another_block_are_found_before_they_are_stored(directory: Path, tmp_path: Path) -> None:
    with Store.open_to_read(directory) as store:

        def find(asked: str) -> bytes | None:
            content = read_path(store, asked)
            return flip(content) if asked == "tile/records/001.p/45" and content is not None else content

        with Node(Log(Local("here", find)), tmp_path / "copy", None) as node:
            with pytest.raises(ServerError, match=r"expected block \d+ as .* signed it, got another"):
                node.catch_up()
            assert node.store is not None
            assert node.store.size() == 256
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        assert node.catch_up().size == 301


@pytest.mark.parametrize(
    "url",
    [
        *("", "market.example", "file:///etc/passwd", "ftp://a/b", "http://", "http://a b/", "http://user:word@host/"),
        *(
            "http://host:99999/",
            "http://host/?q",
            "http://host/#f",
            "http://höst/",
            "http://host\r\nX: y/",
            "http://[::1",
        ),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(LedgerError, match="expected a URL"):
        Remote(url)


# -- our own server against hostile clients ---------------------------------------------------------------------------


def talk(url: str, request: bytes) -> bytes:
    """What the server answers to bytes, until it ends."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /checkpoint HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /tile/0/000 HTTP/1.1\r\nRange: bytes=8000-\r\n\r\n", b"206"),
        (b"GET /tile/0/000 HTTP/1.1\r\nRange: bytes=9000-\r\n\r\n", b"200"),
        (b"GET /tile/0/000 HTTP/1.1\r\nRange: bytes=-5\r\n\r\n", b"200"),
        (b"GET /../ledger.sqlite HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /%2e%2e/ledger.sqlite HTTP/1.1\r\n\r\n", b"404"),
        (b"GET //checkpoint HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 3\r\n\r\nold", b"404"),
        (b"PUT /checkpoint HTTP/1.1\r\nContent-Length: 3\r\n\r\nold", b"501"),
        (b"\x16\x03\x01garbage\r\n\r\n", b"400"),
    ],
)
def test_our_server_gives_what_is_public_and_nothing_else(request_line: bytes, status: bytes, directory: Path) -> None:
    with served(directory) as url:
        answer = talk(url, request_line)
    assert status in answer.split(b"\r\n")[0] or status in answer[:200]
    assert b"SQLite" not in answer


@pytest.mark.parametrize("length", [b"", b"-1", b"99999999", b"9" * 5000, b"0x10", b"\xd9\xa1"])
def test_a_request_to_cosign_has_a_length(length: bytes, directory: Path) -> None:
    def never(_: bytes) -> Never:
        raise AssertionError

    with CopyServer(directory, "127.0.0.1", 0, never) as server:
        answer = talk(server.url, b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\nold")
    assert b" 413 " in answer.split(b"\r\n")[0]


def test_a_request_that_drips_in_is_cut_off(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the request never does: a few such connections kept all other readers out."""
    monkeypatch.setattr(follow_server, "READ_S", 0.4)
    with CopyServer(directory, "127.0.0.1", 0, None) as server:
        host, port = server.server_address[:2]
        with socket.create_connection((str(host), int(port)), timeout=5) as dripping:
            begin = time.monotonic()
            with suppress(ConnectionError):
                while time.monotonic() - begin < 5:
                    dripping.sendall(b"G")
                    time.sleep(0.05)
                    dripping.setblocking(False)
                    with suppress(BlockingIOError):
                        if dripping.recv(1) == b"":
                            break
                    dripping.setblocking(True)
            assert time.monotonic() - begin < 3
        time.sleep(0.5)  # its thread closes the other end
