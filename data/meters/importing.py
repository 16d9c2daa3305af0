"""Files of meters to energies by meter and interval: the steps in their order, and the account of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.errors import DataError
from data.meters.account import CUT, FILLED, MARKED, READ, REFUSED, WRITTEN, Line, check_account
from data.meters.cells import LARGEST_CELLS, Cells, spread_energies
from data.meters.energies import (
    Energies,
    drop_duplicates,
    join_readings,
    name_time,
    split_signs,
    sum_uj,
    to_energies,
    to_wh,
)
from data.meters.files import list_files, read_meter_file
from data.meters.filling import fill_gaps
from data.meters.readings import EXPORT, IMPORT, Parsed, Readings, Refused
from data.meters.told import Told, ask, check_told, option
from data.profiles import INTERVALS_MINUTES, LENGTHS, RESERVED_NAMES, SPREAD
from data.series import Integers
from data.tables import LARGEST_INTERVAL_WH

MOST_METERS = 10_000
FORMULA = ("=", "+", "-", "@")


class Metered(NamedTuple):
    """Energies of meters on one grid.

    Attributes
    ----------
    start
        Begin of the first interval, seconds since 1970 UTC.
    interval_minutes
        Length of the intervals.
    meters
        N names.
    load_wh, pv_wh
        Drawn from the grid and fed into it, (T, N), Wh.
    account
        What was read, cut, filled, refused and written.
    said
        What was understood, in sentences.
    """

    start: int
    interval_minutes: int
    meters: tuple[str, ...]
    load_wh: Integers
    pv_wh: Integers
    account: tuple[Line, ...]
    said: tuple[str, ...]


def import_meters(paths: Sequence[Path], told: Told) -> Metered:
    """Read files and folders of meters.

    Raises
    ------
    DataError
        If one cannot be read, or something changes a number and neither the files nor `told` decide it.
    """
    check_told(told)
    files, said = list_files(paths)
    if told.meter and len(files) > 1:
        raise DataError(
            f"--meter: expected one file, got {len(files)}; rename the files as their meters, or import them apart"
        )
    parsed = [read_meter_file(path, told) for path in files]
    return join_files(parsed, told, said)


def join_files(parsed: Sequence[Parsed], told: Told, said: Sequence[str] = ()) -> Metered:
    """Readings of files as energies on one grid; see `import_meters`."""
    refused = [each for part in parsed for each in part.refused]
    flows, more = find_energies([each for part in parsed for each in part.readings], told)
    refused += more
    _check_idle(flows, told)
    meters = tuple(dict.fromkeys(each.meter for each in flows))
    _check_names(meters)
    minutes, words = choose_interval(flows, told)
    width_s = 60 * minutes
    spread = [spread_energies(each, width_s) for each in flows]
    first, stop = choose_span(flows, spread, width_s, told)
    if (stop - first) * len(meters) > LARGEST_CELLS:
        raise DataError(
            f"expected at most {LARGEST_CELLS:,} intervals of all meters, got "
            f"{(stop - first) * len(meters):,}; import fewer"
        )
    load, pv = (np.zeros((stop - first, len(meters)), np.int64) for _ in range(2))
    lines = [_line(each) for each in refused]
    for flow, cells in zip(flows, spread, strict=True):
        wh, account = _finish_flow(flow, cells, (first, stop), width_s, told.fill)
        (pv if flow.flow == EXPORT else load)[:, meters.index(flow.meter)] = wh
        lines += account
    check_account(lines)
    without = [meter for meter in meters if not any(each.meter == meter and each.flow == IMPORT for each in flows)]
    words += [f"meter '{meter}' has no energy from the grid: its load is 0" for meter in without]
    notes = (*said, *(each for part in parsed for each in part.said), *words)
    order = {meter: number for number, meter in enumerate(meters)}
    lines.sort(key=lambda line: (order.get(line.meter, len(order)), line.direction))
    return Metered(first * width_s, minutes, meters, load, pv, tuple(lines), notes)


def find_energies(readings: Sequence[Readings], told: Told) -> tuple[list[Energies], list[Refused]]:
    """Energies of every meter and direction, and readings that are not used.

    Raises
    ------
    DataError
        If there are none, or as the steps on the way.
    """
    flows: list[Energies] = []
    refused: list[Refused] = []
    names = list(dict.fromkeys(each.meter for each in readings))
    order = {name: number for number, name in enumerate(names)}
    grouped = sorted(readings, key=lambda each: (order[each.meter], each.flow))
    for _, parts in groupby(grouped, key=lambda each: (each.meter, each.flow)):
        single, dropped = drop_duplicates(join_readings(list(parts)), told.duplicates)
        energies, more = to_energies(single, told)
        refused += [*dropped, *more]
        if energies.begin.size == 0:
            raise DataError(
                f"meter '{energies.meter}', {energies.flow}: expected at least two readings of a "
                "counter, got one; add rows"
            )
        flows += split_signs(energies, told.positive)
    if not flows:
        why = "; ".join(f"{each.number:,} {each.why}" for each in refused[:3])
        raise DataError(f"expected readings, got none{f' ({why})' if why else ''}; choose other files")
    both = {(each.meter, each.flow) for each in flows}
    if len(both) < len(flows):
        twice = next(
            each for each in flows if sum((other.meter, other.flow) == (each.meter, each.flow) for other in flows) > 1
        )
        raise DataError(
            f"meter '{twice.meter}': expected each direction once, got {twice.flow} with a sign "
            "and by itself; leave one out"
        )
    return flows, refused


def choose_interval(flows: Sequence[Energies], told: Told) -> tuple[int, list[str]]:
    """Length of the intervals, minutes: what is wanted, else that of all readings; and what becomes of others.

    Raises
    ------
    DataError
        If readings differ in length, or have one that no interval may have, and no length is said.
    """
    usual = {each.meter: _usual_length(each) for each in flows}
    lengths = sorted(set(usual.values()))
    if told.interval_minutes:
        if told.interval_minutes not in INTERVALS_MINUTES:
            raise DataError(f"--interval: expected {LENGTHS} minutes, got {told.interval_minutes}; correct it")
        minutes = told.interval_minutes
    else:
        if len(lengths) > 1 or lengths[0] % 60 or lengths[0] // 60 not in INTERVALS_MINUTES:
            got = ", ".join(f"{length / 60:g}" for length in lengths[:6])
            raise ask(
                f"readings are {got} minutes long", f"one length of {LENGTHS} minutes", "interval_minutes", "MINUTES"
            )
        minutes = lengths[0] // 60
    said = []
    for length in lengths:
        if length > 60 * minutes:
            said.append(f"readings of {length / 60:g} minutes {SPREAD} {minutes}")
        elif length < 60 * minutes:
            said.append(
                f"readings of {length / 60:g} minutes joined to intervals of {minutes}: peaks within them are not seen"
            )
    return minutes, said


def _usual_length(given: Energies) -> int:
    lengths, counts = np.unique(given.end - given.begin, return_counts=True)
    return int(lengths[np.argmax(counts)])


def choose_span(flows: Sequence[Energies], spread: Sequence[Cells], width_s: int, told: Told) -> tuple[int, int]:
    """First interval and the one after the last, counted from 1970 UTC: whole ones, of all meters alike.

    Raises
    ------
    DataError
        If meters begin or end at different times, and nothing says which count.
    """
    begins = [-(-int(each.begin[0]) // width_s) for each in flows]
    stops = [int(each.end[-1]) // width_s for each in flows]
    differ = len(set(begins)) > 1 or len(set(stops)) > 1
    if differ and not told.span:
        late, early = flows[int(np.argmax(begins))], flows[int(np.argmin(stops))]
        got = (
            f"meters begin from {name_time(min(begins) * width_s)} to "
            f"{name_time(max(begins) * width_s)} ('{late.meter}') and "
            f"end from {name_time(min(stops) * width_s)} ('{early.meter}') to {name_time(max(stops) * width_s)}"
        )
        raise ask(got, "one time for all, or a word on which", "span")
    first, stop = (min(begins), max(stops)) if told.span == "all" else (max(begins), min(stops))
    if stop <= first:
        raise DataError("expected intervals that all meters have, got none; say --span all, or import them apart")
    return first, stop


def _finish_flow(
    flow: Energies, cells: Cells, span: tuple[int, int], width_s: int, rule: str
) -> tuple[Integers, list[Line]]:
    """Energies of a meter in the intervals of the span, (T,), and its lines of the account."""
    first, stop = span
    placed, cut = _place(cells, first, stop)
    filled = fill_gaps(placed, width_s, rule, f"meter '{flow.meter}', {flow.flow}")
    large = filled.cells.wh > LARGEST_INTERVAL_WH
    if large.any():
        at = int(np.argmax(large))
        raise DataError(
            f"meter '{flow.meter}', {name_time((first + at) * width_s)}: expected at most "
            f"{LARGEST_INTERVAL_WH:,} Wh in an "
            f"interval, got {filled.cells.wh[at]:,}; are readings in another unit?"
        )
    whose = (flow.meter, flow.flow)
    begin, end = name_time(flow.begin[0]), name_time(flow.end[-1])
    kind = "differences of a counter" if flow.of_counter else "readings"
    lines = [Line(*whose, READ, kind, begin, end, flow.begin.size, int(cells.wh.sum()))]
    for mask, why in (
        (flow.estimated, "marked as estimated"),
        (_long(flow), "a longer time of a counter, spread evenly"),
    ):
        if n := int(mask.sum()):
            lines.append(Line(*whose, MARKED, why, "", "", n, to_wh(sum_uj([flow._replace(uj=flow.uj[mask])]))))
    if cut[0]:
        lines.append(Line(*whose, CUT, "outside of the span, or of whole intervals", "", "", *cut))
    for gap in filled.gaps:
        times = (name_time(gap.first * width_s), name_time(gap.stop * width_s))
        lines.append(Line(*whose, FILLED, rule, *times, gap.stop - gap.first, gap.wh))
    times = (name_time(first * width_s), name_time(stop * width_s))
    lines.append(
        Line(*whose, WRITTEN, f"intervals of {width_s // 60} minutes", *times, stop - first, int(filled.cells.wh.sum()))
    )
    return filled.cells.wh, lines


def _long(flow: Energies) -> Integers:
    """Which differences of a counter are of a longer time than usual."""
    return np.asarray(flow.of_counter & (flow.end - flow.begin > _usual_length(flow)))


def _place(cells: Cells, first: int, stop: int) -> tuple[Cells, tuple[int, int]]:
    """Cells from `first` to before `stop`, empty where there are none; how many are outside, and their Wh."""
    covered, wh = np.zeros(stop - first, np.int64), np.zeros(stop - first, np.int64)
    low, high = max(first, cells.first), min(stop, cells.first + cells.wh.size)
    if low < high:
        inside = slice(low - cells.first, high - cells.first)
        covered[low - first : high - first], wh[low - first : high - first] = cells.covered_s[inside], cells.wh[inside]
    outside = np.ones(cells.wh.size, bool)
    outside[max(low - cells.first, 0) : max(high - cells.first, 0)] = False
    outside &= cells.covered_s > 0
    return Cells(first, covered, wh), (int(outside.sum()), int(cells.wh.sum() - wh.sum()))


def _line(refused: Refused) -> Line:
    return Line(refused.meter, refused.flow, REFUSED, refused.why, "", "", refused.number, refused.wh)


def _check_idle(flows: Sequence[Energies], told: Told) -> None:
    """Raise DataError if counters are spoken of and there are none."""
    said = "register_digits" if told.register_digits else "register_reset" if told.register_reset != "refuse" else ""
    if said and not any(each.of_counter for each in flows):
        raise DataError(f"{option(said)}: expected a counter, got none in the files; leave the option out")


def _check_names(meters: Sequence[str]) -> None:
    if len(meters) > MOST_METERS:
        raise DataError(f"expected at most {MOST_METERS:,} meters, got {len(meters):,}; import them in parts")
    for name in meters:
        if (
            not name.isprintable()
            or name != name.strip()
            or not name
            or name in RESERVED_NAMES
            or name.startswith(FORMULA)
        ):
            raise DataError(
                f"meter {name[:100]!r}: expected a name of printable characters without space at its ends, not "
                f"{', '.join(RESERVED_NAMES)}, and not one that a spreadsheet takes for a formula; "
                "rename it, or --meter"
            )
