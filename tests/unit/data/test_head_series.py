"""The table of a feeder's head: what it holds, and what is refused by name."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError
from data.heads import HeadSeries, make_head_series, read_heads, select_intervals, write_heads

TIME = np.datetime64("2017-06-01T00:00:00") + np.arange(3) * np.timedelta64(3600, "s")


def make() -> HeadSeries:
    return make_head_series(TIME, np.array([0.98, 1.0123456789, 1.03]), np.array([math.inf, 12.3456789, 0.0]), "t")


def test_a_series_is_read_as_it_was_written(tmp_path: Path) -> None:
    series = make()
    write_heads(series, tmp_path / "h.parquet")
    read = read_heads(tmp_path / "h.parquet")
    assert read.digest() == series.digest()
    for name in ("time", "vm_pu", "max_loading_percent"):
        np.testing.assert_array_equal(getattr(read, name), getattr(series, name))


def test_numbers_are_those_that_a_table_of_text_holds(tmp_path: Path) -> None:
    series = make()
    rows = [
        f"{time}Z,{vm!r},{'' if math.isinf(most) else repr(most)}"
        for time, vm, most in zip(series.time, series.vm_pu.tolist(), series.max_loading_percent.tolist(), strict=True)
    ]
    path = tmp_path / "h.csv"
    path.write_text("\n".join(["time,vm_pu,max_loading_percent", *rows]))
    assert read_heads(path).digest() == series.digest()
    assert series.max_loading_percent[1] == 12.345678  # rounded down: a limit is never wider


def test_every_number_counts() -> None:
    series = make()
    digests = {series.digest()}
    for k in range(3):
        vm, most = series.vm_pu.copy(), series.max_loading_percent.copy()
        vm[k] += 1e-9
        most[k] = 50.0
        digests |= {make_head_series(TIME, vm, series.max_loading_percent, "t").digest()}
        digests |= {make_head_series(TIME, series.vm_pu, most, "t").digest()}
    assert len(digests) == 7


BAD = {
    "time,vm_pu\n2017-06-01T00:00Z,20.4": r"row 2: expected a voltage from 0\.5 to 1\.5 pu, got '20\.4'",
    "time,vm_pu\n2017-06-01T00:00Z,": "a voltage from 0.5 to 1.5 pu",
    "time,vm_pu\n2017-06-01T00:00Z,nan": "a voltage from 0.5 to 1.5 pu",
    "time,vm_pu,max_loading_percent\n2017-06-01T00:00Z,1.0,much": "a loading from 0 to 1000 %, or nothing, got 'much'",
    "time,vm_pu,max_loading_percent\n2017-06-01T00:00Z,1.0,-1": "a loading from 0 to 1000 %",
    "time,vm_pu\n2017-06-01T01:00Z,1.0\n2017-06-01T00:00Z,1.0": "times that rise",
    "time,vm_pu\n2017-06-01T01:00Z,1.0\n2017-06-01T01:00Z,1.0": "times that rise",
    "time,voltage\n2017-06-01T01:00Z,1.0": "column 'voltage': expected one of time, vm_pu, max_loading_percent",
    "time,max_loading_percent\n2017-06-01T01:00Z,1.0": "expected a column 'vm_pu'",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_series_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(DataError, match=BAD[text]):
        read_heads(tmp_path / "h.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a table time,vm_pu,max_loading_percent, found none"):
        read_heads(tmp_path / "h.csv")


def test_each_interval_needs_a_row() -> None:
    series = make()
    assert select_intervals(series, TIME[1:]).vm_pu.tolist() == series.vm_pu[1:].tolist()
    between = TIME + np.timedelta64(1800, "s")
    for asked in (TIME - np.timedelta64(3600, "s"), TIME + np.timedelta64(3600, "s"), between):
        with pytest.raises(
            DataError, match=r"t: expected a row for each interval, got none for 2017-0.* of 3 intervals"
        ):
            select_intervals(series, asked)
