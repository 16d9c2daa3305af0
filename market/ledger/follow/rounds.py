"""The rounds of a node: it catches up every so many seconds, cosigns, and answers requests to cosign meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from queue import Empty, Queue
from time import monotonic, time
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.check.tree import WrongTilesError
from market.ledger.follow.cosigning import Cosigner, Reply, answer_request, cosign_newest
from market.ledger.follow.node import Node, Progress
from market.ledger.follow.remote import ServerError

_AT_ONCE_S = 0.2
"""Seconds between two looks whether somebody wants to stop."""


class Round(NamedTuple):
    """What a round did: progress of the copy, and whether its newest checkpoint was cosigned now."""

    progress: Progress
    cosigned: bool


class Inbox:
    """Requests to cosign on their way from the threads of a server to that of the node."""

    def __init__(self) -> None:
        self._waiting: Queue[tuple[bytes, Future[Reply]]] = Queue(maxsize=16)

    def ask(self, content: bytes) -> Future[Reply]:
        """Hand in a request; what comes is its answer."""
        future: Future[Reply] = Future()
        self._waiting.put((content, future), timeout=5.0)
        return future

    def answer_until(self, end: float, answer: Callable[[bytes], Reply]) -> None:
        """Answer requests until a time of the monotonic clock."""
        while (left := end - monotonic()) > 0:
            try:
                content, future = self._waiting.get(timeout=min(left, _AT_ONCE_S))
            except Empty:
                continue
            try:
                future.set_result(answer(content))
            except BaseException as reason:
                future.set_exception(reason)
                raise


def run_round(node: Node, cosigner: Cosigner | None) -> Round:
    """Catch up once, and cosign if the node is a witness.

    Raises
    ------
    LyingError, market.ledger.check.witness.RefusedError
        If the log contradicts itself, or what the witness has cosigned.
    LedgerError
        If the server does not answer as a log does.
    """
    progress = node.catch_up()
    note = None if cosigner is None else cosign_newest(node, cosigner, int(time()))
    return Round(progress if note is None else progress._replace(note=note), note is not None)


def run_rounds(
    node: Node,
    cosigner: Cosigner | None,
    inbox: Inbox,
    every_s: float,
    tell: Callable[[Round | LedgerError], None],
) -> None:
    """Run rounds until the log contradicts itself; a server that does not answer is asked again in the next.

    Parameters
    ----------
    node, cosigner
        The node and its witness, if it is one.
    inbox
        Requests to cosign.
    every_s
        Seconds from one round to the next.
    tell
        Called with every round, or with what kept it from being one.
    """
    while True:
        end = monotonic() + every_s
        try:
            tell(run_round(node, cosigner))
        except (ServerError, WrongTilesError) as reason:
            tell(reason)
        inbox.answer_until(end, lambda content: _answer(node, cosigner, content))


def _answer(node: Node, cosigner: Cosigner | None, content: bytes) -> Reply:
    if cosigner is None:
        return Reply(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not a witness\n")
    return answer_request(node, cosigner, content, int(time()))
