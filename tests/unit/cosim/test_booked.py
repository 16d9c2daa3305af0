"""Exchanges summed over time: nothing is lost, however the run was cut into parts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cosim import Result, Scenario, run
from cosim.booked import PARTIES, SUMMED, booked


@pytest.fixture(scope="module")
def result() -> Result:
    return run(Scenario().with_changes(horizon={"hours": 48, "start": "2017-06-20T00:00:00Z"}))


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in table.to_pylist())


def test_sums_are_those_of_every_exchange(result: Result) -> None:
    expected = result.exchanges.astype(dict.fromkeys(PARTIES, str))
    sums = expected.groupby(list(PARTIES))[list(SUMMED)].sum().reset_index()
    found = booked([result.table("exchanges")])
    assert _rows(found) == sorted(map(tuple, sums.to_numpy().tolist()))
    assert {"p2p", "grid_import", "loss"} <= set(sums["kind"])


@pytest.mark.parametrize("n", [1, 7, 500])
def test_parts_add_up_to_the_whole(result: Result, n: int) -> None:
    exchanges = result.table("exchanges")
    parts = [exchanges.slice(first, n) for first in range(0, len(exchanges), n)]
    assert _rows(booked(parts)) == _rows(booked([exchanges]))
