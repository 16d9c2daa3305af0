"""Rows that are durable one by one: what a kill or a bad disk does to a line makes it absent, never another row."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portfolio_rows import make_portfolio_rows

from cosim.errors import ScenarioError
from cosim.portfolio.records import (
    LONGEST_LINE,
    RECORDS,
    Record,
    append_record,
    format_record,
    open_records,
    parse_record,
    read_records,
)
from cosim.portfolio.row import make_failed_row

TIMES = dict.fromkeys(("start", "highest_loading_time"), "2016-01-01T00:00:00+00:00")
ROW = {**make_portfolio_rows(1)[0], **TIMES, "feeder": "a", "cut_kwh": 0.1 + 0.2}
TIMING = {"feeder": "a", "seconds": 1.5, "cpu_seconds": 1, "worker": "w:1", "peak_mib": None}
ONE = Record("d" * 64, ROW, TIMING)
TWO = Record("e" * 64, make_failed_row("Süd 12", "why"), {})


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    with open_records(tmp_path, {"a": ONE}) as file:
        append_record(file, TWO)
    assert read_records(tmp_path) == {"a": ONE, "Süd 12": TWO}


def test_the_last_record_of_a_feeder_counts(tmp_path: Path) -> None:
    again = ONE._replace(digest="f" * 64)
    with open_records(tmp_path, {"a": ONE}) as file:
        append_record(file, again)
    assert read_records(tmp_path) == {"a": again}


@given(st.integers(0, len(format_record(ONE)) - 1), st.integers(0, 255))
def test_a_line_that_is_changed_anywhere_is_no_record(at: int, byte: int) -> None:
    line = bytearray(format_record(ONE))
    line[at] = byte
    assert parse_record(bytes(line)) == (ONE if bytes(line) == format_record(ONE) else None)


@given(st.integers(0, len(format_record(ONE)) - 1))
def test_a_line_that_is_cut_off_is_no_record(at: int) -> None:
    assert parse_record(format_record(ONE)[:at]) is None


def test_what_a_kill_cut_off_is_gone_once_rows_are_appended_again(tmp_path: Path) -> None:
    whole = format_record(ONE)
    (tmp_path / RECORDS).write_bytes(whole + format_record(TWO)[:50])
    kept = read_records(tmp_path)
    assert kept == {"a": ONE}
    with open_records(tmp_path, kept) as file:
        append_record(file, TWO)
    assert (tmp_path / RECORDS).read_bytes() == whole + format_record(TWO)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        ["d" * 64, [], {}],
        [None, ROW, TIMING],
        ["d" * 64, ROW | {"head": "zz"}, TIMING],
        ["d" * 64, ROW | {"cut_kwh": float("nan")}, TIMING],
        ["d" * 64, ROW, {"feeder": "a"}],
        ["d" * 64, ROW, []],
        ["d" * 64, ROW, TIMING | {"seconds": "1"}],
        ["d" * 64, ROW, TIMING | {"seconds": float("inf")}],
    ],
)
def test_a_line_of_somebody_else_is_no_record(content: Any) -> None:
    text = json.dumps(content).encode()
    assert parse_record(hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n") is None


def test_a_line_that_nests_deeply_or_is_long_is_no_record(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    deep = hashlib.sha256(deep).hexdigest().encode() + b" " + deep + b"\n"
    long = format_record(TWO._replace(row=make_failed_row("b", "x" * LONGEST_LINE)))
    (tmp_path / RECORDS).write_bytes(deep + long + format_record(ONE))
    assert read_records(tmp_path) == {"a": ONE}


def test_a_link_in_place_of_the_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(format_record(ONE))
    (tmp_path / RECORDS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ScenarioError, match="expected the rows that a portfolio has finished, got another thing"):
        read_records(tmp_path)
