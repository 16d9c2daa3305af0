"""Figures of outages: supply, load by priority, stored energy and frequency; a column of axes for each outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.report.figures.sampling import round_values
from cosim.report.palette import (
    BLACK,
    BLUE,
    CYCLE,
    DASHES,
    GREEN,
    ORANGE,
    SKY,
    VERMILION,
    add_limit,
    style_figure,
    title_axes,
)
from cosim.report.plot import Plot, make_panels
from grid_models.devices.frequency import BAND_HZ

SUPPLY = (("pv_wh", "PV", ORANGE), ("fuel_cell_wh", "fuel cells", SKY), ("discharge_wh", "batteries", GREEN))
LOADS = (("load_wh", "load asked for", "dot"), ("served_wh", "load served", "solid"))
STORES = (("soc", "state of charge, %", 100.0), ("hydrogen_kg", "hydrogen, kg", 1.0))
MS_PER_HOUR = 3.6e6


class Spell(NamedTuple):
    """An outage: its title, and the rows of `outage_intervals` of all parts without the grid."""

    title: str
    rows: pd.DataFrame


def draw_supply(spells: Sequence[Spell], hours: float) -> Any:
    """Mean power that the islands were supplied with, by source, stacked, and the load asked for and served, kW."""
    figure = _make_columns(spells)
    for column, spell in enumerate(spells, start=1):
        total = spell.rows.groupby("time").sum(numeric_only=True)
        for name, label, color in SUPPLY:
            if name in total:
                _add_bars(figure, total[name] / (1000.0 * hours), label, color, column, hours)
        for name, label, dash in LOADS:
            steps = round_values(total[name] / (1000.0 * hours), 3)
            figure.add_scatter(
                x=pd.DatetimeIndex([*total.index, total.index[-1] + pd.Timedelta(hours=hours)]),
                y=np.append(steps, steps[-1]),
                name=label,
                legendgroup=label,
                showlegend=column == 1,
                mode="lines",
                line={"color": BLACK, "dash": dash, "shape": "hv", "width": 2},
                hovertemplate="%{y:.2f} kW<extra>" + label + "</extra>",
                row=1,
                col=column,
            )
    return _finish(figure, "mean power, kW", 400)


def draw_priorities(spells: Sequence[Spell], hours: float) -> Any:
    """Mean load of houses without the grid by priority, served and shed, stacked, kW."""
    figure = _make_columns(spells)
    for column, spell in enumerate(spells, start=1):
        total = spell.rows.groupby("time").sum(numeric_only=True) / (1000.0 * hours)
        critical_shed = total["critical_wh"] - total["critical_served_wh"]
        for values, label, color in (
            (total["critical_served_wh"], "critical, served", BLUE),
            (total["served_wh"] - total["critical_served_wh"], "other, served", SKY),
            (critical_shed, "critical, shed", VERMILION),
            (total["load_wh"] - total["served_wh"] - critical_shed, "other, shed", ORANGE),
        ):
            _add_bars(figure, values, label, color, column, hours)
    return _finish(figure, "load, kW", 360)


def draw_stores(spells: Sequence[Spell]) -> Any:
    """State of charge, %, and hydrogen, kg, of each part at the end of the intervals; None where there is neither."""
    quantities = [quantity for quantity in STORES if _has_values(spells, quantity[0])]
    if not quantities:
        return None
    return _draw_by_part(spells, quantities, 150 + 190 * len(quantities)).update_yaxes(rangemode="tozero")


def draw_frequency(spells: Sequence[Spell]) -> Any:
    """Frequency of each island by droop, Hz, with its band; None where no island had one."""
    if not _has_values(spells, "frequency_hz"):
        return None
    figure = _draw_by_part(spells, [("frequency_hz", "frequency, Hz", 1.0)], 340)
    for limit in BAND_HZ:
        add_limit(figure, limit)
    return figure


def _has_values(spells: Sequence[Spell], name: str) -> bool:
    return any(name in spell.rows and spell.rows[name].notna().any() for spell in spells)


def _draw_by_part(spells: Sequence[Spell], quantities: Sequence[tuple[str, str, float]], height: int) -> Any:
    """One row of axes per quantity, one line per part of the network."""
    figure = _make_columns(spells, len(quantities))
    parts = sorted({int(part) for spell in spells for part in spell.rows["part"]})
    colors = [CYCLE[k % len(CYCLE)] for k in range(len(parts))]
    for column, spell in enumerate(spells, start=1):
        for k, part in enumerate(parts):
            rows, label = spell.rows[spell.rows["part"] == part], f"island {part + 1}"
            for row, (name, _, factor) in enumerate(quantities, start=1):
                figure.add_scatter(
                    x=rows["time"],
                    y=round_values(rows[name] * factor, 3),
                    name=label,
                    legendgroup=label,
                    showlegend=False,
                    mode="lines+markers",
                    marker={"size": 4},
                    line={"color": colors[k], "dash": DASHES[k % 3]},
                    hovertemplate="%{y:.2f}<extra>" + label + "</extra>",
                    row=row,
                    col=column,
                )
    for part, color in zip(parts, colors, strict=True) if len(parts) > 1 else ():
        label = f"island {part + 1}"
        figure.add_scatter(x=[None], y=[None], name=label, legendgroup=label, line={"color": color})
    for row, (_, title, _) in enumerate(quantities, start=1):
        title_axes(figure, y=title, row=row, col=1)
    figure = style_figure(figure, height=height, titled=len(parts) > 1)
    return title_axes(figure, "time, UTC", row=len(quantities))


def _make_columns(spells: Sequence[Spell], rows: int = 1) -> Plot:
    return make_panels(
        rows,
        len(spells),
        share_y=True,
        share_x=True,
        horizontal_spacing=0.05,
        vertical_spacing=0.08,
        titles=[spell.title for spell in spells],
    )


def _add_bars(figure: Any, values: pd.Series, label: str, color: str, column: int, hours: float) -> None:
    """Bars as wide as their intervals, which begin at the times that the axis shows."""
    figure.add_bar(
        x=values.index,
        y=round_values(values, 3),
        offset=0,
        width=hours * MS_PER_HOUR,
        name=label,
        legendgroup=label,
        showlegend=column == 1,
        marker={"color": color, "line": {"width": 0}},
        hovertemplate="%{y:.2f} kW<extra>" + label + "</extra>",
        row=1,
        col=column,
    )


def _finish(figure: Any, title: str, height: int) -> Any:
    figure = style_figure(figure, height=height, titled=True, barmode="stack", bargap=0.0)
    title_axes(figure, y=title, col=1)
    return title_axes(figure, "time, UTC")
