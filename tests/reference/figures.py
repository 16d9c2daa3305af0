"""Figures of reports as plotly's own objects, which refuse what plotly does not know."""

from __future__ import annotations

import plotly.graph_objects as go

from cosim.report.plot import Plot


def check_figure(plot: Plot) -> go.Figure:
    """The figure, each of its properties checked by plotly."""
    return go.Figure({"data": plot.data, "layout": plot.layout})
