"""The first limit that each draw breaks: every device of it, one after the other, in every interval, by AC.

Nothing is taken for monotonous: no number of devices is skipped below the answer but where the last of them does
nothing in an interval, whose state is then that before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.studies.hosting.draws import Draws
from cosim.studies.hosting.judged import Bounds, find_excess, make_bounds, name_worst
from cosim.studies.hosting.street import Added, Base, Street
from grid_models.arrays import Floats, Ints, Mask
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Violation

BLOCK = 4
"""Devices that are placed at a time."""
DRAWS, ROWS = 500, 4096
"""Draws that are followed at a time, and states that are solved in one batch."""


class Window(NamedTuple):
    """Intervals in which draws are judged: what they carry without any device, and where violations begin."""

    base: Base
    bounds: Bounds

    def join(self, more: Window) -> Window:
        """The window with those of another behind its intervals."""
        pairs = zip(self.base, more.base, strict=True)
        base = Base._make(None if a is None else np.concatenate([a, b]) for a, b in pairs)
        return Window(base, Bounds._make(map(np.concatenate, zip(self.bounds, more.bounds, strict=True))))


class First(NamedTuple):
    """The first violation of D draws.

    Attributes
    ----------
    n_clean
        (D,) devices that are placed before it; all of them where there is none.
    interval
        (D,) place in the window of the interval that is furthest beyond a limit then; -1 where there is none.
    excess
        (D,) how far that is, as a share of the limit.
    """

    n_clean: Ints
    interval: Ints
    excess: Floats


def make_window(street: Street, intervals: Ints, *, judge_all: bool) -> Window:
    """Window of some intervals."""
    base = street.read_base(intervals)
    flow = solve_base(street, base)
    return Window(base, make_bounds(street.case.limits, flow, judge_all=judge_all))


def solve_base(street: Street, base: Base) -> Flow:
    """AC of intervals without any device."""
    return street.solve(base, np.arange(base.interval.size), street.add_nothing(base.interval.size))


def find_first(street: Street, window: Window, draws: Draws, known: First | None = None, since: int = 0) -> First:
    """First violation of each draw in a window.

    Parameters
    ----------
    street, window
        Where devices are placed and judged; without any device no interval is beyond its bounds.
    draws
        D draws of M devices.
    known, since
        The first violations in the intervals before place `since` of the window, which are not solved again.
    """
    n_draws, n_devices = draws.kw.shape
    if known is None:
        known = First(np.full(n_draws, n_devices), np.full(n_draws, -1), np.full(n_draws, -np.inf))
    parts = [
        _find_first(
            street,
            window,
            draws.select(at, at + DRAWS),
            First._make(column[at : at + DRAWS].copy() for column in known),
            range(since, window.base.interval.size),
        )
        for at in range(0, n_draws, DRAWS)
    ]
    return First._make(map(np.concatenate, zip(*parts, strict=True)))


def _find_first(street: Street, window: Window, draws: Draws, first: First, intervals: range) -> First:
    n_draws, n_devices = draws.kw.shape
    profile = street.library.choose(draws)
    placed = {k: street.add_nothing(n_draws) for k in intervals}
    for start in range(0, n_devices, BLOCK):
        running = np.flatnonzero(first.n_clean >= start)
        if running.size == 0:
            break
        some = Draws._make(column[running, start : start + BLOCK] for column in draws)
        for k in intervals:
            steps = street.place(window.base, k, some, profile[running, start : start + BLOCK])
            states = placed[k].select(running).apply(_add_axis).plus(steps.apply(_sum_up))
            acts = some.kw * window.base.unit[k][profile[running, start : start + BLOCK]] != 0.0
            _judge_block(street, window, k, first, running, start, states, acts)
            for kept, state in zip(placed[k], states, strict=True):
                if kept is not None and state is not None:
                    kept[running] = state[:, -1]
    return first


def _add_axis(values: Floats) -> Floats:
    return values[:, None]


def _sum_up(values: Floats) -> Floats:
    return np.asarray(np.cumsum(values, axis=1))


def _judge_block(
    street: Street, window: Window, k: int, first: First, running: Ints, start: int, states: Added, acts: Mask
) -> None:
    """Judge a block of devices of some draws in one interval, and note what is the first violation so far."""
    number = start + np.arange(acts.shape[1])
    draw, device = np.nonzero(acts & (number <= first.n_clean[running][:, None]))
    excess = _find_excess(street, window, k, states, (draw, device))
    for d, i, beyond in zip(running[draw].tolist(), number[device].tolist(), excess.tolist(), strict=True):
        if beyond > 0.0 and (i, -beyond) < (first.n_clean[d], -first.excess[d]):
            first.n_clean[d], first.interval[d], first.excess[d] = i, k, beyond


def _find_excess(street: Street, window: Window, k: int, states: Added, chosen: tuple[Ints, Ints]) -> Floats:
    """How far states of interval k are beyond their bounds, (R,)."""
    found = [np.zeros(0)]
    for at in range(0, chosen[0].size, ROWS):
        draw, device = (column[at : at + ROWS] for column in chosen)
        at_k = np.full(draw.size, k)
        flow = street.solve(window.base, at_k, states.select((draw, device)))
        found.append(find_excess(street.case.limits, window.bounds, at_k, flow))
    return np.concatenate(found)


def name_violations(street: Street, window: Window, draws: Draws, first: First) -> list[Violation | None]:
    """The limit that each draw breaks first; None where it breaks none, or there is no solution."""
    named: list[Violation | None] = [None] * len(draws.kw)
    for k in np.unique(first.interval[first.interval >= 0]).tolist():
        chosen = np.flatnonzero(first.interval == k)
        some = Draws._make(column[chosen] for column in draws)
        added = add_up(street, window.base, k, some, first.n_clean[chosen] + 1)
        flow = street.solve(window.base, np.full(chosen.size, k), added)
        for row, draw in enumerate(chosen.tolist()):
            named[draw] = name_worst(street.feeder, street.case.limits, window.bounds, k, flow, row)
    return named


def add_up(street: Street, base: Base, k: int, draws: Draws, n: Ints) -> Added:
    """What the first n devices, (D,), of each draw add together in interval k, (D, C)."""
    draw, device = np.nonzero(np.arange(draws.kw.shape[1]) < n[:, None])
    some = Draws._make(column[draw, device] for column in draws)
    steps = street.list_steps(base, k, some, street.library.choose(some))
    added, column = street.add_nothing(len(n)), street.column(some.house, some.code)
    for total, step in zip(added, steps, strict=True):
        if total is not None and step is not None:
            np.add.at(total, (draw, column), step)
    return added
