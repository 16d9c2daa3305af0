"""Hosting capacity in the report: by how much PV can grow everywhere, and how much fits at each house alone."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cosim.report.elements import Cell, Fact, Figure, PageSection, Table, number, words
from cosim.report.figures.sampling import round_values
from cosim.report.palette import BLACK, BLUE, CYCLE, GREEN, ORANGE, style_figure
from cosim.validation.hosting import Hosting

KINDS = {
    "bus": ("voltage of a bus", ORANGE),
    "line": ("loading of a line", BLUE),
    "trafo": ("loading of a transformer", GREEN),
    "": ("no limit found", BLACK),
}
LISTED = 60


def make_hosting_section(hosting: Hosting, distance_km: pd.Series) -> PageSection:
    """Uniform scaling as a number, each house as a row and as a point over its distance from the grid.

    Parameters
    ----------
    hosting
        As computed by `cosim.validation.hosting`.
    distance_km
        Path of each bus from the external grid, by the bus's name.
    """
    rows: list[tuple[Cell, ...]] = [
        (words(row["house"]), words(row["bus"]), number(float(row["largest_kw"])), words(row["bound_by"]))
        for row in hosting.houses.head(LISTED).to_dict(orient="records")
    ]
    more = (
        ""
        if len(hosting.houses) <= LISTED
        else f" The first {LISTED} of {len(hosting.houses)}; all in hosting.csv."
    )
    caption = "Largest rated PV at each house if no other house has any." + more
    text = (
        f"Over the {hosting.n_intervals} intervals in which generation exceeds load the most. Batteries stand still, "
        "nothing is traded or curtailed: what the wires alone can take. "
        f"If the PV of all houses grows alike, anything beyond {hosting.scaling:.3f} times breaks a limit: "
        f"{hosting.bound_by}."
    )
    return PageSection(
        "hosting",
        "Hosting capacity for PV",
        (text,),
        facts=(
            Fact("hosting_scaling", "of today's PV at all houses", number(hosting.scaling, 3), "times"),
            Fact(
                "hosting_least",
                "PV at the tightest house",
                number(float(hosting.houses["largest_kw"].min())),
                "kW",
            ),
            Fact(
                "hosting_most",
                "PV at the roomiest house",
                number(float(hosting.houses["largest_kw"].max())),
                "kW",
            ),
        ),
        tables=(Table("hosting", caption, ("house", "bus", "largest PV, kW", "bound by"), rows, False),),
        figures=(
            Figure(
                "hosting",
                "Largest PV at each house alone, kW, over its path from the external grid, km; colour: what binds.",
                draw_hosting(hosting.houses, distance_km),
                printed=False,
            ),
        ),
    )


def draw_hosting(houses: pd.DataFrame, distance_km: pd.Series) -> Any:
    """Largest PV, kW, of each house over its distance, km, one colour for each kind of limit that binds."""
    figure = go.Figure()
    for kind, group in houses.groupby("element_type", sort=True):
        label, color = KINDS.get(str(kind), (str(kind), CYCLE[0]))
        figure.add_scatter(
            x=round_values(distance_km.reindex(group["bus"]), 4),
            y=round_values(group["largest_kw"], 3),
            text=list(group["house"]),
            name=label,
            mode="markers",
            marker={"size": 9, "color": color, "symbol": "circle" if kind == "bus" else "square"},
            hovertemplate="%{text}<br>%{x:.3f} km: %{y:.1f} kW<extra>" + label + "</extra>",
        )
    figure = style_figure(
        figure, height=340, x="path from the external grid, km", y="largest PV, kW", showlegend=True
    )
    return figure.update_yaxes(rangemode="tozero")
