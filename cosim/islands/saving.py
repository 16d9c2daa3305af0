"""Energy that an island keeps for critical load to come: charge and hydrogen as budgets over the hours ahead.

The forecast is the scenario's own load and sun. Critical load that the sun does not serve needs energy from batteries
and fuel cells, and part of it charge, since fuel cells give no more than their power. From the last hour that is looked
at back to the next one both needs add up, less what the sun charges in between. What is there beyond them is spare, and
only that serves ordinary load. How long the outage lasts is not known: every hour looks as far ahead as the one before.

Law: spare energy is all there is where nothing ahead needs any; without the plan ordinary load is not limited.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.state import ADMITTED, NetworkState
from cosim.case.timeline import Mask
from cosim.islands.local_dispatch import FuelRange
from grid_models.arrays import Floats, Ints
from grid_models.devices.fuel_cell_plant import Plant, hydrogen_kg_per_h
from market.state import State
from market.storage import PPM, Ratings, Wh, deliverable_wh

LOSS_PERCENT = 3
"""By which critical load to come is raised for losses of wires and of batteries at rest."""


class Forecast(NamedTuple):
    """Of every interval, (T,) Wh: critical load that the sun does not serve, and what the sun stores in batteries."""

    short_wh: Ints
    sun_wh: Ints


def forecast_critical(load_wh: Wh, pv_wh: Wh, critical_share: float, ratings: Ratings) -> Forecast:
    """What load and sun of some houses, (T, N) Wh each, ask of their batteries and fuel cells for critical load.

    A house uses its own panels first. What it has left charges its battery or serves others.
    """
    critical = np.rint(load_wh * critical_share).astype(np.int64)
    surplus = np.maximum(pv_wh - load_wh, 0)
    balance = surplus.sum(axis=1) - np.maximum(critical - pv_wh, 0).sum(axis=1)
    storable = np.minimum(surplus, ratings.max_charge_wh) * ratings.charge_ppm // PPM * ratings.discharge_ppm // PPM
    sun = np.minimum(np.maximum(balance, 0), storable.sum(axis=1))
    return Forecast(-(np.minimum(balance, 0) * (100 + LOSS_PERCENT) // 100), sun)


def find_kept(forecast: Forecast, fuel_wh: int, ahead: int) -> Ints:
    """Energy to keep behind every interval for the `ahead` ones after it, (T, 2) Wh: in all, and as charge.

    Parameters
    ----------
    forecast
        Of T intervals; nothing is kept for what comes behind them.
    fuel_wh
        What the fuel cells can give in an interval.
    ahead
        How many intervals are looked at.

    Examples
    --------
    >>> forecast = Forecast(np.array([5, 5, 0, 9]), np.array([0, 0, 4, 0]))
    >>> find_kept(forecast, 3, 2).tolist()
    [[5, 2], [5, 2], [9, 6], [0, 0]]
    >>> find_kept(forecast, 3, 3)[0].tolist()
    [10, 4]
    """
    n = forecast.short_wh.size
    beyond, kept = np.zeros(ahead, np.int64), np.zeros((n, 2), np.int64)
    shorts, suns = np.append(forecast.short_wh, beyond), np.append(forecast.sun_wh, beyond)
    for k in range(ahead, 0, -1):
        short, sun = shorts[k : k + n], suns[k : k + n]
        kept = np.maximum(kept - sun[:, None], 0)
        kept += np.stack([short, np.maximum(short - fuel_wh, 0)], axis=1)
    return kept


def rate_fuel_wh_per_kg(plant: Plant) -> float:
    """What a plant makes of a kilogram of hydrogen at nominal power, Wh; at less power it makes more of it."""
    return plant.nominal_kw * 1000.0 / float(hydrogen_kg_per_h(plant, plant.nominal_kw))


def rate_nominal_wh(plant: Plant, hours: float) -> int:
    """What a plant can give in an interval at nominal power, Wh."""
    return int(plant.nominal_kw * 1000.0 * hours)


def count_ahead(case: Case) -> int:
    """Number of intervals that are looked at."""
    return case.scenario.outage.look_ahead_hours * 60 // case.interval_minutes


def select_ratings(ratings: Ratings, inside: Mask) -> Ratings:
    """Ratings of the batteries of some houses."""
    return Ratings(*(column[inside] if np.ndim(column) else column for column in ratings))


def keep_from(case: Case, first: int, stop: int, inside: Mask, plants: list[Plant], ratings: Ratings) -> Ints:
    """What houses with some plants keep behind intervals `first` … `stop` - 1, (T, 2) Wh: as `find_kept`."""
    ahead, hours = count_ahead(case), case.interval_minutes / 60.0
    load, pv = (wh[first : stop + ahead, inside] for wh in (case.inputs.load_wh, case.inputs.pv_wh))
    chosen = select_ratings(ratings, inside)
    forecast = forecast_critical(load, pv, case.scenario.community.critical_share, chosen)
    fuel = sum(rate_nominal_wh(plant, hours) for plant in plants)
    return find_kept(forecast, fuel, ahead)[: stop - first]


def find_spare(
    case: Case, network: NetworkState, state: State, t: int, inside: Mask, cells: tuple[FuelRange, ...]
) -> int | None:
    """Energy of an island's batteries and fuel cells, Wh, that interval `t` needs not keep; None without a plan.

    Parameters
    ----------
    case
        With the devices that are admitted.
    network, state
        States before the interval.
    t, inside
        The interval, and houses in the island, (N,).
    cells
        What its fuel cells can deliver in the interval.
    """
    if not network.looks_ahead:
        return None
    numbers = [k for k, one in case.fleet.fuel_cells.items() if network.standing[k] == ADMITTED and inside[one.house]]
    plants = [case.fleet.fuel_cells[k].plant for k in numbers]
    ((kept, kept_charge),) = keep_from(case, t, t + 1, inside, plants, state.ratings)
    charge = count_charge(state, bool(case.rules.battery))[inside].sum()
    tanks = [int(network.plants[k, 0] * rate_fuel_wh_per_kg(plant)) for k, plant in zip(numbers, plants, strict=True)]
    now = sum(cell.high_wh for cell in cells)
    return int(min(charge + sum(tanks) - kept, charge + now - kept_charge))


def count_charge(state: State, is_used: bool) -> Wh:
    """What each battery can still give of its own charge, (N,) Wh; nothing where the market uses none."""
    ratings = state.ratings
    if not is_used:
        return np.zeros_like(state.own_wh)
    stored = state.own_wh - ratings.soc_min_wh
    return np.array(
        [deliverable_wh(int(wh), int(ppm)) for wh, ppm in zip(stored, ratings.discharge_ppm, strict=True)], np.int64
    )


def list_efficiencies(plants: list[Plant]) -> Floats:
    """`rate_fuel_wh_per_kg` of each plant, (C,)."""
    return np.array([rate_fuel_wh_per_kg(plant) for plant in plants], np.float64)
