"""Section on outages: metrics, islands and the devices that formed them, houses that were not served, and figures.

A spell is one outage: an unbroken series of intervals in which some part of the network is without the grid.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from cosim.curtailment.priority import VALUE_OF_LOST_LOAD
from cosim.islands.phases import BLACK_START_SOC, PICKUP_FACTOR
from cosim.report.elements import (
    Cell,
    Column,
    Fact,
    Figure,
    PageSection,
    Table,
    count_decimals,
    number,
    tabulate,
    words,
)
from cosim.report.figures.outage import Spell, draw_frequency, draw_priorities, draw_stores, draw_supply
from cosim.report.tables.run_tables import RunTables
from cosim.results.labels import OUTAGE_COST, OUTAGE_DEVICES

DRAWN = 3
LISTED = 10
METRICS = (
    ("hours_without_grid", "without the grid", "h", 1.0, 1),
    ("energy_not_served_kwh", "energy not served", "kWh", 1.0, 1),
    ("served_share", "load served", "%", 100.0, 1),
    ("critical_served_share", "critical load served", "%", 100.0, 1),
    ("hours_to_first_critical_shed", "until critical load fell short first", "h", 1.0, 1),
    ("saidi_hours", "critical load short, per house (SAIDI)", "h", 1.0, 2),
    ("saifi", "interruptions of critical load, per house (SAIFI)", "", 1.0, 2),
    ("lowest_soc", "lowest state of charge", "%", 100.0, 1),
    ("lowest_hydrogen_kg", "lowest hydrogen", "kg", 1.0, 2),
    ("restoration_hours", "beside the returned grid, not joined yet", "h", 1.0, 1),
    ("dark_part_hours", "dark, summed over parts", "h", 1.0, 1),
    ("hours_out_of_band", "frequency out of its band", "h", 1.0, 1),
    *((key, label, "EUR", 1.0, 2) for key, label in OUTAGE_COST.items()),
    *((key, label, "kWh", 1.0, 1) for key, label in OUTAGE_DEVICES.items()),
)
ISLANDS = (
    Column("outage", "outage"),
    Column("part", "part"),
    Column("former", "held by"),
    Column("houses", "houses at most", 0),
    Column("intervals", "intervals", 0),
    Column("load_kwh", "load of the part, kWh", 1),
    Column("served", "served, %", 1),
    Column("critical_served", "critical served, %", 1),
)
HOUSES = (
    Column("house", "house"),
    Column("load_kwh", "load in outages, kWh", 1),
    Column("shed_kwh", "shed in outages, kWh", 1),
    Column("served", "served, %", 1),
    Column("hours", "hours with shedding", 0, exact=True),
)
PRIORITIES = (
    Column("outage", "outage"),
    Column("critical", "critical load", 1),
    *(Column(name, f"{name} priority", 1) for name in VALUE_OF_LOST_LOAD),
)
DEVICES = (
    Column("time", "time (UTC)"),
    Column("device", "device"),
    Column("rated_kw", "rated, kW", 2),
    Column("answer", "answer"),
    Column("reason", "reason"),
)
TILES = (
    *("hours_without_grid", "energy_not_served_kwh", "served_share", "critical_served_share"),
    *(*OUTAGE_COST, *OUTAGE_DEVICES),
)


def make_outage_sections(run: RunTables) -> list[PageSection]:
    """The section, or nothing where the network was never without the grid."""
    if run.result.resilience.empty:
        return []
    found = list_spells(run)
    drawn = sorted(found, key=lambda spell: -_not_served_wh(spell.rows))[:DRAWN]
    drawn.sort(key=lambda spell: str(spell.rows["time"].min()))
    tables = [make_outages_table(run), make_priorities_table(run, found), make_islands_table(found)]
    tables.append(make_served_table(run))
    if not run.registrations.empty:
        tables.append(make_devices_table(run.registrations))
    return [
        PageSection(
            "outages",
            "Outages",
            (*_describe_outages(len(found), len(drawn)), *_describe_dispatch(run, found), *_describe_devices(run)),
            facts=tuple(_make_tile(run, key) for key in TILES if key in run.result.resilience),
            tables=tuple(tables),
            figures=_draw_figures(drawn, run.hours),
        )
    ]


def _describe_outages(found: int, drawn: int) -> tuple[str, ...]:
    text = (
        "Hours without the grid end when it is back; an island then runs beside it before it is joined. Energies, "
        "shares and interruptions count both; a dash says that the grid was not back when the run ended. What is shed "
        "is not billed. The "
        "metrics are in resilience.parquet, every part and interval in outage_intervals.parquet."
    )
    rules = (
        f"Rules: houses that come out of the dark use {PICKUP_FACTOR:g} × their load for an hour (cold-load pickup); "
        f"a dark part is started by a battery of at least {BLACK_START_SOC:.0%} charge or by a fuel cell; load is shed "
        "low priority first, within a priority in equal shares of need, critical load after all other."
    )
    more = f"{drawn} of {found} outages are drawn: those with the most energy not served."
    return (text, rules, more) if drawn < found else (text, rules)


def _describe_dispatch(run: RunTables, spells: list[Spell]) -> tuple[str, ...]:
    """How outages were dispatched, where energy is kept for critical load."""
    keys = run.result.scenario.outage
    if keys.dispatch == "hourly":
        return ()
    kept = sum(bool((spell.rows["dispatch"].astype(str) == "ahead").any()) for spell in spells)
    return (
        f"Energy was kept for the critical load of {keys.look_ahead_hours} h ahead in {kept} of {len(spells)} outages, "
        "by the run's own load and sun as the forecast. Where that would have served less critical load at any time "
        "than going hour by hour, the outage was run hour by hour.",
    )


def _describe_devices(run: RunTables) -> tuple[str, ...]:
    """How cars and heat pumps are counted, where there are any."""
    if "put_off_kwh" not in run.result.resilience:
        return ()
    return (
        "Cars and heat pumps take nothing while their house is without the grid. They are not in load, load served and "
        "energy not served; what they would have taken with the grid, and what cars and houses missed because of it, "
        "also after the outage, stands beside.",
    )


def list_spells(run: RunTables) -> list[Spell]:
    """Each outage with the rows of its parts, in order."""
    rows = run.outage_intervals
    rows = rows[rows["supply"].astype(str) != "grid"]
    single = run.result.resilience.drop(index="all")
    return [
        Spell(
            f"outage {name}, from {begin:%Y-%m-%d %H:%M}",
            rows[(rows["time"] >= begin) & (rows["time"] < end)],
        )
        for name, begin, end in zip(single.index, single["begin"], single["end"], strict=True)
    ]


def _not_served_wh(rows: pd.DataFrame) -> int:
    return int((rows["load_wh"] - rows["served_wh"]).sum())


def _make_tile(run: RunTables, key: str) -> Fact:
    _, label, unit, factor, digits = next(metric for metric in METRICS if metric[0] == key)
    value = float(run.result.resilience[key].iloc[0])
    return Fact(f"outage_{key}", label, number(value * factor, choose_digits(unit, digits, [value])), unit)


def choose_digits(unit: str, digits: int, values: Iterable[float]) -> int:
    """Decimals of a metric: more for hours that are multiples of a shorter interval."""
    return max(digits, count_decimals(values)) if unit == "h" else digits


def make_outages_table(run: RunTables) -> Table:
    """Metrics of every outage, one column each; of many outages the first ones."""
    shown = run.result.resilience.head(1 + LISTED)
    rows: list[tuple[Cell, ...]] = [
        (
            words(label),
            words(unit),
            *(number(float(v) * factor, choose_digits(unit, digits, shown[key])) for v in shown[key]),
        )
        for key, label, unit, factor, digits in METRICS
        if key in shown
    ]
    names = [
        "all outages" if name == "all" else f"{name}: {begin:%Y-%m-%d %H:%M}"
        for name, begin in zip(shown.index, shown["begin"], strict=True)
    ]
    return Table("resilience", "Resilience, by outage (UTC).", ("metric", "unit", *names), rows)


def make_priorities_table(run: RunTables, spells: list[Spell]) -> Table:
    """Energy not served in each outage, by priority of the houses; of many outages the first ones."""
    priority, shed = run.result.scenario.curtailment.priority, run.meter("shed_wh")
    classes = [priority.get(str(name), "normal") for name in shed.columns]
    rows = []
    for k, spell in enumerate(spells[:LISTED], start=1):
        lost = shed.loc[shed.index.isin(spell.rows["time"])].sum().groupby(classes).sum() / 1000.0
        short = (spell.rows["critical_wh"] - spell.rows["critical_served_wh"]).sum() / 1000.0
        rows.append(
            {"outage": str(k), "critical": short, **{name: lost.get(name, float("nan")) for name in VALUE_OF_LOST_LOAD}}
        )
    left = len(spells) - LISTED
    caption = "Energy not served, kWh: what of it was critical load, and all of it by priority of the houses."
    caption += f" {left} more outages are left out." if left > 0 else ""
    return tabulate("outage-priorities", caption, PRIORITIES, pd.DataFrame(rows))


def make_islands_table(spells: list[Spell]) -> Table:
    """Which device formed which island, for how long, and what it served; of many parts the first ones."""
    rows = pd.concat([spell.rows.assign(outage=k) for k, spell in enumerate(spells, start=1)])
    keys = ["outage", "part", "supply", "former"]
    groups = rows.fillna({"former": ""}).astype({"part": str, "supply": str}).groupby(keys, sort=True)
    total, critical = groups.sum(numeric_only=True), groups["critical_wh"].sum()
    frame = pd.DataFrame(
        {
            "houses": groups["houses"].max(),
            "intervals": groups.size(),
            "load_kwh": total["load_wh"] / 1000.0,
            "served": 100.0 * total["served_wh"] / total["load_wh"].clip(lower=1),
            "critical_served": 100.0 * total["critical_served_wh"] / critical.where(critical > 0),
        }
    ).reset_index()
    island = "island " + (frame["part"].astype(int) + 1).astype(str)
    frame["part"] = island.where(frame["supply"] == "island", "dark")
    frame["former"] = frame["former"].replace("", "nobody")
    left = len(frame) - 2 * LISTED
    caption = "Islands: who held them and what they served."
    caption += f" {left} more rows are left out." if left > 0 else ""
    return tabulate("islands", caption, ISLANDS, frame.head(2 * LISTED))


def make_served_table(run: RunTables) -> Table:
    """Houses by the share of their load that was served while some part was without the grid, the least first."""
    times = run.outage_intervals.loc[run.outage_intervals["supply"].astype(str) != "grid", "time"].unique()
    load, shed = (frame.loc[frame.index.isin(times)] for frame in map(run.meter, ("load_wh", "shed_wh")))
    asked, cut = load.sum(), shed.sum()
    frame = pd.DataFrame(
        {
            "house": load.columns,
            "load_kwh": asked / 1000.0,
            "shed_kwh": cut / 1000.0,
            "served": 100.0 * (1.0 - cut / asked.where(asked > 0)),
            "hours": run.hours * (shed > 0).sum(),
        }
    )
    least = frame.sort_values("served", kind="stable").head(LISTED)
    caption = f"Who went short: the {len(least)} houses with the smallest served share in these hours."
    return tabulate("outage-houses", caption, HOUSES, least)


def make_devices_table(registrations: pd.DataFrame) -> Table:
    """Devices that were plugged in or taken away, and the answer each got."""
    frame = registrations.assign(
        time=pd.to_datetime(registrations["time"]).dt.strftime("%Y-%m-%d %H:%M"),
        reason=registrations["reason"].fillna("none").replace("none", "").str.replace("_", " "),
    )
    return tabulate("devices", "Devices plugged in and taken away.", DEVICES, frame)


def _draw_figures(drawn: list[Spell], hours: float) -> tuple[Figure, ...]:
    """Figures of the outages, but for those that have nothing to show."""
    figures = (
        (
            "outage-supply",
            "What supplied the parts without the grid, mean kW; lines: load asked for and served. Supply beyond the "
            "load served charges batteries or is lost on the way.",
            draw_supply(drawn, hours),
        ),
        (
            "outage-priority",
            "Load by priority, mean kW: critical load is shed last.",
            draw_priorities(drawn, hours),
        ),
        (
            "outage-stores",
            "Charge of the batteries, %, and hydrogen, kg, at the end of the intervals.",
            draw_stores(drawn),
        ),
        (
            "outage-frequency",
            "Frequency by droop, Hz, a calculation after the fact; dashed: the band of 49.5 to 50.5 Hz.",
            draw_frequency(drawn),
        ),
    )
    return tuple(Figure(key, caption, figure) for key, caption, figure in figures if figure is not None)
