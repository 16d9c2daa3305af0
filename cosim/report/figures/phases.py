"""Figures of an unbalanced run: voltages of phases along the feeder, unbalance, currents of neutrals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cosim.report.figures.sampling import make_duration_curve, round_values
from cosim.report.palette import BLACK, CONDUCTOR_COLORS, PURPLE, add_limit, plain_text, style_figure
from cosim.results.labels import describe_conductor

APART = 0.006
"""Distance between the bars of one bus, as a share of the length of the axis."""


def draw_phases_over_distance(
    voltages: Mapping[str, pd.DataFrame], distance_km: pd.Series, low_pu: float, high_pu: float
) -> Any:
    """Range and median of each bus's voltage in each phase, pu, over its distance from the grid, km.

    The phases of a bus are drawn side by side; the distance that is shown is the true one.

    Parameters
    ----------
    voltages
        (T, B) pu by phase.
    distance_km
        (B,) by the bus's name; buses without a distance, or always without supply, are left out.
    low_pu, high_pu
        Limits to draw.
    """
    figure = go.Figure()
    for k, (phase, frame) in enumerate(voltages.items()):
        known = distance_km.notna() & frame.notna().any().to_numpy()
        place = distance_km[known].sort_values()
        aside = (k - (len(voltages) - 1) / 2) * APART * float(place.max()) if place.size else 0.0
        values = frame.loc[:, place.index].to_numpy(np.float64)
        low, median, high = np.nanquantile(values, [0.0, 0.5, 1.0], axis=0) if place.size else np.empty((3, 0))
        figure.add_scatter(
            x=round_values(place + aside, 4),
            y=round_values(median, 5),
            error_y={"array": round_values(high - median, 5), "arrayminus": round_values(median - low, 5), "width": 3},
            customdata=np.stack([round_values(values, 5) for values in (place, low, high)], axis=1),
            text=[plain_text(bus) for bus in place.index],
            name=describe_conductor(phase),
            mode="markers",
            marker={"color": CONDUCTOR_COLORS[phase], "size": 6},
            hovertemplate="%{text}<br>%{customdata[0]:.3f} km: %{customdata[1]:.4f} to %{customdata[2]:.4f} pu, "
            f"median %{{y:.4f}} pu<extra>{describe_conductor(phase)}</extra>",
        )
    add_limit(figure, low_pu, f"lowest admissible {low_pu:g} pu")
    add_limit(figure, high_pu, f"highest admissible {high_pu:g} pu")
    return style_figure(figure, height=460, x="path from the external grid, km", y="voltage of a phase, pu")


def draw_unbalance_duration(vuf_percent: pd.Series, hours: float, limit_percent: float) -> Any:
    """Duration curve of the largest voltage unbalance of any bus, %, (T,), with its limit."""
    figure = go.Figure()
    reached, level = make_duration_curve(vuf_percent, hours)
    figure.add_scatter(
        x=reached,
        y=level,
        name="largest of all buses",
        mode="lines",
        line={"color": PURPLE, "width": 2.5},
        hovertemplate="%{y:.2f} % or more for %{x:,.2~f} h<extra></extra>",
    )
    add_limit(figure, limit_percent, f"limit {limit_percent:g} %")
    figure = style_figure(figure, height=340, x="hours at or above, h", y="unbalance (VUF), %", showlegend=False)
    return figure.update_yaxes(rangemode="tozero")


def draw_neutral_duration(highest: Mapping[str, pd.Series], hours: float, full_percent: float) -> Any:
    """Duration curves of the highest loading of any line, %, (T,): of the neutral, and of each phase beside it."""
    figure = go.Figure()
    for conductor, values in highest.items():
        reached, level = make_duration_curve(values, hours)
        thick = conductor == "n"
        figure.add_scatter(
            x=reached,
            y=level,
            name=describe_conductor(conductor),
            mode="lines",
            line={"color": CONDUCTOR_COLORS.get(conductor, BLACK), "width": 3 if thick else 1.5},
            hovertemplate="%{y:.1f} % or more for %{x:,.2~f} h<extra>%{fullData.name}</extra>",
        )
    add_limit(figure, full_percent, f"limit {full_percent:g} %")
    figure = style_figure(figure, height=380, x="hours at or above, h", y="loading of a line, %")
    return figure.update_yaxes(rangemode="tozero")
