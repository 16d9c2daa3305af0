"""The outage section: what was lost, who held the islands, who was served, what was left in the stores."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import Cell, Fact, Figure, PageSection, Table, number, words
from cosim.report.figures.outage import Spell, draw_frequency, draw_priorities, draw_stores, draw_supply
from cosim.report.tables.run_tables import RunTables

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
    ("restoration_hours", "beside the grid before joining", "h", 1.0, 1),
    ("dark_part_hours", "dark, summed over parts", "h", 1.0, 1),
    ("hours_out_of_band", "frequency out of its band", "h", 1.0, 1),
)
TILES = ("hours_without_grid", "energy_not_served_kwh", "served_share", "critical_served_share")


def make_outage_sections(run: RunTables) -> list[PageSection]:
    """The section, or nothing where the network was never without the grid."""
    if run.resilience.empty:
        return []
    found = list_spells(run)
    drawn = sorted(found, key=lambda spell: -_not_served(spell.rows))[:DRAWN]
    drawn.sort(key=lambda spell: str(spell.rows["time"].min()))
    tables = [make_outages_table(run), make_islands_table(found), make_served_table(run)]
    if not run.registrations.empty:
        tables.append(make_devices_table(run.registrations))
    return [
        PageSection(
            "outages",
            "Outages",
            _said(len(found), len(drawn)),
            facts=tuple(_tile(run, key) for key in TILES),
            tables=tuple(tables),
            figures=_figures(run, drawn),
        )
    ]


def _said(found: int, drawn: int) -> tuple[str, ...]:
    text = (
        "Hours include those in which an island waits beside the grid to be joined. What is shed is not billed. The "
        "metrics are in resilience.parquet, every part and interval in outage_intervals.parquet."
    )
    more = f"{drawn} of {found} outages are drawn: those with the most energy not served."
    return (text, more) if drawn < found else (text,)


def list_spells(run: RunTables) -> list[Spell]:
    """Each outage with the rows of its parts, in order."""
    rows = run.outage_intervals
    rows = rows[rows["supply"].astype(str) != "grid"]
    single = run.resilience.drop(index="all")
    return [
        Spell(
            f"outage {name}, from {begin:%Y-%m-%d %H:%M}",
            rows[(rows["time"] >= begin) & (rows["time"] < end)],
        )
        for name, begin, end in zip(single.index, single["begin"], single["end"], strict=True)
    ]


def _not_served(rows: pd.DataFrame) -> int:
    return int((rows["load_wh"] - rows["served_wh"]).sum())


def _tile(run: RunTables, key: str) -> Fact:
    _, label, unit, factor, digits = next(metric for metric in METRICS if metric[0] == key)
    return Fact(f"outage_{key}", label, number(float(run.resilience[key].iloc[0]) * factor, digits), unit)


def make_outages_table(run: RunTables) -> Table:
    """Metrics of every outage, one column each; of many outages the first ones."""
    shown = run.resilience.head(1 + LISTED)
    rows: list[tuple[Cell, ...]] = [
        (words(label), words(unit), *(number(float(value) * factor, digits) for value in shown[key]))
        for key, label, unit, factor, digits in METRICS
        if key in shown
    ]
    names = [
        "all outages" if name == "all" else f"{name}: {begin:%Y-%m-%d %H:%M}"
        for name, begin in zip(shown.index, shown["begin"], strict=True)
    ]
    return Table("resilience", "Resilience, by outage (UTC).", ("metric", "unit", *names), rows)


def make_islands_table(spells: list[Spell]) -> Table:
    """Who held which part of the network, for how long, and what it served; of many parts the first ones."""
    rows: list[tuple[Cell, ...]] = []
    for number_of, spell in enumerate(spells, start=1):
        keyed = spell.rows.fillna({"former": ""}).astype({"part": str, "supply": str})
        for (part, supply, former), group in keyed.groupby(["part", "supply", "former"], sort=True):
            critical = int(group["critical_wh"].sum())
            rows.append(
                (
                    words(number_of),
                    words(f"island {int(str(part)) + 1}" if supply == "island" else "dark"),
                    words(former or "nobody"),
                    number(float(group["houses"].max()), 0),
                    number(float(len(group)), 0),
                    number(float(group["load_wh"].sum()) / 1000.0),
                    number(100.0 * float(group["served_wh"].sum()) / max(int(group["load_wh"].sum()), 1)),
                    number(100.0 * float(group["critical_served_wh"].sum()) / critical if critical else None),
                )
            )
    header = (
        *("outage", "part", "held by", "houses at most", "intervals", "load, kWh", "served, %"),
        "critical served, %",
    )
    caption = "Islands: who held them and what they served."
    left = len(rows) - 2 * LISTED
    return Table(
        "islands",
        caption + (f" {left} more rows are left out." if left > 0 else ""),
        header,
        rows[: 2 * LISTED],
    )


def make_served_table(run: RunTables) -> Table:
    """Houses by the share of their load that was served while some part was without the grid, the least first."""
    times = run.outage_intervals.loc[run.outage_intervals["supply"].astype(str) != "grid", "time"].unique()
    load, shed = (run.meters[name].loc[run.meters[name].index.isin(times)] for name in ("load_wh", "shed_wh"))
    asked, cut = load.sum(), shed.sum()
    share = (1.0 - cut / asked.where(asked > 0)).sort_values(kind="stable")
    rows: list[tuple[Cell, ...]] = [
        (
            words(house),
            number(float(asked[house]) / 1000.0),
            number(float(cut[house]) / 1000.0),
            number(100.0 * float(share[house])),
            number(run.hours * int((shed[house] > 0).sum()), 0),
        )
        for house in share.index[:LISTED]
    ]
    header = ("house", "load, kWh", "shed, kWh", "served, %", "hours with shedding")
    caption = f"Who went short: the {len(rows)} houses with the smallest served share in these hours."
    return Table("outage-houses", caption, header, rows, printed=False)


def make_devices_table(registrations: pd.DataFrame) -> Table:
    """Devices that were plugged in or taken away, and the answer each got."""
    rows: list[tuple[Cell, ...]] = [
        (
            words(f"{pd.Timestamp(row['time']):%Y-%m-%d %H:%M}"),
            words(row["device"]),
            number(float(row["rated_kw"]), 2),
            words(row["answer"]),
            words("" if str(row["reason"]) in ("none", "nan") else str(row["reason"]).replace("_", " ")),
        )
        for row in registrations.to_dict(orient="records")
    ]
    header = ("time (UTC)", "device", "rated, kW", "answer", "reason")
    return Table("devices", "Devices plugged in and taken away.", header, rows)


def _figures(run: RunTables, drawn: list[Spell]) -> tuple[Figure, ...]:
    figures = [
        Figure(
            "outage-supply",
            "What supplied the parts without the grid, mean kW; lines: load asked for and served. Supply beyond the "
            "load served charges batteries or is lost on the way.",
            draw_supply(drawn, run.hours),
        ),
        Figure(
            "outage-priority",
            "Load by priority, mean kW: critical load is shed last.",
            draw_priorities(drawn, run.hours),
            False,
        ),
    ]
    for key, caption, figure in (
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
    ):
        if figure is not None:
            figures.append(Figure(key, caption, figure, False))
    return tuple(figures)
