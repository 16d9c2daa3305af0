"""Figures of the network: loading, voltages, power and losses, violations, hosting capacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from plotly.colors import get_colorscale

from cosim.report.figures.sampling import (
    STEPS,
    choose_period,
    choose_step,
    make_day_ticks,
    make_duration_curve,
    round_values,
)
from cosim.report.figures.topology import join_buses
from cosim.report.palette import (
    BLACK,
    BLUE,
    CYCLE,
    DASHES,
    GREEN,
    HEAT,
    LEFT,
    ORANGE,
    RIGHT,
    SKY,
    VERMILION,
    add_limit,
    plain_text,
    style_figure,
    title_axes,
)
from cosim.report.plot import Plot, make_panels
from cosim.results.labels import name_place

POINTS = 800
JUDGED = (
    ("vm_pu", "voltage, pu"),
    ("loading_percent", "loading, %"),
    ("vuf_percent", "unbalance, %"),
    ("neutral_v", "neutral to earth, V"),
)
DIGITS = {"vm_pu": 4, "loading_percent": 1, "vuf_percent": 2, "neutral_v": 1}
"""Decimals that are shown of what is judged."""
KINDS = {
    "bus": ("voltage of a bus", ORANGE),
    "line": ("loading of a line", BLUE),
    "trafo": ("loading of a transformer", GREEN),
    "": ("no limit found", BLACK),
}


def draw_loading_duration(
    loading_percent: pd.DataFrame, hours: float, highest: pd.Series, warn_percent: float, full_percent: float
) -> Any:
    """Loading duration curves, %, of the given branches (T, L), and of the highest loading of any branch (T,).

    The first point of a curve is its true maximum; between the ends the curve is thinned.
    """
    figure = Plot()
    curves = [("highest of all", highest)]
    curves += [(plain_text(name[1]), loading_percent[name]) for name in loading_percent.columns]
    for k, (label, values) in enumerate(curves):
        reached, level = make_duration_curve(values, hours)
        figure.add_scatter(
            x=reached,
            y=level,
            name=label,
            mode="lines",
            line={
                "color": BLACK if k == 0 else CYCLE[(k - 1) % 6],
                "width": 2.5 if k == 0 else 1.5,
                "dash": DASHES[max(k - 1, 0) // 6 % 3],
            },
            hovertemplate="%{y:.1f} % or more for %{x:,.2~f} h<extra>%{fullData.name}</extra>",
        )
    add_limit(figure, warn_percent, f"warning {warn_percent:g} %")
    add_limit(figure, full_percent, f"limit {full_percent:g} %")
    figure = style_figure(figure, height=440, x="hours at or above, h", y="loading, %")
    figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"}, margin={"r": 150})
    return figure.update_yaxes(rangemode="tozero")


def draw_voltage_over_distance(
    vm_pu: pd.DataFrame, distance_km: pd.Series, low_pu: float, high_pu: float, pairs: Sequence[tuple[str, str]] = ()
) -> Any:
    """Minimum, 5 %, median, 95 % and maximum of each bus's voltage, pu, over its distance from the grid, km.

    `pairs` are buses that a branch joins: minimum, median and maximum follow the branches as lines.
    """
    known = distance_km.notna() & vm_pu.notna().any().to_numpy()
    place = distance_km[known].sort_values()
    shares = [0.0, 0.05, 0.5, 0.95, 1.0]
    voltages = vm_pu.loc[:, place.index].to_numpy(np.float64)
    quantiles = np.nanquantile(voltages, shares, axis=0) if place.size else np.empty((5, 0))
    figure = Plot()
    looks = (
        ("minimum", VERMILION, "triangle-down"),
        ("5 %", ORANGE, "line-ew-open"),
        ("median", BLACK, "circle"),
        ("95 %", SKY, "line-ew-open"),
        ("maximum", BLUE, "triangle-up"),
    )
    for (label, color, symbol), values in zip(looks, quantiles, strict=True):
        if pairs and "%" not in label:
            figure.add_trace(join_buses(place, values, pairs, color, label))
        figure.add_scatter(
            x=round_values(place, 4),
            y=round_values(values, 5),
            text=[plain_text(bus) for bus in place.index],
            name=label,
            legendgroup=label,
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": 8, "line": {"width": 2, "color": color}},
            hovertemplate="%{text}<br>%{x:.3f} km: %{y:.4f} pu<extra>" + label + "</extra>",
        )
    add_limit(figure, low_pu, f"lowest admissible {low_pu:g} pu")
    add_limit(figure, high_pu, f"highest admissible {high_pu:g} pu")
    return style_figure(figure, height=420, x="path from the external grid, km", y="voltage, pu")


def draw_hour_by_day(
    values: pd.Series, unit: str, digits: int, zone: ZoneInfo | None = None, *, lowest: bool = False
) -> Any:
    """Heat map of a series over days and hours of the day, UTC or those of a time zone: its extreme in each hour."""
    index = pd.DatetimeIndex(values.index).tz_convert(zone or "UTC")
    local = index.tz_localize(None)  # of a clock without offset, which is quicker to cut into days
    clock = "UTC" if zone is None else zone.key
    grouped = values.groupby([local.hour, local.normalize()])
    grid = (grouped.min() if lowest else grouped.max()).unstack()
    figure = Plot().add_heatmap(
        x=[f"{day:%Y-%m-%d}" for day in grid.columns],
        y=grid.index.to_numpy(),
        z=round_values(grid, digits),
        colorscale=get_colorscale(HEAT),
        reversescale=lowest,
        colorbar={"title": {"text": unit}, "thickness": 14},
        hovertemplate="%{x} %{y}:00 " + clock + ": %{z} " + unit + "<extra></extra>",
    )
    figure.update_yaxes(tickvals=[0, 6, 12, 18], showgrid=False)
    figure.update_xaxes(type="date", showgrid=False, **make_day_ticks(index))
    return style_figure(figure, height=260, x="day", y=f"hour, {clock}")


def draw_grid_power(p_grid_kw: pd.Series, hours: float) -> Any:
    """Power from the external grid: its range over time and its duration curve with the reverse hours, kW."""
    step = choose_step(p_grid_kw.index)
    steps = p_grid_kw.resample(step)
    days = steps.mean().index
    figure = make_panels(1, 2, column_widths=[0.6, 0.4], horizontal_spacing=0.1, titles=("over time", "duration curve"))
    highest, lowest, mean = (round_values(values, 3) for values in (steps.max(), steps.min(), steps.mean()))
    if step != "h":
        thin = {"x": days, "line": {"width": 1, "color": SKY}, **LEFT}
        figure.add_scatter(y=highest, name="highest", **thin)
        figure.add_scatter(y=lowest, name="lowest", fill="tonexty", fillcolor="rgba(86,180,233,0.35)", **thin)
    figure.add_scatter(x=days, y=mean, name="mean", line={"color": BLUE}, **LEFT)
    reached, level = make_duration_curve(p_grid_kw, hours)
    figure.add_scatter(x=reached, y=level, name="sorted", line={"color": BLACK}, **RIGHT)
    if (level < 0).any():
        figure.add_scatter(
            x=reached,
            y=np.minimum(level, 0.0),
            name="reverse flow",
            line={"width": 0},
            fill="tozeroy",
            fillcolor="rgba(213,94,0,0.45)",
            **RIGHT,
        )
    figure = style_figure(figure, y="power from the grid, kW", titled=True)
    title_axes(figure, STEPS[step], **LEFT)
    return title_axes(figure, "hours at or above, h", **RIGHT)


def draw_losses(losses_kw: pd.Series, hours: float) -> Any:
    """Losses of the whole feeder by month, or by day of a short run, kWh."""
    code, period = choose_period(losses_kw.index)
    sums = losses_kw.resample(code).sum() * hours
    figure = Plot().add_bar(
        x=sums.index,
        y=round_values(sums, 2),
        marker={"color": BLUE},
        name="losses",
        hovertemplate="%{y:,.1f} kWh<extra></extra>",
    )
    figure.update_xaxes(**make_day_ticks(losses_kw.index))
    return style_figure(figure, height=300, x=period, y=f"losses, kWh a {period}", showlegend=False)


def draw_before_and_after(paired: pd.DataFrame) -> Any:
    """Worst voltage, pu, loading and unbalance, %, of each interval that was not clean: as cleared and as settled."""
    present = [(name, title) for name, title in JUDGED if (paired["quantity"] == name).any()]
    spacing = 0.2 if len(present) < len(JUDGED) else 0.12
    figure = make_panels(max(1, len(present)), 1, share_x=True, vertical_spacing=spacing)
    for row, (quantity, title) in enumerate(present, start=1):
        worst = _find_worst(paired[paired["quantity"] == quantity])
        digits = DIGITS[quantity]
        places = [name_place({"bus": name, "phase": p}) for name, p in zip(worst["name"], worst["phase"], strict=True)]
        for column, label, color, symbol in (
            ("value", "as cleared", ORANGE, "circle-open"),
            ("settled", "as settled", BLUE, "circle"),
        ):
            figure.add_scatter(
                x=worst["time"],
                y=worst[column].round(digits + 2),
                text=[plain_text(place) for place in places],
                name=label,
                legendgroup=label,
                showlegend=row == 1,
                mode="markers",
                marker={"color": color, "symbol": symbol, "size": 6},
                hovertemplate=f"%{{text}}: %{{y:.{digits}f}}<extra>{label}</extra>",
                row=row,
                col=1,
            )
        for limit in sorted(set(worst["limit"])):
            add_limit(figure, limit, row=row, col=1)
        title_axes(figure, y=title, row=row, col=1)
    figure = style_figure(figure, height=140 + 260 * max(1, len(present)))
    return title_axes(figure, "time, UTC").update_xaxes(showticklabels=True)


def _find_worst(violations: pd.DataFrame) -> pd.DataFrame:
    """The row furthest beyond its limit of each interval; of many intervals the worst ones."""
    ordered = violations.assign(excess=(violations["value"] - violations["limit"]).abs())
    ordered = ordered.sort_values("excess", ascending=False, kind="stable").drop_duplicates("time")
    return ordered.head(POINTS).sort_values("time")


def draw_hosting(houses: pd.DataFrame, distance_km: pd.Series) -> Any:
    """Largest PV, kW, of each house over its distance, km, one colour for each kind of limit that binds."""
    figure = Plot()
    for kind, group in houses.groupby("element_type", sort=True):
        label, color = KINDS.get(str(kind), (str(kind), CYCLE[0]))
        figure.add_scatter(
            x=round_values(distance_km.reindex(group["bus"]), 4),
            y=round_values(group["largest_kw"], 3),
            text=[plain_text(house) for house in group["house"]],
            name=label,
            mode="markers",
            marker={"size": 9, "color": color, "symbol": "circle" if kind == "bus" else "square"},
            hovertemplate="%{text}<br>%{x:.3f} km: %{y:.1f} kW<extra>" + label + "</extra>",
        )
    figure = style_figure(figure, height=340, x="path from the external grid, km", y="largest PV, kW", showlegend=True)
    return figure.update_yaxes(rangemode="tozero")
