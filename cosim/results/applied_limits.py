"""Which limits a verdict was made by, and where they come from: for the screen, the summary and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grid_models.powerflow.limits import Limits

_QUANTITIES = {
    "min_vm_pu": ("lowest voltage", "pu"),
    "max_vm_pu": ("highest voltage", "pu"),
    "max_loading_percent": ("highest loading", "%"),
    "max_vuf_percent": ("largest unbalance (VUF)", "%"),
    "max_neutral_to_earth_v": ("highest voltage of the neutral to earth", "V"),
}
_ELEMENTS = {"bus": ("bus", "buses"), "line": ("line", "lines"), "trafo": ("transformer", "transformers")}
_ORIGINS = {"net": "the net's own", "asked": "as asked for"}
_DEFAULTS = {
    "min_vm_pu": "EN 50160",
    "max_vm_pu": "EN 50160",
    "max_loading_percent": "the rating",
    "max_vuf_percent": "EN 50160",
}


def list_limits(limits: Limits) -> list[dict[str, Any]]:
    """The limits that are applied, as rows of a summary: `Origin` by its names."""
    return [origin._asdict() for origin in limits.origins]


def describe_limits(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line a quantity: how large its limits are, at how many elements, and where they come from.

    Examples
    --------
    >>> row = {"element_type": "bus", "quantity": "min_vm_pu", "origin": "net", "elements": 2, "lowest": 0.9}
    >>> describe_limits([{**row, "highest": 0.95}])
    ["lowest voltage: 0.9 to 0.95 pu at 2 buses (the net's own)"]
    """
    told: dict[str, list[str]] = {}
    for row in rows:
        told.setdefault(row["quantity"], []).append(_describe(row))
    return [f"{_QUANTITIES[quantity][0]}: {', '.join(parts)}" for quantity, parts in told.items()]


def _describe(row: Mapping[str, Any]) -> str:
    quantity, unit = row["quantity"], _QUANTITIES[row["quantity"]][1]
    low, high, n = row["lowest"], row["highest"], row["elements"]
    value = f"{low:.6g} {unit}" if low == high else f"{low:.6g} to {high:.6g} {unit}"
    if high == 0.0:
        value = "none (0 pu)"
    where = "of" if quantity == "max_loading_percent" else "at"
    origin = _ORIGINS.get(row["origin"]) or _DEFAULTS[quantity]
    return f"{value} {where} {n:,} {_ELEMENTS[row['element_type']][n != 1]} ({origin})"
