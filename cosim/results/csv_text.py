"""Tables as CSV: a name that a spreadsheet would take for a formula is written as a name.

A text cell that begins with `= + - @`, a tab or a carriage return is run as a formula by common spreadsheets; an
apostrophe in front of it makes it text there (OWASP, "CSV Injection"). Reading a table back takes it away again.
"""

from __future__ import annotations

import csv
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def mark_text(cell: Any) -> Any:
    """The cell, with an apostrophe in front if it is text that begins like a formula.

    Examples
    --------
    >>> [mark_text(cell) for cell in ("=1+1", "house_01", -5.0, "'=x")]
    ["'=1+1", 'house_01', -5.0, "''=x"]
    """
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip("'").startswith(_FORMULA) else cell


def unmark_text(cell: Any) -> Any:
    """What `mark_text` was given.

    Examples
    --------
    >>> [unmark_text(cell) for cell in ("'=1+1", "'s Graveland", None)]
    ['=1+1', "'s Graveland", None]
    """
    marked = isinstance(cell, str) and cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA)
    return cell[1:] if marked else cell


def format_csv(frame: pd.DataFrame, *, index: bool = False) -> str:
    """A table for people, headers and index included."""
    table = frame.reset_index() if index else frame
    texts = table.select_dtypes(["object", "string", "category"]).columns
    marked = table.assign(**{name: table[name].astype(object).map(mark_text, na_action="ignore") for name in texts})
    # pandas leaves a carriage return without quotes, and what follows it would be a row of its own
    returns = any(marked[name].astype(str).str.contains("\r").any() for name in texts)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    return marked.rename(columns=mark_text).to_csv(index=False, lineterminator="\n", quoting=quoting)


def mark_table(table: pa.Table) -> pa.Table:
    """A table of a run whose text columns are marked."""
    return _map_texts(table, mark_text)


def unmark_table(table: pa.Table) -> pa.Table:
    """The table that `mark_table` was given."""
    return _map_texts(table, unmark_text)


def _map_texts(table: pa.Table, change: Any) -> pa.Table:
    for place, field in enumerate(table.schema):
        if _is_text(field.type):
            words = table.column(place).combine_chunks()
            decoded = words.dictionary_decode() if pa.types.is_dictionary(field.type) else words
            changed = pa.array([change(word) for word in decoded.to_pylist()], decoded.type)
            table = table.set_column(place, field.name, changed)
    return table


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))
