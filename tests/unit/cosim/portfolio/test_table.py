"""The table of a portfolio is read with care, whoever wrote it, and is no formula in a spreadsheet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from portfolio_rows import make_portfolio_rows, write_portfolio

from cosim.errors import ScenarioError
from cosim.portfolio import table as tables
from cosim.portfolio.row import SCHEMA, make_rows_table
from cosim.portfolio.table import format_portfolio_csv, read_portfolio_table

ROWS = make_portfolio_rows(3)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        read_portfolio_table(folder)


def with_row(**changes: Any) -> list[dict[str, Any]]:
    return [*ROWS[:2], ROWS[2] | changes]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = read_portfolio_table(write_portfolio(tmp_path, ROWS))
    assert list(found.columns) == SCHEMA.names
    assert found["cut_kwh"].tolist() == [row["cut_kwh"] for row in ROWS]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feeder": ROWS[0]["feeder"]}, "every feeder once"),
        ({"feeder": "a\nb"}, "expected names of feeders"),
        ({"feeder": None}, "expected names of feeders"),
        ({"feeder": 201 * "x"}, "expected names of feeders"),
        ({"status": "perhaps"}, "'status': expected run or failed"),
        ({"cut_kwh": None}, "expected what its run came to"),
        ({"cut_kwh": np.inf}, "expected a cut_kwh from"),
        ({"x": 1e13}, "expected a x from"),
        ({"intervals": 0}, "expected a intervals from 1"),
        ({"curtailed_hours": -5.0}, "expected a curtailed_hours from 0"),
        ({"height": -1}, "expected a height from 0"),
        ({"height": None}, "expected what its run came to"),
        ({"houses": None}, "expected what its run came to"),
        ({"head": None}, "expected what its run came to"),
        ({"head": "zz"}, "expected a hash of 64 hexadecimal digits as its head, got 'zz'"),
        ({"root": "A" * 64}, "expected a hash of 64 hexadecimal digits as its root"),
        ({"interval_minutes": -60}, "expected a interval_minutes from 1"),
    ],
)
def test_rows_that_no_portfolio_has_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    refused(write_portfolio(tmp_path, with_row(**changes)), message)


def test_tables_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path, "found none; run it, or go on with --resume")
    path = tmp_path / "portfolio.parquet"
    path.write_bytes(b"PAR1 and no more")
    refused(tmp_path, "got a damaged one")
    whole = make_rows_table(ROWS)
    for wrong, message in (
        (whole.drop_columns(["cut_kwh"]), "expected a column 'cut_kwh', got none"),
        (whole.set_column(3, "head", pa.array([1, 2, 3])), "'head': expected string, got int64"),
        (whole.append_column("more", pa.array([1, 2, 3])), "got 'more' too"),
        (whole.slice(0, 0), "without rows"),
    ):
        pq.write_table(wrong, path)
        refused(tmp_path, message)
    pq.write_table(whole, path)
    monkeypatch.setattr(tables, "MOST_FEEDERS", 2)
    refused(tmp_path, "expected at most 2 feeders")


def test_one_text_in_every_row_is_counted_in_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [ROWS[0] | {"feeder": f"f{k}", "notes": "A" * 50_000} for k in range(100)]
    path = write_portfolio(tmp_path, rows) / "portfolio.parquet"
    metadata = pq.ParquetFile(path).metadata
    packed = sum(metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups))
    monkeypatch.setattr(tables, "LARGEST_BYTES", 10 * packed)
    assert 10 * packed < 100 * 50_000
    refused(tmp_path, "expected rows that unpack to at most 0 MiB, got more")
    monkeypatch.setattr(tables, "LARGEST_BYTES", 100 * 60_000)
    assert read_portfolio_table(tmp_path)["notes"].str.len().tolist() == [50_000] * 100


def test_bytes_are_counted_as_they_unpack() -> None:
    texts = pa.array(["ab", None, "ab", "cde"])
    assert tables._measure_bytes(texts.dictionary_encode()) == len("ababcde")
    assert tables._measure_bytes(pa.nulls(0, pa.string()).dictionary_encode()) == 0
    assert tables._measure_bytes(pa.array([1, 2, 3])) == 24


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "portfolio.parquet")
    refused(tmp_path, "found none")


def test_names_are_no_formulas_and_numbers_are_whole(tmp_path: Path) -> None:
    frame = read_portfolio_table(write_portfolio(tmp_path, with_row(feeder="=HYPERLINK(1)", binding_element="@sum")))
    text = format_portfolio_csv(frame)
    assert "'=HYPERLINK(1)" in text
    assert "'@sum" in text
    (tmp_path / "portfolio.csv").write_text(text, encoding="utf-8")
    read = pd.read_csv(tmp_path / "portfolio.csv")
    assert list(read.columns) == SCHEMA.names
    assert read["cut_kwh"].tolist() == frame["cut_kwh"].tolist()
    assert read["start"][0] == "2016-01-01T00:00:00Z"
