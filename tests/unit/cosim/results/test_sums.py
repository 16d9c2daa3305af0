"""A run summed over time: nothing is lost, however it was cut into parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import cosim.simulation.simulate
from cosim import Result, Scenario, run
from cosim.results.summary import find_extremes
from cosim.results.sums import METERS, PARTIES, SUMMED, Parts, sum_exchanges, sum_meters
from cosim.scenario.files import load_scenario


@pytest.fixture(scope="module")
def result() -> Result:
    return run(Scenario().with_changes(horizon={"hours": 48, "start": "2017-06-20T00:00:00Z"}))


def _cut(table: pa.Table, n: int) -> Parts:
    """Reads a table `n` rows at a time."""
    return lambda name, columns: (table.slice(first, n).select(columns) for first in range(0, len(table), n))


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in table.to_pylist())


def test_sums_are_those_of_every_exchange(result: Result) -> None:
    expected = result.exchanges.astype(dict.fromkeys(PARTIES, str))
    sums = expected.groupby(list(PARTIES))[list(SUMMED)].sum().reset_index()
    found = sum_exchanges(result.parts)
    assert _rows(found) == sorted(map(tuple, sums.to_numpy().tolist()))
    assert {"p2p", "grid_import", "loss"} <= set(sums["kind"])


@pytest.mark.parametrize("n", [1, 7, 500])
def test_parts_add_up_to_the_whole(result: Result, n: int) -> None:
    parts = _cut(result.table("exchanges"), n)
    assert _rows(sum_exchanges(parts)) == _rows(sum_exchanges(result.parts))


def test_meters_are_summed_by_house_and_rows_of_moments_are_kept(result: Result) -> None:
    houses, n = result.table("houses"), len(set(result.houses["house"]))
    moments = houses["time"].unique().take(pa.array([3, 20]))
    sums, rows = sum_meters(_cut(houses, 5 * n), n, moments)
    expected = result.houses.astype(dict.fromkeys(METERS, np.int64)).groupby("house", observed=True, sort=False)
    for name in METERS:
        assert sums[name].to_pylist() == expected[name].sum().tolist(), name
    expected_rows = pa.concat_tables([houses.slice(3 * n, n), houses.slice(20 * n, n)])
    assert rows.to_pylist() == expected_rows.select(rows.column_names).to_pylist()
    assert rows.column_names == ["time", *METERS, "q_var"]


def test_of_equal_extremes_the_first_counts_and_darkness_has_none() -> None:
    vm = [np.nan, 0.98, 1.02, 0.98, 1.02, np.nan, np.nan]
    at = pa.array(range(7), pa.timestamp("ms", tz="UTC"))
    buses = pa.table({"time": at, "bus": list("abcdefg"), "vm_pu": pa.array(vm, from_pandas=True)})
    branches = pa.table({"time": at, "element": list("abcdefg"), "loading_percent": [np.nan] * 7})
    tables = {"bus_voltage": buses, "branch_loading": branches}
    for n in (1, 2, 7):
        found = find_extremes(
            lambda name, columns, n=n: (tables[name].select(columns).slice(k, n) for k in range(0, 7, n))
        )
        assert {name: spot["bus"] for name, spot in found.items()} == {
            "lowest_voltage": "b",
            "highest_voltage": "c",
        }


@pytest.mark.slow
def test_a_run_in_many_parts_is_summed_up_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosim.simulation.simulate, "GROUP", 5)
    outage = {"kind": "outage", "start": "2017-07-02T03:00:00Z", "hours": 6, "grid": True}
    scenario = load_scenario("stressed").with_changes(
        horizon={"hours": 72, "start": "2017-07-01T00:00:00Z"}, limits={"max_vm_pu": 1.01}, events=[outage]
    )
    kept, written = run(scenario), run(scenario, tmp_path / "run")
    assert {**written.summary, "ledger": None} == {**kept.summary, "ledger": None}
    assert kept.summary["energy_kwh"]["curtailed"] > 0
    assert kept.summary["energy_kwh"]["shed"] > 0
    for table in kept.tables:
        assert written.table(table).equals(kept.table(table)), table
    cut = kept.exchanges[kept.exchanges["status"] != "accepted"]
    assert kept.table("curtailment")["curtailed_wh"].to_pylist() == (cut.cleared_wh - cut.delivered_wh).tolist()
