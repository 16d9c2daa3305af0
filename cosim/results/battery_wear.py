"""Wear of the batteries over a run: cycles, loss of capacity and its cost, one row per house."""

from __future__ import annotations

import pyarrow as pa

from cosim.case.case import Case
from cosim.case.devices import find_kind, make_battery
from cosim.case.houses import list_rows
from cosim.results.columns import make_schema
from grid_models.devices.battery_wear import capacity_fade, equivalent_full_cycles, wear_cost_eur

WEAR_TABLE = "battery_wear"

BATTERY_WEAR = make_schema(
    *("house", "capacity_kwh", "charged_kwh", "discharged_kwh", "full_cycles", "mean_soc", "fade", "wear_eur")
)
"""`full_cycles` are equivalent ones; `fade` is the share of capacity lost over a run that began with a new battery."""


def make_wear_table(case: Case, metered: pa.Table) -> pa.Table:
    """Table `battery_wear` of a run: every house that kept one and the same battery throughout.

    Parameters
    ----------
    case
        Batteries, and the price of new ones.
    metered
        Meters summed by house, of `cosim.results.sums.sum_meters`.
    """
    section = case.scenario.battery
    charged, discharged = (metered[name].to_numpy() / 1000.0 for name in ("charge_wh", "discharge_wh"))
    stored = metered["own_wh"].to_numpy() + metered["hosted_wh"].to_numpy()
    mean_kwh = stored / case.n_intervals / 1000.0
    hours = case.n_intervals * case.interval_minutes / 60.0
    changing = {device.house for device in case.fleet.batteries.values()}
    found, rows = [], list_rows(case.scenario, case.profiles.participants)
    for house, name in enumerate(case.profiles.participants):
        wh = int(case.capacity_wh[house])
        battery = make_battery(find_kind(section, rows[house], wh), wh)
        if battery.capacity_kwh == 0.0 or house in changing:
            continue
        cycles = equivalent_full_cycles(battery, charged[house], discharged[house])
        mean_soc = mean_kwh[house] / battery.capacity_kwh
        fade = float(capacity_fade(battery, hours, cycles, mean_soc=mean_soc))
        found.append(
            {
                "house": name,
                "capacity_kwh": battery.capacity_kwh,
                "charged_kwh": charged[house],
                "discharged_kwh": discharged[house],
                "full_cycles": cycles,
                "mean_soc": mean_soc,
                "fade": fade,
                "wear_eur": wear_cost_eur(battery, fade, section.replacement_eur_per_kwh),
            }
        )
    return pa.Table.from_pylist(found, BATTERY_WEAR)
