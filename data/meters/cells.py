"""Energies of any intervals in those of a grid of equal ones; sums are kept to the Wh.

An energy is spread evenly over its interval. Whole Wh: the sum of each hour is what the running sum, rounded, grows by,
and within an hour the largest remainders get what is left: no interval is more than 1 Wh from its energy, no sum
from the begin to a full hour more than half a Wh, and the whole sum is the rounded one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.errors import DataError
from data.meters.energies import UJ_PER_WH, Energies
from data.series import Integers

HOUR_S = 3600
LARGEST_CELLS = 50_000_000
"""Intervals of one meter, or of all meters of an import."""


class Cells(NamedTuple):
    """Energies on a grid.

    Attributes
    ----------
    first
        Number of the first interval, counted from 1970 UTC.
    covered_s
        Seconds of each interval that readings cover, (T,).
    wh
        Energy of these seconds, Wh, (T,).
    """

    first: int
    covered_s: Integers
    wh: Integers


def spread_energies(given: Energies, width_s: int) -> Cells:
    """Energies of a meter on the grid of intervals of `width_s` seconds, from its first to its last reading.

    Raises
    ------
    DataError
        If there are too many intervals.
    """
    if given.begin.size == 0:
        return Cells(0, np.zeros(0, np.int64), np.zeros(0, np.int64))
    first, last = int(given.begin[0]) // width_s, (int(given.end[-1]) - 1) // width_s
    pieces = (given.end - 1) // width_s - given.begin // width_s + 1
    if last - first >= LARGEST_CELLS or int(pieces.sum()) > LARGEST_CELLS:
        raise DataError(
            f"meter '{given.meter}': expected at most {LARGEST_CELLS:,} intervals of {width_s // 60} minutes from its "
            f"first to its last reading, got {last - first + 1:,}; is a year wrong? Else choose longer intervals"
        )
    row = np.repeat(np.arange(pieces.size), pieces)
    number = np.arange(row.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    cell = given.begin[row] // width_s + number
    low = np.maximum(given.begin[row], cell * width_s)
    high = np.minimum(given.end[row], (cell + 1) * width_s)
    uj = _share(given, row, high) - _share(given, row, low)
    covered, energy = np.zeros(last - first + 1, np.int64), np.zeros(last - first + 1, np.int64)
    np.add.at(covered, cell - first, high - low)
    np.add.at(energy, cell - first, uj)
    return Cells(first, covered, round_in_hours(energy, first, width_s))


def _share(given: Energies, row: Integers, at: Integers) -> Integers:
    """Part of the energy of each row's interval up to a time, whole µJ, without a product that 64 bits do not hold."""
    length, past = (given.end - given.begin)[row], at - given.begin[row]
    whole, rest = np.divmod(given.uj[row], length)
    return np.asarray(whole * past + rest * past // length)


def round_in_hours(uj: Integers, first: int, width_s: int) -> Integers:
    """Whole Wh of energies in µJ, none below 0, (T,); `first` is the number of the first interval.

    Examples
    --------
    >>> round_in_hours(np.full(60, 3_000_000_000), 0, 60).sum()
    np.int64(50)
    """
    wh, rest = np.divmod(uj, UJ_PER_WH)
    hour = (first + np.arange(uj.size)) * width_s // HOUR_S
    hour -= hour[0] if hour.size else 0
    sums = np.zeros(int(hour[-1]) + 1 if hour.size else 0, np.int64)
    np.add.at(sums, hour, rest)
    running = (np.cumsum(sums) + UJ_PER_WH // 2) // UJ_PER_WH
    more = np.diff(running, prepend=0)
    order = np.lexsort((np.arange(uj.size), -rest, hour))
    begin = np.searchsorted(hour, np.arange(sums.size))
    place = np.empty(uj.size, np.int64)
    place[order] = np.arange(uj.size) - begin[hour[order]]
    return np.asarray(wh + (place < more[hour]))
