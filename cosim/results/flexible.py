"""Tables of cars and heat pumps: what each asked for, was given and holds, interval by interval; and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.interval.chunk import Chunk
from cosim.results.sums import Parts
from cosim.results.tables import encode_names, interval_times, make_table
from grid_models.arrays import Mask
from grid_models.feeder.topology import Supply
from market.exchanges import CAR, HEAT_PUMP

CARS_TABLE, HEAT_PUMPS_TABLE = "ev", "heat_pumps"
WITHOUT_GRID = "without_grid"
_KINDS = {CARS_TABLE: CAR, HEAT_PUMPS_TABLE: HEAT_PUMP}
_SAID = ("least_wh", "wanted_wh", "most_wh", "given_wh")
_COLUMNS = {
    CARS_TABLE: {
        **{name: name for name in _SAID},
        "stored_wh": "stored_wh",
        "used_wh": "used_wh",
        "elsewhere_wh": "made_up_wh",
        "held_wh": "held_wh",
        "unserved_wh": "unserved_wh",
        "stays": "stays",
        "later_ueur_per_kwh": "later_ueur_per_kwh",
    },
    HEAT_PUMPS_TABLE: {
        **{name: name for name in _SAID},
        "heat_wh": "stored_wh",
        "demand_wh": "used_wh",
        "shortfall_wh": "made_up_wh",
        "held_wh": "held_wh",
        "must_run": "stays",
        "cop_ppm": "gain_ppm",
        "later_ueur_per_kwh": "later_ueur_per_kwh",
    },
}
"""Columns of each table behind time and house, and the fields of `market.exchanges.FLEXIBLE` that they are."""


def list_flexible_tables(case: Case) -> tuple[str, ...]:
    """Names of the tables of cars and heat pumps, as far as a run has any."""
    kinds = case.fleet.flexible.kind
    return tuple(name for name, kind in _KINDS.items() if (kinds == kind).any())


def make_flexible_tables(case: Case, chunk: Chunk, *, with_outages: bool) -> dict[str, pa.Table]:
    """Tables `ev` and `heat_pumps` of a chunk: one row per interval and device.

    In a run with outages `WITHOUT_GRID` says whether the grid did not feed its house, so that it took nothing.
    """
    return {name: _make_flexible_table(case, chunk, name, with_outages) for name in list_flexible_tables(case)}


def _make_flexible_table(case: Case, chunk: Chunk, name: str, with_outages: bool) -> pa.Table:
    chosen = np.flatnonzero(case.fleet.flexible.kind == _KINDS[name])
    rows = chunk.window.devices[:, chosen].reshape(-1)
    return make_table(
        {
            "time": interval_times(case, rows["interval"]),
            "house": encode_names(rows["house"], list(case.profiles.participants)),
            **{column: rows[field] for column, field in _COLUMNS[name].items()},
            **({WITHOUT_GRID: _find_without_grid(chunk)[rows["house"]]} if with_outages else {}),
        }
    )


def _find_without_grid(chunk: Chunk) -> Mask:
    """Houses that the grid does not feed, (N,): an interval with any is a chunk of its own."""
    without = np.zeros(chunk.window.meters.shape[1], np.bool_)
    for part in chunk.event.parts if chunk.event else ():
        without |= part.inside & (part.supply != Supply.GRID)
    return without


def summarise_flexible(case: Case, parts: Parts) -> dict[str, dict[str, Any]]:
    """Sums of cars and heat pumps, in kWh, by the name of their section in the summary; nothing without any.

    Parameters
    ----------
    case
        Which devices there are.
    parts
        Reads the tables.
    """
    found, kinds = {}, case.fleet.flexible.kind
    for name in list_flexible_tables(case):
        sums = _sum_columns(parts, name, [column for column in _COLUMNS[name] if column.endswith("_wh")])
        waited = sums["wanted_wh"] - sums["given_wh"]
        n = int((kinds == _KINDS[name]).sum())
        if name == CARS_TABLE:
            found["cars"] = {"number": n, **_summarise_cars(sums, parts), "shifted_kwh": waited / 1000.0}
        else:
            found["heat_pumps"] = {"number": n, **_summarise_pumps(sums), "shifted_kwh": waited / 1000.0}
    return found


def _summarise_cars(sums: dict[str, int], parts: Parts) -> dict[str, Any]:
    sessions = unserved = 0
    for part in parts(CARS_TABLE, ("stays", "unserved_wh")):
        sessions += int(pc.sum(pc.equal(part["stays"], 1)).as_py() or 0)
        unserved += int(pc.sum(pc.greater(part["unserved_wh"], 0)).as_py() or 0)
    return {
        "charged_kwh": sums["given_wh"] / 1000.0,
        "stored_kwh": sums["stored_wh"] / 1000.0,
        "driven_kwh": sums["used_wh"] / 1000.0,
        "charged_elsewhere_kwh": sums["elsewhere_wh"] / 1000.0,
        "sessions": sessions,
        "sessions_not_served": unserved,
        "not_served_kwh": sums["unserved_wh"] / 1000.0,
    }


def _summarise_pumps(sums: dict[str, int]) -> dict[str, Any]:
    return {
        "consumed_kwh": sums["given_wh"] / 1000.0,
        "heat_kwh": sums["heat_wh"] / 1000.0,
        "demand_kwh": sums["demand_wh"] / 1000.0,
        "seasonal_cop": round(sums["heat_wh"] / max(sums["given_wh"], 1), 3),
        "shortfall_kwh": sums["shortfall_wh"] / 1000.0,
    }


def _sum_columns(parts: Parts, name: str, columns: Sequence[str]) -> dict[str, int]:
    sums = dict.fromkeys(columns, 0)
    for part in parts(name, columns):
        for column in columns:
            sums[column] += int(pc.sum(part[column].cast(pa.int64())).as_py() or 0)
    return sums
