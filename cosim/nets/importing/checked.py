"""What every importer of a pandapower net ends with: the net as its file will be read, and a count of its elements."""

from __future__ import annotations

from typing import Any

import pandapower as pp

from cosim.nets.importing.imported import Imported, LeftOut
from cosim.nets.models import Model
from data.profiles import Profiles
from grid_models.feeder.elements import ELEMENT_TYPES
from grid_models.feeder.feeder import check_net
from grid_models.feeder.net_file import LEFT_OUT, parse_net

_THREE_PHASE = ("asymmetric_load", "asymmetric_sgen")


def finish_import(
    net: Any,
    where: str,
    *,
    profiles: Profiles | None = None,
    elements: dict[str, int] | None = None,
    left_out: tuple[LeftOut, ...] = (),
    participants: tuple[tuple[str, int], ...] = (),
    notes: tuple[str, ...] = (),
) -> Imported:
    """An imported net that is exactly what its file will say: written as text, read again and checked.

    Parameters
    ----------
    net
        pandapower net, by whatever way it came about.
    where
        Begin of messages.
    elements
        Elements of the file by its own kinds; those of the net if left out.
    profiles, left_out, participants, notes
        As in `Imported`.

    Raises
    ------
    GridError
        If the net cannot be used.
    """
    said = tuple(net.pop(LEFT_OUT, ()))
    net = parse_net(pp.to_json(net), where)
    said += tuple(net.pop(LEFT_OUT, ()))
    check_net(where, net)
    counted = count_elements(net) if elements is None else elements
    left_out = (*left_out, *(LeftOut("objects of pandapower", note) for note in said))
    return Imported(net, choose_model(net), profiles, counted, left_out, participants, notes)


def count_elements(net: Any) -> dict[str, int]:
    """Rows of each table of a pandapower net that has some."""
    return {table: len(net[table]) for table in ELEMENT_TYPES if table in net and len(net[table])}


def choose_model(net: Any) -> Model:
    """Three phases where a net has elements of single phases and the zero sequence for them, else balanced."""
    has_phases = any(net[table]["in_service"].astype(bool).any() for table in _THREE_PHASE)
    has_zero = len(net.line) == 0 or "r0_ohm_per_km" in net.line
    return Model.THREE_PHASE if has_phases and has_zero else Model.BALANCED
