"""The statement on EN 50160 of a run: its table, its section of the summary, its words on screen and in the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cosim import Result, Scenario, run
from cosim.cli.terminal import show_summary
from cosim.report.sections.findings import make_assumptions_section
from cosim.report.sections.statement import make_statement_sections, make_worst_table
from cosim.report.tables.run_tables import read_run
from cosim.results.en50160 import Block, tally_weeks
from cosim.results.statement_words import describe_statement, show_share
from cosim.results.voltage_statement import (
    Statement,
    make_statement_table,
    read_blocks,
    summarise_statement,
)

COARSE = "cannot be shown at this resolution"
SMALL: dict[str, Any] = {
    "houses": {"n_houses": 5, "n_prosumers": 4, "mean_load_w": 2000.0},
    "network": {"n_branches": 1},
    "community": {"enabled": False},
}
HOURS = SMALL | {"horizon": {"hours": 8, "start": "2017-06-10T08:00:00Z"}}
OUTAGE = [{"kind": "outage", "start": "2017-06-10T10:00:00Z", "hours": 3, "grid": True}]


@pytest.fixture(scope="module")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Eight hours, three of them without the grid."""
    return run(Scenario().with_changes(**HOURS, events=OUTAGE), tmp_path_factory.mktemp("hourly") / "run")


def find_apart(result: Result) -> pd.DatetimeIndex:
    """Intervals in which the whole feeder was without the grid."""
    rows = result.table("outage_intervals").to_pandas()
    return pd.DatetimeIndex(rows.loc[rows["supply"] != "grid", "time"].unique())


def make_found(minutes: int, *blocks: Block, conductors: tuple[str, ...] = ("",)) -> Statement:
    start = np.datetime64("2017-01-02T00:00:00")
    weeks = tuple(tally_weeks(blocks, start, minutes))
    begin = tuple(pd.Timestamp(start, tz="UTC") + pd.Timedelta(days=7 * k) for k in range(len(weeks)))
    return Statement(minutes, minutes, ("near", "far"), conductors, begin, weeks)


def make_weeks(n: int, phases: int, **odd: tuple[int, float]) -> Block:
    """Two nodes at 1 pu; `odd` names a node, and how many of its means, in the last phase, have which voltage."""
    vm = np.ones((n, 2, phases))
    for name, (count, value) in odd.items():
        vm[:count, ("near", "far").index(name), -1] = value
    vuf = np.full((n, 2 if phases == 3 else 0), 0.5)
    return Block(vm, vuf, np.zeros((n, 2), dtype=bool))


def test_hourly_runs_say_that_it_cannot_be_shown_and_give_figures(hourly: Result) -> None:
    table = hourly.table("en50160").to_pandas()
    assert set(table["voltage"]) == {COARSE}
    assert table["means"].eq(8).all()
    assert table["begin"].eq(pd.Timestamp("2017-06-10T08:00Z")).all()
    apart = find_apart(hourly)
    assert len(apart) == 4  # the outage, and the hour in which the island waits to be joined
    settled = hourly.bus_voltage.loc[~hourly.bus_voltage.index.isin(apart)].dropna()
    found = table.set_index("bus")
    for bus, vm in settled.groupby("bus", observed=True):
        if bus in found.index:
            phases = vm.filter(like="vm_")
            assert found.loc[bus, "lowest_vm_pu"] == phases.min(axis=None)
            assert found.loc[bus, "highest_vm_pu"] == phases.max(axis=None)
            assert found.loc[bus, "valid"] == len(vm)
    assert hourly.summary["en50160"]["voltage"]["word"] == COARSE


def test_means_without_the_grid_are_counted_apart(hourly: Result) -> None:
    table = hourly.table("en50160").to_pandas()
    assert (table["off"] + table["islanded"]).eq(len(find_apart(hourly))).all()
    assert (table["valid"] + table["off"] + table["islanded"]).eq(table["means"]).all()
    voltage = hourly.bus_voltage.reset_index()
    dark = voltage[voltage.filter(like="vm_").isna().any(axis=1)].groupby("bus", observed=True).size()
    off = table.set_index("bus")["off"]
    assert off.to_dict() == {bus: int(dark.get(bus, 0)) for bus in off.index}


@pytest.mark.parametrize(
    ("rows", "word", "said"),
    [
        (10, "cannot be shown by an incomplete week", "at "),
        (15, COARSE, "(profiles of 15 minutes, the standard judges means of 10)"),
        (60, COARSE, "(profiles of 60 minutes, the standard judges means of 10)"),
    ],
)
def test_profiles_that_were_spread_have_no_means_of_ten_minutes(rows: int, word: str, said: str) -> None:
    times = pd.date_range("2017-01-02T00:00Z", periods=120 // rows, freq=f"{rows}min")
    frame = pd.DataFrame({"time": times, "a.load_kw": 1.0, "b.load_kw": 2.0})
    asked = {"horizon": {"start": "2017-01-02T00:00:00Z", "hours": 1, "interval_minutes": 10}}
    plain = {"network": {"n_branches": 1}, "community": {"enabled": False}}
    table = {"profiles": {"source": "table", "price_eur_per_kwh": 0.1}}
    told = run(Scenario.model_validate(asked | plain | table), profiles=frame).summary["en50160"]
    assert told["voltage"]["word"] == word
    assert f"EN 50160, voltage (4.2.2): {word} {said}" in describe_statement(told)[0]


def test_only_nodes_of_low_voltage_are_judged(hourly: Result) -> None:
    low = hourly.net.bus.query("vn_kv <= 1.0")
    assert 0 < len(low) < len(hourly.net.bus)
    assert len(hourly.table("en50160")) == len(low) == hourly.summary["en50160"]["nodes"]


def test_screen_and_report_say_it(hourly: Result, capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(hourly)
    screen = capsys.readouterr().out
    lines = describe_statement(hourly.summary["en50160"])
    assert lines[0].startswith(f"EN 50160, voltage (4.2.2): {COARSE} (means of 60 minutes, ")
    assert all(line in screen for line in lines)
    (section,) = make_statement_sections(read_run(hourly))
    assert section.text[: len(lines)] == tuple(lines)
    assert len(section.tables[0].rows) == min(10, len(hourly.table("en50160")))


def test_a_run_in_memory_says_the_same(hourly: Result) -> None:
    here = run(Scenario().with_changes(**HOURS, events=OUTAGE))
    assert here.summary["en50160"] == hourly.summary["en50160"]
    assert here.table("en50160").equals(hourly.table("en50160"))


def test_a_run_of_an_earlier_version_has_no_section(hourly: Result) -> None:
    tables = read_run(hourly)
    earlier = {name: part for name, part in hourly.summary.items() if name != "en50160"}
    assert make_statement_sections(_with_result(tables, Result(hourly.scenario, earlier, hourly.directory, {}))) == []


def _with_result(tables: Any, result: Result) -> Any:
    return type(tables)(**{**vars(tables), "result": result})


@pytest.mark.parametrize(("count", "word"), [(50, "kept"), (51, "not kept")])
def test_words_of_a_run_by_ten_minutes(count: int, word: str) -> None:
    found = make_found(10, make_weeks(1008 + 144, 3, far=(count, 0.89)), conductors=("a", "b", "c"))
    table = make_statement_table(found)
    told = summarise_statement(found, table)["en50160"]
    assert told["voltage"]["word"] == word
    assert told["voltage"]["nodes"] == ({"kept": 2} if word == "kept" else {"not kept": 1, "kept": 1})
    assert told["unbalance"]["word"] == "kept"
    share = 100 * (1008 - count) / 1008
    lowest = {"percent": share, "bus": "far", "phase": "c", "week_of": "2017-01-02T00:00:00+00:00"}
    assert told["voltage"]["lowest_share"] == lowest
    assert told["complete_weeks"] == 1
    assert told["incomplete_weeks"] == [{"begin": "2017-01-09T00:00:00+00:00", "means": 144, "of": 1008}]
    lines = describe_statement(told)
    assert f"{word} at {1 if count > 50 else 2} of 2 nodes" in lines[0]
    assert f"{show_share(share)} % (far, phase c, week of 2017-01-02)" in lines[0]
    assert lines[-1] == "EN 50160, incomplete week of 2017-01-09: 144 of 1,008 means"


def test_an_incomplete_week_is_named_where_it_alone_has_means_outside() -> None:
    blocks = make_weeks(1008, 1), make_weeks(144, 1, far=(5, 0.89))
    found = make_found(10, *blocks)
    told = summarise_statement(found, make_statement_table(found))["en50160"]
    assert told["voltage"]["word"] == "kept"
    assert "96.52 % (far, week of 2017-01-09)" in describe_statement(told)[0]


def test_balanced_phases_cannot_show_unbalance() -> None:
    found = make_found(10, make_weeks(1008, 1))
    told = summarise_statement(found, make_statement_table(found))["en50160"]
    assert told["unbalance"]["word"] == "cannot be shown by balanced phases"
    assert told["voltage"]["word"] == "kept"
    assert "kept at 2 of 2 nodes in 1 complete week, phases taken as alike" in describe_statement(told)[0]
    assert describe_statement(told)[1:] == ["EN 50160, unbalance (4.2.4): cannot be shown by balanced phases"]


def test_a_run_shorter_than_a_mean_has_an_empty_table_of_the_same_columns() -> None:
    none, some = (make_statement_table(make_found(1, make_weeks(n, 1))) for n in (9, 10))
    assert (len(none), len(some)) == (0, 2)
    assert none.schema.equals(some.schema)
    told = summarise_statement(make_found(1, make_weeks(9, 1)), none)["en50160"]
    assert told["voltage"]["word"] == "cannot be shown by an incomplete week"
    assert len(describe_statement(told)) == 2


def test_a_net_without_low_voltage_makes_no_statement() -> None:
    found = Statement(60, 60, (), ("",), (), ())
    assert summarise_statement(found, make_statement_table(found)) == {}


def test_rows_closest_to_a_bound_come_first() -> None:
    found = make_found(10, make_weeks(1008, 3, near=(60, 0.89), far=(1, 0.8)), conductors=("a", "b", "c"))
    table = make_worst_table(make_statement_table(found).to_pandas())
    assert [row[0].text for row in table.rows] == ["far", "near"]
    assert [cell.text for cell in table.rows[1][2:6]] == ["not kept", "kept", "c", "94.04"]


def read_from(table: pa.Table, at: Sequence[int]) -> Callable[[str, Sequence[str]], Iterator[pa.Table]]:
    bounds = [0, *at, len(table)]
    return lambda name, columns: (table.select(columns).slice(a, b - a) for a, b in pairwise(bounds))


@pytest.mark.parametrize("at", [[], [2], [2, 6]])
def test_voltages_are_read_of_the_chosen_buses_whatever_the_parts(at: list[int]) -> None:
    table = pa.table(
        {
            "vm_a_pu": [1.0, 0.9, 0.8, None],
            "vm_b_pu": [2.0] * 4,
            "vm_c_pu": [3.0] * 4,
            "vuf_percent": [5.0, 6.0, 7.0, None],
        }
    )
    islanded = np.array([[False, True], [True, False]])
    chosen = np.array([False, True])
    blocks = list(read_blocks(read_from(table, [k for k in at if k < 4]), chosen, ("a", "b", "c"), islanded))
    whole = Block._make(map(np.concatenate, zip(*blocks, strict=True)))
    np.testing.assert_array_equal(whole.vm_pu, [[[0.9, 2.0, 3.0]], [[np.nan, 2.0, 3.0]]])
    np.testing.assert_array_equal(whole.vuf_percent, [[6.0], [np.nan]])
    assert whole.islanded.tolist() == [[True], [False]]


@pytest.mark.parametrize(("minutes", "said"), [(60, "does not demonstrate"), (30, "does not demonstrate")])
def test_assumptions_follow_the_resolution(minutes: int, said: str, tmp_path: Path) -> None:
    result = run(Scenario().with_changes(**SMALL, horizon={"hours": 1, "interval_minutes": minutes}))
    assert said in make_assumptions_section(read_run(result)).text[0]
