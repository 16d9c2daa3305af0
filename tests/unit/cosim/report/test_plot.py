"""Figures put together as dicts are those that plotly's objects make."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from figures import check_figure
from hypothesis import given, settings
from hypothesis import strategies as st
from plotly.subplots import make_subplots

from cosim.report.palette import add_limit, style_figure, title_axes
from cosim.report.plot import Plot, make_panels, pack


def read_shown(figure: Any) -> dict[str, Any]:
    """A figure of plotly's as what its script reads, without a template."""
    shown = json.loads(figure.to_json())
    shown["layout"].pop("template", None)
    return dict(shown)


@settings(max_examples=25)
@given(
    rows=st.integers(1, 3),
    cols=st.integers(1, 3),
    spacing=st.floats(0.0, 0.2),
    share_x=st.booleans(),
    share_y=st.booleans(),
    widths=st.lists(st.floats(0.2, 3.0), min_size=3, max_size=3),
)
def test_panels_lie_where_plotly_lays_them(
    rows: int, cols: int, spacing: float, share_x: bool, share_y: bool, widths: list[float]
) -> None:
    same: dict[str, Any] = {
        "column_widths": widths[:cols],
        "row_heights": widths[:rows],
        "horizontal_spacing": spacing,
        "vertical_spacing": spacing,
    }
    titles = [f"panel {k}" for k in range(rows * cols)]
    shared = {"shared_xaxes": "columns" if share_x else False, "shared_yaxes": "rows" if share_y else False}
    expected = json.loads(make_subplots(rows, cols, subplot_titles=titles, **shared, **same).to_json())["layout"]
    found = make_panels(rows, cols, share_x=share_x, share_y=share_y, titles=titles, **same).to_dict()["layout"]
    found["annotations"] = sorted(found["annotations"], key=lambda each: each["text"])
    expected["annotations"] = sorted(expected["annotations"], key=lambda each: each["text"])
    assert list(found) == [name for name in expected if name != "template"]
    for name, part in found.items():
        for one, other in zip(*([p] if isinstance(p, dict) else p for p in (part, expected[name])), strict=True):
            assert {k: pytest.approx(v) if k in ("domain", "x", "y") else v for k, v in one.items()} == other


def test_traces_limits_and_titles_are_those_of_plotly() -> None:
    values, times = np.array([1.5, np.nan]), pd.date_range("2017-01-01", periods=2, freq="h", tz="UTC")
    drawn = make_panels(1, 3, horizontal_spacing=0.1)
    of_plotly = make_subplots(1, 3, horizontal_spacing=0.1)
    for figure in (drawn, of_plotly):
        figure.add_scatter(x=[1, 2], y=values, name="a", line={"color": "#000000"}, row=1, col=1)
        figure.add_bar(x=["p", "q"], y=np.float32(values), marker={"color": "#111111"}, row=1, col=2)
    add_limit(drawn, 2.0, "limit", row=1, col=1)
    line = {"color": "#D55E00", "dash": "dash", "width": 1.5}
    text = {"text": "limit", "font": {"color": "#D55E00", "size": 11}}
    of_plotly.add_hline(y=2.0, line=line, annotation=text, annotation_position="top left", row=1, col=1)
    add_limit(drawn, 3.0)
    of_plotly.add_hline(y=3.0, line=line)
    for figure in (drawn, of_plotly):
        style_figure(figure, x="hour", barmode="stack", titled=True)
        title_axes(figure, y="kW", row=1, col=2).update_yaxes(rangemode="tozero", col=1)
    found, expected = read_shown(check_figure(drawn)), read_shown(of_plotly)
    for shown in (found, expected):
        for axis in ("xaxis", "xaxis2", "xaxis3"):
            shown["layout"][axis]["domain"] = [round(x, 9) for x in shown["layout"][axis]["domain"]]
    assert found == expected
    assert len(drawn.layout["shapes"]) == 3, "an empty panel has no line"
    assert pack({"x": times, "y": [None], "z": pd.Series(times)})["x"] == ["2017-01-01T00:00:00", "2017-01-01T01:00:00"]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_floats_are_packed_as_plotly_packs_them(kind: type, shape: tuple[int, ...]) -> None:
    values = np.array([0.1, np.nan, -3.0, 1e9], dtype=kind).reshape(shape).T
    found = Plot({"type": "heatmap", "z": values}).to_dict()["data"][0]["z"]
    assert found == json.loads(go.Figure(go.Heatmap(z=values)).to_json())["data"][0]["z"]


def test_what_is_missing_is_a_gap() -> None:
    assert pack({"x": np.array(["2017-01-01", "NaT"], "datetime64[ns]"), "y": np.zeros(0), "n": np.arange(2)}) == {
        "x": ["2017-01-01T00:00:00", None],
        "y": [],
        "n": [0, 1],
    }
