"""What is no row of a portfolio is known for it; every row that a portfolio makes is one."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from portfolio_rows import make_portfolio_rows

from cosim.portfolio.row import SCHEMA, make_failed_row, make_rows_table
from cosim.portfolio.row_check import find_row_fault

RUN = make_portfolio_rows(1)[0]
FAILED = make_failed_row("a", "why")
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.text(max_size=3),
    st.lists(st.none()),
)


def test_rows_that_are_made_are_rows() -> None:
    assert {find_row_fault(row) for row in make_portfolio_rows(97)} == {""}
    assert find_row_fault(FAILED) == ""
    read = json.loads(json.dumps(RUN, default=str))
    assert find_row_fault(read) == ""


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (None, "no row"),
        ([], "no row"),
        ({}, "other columns"),
        (RUN | {"more": 1}, "other columns"),
        (RUN | {"feeder": None}, "no name"),
        (RUN | {"feeder": 5}, "another kind of value in 'feeder'"),
        (RUN | {"notes": "\ud800"}, "another kind of value in 'notes'"),
        (RUN | {"status": "perhaps"}, "another status"),
        (RUN | {"status": None}, "another status"),
        (RUN | {"head": None}, "nothing in 'head'"),
        (RUN | {"head": "zz"}, "no hash in 'head'"),
        (RUN | {"head": "A" * 64}, "no hash in 'head'"),
        (RUN | {"root": "a" * 63}, "no hash in 'root'"),
        (RUN | {"height": -1}, "less than 0 in 'height'"),
        (RUN | {"height": 2**63}, "another kind of value in 'height'"),
        (RUN | {"height": 1.0}, "another kind of value in 'height'"),
        (RUN | {"houses": True}, "another kind of value in 'houses'"),
        (RUN | {"intervals": 0}, "less than 1 in 'intervals'"),
        (RUN | {"curtailed_hours": -0.5}, "less than 0 in 'curtailed_hours'"),
        (RUN | {"cut_kwh": float("nan")}, "another kind of value in 'cut_kwh'"),
        (RUN | {"x": float("inf")}, "another kind of value in 'x'"),
        (RUN | {"x": 10**400}, "another kind of value in 'x'"),
        (RUN | {"x": 2**53 + 1}, "another kind of value in 'x'"),
        (RUN | {"start": "2017-01-01"}, "another kind of value in 'start'"),
        (RUN | {"start": "soon"}, "another kind of value in 'start'"),
        (RUN | {"start": 5}, "another kind of value in 'start'"),
        (FAILED | {"message": None}, "nothing in 'message' of a feeder that failed"),
        (FAILED | {"head": "0" * 64}, "a value in 'head' of a feeder that failed"),
    ],
)
def test_what_is_no_row_is_said(row: Any, fault: str) -> None:
    assert find_row_fault(row).startswith(fault)


@example("curtailed_hours", 2**53)
@example("curtailed_hours", 2**53 + 1)
@example("height", 2**63 - 1)
@settings(max_examples=30)
@given(st.sampled_from(SCHEMA.names), VALUES)
def test_a_row_without_fault_is_a_row_of_the_table(name: str, value: Any) -> None:
    row = RUN | {name: value}
    if not find_row_fault(row):
        assert make_rows_table([row]).num_rows == 1
