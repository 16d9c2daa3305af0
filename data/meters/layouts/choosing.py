"""Which column of a table of readings is what, by their names: times, hours, meters, quality and values."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from data.columns import Table
from data.errors import DataError
from data.meters.layouts import roles
from data.meters.readings import NET
from data.meters.told import Told, ask, option
from data.numerals import Meaning, classify

MONEY = {*["eur", "price", "preis", "precio", "prix", "prezzo", "cost", "kosten", "coste", "cout", "tarifa"]}


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
