"""Figures of an unbalanced run: voltages of phases along the feeder, unbalance, currents of neutrals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cosim.report.figures.sampling import make_duration_curve, round_values
from cosim.report.figures.topology import join_buses
from cosim.report.palette import CONDUCTOR_COLORS, LEFT, PURPLE, RIGHT, add_limit, plain_text, style_figure, title_axes
from cosim.report.plot import Spec, make_panels
from cosim.results.labels import describe_conductor


def draw_phases_over_distance(
    voltages: Mapping[str, pd.DataFrame],
    distance_km: pd.Series,
    low_pu: float,
    high_pu: float,
    pairs: Sequence[tuple[str, str]] = (),
) -> Any:
    """Range and median of each bus's voltage, pu, over its distance from the grid, km: a panel for each phase.

    Parameters
    ----------
    voltages
        (T, B) pu by phase.
    distance_km
        (B,) by the bus's name; buses without a distance, or always without supply, are left out.
    low_pu, high_pu
        Limits to draw.
    pairs
        Buses that a branch joins: lowest, median and highest voltages follow the branches as lines.
    """
    titles = [describe_conductor(phase) for phase in voltages]
    figure = make_panels(1, len(voltages), share_y=True, horizontal_spacing=0.03, titles=titles)
    for k, (phase, frame) in enumerate(voltages.items(), start=1):
        for trace in _make_ranges(phase, frame, distance_km, pairs):
            figure.add_trace(trace, row=1, col=k)
        named = k == 1
        add_limit(figure, low_pu, f"lowest admissible {low_pu:g} pu" if named else None, row=1, col=k)
        add_limit(figure, high_pu, f"highest admissible {high_pu:g} pu" if named else None, row=1, col=k)
    figure = style_figure(figure, height=440, x="path from the grid, km", titled=True, showlegend=False)
    figure.update_layout(margin={"t": 50})
    return title_axes(figure, y="voltage of a phase, pu", **LEFT)


def _make_ranges(
    phase: str, vm_pu: pd.DataFrame, distance_km: pd.Series, pairs: Sequence[tuple[str, str]]
) -> list[Spec]:
    """Markers at the median of each bus, with a bar from lowest to highest voltage, and lines along branches."""
    known = distance_km.notna() & vm_pu.notna().any().to_numpy()
    place = distance_km[known].sort_values()
    values = vm_pu.loc[:, place.index].to_numpy(np.float64)
    low, median, high = np.nanquantile(values, [0.0, 0.5, 1.0], axis=0) if place.size else np.empty((3, 0))
    bar = {"array": round_values(high - median, 5), "arrayminus": round_values(median - low, 5)}
    lines = [join_buses(place, values, pairs, CONDUCTOR_COLORS[phase], phase) for values in (low, median, high)]
    ranges = {
        "type": "scatter",
        "x": round_values(place, 4),
        "y": round_values(median, 5),
        "error_y": {**bar, "width": 3, "thickness": 1.5},
        "customdata": np.stack([round_values(low, 5), round_values(high, 5)], axis=1),
        "text": [plain_text(bus) for bus in place.index],
        "name": describe_conductor(phase),
        "mode": "markers",
        "marker": {"color": CONDUCTOR_COLORS[phase], "size": 6},
        "hovertemplate": "%{text}<br>%{x:.3f} km: %{customdata[0]:.4f} to %{customdata[1]:.4f} pu, median %{y:.4f} pu"
        f"<extra>{describe_conductor(phase)}</extra>",
    }
    return [ranges, *(lines if pairs else [])]


def draw_unbalance_duration(
    vuf_percent: pd.Series, highest: Mapping[str, pd.Series], hours: float, max_vuf_percent: float, full_percent: float
) -> Any:
    """Duration curves: of the largest unbalance of any bus, and of the highest loading of any line's conductors, %.

    Parameters
    ----------
    vuf_percent
        (T,) largest unbalance.
    highest
        (T,) highest loading by conductor, of the neutral and of the phases beside it; none where there is no line.
    hours
        Length of an interval, h.
    max_vuf_percent, full_percent
        Limits to draw.
    """
    figure = make_panels(1, 2, horizontal_spacing=0.1, titles=("unbalance (VUF)", "loading of lines"))
    figure.add_trace(_make_curve("largest of all buses", vuf_percent, hours, PURPLE, 2.5), **LEFT)
    for conductor, values in highest.items():
        name, width = describe_conductor(conductor), 3.0 if conductor == "n" else 1.5
        figure.add_trace(_make_curve(name, values, hours, CONDUCTOR_COLORS[conductor], width), **RIGHT)
    add_limit(figure, max_vuf_percent, f"limit {max_vuf_percent:g} %", **LEFT)
    add_limit(figure, full_percent, f"limit {full_percent:g} %", **RIGHT)
    figure = style_figure(figure, height=400, x="hours at or above, h", titled=True)
    title_axes(figure, y="unbalance, %", **LEFT)
    return title_axes(figure, y="highest loading, %", **RIGHT).update_yaxes(rangemode="tozero")


def _make_curve(name: str, values: pd.Series, hours: float, color: str, width: float) -> Spec:
    reached, level = make_duration_curve(values, hours)
    return {
        "type": "scatter",
        "x": reached,
        "y": level,
        "name": name,
        "mode": "lines",
        "line": {"color": color, "width": width},
        "hovertemplate": "%{y:.2f} % or more for %{x:,.2~f} h<extra>%{fullData.name}</extra>",
    }
