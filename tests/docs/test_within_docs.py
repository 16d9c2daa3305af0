"""docs/how-to/market-inside-envelopes.md: its weeks are run, and its figures are those of the runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from doc_blocks import blocks, text_of
from typer.testing import CliRunner

from cosim import Result, Scenario, run
from cosim.cli.app import app

PAGE = "docs/how-to/market-inside-envelopes.md"
pytestmark = pytest.mark.slow  # four runs of a week
RUNS = ("week", "fair", "total")


def show(values: list[float], digits: int) -> str:
    return " | ".join("–" if value != value else f"{value:,.{digits}f}" for value in values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenarios of the page, and what its commands make of them."""
    made = tmp_path_factory.mktemp("within")
    week, within = (block.text for block in blocks(PAGE) if block.language == "toml")
    (made / "week.toml").write_text(week)
    for name, rule in (("fair", "max_min"), ("total", "max_total")):
        text = week.replace('name = "week"', f'name = "{name}"')
        (made / f"{name}.toml").write_text(text.replace("[market]\nfeed_in = true\n", within.replace("max_min", rule)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for words in next(block.commands for block in blocks(PAGE) if block.is_shell):
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (words, done.output)
    return made


def test_the_table_of_the_week_is_what_compare_says(folder: Path) -> None:
    table = pd.read_csv(folder / "runs/comparison/comparison.csv").set_index("quantity")
    for label, digits in (
        ("hours curtailed", 0),
        ("hours in which envelopes bound", 0),
        ("hours cut behind envelopes (too wide)", 0),
        ("hours in which cutting after the market carried more (too narrow)", 0),
        ("spilled, kWh", 1),
        ("exported by houses, kWh", 1),
        ("earned by feed-in, EUR", 2),
        ("lowest share delivered of what a house offered, %", 1),
        ("Jain's index of shares delivered of what was offered", 4),
    ):
        row: Any = table.loc[label.partition(", ")[0], list(RUNS)]
        assert f"| {label} | {show([float(value) for value in row], digits)} |" in text_of(PAGE), label
    balances = table[table["group"] == "money by house"]
    assert len(balances) == 25
    shares = table[(table["group"] == "energy by house") & (table["unit"] == "%")]
    assert shares["fair"].min() == pytest.approx(table.loc["lowest share delivered of what a house offered", "fair"])


def test_report_and_tables_say_the_same(folder: Path) -> None:
    result = Result.load(folder / "runs/fair")
    found, energy = result.summary["envelopes"], result.summary["energy_kwh"]
    assert found["spilled_kwh"] == pytest.approx(energy["spilled"])
    assert result.envelopes["spilled_wh"].sum() / 1000.0 == pytest.approx(found["spilled_kwh"])
    hours = result.table("envelope_intervals").to_pandas()
    assert (hours["kept"] == "bound").sum() == found["bound_hours"]
    page = (folder / "runs/fair/report.html").read_text(encoding="utf-8")
    assert "what the network carries in any combination, by the rule max_min" in page


def test_a_forecast_that_is_wrong_is_too_wide_and_too_narrow(folder: Path) -> None:
    scenario = Scenario.load(folder / "fair.toml").with_changes(market={"envelope_forecast": "day_before"})
    found = run(scenario).summary["envelopes"]
    said = f"too wide in {found['too_wide_hours']:.0f} h, too narrow in {found['too_narrow_hours']:.0f} h"
    assert said in text_of(PAGE), said
