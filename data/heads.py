"""What the head of a feeder is in each interval: its voltage, and the loading that its branches may have.

Numbers are whole multiples of 1e-9 pu and 1e-6 %, so that a table of text holds them as they are.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.files import read_table

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

LOWEST_PU, HIGHEST_PU = 0.5, 1.5
VM_STEP, LOADING_STEP = 1e-9, 1e-6
HIGHEST_LOADING_PERCENT = 1000.0
NO_LIMIT = -1
"""Stands for no limit in the digest."""


@dataclass(frozen=True, eq=False)
class HeadSeries:
    """The head of a feeder over T intervals.

    Attributes
    ----------
    time
        Begin of each interval, (T,) UTC.
    vm_pu
        Voltage of the head, (T,).
    max_loading_percent
        Largest loading of the branches at the head, (T,) %; infinite where there is no limit beside their own.
    source
        What it was read from.
    """

    time: Times
    vm_pu: Floats
    max_loading_percent: Floats
    source: str

    def digest(self) -> bytes:
        """SHA-256 over little-endian int64: voltages in 1e-9 pu, then loadings in 1e-6 %, -1 where none is set."""
        limited = np.isfinite(self.max_loading_percent)
        loading = np.where(limited, self.max_loading_percent, 0.0) / LOADING_STEP
        columns = np.rint(self.vm_pu / VM_STEP), np.where(limited, np.rint(loading), NO_LIMIT)
        return hashlib.sha256(b"".join(column.astype("<i8").tobytes() for column in columns)).digest()


def make_head_series(time: Times, vm_pu: Floats, max_loading_percent: Floats, source: str) -> HeadSeries:
    """Series of numbers that are rounded to what a table holds; loadings down, voltages to the nearest."""
    steps = np.floor(max_loading_percent / LOADING_STEP + 1e-6)
    vm = np.rint(vm_pu / VM_STEP) / round(1.0 / VM_STEP)
    return HeadSeries(time.astype("datetime64[s]"), vm, steps / round(1.0 / LOADING_STEP), source)


def read_heads(path: Path) -> HeadSeries:
    """Series of a CSV or Parquet file with the columns time, vm_pu and, if any, max_loading_percent.

    Times without an offset are UTC. An empty cell of max_loading_percent is no limit.

    Raises
    ------
    DataError
        If the table cannot be read, its times do not rise, or a number is out of range.
    """
    table = read_table(path, what="a table time,vm_pu,max_loading_percent")
    table.check_columns(("time", "vm_pu"), ("max_loading_percent",))
    blank = table.frame["max_loading_percent"].isna().to_numpy() if "max_loading_percent" in table.frame else None
    table = table.with_numbers(("vm_pu", "max_loading_percent"))
    column = table.column("time")
    time = column.read_times("UTC")[0].astype("datetime64[s]")
    late = np.concatenate([[False], np.diff(time) <= np.timedelta64(0, "s")])
    column.check(late, "times that rise from row to row", "sort the rows and remove duplicates")
    vm_pu = table.column("vm_pu").to_float()
    wrong = ~((vm_pu >= LOWEST_PU) & (vm_pu <= HIGHEST_PU))
    table.column("vm_pu").check(wrong, f"a voltage from {LOWEST_PU} to {HIGHEST_PU} pu", "correct the row")
    loading = np.full(vm_pu.size, math.inf)
    if blank is not None:
        given = table.column("max_loading_percent").to_float()
        wrong = ~(blank | ((given >= 0.0) & (given <= HIGHEST_LOADING_PERCENT)))
        expected = f"a loading from 0 to {HIGHEST_LOADING_PERCENT:g} %, or nothing"
        table.column("max_loading_percent").check(wrong, expected, "correct the row")
        loading = np.where(blank, math.inf, given)
    return make_head_series(time, vm_pu, loading, table.source)


def write_heads(heads: HeadSeries, path: Path) -> None:
    """Write a series as a Parquet file that `read_heads` reads."""
    limited = np.isfinite(heads.max_loading_percent)
    columns = {
        "time": pd.DatetimeIndex(heads.time).tz_localize("UTC"),
        "vm_pu": heads.vm_pu,
        "max_loading_percent": np.where(limited, heads.max_loading_percent, np.nan),
    }
    pd.DataFrame(columns).to_parquet(path, index=False)


def select_intervals(heads: HeadSeries, time: Times) -> HeadSeries:
    """The rows of these intervals, (T,) UTC.

    Raises
    ------
    DataError
        If one of them has no row.
    """
    asked = time.astype("datetime64[s]")
    row = np.minimum(np.searchsorted(heads.time, asked), heads.time.size - 1)
    missing = np.flatnonzero(heads.time[row] != asked)
    if missing.size:
        raise DataError(
            f"{heads.source}: expected a row for each interval, got none for {asked[missing[0]]} UTC "
            f"({missing.size:,} of {asked.size:,} intervals lack one); add the rows, or move the horizon"
        )
    return HeadSeries(asked, heads.vm_pu[row], heads.max_loading_percent[row], heads.source)
