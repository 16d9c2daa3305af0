"""Words for the sums of a summary: one label, one number, on screen, in the report and in comparisons.

The definitions stand in docs/nomenclature.md. The keys are those of `cosim.results.summary`.
"""

from __future__ import annotations

ENERGY = {
    "load": "load asked for",
    "shed": "load shed",
    "pv": "PV generation",
    "fuel_cell": "fuel cells",
    "from_grid": "from the grid",
    "imported": "imported by houses",
    "exported": "to the grid",
    "p2p": "traded P2P",
    "lot_sale": "lots sold out of batteries",
    "shared": "shared",
    "spilled": "spilled",
    "charge": "batteries charged",
    "discharge": "batteries discharged",
    "losses": "network losses",
    "curtailed": "curtailed exchanges",
}
"""Labels of `energy_kwh`."""

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

SERVED = "load served"
"""Load asked for less load shed."""
REVERSE_HOURS = "hours with export to the grid"

ENERGIES = tuple(key for key in ENERGY if key not in ("curtailed", "shed"))
"""Energies that came from somewhere or went somewhere; the rest is what did not take place."""
CURTAILED = ("curtailed", "shed")
