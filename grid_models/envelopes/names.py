"""Names of limits by their numbers, as `grid_models.envelopes.excess` counts them."""

from __future__ import annotations

from typing import NamedTuple

from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits

CONNECTION = "connection"
"""What stops a customer whom no limit of the network stops."""


class NamedLimit(NamedTuple):
    """An element, `line main 1.2`, which of its limits, and the phase or conductor where phases differ."""

    element: str
    quantity: str
    phase: str


def name_limits(feeder: Feeder, limits: Limits) -> list[NamedLimit]:
    """Every limit by its number; behind them, so that it has the number -1, the customer's own connection."""
    named = [
        *_name_table(feeder, "bus", "max_vm_pu"),
        *_name_table(feeder, "bus", "min_vm_pu"),
        *_name_table(feeder, "line", "max_loading_percent"),
        *_name_table(feeder, "trafo", "max_loading_percent"),
    ]
    for quantity, values in (("max_vuf_percent", limits.max_vuf_percent), ("max_neutral_v", limits.max_neutral_v)):
        if values.size:
            named += [
                each._replace(phase="")
                for each in _name_table(feeder, "bus", quantity)[:: len(feeder.conductors("bus"))]
            ]
    return [*named, NamedLimit(CONNECTION, "", "")]


def _name_table(feeder: Feeder, table: str, quantity: str) -> list[NamedLimit]:
    elements, names = feeder.labels[table]
    labels = [
        name if name.startswith(table) else f"{table} {name or element}"
        for element, name in zip(elements, names, strict=True)
    ]
    return [NamedLimit(label, quantity, phase) for label in labels for phase in feeder.conductors(table)]
