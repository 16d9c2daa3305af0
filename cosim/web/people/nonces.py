"""Nonces: numbers for one use within five minutes, for one purpose.

A nonce carries its time and a mark (HMAC) by a secret of the store, so nothing is kept of those given out, and no
stranger can fill a disk or push another's out. Only those that were used are kept, until they would be too old anyway.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b32decode, b32encode
from collections.abc import Callable
from enum import StrEnum

from cosim.web.people.errors import FullError, SignInError
from cosim.web.people.file import NONCE_SECRET, PeopleFile

VALID_S = 300
MOST_USED = 20_000
_TIME, _RANDOM, _MARK = 4, 9, 12
_LENGTH = 40


class Purpose(StrEnum):
    """What a nonce is for."""

    WALLET = "wallet"
    PASSKEY_REGISTRATION = "passkey registration"
    PASSKEY_SIGN_IN = "passkey sign-in"


class Nonces:
    """The nonces of a store."""

    def __init__(self, file: PeopleFile, clock: Callable[[], float]) -> None:
        self._file, self._clock = file, clock
        self._secret = file.read_secret(NONCE_SECRET)

    def make_nonce(self, purpose: Purpose) -> str:
        """Make a nonce of 40 capital letters and digits, 72 random bits among them."""
        begin = int(self._clock()).to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
        return b32encode(begin + self._mark(begin, purpose)).decode("ascii")

    def check_nonce(self, nonce: str, purpose: Purpose) -> None:
        """Check that a nonce is of this store, for this purpose and not too old; whether it was used is not looked at.

        Raises
        ------
        SignInError
            If it is not.
        """
        self._until(nonce, purpose)

    def use_nonce(self, nonce: str, purpose: Purpose) -> None:
        """Use a nonce up, within the caller's transaction; call it once everything else is proven.

        Raises
        ------
        SignInError
            If it is wrong, too old or was used before.
        FullError
            If too many were used within five minutes.
        """
        until = self._until(nonce, purpose)
        self._file.write("DELETE FROM nonce WHERE until <= ?", int(self._clock()))
        if self._file.rows("SELECT 1 FROM nonce WHERE nonce = ?", nonce):
            raise SignInError("sign-in: expected one that was not used yet, got one that was; sign in again")
        if self._file.rows("SELECT count(*) FROM nonce")[0][0] >= MOST_USED:
            raise FullError("expected fewer sign-ins within five minutes; wait a little and sign in again")
        self._file.write("INSERT INTO nonce VALUES(?,?)", nonce, until)

    def _mark(self, begin: bytes, purpose: Purpose) -> bytes:
        return hmac.digest(self._secret, purpose.encode() + b"\0" + begin, "sha256")[:_MARK]

    def _until(self, nonce: str, purpose: Purpose) -> int:
        """Time from which on a nonce is too old, s."""
        content = b""
        if len(nonce) == _LENGTH and nonce.isascii() and nonce.isalnum() and nonce == nonce.upper():
            try:
                content = b32decode(nonce)
            except ValueError:  # digits that base 32 does not have
                content = b""
        begin = content[: _TIME + _RANDOM]
        if not content or not hmac.compare_digest(content[_TIME + _RANDOM :], self._mark(begin, purpose)):
            raise SignInError(f"sign-in: expected one that this server gave out for {purpose}, got another")
        until = int.from_bytes(begin[:_TIME], "big") + VALID_S
        if self._clock() >= until:
            raise SignInError("sign-in: expected one of the last 5 minutes, got an older one; sign in again")
        return until
