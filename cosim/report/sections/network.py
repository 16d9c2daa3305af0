"""Sections on the network: loadings, voltages, the map, hours, the transformer, and what validation changed."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import (
    Cell,
    Column,
    Figure,
    PageSection,
    Table,
    count_decimals,
    number,
    show_hours,
    tabulate,
    words,
)
from cosim.report.figures.feeder_map import choose_hours, choose_worst, draw_feeder_map
from cosim.report.figures.network import (
    DIGITS,
    draw_before_and_after,
    draw_grid_power,
    draw_hour_by_day,
    draw_loading_duration,
    draw_losses,
    draw_voltage_over_distance,
)
from cosim.report.figures.phases import draw_phases_over_distance
from cosim.report.figures.topology import distance_km, find_places, list_pairs
from cosim.report.sections.unbalance import VOLTAGE_CAPTION, describe_finding, make_unbalance_section
from cosim.report.tables.before_and_after import summarise_by_element, with_settled
from cosim.report.tables.run_tables import RunTables, find_limits_of_elements
from cosim.results.labels import describe_conductor
from cosim.results.local_time import show_time
from grid_models.powerflow.limits import DEFAULTS

TOP = 10
LOADING = (
    Column("element", "element"),
    Column("element_type", "type"),
    Column("max_loading_percent", "max, %", 1),
    Column("max_at", "when (UTC)"),
    Column("p95_loading_percent", "p95, %", 1),
    Column("mean_loading_percent", "mean, %", 1),
    Column("hours_ge_80_percent", "hours ≥ 80 %", 0, exact=True),
    Column("hours_ge_100_percent", "hours ≥ 100 %", 0, exact=True),
    Column("reverse_flow_hours", "reverse flow, h", 0, exact=True),
    Column("losses_kwh", "losses, kWh", 1),
)
CONDUCTOR = Column("conductor", "conductor")
VALIDATION = (
    *("element", "limit", "hours beyond, as cleared", "as settled", "switched off, h", "worst as cleared"),
    "settled then",
)


def make_network_sections(run: RunTables, branches: pd.DataFrame) -> list[PageSection]:
    """Everything about loadings, voltages and power, or the reason why there is nothing."""
    if run.off.all():
        text = "The feeder was off in every interval: there are no loadings and no voltages."
        return [PageSection("loading", "Loading and voltage", (text,))]
    return [
        make_loading_section(run, branches),
        make_voltage_section(run),
        *([make_unbalance_section(run, branches)] if run.unbalanced else []),
        make_map_section(run),
        make_hours_section(run),
        make_grid_section(run),
    ]


def make_loading_section(run: RunTables, branches: pd.DataFrame) -> PageSection:
    """Ten most loaded elements and the loading duration curves."""
    known = branches.dropna(subset=["max_loading_percent"])
    top = known.sort_values("max_loading_percent", ascending=False, kind="stable").head(TOP)
    when = [
        show_time(time, run.zone).replace(" UTC", "", 1).replace(" ", "\N{NO-BREAK SPACE}", 1) if time else ""
        for time in top["max_at"]
    ]
    caption = "The ten most loaded elements; all of them are in branch_summary.csv."
    columns: tuple[Column, ...] = LOADING
    if run.unbalanced:
        top = top.assign(conductor=top["max_conductor"].map(describe_conductor))
        columns = (*LOADING[:3], CONDUCTOR, *LOADING[3:])
    table = tabulate("top10", caption, columns, top.assign(max_at=when))
    full = run.limits.max_branch_percent
    chosen = run.loading_percent[list(zip(top["element_type"], top["element"], strict=True))]
    curve = draw_loading_duration(
        chosen,
        run.hours,
        run.loading_percent.max(axis=1),
        run.limits.warn_loading_percent,
        float(full.min()) if full.size else DEFAULTS["max_loading_percent"],
    )
    which = ", each by its most loaded conductor" if run.unbalanced else ""
    caption = (
        f"Loading duration curves of these elements{which}: for how many hours a loading, %, was reached or exceeded."
    )
    return PageSection("loading", "Loading", tables=(table,), figures=(Figure("duration", caption, curve),))


def make_voltage_section(run: RunTables) -> PageSection:
    """Voltage of the buses over their distance from the grid."""
    distance = distance_km(run.feeder.net, run.buses)
    pairs = list_pairs(run.feeder.net, run.buses)
    low, high = run.limits.min_vm_pu.min(), run.limits.max_vm_pu.max()
    if run.unbalanced:
        figure = draw_phases_over_distance(run.voltages, distance, low, high, pairs)
        return PageSection("voltage", "Voltage", figures=(Figure("voltage-distance", VOLTAGE_CAPTION, figure),))
    figure = draw_voltage_over_distance(run.lowest_vm_pu, distance, low, high, pairs)
    caption = (
        "Voltage, pu, of each bus over its distance from the external grid along the lines, km; thin lines follow the "
        "branches."
    )
    return PageSection("voltage", "Voltage", figures=(Figure("voltage-distance", caption, figure),))


def make_hours_section(run: RunTables) -> PageSection:
    """Hour by day heat maps of the highest loading and of the voltages' extremes."""
    loading, of = run.loading_percent.max(axis=1), " in any phase" if run.unbalanced else ""
    low, high = run.lowest_vm_pu.min(axis=1), run.highest_vm_pu.max(axis=1)
    figures = [
        ("heat-loading", "Highest loading of any element, %.", loading, "%", 2, False),
        ("heat-vmin", f"Lowest voltage of any bus{of}, pu; yellow is low.", low, "pu", 4, True),
        ("heat-vmax", f"Highest voltage of any bus{of}, pu.", high, "pu", 4, False),
    ]
    if run.vuf_percent is not None:
        largest = run.vuf_percent.max(axis=1)
        figures.append(("heat-vuf", "Largest unbalance (VUF) of any bus, %.", largest, "%", 2, False))
    return PageSection(
        "hours",
        "When: hour by day",
        (_describe_hours(run),),
        figures=tuple(
            Figure(key, caption, draw_hour_by_day(values, unit, digits, run.zone, lowest=lowest))
            for key, caption, values, unit, digits, lowest in figures
        ),
    )


def _describe_hours(run: RunTables) -> str:
    text = "Each cell is the extreme of one hour of one day. Empty cells: the feeder was off"
    if run.zone is None:
        return f"{text}."
    return f"{text}, or clocks were put forward. Hours are local time, {run.zone.key}."


def make_grid_section(run: RunTables) -> PageSection:
    """Power of the transformer, reverse hours, losses."""
    p, losses = run.result.intervals["p_grid_kw"], run.result.intervals["losses_kw"]
    reverse = run.hours * int((p < 0).sum())
    solved = run.hours * int((~run.off).sum())
    text = (
        f"The feeder exported to the grid in {show_hours(reverse)} of {show_hours(solved)} hours under voltage "
        f"({100 * reverse / solved:.1f} %). Losses of lines and transformers: "
        f"{run.hours * float(losses.sum()):,.1f} kWh."
    )
    caption = "Power from the external grid through the transformer, kW; negative: reverse flow."
    figures = (
        Figure("grid-power", caption, draw_grid_power(p, run.hours)),
        Figure("losses", "Losses of the whole feeder, kWh.", draw_losses(losses, run.hours)),
    )
    return PageSection("grid", "Transformer flow and losses", (text,), figures=figures)


def make_validation_section(run: RunTables) -> PageSection:
    """What the exchanges as cleared would have violated, against what was settled."""
    title = "Before and after validation"
    if run.violations.empty:
        return PageSection("validation", title, ("The exchanges as cleared violated no limit in any interval.",))
    paired = with_settled(run.violations, run.settled(), run.feeder.net)
    table = summarise_by_element(paired, run.hours)
    rows: list[tuple[Cell, ...]] = []
    names = [f"hours_{name}" for name in ("cleared", "settled", "off")]
    digits = [count_decimals(table[name].head(TOP)) for name in names]
    for row in table.head(TOP).to_dict(orient="records"):
        unit, hours = row["unit"], zip((row[name] for name in names), digits, strict=True)
        worst = (row["worst_cleared"], row["then_settled"])
        rows.append(
            (
                words(describe_finding(row) if run.unbalanced else row["element"]),
                words(f"{row['side']} {row['limit']:g} {unit}"),
                *(number(value, n) for value, n in hours),
                *(number(value, DIGITS[row["quantity"]]) for value in worst),
            )
        )
    caption = "Elements beyond a limit as cleared" + (
        f" ({len(table)} in all), the {len(rows)} with the most hours." if len(table) > len(rows) else "."
    )
    picture = f"Worst element of each interval that was not clean: {_name_judged(run)}; dashed: the limit."
    return PageSection(
        "validation",
        title,
        ("Every violation is in violations.csv.",),
        tables=(Table("validation", caption, ("finding", *VALIDATION[1:]) if run.unbalanced else VALIDATION, rows),),
        figures=(Figure("before-after", picture, draw_before_and_after(paired)),),
    )


def _name_judged(run: RunTables) -> str:
    """What the figure before and after validation shows, in words: the neutral only where its voltage was amiss."""
    if not run.unbalanced:
        return "voltage, pu, and loading, %"
    if (run.violations["quantity"] == "neutral_v").any():
        return "voltage, pu, loading, %, unbalance, %, and voltage of the neutral to earth, V"
    return "voltage, pu, loading, %, and unbalance, %"


def make_map_section(run: RunTables) -> PageSection:
    """The feeder drawn, with a slider over chosen hours."""
    net = run.feeder.net
    cut = run.curtailment.groupby("time")["curtailed_wh"].sum() / 1000.0
    cut.index = pd.DatetimeIndex(cut.index)
    hours = choose_hours(
        *(run.loading_percent, run.highest_vm_pu, run.lowest_vm_pu, run.result.intervals["p_grid_kw"], cut)
    )
    where, own = find_places(net)
    ends = pd.DataFrame(
        {
            "a": net.bus.index.get_indexer([*net.line.from_bus, *net.trafo.hv_bus]),
            "b": net.bus.index.get_indexer([*net.line.to_bus, *net.trafo.lv_bus]),
        }
    )
    times = pd.DatetimeIndex(list(hours.values()))
    loading, vm = choose_worst(run.loadings, times), choose_worst(run.voltages, times, find_limits_of_elements(run))
    figure = draw_feeder_map(where, ends, loading, vm, hours, run.zone, to_scale=own)
    source = "Drawn at the network's own coordinates" if own else "Laid out by distance from the grid (no coordinates)"
    caption = (
        f"{source}: colour and width of a line show its loading, %, the colour of a bus its voltage, pu. "
        "A ring is a transformer. The slider chooses the hour, the legend shows and hides names; "
        "paper shows the first hour."
    )
    if run.unbalanced:
        caption += " Shown is the most loaded conductor of a line, and the phase of a bus that is closest to a limit."
    return PageSection("map", "The feeder", figures=(Figure("map", caption, figure),))
