"""Rows that are durable one by one: what a kill or a bad disk does to a line makes it absent, never another row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import ScenarioError
from cosim.portfolio.records import (
    RECORDS,
    Record,
    append_record,
    format_record,
    open_records,
    parse_record,
    read_records,
)

ONE = Record("d" * 64, {"feeder": "a", "cut_kwh": 0.1 + 0.2, "start": "2017-01-01T00:00:00+00:00"}, {"seconds": 1.5})
TWO = Record("e" * 64, {"feeder": "Süd 12", "cut_kwh": None}, {})


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


def test_a_link_in_place_of_the_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(format_record(ONE))
    (tmp_path / RECORDS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ScenarioError, match="expected the rows that a portfolio has finished, got another thing"):
        read_records(tmp_path)
