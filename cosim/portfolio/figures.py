"""Figures over many feeders, in SVG: how a quantity is spread, and where the feeders are.

A page of a thousand feeders opens in a fraction of a second without plotly, which alone takes most of two. What plotly
shows under the pointer stands in titles here, which browsers show too and screen readers read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from plotly.colors import sample_colorscale

from cosim.report.elements import number, show_hours
from cosim.report.palette import BLUE, HEAT, ORANGE, PALE, VERMILION
from grid_models.arrays import Floats

BINS, TICKS = 30, 8
"""Most bars and most ticks of an axis."""
MOST_POINTS = 2000
"""Feeders on the map; of more the worst are drawn."""
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 88, 20, 26, 46
SPREAD_HEIGHT, MAP_HEIGHT = 260, 460
HOURS_TICKS = 4
LEAST_SPAN = 2e-4
"""Of a coordinate's value: about a kilometre for degrees and metres alike, where there is but one feeder."""


class Axis(NamedTuple):
    """An axis from `low` to `high`, drawn from `begin` to `end` in pixels; ticks are multiples of `step`."""

    low: float
    high: float
    begin: float
    end: float
    step: float

    def place(self, values: Floats) -> Floats:
        """Where values are, in pixels."""
        return self.begin + (np.asarray(values) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> Floats:
        """Values with a tick."""
        first, last = np.ceil(self.low / self.step - 1e-9), np.floor(self.high / self.step + 1e-9)
        return np.asarray(self.step * np.arange(first, last + 1.0) + 0.0)  # no minus in front of 0


def find_step(low: float, high: float, most: int, least: float = 0.0) -> float:
    """The smallest 1, 2 or 5 times a power of ten that divides a range into at most `most` parts.

    Parameters
    ----------
    low, high
        The range.
    most
        Number of parts, one that begins before the range among them.
    least
        The step is no smaller.

    Examples
    --------
    >>> find_step(0.0, 37.0, 8), find_step(0.93, 1.07, 30, 0.002), find_step(3.0, 3.0, 8)
    (5.0, 0.005, 1.0)
    """
    if high <= low and least <= 0.0:
        return 1.0
    exponent = np.floor(np.log10(max((high - low) / most, least, 1e-12)))
    for step in (factor * 10.0**power for power in (exponent, exponent + 1.0) for factor in (1.0, 2.0, 5.0)):
        if step > least - 1e-12 and np.floor(high / step + 1e-9) - np.floor(low / step + 1e-9) < most:
            return float(step)
    return float(10.0 ** (exponent + 2.0))


def draw_spread(columns: Mapping[str, pd.Series], unit: str, least: float, x: str) -> str:
    """Number of feeders by a quantity, in bars, one colour a column.

    Parameters
    ----------
    columns
        Values of the feeders by the name of the quantity, one or two of them; missing ones do not count.
    unit, x
        Unit of the values, and the title of their axis.
    least
        The least width of a bar.
    """
    known = {name: values.dropna().to_numpy(np.float64) for name, values in columns.items()}
    together = np.concatenate([*known.values()])
    if together.size == 0:
        return _make_svg(SPREAD_HEIGHT, x, [_write(WIDTH / 2, SPREAD_HEIGHT / 2, "no value", "middle")])
    low, high = float(together.min()), float(together.max())
    width = find_step(low, high, BINS, least)
    first, last = np.floor(low / width + 1e-9), np.floor(high / width + 1e-9) + 1.0
    edges = width * np.arange(first, last + 1.0)
    # A value that rounding puts next to the first or last edge belongs to the bar there.
    counts = {name: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] for name, values in known.items()}
    most = max(int(count.max()) for count in counts.values())
    across = Axis(edges[0], edges[-1], LEFT, WIDTH - RIGHT, find_step(edges[0], edges[-1], TICKS, width))
    up = Axis(0.0, most * 1.05, SPREAD_HEIGHT - BOTTOM, TOP, max(1.0, find_step(0.0, most, 5)))
    parts = [*_draw_axes(across, up, x, "feeders", SPREAD_HEIGHT)]
    for color, (name, count) in zip((BLUE, ORANGE), counts.items(), strict=False):
        parts += _draw_bars(across, up, edges, count, color, f"{name}, {{}} {unit}: {{}} feeders")
    if len(known) > 1:
        parts += _draw_legend(known)
    return _make_svg(SPREAD_HEIGHT, x, parts)


def _draw_bars(across: Axis, up: Axis, edges: Floats, counts: Any, color: str, said: str) -> Iterable[str]:
    digits, left, height = _count_digits(edges[1] - edges[0]), across.place(edges), up.place(counts)
    for k in np.flatnonzero(counts).tolist():
        title = said.format(f"{edges[k]:.{digits}f}–{edges[k + 1]:.{digits}f}", f"{counts[k]:,}")
        box = f'x="{left[k] + 0.5:.1f}" y="{height[k]:.1f}" width="{left[k + 1] - left[k] - 1.0:.1f}"'
        look = f'height="{up.begin - height[k]:.1f}" fill="{color}" fill-opacity="0.85"'
        yield f"<rect {box} {look}><title>{escape(title)}</title></rect>"


def _draw_legend(names: Iterable[str]) -> Iterable[str]:
    for k, (color, name) in enumerate(zip((BLUE, ORANGE), names, strict=False)):
        at = LEFT + 170 * k
        yield f'<rect x="{at}" y="4" width="12" height="12" fill="{color}"/>'
        yield _write(at + 18, 14, name)


def draw_places(feeders: pd.DataFrame) -> str:
    """Map of feeders with coordinates: the larger and brighter, the more hours are curtailed; the first are on top."""
    drawn = feeders.iloc[::-1]
    x, y, hours = (drawn[name].to_numpy(np.float64) for name in ("x", "y", "curtailed_hours"))
    most = max(float(hours.max()), 1.0)
    across, up = _fit_axes(x, y)
    share = hours / most
    colors = sample_colorscale(HEAT, share.tolist())
    places = zip(across.place(x), up.place(y), 3.0 + 7.0 * np.sqrt(share), colors, strict=True)
    parts = [*_draw_axes(across, up, "x (longitude)", "y (latitude)", MAP_HEIGHT)]
    for (left, top, radius, color), row in zip(places, drawn.to_dict(orient="records"), strict=True):
        title = (
            f"{row['feeder']}: {show_hours(row['curtailed_hours'])} h curtailed, {number(row['cut_kwh']).text} kWh cut"
        )
        edge = f' stroke="{VERMILION}"' if row["curtailed_hours"] > 0 else ""
        circle = f'cx="{left:.1f}" cy="{top:.1f}" r="{radius:.1f}" fill="{color}"{edge}'
        parts.append(f"<circle {circle}><title>{escape(title)}</title></circle>")
    return _make_svg(MAP_HEIGHT, "map", [*parts, *_draw_scale(most)])


def _fit_axes(x: Floats, y: Floats) -> tuple[Axis, Axis]:
    """Axes with some room around all points, of one scale where that leaves no more than half of the drawing empty."""
    wide, high = WIDTH - LEFT - RIGHT - 80.0, float(MAP_HEIGHT - TOP - BOTTOM)
    spans = [max(float(np.ptp(values)) * 1.1, 1e-6, LEAST_SPAN * float(np.abs(values).max())) for values in (x, y)]
    scale = max(spans[0] / wide, spans[1] / high)
    if min(spans[0] / wide, spans[1] / high) > 0.5 * scale:
        spans = [scale * wide, scale * high]
    low = [(float(values.min()) + float(values.max()) - span) / 2.0 for values, span in zip((x, y), spans, strict=True)]
    across = Axis(low[0], low[0] + spans[0], LEFT, LEFT + wide, find_step(low[0], low[0] + spans[0], TICKS))
    up = Axis(low[1], low[1] + spans[1], TOP + high, TOP, find_step(low[1], low[1] + spans[1], TICKS))
    return across, up


def _draw_scale(most: float) -> Iterable[str]:
    """What the colours of a map mean, beside it, in hours."""
    left, height, n = WIDTH - RIGHT - 58, 22, HOURS_TICKS
    yield _write(left, TOP + 10, "curtailed, h")
    for k, color in enumerate(sample_colorscale(HEAT, [1.0 - k / n for k in range(n + 1)])):
        top = TOP + 20 + k * height
        yield f'<rect x="{left}" y="{top}" width="14" height="{height}" fill="{color}"/>'
        yield _write(left + 20, top + 15, number(most * (1.0 - k / n), 0 if most >= n else 2).text)


def _draw_axes(across: Axis, up: Axis, x: str, y: str, height: int) -> Iterable[str]:
    """Lines, ticks and titles of two axes."""
    bottom = up.begin
    for value, at in zip(up.ticks(), up.place(up.ticks()), strict=True):
        yield f'<path d="M{across.begin} {at:.1f}H{across.end}" stroke="{PALE}" stroke-opacity="0.6"/>'
        yield _write(across.begin - 6, at + 4, f"{value:,.{_count_digits(up.step)}f}", "end")
    for value, at in zip(across.ticks(), across.place(across.ticks()), strict=True):
        yield f'<path d="M{at:.1f} {bottom}v5" stroke="#767676"/>'
        yield _write(at, bottom + 18, f"{value:,.{_count_digits(across.step)}f}", "middle")
    yield f'<path d="M{across.begin} {bottom}H{across.end}" stroke="#767676"/>'
    yield _write((across.begin + across.end) / 2, height - 6, x, "middle")
    middle = (up.begin + up.end) / 2
    turned = f'x="13" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 13 {middle:.0f})"'
    yield f"<text {turned}>{escape(y)}</text>"


def _count_digits(step: float) -> int:
    """Decimals that show multiples of a step."""
    return max(0, -int(np.floor(np.log10(step) + 1e-9)))


def _write(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _make_svg(height: int, name: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="drawing" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(name)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
