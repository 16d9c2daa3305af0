"""One label, one number: screen, summary, report, comparison and tables of every bundled scenario, over a few days."""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandapower as pp
import pandas as pd
import pytest
from background_runs import bus, cut_grid, make_net, make_scenario
from phase_streets import make_phase_scenario

from cosim import Result, Scenario, run
from cosim.cli import terminal
from cosim.report.comparison import CUT, compare_runs
from cosim.results.labels import BACKGROUND, ENERGY, FLOWS, MONEY, NETWORK, RATED_KVA, SERVED, TO_GRID
from cosim.results.summary import EXTREMES
from cosim.scenario.files import read_bundled
from market.exchanges import NEUR_PER_EUR

pytestmark = pytest.mark.slow  # all bundled scenarios with their reports

WINTER_OUTAGE = {"start": "2017-01-17T06:00:00Z", "hours": 48}
HOURS = {"town": 12, "suburb": 12, "outage": 48}


class Shown(NamedTuple):
    where: str
    value: float
    tolerance: float


Numbers = dict[tuple[str, str], list[Shown]]


def shorten(name: str) -> Scenario:
    scenario = Scenario.load(name)
    if not scenario.events:
        return scenario.with_changes(horizon={"hours": HOURS.get(name, 72)})
    begin, end = pd.Timestamp(WINTER_OUTAGE["start"]), pd.Timestamp("2017-01-19T00:00:00Z")
    events = [event.model_dump() for event in scenario.events]
    inside = [e for e in events if begin <= pd.Timestamp(e.get("start") or e.get("at")) < end]
    return scenario.with_changes(horizon=WINTER_OUTAGE, events=inside)


def make_background_scenario(folder: Path) -> Scenario:
    """Houses on a net with a load and a generator of its own, and an island."""
    net = make_net()
    pp.create_load(net, bus(net, "H3"), p_mw=0.005)
    pp.create_sgen(net, bus(net, "H2"), p_mw=0.009)
    return make_scenario(folder, net, events=[cut_grid(2, 2)])


@pytest.fixture(scope="module", params=[*sorted(read_bundled()), "background", "street"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp(request.param)
    made = {"background": make_background_scenario, "street": make_phase_scenario}
    scenario = made[request.param](folder) if request.param in made else shorten(request.param)
    run(scenario.with_changes(market={"mechanism": "none", "arrival": "index"}), folder / "other")
    result = run(scenario, folder / "run")
    result.report()
    return result


def read_screen(result: Result, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[str, str, Shown]]:
    terminal.show_summary(result)
    for label, text, unit in re.findall(r"│ +(\S.*?) +│ +(-?[\d,.]+) +│ +(\S+) +│", capsys.readouterr().out):
        decimals = len(text.partition(".")[2])
        yield label, unit, Shown("screen", float(text.replace(",", "")), 0.51 * 10**-decimals)


def read_summary(result: Result) -> Iterator[tuple[str, str, Shown]]:
    assert result.directory is not None
    summary = json.loads((result.directory / "summary.json").read_text(encoding="utf-8"))
    for section, labels, unit in (("energy_kwh", ENERGY, "kWh"), ("money_eur", MONEY, "EUR")):
        labels = labels | (BACKGROUND if "background_load" in summary[section] else {})
        assert set(summary[section]) == set(labels), "every sum has a label"
        for key, value in summary[section].items():
            yield labels[key], unit, Shown("summary.json", value, 1e-6)
    for label, key, unit in CUT:
        if key in summary["curtailed"] or key != "put_off_kwh":  # which only cars and heat pumps have
            yield label, unit, Shown("summary.json", summary["curtailed"][key], 1e-6)
    yield RATED_KVA.partition(",")[0], "kVA", Shown("summary.json", summary["transformer"]["rated_kva"], 1e-6)
    for key, label in FLOWS.items():
        yield label, "kW", Shown("summary.json", summary["transformer"].get(key, {"kw": 0.0})["kw"], 1e-6)
    for key, (quantity, _, unit) in EXTREMES.items():
        if key in summary["network"]:
            yield NETWORK[key], unit, Shown("summary.json", summary["network"][key][quantity], 1e-6)


def read_report(result: Result) -> Iterator[tuple[str, str, Shown]]:
    assert result.directory is not None
    page = (result.directory / "report.html").read_text(encoding="utf-8")
    fact = r'<b data-key="\w+" data-value="(.*?)">\S+ (\S*)</b><span>(.*?)</span>'
    for value, unit, label in re.findall(fact, page):
        yield html.unescape(label), unit, Shown("report", float(value), 1e-6)
    yield from read_table(page, "energy_balance", slice(-1, None))
    if len(result.scenario.events) == 0 and page.count("more are in the file") == 0:
        yield from read_table(page, "houses", slice(None))


def read_table(page: str, key: str, rows: slice) -> Iterator[tuple[str, str, Shown]]:
    """Sums of the columns of a table of the report whose header names a unit."""
    text = re.search(rf'<table id="table-{key}">(.*?)</table>', page, re.S)
    assert text, key
    header = [html.unescape(name) for name in re.findall(r"<th.*?>(.*?)</th>", text[1])]
    body = re.findall(r"<tr>(<td.*?)</tr>", text[1])[rows]
    cells = [re.findall(r'<td(?: class="\w+")?(?: data-value="(.*?)")?>', row) for row in body]
    for k, name in enumerate(header):
        label, comma, unit = name.rpartition(", ")
        if comma and unit in ("kWh", "EUR"):
            yield label, unit, Shown(f"report, table {key}", sum(float(row[k] or 0) for row in cells), 1e-6)


def read_comparison(result: Result) -> Iterator[tuple[str, str, Shown]]:
    assert result.directory is not None
    table = compare_runs([result.directory, result.directory.with_name("other")])
    for (_, label, unit), value in table["run"].items():
        yield label, unit, Shown("compare", value, 1e-6)


def read_tables(result: Result) -> Iterator[tuple[str, str, Shown]]:
    balance, houses, exchanges = result.energy_balance.sum(), result.houses.sum(numeric_only=True), result.exchanges
    by_kind = exchanges.groupby(exchanges["kind"].astype(str))
    wh, neur = by_kind["delivered_wh"].sum(), by_kind["amount_neur"].sum()
    columns: dict[str, Any] = {
        ENERGY["load"]: [balance["load_wh"], houses["load_wh"]],
        ENERGY["shed"]: [balance["shed_wh"], houses["shed_wh"]],
        ENERGY["pv"]: [balance["pv_wh"], houses["pv_wh"]],
        ENERGY["fuel_cell"]: [balance["fuel_cell_wh"]],
        ENERGY["from_grid"]: [balance["from_grid_wh"]],
        ENERGY["imported"]: [houses["imported_wh"]],
        ENERGY["exported"]: [houses["exported_wh"]],
        TO_GRID: [balance["to_grid_wh"]],
        ENERGY["p2p"]: [wh.get("p2p", 0)],
        ENERGY["lot_sale"]: [wh.get("lot_sale", 0)],
        ENERGY["shared"]: [wh.get("share_use", 0) + wh.get("share_store", 0)],
        ENERGY["losses"]: [balance["losses_wh"], wh.get("loss", 0)],
        SERVED: [balance["served_wh"]],
    }
    columns |= {label: [balance[f"{key}_wh"]] for key, label in BACKGROUND.items() if f"{key}_wh" in balance}
    for label, values in columns.items():
        for value in values:
            yield label, "kWh", Shown("tables", value / 1000, 1e-6)
    for key, unit, extreme in list_extremes(result.bus_voltage, result.branch_loading):
        yield NETWORK[key], unit, Shown("tables", extreme, 1e-9)
    yield MONEY["paid_to_grid"], "EUR", Shown("tables", neur.get("grid_import", 0) / NEUR_PER_EUR, 1e-6)
    yield MONEY["losses"], "EUR", Shown("tables", neur.get("loss", 0) / NEUR_PER_EUR, 1e-6)


def list_extremes(voltage: pd.DataFrame, loading: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Extremes of all columns of a unit: one of a balanced run, one of each phase or conductor of an unbalanced one."""
    vm = voltage.filter(like="_pu")
    yield "lowest_voltage", "pu", vm.min().min()
    yield "highest_voltage", "pu", vm.max().max()
    yield "highest_loading", "%", loading.filter(like="_percent").max().max()
    if "vuf_percent" in voltage:
        yield "largest_unbalance", "%", voltage["vuf_percent"].max()
        yield "highest_neutral_loading", "%", loading["loading_n_percent"].max()


def test_the_same_label_shows_the_same_number(
    finished: Result, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    numbers: Numbers = defaultdict(list)
    for found in (
        read_screen(finished, capsys),
        read_summary(finished),
        read_report(finished),
        read_comparison(finished),
        read_tables(finished),
    ):
        for label, unit, shown in found:
            numbers[re.split(r" \(|, ", label)[0], unit].append(shown)
    for what, several in numbers.items():
        exact = [shown for shown in several if shown.where != "screen"] or several
        for shown in several:
            assert shown.value == pytest.approx(exact[0].value, abs=shown.tolerance, rel=1e-9), (what, several)
    places = {label: {shown.where for shown in several} for (label, _), several in numbers.items()}
    for label in ("load asked for", "from the grid", "PV generation", "network losses", "paid to the utility"):
        assert {"screen", "summary.json", "report", "compare", "tables"} <= places[label], label
    for label, key, _ in CUT:
        assert {"screen", "summary.json", "report"} <= places.get(label, set()) or key == "put_off_kwh", label
    for label in (RATED_KVA.partition(",")[0], *FLOWS.values()):
        assert {"summary.json", "report"} <= places[label], label
    phases = ("largest voltage unbalance", "highest neutral loading")
    balanced = finished.scenario.network.model == "balanced"
    for extreme in ("highest loading", "highest voltage", "lowest voltage", *(() if balanced else phases)):
        assert {"screen", "summary.json", "report", "compare", "tables"} <= places[extreme], extreme
    assert not balanced or not places.keys() & {*phases}


def test_every_label_is_defined_in_the_nomenclature() -> None:
    page = (Path(__file__).parents[4] / "docs" / "nomenclature.md").read_text(encoding="utf-8")
    for label in (*ENERGY.values(), *MONEY.values(), SERVED):
        assert f"| {label} |" in page, label
