"""Numbers as people and tools write them: decimal points or commas, thousands separators; never a guess.

What `1,234` means is decided by the other numbers of the file: one like `20,5` or `1.234,5` says that commas are
decimal, one like `20.5` or `1,234.5` that points are. Where none decides, or they contradict each other, the file is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

import pandas as pd

GAPS = "\u0020\u00a0\u2009\u202f'\u2019"
GROUPED_BY_GAP = re.compile(rf"([+-]?\d{{1,3}}(?:([{GAPS}])\d{{3}})(?:\2\d{{3}})*)([.,]\d+)?$", re.ASCII)
GROUPED = {mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:\{mark}\d{{3}})+$", re.ASCII) for mark in ",."}
ONE_MARK = re.compile(r"([+-]?)(\d*)([.,])(\d*)([eE][+-]?\d+)?$", re.ASCII)
WHOLE = re.compile(r"[+-]?\d+([eE][+-]?\d+)?$", re.ASCII)
OTHER = {",": ".", ".": ","}


class Meaning(Enum):
    """What one number says about the decimal mark of its file."""

    NOTHING = "nothing"
    COMMA = ","
    POINT = "."
    EITHER = "either"
    UNREADABLE = "unreadable"


class Numeral(NamedTuple):
    """A number as written: its text without gaps, and what it says about the decimal mark."""

    text: str
    meaning: Meaning


class Reading(NamedTuple):
    """How the numbers of a file are read.

    Attributes
    ----------
    decimal
        The decimal mark, empty if no number has one.
    wrong
        A number that contradicts the others, or that may mean two things; empty if all are clear.
    because
        A number that says the opposite of `wrong`; empty if there is none.
    """

    decimal: str
    wrong: str = ""
    because: str = ""


def classify(cell: str) -> Numeral:
    """What a cell says about the decimal mark.

    Examples
    --------
    >>> [classify(cell).meaning.value for cell in ("20", "20,5", "1.234,5", "1,234", "0.125", "1 234,5", "x")]
    ['nothing', ',', ',', 'either', '.', ',', 'unreadable']
    """
    text = cell.strip(GAPS + "\t").replace("\u2212", "-")
    grouped = GROUPED_BY_GAP.match(text)
    if grouped:
        text = grouped[1].replace(grouped[2], "") + (grouped[3] or "")
        return Numeral(text, Meaning(grouped[3][0]) if grouped[3] else Meaning.NOTHING)
    if WHOLE.match(text):
        return Numeral(text, Meaning.NOTHING)
    marks = [mark for mark in text if mark in OTHER]
    if len(marks) == 1:
        return Numeral(text, _classify_one_mark(text))
    for mark in (",", "."):
        whole, _, fraction = text.rpartition(mark)
        if marks.count(mark) == 1 and GROUPED[OTHER[mark]].match(whole) and fraction.isascii() and fraction.isdecimal():
            return Numeral(text, Meaning(mark))
        if len(marks) > 1 and GROUPED[mark].match(text):
            return Numeral(text, Meaning(OTHER[mark]))
    return Numeral(text, Meaning.UNREADABLE)


def _classify_one_mark(text: str) -> Meaning:
    found = ONE_MARK.match(text)
    if not found or not (found[2] or found[4]):
        return Meaning.UNREADABLE
    may_be_thousands = len(found[4]) == 3 and not found[5] and GROUPED[found[3]].match(text)
    return Meaning.EITHER if may_be_thousands else Meaning(found[3])


def find_decimal(cells: Iterable[str], known: str = "") -> Reading:
    """The decimal mark of a file; `known` if something else has said it already."""
    seen: dict[Meaning, str] = {}
    numerals = {cell: classify(cell) for cell in cells}
    for cell, numeral in numerals.items():
        seen.setdefault(numeral.meaning, cell)
    comma, point = seen.get(Meaning.COMMA, ""), seen.get(Meaning.POINT, "")
    if comma and (point or known == "."):
        return Reading("", comma, point)
    either = seen.get(Meaning.EITHER, "")
    decimal = "," if comma else "." if point or known == "." else ""
    return Reading("", either) if either and not decimal else Reading(decimal)


def to_number(cell: Any, decimal: str) -> Any:
    """A cell as a float, or as it is if it is no number."""
    if not isinstance(cell, str):
        return cell
    text, meaning = classify(cell)
    if meaning is Meaning.UNREADABLE:
        return cell
    return float(text.replace(OTHER[decimal], "").replace(decimal, ".") if decimal else text)


def parse_column(values: pd.Series[Any], decimal: str) -> pd.Series[Any]:
    """A column of cells with this decimal mark as numbers; what is no number stays as it is."""
    codes, found = pd.factorize(values)
    numbers = pd.Series([to_number(cell, decimal) for cell in found], dtype=object)
    return pd.Series(numbers.reindex(codes).to_numpy(), values.index, name=values.name).infer_objects()
