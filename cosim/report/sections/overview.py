"""The first screen: what happened, in tiles, and why, by the element that was binding; and the worst hours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from cosim.report.elements import Cell, Column, Fact, PageSection, Table, number, show_hours, tabulate, words
from cosim.report.sections.findings import list_extremes
from cosim.report.tables.run_tables import RunTables
from cosim.results.binding import describe_curtailed, measure_curtailed
from cosim.results.labels import CURTAILED_HOURS, CUT_KWH, CUT_PERCENT, FLOWS, MONEY, PUT_OFF_KWH, RATED_KVA
from cosim.results.local_time import show_time
from cosim.results.transformer import measure_transformer

LISTED = 15
MONEY_SHOWN = ("paid_to_grid", "earned_from_p2p")
DIGITS = {"pu": 4, "%": 1, "V": 1}
BINDING = (
    Column("binding", "binding element"),
    Column("hours", "hours", 0, exact=True),
    Column("share", "of all hours curtailed, %", 1),
    Column("curtailed_kwh", "cut, kWh", 1),
)


def measure_run(run: RunTables) -> dict[str, Any]:
    """Sections `curtailed` and `transformer` of the summary; made anew for a run of an earlier version."""
    summary, net = run.result.summary, run.result.net
    if "curtailed" in summary and "transformer" in summary:
        return {name: summary[name] for name in ("curtailed", "transformer")}
    sums, intervals = run.exchange_table, run.result.table("intervals", ("time", "p_grid_kw"))
    return {
        "curtailed": measure_curtailed(run.curtailment, sums, net, run.hours),
        "transformer": measure_transformer(net, intervals),
    }


def describe_reason(run: RunTables) -> str:
    """Hours curtailed by binding element, as the line that the command shows too."""
    curtailed = measure_run(run)["curtailed"]
    of_hours = run.hours * run.result.summary["network"]["intervals"]
    return describe_curtailed(curtailed["hours"], curtailed["by_element"], of_hours)


def make_overview_section(run: RunTables) -> PageSection:
    """Tiles, and hours by binding element."""
    measured = measure_run(run)
    curtailed = measured["curtailed"]
    extremes = {fact.key: fact for fact in list_extremes(run)}
    energies = [extremes.pop(key) for key in ("shed", "reverse_hours", "losses")]
    facts = (*_list_cut(curtailed), energies[0], *_list_flows(run, measured["transformer"]), energies[1])
    money = run.result.summary["money_eur"]
    paid = [Fact(f"paid_{key}", MONEY[key], number(money[key], 2), "EUR") for key in MONEY_SHOWN]
    tables = [] if not curtailed["hours"] else [make_binding_table(curtailed)]
    return PageSection(
        "overview",
        "What happened and why",
        facts=(*facts, *extremes.values(), *energies[2:], *paid),
        tables=tuple(tables),
    )


def _list_cut(curtailed: dict[str, Any]) -> Iterator[Fact]:
    yield Fact("curtailed_hours", CURTAILED_HOURS, Cell(show_hours(curtailed["hours"]), curtailed["hours"]), "h")
    yield Fact("cut_kwh", CUT_KWH, number(curtailed["cut_kwh"]), "kWh")
    yield Fact("cut_percent", CUT_PERCENT, number(curtailed["cut_percent"], 2), "%")
    if "put_off_kwh" in curtailed:
        yield Fact("put_off_kwh", PUT_OFF_KWH, number(curtailed["put_off_kwh"]), "kWh")


def _list_flows(run: RunTables, transformer: dict[str, Any]) -> Iterator[Fact]:
    if "rated_kva" in transformer:
        yield Fact("rated_kva", RATED_KVA, number(transformer["rated_kva"], 0), "kVA")
    for key, label in FLOWS.items():
        flow = transformer.get(key, {})
        when = f", {show_time(flow['time'], run.zone)}" if flow else ""
        yield Fact(key, f"{label}{when}", number(flow.get("kw", 0.0)), "kW")


def make_binding_table(curtailed: dict[str, Any]) -> Table:
    """Hours and energy by binding element; hours add up to all that were curtailed."""
    frame = pd.DataFrame(curtailed["by_element"])
    frame["share"] = 100.0 * frame["hours"] / curtailed["hours"]
    more = f" The first {LISTED} of {len(frame)}." if len(frame) > LISTED else ""
    caption = f"Why: each hour counts for the element whose limit cut most of its energy.{more}"
    return tabulate("binding", caption, BINDING, frame.head(LISTED))


def make_worst_hours_section(run: RunTables, table: pd.DataFrame) -> list[PageSection]:
    """The intervals with most energy cut: when, which element, its value and limit, what was cut, whose."""
    if table.empty:
        return []
    rows = [_make_row(run, row) for row in table.head(LISTED).to_dict(orient="records")]
    local = () if run.zone is None else (f"local ({run.zone.key})",)
    header = ("when (UTC)", *local, "binding element", "as cleared", "as settled", "limit", "cut, kWh", "whose, kWh")
    which = f"the {LISTED} of {len(table):,} with most energy cut" if len(table) > LISTED else "most energy cut first"
    caption = f"Intervals that were curtailed, {which}; all are in worst_hours.csv."
    text = (
        "A dash under 'as cleared': this limit was met only after something else had been cut, or there was no power "
        "flow solution. Energy is that of sellers, and of buyers where the grid sells."
    )
    shown = Table("worst_hours", caption, header, rows)
    return [PageSection("worst-hours", "Worst hours", (text,), tables=(shown,))]


def _make_row(run: RunTables, row: dict[Any, Any]) -> tuple[Cell, ...]:
    digits, unit = DIGITS.get(row["unit"], 1), row["unit"]
    time = pd.Timestamp(row["time"])
    limit = "–" if row["limit"] != row["limit"] else f"{row['limit']:g} {unit}"
    return (
        words(f"{time:%Y-%m-%d\N{NO-BREAK SPACE}%H:%M}"),
        *([] if run.zone is None else [words(str(row["local_time"]).replace(" ", "\N{NO-BREAK SPACE}", 1))]),
        words(row["binding"]),
        *(number(row[name], digits) for name in ("cleared", "settled")),
        words(limit),
        number(row["curtailed_kwh"], 2),
        words(row["whose"]),
    )
