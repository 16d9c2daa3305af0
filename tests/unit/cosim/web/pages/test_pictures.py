"""The feeder and curves as SVG: what is drawn, how exactly, in which colours."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")

from cosim.case.case import build_case
from cosim.interval.fold import run_intervals
from cosim.report import palette
from cosim.scenario.model import Scenario
from cosim.web.pages.curves import Curve, choose_ticks, draw_curves
from cosim.web.pages.feeder_map import CLASSES, draw_map, make_feeder_map

STYLE = (Path(__file__).parents[5] / "cosim/web/pages/static/pages.css").read_text(encoding="utf-8")
SMALL = {"horizon": {"hours": 2}}


@pytest.mark.parametrize("name", ["rural", pytest.param("phases", marks=pytest.mark.slow)])
def test_every_bus_and_branch_is_drawn_once(name: str) -> None:
    case = build_case(Scenario.load(name).with_changes(**SMALL))
    (chunk,) = run_intervals(case, case.opening)
    net, feeder = case.feeder.net, make_feeder_map(case)
    for exact in (False, True):
        picture = ElementTree.fromstring(str(draw_map(feeder, chunk.flow.select_one(0), exact=exact)))
        titles = [title.text or "" for title in picture.iter("title")]
        names = {re.split("[,:]", title)[0] for title in titles}
        assert len(titles) == len(names) == len(net.bus) + len(net.line) + len(net.trafo)
        assert all(("phase" in title) == (name == "phases") for title in titles if title.startswith("bus"))
        assert (any(re.search(r"\d\.\d %", title) for title in titles)) == exact
    assert "<title>" not in str(picture.get("aria-label"))


def test_a_bus_without_supply_is_crossed_out() -> None:
    case = build_case(Scenario.load("rural").with_changes(**SMALL))
    (chunk,) = run_intervals(case, case.opening)
    flow = chunk.flow.select_one(0)
    dark = flow.vm_pu.copy()
    dark[0, 3] = np.nan
    text = str(draw_map(make_feeder_map(case), flow._replace(vm_pu=dark), exact=False))
    assert text.count("no supply") == text.count("dark-bus") == 1


def test_colours_of_loadings_are_those_of_the_report() -> None:
    light = STYLE.split("@media")[0]
    for k, each in enumerate(CLASSES):
        word = re.search(rf"\.load-{k} {{ stroke: var\(--(\w+)\)", STYLE)
        assert word is not None
        assert f"--{word[1]}: {each.color.lower()}" in light
    known = set(re.findall("#[0-9a-f]{6}", light))
    assert {palette.BLUE.lower(), palette.ORANGE.lower(), palette.GREEN.lower()} <= known


def test_a_curve_has_a_step_an_interval_and_gaps() -> None:
    values = np.array([1.0, 2.0, np.nan, -1.0])
    text = str(draw_curves([Curve("load <b>", values, "curve-1")], np.arange(5.0), "kWh", "Today"))
    path = re.search(r'<path class="curve-1" d="([^"]+)"', text)
    assert path is not None
    assert (path[1].count("M"), path[1].count("H")) == (2, 3)
    assert "load &lt;b&gt;" in text
    assert draw_curves([Curve("none", np.full(4, np.nan), "curve-1")], np.arange(5.0), "kWh", "Today") == ""


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-3.0, 1e-9), (0.0, 1e6), (-0.001, 0.002), (0.0, 7.3)])
def test_ticks_are_few_and_cover_the_values(low: float, high: float) -> None:
    ticks = choose_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert ticks[0] <= low + 1e-6
    assert ticks[-1] >= high - 1e-6 * max(high, 1)
    assert np.ptp(np.diff(ticks)) < 1e-6 * max(abs(high), 1)
