"""The operator's code: typed in once, it opens a session of the operator. Whoever can start the server can read it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256

from cosim.web.people.errors import SignInError
from cosim.web.people.file import PeopleFile

VALID_S = 600
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, without letters that are taken for one another."""
_LENGTH, _GROUP = 16, 4  # 80 bits
_LONGEST = 64
_HEARD = str.maketrans("OIL", "011", " -–\t")


class Codes:
    """The operator's codes of a store; at most one is valid."""

    def __init__(self, file: PeopleFile, clock: Callable[[], float]) -> None:
        self._file, self._clock = file, clock

    def make_code(self) -> str:
        """Make a code `XXXX-XXXX-XXXX-XXXX` for one use within ten minutes; an earlier one is void from now on."""
        letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        with self._file.transaction():
            self._file.write("DELETE FROM code")
            self._file.write("INSERT INTO code VALUES(?,?)", _hash(letters), int(self._clock()) + VALID_S)
        return "-".join(letters[k : k + _GROUP] for k in range(0, _LENGTH, _GROUP))

    def use_code(self, text: str) -> None:
        """Use the code up; small letters, spaces, and O, I, L for 0 and 1 are understood.

        Raises
        ------
        SignInError
            If it is wrong, too old, or was used before; it does not say which.
        """
        hashed = _hash(text[:_LONGEST].upper().translate(_HEARD))
        with self._file.transaction():
            now = int(self._clock())
            valid = self._file.write("DELETE FROM code WHERE hash = ? AND until > ?", hashed, now) == 1
        if not valid:
            raise SignInError(
                "operator's code: expected the newest one, within 10 minutes and for the first time, got another; "
                "gridsettle members operator-code DIR makes a new one"
            )


def _hash(letters: str) -> bytes:
    return sha256(b"gridsettle operator code v1\0" + letters.encode("utf-8", "replace")).digest()
