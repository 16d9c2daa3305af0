"""The report says what the tables say: every number in it is computed again, from the Parquet files alone."""

from __future__ import annotations

import json
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from cosim.cli import terminal
from cosim.errors import ScenarioError
from cosim.report.page import write_report
from cosim.results.result import Result
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run


class Numbers(HTMLParser):
    """Facts by key and the numbers of tables by their id, unrounded."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.facts: dict[str, float] = {}
        self.tables: dict[str, list[list[float | str]]] = {}
        self._table: list[list[float | str]] | None = None
        self._cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "data-key" in given and "data-value" in given:
            self.facts[str(given["data-key"])] = float(str(given["data-value"]))
        if tag == "table":
            self._table = self.tables.setdefault(str(given["id"]).removeprefix("table-"), [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag == "td" and self._table is not None:
            self._cell = "data-value" not in given
            self._table[-1].append("" if self._cell else float(str(given["data-value"])))

    def handle_data(self, data: str) -> None:
        if self._cell and self._table:
            self._table[-1][-1] = str(self._table[-1][-1]) + data

    def handle_endtag(self, tag: str) -> None:
        self._cell = False
        if tag == "table":
            self._table = None


STRESSED = Scenario().with_changes(
    name="<script>alert(1)",
    horizon={"hours": 60, "start": "2017-06-10T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 4, "mean_load_w": 9000.0, "production_ratio": 3.0},
    market={"feed_in": True},
    network={"n_branches": 1},
    limits={"min_vm_pu": 0.985, "max_vm_pu": 1.015},
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "stressed"
    write_report(run(STRESSED, path))
    return path


@pytest.fixture(scope="module")
def numbers(directory: Path) -> Numbers:
    return Numbers((directory / "report.html").read_text(encoding="utf-8"))


def table(directory: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(directory / f"{name}.parquet")


def test_exceptions_are_the_outcomes_of_the_intervals(directory: Path, numbers: Numbers) -> None:
    outcomes = table(directory, "intervals")["outcome"].value_counts()
    counts = {str(row[0]): row[1] for row in numbers.tables["exceptions"] if row}
    assert outcomes["curtailed"] > 0
    for name in ("clean", "curtailed", "shed", "de_energised"):
        assert counts[name.replace("_", "-")] == outcomes.get(name, 0)
    assert counts["settled beyond a limit"] == 0


def test_energies_are_sums_of_the_meters_and_the_exchanges(directory: Path, numbers: Numbers) -> None:
    houses, exchanges = table(directory, "houses"), table(directory, "exchanges")
    for name in ("load", "pv", "imported", "exported", "spilled", "charge", "discharge"):
        assert numbers.facts[f"energy_{name}"] == pytest.approx(houses[f"{name}_wh"].sum() / 1000, abs=1e-9)
    of_kind = exchanges.groupby(exchanges["kind"].astype(str))
    delivered, cleared = of_kind["delivered_wh"].sum() / 1000, of_kind["cleared_wh"].sum() / 1000
    assert numbers.facts["energy_p2p"] == pytest.approx(delivered["p2p"])
    cut = (cleared - delivered)[["p2p", "grid_export"]].sum()
    assert numbers.facts["curtailed"] == pytest.approx(cut)
    paid = of_kind["amount_neur"].sum()["grid_import"] / 1e9
    assert numbers.facts["money_paid_to_grid"] == pytest.approx(paid)


def test_extremes_are_those_of_the_tables(directory: Path, numbers: Numbers) -> None:
    voltage, loading = table(directory, "bus_voltage"), table(directory, "branch_loading")
    assert numbers.facts["highest_voltage"] == voltage["vm_pu"].max()
    assert numbers.facts["lowest_voltage"] == voltage["vm_pu"].min()
    assert numbers.facts["highest_loading"] == loading["loading_percent"].max()
    assert numbers.facts["reverse_hours"] == (table(directory, "intervals")["p_grid_kw"] < 0).sum()


def test_branch_summary_is_that_of_the_loadings(directory: Path, numbers: Numbers) -> None:
    summary = pd.read_csv(directory / "branch_summary.csv").set_index("element")
    loading = table(directory, "branch_loading")
    groups = loading.groupby(loading["element"].astype(str))["loading_percent"]
    for column, values in (
        ("max_loading_percent", groups.max()),
        ("mean_loading_percent", groups.mean()),
        ("p95_loading_percent", groups.quantile(0.95)),
        ("hours_ge_80_percent", groups.agg(lambda x: float((x >= 80).sum()))),
        ("hours_ge_100_percent", groups.agg(lambda x: float((x >= 100).sum()))),
    ):
        np.testing.assert_allclose(summary[column], values.reindex(summary.index), rtol=1e-12)
    for element, row in summary.iterrows():
        mine = loading[(loading["element"] == element)]
        at = mine.loc[mine["loading_percent"].idxmax(), "time"]
        assert pd.Timestamp(row["max_at"]) == at
    top = [row for row in numbers.tables["top10"] if row]
    order = summary.sort_values("max_loading_percent", ascending=False, kind="stable").head(10)
    assert [row[0] for row in top] == list(order.index)
    np.testing.assert_allclose([row[2] for row in top], order["max_loading_percent"])


@pytest.mark.parametrize("name", ["branch_summary", "house_summary"])
def test_the_how_to_names_every_column(directory: Path, name: str) -> None:
    text = (Path(__file__).parents[4] / "docs/how-to/read-the-report.md").read_text(encoding="utf-8")
    section = text.split(f"## Columns of {name}.csv")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name.strip(" `") for row in rows for name in row.split(",")]
    assert named == list(pd.read_csv(directory / f"{name}.csv").columns)


def test_the_energy_balance_is_the_meters_and_leaves_nothing(directory: Path, numbers: Numbers) -> None:
    houses, balance = table(directory, "houses"), table(directory, "energy_balance")
    assert (balance["residual_wh"] == 0).all()
    whole = numbers.tables["energy_balance"][-1]
    net = houses.eval("pv_wh + fuel_cell_wh + discharge_wh - spilled_wh - load_wh + shed_wh - charge_wh").sum()
    assert -net == houses["imported_wh"].sum() - houses["exported_wh"].sum()
    for k, name in enumerate(("pv_wh", "fuel_cell_wh", "discharge_wh"), start=1):
        assert whole[k] == houses[name].sum() / 1000 == balance[name].sum() / 1000
    from_grid = houses["imported_wh"].sum() + balance["losses_wh"].sum()
    assert whole[4] == pytest.approx(from_grid / 1000, abs=1e-9)
    assert whole[-1] == 0
    days = numbers.tables["energy_balance"][1:-1]
    np.testing.assert_allclose(np.sum([row[1:] for row in days], axis=0), whole[1:])


def test_houses_are_their_meters(directory: Path, numbers: Numbers) -> None:
    houses, summary = (
        table(directory, "houses"),
        pd.read_csv(directory / "house_summary.csv", index_col="house"),
    )
    meters = houses.groupby(houses["house"].astype(str))
    for name in (
        "load",
        "pv",
        "bought",
        "sold",
        "imported",
        "exported",
        "spilled",
        "shed",
        "charge",
        "discharge",
    ):
        sums = meters[f"{name}_wh"].sum() / 1000
        np.testing.assert_allclose(summary[f"{name}_kwh"], sums.reindex(summary.index), rtol=1e-12)
    assert summary["wallet_eur"].sum() == pytest.approx(meters["wallet_neur"].last().sum() / 1e9)
    voltage = table(directory, "bus_voltage")
    voltage = voltage[voltage["bus"] == summary.loc["house_03", "bus"]]
    assert summary.loc["house_03", "max_vm_pu"] == voltage["vm_pu"].max()
    assert summary["curtailed_kwh"].sum() == pytest.approx(numbers.facts["curtailed"])
    assert [row[1] for row in numbers.tables["houses"] if row] == list(summary["load_kwh"])


def test_losses_of_branches_add_up_to_those_of_the_power_flow(directory: Path) -> None:
    summary = pd.read_csv(directory / "branch_summary.csv")
    lost = table(directory, "intervals")["losses_kw"].sum()
    assert summary["losses_kwh"].sum() == pytest.approx(lost, rel=0.02)


def test_the_tables_are_what_pandapower_computes_afresh(directory: Path) -> None:
    """The worst interval and seven others: from meters to voltages, loadings and the exchange with the grid."""
    result = Result.load(directory)
    net, houses = result.net, table(directory, "houses")
    summary = pd.read_csv(directory / "branch_summary.csv")
    loading, voltage = table(directory, "branch_loading"), table(directory, "bus_voltage")
    balance = table(directory, "energy_balance").set_index("time")
    at = pd.Timestamp(summary.loc[summary["max_loading_percent"].idxmax(), "max_at"])
    for moment in [*balance.index[:: len(balance) // 7], at]:
        now = houses[houses["time"] == moment].set_index("house")
        taken = now.eval("load_wh - shed_wh + charge_wh - pv_wh + spilled_wh - discharge_wh - fuel_cell_wh") / 1e6
        net.load["p_mw"] = [float(taken[name]) for name in net.load["name"]]
        net.load["q_mvar"] = [-float(now["q_var"][name]) / 1e6 for name in net.load["name"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandapower's own deprecations are not under test
            pp.runpp(net, tolerance_mva=1e-9)
        stored = loading[loading["time"] == moment]["loading_percent"].to_numpy()
        fresh = np.concatenate([net.res_line.loading_percent, net.res_trafo.loading_percent])
        np.testing.assert_allclose(stored, fresh, atol=1e-4)
        np.testing.assert_allclose(voltage[voltage["time"] == moment]["vm_pu"], net.res_bus.vm_pu, atol=1e-6)
        row = balance.loc[moment]
        assert row["from_grid_wh"] - row["to_grid_wh"] == pytest.approx(1e6 * net.res_ext_grid.p_mw.sum(), abs=0.6)
    assert summary["max_loading_percent"].max() == pytest.approx(fresh.max(), abs=1e-4)


def test_every_table_of_the_loading_report_is_there(directory: Path) -> None:
    expected = {
        "branch_loading.parquet": {"time", "element_type", "element", "loading_percent"},
        "bus_voltage.parquet": {"time", "bus", "vm_pu"},
        "branch_summary.csv": {"max_loading_percent", "max_at", "p95_loading_percent", "mean_loading_percent"}
        | {"hours_ge_80_percent", "hours_ge_100_percent", "reverse_flow_hours", "losses_kwh"},
        "violations.csv": {"time", "element_type", "element", "quantity", "value", "limit"},
        "curtailment.csv": {"time", "seq", "rule", "curtailed_wh", "reason", "element"},
        "energy_balance.parquet": {"time", "residual_wh"},
        "house_summary.csv": {"house", "bus", "load_kwh"},
    }
    for name, columns in expected.items():
        read = pd.read_csv if name.endswith(".csv") else pd.read_parquet
        assert columns <= set(read(directory / name)), name
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    assert {"gridsettle", "libraries", "limits", "network_sha256", "ledger"} <= set(manifest)


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "megabytes"), [("default", 12), ("reference", 20)])
def test_a_long_run_has_a_small_report(tmp_path: Path, scenario: str, megabytes: int) -> None:
    """One year and four years of 25 houses; the figures are thinned, the tables are not."""
    result = run(Scenario.load(scenario), tmp_path / "run")
    assert write_report(result).stat().st_size <= megabytes * 1e6
    read = Numbers((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert read.tables["energy_balance"][-1][-1] == 0
    assert read.facts["losses"] == pytest.approx(result.energy_balance["losses_wh"].sum() / 1000)


def test_before_and_after_lists_every_violated_element(directory: Path, numbers: Numbers) -> None:
    violations = pd.read_csv(directory / "violations.csv")
    sides = np.where(violations["value"] > violations["limit"], "above", "below")
    hours = violations.groupby([violations["name"], sides]).size()
    for row in numbers.tables["validation"]:
        if row:
            assert row[2] == hours[str(row[0]), str(row[1]).split()[0]]
            assert row[3] == 0.0


def test_curtailed_energy_is_that_of_the_file(directory: Path, numbers: Numbers) -> None:
    cut = pd.read_csv(directory / "curtailment.csv")
    cut = cut[cut["curtailed_wh"] > 0]
    assert sum(float(row[5]) for row in numbers.tables["curtailment"] if row) == pytest.approx(
        cut["curtailed_wh"].sum() / 1000
    )


def test_the_page_is_self_contained_and_escapes_names(directory: Path) -> None:
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert " src=" not in page.split("<body>")[1]
    assert '<link rel="stylesheet"' not in page
    assert page.count("Plotly.newPlot(") >= 12
    head = json.loads((directory / "summary.json").read_text())["ledger"]["hash"]
    assert head in page
    assert "hourly-mean screening" in page


def test_another_network_than_that_of_the_run_is_refused(directory: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    copied.mkdir()
    for file in directory.iterdir():
        if file.suffix != ".sqlite":
            (copied / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "network_sha256": "0" * 64}))
    with pytest.raises(ScenarioError, match="expected the network of the run"):
        write_report(Result.load(copied))


def test_a_run_in_memory_needs_a_path(tmp_path: Path) -> None:
    result = run(Scenario().with_changes(horizon={"hours": 3}, houses={"n_houses": 3, "n_prosumers": 1}))
    with pytest.raises(ScenarioError, match="expected a path"):
        write_report(result)
    with pytest.raises(ScenarioError, match="expected an existing folder"):
        write_report(result, tmp_path / "none" / "x.html")
    written = write_report(result, tmp_path / "x.html")
    assert "kept in memory" in written.read_text(encoding="utf-8")


def test_a_feeder_that_was_always_off_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = Scenario().with_changes(
        horizon={"hours": 3}, houses={"n_houses": 3, "n_prosumers": 1}, limits={"max_loading_percent": 0.05}
    )
    result = run(scenario, tmp_path / "off")
    page = write_report(result).read_text(encoding="utf-8")
    terminal.show_summary(result)
    seen = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S) + capsys.readouterr().out
    assert not re.search(r"\bnan\b", seen, re.IGNORECASE)
    assert "3 of 3 intervals could not be repaired" in page
    assert "The feeder was off in every interval" in page
    counts = {str(row[0]): row[1] for row in Numbers(page).tables["exceptions"] if row}
    assert counts["de-energised"] == counts["feeder off"] == 3
    summary = pd.read_csv(tmp_path / "off" / "branch_summary.csv")
    assert summary["max_loading_percent"].isna().all()
    assert summary["losses_kwh"].sum() == 0.0
