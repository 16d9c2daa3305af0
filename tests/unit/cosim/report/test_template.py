"""Figures of a page are in one template of plotly's, whatever template a user has chosen for figures of their own."""

from __future__ import annotations

import json
from typing import Any

import plotly.io
import pytest
from figures import check_figure

from cosim.report.elements import Figure
from cosim.report.palette import style_figure
from cosim.report.plot import Plot


def read_layout(html: str) -> dict[str, Any]:
    """Layout of the figure in a part of a page."""
    _, end = json.JSONDecoder().raw_decode(html, html.index("["))
    layout, _ = json.JSONDecoder().raw_decode(html, html.index("{", end))
    return dict(layout)


@pytest.mark.parametrize("default", [None, "plotly_dark"])
def test_a_figure_has_the_template_that_plotly_would_give_it(
    default: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plotly.io.templates, "default", default)
    figure = style_figure(Plot({"type": "scatter", "x": [1, 2], "y": [3, 4]}), y="kW")
    found = read_layout(Figure("f", "", figure).html)
    expected = json.loads(check_figure(figure).update_layout(template="plotly_white").to_json())["layout"]
    assert found == expected
