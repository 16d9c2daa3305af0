"""Many signatures at once: made on several threads, or checked in this process or in others."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.cores import count_usable_cores
from market.ledger.crypto.keys import is_signed

MOST_THREADS = 4
"""Threads that sign at the same time; `cryptography` releases Python's global lock meanwhile."""

_LEAST_MESSAGES = 64
"""Fewer messages are not worth a thread."""


def sign_all(key: Ed25519PrivateKey, messages: Sequence[bytes]) -> list[bytes]:
    """Sign messages with Ed25519 (RFC 8032); returns the signatures in their order, 64 bytes each."""
    n_threads = min(MOST_THREADS, count_usable_cores(), len(messages) // _LEAST_MESSAGES)
    if n_threads <= 1:
        return [key.sign(message) for message in messages]
    share = -(-len(messages) // n_threads)
    shares = [messages[first : first + share] for first in range(0, len(messages), share)]
    with ThreadPoolExecutor(n_threads) as pool:
        signed = pool.map(lambda some: [key.sign(message) for message in some], shares)
        return [signature for some in signed for signature in some]


class Claim(NamedTuple):
    """The claim that `public_key` signed `message`; `reason` is the fault of the block at `height` if it did not."""

    height: int
    reason: str
    public_key: bytes
    signature: bytes
    message: bytes


def find_false_claim(claims: Sequence[Claim]) -> tuple[int, str] | None:
    """Find the first claim that does not hold; returns (height, reason)."""
    for claim in claims:
        if not is_signed(claim.public_key, claim.signature, claim.message):
            return claim.height, claim.reason
    return None


class SignatureChecks:
    """Checks claims, in other processes if there are several; a context manager.

    Parameters
    ----------
    n_processes
        With 1 claims are checked in this process.
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
        """Check claims, at once or in another process."""
        if self._pool is not None:
            self._waiting.append(self._pool.submit(find_false_claim, claims))
        elif (found := find_false_claim(claims)) is not None:
            self._found.append(found)

    def find_first_fault(self) -> tuple[int, str] | None:
        """Wait for all checks; returns (height, reason) of the lowest block with a false claim."""
        done = [future.result() for future in self._waiting]
        return min([*self._found, *(fault for fault in done if fault is not None)], default=None)
