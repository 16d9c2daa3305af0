"""The table of a portfolio as a frame: read back with care, ranked, and as CSV for a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cosim.errors import ScenarioError
from cosim.portfolio.row import FAILED, RUN, SCHEMA
from cosim.portfolio.row_check import HASHES, HEAD, NEEDED, find_least
from cosim.results.csv_text import format_csv
from market.ledger.format.heads import is_feeder_name

TABLE = "portfolio.parquet"
MOST_FEEDERS, LARGEST_BYTES = 200_000, 1 << 30
"""Bounds of a table that is read: rows, and bytes of its columns once they are unpacked."""
LARGEST_NUMBER = 1e12
"""Of any column; what is larger is of no feeder."""
ROWS_TOGETHER = 10_000
"""Rows that are read before their bytes are counted."""
_TEXTS = [field.name for field in SCHEMA if pa.types.is_string(field.type)]
_AGAIN = "run the portfolio again, or go on with --resume"


def read_portfolio_table(directory: Path) -> pd.DataFrame:
    """Rows of a portfolio, one a feeder, in the order of the table.

    Raises
    ------
    ScenarioError
        If there is no table, it is larger than bounds, or not as a portfolio writes it.
    """
    path = directory / TABLE
    frame: pd.DataFrame = read_bounded_table(path).to_pandas()
    _check_rows(path, frame)
    return frame


def read_bounded_table(path: Path) -> pa.Table:
    """A table with the columns of a portfolio, and whatever rows.

    Texts stay what they are packed as until their bytes are counted: one long text may be that of every feeder.

    Raises
    ------
    ScenarioError
        If there is none, it has other columns, or is larger than bounds once it is unpacked.
    """
    if not path.is_file():
        raise ScenarioError(
            f"{path.parent}: expected a portfolio with {TABLE}, found none; run it, or go on with --resume if "
            "it was interrupted"
        )
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_size(path, file.metadata)
            _check_columns(path, schema)
        with pq.ParquetFile(path, read_dictionary=_TEXTS) as file:
            return pa.Table.from_batches(_list_batches(path, file), file.schema_arrow).cast(schema)
    except (pa.ArrowException, OSError) as reason:
        what = " ".join(str(reason).split())[:200]
        raise ScenarioError(
            f"{path}: expected the table of a portfolio, got a damaged one ({what}); {_AGAIN}"
        ) from reason


def _list_batches(path: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Rows of a table, some at a time, as long as they unpack to less than the bound."""
    unpacked = 0
    for batch in file.iter_batches(batch_size=ROWS_TOGETHER):
        unpacked += sum(map(_measure_bytes, batch.columns))
        if unpacked > LARGEST_BYTES:
            raise ScenarioError(
                f"{path}: expected rows that unpack to at most {LARGEST_BYTES >> 20:,} MiB, got more; {_AGAIN}"
            )
        yield batch


def _measure_bytes(column: pa.Array) -> int:
    """Bytes of a column's values, unpacked; a text that stands in many rows counts in each."""
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).take(column.indices).cast(pa.int64())
    return int(pc.sum(lengths).as_py() or 0)


def _check_size(path: Path, metadata: Any) -> None:
    groups = [metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups)]
    if metadata.num_rows > MOST_FEEDERS or sum(groups) > LARGEST_BYTES:
        raise ScenarioError(
            f"{path}: expected at most {MOST_FEEDERS:,} feeders in {LARGEST_BYTES >> 20:,} MiB, got "
            f"{metadata.num_rows:,} in {sum(groups) >> 20:,}; divide the portfolio"
        )


def _check_columns(path: Path, schema: pa.Schema) -> None:
    """Raise `ScenarioError` unless the columns are those of a portfolio."""
    for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True):
        if name not in schema.names:
            raise ScenarioError(f"{path}: expected a column '{name}', got none; {_AGAIN}")
        if schema.types[schema.names.index(name)] != kind:
            got = schema.types[schema.names.index(name)]
            raise ScenarioError(f"{path}, column '{name}': expected {kind}, got {got}; {_AGAIN}")
    if strange := [name for name in schema.names if name not in SCHEMA.names]:
        raise ScenarioError(f"{path}: expected the columns of a portfolio, got '{strange[0][:80]}' too; {_AGAIN}")
    if len(set(schema.names)) < len(schema.names):
        raise ScenarioError(f"{path}: expected every column once, got one twice; {_AGAIN}")


def _check_rows(path: Path, frame: pd.DataFrame) -> None:
    names = frame["feeder"].tolist()
    if not names:
        raise ScenarioError(f"{path}: expected a feeder, got a table without rows; {_AGAIN}")
    for name in names:
        if not isinstance(name, str) or not is_feeder_name(name):
            raise ScenarioError(f"{path}: expected names of feeders, got {str(name)[:80]!r}; {_AGAIN}")
    if twice := frame["feeder"][frame["feeder"].duplicated()].tolist():
        raise ScenarioError(f"{path}: expected every feeder once, got {twice[0][:80]!r} twice; {_AGAIN}")
    if strange := sorted(set(map(str, frame["status"])) - {RUN, FAILED}):
        raise ScenarioError(f"{path}, column 'status': expected {RUN} or {FAILED}, got {strange[0][:80]!r}; {_AGAIN}")
    _check_numbers(path, frame)
    _check_runs(path, frame[frame["status"] == RUN])


def _check_runs(path: Path, ran: pd.DataFrame) -> None:
    """Raise `ScenarioError` at a feeder that ran, of which something is missing or has no hash for its head."""
    missing = ran[[*NEEDED]].isna().any(axis=1)
    if missing.any():
        where = ran.loc[missing, "feeder"].iloc[0]
        raise ScenarioError(f"{path}, feeder {where[:80]!r}: expected what its run came to, got none; {_AGAIN}")
    for name in HASHES:
        wrong = ran[name].map(lambda text: text is not None and re.fullmatch(HEAD, text) is None).astype(bool)
        if wrong.any():
            where, got = ran.loc[wrong, ["feeder", name]].iloc[0]
            raise ScenarioError(
                f"{path}, feeder {where[:80]!r}: expected a hash of 64 hexadecimal digits as its {name}, got "
                f"{got[:80]!r}; {_AGAIN}"
            )


def _check_numbers(path: Path, frame: pd.DataFrame) -> None:
    """Raise `ScenarioError` at a number that no run has."""
    for name in frame.select_dtypes("number").columns:
        least = max(find_least(name), -LARGEST_NUMBER)
        wrong = ~(frame[name].isna() | frame[name].between(least, LARGEST_NUMBER))
        if wrong.any():
            where, got = frame.loc[wrong, ["feeder", name]].iloc[0]
            raise ScenarioError(
                f"{path}, feeder {where[:80]!r}: expected a {name} from {least:g} to {LARGEST_NUMBER:g}, got {got}; "
                f"{_AGAIN}"
            )


def format_portfolio_csv(frame: pd.DataFrame) -> str:
    """The table for a spreadsheet, the feeders in their order; times in UTC, names never as formulas."""
    times = frame.select_dtypes("datetimetz").columns
    shown = {name: frame[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in times}
    return format_csv(frame.assign(**shown))
