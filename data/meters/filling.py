"""What becomes of intervals without a reading: by a rule that is named, never by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.errors import DataError
from data.meters.cells import Cells
from data.meters.energies import name_time
from data.meters.readings import Mask
from data.meters.told import CHOICES, option
from data.series import Integers

WEEK_S = 7 * 86_400


class Gap(NamedTuple):
    """Intervals in a row that readings do not cover, or not whole.

    Attributes
    ----------
    first, stop
        Numbers of the first and of the one after the last, counted from 1970 UTC.
    wh
        Energy that was filled in.
    """

    first: int
    stop: int
    wh: int


class Filled(NamedTuple):
    """Cells without gaps, and the gaps that were filled."""

    cells: Cells
    gaps: tuple[Gap, ...]


def list_gaps(open_cells: Mask) -> list[tuple[int, int]]:
    """Places of the first and after the last of each row of intervals.

    Examples
    --------
    >>> list_gaps(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.diff(open_cells.astype(np.int8), prepend=0, append=0)
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def fill_gaps(cells: Cells, width_s: int, rule: str, where: str) -> Filled:
    """Cells whose gaps are filled by a rule; what is covered of an interval in part keeps its energy.

    Parameters
    ----------
    cells
        Energies on a grid of intervals of `width_s` seconds.
    width_s
        Length of an interval, s.
    rule
        `none`: a gap is refused; `zero`; `interpolate`: between the nearest whole intervals; `last-week`: the energy of
        168 hours before.
    where
        Whose cells, for messages.

    Raises
    ------
    DataError
        If there is a gap and no rule, or a rule has nothing to fill it from.
    """
    open_cells = cells.covered_s < width_s
    places = list_gaps(open_cells)
    if not places:
        return Filled(cells, ())
    if rule == "none":
        low, high = places[0]
        words = "|".join(CHOICES["fill"][1:])
        raise DataError(
            f"{where}: expected readings without gaps, got none for {_name_gap(cells, low, high, width_s)} "
            f"({int(open_cells.sum()):,} intervals in {len(places):,} gaps); say by "
            f"{option('fill')} {words} what fills them"
        )
    wanted = {"zero": _fill_zero, "interpolate": _interpolate, "last-week": _copy_week}[rule](
        cells, places, width_s, where
    )
    missing_s = width_s - cells.covered_s
    added = np.where(open_cells, (wanted * missing_s + width_s // 2) // width_s, 0)
    gaps = tuple(Gap(cells.first + low, cells.first + high, int(added[low:high].sum())) for low, high in places)
    whole = np.full(open_cells.size, width_s, np.int64)
    return Filled(Cells(cells.first, whole, cells.wh + added), gaps)


def _fill_zero(cells: Cells, places: list[tuple[int, int]], width_s: int, where: str) -> Integers:
    return np.zeros(cells.wh.size, np.int64)


def _interpolate(cells: Cells, places: list[tuple[int, int]], width_s: int, where: str) -> Integers:
    """Energies of whole intervals on the line between those beside each gap, halves up."""
    wanted = np.zeros(cells.wh.size, np.int64)
    for low, high in places:
        if low == 0 or high == cells.wh.size:
            raise _no_source(cells, low, high, width_s, where, "intervals on both sides")
        left, right = int(cells.wh[low - 1]), int(cells.wh[high])
        steps, step = high - low + 1, np.arange(1, high - low + 1)
        wanted[low:high] = (2 * (left * (steps - step) + right * step) + steps) // (2 * steps)
    return wanted


def _copy_week(cells: Cells, places: list[tuple[int, int]], width_s: int, where: str) -> Integers:
    """Energies of 168 hours before; a gap of more than a week goes on from what fills its first week."""
    wanted, back = cells.wh.copy(), WEEK_S // width_s
    for low, high in places:
        if low < back:
            raise _no_source(cells, low, high, width_s, where, "an interval 168 hours before")
        for begin in range(low, high, back):
            end = min(begin + back, high)
            wanted[begin:end] = wanted[begin - back : end - back]
    return wanted


def _no_source(cells: Cells, low: int, high: int, width_s: int, where: str, what: str) -> DataError:
    return DataError(
        f"{where}: expected {what} to fill the gap {_name_gap(cells, low, high, width_s)} "
        "from, got none; choose another "
        f"{option('fill')}, or leave the end out by {option('span')} common"
    )


def _name_gap(cells: Cells, low: int, high: int, width_s: int) -> str:
    return f"{name_time((cells.first + low) * width_s)} to {name_time((cells.first + high) * width_s)}"
