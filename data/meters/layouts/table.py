"""Tables of readings: a row a time and meter, a column a meter, or a file a meter, by the names of the columns.

So read are the files of many portals, whose headers say what they hold:

- Datadis and i-DE (Spain): `CUPS;Fecha;Hora;Consumo_kWh;Metodo_obtencion`, `CUPS;Fecha;Hora;AE_kWh;AS_kWh;…`; hours are
  numbered from 1 by their ends, up to 25 in October. We found no page of theirs that says so; public readers of their
  files do, for i-DE https://github.com/paskyorg/my-first-blog (energia/utils.py: "Indica la hora fin").
- Enedis (France): `data.meters.layouts.enedis`.
- What loggers and spreadsheets write.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from data.columns import Table
from data.errors import DataError
from data.files import parse_table
from data.meters.layouts import roles
from data.meters.layouts.channels import list_channels
from data.meters.layouts.choosing import Known, Roles, find_roles
from data.meters.layouts.spans import read_spans
from data.meters.readings import REGISTER, Mask, Parsed, Refused, make_readings
from data.meters.told import Told, option
from data.series import Integers

MISSING = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None", "-", "--")
LARGEST_COLUMNS = 5_000
LONGEST_LINE = 1_000_000


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
    channels = list_channels(table, found, meters, told, known)
    counters = {each.kind == REGISTER for each in channels}
    if len(counters) > 1:
        names = ", ".join(f"'{each.column}'" for each in channels[:4])
        raise DataError(
            f"{source}: expected counters or energies, got both ({names}); say which by {option('value_column')}"
        )
    spans = read_spans(table, found, told, known, codes, of_counters=counters == {True})
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
    """Raise DataError if the first row has very many cells, or any very many characters, before anything is made."""
    end = text.find("\n", 0, 1_000_000)
    first = text[: end if end >= 0 else 1_000_000]
    if max(first.count(mark) for mark in ",;\t|") >= LARGEST_COLUMNS or len(first) >= 1_000_000:
        raise DataError(f"{source}, row 1: expected at most {LARGEST_COLUMNS:,} columns, got more; split the file")
    for at in range(0, len(text) - LONGEST_LINE, LONGEST_LINE):
        if text.find("\n", at, at + LONGEST_LINE) < 0:
            raise DataError(f"{source}: expected rows of at most {LONGEST_LINE:,} characters, got a longer one")


def _read_meters(table: Table, found: Roles, stem: str) -> tuple[Integers, list[str]]:
    if not found.meter:
        return np.zeros(len(table.frame), np.int64), [stem]
    values = table.frame[found.meter]
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.map(lambda each: str(int(each)), na_action="ignore")
    named = table._replace(frame=table.frame.assign(**{found.meter: values.map(str, na_action="ignore")}))
    return named.column(found.meter).read_names()


def _read_quality(table: Table, found: Roles) -> Mask:
    """Which rows are marked as estimated."""
    if not found.quality:
        return np.zeros(len(table.frame), bool)
    return table.frame[found.quality].map(roles.is_estimated).to_numpy(bool)
