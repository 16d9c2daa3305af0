"""NEM12: interval data of Australia's market, read by the library nemreader.

Rows 200 name meter, stream, unit and length of the interval, rows 300 hold a day, rows 400 the quality of parts of
it. Times are in market time, UTC+10 all year; stream E is drawn from the grid, B fed into it (AEMO, "Meter Data File
Format Specification NEM12 & NEM13": https://aemo.com.au). nemreader leaves out, with a line in a log, what it cannot
read: all rows are therefore checked before, so that nothing is left out here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from data.errors import DataError
from data.meters.readings import EXPORT, IMPORT, INTERVAL, POWER, Parsed, Refused, make_readings, to_millionths
from data.meters.told import Told

MARKET_TIME_S = 10 * 3600
MINUTES_A_DAY = 1440
LENGTHS = (1, 5, 10, 15, 30, 60)
UNITS = {"kwh": "kWh", "wh": "Wh", "mwh": "MWh", "kw": "kW", "w": "W"}
FLOWS = {"E": IMPORT, "B": EXPORT}
EPOCH = datetime(1970, 1, 1)


def is_nem(text: str) -> bool:
    """Whether a text begins as NEM12 or NEM13."""
    return text.lstrip()[:9].upper() in ("100,NEM12", "100,NEM13")


def parse_nem12(text: str, source: str, told: Told) -> Parsed:
    """Readings of a NEM12 file.

    Raises
    ------
    DataError
        If a row is not as in the specification, or nemreader is not installed.
    """
    lines = text.lstrip().splitlines()
    units = _check_rows(lines, source)
    if told.unit or told.kind or told.stamp or told.timezone:
        said = next(name for name in ("unit", "kind", "stamp", "timezone") if getattr(told, name))
        raise DataError(f"{source}: expected no --{said}, since NEM12 says it itself; import the file without it")
    found = _read_library(lines, source)
    readings, refused = [], []
    for meter, streams in found.items():
        for suffix, rows in streams.items():
            unit = units[meter, suffix]
            if unit not in UNITS or suffix[:1] not in FLOWS:
                refused.append(
                    Refused(meter, suffix, f"stream {suffix} in {unit}, which is no active energy", len(rows))
                )
                continue
            made, more = _make_channel(meter, suffix, UNITS[unit], rows, source)
            readings.append(made)
            refused += more
    said = "NEM12: energies of intervals, market time (UTC+10 all year), E drawn and B fed in"
    return Parsed(tuple(each for each in readings if each.begin.size), tuple(refused), (said,))


def _check_rows(lines: Sequence[str], source: str) -> dict[tuple[str, str], str]:
    """Units by meter and stream, of rows that are all as in the specification."""
    units: dict[tuple[str, str], str] = {}
    parts, seen_end = 0, False
    for number, row in _list_rows(lines, source):
        kind = row[0].strip()
        if kind == "100" and row[1:2] != ["NEM12"]:
            raise DataError(f"{source}, row {number}: expected NEM12, got '{''.join(row[1:2])}'; ask for interval data")
        if kind == "200":
            minutes = row[8].strip() if len(row) > 8 else ""
            if not minutes.isascii() or not minutes.isdecimal() or int(minutes[:4]) not in LENGTHS or len(minutes) > 4:
                raise DataError(
                    f"{source}, row {number}: expected an interval of {', '.join(map(str, LENGTHS))} minutes, got "
                    f"'{minutes}'; correct the row"
                )
            parts = MINUTES_A_DAY // int(minutes)
            meter, unit = (row[1], row[4]), row[7].strip().lower()
            if units.setdefault(meter, unit) != unit:
                raise DataError(
                    f"{source}, row {number}: expected {units[meter]} as before, got {unit}; split the file"
                )
        elif kind == "300":
            _check_day(row, parts, f"{source}, row {number}")
        elif kind == "400":
            _check_event(row, parts, f"{source}, row {number}")
        elif kind not in ("100", "500", "900"):
            raise DataError(f"{source}, row {number}: expected a record 100 to 900, got '{kind}'; correct the row")
        seen_end = kind == "900"
    if not seen_end:
        raise DataError(
            f"{source}: expected a record 900 at its end, got none: the file is not whole; ask for it again"
        )
    return units


def _list_rows(lines: Sequence[str], source: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    try:
        for number, row in enumerate(csv.reader(lines, strict=True), 1):
            if row:
                yield number, row
    except csv.Error as reason:
        raise DataError(
            f"{source}, row {number + 1}: expected values between commas, got {reason}; correct the row"
        ) from reason


def _check_day(row: Sequence[str], parts: int, where: str) -> None:
    if parts == 0:
        raise DataError(f"{where}: expected a record 200 before, got none; ask for the file again")
    if len(row) < parts + 6:
        raise DataError(
            f"{where}: expected {parts} values of a day and their quality, got {len(row) - 6}; correct the row"
        )
    if len(row[1]) != 8 or not row[1].isascii() or not row[1].isdecimal() or not "1900" <= row[1][:4] <= "2200":
        raise DataError(f"{where}: expected a date like 20240131, got '{row[1]}'; correct the row")
    for value in row[2 : parts + 2]:
        if value.strip() and to_millionths(value.strip(), "kWh") is None:
            raise DataError(f"{where}: expected numbers, got '{value}'; correct the row")


def _check_event(row: Sequence[str], parts: int, where: str) -> None:
    ends = [each.strip() for each in row[1:3]]
    if len(row) < 6 or not all(each.isascii() and each.isdecimal() and len(each) < 5 for each in ends):
        raise DataError(f"{where}: expected the first and last interval of an event, got {row[1:3]}; correct the row")
    if not 1 <= int(ends[0]) <= int(ends[1]) <= parts:
        raise DataError(f"{where}: expected intervals from 1 to {parts}, got {ends[0]} to {ends[1]}; correct the row")


def _read_library(lines: Sequence[str], source: str) -> dict[str, dict[str, list[Any]]]:
    try:
        from nemreader import NEMFile
    except ImportError as reason:
        raise DataError(
            f"{source}: expected nemreader to read NEM12, got none; pip install 'gridsettle[meters]'"
        ) from reason
    try:
        readings: dict[str, dict[str, list[Any]]] = NEMFile(source).parse_nem_file(lines).readings
    except (ValueError, TypeError, IndexError, AttributeError) as reason:
        raise DataError(f"{source}: expected NEM12, got {reason}; ask for the file again") from reason
    return readings


def _make_channel(meter: str, suffix: str, unit: str, rows: Sequence[Any], source: str) -> tuple[Any, list[Refused]]:
    """Readings of one stream; null data (quality N) and empty values are refused."""
    flow, usable = FLOWS[suffix[0]], []
    null = 0
    for row in rows:
        quality = str(row.quality_method or "").upper()
        if row.t_start is None:
            raise DataError(f"{source}: expected dates of the calendar, got another; correct the file")
        if quality.startswith("N") or row.read_value is None:
            null += 1
        else:
            usable.append(row)
    begin = [int((row.t_start - EPOCH).total_seconds()) - MARKET_TIME_S for row in usable]
    end = [int((row.t_end - EPOCH).total_seconds()) - MARKET_TIME_S for row in usable]
    value = [to_millionths(repr(row.read_value), unit) or 0 for row in usable]
    if any(abs(each) > 10**15 for each in value):
        raise DataError(
            f"{source}, meter '{meter}': expected at most 1 GWh in an interval, got more; is it in another unit?"
        )
    estimated = [str(row.quality_method or "").upper()[:1] in ("E", "F", "S") for row in usable]
    kind = POWER if unit in ("kW", "W") else INTERVAL
    refused = [Refused(meter, flow, f"null data of stream {suffix}", null)] if null else []
    return make_readings(meter, flow, kind, begin, end, value, estimated, unit), refused
