"""Tables of readings: a row a time and meter, a column a meter, or a file a meter, by the names of the columns.

So read are the files of many portals, whose headers say what they hold:

- Datadis and i-DE (Spain): `CUPS;Fecha;Hora;Consumo_kWh;Metodo_obtencion`, `CUPS;Fecha;Hora;AE_kWh;AS_kWh;…`; hours are
  numbered from 1 by their ends (https://datadis.es).
- Enedis (France): `Horodate;Valeur` below two rows that describe the curve: mean power in W, ISO 8601, the end of the
  interval (https://www.enedis.fr).
- What loggers and spreadsheets write.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.columns import Column, Table
from data.errors import DataError
from data.files import parse_table
from data.meters.layouts import roles
from data.meters.layouts.hours import count_from_one, find_numbers, read_hour_ends
from data.meters.readings import (
    INTERVAL,
    NET,
    POWER,
    REGISTER,
    Mask,
    Parsed,
    Refused,
    find_kind,
    find_mark,
    make_readings,
    read_values,
)
from data.meters.stamps import find_steps, read_instants
from data.meters.told import Told, ask, option
from data.numerals import Meaning, classify
from data.series import Integers

MISSING = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None", "-", "--")
MONEY = {*["eur", "price", "preis", "precio", "prix", "prezzo", "cost", "kosten", "coste", "cout", "tarifa"]}
LARGEST_COLUMNS = 5_000
COUNTER_ROWS, COUNTER_FALLS = 8, 0.01
"""Energies that hardly ever fall over so many rows may be a counter."""
DURATION = re.compile(r"PT(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?$")


class Known(NamedTuple):
    """What something else than the columns' names says of a file."""

    meter: str = ""
    unit: str = ""
    stamp: str = ""
    flow: str = ""
    said: tuple[str, ...] = ()


class Roles(NamedTuple):
    """Names of columns by what they are; empty where there is none."""

    time: str
    """Of times, or of dates beside `hour`."""
    hour: str
    """Hour or time of day."""
    end: str
    """Of times at which intervals end, beside `time`."""
    stamp: str
    """What `time` is, where its name says it."""
    meter: str
    summer: str
    quality: str
    length: str
    values: tuple[str, ...]
    said: tuple[str, ...]


class Spans(NamedTuple):
    """Begin and end of each row's interval, seconds since 1970 UTC, (rows,), and what was understood."""

    begin: Integers
    end: Integers
    said: tuple[str, ...]


def parse_rows(text: str, source: str, stem: str, told: Told, known: Known | None = None, first_row: int = 2) -> Parsed:
    """Readings of a table; `stem` names the meter of a table that names none.

    Raises
    ------
    DataError
        If a cell cannot be read, or the table leaves something open that nobody says.
    """
    known = known or Known()
    check_width(text, source)
    table = parse_table(io.StringIO(text), source, MISSING)
    table = table._replace(frame=table.frame.set_axis(table.frame.index + (first_row - 2), axis=0))
    found = find_roles(table, told)
    codes, meters = _read_meters(table, found, told.meter or known.meter or stem)
    channels = _list_channels(table, found, meters, told, known)
    counters = {each.kind == REGISTER for each in channels}
    if len(counters) > 1:
        names = ", ".join(f"'{each.column}'" for each in channels[:4])
        raise DataError(
            f"{source}: expected counters or energies, got both ({names}); say which by {option('value_column')}"
        )
    spans = _read_spans(table, found, told, known, codes, of_counters=counters == {True})
    estimated = _read_quality(table, found)
    readings, refused = [], []
    for channel in channels:
        values, empty = channel.values, channel.empty
        for code, meter in enumerate(meters):
            name = channel.meter or meter
            rows = np.flatnonzero((codes == code) & ~empty)
            readings.append(
                make_readings(
                    name,
                    channel.flow,
                    channel.kind,
                    spans.begin[rows],
                    spans.end[rows],
                    values[rows],
                    estimated[rows],
                    channel.unit,
                )
            )
            if n := int(((codes == code) & empty).sum()):
                refused.append(Refused(name, channel.flow, "rows without a value", n))
    said = (
        *known.said,
        *table.said,
        *found.said,
        *spans.said,
        *dict.fromkeys(say for each in channels for say in each.said),
    )
    return Parsed(tuple(each for each in readings if each.begin.size), tuple(refused), said)


def check_width(text: str, source: str) -> None:
    """Raise DataError if the first row has very many cells, before anything is made of them."""
    end = text.find("\n", 0, 1_000_000)
    first = text[: end if end >= 0 else 1_000_000]
    if max(first.count(mark) for mark in ",;\t|") >= LARGEST_COLUMNS or len(first) >= 1_000_000:
        raise DataError(f"{source}, row 1: expected at most {LARGEST_COLUMNS:,} columns, got more; split the file")


def find_roles(table: Table, told: Told) -> Roles:
    """What the columns of a table are.

    Raises
    ------
    DataError
        If there is none of times, or several that may be meant.
    """
    columns = [str(name) for name in table.frame.columns]
    for name in filter(None, (told.time_column, told.meter_column, told.value_column, *told.leave_out)):
        if name not in columns:
            raise DataError(
                f"{table.source}: expected a column '{name}', got {', '.join(columns[:8])}; correct the option"
            )
    names = {name: roles.read_name(name) for name in columns if name not in set(told.leave_out)}
    said = [f"column '{name}' left out, as was said" for name in told.leave_out]
    by_name = {name: _classify(each) for name, each in names.items()}
    by_name |= {
        name: role
        for name, role in ((told.time_column, "time"), (told.meter_column, "meter"), (told.value_column, "value"))
        if name
    }
    kinds = {role: [name for name, each in by_name.items() if each == role] for role in set(by_name.values())}
    for role in ("meter", "summer", "length"):
        chosen = told.meter_column if role == "meter" else ""
        if chosen:
            said += [f"column '{name}' left out" for name in kinds.get(role, []) if name != chosen]
            kinds[role] = [chosen]
        if len(kinds.get(role, [])) > 1:
            raise ask(
                table.source,
                f"one column of {role}s of {', '.join(kinds[role])}",
                "meter_column",
                "NAME, or --leave-out NAME",
            )
    time, hour, end, stamp, more = _find_times(table, kinds.get("time", []), names, told)
    values, left = _find_values(table, kinds, names, told)
    one = {role: next(iter(kinds.get(role, [])), "") for role in ("meter", "summer", "quality", "length")}
    said += [f"column '{name}' left out" for name in [*more, *left, *kinds.get("quality", [])[1:]]]
    return Roles(time, hour, end, stamp, **one, values=tuple(values), said=tuple(said))


def _classify(name: roles.Name) -> str:
    """What one column is by its name: time, meter, summer, quality, length, apart, or perhaps a value."""
    words = name.words
    if name.unit:
        return "value"
    if words & roles.FLAG:
        return "summer"
    if words & roles.QUALITY:
        return "quality"
    if words & roles.LENGTH_WORDS:
        return "length"
    if roles.is_time(name):
        return "time"
    if words & roles.METER and (len(words) <= 2 or words & {"id", "cups", "pod", "prm"}):
        return "meter"
    return "apart" if words & roles.TELLS_APART else "value"


def _find_times(
    table: Table, found: list[str], names: dict[str, roles.Name], told: Told
) -> tuple[str, str, str, str, list[str]]:
    """Columns of times, of hours beside dates, and of ends; what times are by their name; what is left out."""
    if told.time_column:
        name = names[told.time_column]
        stamp = "end" if roles.is_end(name) else "start" if roles.is_start(name) else ""
        return told.time_column, "", "", stamp, [each for each in found if each != told.time_column]
    starts = [each for each in found if roles.is_start(names[each])]
    ends = [each for each in found if roles.is_end(names[each]) and each not in starts]
    plain = [each for each in found if each not in (*starts, *ends)]
    dates = [each for each in plain if names[each].words & roles.DATE and not names[each].words & roles.TIME]
    if len(dates) == 1 and (starts or ends) and len(plain) == 1:
        clock = (starts or ends)[0]
        return dates[0], clock, "", "start" if starts else "end", [each for each in ends if each != clock]
    if len(starts) == len(ends) == 1:
        return starts[0], "", ends[0], "", plain
    if len(starts) + len(ends) == 1:
        return (starts or ends)[0], "", "", "start" if starts else "end", plain
    if len(plain) == 1 and not starts and not ends:
        return plain[0], "", "", "", []
    if len(plain) == 2 and len(dates) == 1:
        hour = next(each for each in plain if each not in dates)
        if names[hour].words & roles.HOUR:
            return dates[0], hour, "", "end" if "ending" in names[hour].words else "", []
    got = ", ".join(f"'{each}'" for each in found) or "none"
    raise ask(
        f"{table.source} has the columns of times {got}", "one column of times that is meant", "time_column", "NAME"
    )


def _find_values(
    table: Table, kinds: dict[str, list[str]], names: dict[str, roles.Name], told: Told
) -> tuple[list[str], list[str]]:
    """Columns of values, and those that are left out."""
    for name in kinds.get("apart", []):
        if table.frame[name].nunique(dropna=False) > 1:
            raise DataError(
                f"{table.source}, column '{name}': expected one value, as it tells readings of a meter "
                "apart, got several; "
                f"split the file by it, make it part of the meter's name, or say {option('leave_out')} {name}"
            )
    if told.value_column:
        return [told.value_column], [each for each in kinds.get("value", []) if each != told.value_column]
    possible = [*kinds.get("value", []), *kinds.get("apart", [])]
    money = [each for each in possible if names[each].words & MONEY]
    usable = [
        each for each in possible if each not in money and not names[each].is_reactive and _has_numbers(table, each)
    ]
    with_unit = [each for each in usable if names[each].unit]
    values = with_unit or usable
    if not with_unit and kinds.get("meter") and len(values) > 1:
        values = [each for each in values if names[each].is_quantity] or values
        if len(values) > 1 and not all(names[each].flow != NET for each in values):
            raise ask(table.source, f"one column of values of {', '.join(values[:6])}", "value_column", "NAME")
    if not values:
        got = ", ".join(map(str, table.frame.columns[:8]))
        raise ask(table.source, f"a column of energies or powers among {got}", "value_column", "NAME")
    sums = [each for each in values if names[each].words & roles.SUMS]
    if sums and len(values) > 1:
        raise DataError(
            f"{table.source}, column '{sums[0]}': expected meters, got what may be a sum of them; "
            f"say {option('leave_out')} "
            f"'{sums[0]}', or rename it"
        )
    return values, [each for each in possible if each not in values]


def _has_numbers(table: Table, name: str) -> bool:
    """Whether a column holds numbers: by its cells, or by a unit in its name, so that a wrong cell is refused there."""
    values = table.frame[name]
    if values.isna().all():
        return False
    if pd.api.types.is_numeric_dtype(values) or roles.read_name(name).unit:
        return True
    texts = [each for each in values.dropna().unique()[:10_000] if isinstance(each, str)]
    # a column of text beside the values is one that is left out, but one with a few wrong cells is to be refused there
    numbers = sum(classify(each).meaning is not Meaning.UNREADABLE for each in texts)
    return bool(texts) and 2 * numbers > len(texts)


def _read_meters(table: Table, found: Roles, stem: str) -> tuple[Integers, list[str]]:
    if not found.meter:
        return np.zeros(len(table.frame), np.int64), [stem]
    values = table.frame[found.meter]
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.map(lambda each: str(int(each)), na_action="ignore")
    named = table._replace(frame=table.frame.assign(**{found.meter: values.map(str, na_action="ignore")}))
    return named.column(found.meter).read_names()


class Channel(NamedTuple):
    """One column of values: whose, which way, what, and its numbers."""

    column: str
    meter: str
    """Empty: the meter of the row."""
    flow: str
    kind: str
    unit: str
    values: Integers
    empty: Mask
    said: tuple[str, ...]


def _list_channels(table: Table, found: Roles, meters: Sequence[str], told: Told, known: Known) -> list[Channel]:
    names = {column: roles.read_name(column) for column in found.values}
    a_column_a_meter = not found.meter and (
        (len(names) > 1 and not all(name.is_quantity for name in names.values())) or any("." in each for each in names)
    )
    plain_mark = "." if table.plain and any(pd.api.types.is_float_dtype(table.frame[each]) for each in names) else ""
    marks = [find_mark(table.column(each), plain_mark) for each in names if table.frame[each].dtype == object]
    mark = next(filter(None, marks), plain_mark)
    channels: list[Channel] = []
    for column, name in names.items():
        unit, said_unit = _choose_unit(table, name, told, known)
        values = table.column(column)
        kind = _choose_kind(values, name, unit, told)
        numbers, empty = read_values(values, unit, kind, mark)
        if not kind_is_clear(name, unit, told) and _may_be_counter(numbers[~empty]):
            raise ask(
                f"{table.source}, column '{column}', whose values hardly ever fall",
                "a word on whether they are energies of intervals or a counter",
                "kind",
            )
        meter, flow = _name_meter(column, name, a_column_a_meter, known)
        word = {INTERVAL: "energies of intervals", REGISTER: "a counter", POWER: "mean powers"}[kind]
        way = "" if flow == NET else f", {flow}"
        channels.append(
            Channel(
                column, meter, flow, kind, unit, numbers, empty, (f"'{column}' as {word} in {unit}{said_unit}{way}",)
            )
        )
    _check_one_each(table, channels)
    return channels[:200] if len(channels) <= 200 else [each._replace(said=()) for each in channels]


def kind_is_clear(name: roles.Name, unit: str, told: Told) -> bool:
    """Whether header, unit or caller say what the values are."""
    return bool(told.kind or name.kind or find_kind(unit))


def _choose_unit(table: Table, name: roles.Name, told: Told, known: Known) -> tuple[str, str]:
    unit = name.unit or known.unit
    if not unit and not told.unit:
        raise ask(f"{table.source}, column '{name.written}'", "a unit in its name, like 'kWh' or 'kW'", "unit")
    if unit and told.unit and unit != told.unit:
        raise DataError(
            f"{table.source}, column '{name.written}': expected {told.unit}, as --unit says, got {unit} in the header; "
            "leave the option out, or rename the column"
        )
    return unit or told.unit, "" if unit else " (--unit)"


def _choose_kind(column: Column, name: roles.Name, unit: str, told: Told) -> str:
    kind = name.kind or find_kind(unit)
    if kind and told.kind and kind != told.kind:
        raise DataError(
            f"{column.table.source}, column '{name.written}' in {unit}: expected {told.kind}, as "
            f"--kind says, got {kind} by "
            "its name and unit; leave the option out, or rename the column"
        )
    return kind or told.kind or INTERVAL


def _may_be_counter(values: Integers) -> bool:
    steps = np.diff(values)
    if values.size < COUNTER_ROWS or (steps == 0).all() or values.min() < 0:
        return False
    return int((steps < 0).sum()) <= COUNTER_FALLS * steps.size


def _name_meter(column: str, name: roles.Name, a_column_a_meter: bool, known: Known) -> tuple[str, str]:
    if not a_column_a_meter:
        return "", known.flow or name.flow
    prefix, point, tail = column.rpartition(".")
    if point and prefix and roles.read_name(tail).is_quantity:
        return prefix, roles.read_name(tail).flow
    return re.sub(
        r"[\s_,]*[\[(]?\s*\b[kM]?Wh?\b\s*[\])]?\s*$", "", re.sub(r"_(?=[kM]?Wh?$)", " ", column), flags=re.I
    ) or column, NET


def _check_one_each(table: Table, channels: Sequence[Channel]) -> None:
    first: dict[tuple[str, str], str] = {}
    for each in channels:
        other = first.setdefault((each.meter, each.flow), each.column)
        if other != each.column:
            raise ask(
                f"{table.source}: columns '{other}' and '{each.column}' may be the same energy",
                "one column of values a meter and direction",
                "value_column",
                f"NAME, or leave one out by {option('leave_out')}",
            )


def _read_spans(table: Table, found: Roles, told: Told, known: Known, codes: Integers, *, of_counters: bool) -> Spans:
    """Begin and end of the interval of each row."""
    column = table.column(found.time)
    name = roles.read_name(found.time)
    keys = [codes]
    stamp = found.stamp
    because = f"by the name of '{found.hour or found.time}'"
    if found.hour:
        second, said, ends = _read_hours(table, found, told, codes)
        stamp, because = (ends, "by the numbers of hours, or by 24:00") if ends else (stamp, because)
    else:
        summer = table.column(found.summer) if found.summer else None
        options: dict[str, Any] = {"is_utc": roles.is_utc(name), "summer": summer}
        instants = read_instants(column, told, keys, **options)
        second, said = instants.second, instants.said
        if instants.ends_day:
            stamp, because = "end", "by 24:00"
        if found.end:
            end = read_instants(table.column(found.end), told, keys, **options).second
            table.column(found.end).check(end <= second, f"a time after that of '{found.time}'", "correct the row")
            if of_counters:
                raise DataError(
                    f"{table.source}: expected one time of a counter, got start and end; choose by --time-column"
                )
            return Spans(second, end, (*said, f"intervals from '{found.time}' to '{found.end}'"))
    if of_counters:
        return Spans(second, second, said)
    stamp, word = _choose_stamp(table, found, told, stamp, because, known)
    length = _read_lengths(table.column(found.length)) if found.length else find_steps(second, codes, table.source)
    begin, end = (second, second + length) if stamp == "start" else (second - length, second)
    return Spans(begin, end, (*said, word))


def _choose_stamp(table: Table, found: Roles, told: Told, stamp: str, because: str, known: Known) -> tuple[str, str]:
    if stamp and told.stamp and stamp != told.stamp:
        raise DataError(
            f"{table.source}: expected times at the {told.stamp} of intervals, as --stamp says, "
            f"got the {stamp} {because}; "
            "leave the option out"
        )
    if not (stamp or told.stamp or known.stamp):
        where = f"{table.source}, column '{found.hour or found.time}'"
        raise ask(where, "a word on whether times are the start or the end of their intervals", "stamp")
    chosen = stamp or told.stamp or known.stamp
    why = because if stamp else "--stamp" if told.stamp else "as the layout has it"
    return chosen, f"times at the {chosen} of intervals ({why})"


def _read_hours(table: Table, found: Roles, told: Told, codes: Integers) -> tuple[Integers, tuple[str, ...], str]:
    """Times of dates with hours, what was understood, and whether they are ends, where that is seen."""
    date, hour = table.column(found.time), table.column(found.hour)
    hour.check(hour.values.isna().to_numpy(bool), "an hour", "fill the row")
    numbers = find_numbers(hour)
    if numbers is not None and count_from_one(numbers, hour, told):
        return *read_hour_ends(date, hour, numbers, told, codes), "end"
    clock = (
        hour.values.astype(str).str.strip()
        if numbers is None
        else pd.Series(numbers, hour.values.index).map("{:02d}:00".format)
    )
    joined = date.values.astype(str).str.strip() + " " + clock
    with_times = table._replace(frame=table.frame.assign(**{found.time: joined}))
    summer = table.column(found.summer) if found.summer else None
    utc = roles.is_utc(roles.read_name(found.time)) or roles.is_utc(roles.read_name(found.hour))
    instants = read_instants(with_times.column(found.time), told, [codes], is_utc=utc, summer=summer)
    if numbers is not None:
        return instants.second, (*instants.said, "hours numbered from 0"), "start"
    return instants.second, instants.said, "end" if instants.ends_day else ""


def _read_lengths(column: Column) -> Integers:
    """Lengths of intervals as ISO 8601 writes durations, s, (rows,)."""
    found = [DURATION.match(str(cell).strip()) for cell in column.values]
    seconds = [
        sum(int(part or 0) * each for part, each in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
        for match in found
    ]
    length = np.array(seconds, np.int64)
    column.check(
        (length <= 0) | (length > 86_400),
        "a length like PT30M, up to a day",
        "correct it, or say --leave-out for the column",
    )
    return length


def _read_quality(table: Table, found: Roles) -> Mask:
    """Which rows are marked as estimated."""
    if not found.quality:
        return np.zeros(len(table.frame), bool)
    return table.frame[found.quality].map(roles.is_estimated).to_numpy(bool)
