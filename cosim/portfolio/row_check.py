"""Whether a row is one of a portfolio: rows come from workers, files and strangers' tables, which may say anything."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from cosim.portfolio.row import FAILED, RUN, SCHEMA
from cosim.results.columns import TIME

NEEDED = ("head", "height", "houses", "intervals", "interval_minutes", "curtailed_hours", "cut_kwh")
"""Columns that are never null where a feeder ran."""
OF_FAILED = ("feeder", "status", "message")
"""Columns that are never null where a feeder failed; all others are."""
HEAD = "[0-9a-f]{64}"
"""What a hash looks like in a row, a regular expression."""
HASHES = ("head", "root")
_POSITIVE = ("intervals", "interval_minutes")
_NOT_NEGATIVE = ("height", "houses", "buses", "cut_kwh", "cars", "heat_pumps", "binding_elements")
_SURROGATE = re.compile("[\ud800-\udfff]")


def find_least(name: str) -> float:
    """The least that a column of numbers may hold.

    Examples
    --------
    >>> find_least("intervals"), find_least("curtailed_hours"), find_least("fees_eur")
    (1.0, 0.0, -inf)
    """
    if name in _POSITIVE:
        return 1.0
    return 0.0 if name in _NOT_NEGATIVE or name.endswith(("_hours", "_intervals")) else -math.inf


def find_row_fault(row: object) -> str:
    """What is wrong with a row, in words for behind 'got'; empty where nothing is.

    Parameters
    ----------
    row
        Anything; times may be words, as JSON has them.
    """
    if not isinstance(row, dict):
        return "no row"
    if fault := find_fault(row, SCHEMA):
        return fault
    if row["status"] not in (RUN, FAILED):
        return "another status than run or failed"
    if row["feeder"] is None:
        return "no name"
    return _find_fault_of_run(row) if row["status"] == RUN else _find_fault_of_failed(row)


def find_fault(values: Mapping[Any, Any], schema: pa.Schema) -> str:
    """What keeps values from being a row of a schema, as `find_row_fault` says it: names, types and finite numbers."""
    if set(values) != set(schema.names):
        return "other columns"
    wrong = (field.name for field in schema if not _fits(values[field.name], field.type))
    name = next(wrong, None)
    return "" if name is None else f"another kind of value in '{name}'"


def _fits(value: Any, kind: pa.DataType) -> bool:
    if value is None:
        return True
    if kind == TIME:
        return _is_time(value)
    if pa.types.is_string(kind):
        return isinstance(value, str) and _SURROGATE.search(value) is None
    if isinstance(value, bool):
        return False
    if pa.types.is_integer(kind):
        return isinstance(value, int) and -(2**63) <= value < 2**63
    if isinstance(value, int):
        return abs(value) <= 2**53  # larger ones need not be floats
    return isinstance(value, float) and math.isfinite(value)


def _is_time(value: Any) -> bool:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return False
    return isinstance(time, datetime) and time.tzinfo is not None


def _find_fault_of_run(row: Mapping[str, Any]) -> str:
    for name in NEEDED:
        if row[name] is None:
            return f"nothing in '{name}'"
    for name in HASHES:
        if row[name] is not None and re.fullmatch(HEAD, row[name]) is None:
            return f"no hash in '{name}'"
    for name, value in row.items():
        if isinstance(value, int | float) and value < find_least(name):
            return f"less than {find_least(name):g} in '{name}'"
    return ""


def _find_fault_of_failed(row: Mapping[str, Any]) -> str:
    for name, value in row.items():
        if (value is None) == (name in OF_FAILED):
            return f"{'nothing' if value is None else 'a value'} in '{name}' of a feeder that failed"
    return ""
