"""Fields of a file in JSON that somebody else may have written, read with their types and bounds.

Python's parser takes `Infinity` and `NaN` for numbers, and numbers of any length: no field here does.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from market.ledger.durable import shorten

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*", re.ASCII)


class FieldError(ValueError):
    """A field of a file is not what was expected; the message says which, what was expected, and what was got."""


def read_entry(value: Any, where: str) -> dict[str, Any]:
    """An object."""
    return value if isinstance(value, dict) else _refuse(where, "an object", value)


def read_number(entry: dict[str, Any], where: str, name: str, least: int, most: int) -> int:
    """A whole number within bounds.

    Raises
    ------
    FieldError
        If it is none.

    Examples
    --------
    >>> read_number({"gas": 21_000}, "waiting", "gas", 1, 30_000)
    21000
    """
    value = entry.get(name)
    if type(value) is int and least <= value <= most:  # True is an int too
        return value
    return _refuse(f"{where}.{name}", f"a whole number from {least:,} to {most:,}", value)


def read_hex(entry: dict[str, Any], where: str, name: str, least: int, most: int) -> bytes:
    """Bytes in hexadecimal digits, as many as the bounds say.

    Raises
    ------
    FieldError
        If there are none.
    """
    value = entry.get(name)
    if isinstance(value, str) and 2 * least <= len(value) <= 2 * most and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    wanted = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return _refuse(f"{where}.{name}", f"{wanted} bytes in hexadecimal", value)


def read_list(entry: dict[str, Any], where: str, name: str, least: int, most: int) -> list[Any]:
    """A list with as many members as the bounds say.

    Raises
    ------
    FieldError
        If there is none.
    """
    value = entry.get(name)
    if isinstance(value, list) and least <= len(value) <= most:
        return value
    return _refuse(f"{where}.{name}", f"a list of {least:,} to {most:,}", value)


def _refuse(field: str, expected: str, got: Any) -> NoReturn:
    raise FieldError(f"expected {field} to be {expected}, got {_show(got)}")


def _show(value: Any) -> str:
    """A value for a message, short, as JSON spells it; a whole number may be too long for Python to write it out."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value):,}"
    if type(value) is int and value.bit_length() > 256:
        return f"a number of {value.bit_length():,} bits"
    return "nothing" if value is None else shorten(value) if isinstance(value, str) else json.dumps(value)
