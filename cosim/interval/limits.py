"""What stops a house, in words of the ledger: of limits by their numbers, reason with conductor, and element."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.interval.bounds import Bounds
from grid_models.envelopes.excess import count_limits
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits
from market.clipping import NO_LIMIT_WH
from market.exchanges import Ints, Reason, with_conductor


class Stops(NamedTuple):
    """Reasons and elements of limits by their number; the last, number -1, is none."""

    reason: Ints
    element: Ints


def name_stops(case: Case) -> Stops:
    """Every limit of a case by its number, as `grid_models.envelopes.excess` counts them."""
    listed = [*_list_limits(case.feeder, case.limits), (int(Reason.NONE), -1)]
    assert len(listed) == count_limits(case.limits) + 1
    reason, element = (np.array(column, np.int64) for column in zip(*listed, strict=True))
    return Stops(reason, element)


def _list_limits(feeder: Feeder, limits: Limits) -> list[tuple[int, int]]:
    branches = ("line", Reason.LINE_OVERLOAD), ("trafo", Reason.TRAFO_OVERLOAD)
    of_conductors = ("bus", Reason.OVERVOLTAGE), ("bus", Reason.UNDERVOLTAGE), *branches
    found = [
        (with_conductor(reason, conductor), int(element))
        for table, reason in of_conductors
        for element in feeder.net[table].index
        for conductor in feeder.conductors(table)
    ]
    of_buses = (Reason.UNBALANCE, limits.max_vuf_percent), (Reason.NEUTRAL_VOLTAGE, limits.max_neutral_v)
    return found + [
        (int(reason), int(bus)) for reason, values in of_buses if values.size for bus in feeder.net.bus.index
    ]


def find_first_stops(bounds: Bounds) -> Ints:
    """Number of the limit that stops the first of each house's rooms that has one, (K, N); -1 where none has."""
    limited = np.stack([limit != NO_LIMIT_WH for limit in bounds.limit], axis=1)
    first = limited.argmax(axis=1)[:, None]
    found = np.take_along_axis(np.where(limited, bounds.stops, -1), first, axis=1)
    return np.asarray(found[:, 0])
