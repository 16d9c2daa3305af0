"""A whole unbalanced run: what its report says is what its tables say, phase by phase, and what runpp_3ph finds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phase_streets import make_phase_scenario

from cosim import Result, Scenario, run
from cosim.case.case import build_case
from cosim.delivery.setpoints import metered_injections
from cosim.report.page import write_report
from cosim.report.tables.run_tables import read_run
from cosim.results.directory import read_in_parts
from cosim.simulation.agreement import read_meters
from grid_models.feeder.connection import NAMES
from grid_models.phases.runpp_3ph import PhaseReference

pytestmark = pytest.mark.slow  # a run of two days and its report
PHASES, CONDUCTORS = "abc", "abcn"
DOCS = Path(__file__).parents[4] / "docs" / "how-to" / "read-the-report.md"


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return make_phase_scenario(tmp_path_factory.mktemp("street"))


@pytest.fixture(scope="module")
def directory(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "phases"
    write_report(run(scenario, path))
    return path


@pytest.fixture(scope="module")
def page(directory: Path) -> str:
    return (directory / "report.html").read_text(encoding="utf-8")


def table(directory: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(directory / f"{name}.parquet")


def test_branches_have_the_loadings_of_their_conductors(directory: Path) -> None:
    summary = pd.read_csv(directory / "branch_summary.csv").set_index("element")
    loading = table(directory, "branch_loading")
    columns = [f"loading_{conductor}_percent" for conductor in CONDUCTORS]
    highest = loading.groupby(loading["element"].astype(str))[columns].max().reindex(summary.index)
    np.testing.assert_allclose(summary[[f"max_{column}" for column in columns]], highest)
    np.testing.assert_allclose(summary["max_loading_percent"], highest.max(axis=1))
    assert list(summary["max_conductor"]) == [CONDUCTORS[k] for k in highest.fillna(-1.0).to_numpy().argmax(axis=1)]
    worst = loading.assign(worst=loading[columns].max(axis=1)).groupby(loading["element"].astype(str))["worst"]
    np.testing.assert_allclose(summary["mean_loading_percent"], worst.mean().reindex(summary.index))
    assert summary["max_loading_n_percent"].isna()["station"]


def test_losses_of_branches_add_up_to_those_of_the_power_flow(directory: Path) -> None:
    summary = pd.read_csv(directory / "branch_summary.csv")
    assert summary["losses_kwh"].sum() == pytest.approx(table(directory, "intervals")["losses_kw"].sum(), rel=0.005)


def test_houses_have_their_phases_and_the_voltages_of_these(directory: Path) -> None:
    summary = pd.read_csv(directory / "house_summary.csv", index_col="house", keep_default_na=False)
    assert list(summary["phase"]) == ["a", "b", "c"] * 3
    assert set(summary["phase_pv"]) == {"b", ""}
    voltage = table(directory, "bus_voltage")
    for _, row in summary.iterrows():
        mine = voltage[voltage["bus"] == row["bus"]]
        on = sorted({row["phase"], row["phase_pv"], row["phase_battery"]} - {""})
        values = mine[[f"vm_{phase}_pu" for phase in on]].to_numpy()
        assert (row["min_vm_pu"], row["max_vm_pu"]) == pytest.approx((values.min(), values.max()), abs=1e-12)


def test_the_tables_are_what_runpp_3ph_computes_afresh(directory: Path, scenario: Scenario) -> None:
    case, voltage = build_case(scenario), table(directory, "bus_voltage")
    at = [pd.Timestamp(voltage.loc[voltage[f"vm_{phase}_pu"].idxmax(), "time"]) for phase in PHASES]
    houses, loading = Result.load(directory).table("houses"), table(directory, "branch_loading")
    reference = PhaseReference(case.feeder, case.engine.connected)
    for moment in dict.fromkeys(at):
        times = houses["time"].to_pandas()
        meters = read_meters(houses.filter((times == moment).to_numpy()), 1)
        flow = reference.solve(*metered_injections(meters, case.interval_minutes, case.feeder.connections, None))
        stored = voltage[voltage["time"] == moment]
        np.testing.assert_allclose(stored.filter(like="vm_").to_numpy().ravel(), flow.vm_pu[0], atol=1e-6)
        np.testing.assert_allclose(stored["vuf_percent"], flow.vuf_percent[0], atol=1e-4)
        lines = loading[(loading["time"] == moment) & (loading["element_type"] == "line")]
        np.testing.assert_allclose(
            lines.filter(like="_percent").to_numpy().ravel(), flow.line_loading_percent[0], atol=1e-3
        )


def test_findings_and_reasons_name_their_phase(directory: Path, page: str) -> None:
    cut = pd.read_csv(directory / "curtailment.csv", keep_default_na=False)
    assert set(zip(cut["reason"], cut["phase"], strict=True)) == {("overvoltage", "b"), ("unbalance", "")}
    violations = pd.read_csv(directory / "violations.csv", keep_default_na=False)
    hours = violations[(violations["name"] == "pole 9") & (violations["quantity"] == "vm_pu")]
    assert set(hours["phase"]) == {"b"}
    assert f"what occurs most is overvoltage in phase b at bus pole 9, in {len(hours)} intervals" in page
    assert "unbalance (VUF) at bus pole 9" in page
    assert re.search(r"<td>overvoltage, phase b</td>|>overvoltage, phase b<", page)


def test_nothing_says_that_phases_are_balanced(page: str) -> None:
    shown = page.split("<body>")[1]
    assert "taken as balanced" not in shown
    assert "pandapower.runpp in" not in shown
    assert "pandapower.runpp_3ph in 24 intervals" in shown


def test_phases_of_the_table_are_those_of_the_case(directory: Path, scenario: Scenario) -> None:
    read, connections = read_run(Result.load(directory)).feeder.connections, build_case(scenario).feeder.connections
    assert read is not None
    assert connections is not None
    for device in ("load", "pv", "battery", "fuel_cell"):
        np.testing.assert_array_equal(getattr(read, device), getattr(connections, device))
    phases = pd.read_csv(directory / "phases.csv")
    assert list(phases["phase"]) == [NAMES[code] for code in connections.load]


def test_a_report_made_later_or_of_a_run_in_memory_is_the_same(
    directory: Path, scenario: Scenario, page: str, tmp_path: Path
) -> None:
    assert write_report(Result.load(directory), tmp_path / "later.html").read_text(encoding="utf-8") == page
    kept = write_report(run(scenario), tmp_path / "kept.html").read_text(encoding="utf-8")
    for key in ("unbalance", "voltage", "validation", "loading", "houses"):
        sections = [re.search(rf'<section id="{key}".*?</section>', text, re.S) for text in (page, kept)]
        assert sections[0]
        assert sections[1]
        assert sections[0][0] == sections[1][0]


def test_no_long_table_is_read_as_a_whole(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, int]] = []

    def watch(folder: Path, name: str, columns: list[str]) -> object:
        read.append((name, len(columns)))
        return read_in_parts(folder, name, columns)

    monkeypatch.setattr("cosim.results.result.read_in_parts", watch)
    monkeypatch.setattr(
        Result, "table", lambda self, name, columns=None, real=Result.table: check(name) or real(self, name, columns)
    )

    def check(name: str) -> None:
        assert name not in ("bus_voltage", "branch_loading"), "whole"

    write_report(Result.load(directory), tmp_path / "x.html")
    widths = [width for name, width in read if name in ("bus_voltage", "branch_loading")]
    assert len(widths) == (2 + 3 + 1) + (2 + 4), "times and names once, then a column at a time"
    assert max(widths) <= 2


@pytest.mark.parametrize("name", ["branch_summary", "house_summary"])
def test_the_how_to_names_every_further_column(directory: Path, name: str) -> None:
    text = DOCS.read_text(encoding="utf-8")
    section = text.split("## Phases")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [column.strip(" `") for row in rows for column in row.split(",")]
    plain = text.split(f"## Columns of {name}.csv")[1].split("\n## ")[0]
    further = [column for column in pd.read_csv(directory / f"{name}.csv").columns if f"`{column}`" not in plain]
    assert further
    assert set(further) <= set(named)


@pytest.fixture(scope="module")
def four_wires(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wires")
    scenario = make_phase_scenario(folder).with_changes(
        network={"model": "four_wire"},
        horizon={"hours": 16},
        limits={"max_neutral_to_earth_v": 4.0},
        engine={"verify_sample": 0},
    )
    write_report(run(scenario, folder / "run"))
    return folder / "run"


def test_four_wires_show_the_voltage_of_the_neutral(four_wires: Path) -> None:
    page = (four_wires / "report.html").read_text(encoding="utf-8")
    highest = table(four_wires, "bus_voltage")["neutral_v"].max()
    assert 3.9 < highest <= 4.0
    assert f'<b data-key="highest_neutral_voltage" data-value="{highest}">' in page
    assert "voltage of the neutral to earth at bus pole 9" in page
    assert "above 4 V" in page
    assert "above 4 %" not in page
    assert "unbalance, %, and voltage of the neutral to earth, V; dashed" in page
    assert "earthed everywhere" not in page
    cut = pd.read_csv(four_wires / "curtailment.csv", keep_default_na=False)
    assert "neutral_voltage" in set(cut["reason"])
    assert ">neutral voltage<" in page
    lost = pd.read_csv(four_wires / "branch_summary.csv")["losses_kwh"].sum()
    assert lost == pytest.approx(table(four_wires, "intervals")["losses_kw"].sum(), rel=0.005)
