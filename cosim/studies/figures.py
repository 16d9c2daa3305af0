"""Figures of studies as HTML pages that need no network: the reference table as bars, sweeps as heat maps."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

NARROWEST_PX = 860
"""Below it titles are cut off, and phases of one bus lie upon one another."""

HEAT_MAPS = {
    "grid_wh": ("from grid", "MWh", 1e-6),
    "wasted_wh": ("wasted", "MWh", 1e-6),
    "shared_wh": ("shared", "MWh", 1e-6),
    "earned_sharing_eur": ("earned from sharing", "EUR", 1.0),
}
AXIS_TITLES = {
    "tau_hours": "life of a lot τ, h",
    "beta": "share used at once β",
    "production_ratio": "generation over demand without cars and heat pumps",
    "battery_kwh": "battery capacity of every house, kWh",
    "mechanism": "mechanism",
}
BARS = {"grid_wh": "from grid", "wasted_wh": "wasted", "shared_wh": "shared"}
# Okabe and Ito's palette, distinguishable with every common colour vision.
PUBLISHED, OURS = "#E69F00", "#0072B2"
OF_VARIANTS = ("0, 114, 178", "213, 94, 0", "0, 158, 115")
"""Of the same palette, red, green and blue."""


def make_page(figure: Any) -> str:
    """A figure as a page of its own, plotly included; a window too narrow for its labels scrolls."""
    return str(figure.to_html(include_plotlyjs=True, full_html=True, default_width=f"max(100%, {NARROWEST_PX}px)"))


def draw_reference(published: pd.DataFrame, ours: pd.DataFrame) -> str:
    """Published and computed energies of the five markets, MWh, with the spread over seeds."""
    figure = make_subplots(1, len(BARS), subplot_titles=list(BARS.values()))
    order = list(published.index)
    for k, column in enumerate(BARS, start=1):
        grouped = ours.groupby("mechanism")[column].agg(["mean", "std"]).reindex(order).fillna(0.0) / 1e6
        place = {"x": order, "showlegend": k == 1, "row": 1, "col": k}
        figure.add_bar(y=published[column] / 1e6, name="published", marker_color=PUBLISHED, **place)
        name, spread = "ours, mean and standard deviation", {"array": grouped["std"]}
        figure.add_bar(y=grouped["mean"], error_y=spread, name=name, marker_color=OURS, **place)
        figure.update_yaxes(title_text="MWh in four years", row=1, col=k)
    figure.update_layout(
        title="The reference study: published and computed",
        template="plotly_white",
        barmode="group",
        height=520,
    )
    return make_page(figure)


def draw_heat_maps(means: pd.DataFrame, x: str, y: str) -> str:
    """Heat maps of a sweep's means over its two axes."""
    figure = make_subplots(
        2,
        2,
        subplot_titles=[f"{label}, {unit}" for label, unit, _ in HEAT_MAPS.values()],
        vertical_spacing=0.16,
    )
    for k, (column, (_, unit, scale)) in enumerate(HEAT_MAPS.items()):
        row, col = k // 2 + 1, k % 2 + 1
        grid = means.pivot(index=y, columns=x, values=column) * scale
        figure.add_trace(
            go.Heatmap(
                x=[str(value) for value in grid.columns],
                y=[str(value) for value in grid.index],
                z=grid.to_numpy(),
                text=grid.round(1).to_numpy(),
                texttemplate="%{text}",
                colorscale="Cividis",
                showscale=False,
                hovertemplate=f"%{{y}}, %{{x}}: %{{z:.2f}} {unit}<extra></extra>",
            ),
            row=row,
            col=col,
        )
        figure.update_xaxes(title_text=AXIS_TITLES[x], type="category", row=row, col=col)
        figure.update_yaxes(title_text=AXIS_TITLES[y], type="category", row=row, col=col)
    figure.update_layout(template="plotly_white", height=900)
    return make_page(figure)


def draw_survival(curves: pd.DataFrame) -> str:
    """Curves of survival by length of the outage, critical load beside all load, with bands of 95 % confidence."""
    titles = {"critical": "all critical load served", "all": "all load served"}
    figure = make_subplots(1, len(titles), subplot_titles=list(titles.values()), shared_yaxes=True)
    for k, (name, of_variant) in enumerate(curves.groupby("variant", sort=False)):
        colour = OF_VARIANTS[k % len(OF_VARIANTS)]
        for col, key in enumerate(titles, start=1):
            hours = of_variant["hours"]
            place = {"row": 1, "col": col, "legendgroup": name}
            band = {"line_width": 0, "hoverinfo": "skip", "showlegend": False, **place}
            figure.add_scatter(x=hours, y=of_variant[f"{key}_high"], mode="lines", **band)
            fill = {"fill": "tonexty", "fillcolor": f"rgba({colour}, 0.2)"}
            figure.add_scatter(x=hours, y=of_variant[f"{key}_low"], mode="lines", **fill, **band)
            line = {"name": name, "line_color": f"rgb({colour})", "showlegend": col == 1}
            figure.add_scatter(x=hours, y=of_variant[key], mode="lines", **line, **place)
    figure.update_xaxes(title_text="length of the outage, h", rangemode="tozero")
    figure.update_yaxes(title_text="share of outages", range=[0, 1.02], row=1, col=1)
    figure.update_layout(title="Survival without the grid", template="plotly_white", height=520)
    return make_page(figure)
