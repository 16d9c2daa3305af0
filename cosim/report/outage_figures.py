"""What an outage looked like: supply by source, charge and hydrogen, frequency, served load; a pure function each.

All of them take rows of the table `outage_intervals`; `outages` cuts a run's into one frame per outage.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cosim.report.elements import Figure
from cosim.report.palette import (
    BLACK,
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    add_limit,
    legend_above_titles,
    styled,
)
from cosim.report.sampling import rounded
from grid_models.frequency import BAND_HZ, NOMINAL_HZ

SOURCES = {
    "pv_wh": ("PV", YELLOW),
    "fuel_cell_wh": ("fuel cells", GREEN),
    "discharge_wh": ("out of batteries", BLUE),
    "imported_wh": ("from the grid", GREY),
}
SINKS = {"charge_wh": ("into batteries", SKY), "losses_wh": ("losses", PURPLE)}
WH_PER_KWH = 1000.0


def outages(outage_intervals: pd.DataFrame, hours: float) -> list[pd.DataFrame]:
    """Rows of each outage, by time: the parts without the grid, cut where the network was whole in between.

    Parameters
    ----------
    outage_intervals
        The table of that name, time as a column.
    hours
        Length of an interval.
    """
    alone = outage_intervals[outage_intervals["supply"] != "grid"].set_index("time").sort_index(kind="stable")
    index = pd.DatetimeIndex(alone.index)
    number = (index.to_series().diff() > pd.Timedelta(hours=hours)).cumsum().to_numpy()
    return [group for _, group in alone.groupby(number)]


def supply(parts: pd.DataFrame, hours: float) -> Any:
    """Energy of each interval stacked by source, kWh, what was not served on top, storage and losses below zero."""
    total = parts.groupby(level=0).sum(numeric_only=True) / WH_PER_KWH
    width_ms = hours * 3.6e6
    figure = go.Figure()
    bars: list[tuple[str, str, pd.Series, str]] = [
        (name, color, total[column], "") for column, (name, color) in SOURCES.items() if total[column].any()
    ]
    bars.append(("not served", PALE, total["load_wh"] - total["served_wh"], "/"))
    bars += [(name, color, -total[column], "") for column, (name, color) in SINKS.items()]
    for name, color, values, pattern in bars:
        figure.add_bar(
            x=total.index,
            y=rounded(values, 3),
            name=name,
            width=width_ms,
            offset=0,
            marker={
                "color": color,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fgcolor": VERMILION},
            },
            hovertemplate="%{x|%d %b %H:%M}: %{y:.2f} kWh<extra>" + name + "</extra>",
        )
    for name, column, dash in (
        ("load asked for", "load_wh", "solid"),
        ("of it critical", "critical_wh", "dot"),
    ):
        x, y = _steps(total[column], hours)
        figure.add_scatter(
            x=x, y=rounded(y, 3), name=name, line={"color": BLACK, "dash": dash, "shape": "hv"}
        )
    figure.update_layout(barmode="relative", bargap=0)
    return styled(figure, height=440, x="time, UTC", y="energy per interval, kWh")


def charge_and_hydrogen(parts: pd.DataFrame, hours: float) -> Any:
    """State of charge of each part's batteries, %, above the hydrogen left in its tanks, kg, at the intervals' ends."""
    figure = make_subplots(
        2,
        1,
        shared_xaxes=True,
        vertical_spacing=0.12,
        subplot_titles=("state of charge", "hydrogen in the tanks"),
    )
    several = parts["part"].nunique() > 1
    for k, (number, group) in enumerate(parts.groupby("part")):
        ends = pd.DatetimeIndex(group.index) + pd.Timedelta(hours=hours)
        for row, column, factor in ((1, "soc", 100.0), (2, "hydrogen_kg", 1.0)):
            figure.add_scatter(
                x=ends,
                y=rounded(group[column].astype(float) * factor, 3),
                name=f"part {number}" if several else ("batteries" if row == 1 else "tanks"),
                mode="lines+markers",
                marker={"size": 5},
                line={"color": CYCLE[k % len(CYCLE)] if several else (BLUE if row == 1 else GREEN)},
                showlegend=several and row == 1,
                row=row,
                col=1,
            )
    figure = legend_above_titles(styled(figure, height=480)) if several else styled(figure, height=480)
    figure.update_yaxes(title_text="charge, %", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="hydrogen, kg", rangemode="tozero", row=2, col=1)
    return figure.update_xaxes(title_text="time, UTC", row=2, col=1)


def frequency(parts: pd.DataFrame, hours: float) -> Any:
    """Droop frequency of each island, Hz, against its band; none where a part is dark."""
    figure = go.Figure()
    several = parts["part"].nunique() > 1
    for k, (number, group) in enumerate(parts.groupby("part")):
        x, y = _steps(group["frequency_hz"].astype(float), hours)
        figure.add_scatter(
            x=x,
            y=rounded(y, 4),
            name=f"part {number}",
            line={"color": CYCLE[k % len(CYCLE)], "shape": "hv"},
            showlegend=several,
            hovertemplate="%{x|%d %b %H:%M}: %{y:.3f} Hz<extra></extra>",
        )
    add_limit(figure, BAND_HZ[0], f"lowest of the band {BAND_HZ[0]:g} Hz")
    add_limit(figure, BAND_HZ[1], f"highest of the band {BAND_HZ[1]:g} Hz")
    figure.add_hline(y=NOMINAL_HZ, line={"color": GREY, "width": 1})
    return styled(figure, height=340, x="time, UTC", y="frequency, Hz")


def served_by_priority(parts: pd.DataFrame, hours: float) -> Any:
    """Share of critical and of other load served in each interval, %; the legend says it for the whole outage."""
    total = parts.groupby(level=0).sum(numeric_only=True)
    figure = go.Figure()
    load = {"critical load": total["critical_wh"], "other load": total["load_wh"] - total["critical_wh"]}
    served = {
        "critical load": total["critical_served_wh"],
        "other load": total["served_wh"] - total["critical_served_wh"],
    }
    for name, color in (("critical load", VERMILION), ("other load", ORANGE)):
        share = 100.0 * served[name] / load[name].where(load[name] > 0)
        overall = 100.0 * served[name].sum() / max(load[name].sum(), 1)
        x, y = _steps(share, hours)
        figure.add_scatter(
            x=x,
            y=rounded(y, 2),
            name=f"{name}, {overall:.1f} % over all",
            line={"color": color, "shape": "hv", "width": 2.5},
            hovertemplate="%{x|%d %b %H:%M}: %{y:.1f} %<extra>" + name + "</extra>",
        )
    figure.update_yaxes(range=[0, 118], tickvals=[0, 25, 50, 75, 100])
    return styled(figure, height=340, x="time, UTC", y="served, %")


def with_answers(figure: Any, registrations: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> Any:
    """The figure with a line wherever a device was answered between `begin` and `end`.

    Parameters
    ----------
    figure
        Over time.
    registrations
        The table of that name, time as a column.
    begin, end
        Of the outage.
    """
    inside = registrations[(registrations["time"] >= begin) & (registrations["time"] < end)]
    for time, group in inside.groupby("time"):
        words = "<br>".join(f"{d}: {a}" for d, a in zip(group["device"], group["answer"], strict=True))
        figure.add_vline(x=time, line={"color": BLACK, "dash": "dot", "width": 1})
        figure.add_annotation(
            x=time,
            y=1,
            yref="paper",
            text=words,
            showarrow=False,
            xanchor="left",
            yanchor="top",
            font={"size": 11},
            bgcolor="rgba(255,255,255,0.8)",
        )
    return figure


def outage_figures(outage_intervals: pd.DataFrame, registrations: pd.DataFrame, hours: float) -> list[Figure]:
    """The four figures of every outage, with their captions.

    Parameters
    ----------
    outage_intervals, registrations
        The tables of these names, times as columns.
    hours
        Length of an interval.
    """
    found = []
    for number, parts in enumerate(outages(outage_intervals, hours), start=1):
        index = pd.DatetimeIndex(parts.index)
        begin, end = index[0], index[-1] + pd.Timedelta(hours=hours)
        when = f"outage of {begin:%Y-%m-%d %H:%M} UTC, {(end - begin).total_seconds() / 3600:g} h"
        drawn = (
            ("supply", "Supply by source and load, kWh per interval", supply(parts, hours)),
            ("charge", "State of charge, %, and hydrogen left, kg", charge_and_hydrogen(parts, hours)),
            ("frequency", "Droop frequency, Hz", frequency(parts, hours)),
            ("served", "Load served by priority, %", served_by_priority(parts, hours)),
        )
        for key, caption, figure in drawn:
            marked = with_answers(figure, registrations, begin, end)
            found.append(Figure(f"outage-{number}-{key}", f"{caption}; {when}.", marked))
    return found


def _steps(values: pd.Series, hours: float) -> tuple[pd.Index, npt.NDArray[np.float64]]:
    """Begin of every interval and the end of the last, so that a stepped line covers the last interval, too."""
    index = pd.DatetimeIndex(values.index)
    last = index[-1:] + pd.Timedelta(hours=hours)
    return index.append(last), np.append(values.to_numpy(np.float64), values.iloc[-1])
