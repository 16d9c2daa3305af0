"""Many signatures to verify: collected while blocks stream by, checked in this process or in several others."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from market.ledger.keys import is_signed


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
