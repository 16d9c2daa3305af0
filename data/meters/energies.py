"""Energies of one meter in rising intervals that do not overlap: duplicates, counters and signs are settled here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from data.errors import DataError
from data.meters.readings import EXPORT, IMPORT, INTERVAL, MILLIONTHS, NET, POWER, REGISTER, Mask, Readings, Refused
from data.meters.told import Told, ask, option
from data.series import Integers

UJ_PER_WH = 3_600_000_000
LARGEST_ENERGY_WH = 10**9
"""Of one interval; 3.6 · 10¹⁸ µJ, which an integer of 64 bits holds."""


class Energies(NamedTuple):
    """Energies of one flow of a meter in rising intervals that do not overlap.

    Attributes
    ----------
    meter, flow
        Whose, and which way.
    begin, end
        Seconds since 1970 UTC, (rows,).
    uj
        µJ, (rows,): a millionth of a joule holds the watts of every second and the kilowatt-hours of every reading.
    estimated
        Which are marked as estimated, (rows,).
    of_counter
        Whether they are differences of a counter.
    """

    meter: str
    flow: str
    begin: Integers
    end: Integers
    uj: Integers
    estimated: Mask
    of_counter: bool


def join_readings(parts: Sequence[Readings]) -> Readings:
    """Readings of one channel from several files as one, in the order of time, else of the files.

    Raises
    ------
    DataError
        If they are of different kinds.
    """
    first = parts[0]
    if other := next((part for part in parts if part.kind != first.kind), None):
        raise DataError(
            f"meter '{first.meter}', {first.flow}: expected readings of one kind, got {first.kind} and {other.kind}; "
            "import them apart"
        )
    begin, end, value, estimated = (np.concatenate([part[k] for part in parts]) for k in (3, 4, 5, 6))
    order = np.lexsort((end, begin))
    return first._replace(begin=begin[order], end=end[order], value=value[order], estimated=estimated[order])


def drop_duplicates(given: Readings, rule: str) -> tuple[Readings, list[Refused]]:
    """Readings with one for each interval. Equal ones are one reading, unless they are to be summed.

    Raises
    ------
    DataError
        If two for one interval differ, and no rule says what to do.
    """
    again = np.concatenate([[False], (np.diff(given.begin) == 0) & (np.diff(given.end) == 0)])
    if not again.any():
        return given, []
    group = np.cumsum(~again) - 1
    first = np.flatnonzero(~again)
    last = np.append(first[1:], again.size) - 1
    differs = given.value != given.value[first][group]
    if differs.any() and rule == "refuse":
        at = int(np.argmax(differs))
        raise DataError(
            f"meter '{given.meter}', {given.flow}, {name_time(given.begin[at])}: expected one reading, got "
            f"{_say_value(given, first[group[at]])} and {_say_value(given, at)} ({int(differs.sum()):,} such rows); "
            f"say by {option('duplicates')} first|last|sum which counts"
        )
    kept = last if rule == "last" else first
    left = _pick(given, kept)
    total = np.zeros(first.size, np.int64)
    np.add.at(total, group, given.value)
    if rule == "sum":
        if given.kind == REGISTER:
            raise DataError(
                f"meter '{given.meter}': expected {option('duplicates')} first or last of a counter, got sum"
            )
        return left._replace(value=total), [
            Refused(given.meter, given.flow, "added to one of the same interval", int(again.sum()))
        ]
    unequal = np.zeros(first.size, bool)
    np.logical_or.at(unequal, group, differs)
    dropped = np.bincount(group) - 1
    return left, _say_dropped(given, left, total, unequal, dropped, rule)


def _say_dropped(
    given: Readings, left: Readings, total: Integers, unequal: Mask, dropped: Integers, rule: str
) -> list[Refused]:
    energy = to_microjoules(left._replace(value=total - left.value)) if given.kind != REGISTER else 0 * total
    rows = []
    for mask, why in (
        (~unequal, "repeats an equal reading"),
        (unequal, f"another reading of its interval ({rule} counts)"),
    ):
        if count := int(dropped[mask].sum()):
            rows.append(Refused(given.meter, given.flow, why, count, to_wh(sum(map(int, energy[mask])))))
    return rows


def _pick(given: Readings, rows: Integers) -> Readings:
    return given._replace(**{name: getattr(given, name)[rows] for name in ("begin", "end", "value", "estimated")})


def to_energies(given: Readings, told: Told) -> tuple[Energies, list[Refused]]:
    """Energies of readings without duplicates.

    Raises
    ------
    DataError
        If intervals overlap, or a counter falls and nothing says why.
    """
    refused: list[Refused] = []
    if given.kind == REGISTER:
        given, refused = _subtract(given, told)
        of_counter = True
    else:
        of_counter = False
    late = np.flatnonzero(given.begin[1:] < given.end[:-1])
    if late.size:
        at = late[0]
        raise DataError(
            f"meter '{given.meter}', {given.flow}: expected intervals that do not overlap, got "
            f"{name_time(given.begin[at])} to {name_time(given.end[at])} and one from "
            f"{name_time(given.begin[at + 1])}; "
            "import files of different resolution apart, or correct them"
        )
    energy = to_microjoules(given)
    return Energies(given.meter, given.flow, given.begin, given.end, energy, given.estimated, of_counter), refused


def to_microjoules(given: Readings) -> Integers:
    """Energies of readings that are no counters, µJ.

    Raises
    ------
    DataError
        If one is above 1 GWh.
    """
    factor = given.end - given.begin if given.kind == POWER else np.full(given.value.size, 3600, np.int64)
    large = np.abs(given.value.astype(np.float64)) * factor > float(LARGEST_ENERGY_WH * UJ_PER_WH)
    if large.any():
        at = int(np.argmax(large))
        raise DataError(
            f"meter '{given.meter}', {name_time(given.begin[at])}: expected at most 1 GWh in an interval, got "
            f"{_say_value(given, at)}; is it in another unit?"
        )
    return given.value * factor


def _subtract(given: Readings, told: Told) -> tuple[Readings, list[Refused]]:
    """Energies between readings of a counter."""
    negative = np.flatnonzero(given.value < 0)
    if negative.size:
        raise DataError(
            f"meter '{given.meter}', {name_time(given.begin[negative[0]])}: expected a counter from 0, got "
            f"{_say_value(given, negative[0])}; say by {option('kind')} interval if it is none"
        )
    step, refused = np.diff(given.value), []
    falls = step < 0
    use = np.ones(step.size, bool)
    if falls.any():
        turn = 10**told.register_digits * MILLIONTHS[given.unit] if told.register_digits else 0
        rolled = falls & (step + turn >= 0) & (step + turn <= turn // 2) & (given.value[:-1] < turn)
        step = np.where(rolled, step + turn, step)
        if n := int(rolled.sum()):
            refused.append(Refused(given.meter, given.flow, "counter rolled over, which is counted on", n))
        step, use, more = _judge_resets(given, step, told)
        refused += more
    rows = given._replace(
        kind=INTERVAL,
        begin=given.begin[:-1][use],
        end=given.begin[1:][use],
        value=step[use],
        estimated=(given.estimated[1:] | given.estimated[:-1])[use],
    )
    return rows, refused


def _judge_resets(given: Readings, step: Integers, told: Told) -> tuple[Integers, Mask, list[Refused]]:
    """Steps of a counter, those that are used, and what is said of those below zero."""
    falls = step < 0
    if not falls.any():
        return step, ~falls, []
    at = int(np.argmax(falls))
    if told.register_reset == "refuse":
        raise DataError(
            f"meter '{given.meter}', {given.flow}, {name_time(given.begin[at + 1])}: expected a "
            "counter that rises, got "
            f"{_say_value(given, at + 1)} after {_say_value(given, at)}; if it rolls over say its digits by "
            f"{option('register_digits')}, if it was exchanged or reset say by {option('register_reset')} zero|gap "
            "whether the new one began at 0 or what is between is unknown"
        )
    n = int(falls.sum())
    if told.register_reset == "zero":
        why = "counter began again, from 0 as was said"
        return (
            np.where(falls, given.value[1:], step),
            np.ones(step.size, bool),
            [Refused(given.meter, given.flow, why, n)],
        )
    why = "counter began again: what is between is a gap, as was said"
    return step, ~falls, [Refused(given.meter, given.flow, why, n)]


def split_signs(given: Energies, positive: str) -> list[Energies]:
    """What is drawn and what is fed in, of energies with a sign; one flow where there is none.

    Raises
    ------
    DataError
        If nothing says what positive values are.
    """
    below = given.uj < 0
    if given.flow != NET and not below.any():
        return [given]
    at = int(np.argmax(below))
    got = f"{given.uj[at] / UJ_PER_WH:,.6g} Wh at {name_time(given.begin[at])}"
    if given.flow == EXPORT or (given.flow == IMPORT and positive == EXPORT):
        raise DataError(
            f"meter '{given.meter}', {given.flow} by its header: expected energies of 0 or more, got {got} "
            f"({int(below.sum()):,} such); correct them, or rename the column to net"
        )
    if not positive:
        if below.any():
            where = f"meter '{given.meter}' has {int(below.sum()):,} negative readings, the first {got}"
            raise ask(where, "a word on what positive ones are, drawn from the grid or fed in", "positive")
        return [given._replace(flow=IMPORT)]
    drawn, fed = np.maximum(given.uj, 0), np.maximum(-given.uj, 0)
    if positive == EXPORT:
        drawn, fed = fed, drawn
    flows = [given._replace(flow=IMPORT, uj=drawn)]
    return [*flows, given._replace(flow=EXPORT, uj=fed)] if fed.any() else flows


def to_wh(uj: int) -> int:
    """Whole Wh of an energy in µJ, halves up.

    Examples
    --------
    >>> to_wh(5_400_000_000), to_wh(-5_400_000_000)
    (2, -1)
    """
    return (uj + UJ_PER_WH // 2) // UJ_PER_WH


def sum_uj(energies: Iterable[Energies]) -> int:
    """Sum of energies of any size, µJ."""
    return sum(int(part) for each in energies for part in each.uj)


def name_time(second: int | np.int64) -> str:
    """A time as people write it.

    Examples
    --------
    >>> name_time(0)
    '1970-01-01T00:00:00Z'
    """
    return f"{np.datetime64(int(second), 's')}Z"


def _say_value(given: Readings, at: int | np.int64) -> str:
    return f"{int(given.value[at]) / MILLIONTHS[given.unit]:,.12g} {given.unit}"
