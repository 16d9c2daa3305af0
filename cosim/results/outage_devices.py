"""What cars and heat pumps missed because their house was without the grid, told apart from load that was not served.

Without the grid they take nothing. What they would have taken is found by following them once more from the first
outage on as if the grid had been there, with the same cuts by the network in the hours in which it was. So energy that
a car asks for hour after hour counts once, and what it would have missed anyway does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case.case import Case
from cosim.case.unhindered import follow_unhindered
from cosim.results.flexible import CARS_TABLE, HEAT_PUMPS_TABLE, list_flexible_tables
from cosim.results.sums import Parts
from cosim.results.tables import interval_times
from market.exchanges import CAR, Rows

DEVICE_METRICS = ("put_off_kwh", "missing_in_cars_kwh", "missed_heat_kwh")

_COMMON = ("most_wh", "wanted_wh", "given_wh", "held_wh")
_READ = {CARS_TABLE: (*_COMMON, "stays", "unserved_wh"), HEAT_PUMPS_TABLE: (*_COMMON, "must_run", "shortfall_wh")}
_NAMES = (*_COMMON, "stays", "missed_wh")
"""What is read of the tables, and one name for what both have."""

Series = Mapping[str, npt.NDArray[np.int64]]


def measure_outage_devices(case: Case, parts: Parts, spells: Sequence[pa.Array]) -> list[dict[str, float]]:
    """What devices missed because of each outage, and first because of all; nothing without devices or outages.

    Parameters
    ----------
    case
        Devices, and the inputs that they look at.
    parts
        Reads the tables `ev` and `heat_pumps`.
    spells
        Times of each outage, as `cosim.results.resilience.find_spells` gives them.

    Returns
    -------
    list of dict
        `DEVICE_METRICS`: kWh that devices would have taken in these hours, that cars then missed as they left, and heat
        that houses then missed. What is missed later counts to the last outage before it.
    """
    if not spells or not list_flexible_tables(case):
        return []
    every = interval_times(case, np.arange(case.n_intervals))
    bounds = [(every.index(times[0]).as_py(), every.index(times[-1]).as_py() + 1) for times in spells]
    first = bounds[0][0]
    had = _read_devices(case, parts)
    n_intervals = had["given_wh"].shape[0]
    meant = _follow_with_the_grid(case, had, first, n_intervals)
    rests = had["most_wh"][first:] == 0
    put_off = np.where(rests, meant["given_wh"], 0).sum(axis=1)
    is_car = _list_is_car(case)
    of_cars = np.where(meant["stays"] == 1, meant["unserved_wh"], 0)
    missed = np.maximum(had["missed_wh"][first:] - np.where(is_car, of_cars, meant["made_up_wh"]), 0)
    ends = [begin for begin, _ in bounds[1:]] + [n_intervals]
    found = []
    for (begin, end), last in zip(bounds, ends, strict=True):
        later = missed[begin - first : last - first]
        wh = put_off[begin - first : end - first].sum(), later[:, is_car].sum(), later[:, ~is_car].sum()
        found.append(dict(zip(DEVICE_METRICS, (int(value) / 1000.0 for value in wh), strict=True)))
    return [{name: round(sum(each[name] for each in found), 3) for name in DEVICE_METRICS}, *found]


def _list_is_car(case: Case) -> npt.NDArray[np.bool_]:
    kinds = case.fleet.flexible.kind
    return np.asarray(kinds == CAR)


def _read_devices(case: Case, parts: Parts) -> Series:
    """Series of all devices, (T, D), in the order of the case: cars, then heat pumps."""
    tables = [_read_table(case, parts, name) for name in list_flexible_tables(case)]
    return {name: np.hstack([table[name] for table in tables]) for name in _NAMES}


def _read_table(case: Case, parts: Parts, name: str) -> Series:
    is_car = _list_is_car(case)
    n = int((is_car if name == CARS_TABLE else ~is_car).sum())
    read = [part.select(_READ[name]) for part in parts(name, _READ[name])]
    return {
        to: np.concatenate([part[column].to_numpy().astype(np.int64) for part in read]).reshape(-1, n)
        for column, to in zip(_READ[name], _NAMES, strict=True)
    }


def _follow_with_the_grid(case: Case, had: Series, first: int, stop: int) -> Rows:
    """Rows of the devices from interval `first` on, (T - first, D), where no house is ever without the grid."""
    opening = case.opening.flexible.copy()
    if first > 0:
        for field, series in (("held_wh", "held_wh"), ("given_wh", "given_wh"), ("stays", "stays")):
            opening[field] = had[series][first - 1]
    return follow_unhindered(case, (had["wanted_wh"] - had["given_wh"])[first:], opening, slice(first, stop))
