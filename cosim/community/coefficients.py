"""Coefficients of a community: from terms, from the Spanish regulator's text file, from a table of half-hours.

They are whole numbers over a power of ten, so that a sum is one exactly or not at all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import numpy as np

from cosim.errors import ScenarioError
from market.community.allocation import check_coefficients
from market.exchanges import Ints

_COEFFICIENT = re.compile(r"[01],\d{1,6}")
_FILE_NAME = re.compile(r"\w+_(\d{4})\.txt", re.ASCII)
DENOMINATOR = 10**6
"""Of coefficients in the regulator's file, which have six digits; tables may have more."""
MOST_LINES = 1_000_000


def weigh(shares: Mapping[str, Decimal], where: str) -> Ints:
    """Coefficients as whole numbers over the least power of ten, (N,), in the order of `shares`.

    Raises
    ------
    market.errors.MarketError
        If they do not sum to exactly one.
    """
    weights, denominator = _over_one([list(shares.values())])
    check_coefficients(weights[0], denominator, where)
    own: Ints = weights[0]
    return own


def _over_one(rows: Sequence[Sequence[Decimal]]) -> tuple[Ints, int]:
    """Decimals, as whole numbers over one power of ten."""
    digits = max((-int(value.normalize().as_tuple().exponent) for row in rows for value in row), default=0)
    denominator = 10 ** max(digits, 0)
    return np.array([[int(value * denominator) for value in row] for row in rows], np.int64), denominator


def parse_regulator_file(text: str, name: str, points: Sequence[str], start: int, n_hours: int, zone: str) -> Ints:
    """Coefficients β of hours from the file that a distributor gets (Orden TED/1247/2021, Anexo I of RD 244/2019).

    The file is named CAU_YEAR.txt and has a line for each supply point and hour of the year, `CUPS;HOUR;0,123456`:
    hours from 1 to 8760, in a leap year to 8784, counted from the begin of the year by local time. Where coefficients
    do not change a line is `CUPS;0,123456`.

    Parameters
    ----------
    text, name
        Content and name of the file.
    points
        CUPS of each member, (N,).
    start, n_hours, zone
        Begin of the first hour, seconds since 1970-01-01 UTC, number of hours, and the file's clock.

    Returns
    -------
    numpy.ndarray
        Coefficients times 10^6, (n_hours, N); (N,) where they do not change.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If the file is not as expected, has no hour that is needed or another supply point, or an hour's sum is not 1.
    """
    hourly = _read_lines(text, name)
    found = {point for point, _ in hourly}
    if found != set(points):
        raise ScenarioError(
            f"{name}: expected the supply points of supply_points, got {_list_some(found - set(points))} beside them "
            f"and not {_list_some(set(points) - found)}; correct the file or the terms"
        )
    if all(hour is None for _, hour in hourly):
        weights = np.array([hourly[point, None] for point in points], np.int64)
        check_coefficients(weights, DENOMINATOR, name)
        return weights
    hours = _number_hours(name, start, n_hours, zone)
    try:
        weights = np.array([[hourly[point, hour] for point in points] for hour in hours], np.int64)
    except KeyError as missing:
        point, hour = missing.args[0]
        raise ScenarioError(f"{name}: expected a line for {point} and hour {hour}, got none; add it") from None
    check_coefficients(weights, DENOMINATOR, f"{name}, hours {hours[0]} to {hours[-1]}")
    return weights


def _list_some(points: set[str]) -> str:
    return ", ".join(sorted(points)[:3]) or "none"


def _read_lines(text: str, name: str) -> dict[tuple[str, int | None], int]:
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise ScenarioError(f"{name}: expected at most {MOST_LINES:,} lines, got {len(lines):,}; choose another file")
    found: dict[tuple[str, int | None], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(";")]
        hour = int(cells[1]) if len(cells) == 3 and re.fullmatch(r"[0-9]{1,4}", cells[1]) else None
        bad_hour = len(cells) == 3 and (hour is None or not 1 <= hour <= 8784)
        if len(cells) not in (2, 3) or bad_hour or not cells[0] or not _COEFFICIENT.fullmatch(cells[-1]):
            raise ScenarioError(
                f"{name}, line {number}: expected CUPS;hour;0,123456 or CUPS;0,123456, got '{line[:80]}'; correct it"
            )
        if (cells[0], hour) in found:
            raise ScenarioError(f"{name}, line {number}: expected each supply point and hour once, got one again")
        whole, decimals = cells[-1].split(",")
        found[cells[0], hour] = int(whole + decimals.ljust(6, "0"))
    if len({hour is None for _, hour in found}) > 1:
        raise ScenarioError(f"{name}: expected hours in all lines or in none, got both; correct it")
    return found


def _number_hours(name: str, start: int, n_hours: int, zone: str) -> list[int]:
    """Number of each hour in its year, from 1, by local time; the year is that in the file's name."""
    matched = _FILE_NAME.fullmatch(name)
    if matched is None:
        raise ScenarioError(
            f"{name}: expected a file named CAU_YEAR.txt, whose year says which hours it has; rename it"
        )
    year, clock = int(matched[1]), ZoneInfo(zone)
    begin = int(datetime(year, 1, 1, tzinfo=clock).timestamp())
    end = int(datetime(year + 1, 1, 1, tzinfo=clock).timestamp())
    if start < begin or start + 3600 * n_hours > end:
        raise ScenarioError(
            f"{name}: expected a run within {year} by the clock of {zone}, got one from "
            f"{datetime.fromtimestamp(start, clock):%Y-%m-%d %H:%M} on, {n_hours:,} hours; give the file of its year"
        )
    return [(start - begin) // 3600 + k + 1 for k in range(n_hours)]


def parse_table(text: str, name: str, start: int, n_periods: int, minutes: int) -> tuple[tuple[str, ...], Ints]:
    """Members and coefficients of every period, (N,) and (P, N), from a CSV `time,MEMBER,…`.

    Times are UTC, or have an offset; decimals have a point. There is a row for each period of the run, in its order;
    rows beyond it are refused.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If the table is not as expected, or a row does not sum to exactly 1.
    """
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if not rows or rows[0][0] != "time" or len(set(rows[0])) < len(rows[0]) or len(rows[0]) < 2:
        raise ScenarioError(f"{name}: expected columns time and one for each member, each once, got others")
    if len(rows) - 1 != n_periods:
        raise ScenarioError(
            f"{name}: expected a row for each of {n_periods:,} periods of the run, got {len(rows) - 1:,}"
        )
    values = []
    for k, row in enumerate(rows[1:]):
        wanted = datetime.fromtimestamp(start + 60 * minutes * k, UTC)
        try:
            moment = datetime.fromisoformat(row[0])
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            own = [Decimal(cell) for cell in row[1:]]
            fine = len(row) == len(rows[0]) and moment == wanted and all(0 <= share <= 1 for share in own)
            fine = fine and all((share * 10**12) % 1 == 0 for share in own)
        except (ValueError, InvalidOperation):
            fine = False
        if not fine:
            raise ScenarioError(
                f"{name}, row {k + 2}: expected {wanted:%Y-%m-%dT%H:%M} UTC and coefficients from 0 to 1 with at most "
                f"12 digits, got '{','.join(row)[:80]}'; correct it"
            )
        values.append(own)
    weights, denominator = _over_one(values)
    check_coefficients(weights, denominator, name)
    return tuple(rows[0][1:]), weights
