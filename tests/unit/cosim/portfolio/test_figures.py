"""Drawings over many feeders: no feeder is lost in the bars, all of the map is inside, and ticks are round."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cosim.portfolio.figures import BINS, WIDTH, Axis, draw_places, draw_spread, find_step

VALUES = st.lists(st.floats(-1e12, 1e12) | st.floats(0.0, 2.0) | st.just(float("nan")), max_size=30)


@settings(max_examples=25, deadline=None)
@example([], [-1e-91], 2.0)
@example([1.9999999999], [7.0], 2.0)
@given(VALUES, VALUES, st.sampled_from([2.0, 0.1, 0.002]))
def test_every_feeder_is_in_one_bar(first: list[float], second: list[float], least: float) -> None:
    drawn = draw_spread({"a": pd.Series(first, dtype=float), "b": pd.Series(second, dtype=float)}, "pu", least, "x, pu")
    for name, values in (("a", first), ("b", second)):
        counts = [int(n.replace(",", "")) for n in re.findall(rf"<title>{name}, .*?: ([\d,]+) feeders", drawn)]
        assert sum(counts) == np.isfinite(values).sum()
        assert len(counts) <= BINS
    assert "nan" not in drawn
    assert ("no value" in drawn) == (not np.isfinite([*first, *second]).any())


@given(st.floats(-1e9, 1e9), st.floats(0.0, 1e9), st.integers(2, 40), st.sampled_from([0.0, 0.002, 2.0]))
def test_steps_are_round_and_few(low: float, span: float, most: int, least: float) -> None:
    step = find_step(low, low + span, most, least)
    assert float(f"{step:.0e}") == pytest.approx(step)
    assert f"{step:.0e}"[0] in "125"
    assert step >= least * (1.0 - 1e-9)
    assert np.floor((low + span) / step + 1e-9) - np.floor(low / step + 1e-9) < most or span == 0.0


PLACES = st.tuples(st.floats(-1e12, 1e12) | st.floats(11.0, 12.0), st.floats(-90.0, 90.0), st.floats(0.0, 8760.0))


@settings(max_examples=25, deadline=None)
@given(st.lists(PLACES, min_size=1, max_size=20))
def test_every_feeder_is_on_the_map(places: list[tuple[float, float, float]]) -> None:
    x, y, hours = zip(*places, strict=True)
    frame = pd.DataFrame({"feeder": [f"f{k}" for k in range(len(x))], "x": x, "y": y, "curtailed_hours": hours})
    drawn = draw_places(frame.assign(cut_kwh=1.0))
    circles = re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', drawn)
    assert len(circles) == len(places)
    for left, top in circles:
        assert 0.0 <= float(left) <= WIDTH
        assert 0.0 <= float(top) <= 460.0
    assert re.findall(r"<title>(f\d+)", drawn)[-1] == "f0"  # the first, the worst, lies on top


def test_names_are_no_markup() -> None:
    frame = pd.DataFrame({"feeder": ["<script>x</script>"], "x": [1.0], "y": [2.0], "curtailed_hours": [1.0]})
    drawn = draw_places(frame.assign(cut_kwh=1.0))
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn


def test_ticks_have_no_minus_in_front_of_nothing() -> None:
    assert [f"{tick:.0f}" for tick in Axis(0.0, 4.2, 0.0, 1.0, 2.0).ticks()] == ["0", "2", "4"]
