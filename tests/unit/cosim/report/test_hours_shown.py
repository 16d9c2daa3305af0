"""Hours are shown as exactly as the intervals are long: a half or a quarter of an hour is not rounded away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cosim import Result, Scenario, run
from cosim.cli.report import show_comparison
from cosim.report.comparison import compare_lengths, compare_runs, make_comparison_page
from cosim.report.elements import Cell, Column, PageSection, count_decimals, show_hours, tabulate
from cosim.report.sections.findings import make_verdict_section
from cosim.report.sections.network import make_network_sections, make_validation_section
from cosim.report.sections.outage import make_outage_sections
from cosim.report.tables.branches import summarise_branches
from cosim.report.tables.run_tables import RunTables, read_run
from cosim.results.labels import REVERSE_HOURS

HOURS = re.compile(r"\bhours\b|, h$")
MEANS = ("SAIDI",)  # over houses, not counts of intervals
QUARTERS = Scenario().with_changes(
    horizon={"hours": 7, "start": "2017-06-10T08:00:00Z", "interval_minutes": 15},
    houses={"n_houses": 5, "n_prosumers": 4, "mean_load_w": 4000.0, "production_ratio": 3.0},
    market={"feed_in": True},
    network={"n_branches": 1},
    limits={"min_vm_pu": 0.985, "max_vm_pu": 1.015},
    community={"enabled": True, "critical_share": 0.5, "battery_kwh": 0.5, "fuel_cell": "none"},
    events=[{"kind": "outage", "start": "2017-06-10T13:00:00Z", "hours": 1.25, "grid": True}],
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quarters")
    run(QUARTERS, folder / "a")
    run(QUARTERS.with_changes(limits={"max_vm_pu": 1.01}), folder / "b")
    return folder


@pytest.fixture(scope="module")
def tables(directory: Path) -> RunTables:
    return read_run(Result.load(directory / "a"))


def list_sections(tables: RunTables) -> list[PageSection]:
    branches = summarise_branches(tables)
    return [
        make_verdict_section(tables),
        *make_network_sections(tables, branches),
        make_validation_section(tables),
        *make_outage_sections(tables),
    ]


def list_hours(sections: list[PageSection]) -> Iterator[Cell]:
    for section in sections:
        yield from (fact.cell for fact in section.facts if fact.unit == "h")
        for table in section.tables:
            for row in table.rows:
                of_unit = len(row) > 1 and row[1].text == "h" and not any(mean in row[0].text for mean in MEANS)
                named = (bool(HOURS.search(header)) for header in table.header)
                yield from (cell for cell, name in zip(row, named, strict=True) if name or of_unit)


@pytest.mark.slow
def test_no_cell_of_hours_is_rounded(tables: RunTables) -> None:
    known = [cell for cell in list_hours(list_sections(tables)) if cell.value is not None]
    assert any(cell.value % 1 for cell in known if cell.value is not None)
    wrong = [cell for cell in known if float(cell.text.replace(",", "")) != cell.value]
    assert not wrong


def test_the_sentence_on_exports_names_its_hours(tables: RunTables) -> None:
    text = next(section for section in list_sections(tables) if section.key == "grid").text[0]
    exported, solved = re.findall(r"in ([\d.]+) of ([\d.]+) hours", text)[0]
    assert float(exported) == 0.25 * (tables.result.intervals["p_grid_kw"] < 0).sum()
    assert float(solved) == 0.25 * (~tables.off).sum()


def test_a_comparison_shows_hours_exactly(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = compare_runs([directory / "a", directory / "b"])
    row = table.xs("h", level="unit").xs(REVERSE_HOURS, level="quantity").iloc[0]
    assert row.iloc[0] % 1
    page = make_comparison_page(table)
    show_comparison(table)
    shown = f"{row.iloc[0]:.2f}".rstrip("0")
    for place in (page, capsys.readouterr().out):
        assert shown in place
    halves = table.iloc[:, :2].copy()
    halves.loc[("network", "length of the run", "h")] = [7.5, 7.0]
    assert "7.5 h" in compare_lengths(halves)[0]


def test_decimals_follow_the_values() -> None:
    assert [count_decimals(values) for values in ([1.0, 16.0], [15.5, 2.0], [0.25], [1 / 3], [float("nan")])] == [
        *(0, 1, 2, 2, 0),
    ]
    assert show_hours(15.5) == "15.5"
    assert show_hours(1234.0) == "1,234"


def test_a_column_of_hours_has_the_same_decimals_in_every_row() -> None:
    table = tabulate("t", "", [Column("h", "hours", 0, exact=True)], pd.DataFrame({"h": [1.0, 2.5]}))
    assert [row[0].text for row in table.rows] == ["1.0", "2.5"]
