"""The figure of a stochastic hosting capacity: chance of a violation by penetration, and what draws host."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cosim.report.palette import CYCLE, GREY, ORANGE, VERMILION
from cosim.studies.figures import make_page
from cosim.studies.hosting.compared import ComparedHosting
from cosim.studies.hosting.study import StochasticHosting
from cosim.studies.hosting.tables import PERCENTS

COLOURS = tuple(
    (colour, f"rgba({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))}, 0.2)") for colour in CYCLE
)
"""Colours of curves and of their bands."""
NAMES = {"pv": "PV", "ev": "wall boxes", "heat_pump": "heat pumps"}


def draw_hosting(found: StochasticHosting | ComparedHosting, name: str) -> str:
    """Page with the curve of chances and its band above, hosted kW of all draws and their percentiles below.

    Of several controls the curves are beside one another, and below are boxes of what draws host.
    """
    answers = found.found if isinstance(found, ComparedHosting) else {"": found}
    said = next(iter(answers.values())).summary
    placed = ", ".join(NAMES[word] for word in said["technology"])
    titles = ("chance that a limit is broken, with its band of 95 %", "draws by what they host")
    figure = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.1, subplot_titles=titles)
    for (control, answer), (colour, band) in zip(answers.items(), cycle(COLOURS), strict=False):
        _draw_curve(figure, answer, control or "chance", colour, band)
    if isinstance(found, ComparedHosting):
        _draw_boxes(figure, found)
    else:
        _draw_draws(figure, found)
    figure.update_yaxes(title_text="chance", range=[-0.02, 1.02], row=1, col=1)
    figure.update_yaxes(title_text="" if isinstance(found, ComparedHosting) else "draws", row=2, col=1)
    axis = f"rated power of {placed}, kW<br><sup>above with the device that breaks the limit, below without it</sup>"
    figure.update_xaxes(title_text=axis, rangemode="tozero", row=2, col=1)
    judged = "limits as they are" if said["judged"] == "all" else "what is broken by what is placed, or made worse"
    control = f"; reactive control: {said['pv_control']}" if isinstance(found, StochasticHosting) else ""
    title = (
        f"{name}: {placed} at random, {said['draws']:,} draws<br>"
        f"<sup>start: {said['start']}; judged: {judged}{control}</sup>"
    )
    legend = {"orientation": "h", "y": -0.16, "x": 0}
    figure.update_layout(template="plotly_white", height=720, title=title, bargap=0.05, legend=legend, margin_t=110)
    return make_page(figure)


def _draw_curve(figure: go.Figure, found: StochasticHosting, name: str, colour: str, band_colour: str) -> None:
    curve = found.curve[found.curve["by"] == "kw"]
    x, place = curve["penetration"], {"row": 1, "col": 1}
    band = {"line_width": 0, "hoverinfo": "skip", "mode": "lines", "showlegend": False, **place}
    figure.add_scatter(x=x, y=curve["high"], **band)
    figure.add_scatter(x=x, y=curve["low"], fill="tonexty", fillcolor=band_colour, **band)
    figure.add_scatter(x=x, y=curve["chance"], mode="lines", line_color=colour, name=name, **place)


def _draw_boxes(figure: go.Figure, found: ComparedHosting) -> None:
    """Quartiles of what draws host under each control; whiskers from the 5th to the 95th percentile."""
    for (control, answer), (colour, _) in zip(found.found.items(), cycle(COLOURS), strict=False):
        at = np.percentile(answer.draws["hosted_kw"], PERCENTS, method="inverted_cdf")
        ends = {
            name: [value] for name, value in zip(("lowerfence", "q1", "median", "q3", "upperfence"), at, strict=True)
        }
        figure.add_box(**ends, y=[control], orientation="h", marker_color=colour, showlegend=False, row=2, col=1)


def _draw_draws(figure: go.Figure, found: StochasticHosting) -> None:
    draws, place = found.draws, {"row": 2, "col": 1}
    broke = draws[~draws["reached_end"]]
    figure.add_histogram(x=broke["hosted_kw"], nbinsx=40, marker_color=GREY, name="draws", **place)
    if draws["reached_end"].any():
        rest = draws[draws["reached_end"]]["hosted_kw"]
        figure.add_histogram(
            x=rest, nbinsx=40, marker_color=ORANGE, name="nothing broken by all that was placed", **place
        )
    for row in found.percentiles.dropna(subset=["hosted_kw"]).to_dict(orient="records"):
        label = {"annotation_text": f"P{row['percent']:g}", "annotation_font_size": 10}
        figure.add_vline(x=row["hosted_kw"], line_color=VERMILION, line_dash="dot", line_width=1, **label, **place)
