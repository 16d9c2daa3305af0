"""The medium-voltage net: read like a net of anybody, with each feeder as a participant at its bus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp

from cosim.errors import ScenarioError
from grid_models.arrays import Ints
from grid_models.errors import GridError, shorten
from grid_models.feeder.feeder import Feeder, make_feeder, read_labels
from grid_models.feeder.net_file import LEFT_OUT, OBJECT_TABLES, read_net
from grid_models.powerflow.admittance import find_bus_rows
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.limits import Limits

NAME = "medium voltage"
"""What messages call the net."""


class Placement(NamedTuple):
    """Name of a feeder, and the bus of the medium-voltage net that it hangs on, by index or name."""

    feeder: str
    mv_bus: int | str


class MediumVoltage(NamedTuple):
    """A medium-voltage net with F feeders.

    Attributes
    ----------
    feeder
        The net, whose participants are the feeders.
    engine, limits
        Its power flow, and what it must keep.
    row
        Column of `Flow.vm_pu` of each feeder's bus, (F,).
    """

    feeder: Feeder
    engine: PowerFlow
    limits: Limits
    row: Ints

    def name_bus(self, feeder: int) -> str:
        """The bus of a feeder in messages."""
        index = int(self.feeder.bus[feeder])
        name = self.feeder.labels["bus"].name[int(self.row[feeder])]
        return f"bus {index} '{name}'" if name else f"bus {index}"


def read_medium_voltage(net: Any, placements: Sequence[Placement], **limits: Any) -> MediumVoltage:
    """Read a medium-voltage net and place feeders in it.

    Its own loads and generators stay, also those at the buses of feeders; the notes of the net count them.

    Parameters
    ----------
    net
        A pandapower net, or the path of one that `pandapower.to_json` wrote.
    placements
        Where each feeder is; several may hang on one bus.
    limits
        Limits as of `Limits.from_feeder`; those of the net if left out.

    Raises
    ------
    ScenarioError, GridError
        If the net cannot be used, or a bus is none or one without supply.
    """
    given = read_net(Path(net)) if isinstance(net, str | Path) else net
    if not isinstance(given, pp.pandapowerNet):
        raise GridError(f"{NAME}: expected a pandapower net or the path of one, got {type(given).__name__}")
    notes = tuple(given.get(LEFT_OUT, ())) or _list_left_out(given)
    for table in ("bus", "line", "trafo"):  # before its buses are searched; all else is checked with the feeder
        if table not in given:
            raise GridError(f"{NAME}: expected a pandapower net, got one without a table '{table}'")
    buses = [find_bus(given, placement) for placement in placements]
    names = [placement.feeder for placement in placements]
    at = _name_occupied(given, buses)
    devices = dict.fromkeys(names, ("load",))
    feeder = make_feeder(NAME, given, names, buses, devices=devices, shared_bus=True, notes=(*notes, *at))
    engine = PowerFlow(feeder)
    return MediumVoltage(feeder, engine, Limits.from_feeder(feeder, **limits), find_bus_rows(feeder.net, feeder.bus))


def find_bus(net: Any, placement: Placement) -> int:
    """Index of the bus of a feeder, by its index or, where no index is the word, its name.

    Raises
    ------
    ScenarioError
        If no bus has it, or several have the name.
    """
    wanted = str(placement.mv_bus).strip()
    names = read_labels(net.bus).name
    by_index = [int(k) for k in net.bus.index if str(k) == wanted]
    found = by_index or [int(k) for k, name in zip(net.bus.index, names, strict=True) if name and name == wanted]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{k} '{name}'" if name else str(k) for k, name in zip(net.bus.index[:5], names[:5], strict=True))
    raise ScenarioError(
        f"feeder '{placement.feeder}', mv_bus: expected index or name of one bus of the medium-voltage net, such as "
        f"{known}, got '{shorten(wanted)}', which {len(found) or 'none'} of them have; correct it"
    )


def _name_occupied(net: Any, buses: Sequence[int]) -> tuple[str, ...]:
    """A note on the net's own loads and generators at the buses of feeders, which stay beside them."""
    counts = {
        table: int((net[table]["bus"].isin(buses) & net[table]["in_service"].astype(bool)).sum())
        for table in ("load", "sgen", "storage")
    }
    said = [f"{n} {table}" for table, n in counts.items() if n]
    if not said:
        return ()
    return (f"{NAME}: {', '.join(said)} of the net at buses of feeders stay beside the feeders",)


def _list_left_out(net: Any) -> tuple[str, ...]:
    """Notes on objects that a net holds, such as controllers of tap changers: they are never run."""
    return tuple(
        f"{NAME}: {len(net[table])} rows of the net's table '{table}' are left out: objects stored in a net are never "
        "run; tap positions and setpoints stay as they are"
        for table in OBJECT_TABLES
        if table in net
        and len(net[table])
        and np.any([hasattr(cell, "control_step") for cell in net[table].get("object", ())])
    )
