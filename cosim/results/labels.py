"""Words for the sums of a summary: one label, one number, on screen, in the report and in comparisons.

The definitions stand in docs/nomenclature.md. The keys are those of `cosim.results.summary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ENERGY = {
    "load": "load asked for",
    "shed": "load shed",
    "pv": "PV generation",
    "fuel_cell": "fuel cells",
    "from_grid": "from the grid",
    "imported": "imported by houses",
    "exported": "exported by houses",
    "p2p": "traded P2P",
    "lot_sale": "lots sold out of batteries",
    "shared": "shared",
    "spilled": "spilled",
    "charge": "batteries charged",
    "discharge": "batteries discharged",
    "losses": "network losses",
    "curtailed": "curtailed exchanges (without imports)",
}
"""Labels of `energy_kwh`."""

TO_GRID = "to the grid"
"""What houses and the net's own elements feed into the grid; without such elements, what houses export."""

BACKGROUND = {
    "to_grid": TO_GRID,
    "background_load": "background load",
    "background_generation": "background generation",
}
"""Labels of the further sums in `energy_kwh` where the net has elements of its own, the background."""

MONEY = {
    "paid_to_grid": "paid to the utility",
    "feed_in": "earned by feed-in",
    "earned_from_p2p": "earned from P2P trading",
    "fees": "fees of the contract",
    "earned_from_sharing": "earned from sharing",
    "contract_sales": "sales of the contract",
    "losses": "paid for network losses",
    "compensation": "compensation for curtailed energy",
}
"""Labels of `money_eur`."""

CHARGES = {
    "withdrawn_kwh": ("energy that network charges are for", "kWh"),
    "grid_eur": ("network charges, energy from the grid", "EUR"),
    "local_eur": ("network charges, energy from other houses", "EUR"),
    "power_eur": ("network charges, power", "EUR"),
    "standing_eur": ("network charges, standing part", "EUR"),
    "loss_eur": ("network charges, losses passed on", "EUR"),
    "total_eur": ("network charges", "EUR"),
    "operator_eur": ("left to the network operator", "EUR"),
}
"""Labels and units in `charges`, where the use of the network is charged for."""

NETWORK = {
    "lowest_voltage": "lowest voltage",
    "highest_voltage": "highest voltage",
    "largest_unbalance": "largest voltage unbalance",
    "highest_neutral_loading": "highest neutral loading",
    "highest_neutral_voltage": "highest voltage of a neutral to earth",
    "highest_loading": "highest loading",
}
"""Labels of the extremes in `network`: in an unbalanced run of any phase or conductor."""

SERVED = "load served"
"""Load asked for less load shed."""
CARS = {
    "charged": "cars charged",
    "driven": "driven by cars",
    "charged_elsewhere": "cars charged elsewhere",
    "shifted": "charging put off by the network",
    "not_served": "missing in cars as they left",
}
"""Labels of the energies in `cars`."""

CARS_LEFT_SHORT = "cars that left with less than wanted"
"""Label of `sessions_not_served` in `cars`."""

HEAT_PUMPS = {
    "consumed": "heat pumps",
    "heat": "heat of heat pumps",
    "demand": "heat demand",
    "shifted": "heat pumps put off by the network",
    "shortfall": "heat that houses missed",
}
"""Labels of the energies in `heat_pumps`."""

FLEXIBLE = {"cars": CARS, "heat_pumps": HEAT_PUMPS}
"""Labels by section of a summary, where a run has cars or heat pumps."""

OUTAGE_DEVICES = {
    "put_off_kwh": "not taken by cars and heat pumps without the grid",
    "missing_in_cars_kwh": "missing in cars as they left, by outages",
    "missed_heat_kwh": "heat that houses missed, by outages",
}
"""Labels of what is told of cars and heat pumps in `resilience`; energy not served is load without them."""
OUTAGE_COST = {"lost_load_eur": "cost of lost load"}
"""Label of the cost in `resilience`, where the scenario has a value of lost load."""
REVERSE_HOURS = "hours with export to the grid"
CURTAILED_HOURS = "hours curtailed"
CUT_KWH = "energy cut by the network"
CUT_PERCENT = "energy cut of what was cleared"
PUT_OFF_KWH = "energy cut that was put off"
"""Labels of `hours`, `cut_kwh`, `cut_percent` and `put_off_kwh` in `curtailed`."""

ENVELOPES = {
    "bound_hours": ("hours in which envelopes bound", "h"),
    "spilled_kwh": ("spilled before the market", "kWh"),
    "not_taken_kwh": ("not taken by cars and heat pumps, by envelopes", "kWh"),
    "too_wide_hours": ("hours cut behind envelopes (too wide)", "h"),
    "cut_behind_kwh": ("energy cut behind envelopes", "kWh"),
    "too_narrow_hours": ("hours in which cutting after the market carried more (too narrow)", "h"),
    "withheld_kwh": ("energy that was carried less there", "kWh"),
    "no_envelope_hours": ("hours without an envelope", "h"),
}
"""Labels and units in `envelopes`, where orders were clipped before the market."""


def choose_envelope_digits(unit: str, values: Iterable[float]) -> int:
    """Decimals of a quantity of `ENVELOPES`: whole Wh where rounding would say 0.0 kWh of what is not nothing.

    Examples
    --------
    >>> [choose_envelope_digits("kWh", [value]) for value in (12.345, 0.0, 0.026)]
    [1, 1, 3]
    """
    if unit == "h":
        return 0
    return 3 if any(0.0 < abs(value) < 0.05 for value in values) else 1


BY_HOUSE = {
    "balance": ("balance of {}", "EUR"),
    "delivered_kwh": ("delivered by {}", "kWh"),
    "delivered_percent": ("delivered by {} of what it offered", "%"),
    "charged": ("network charges of {}", "EUR"),
}
"""Labels and units of each house in comparisons, with envelopes or network charges; a balance is wallet and utility
account at the end."""

OFFERED = {
    "offered_jain": ("Jain's index of shares delivered of what was offered", ""),
    "offered_lowest": ("lowest share delivered of what a house offered", "%"),
    "offered_total": ("delivered of what was offered", "%"),
}
"""Labels and units of fairness in comparisons with envelopes; offered is what was cleared or spilled before."""

FAIRNESS = {
    "jain_index": "Jain's index of delivered shares",
    "smallest_share": "smallest share that a house delivered",
    "houses_that_sold": "houses that sold",
}
"""Labels of `fairness`."""

RATED_KVA = "transformers, rated power"
FLOWS = {"largest_import": "largest import from the grid", "largest_export": "largest export to the grid"}
"""Labels in `transformer`."""

ENERGIES = (*(key for key in ENERGY if key not in ("curtailed", "shed")), *BACKGROUND)
"""Energies that came from somewhere or went somewhere; the rest is what did not take place."""
CURTAILED = ("curtailed", "shed")


def describe_conductor(phase: str) -> str:
    """A conductor in words; empty where there is no single one.

    Examples
    --------
    >>> [describe_conductor(phase) for phase in ("b", "n", "")]
    ['phase b', 'neutral', '']
    """
    return {"": "", "n": "neutral"}.get(phase, f"phase {phase}")


def name_place(found: Mapping[str, Any]) -> str:
    """Where an extreme of the network is: its bus or element, and in an unbalanced run its conductor.

    Examples
    --------
    >>> name_place({"vm_pu": 1.04, "bus": "pole 9", "phase": "b"}), name_place({"bus": "pole 9"}), name_place({})
    ('pole 9, phase b', 'pole 9', '')
    """
    where = found.get("bus") or found.get("element") or ""
    return ", ".join(filter(None, (where, describe_conductor(found.get("phase", "")))))


def name_house(index: int) -> str:
    """A house as people know it: its place in the tables counted from 1, where the ledger counts from 0.

    Examples
    --------
    >>> name_house(0)
    'house 1'
    """
    return f"house {number_house(index)}"


def number_house(index: int) -> int:
    """Number of a house for people, of its index on the ledger: `house_01`, the first of the tables, is house 1.

    Examples
    --------
    >>> number_house(6)
    7
    """
    return index + 1
