"""What a device that is placed does in each interval, per kW of its rating.

Panels follow the sun, cars and heat pumps do what those of the scenario would.
Of cars and heat pumps there is a sample of some dozens, each with trips or a house of its own; a device that is placed
does what one of them does, drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.community import sun_shape
from cosim.case.flexible import make_opening_rows, sample_devices
from cosim.delivery.flexible import UNLIMITED_WH, follow_devices
from cosim.delivery.setpoints import mean_kw
from cosim.studies.hosting.draws import EV, HEAT_PUMP, PV, TECHNOLOGIES, Draws
from grid_models.arrays import Floats, Ints
from market.exchanges import CAR

SAMPLE = 24
"""Cars of each rating, and heat pumps."""
AT_ONCE = 8192
"""Intervals that are followed at a time."""


class Library(NamedTuple):
    """Profiles of devices.

    Attributes
    ----------
    unit
        (T, P) power over rating, kW per kW: what panels generate, what cars and heat pumps draw.
    first
        First profile of each technology and, of cars, of each rating.
    """

    unit: Floats
    first: dict[tuple[int, float], int]

    def choose(self, draws: Draws) -> Ints:
        """Profile of each device, (D, M)."""
        found = np.zeros(draws.kw.shape, np.int64)
        for (technology, kw), first in self.first.items():
            chosen = draws.technology == technology
            if technology == TECHNOLOGIES.index(EV):
                chosen &= draws.kw == kw
            n = 1 if technology == TECHNOLOGIES.index(PV) else SAMPLE
            found[chosen] = first + np.floor(draws.chance[chosen] * n).astype(np.int64)
        return found


def make_library(case: Case, technologies: Sequence[int], wall_boxes_kw: Sequence[float]) -> Library:
    """Profiles of the technologies over all intervals of a case.

    Parameters
    ----------
    case
        Sun, times, and how cars and heat pumps are run.
    technologies
        Their codes.
    wall_boxes_kw
        Ratings of wall boxes.
    """
    columns, first, n = list[Floats](), dict[tuple[int, float], int](), 0
    named = [TECHNOLOGIES[code] for code in technologies]
    if PV in named:
        shape = sun_shape(case.profiles.pv_wh)
        columns.append((shape if shape.any() else np.ones_like(shape))[:, None])
        first[TECHNOLOGIES.index(PV), 0.0] = n
        n += 1
    ratings = tuple(wall_boxes_kw) if EV in named else ()
    for kw in ratings:
        columns.append(_follow(case, EV, kw))
        first[TECHNOLOGIES.index(EV), kw] = n
        n += SAMPLE
    if HEAT_PUMP in named:
        columns.append(_follow(case, HEAT_PUMP, case.scenario.heat_pump.power_kw))
        first[TECHNOLOGIES.index(HEAT_PUMP), 0.0] = n
    return Library(np.hstack(columns), first)


def _follow(case: Case, kind: str, kw: float) -> Floats:
    """What a sample of cars or heat pumps of a rating takes by the scenario's strategy, (T, SAMPLE) kW per kW."""
    inputs, minutes = case.inputs, case.interval_minutes
    sample = sample_devices(case.scenario, case.profiles, SAMPLE, kind)
    power_wh = np.full(SAMPLE, round(kw * minutes / 60.0 * 1000.0), np.int64)
    sample = sample._replace(power_wh=np.where(sample.kind == CAR, power_wh, sample.power_wh))
    given, opening = np.zeros((inputs.load_wh.shape[0], SAMPLE), np.int64), make_opening_rows(sample)
    unlimited = np.full((AT_ONCE, SAMPLE), UNLIMITED_WH, np.int64)
    for first in range(0, len(given), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        surplus = inputs.pv_wh[part] + inputs.fuel_cell_wh[part] - inputs.load_wh[part]
        rows = follow_devices(sample, opening, first, surplus, unlimited[: len(surplus)])
        given[part], opening = rows["given_wh"], rows[-1].copy()
    return mean_kw(given, minutes) / kw
