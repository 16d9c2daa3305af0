"""Names of the limits that bind: element, conductor, quantity, and the limit itself."""

from __future__ import annotations

from typing import NamedTuple

from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import UNBALANCE_SCALE, Limits


class LimitName(NamedTuple):
    """A limit.

    Attributes
    ----------
    element_type, element, name, phase
        The element's table, its index there, its name, and the conductor, empty where it is no single one.
    quantity
        `max_vm_pu`, `min_vm_pu`, `max_loading_percent` or `max_vuf_percent`.
    value
        The limit, in the unit of the quantity.
    scale
        What one per cent of the quantity is in the units of the linear programme: pu, or shares of a rating.
    """

    element_type: str
    element: int
    name: str
    phase: str
    quantity: str
    value: float
    scale: float = 0.01

    def __str__(self) -> str:
        label = (
            self.name if self.name.startswith(self.element_type) else f"{self.element_type} {self.name or self.element}"
        )
        where = f", phase {self.phase}" if self.phase in ("a", "b", "c") else ", neutral" if self.phase else ""
        what, unit = _WORDS[self.quantity]
        return f"{label}{where}: {what} {self.value:.5g} {unit}"


_WORDS = {
    "max_vm_pu": ("highest voltage", "pu"),
    "min_vm_pu": ("lowest voltage", "pu"),
    "max_loading_percent": ("loading", "%"),
    "max_vuf_percent": ("unbalance (VUF)", "%"),
}


def name_limit(feeder: Feeder, limits: Limits, number: int) -> LimitName:
    """The limit of a number, as `cosim.curtailment.programme` has them."""
    n_voltages = limits.max_vm_pu.size
    if number < 2 * n_voltages:
        place, quantity = (number, "max_vm_pu") if number < n_voltages else (number - n_voltages, "min_vm_pu")
        return _name_conductor(feeder, "bus", place, quantity, float(getattr(limits, quantity)[place]))
    lines, trafos = limits.max_line_loading_percent, limits.max_trafo_loading_percent
    end = number - 2 * n_voltages
    if end >= 2 * (lines.size + trafos.size):
        bus = end - 2 * (lines.size + trafos.size)
        index, names = feeder.labels["bus"]
        value = float(limits.max_vuf_percent[bus])
        return LimitName("bus", index[bus], names[bus], "", "max_vuf_percent", value, 0.01 * UNBALANCE_SCALE)
    place = end % (lines.size + trafos.size)
    if place < lines.size:
        return _name_conductor(feeder, "line", place, "max_loading_percent", float(lines[place]))
    place -= lines.size
    return _name_conductor(feeder, "trafo", place, "max_loading_percent", float(trafos[place]))


def _name_conductor(feeder: Feeder, table: str, place: int, quantity: str, value: float) -> LimitName:
    index, names = feeder.labels[table]
    conductors = feeder.conductors(table)
    k, conductor = divmod(place, len(conductors))
    return LimitName(table, index[k], names[k], conductors[conductor], quantity, value)
