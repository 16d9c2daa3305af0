"""Curves of a day as inline SVG: a few steps on one axis, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from grid_models.arrays import Floats

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 220, 92, 14, 36, 28
"""`LEFT` holds labels such as −0.025 in the large letters of narrow screens."""
TICKS = 4


class Curve(NamedTuple):
    """A curve: its name, its values, (K,), NaN where there is none, and the class that colours it."""

    name: str
    values: Floats
    look: str


def draw_curves(curves: Sequence[Curve], hours: Floats, unit: str, what: str) -> Markup:
    """Draw curves over a day; empty where no value is known.

    Parameters
    ----------
    curves
        (K,) values each.
    hours
        (K + 1,) begin of each interval and the end of the last, hours from midnight.
    unit, what
        Of the values, and what the picture is called for those who do not see it.
    """
    known = np.concatenate([curve.values[~np.isnan(curve.values)] for curve in curves] or [np.zeros(0)])
    if not known.size:
        return Markup("")
    ticks = choose_ticks(min(float(known.min()), 0.0), max(float(known.max()), 0.0))
    low, high = ticks[0], ticks[-1]
    parts = [f'<text x="0" y="18">{escape(unit)}</text>']
    parts += [_draw_tick(tick, _y(tick, low, high)) for tick in ticks]
    parts += [_draw_hour(hour) for hour in (0, 6, 12, 18, 24)]
    parts += [_draw_steps(curve, hours, low, high) for curve in curves]
    label = escape(f"{what}: " + "; ".join(_describe(curve, unit) for curve in curves))
    body = "".join(parts)
    return Markup(f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{body}</svg>')


def choose_ticks(low: float, high: float) -> list[float]:
    """Round values from below `low` to above `high`, about `TICKS` of them.

    Examples
    --------
    >>> choose_ticks(0.0, 3.4), choose_ticks(-0.2, 0.0)
    ([0.0, 1.0, 2.0, 3.0, 4.0], [-0.2, -0.15, -0.1, -0.05, 0.0])
    """
    span = high - low or 1.0
    power = 10.0 ** np.floor(np.log10(span / TICKS))
    step = float(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * TICKS >= span * 0.999))
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    return [float(np.round(k * step, 10)) + 0.0 for k in range(first, max(last, first + 1) + 1)]


def _x(hour: float) -> float:
    return round(LEFT + hour / 24.0 * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, low: float, high: float) -> float:
    return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)


def _draw_tick(value: float, y: float) -> str:
    text = f"{value:g}".replace("-", "−")
    look = "axis" if value == 0 else "grid"
    return (
        f'<line class="{look}" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"></line>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _draw_hour(hour: int) -> str:
    anchor = {0: "start", 24: "end"}.get(hour, "middle")
    return f'<text x="{_x(hour)}" y="{HEIGHT - 6}" text-anchor="{anchor}">{hour:02d}:00</text>'


def _draw_steps(curve: Curve, hours: Floats, low: float, high: float) -> str:
    """Path with a step an interval, and a gap where there is no value."""
    path, drawing = [], False
    for k, value in enumerate(curve.values):
        if np.isnan(value):
            drawing = False
            continue
        begin, end, y = _x(float(hours[k])), _x(float(hours[k + 1])), _y(float(value), low, high)
        path.append(f"{'L' if drawing else 'M'}{begin} {y}H{end}")
        drawing = True
    return f'<path class="{escape(curve.look)}" d="{"".join(path)}"></path>'


def _describe(curve: Curve, unit: str) -> str:
    known = curve.values[~np.isnan(curve.values)]
    if not known.size:
        return f"{curve.name}, none"
    return f"{curve.name} from {known.min():.3g} to {known.max():.3g} {unit}"
