"""Logs to follow: served ledgers, operators who show two histories, witnesses, servers that misbehave."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_world import World, append, begin, world

from market.ledger.crypto.keys import public_bytes
from market.ledger.follow.cosigning import Cosigner, answer_request
from market.ledger.follow.node import Node
from market.ledger.follow.remote import Remote
from market.ledger.follow.rounds import Inbox
from market.ledger.follow.server import CopyServer
from market.ledger.follow.source import Log
from market.ledger.format import statements
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import COSIGNATURE, VerifierKey
from market.ledger.format.quorum import make_quorum_parameters, parse_witnesses
from market.ledger.format.records import Role
from market.ledger.write.ledger import Ledger


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """URL of a ledger that is served on loopback."""
    with CopyServer(directory, "127.0.0.1", 0, None) as server:
        yield server.url


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """URL of a folder that a static web server serves, the standard library's."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def node_of(url: str, out: Path, pinned: VerifierKey | None = None, patience_s: float = 5.0) -> Node:
    """A node that follows a URL."""
    return Node(Log(Remote(url, patience_s)), out, pinned)


def grow(directory: Path, made: World, first: int, stop: int) -> None:
    """Append intervals to a ledger that is there."""
    with Ledger.resume(directory, made.key) as ledger:
        append(ledger, made, first, stop)


def forked(one: Path, other: Path, at: int, n: int = 30) -> World:
    """Two ledgers that one operator signed, the same up to interval `at`; then only the second admits a member."""
    made = world(3, n, seed=8)
    for directory in (one, other):
        with begin(directory, made) as ledger:
            append(ledger, made, 0, at)
            if directory == other:
                row = statements.register(ledger.chain_id, 1, Role.PARTICIPANT, 1, 10**6, make_demonstration_key(50))
                ledger.append_registry(row)
            append(ledger, made, at, n)
    return made


def witness(number: int, folder: Path) -> Cosigner:
    """A witness with a key of its own, and its memory in a folder."""
    return Cosigner(f"witness.example/{number}", make_demonstration_key(900 + number), folder / f"{number}.seen")


def vkey(name: str, key: Ed25519PrivateKey) -> str:
    """Verifier key line of a witness."""
    return VerifierKey(name, COSIGNATURE, public_bytes(key)).text()


def with_quorum(witnesses: list[Cosigner], needed: int, n: int = 12) -> World:
    """A world whose first block asks for a quorum of witnesses."""
    lines = [cosigner.verifier_key().text() for cosigner in witnesses]
    return world(3, n, seed=4, parameters=make_quorum_parameters(parse_witnesses(lines, needed)))  # type: ignore[arg-type]


class Running:
    """A node that serves its copy and cosigns when it is asked, in a thread of its own."""

    def __init__(self, url: str, cosigner: Cosigner, out: Path) -> None:
        self.ready, self.done, self.address = Event(), Event(), ""
        self.thread = Thread(target=self.run, args=(url, cosigner, out), daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    def run(self, url: str, cosigner: Cosigner, out: Path) -> None:
        inbox = Inbox()
        with node_of(url, out) as node, CopyServer(out, "127.0.0.1", 0, inbox.ask) as server:
            self.address = server.url
            self.ready.set()
            while not self.done.is_set():
                inbox.answer_until(monotonic() + 0.05, lambda content: answer_request(node, cosigner, content, 1))

    def stop(self) -> None:
        self.done.set()
        self.thread.join(10)


@contextmanager
def answering(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """URL of a server that answers every connection by a function of the socket and its first request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                while request := connection.recv(65536):
                    answer(connection, request)

        Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def roots_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 over leaf hashes, by its recursive definition."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + roots_by_definition(leaves[:half]) + roots_by_definition(leaves[half:])).digest()


def random_leaves(n: int, seed: int = 0) -> list[bytes]:
    """Leaf hashes of a tree that nobody has a ledger of."""
    return [row.tobytes() for row in np.random.default_rng(seed).integers(0, 256, (n, 32), np.uint8)]
