"""What cars and heat pumps missed because their house was without the grid, told apart from load that was not served.

Without the grid they take nothing. What they would have taken is found by following them once more through the run as
if the grid had always been there, and given no more than they were where the network cut them. So energy that a car
asks for hour after hour counts once, and what it would have missed anyway does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case.case import Case
from cosim.delivery.flexible import UNLIMITED_WH, follow_devices
from cosim.results.flexible import CARS_TABLE, HEAT_PUMPS_TABLE, WITHOUT_GRID, list_flexible_tables
from cosim.results.sums import Parts
from cosim.results.tables import interval_times
from market.exchanges import CAR, Rows

DEVICE_METRICS = ("put_off_kwh", "missing_in_cars_kwh", "missed_heat_kwh")

_COMMON = ("wanted_wh", "given_wh", WITHOUT_GRID)
_READ = {CARS_TABLE: (*_COMMON, "unserved_wh"), HEAT_PUMPS_TABLE: (*_COMMON, "shortfall_wh")}
_NAMES = (*_COMMON, "missed_wh")
"""What is read of the tables, and one name for what both have."""

Series = Mapping[str, npt.NDArray[np.int64]]


def measure_outage_devices(case: Case, parts: Parts, spells: Sequence[pa.Array]) -> list[dict[str, float]]:
    """What devices missed because of all outages, and then because of each; nothing without devices or outages.

    Parameters
    ----------
    case
        Devices, and the inputs that they look at.
    parts
        Reads the tables `houses`, `ev` and `heat_pumps`.
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
    every, is_car = interval_times(case, np.arange(case.n_intervals)), case.fleet.flexible.kind == CAR
    begins = [every.index(times[0]).as_py() for times in spells]
    put_off = np.zeros((len(spells), is_car.size), np.int64)
    missed = np.zeros_like(put_off)
    for first, had, meant in _follow_with_the_grid(case, parts):
        last_begun = np.searchsorted(begins, np.arange(first, first + meant.shape[0]), side="right") - 1
        k = last_begun >= 0
        np.add.at(put_off, last_begun[k], (had[WITHOUT_GRID] * meant["given_wh"])[k])
        anyway = np.where(is_car, meant["unserved_wh"], meant["made_up_wh"])
        np.add.at(missed, last_begun[k], (had["missed_wh"] - anyway)[k])
    missed = np.maximum(missed, 0)
    found = put_off.sum(axis=1), missed[:, is_car].sum(axis=1), missed[:, ~is_car].sum(axis=1)
    sums = np.column_stack(found).tolist()
    return [
        dict(zip(DEVICE_METRICS, (wh / 1000.0 for wh in each), strict=True))
        for each in ([sum(column) for column in zip(*sums, strict=True)], *sums)
    ]


def _follow_with_the_grid(case: Case, parts: Parts) -> Iterator[tuple[int, Series, Rows]]:
    """Part by part: its first interval, what devices had, (K, D), and their rows where no house is without the grid."""
    rows, first = case.opening.flexible, 0
    for pv_wh, had in zip(_read_pv(case, parts), _read_devices(case, parts), strict=True):
        chosen = slice(first, first + pv_wh.shape[0])
        surplus = pv_wh + (case.inputs.fuel_cell_wh - case.inputs.load_wh)[chosen]
        limit_wh = np.where(had["given_wh"] < had["wanted_wh"], had["given_wh"], UNLIMITED_WH)
        meant = follow_devices(case.inputs.devices, rows, first, surplus, limit_wh)
        yield first, had, meant
        rows, first = meant[-1], chosen.stop


def _read_pv(case: Case, parts: Parts) -> Iterator[npt.NDArray[np.int64]]:
    """What panels could generate, also those that joined or left in the course of the run, (K, N) Wh."""
    for part in parts("houses", ("pv_wh",)):
        yield part["pv_wh"].to_numpy().astype(np.int64).reshape(-1, case.profiles.n_participants)


def _read_devices(case: Case, parts: Parts) -> Iterator[Series]:
    """Series of all devices, (K, D), in the order of the case: cars, then heat pumps."""
    names = list_flexible_tables(case)
    for of_kinds in zip(*(parts(name, _READ[name]) for name in names), strict=True):
        n_intervals = sum(part.num_rows for part in of_kinds) // case.fleet.flexible.kind.size
        read = [
            [part[column].to_numpy().astype(np.int64).reshape(n_intervals, -1) for column in _READ[name]]
            for name, part in zip(names, of_kinds, strict=True)
        ]
        yield {name: np.hstack(columns) for name, columns in zip(_NAMES, zip(*read, strict=True), strict=True)}
