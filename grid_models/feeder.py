"""A feeder: a pandapower net plus, for every participant, the bus it connects to and its elements there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
from pandapower.topology import unsupplied_buses

from grid_models.errors import GridError
from grid_models.kernel import Ints

ELEMENTS: dict[str, tuple[str, str]] = {
    "load": ("load", "{}"),
    "pv": ("sgen", "{} pv"),
    "battery": ("storage", "{} battery"),
    "fuel_cell": ("sgen", "{} fuel cell"),
}
"""Device of a participant → pandapower table and name of its element."""

HASHED_TABLES = ("bus", "line", "trafo", "switch", "ext_grid", "gen", "load", "sgen", "storage", "shunt")
NOT_ELECTRICAL = ("name", "geo", "std_type", "zone", "description", "origin", "profile")


@dataclass(frozen=True, eq=False)
class Feeder:
    """A network with participants.

    Attributes
    ----------
    name
        Name of the feeder.
    net
        pandapower net with the participants' elements at zero power; never changed after construction.
    participants
        N names.
    bus
        Bus index of each participant, int64 (N,).
    notes
        What a user should know about the net, e.g. ratings that are placeholders.
    """

    name: str
    net: Any
    participants: tuple[str, ...]
    bus: Ints
    notes: tuple[str, ...] = ()

    def digest(self) -> bytes:
        """SHA-256 over the electrical tables, participants and their buses; 32 bytes, equal in every process."""
        content = hashlib.sha256()
        for table in HASHED_TABLES:
            frame = self.net[table]
            columns = sorted(column for column in frame.columns if column not in NOT_ELECTRICAL)
            content.update(f"{table}:{len(frame)}\n".encode())
            for column in columns:
                values = ",".join(_canonical(value) for value in frame[column].sort_index())
                content.update(f"{column}={values}\n".encode())
        content.update(
            "\n".join(f"{n}@{b}" for n, b in zip(self.participants, self.bus, strict=True)).encode()
        )
        return content.digest()


def _canonical(value: Any) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, int | float | np.number):
        return float(value).hex()
    return str(value)


def make_feeder(
    name: str,
    net: Any,
    participants: Sequence[str],
    bus: Sequence[int],
    *,
    devices: Mapping[str, Sequence[str]] | None = None,
    shared_bus: bool = False,
    notes: tuple[str, ...] = (),
) -> Feeder:
    """Feeder of a net and a placement, once both are known to be sound.

    Parameters
    ----------
    name
        Name of the feeder.
    net
        pandapower net; a copy of it gets the participants' elements.
    participants, bus
        N names and the bus index of each.
    devices
        Elements of each participant (`load`, `pv`, `battery`, `fuel_cell`); load, pv and battery for everyone if
        left out.
    shared_bus
        Whether several participants may be at one bus.
    notes
        What a user should know about the net.

    Raises
    ------
    GridError
        If the net is empty or has no source, or a participant is placed twice, nowhere, or without supply.
    """
    check_net(name, net)
    check_placement(name, net, participants, bus, shared_bus=shared_bus)
    net = deepcopy(net)
    for participant, index in zip(participants, bus, strict=True):
        given = ("load", "pv", "battery") if devices is None else devices[participant]
        add_elements(net, participant, int(index), given)
    return Feeder(name, net, tuple(participants), np.asarray(bus, dtype=np.int64), notes)


def add_elements(net: Any, participant: str, bus: int, devices: Sequence[str]) -> None:
    """Add a participant's elements to `net`, all at zero power, named after it."""
    for device in devices:
        table, pattern = ELEMENTS[device]
        label = pattern.format(participant)
        if table == "load":
            pp.create_load(net, bus, p_mw=0.0, q_mvar=0.0, name=label)
        elif table == "storage":
            pp.create_storage(net, bus, p_mw=0.0, max_e_mwh=0.0, name=label)
        else:
            pp.create_sgen(net, bus, p_mw=0.0, q_mvar=0.0, name=label, type="PV" if device == "pv" else "FC")


def check_net(name: str, net: Any) -> None:
    """Raise `GridError` if the net has no bus or nothing that feeds it."""
    if len(net.bus) == 0:
        raise GridError(f"network '{name}': expected at least one bus, got an empty net")
    slack = net.gen.slack.astype(bool) if len(net.gen) else np.zeros(0, dtype=bool)
    if not net.ext_grid.in_service.any() and not (slack & net.gen.in_service).any():
        raise GridError(
            f"network '{name}': expected an external grid in service, found none; add one with "
            "pandapower.create_ext_grid"
        )


def check_placement(
    name: str, net: Any, participants: Sequence[str], bus: Sequence[int], *, shared_bus: bool
) -> None:
    """Raise `GridError` if a participant is listed twice, or its bus is unknown, taken or without supply."""
    if len(participants) == 0:
        raise GridError(f"network '{name}': expected at least one participant, got none")
    dark = unsupplied_buses(net) | set(net.bus.index[~net.bus.in_service.astype(bool)])
    known, listed = set(net.bus.index), set[str]()
    taken: dict[int, str] = {}
    for participant, index in zip(participants, bus, strict=True):
        where = f"network '{name}', participant '{participant}'"
        if participant in listed:
            raise GridError(f"{where}: expected each participant once, got it twice; remove a row")
        listed.add(participant)
        if int(index) not in known:
            raise GridError(f"{where}: expected a bus of the net, got {index}; see net.bus")
        if int(index) in dark:
            raise GridError(
                f"{where}: expected a bus with supply, got bus {index}, which no external grid reaches; "
                "close a switch or choose another bus"
            )
        if int(index) in taken and not shared_bus:
            raise GridError(
                f"{where}: expected a bus of its own, got bus {index} of '{taken[int(index)]}'; "
                "set shared_bus = true if both are connected there"
            )
        taken[int(index)] = participant


def with_ratings(feeder: Feeder, max_i_ka: Mapping[str, float]) -> Feeder:
    """Feeder with the rated currents of some lines set, by the lines' names.

    Raises
    ------
    GridError
        If a name is no line of the net, or a rating is not positive.
    """
    net = deepcopy(feeder.net)
    for line, rating in max_i_ka.items():
        rows = net.line.index[net.line.name == line]
        if len(rows) == 0:
            known = ", ".join(str(name) for name in net.line.name[:5])
            raise GridError(
                f"network '{feeder.name}', line '{line}': expected a line such as {known}, found none"
            )
        if not rating > 0:
            raise GridError(f"network '{feeder.name}', line '{line}': expected max_i_ka > 0, got {rating}")
        net.line.loc[rows, "max_i_ka"] = rating
    return replace(feeder, net=net)
