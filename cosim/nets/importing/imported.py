"""What an importer returns: a network of ours, its profiles, and an account of all that the file held."""

from __future__ import annotations

from typing import Any, NamedTuple

from cosim.nets.models import Model
from data.profiles import Profiles


class LeftOut(NamedTuple):
    """An element or a property of the file that has no place in our network, and why."""

    element: str
    """Kind and name as the file spells them, such as "monitor.m1"."""
    why: str


class Imported(NamedTuple):
    """A network of others as ours."""

    net: Any
    """pandapower net, or `grid_models.phases.tables.Tables` where `model` is four_wire."""
    model: Model
    """The model in which the network is to be solved."""
    profiles: Profiles | None
    """Energies of the loads and generators, where the file has series of them."""
    elements: dict[str, int]
    """How many elements of each kind the file has, by the kind's name there; read or left out, each is counted."""
    left_out: tuple[LeftOut, ...]
    """What was not read; what would change the power flow is never here but refused by name."""
    participants: tuple[tuple[str, int], ...] = ()
    """Names of participants and the indices of their buses, where the file or its importer names them."""
    notes: tuple[str, ...] = ()
    """What had to be understood to read the file."""
