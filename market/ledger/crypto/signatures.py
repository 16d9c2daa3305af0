"""Many signatures: made on all cores, or collected while blocks stream by and checked here or in other processes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, NamedTuple

from market.cores import usable_cores
from market.ledger.crypto.keys import is_signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

AT_ONCE = 4
"""Threads that sign at the same time: `cryptography` leaves Python's lock to the others meanwhile."""

_FEW = 64
"""Messages that are not worth a thread."""


def signatures(key: Ed25519PrivateKey, messages: Sequence[bytes]) -> list[bytes]:
    """Ed25519 signatures (RFC 8032) of many messages, in their order, 64 bytes each."""
    n_threads = min(AT_ONCE, usable_cores(), len(messages) // _FEW)
    if n_threads <= 1:
        return [key.sign(message) for message in messages]
    share = -(-len(messages) // n_threads)
    shares = [messages[first : first + share] for first in range(0, len(messages), share)]
    with ThreadPoolExecutor(n_threads) as pool:
        signed = pool.map(lambda some: [key.sign(message) for message in some], shares)
        return [signature for some in signed for signature in some]


class Claim(NamedTuple):
    """That `public_key` signed `message`; `reason` is what is wrong with the block at `height` if it did not."""

    height: int
    reason: str
    public_key: bytes
    signature: bytes
    message: bytes


def first_false(claims: Sequence[Claim]) -> tuple[int, str] | None:
    """(height, reason) of the first claim that does not hold."""
    for claim in claims:
        if not is_signed(claim.public_key, claim.signature, claim.message):
            return claim.height, claim.reason
    return None


class SignatureChecks:
    """Claims being checked; a context manager.

    Parameters
    ----------
    n_processes
        1 checks in this process.
    """

    def __init__(self, n_processes: int = 1) -> None:
        spawn = get_context("spawn")  # a fork would take the threads of compiled and database code with it
        self._pool = ProcessPoolExecutor(n_processes, mp_context=spawn) if n_processes > 1 else None
        self._waiting: list[Future[tuple[int, str] | None]] = []
        self._found: list[tuple[int, str]] = []

    def __enter__(self) -> SignatureChecks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def add(self, claims: Sequence[Claim]) -> None:
        """Check these claims, now or meanwhile."""
        if self._pool is not None:
            self._waiting.append(self._pool.submit(first_false, claims))
        elif (found := first_false(claims)) is not None:
            self._found.append(found)

    def first_fault(self) -> tuple[int, str] | None:
        """(height, reason) of the lowest block with a false claim, once all are checked."""
        done = [future.result() for future in self._waiting]
        return min([*self._found, *(fault for fault in done if fault is not None)], default=None)
