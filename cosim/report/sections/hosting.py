"""Section on the hosting capacity for PV: by how much it can grow everywhere, and how much fits at each house alone."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import Column, Fact, Figure, PageSection, number, tabulate
from cosim.report.figures.network import draw_hosting
from cosim.validation.hosting import Hosting

COLUMNS = (
    Column("house", "house"),
    Column("bus", "bus"),
    Column("largest_kw", "largest PV, kW", 1),
    Column("bound_by", "bound by"),
)
LISTED = 60


def make_hosting_section(hosting: Hosting, distance_km: pd.Series) -> PageSection:
    """Largest common scaling as a number, each house as a row and as a point over its distance from the grid.

    Parameters
    ----------
    hosting
        As computed by `cosim.validation.hosting`.
    distance_km
        Path of each bus from the external grid, by the bus's name.
    """
    houses, largest_kw = hosting.houses, hosting.houses["largest_kw"]
    more = f" The first {LISTED} of {len(houses)}; all in hosting.csv." if len(houses) > LISTED else ""
    caption = "Largest rated PV at each house if no other house has any." + more
    text = (
        f"Verified by AC power flow in all {hosting.n_intervals:,} intervals. Batteries stand still, "
        f"nothing is traded or curtailed: what the wires alone can take. {_describe_growth(hosting)}"
    )
    picture = "Largest PV at each house alone, kW, over its path from the external grid, km; colour: what binds."
    return PageSection(
        "hosting",
        "Hosting capacity for PV",
        (text,),
        facts=(
            Fact("hosting_scaling", "of today's PV at all houses", number(hosting.scaling, 3), "times"),
            Fact("hosting_least", "PV at the tightest house", number(float(largest_kw.min())), "kW"),
            Fact("hosting_most", "PV at the house that can host most", number(float(largest_kw.max())), "kW"),
        ),
        tables=(tabulate("hosting", caption, COLUMNS, houses.head(LISTED)),),
        figures=(Figure("hosting", picture, draw_hosting(houses, distance_km)),),
    )


def _describe_growth(hosting: Hosting) -> str:
    if hosting.reached_end:
        return f"If the PV of all houses grows alike, it meets {hosting.bound_by}."
    return (
        f"If the PV of all houses grows alike, anything beyond {hosting.scaling:.3f} times breaks a limit: "
        f"{hosting.bound_by}."
    )
