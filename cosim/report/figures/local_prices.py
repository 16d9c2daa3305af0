"""Local prices over the feeder: the price of every node by colour at its place, one interval at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cosim.report.figures.feeder_map import width_over_height
from cosim.report.figures.topology import ELONGATED, find_places
from cosim.report.palette import BLACK, HEAT, PALE, plain_text, style_figure
from cosim.results.local_time import show_time

MOST_INTERVALS = 24
"""Intervals shown: of more, those with the widest range of prices."""
OF_PHASES = {"a": -1.0, "b": 0.0, "c": 1.0}
"""Phases of a bus stand side by side, in this order from left to right."""
APART = 0.009
"""Distance between them, as a share of the width of the drawing."""


def draw_local_prices(table: pd.DataFrame, net: Any) -> go.Figure:
    """Drawing of the feeder with the prices of its nodes, EUR/kWh, and a slider over intervals.

    Parameters
    ----------
    table
        Of `cosim.prices.local_prices.LocalPrices`.
    net
        Its pandapower net.
    """
    places, to_scale = find_places(net)
    figure = go.Figure()
    figure.add_trace(_make_branches(net, places))
    times = _choose_times(table)
    chosen = [table[table["time"] == time] for time in times]
    for k, rows in enumerate(chosen):
        figure.add_trace(_make_nodes(rows, places).update(visible=k == 0))
    steps = [
        {
            "label": show_time(time),
            "method": "restyle",
            "args": ["visible", [k == shown for k in range(len(times))], list(range(1, len(times) + 1))],
        }
        for shown, time in enumerate(times)
    ]
    figure = style_figure(figure, height=640, hovermode="closest")
    slider = {
        "active": 0,
        "steps": steps,
        "currentvalue": {"prefix": "shown: ", "font": {"color": BLACK, "size": 14}},
        "pad": {"t": 20},
        "font": {"color": "rgba(0,0,0,0)", "size": 1},  # the labels of all steps would overlap
    }
    phases = " (phases a, b, c of a bus from left to right)" if (table["phase"] != "").any() else ""
    figure.update_layout(
        title=f"Local prices: energy, losses and congestion{phases}",
        sliders=[slider] if len(times) > 1 else [],
        margin={"l": 20, "r": 20, "b": 60, "t": 60},
        plot_bgcolor="white",
    )
    if len(times) == 1:
        figure.update_layout(title_subtitle_text=show_time(times[0]))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    if to_scale and width_over_height(places) < ELONGATED:
        figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return figure


def _choose_times(table: pd.DataFrame) -> list[pd.Timestamp]:
    """Times of the intervals shown, the one with the widest range of prices first."""
    of_times = table.groupby("time")["price_ueur_per_kwh"]
    widths = (of_times.max() - of_times.min()).sort_values(ascending=False, kind="stable")
    return [pd.Timestamp(time) for time in widths.index[:MOST_INTERVALS]]


def _make_branches(net: Any, places: pd.DataFrame) -> Any:
    """Lines and transformers in service."""
    line, trafo = (frame[frame["in_service"].astype(bool)] for frame in (net.line, net.trafo))
    first = places.loc[[*line.from_bus, *trafo.hv_bus]].to_numpy(np.float64)
    second = places.loc[[*line.to_bus, *trafo.lv_bus]].to_numpy(np.float64)
    points = np.stack([first, second, np.full_like(first, np.nan)], axis=1)
    return go.Scatter(
        x=points[:, :, 0].reshape(-1),
        y=points[:, :, 1].reshape(-1),
        mode="lines",
        line={"color": PALE, "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )


def _make_nodes(rows: pd.DataFrame, places: pd.DataFrame) -> Any:
    """The nodes of an interval, coloured by their price."""
    width = float(places["x"].max() - places["x"].min()) or 1.0
    at = places.loc[rows["bus"]].to_numpy(np.float64)
    shift = rows["phase"].map(OF_PHASES).fillna(0.0).to_numpy(np.float64) * APART * width
    eur = {part: rows[f"{part}_ueur_per_kwh"].to_numpy(np.float64) / 1e6 for part in ("price", "energy", "loss")}
    eur["congestion"] = rows["congestion_ueur_per_kwh"].to_numpy(np.float64) / 1e6
    texts = [
        _describe(row["node"], row["phase"], row["binding"], {part: float(eur[part][k]) for part in eur})
        for k, row in enumerate(rows.to_dict(orient="records"))
    ]
    return go.Scatter(
        x=at[:, 0] + shift,
        y=at[:, 1],
        text=texts,
        mode="markers",
        showlegend=False,
        marker={
            "size": 11,
            "color": eur["price"],
            "colorscale": HEAT,
            "line": {"color": "white", "width": 1},
            "colorbar": {"title": {"text": "EUR/kWh"}, "thickness": 14},
        },
        hovertemplate="%{text}<extra></extra>",
    )


def _describe(node: str, phase: str, binding: str, eur: dict[str, float]) -> str:
    """A node's price and its parts."""
    where = f", phase {phase}" if phase in OF_PHASES else ""
    parts = ", ".join(f"{part} {eur[part]:.4f}" for part in ("energy", "loss", "congestion"))
    limit = f"<br>{plain_text(binding)}" if binding else ""
    return f"{plain_text(node)}{where}: {eur['price']:.4f} EUR/kWh<br>{parts}{limit}"
