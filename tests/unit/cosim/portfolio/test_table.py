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
        ({"interval_minutes": -60}, "expected a interval_minutes from 1"),
    ],
)
def test_rows_that_no_portfolio_has_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    refused(write_portfolio(tmp_path, with_row(**changes)), message)


def test_tables_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path, "found none; run it first")
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
