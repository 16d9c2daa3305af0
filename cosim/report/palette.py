"""Colours that remain distinguishable with every common colour vision deficiency, and one style for all figures."""

from __future__ import annotations

from html import escape
from typing import Any

from cosim.report.plot import Plot

# Okabe and Ito (2008), "Color universal design", https://jfly.uni-koeln.de/color/
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#767676", "#C9CED6"
CONDUCTOR_COLORS = {"a": BLUE, "b": ORANGE, "c": GREEN, "n": BLACK}
CYCLE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK, YELLOW)
DASHES = ("solid", "dash", "dot")
HEAT = "Cividis"
HOUSES_AXIS: dict[str, Any] = {"title": {"text": "house"}, "type": "category", "tickfont": {"size": 10}, "dtick": 1}
LEFT: dict[str, Any] = {"row": 1, "col": 1}
RIGHT: dict[str, Any] = {"row": 1, "col": 2}
BELOW: dict[str, Any] = {"row": 2, "col": 1}


def plain_text(name: object) -> str:
    """A name as plotly shows it letter by letter: it would take tags and entities in it for markup.

    Examples
    --------
    >>> plain_text("<b>house</b> & garden")
    '&lt;b&gt;house&lt;/b&gt; &amp; garden'
    """
    return escape(str(name), quote=False)


def style_figure(
    figure: Any,
    *,
    height: int = 380,
    x: str | None = None,
    y: str | None = None,
    titled: bool = False,
    **layout: Any,
) -> Any:
    """Give a figure the report's style, its height in pixels and the titles of its axes; returns it.

    If its subplots have titles (`titled`), the legend is put above them.
    """
    figure.update_layout(
        height=height,
        margin={"l": 70, "r": 25, "t": 30, "b": 55},
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        colorway=list(CYCLE),
        **layout,
    )
    if titled:
        top, bottom, lift = 85, 55, 32
        legend = {"y": 1 + lift / (height - top - bottom), "traceorder": "normal"}
        figure.update_layout(margin={"t": top, "b": bottom}, legend=legend)
    title_axes(figure, x, y)
    # Ticks keep the labels of both axes apart where they meet.
    figure.update_xaxes(automargin=True, ticks="outside", ticklen=7, tickcolor=PALE)
    figure.update_yaxes(automargin=True, ticks="outside", ticklen=5, tickcolor=PALE)
    return figure


def title_axes(figure: Any, x: str | None = None, y: str | None = None, **where: Any) -> Any:
    """Set the titles of the axes of a figure, or of its subplots at `row` and `col`; returns it."""
    if x is not None:
        figure.update_xaxes(title={"text": x}, **where)
    if y is not None:
        figure.update_yaxes(title={"text": y}, **where)
    return figure


def add_limit(figure: Plot, value: float, label: str | None = None, **where: Any) -> None:
    """Draw a dashed line at a limit, with its name if it has one."""
    named = None if label is None else {"text": label, "font": {"color": VERMILION, "size": 11}}
    figure.add_hline(value, {"color": VERMILION, "dash": "dash", "width": 1.5}, named, **where)
