"""docs/how-to/cars-and-heat-pumps.md: its week is run, its figures are those of the runs, and it names every column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from doc_blocks import blocks, text_of
from typer.testing import CliRunner

from cosim import Result, Scenario, run
from cosim.cli.app import app
from cosim.delivery.flexible import DIMMED_KW
from cosim.scenario.houses_of_today import EvSection

PAGE = "docs/how-to/cars-and-heat-pumps.md"
pytestmark = pytest.mark.slow  # six runs of a week


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    file = tmp_path_factory.mktemp("cars") / "cars.toml"
    file.write_text(next(block.text for block in blocks(PAGE) if block.language == "toml"))
    return Scenario.load(file)


def test_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cars.toml").write_text(next(block.text for block in blocks(PAGE) if block.language == "toml"))
    for words in next(block.commands for block in blocks(PAGE) if block.is_shell):
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (words, done.output)
    result = Result.load("cars")
    cars, hours = result.summary["cars"], result.summary["network"]["outcomes"]
    said = (
        f"Of {cars['charged_kwh']:.1f} kWh that the cars were charged with, {cars['shifted_kwh']:.1f} kWh were put off "
        f"for an hour or more in {hours['curtailed']} of {sum(hours.values())} hours"
    )
    assert said in text_of(PAGE)
    assert round(result.summary["energy_kwh"]["curtailed"], 1) == 0
    assert cars["sessions_not_served"] == result.summary["energy_kwh"]["shed"] == 0
    for table in (result.ev, result.heat_pumps):
        assert len(table) in (12 * 168, 8 * 168)
        assert [name for name in table.columns if name != "house" and f"`{name}`" not in text_of(PAGE)] == []
    page = Path("cars/report.html").read_text(encoding="utf-8")
    assert "Cars and heat pumps" in page
    assert f"of {cars['sessions']} stays 0 ended with less than wanted" in page


@pytest.mark.parametrize("strategy", ["uncontrolled", "at_departure", "surplus", "price"])
def test_the_table_of_strategies_is_what_comes_out(strategy: str, week: Scenario) -> None:
    result = run(week.with_changes(ev={"strategy": strategy}, heat_pump={"strategy": strategy}))
    cars, paid = result.summary["cars"], result.summary["money_eur"]["paid_to_grid"]
    assert (
        f"| `{strategy}` | {cars['charged_kwh']:.1f} | {cars['shifted_kwh']:.1f} | {cars['sessions_not_served']} | "
        f"{cars['not_served_kwh']:.1f} | {paid:.2f} |"
    ) in text_of(PAGE)


def test_dimming_leaves_every_device_what_the_law_says(week: Scenario) -> None:
    result = run(week.with_changes(curtailment={"rule": "section_14a"}))
    assert result.summary["energy_kwh"]["shed"] == 0
    dimmed = 0
    for table in (result.ev, result.heat_pumps):
        assert (table["given_wh"] >= table["wanted_wh"].clip(upper=round(1000 * DIMMED_KW))).all()
        dimmed += int((table["given_wh"] < table["wanted_wh"]).sum())
    assert dimmed > 20
    assert check_shares(result) > 3
    assert "22 kW become 13.1 kW, 11 kW become 7.6 kW" in text_of(PAGE)
    assert [round(kw - 0.5 * (kw - DIMMED_KW), 1) for kw in (22.0, 11.0)] == [13.1, 7.6]
    shifts = result.exchanges[result.exchanges["kind"] == "shift"]
    assert (shifts["status"] == "curtailed").all()
    assert (shifts["reason"] == "undervoltage").all()


def check_shares(result: Result) -> int:
    """Intervals in which several houses were dimmed: by one share of what each wants above 4.2 kW, or by all of it."""
    both = pd.concat([result.ev.reset_index(), result.heat_pumps.reset_index()])
    wanted, given = both["wanted_wh"], both["given_wh"]
    both = both.assign(above=(wanted - round(1000 * DIMMED_KW)).clip(lower=0), taken=wanted - given)
    houses = both.groupby(["time", "house"], observed=True)[["above", "taken"]].sum()
    dimmed = houses[houses["taken"] > 0]
    found = 0
    for _, here in dimmed.groupby(level="time"):
        of_one_share = here[here["taken"] < here["above"]]
        share = of_one_share["taken"] / of_one_share["above"]
        assert share.max() - share.min() <= 2e-3 or len(share) < 2  # whole Wh
        found += len(share) > 1
    return found


def test_the_page_names_what_a_car_may_be() -> None:
    for key in ("charger_kw", "target", "v2g"):
        assert key in EvSection.model_fields
        assert f"`{key}" in text_of(PAGE)
