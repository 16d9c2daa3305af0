from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.results.csv_text import format_csv, mark_text, unmark_text
from cosim.results.directory import AS_CSV, read_table, write_table

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''-x")


@given(st.text())
def test_a_marked_cell_is_no_formula_and_is_read_back(text: str) -> None:
    marked = mark_text(text)
    assert not marked.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unmark_text(marked) == text


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_no_cell_of_a_table_for_people_is_a_formula(kind: str) -> None:
    frame = pd.DataFrame({"house": pd.Series(FORMULAS, dtype=kind), "kw": -1.5, "=note": None})
    for text in (format_csv(frame), format_csv(frame.set_index("house"), index=True)):
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        assert header == ["house", "kw", "'=note"]
        assert [unmark_text(row[0]) for row in rows] == list(FORMULAS)
        assert all(row[0].startswith("'") and row[1] == "-1.5" for row in rows)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_table_of_a_run_is_read_as_it_was(encoded: bool, tmp_path: Path) -> None:
    assert "violations" in AS_CSV
    words = pa.array([*FORMULAS, "plain", None])
    table = pa.table({"name": words.dictionary_encode() if encoded else words, "value": [-1.5] * len(words)})
    write_table(tmp_path, "violations", table)
    with (tmp_path / "violations.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:-2] == [mark_text(word) for word in FORMULAS]
    read = read_table(tmp_path, "violations")
    assert read["name"].to_pylist()[:-1] == words.to_pylist()[:-1]
    assert read["value"].to_pylist() == [-1.5] * len(words)
