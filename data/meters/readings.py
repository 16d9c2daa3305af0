"""Readings of meters: what every layout is made into, in integers, before gaps, duplicates and counters are judged."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.columns import Column
from data.numerals import OTHER, Meaning, classify, find_decimal
from data.series import Integers

Mask = npt.NDArray[np.bool_]

IMPORT, EXPORT, NET = "import", "export", "net"
"""Energy that is drawn from the grid, fed into it, or both in one number with a sign."""
INTERVAL, REGISTER, POWER = "interval", "register", "power"
"""Energy of an interval, counter, mean power of an interval."""
MILLIONTHS = {"kWh": 10**9, "Wh": 10**6, "MWh": 10**12, "kW": 10**9, "W": 10**6}
"""What a unit is in µWh or µW."""
LARGEST = {INTERVAL: 10**15, POWER: 10**15, REGISTER: 10**18}
"""Largest values, µWh and µW: 1 GWh in an interval, 1 GW, 1 TWh on a counter."""


class Readings(NamedTuple):
    """Readings of one channel of one meter, as a file has them.

    Attributes
    ----------
    meter
        Its name.
    flow
        `IMPORT`, `EXPORT` or `NET`.
    kind
        `INTERVAL`, `REGISTER` or `POWER`.
    begin, end
        Seconds since 1970 UTC, (rows,); equal for counters.
    value
        µWh or µW, (rows,).
    estimated
        Which are marked as estimated, (rows,).
    unit
        Unit that they are written in.
    """

    meter: str
    flow: str
    kind: str
    begin: Integers
    end: Integers
    value: Integers
    estimated: Mask
    unit: str


class Refused(NamedTuple):
    """Readings that a file has and that are not used."""

    meter: str
    flow: str
    why: str
    number: int
    wh: int = 0


class Parsed(NamedTuple):
    """What a file holds, what of it is not used, and in phrases what was understood."""

    readings: tuple[Readings, ...]
    refused: tuple[Refused, ...] = ()
    said: tuple[str, ...] = ()


def make_readings(
    meter: str, flow: str, kind: str, begin: Any, end: Any, value: Any, estimated: Any = None, unit: str = "kWh"
) -> Readings:
    """Readings of sequences; see `Readings`."""
    starts = np.asarray(begin, np.int64)
    marks = np.zeros(starts.size, bool) if estimated is None else np.asarray(estimated, bool)
    return Readings(meter, flow, kind, starts, np.asarray(end, np.int64), np.asarray(value, np.int64), marks, unit)


def find_kind(unit: str) -> str:
    """What a unit says about the kind: power, or nothing."""
    return POWER if unit in ("kW", "W") else ""


def to_millionths(text: str, unit: str) -> int | None:
    """A number in µWh or µW, to the nearest, without floats in between; None if it is none.

    Examples
    --------
    >>> to_millionths("0.1234567", "kWh"), to_millionths("x", "W")
    (123456700, None)
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # an exponent would make a number of any length
    if not number.is_finite() or abs(number.adjusted()) > 30:
        return 0 if number.is_finite() and number.adjusted() < 0 else None
    return int((number * MILLIONTHS[unit]).to_integral_value())


def find_mark(column: Column, known: str = "") -> str:
    """The decimal mark of a column of text.

    Raises
    ------
    DataError
        At a number that may mean two things, or contradicts another.
    """
    texts = [each for each in column.values.dropna().unique() if isinstance(each, str)]
    found = find_decimal(texts, known)
    if found.wrong:
        wrong = (column.values == found.wrong).to_numpy(bool)
        because = f"numbers with one decimal mark (see '{found.because}')" if found.because else ""
        remedy = "write decimals with points, without thousands separators"
        column.check(wrong, because or "a number that can be read in one way only", remedy)
    return found.decimal


def read_values(column: Column, unit: str, kind: str, mark: str) -> tuple[Integers, Mask]:
    """Values of a column in µWh or µW, and which cells are empty, both (rows,).

    Raises
    ------
    DataError
        At a cell that is no number, or too large a one.
    """
    codes, found = pd.factorize(column.values)
    numbers = [_read_number(cell, unit, mark) for cell in found]
    large = LARGEST[kind]
    wrong = np.array([number is None or abs(number) > large for number in numbers] or [False], bool)
    empty = np.asarray(codes) < 0
    at_most = f"{large // MILLIONTHS[unit]:,} {unit}"
    column.check(wrong[codes] & ~empty, f"a number of at most {at_most}", "correct or empty the cell")
    values = np.array([number or 0 for number in numbers] or [0], dtype=np.int64)
    return np.where(empty, 0, values[codes]), empty


def _read_number(cell: Any, unit: str, mark: str) -> int | None:
    if isinstance(cell, bool):
        return None
    if not isinstance(cell, str):
        return to_millionths(repr(float(cell)), unit)
    text, meaning = classify(cell)
    if meaning is Meaning.UNREADABLE:
        return None
    return to_millionths(text.replace(OTHER[mark], "").replace(mark, ".") if mark else text, unit)
