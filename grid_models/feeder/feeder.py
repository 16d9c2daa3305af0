"""A feeder: a pandapower net plus the bus and the elements of each participant.

Law: a feeder's net never changes; `with_ratings` and the like return a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandas as pd
from pandapower.topology import unsupplied_buses

from grid_models.arrays import Floats, Ints
from grid_models.errors import GridError
from grid_models.feeder.background import Background, find_background
from grid_models.feeder.connection import CONDUCTORS, DEVICES, EV, NAMES, Connections
from grid_models.feeder.elements import (
    check_element_types,
    complete_taps,
    drop_elements,
    drop_solver_options,
    list_notes,
    switch_off_elements,
)
from grid_models.feeder.net_tables import check_columns, check_tables
from grid_models.feeder.plausibility import check_numbers
from grid_models.feeder.references import check_references
from grid_models.feeder.voltage_dependence import COLUMNS, find_dependence

ELEMENTS: dict[str, tuple[str, str]] = {
    "load": ("load", "{}"),
    "pv": ("sgen", "{} pv"),
    "battery": ("storage", "{} battery"),
    "fuel_cell": ("sgen", "{} fuel cell"),
}
"""pandapower table and name of the element of each device of a participant."""

LARGEST_RATING_KA = 20.0
"""No line carries more for long; a larger number is in A."""

DEFAULT_DEVICES = ("load", "pv", "battery")

ELECTRICAL_TABLES = (
    *("bus", "line", "trafo", "trafo3w", "impedance", "switch", "ext_grid", "gen", "load", "sgen", "storage"),
    *("shunt", "ward", "xward", "motor", "dcline", "asymmetric_load", "asymmetric_sgen"),
    *("svc", "ssc", "tcsc", "vsc", "trafo_characteristic_table", "shunt_characteristic_table"),
)
DESCRIPTIVE_COLUMNS = {*("name", "geo", "std_type", "type", "zone", "description", "substat", "origin", "profile")}


class Labels(NamedTuple):
    """Index and name of each element of a table, in its order; an empty name where it has none."""

    element: list[int]
    name: list[str]


class Given(NamedTuple):
    """A net as it was given: without participants, the elements that they replace out of service.

    Attributes
    ----------
    net
        Never changed.
    attached
        The net that the participants' elements were added to; whoever changes that has another one.
    """

    net: Any
    attached: Any


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
        Remarks for the user about the net, e.g. that ratings are placeholders.
    load_tan_phi
        Reactive over active power of each participant's load, (N,), as in `grid_models.feeder.own_loads`; NaN where it
        is not known. None: nothing is known.
    given
        The net before participants were attached, by which pandapower judges `net`; None: it is not known.
    connections
        Phases of the participants' devices; None: the model is balanced.
    """

    name: str
    net: Any
    participants: tuple[str, ...]
    bus: Ints
    notes: tuple[str, ...] = ()
    load_tan_phi: Floats | None = None
    given: Given | None = None
    connections: Connections | None = None

    @cached_property
    def labels(self) -> dict[str, Labels]:
        """Indices and names of buses, lines and transformers, by table: `bus`, `line`, `trafo`."""
        return {table: read_labels(self.net[table]) for table in ("bus", "line", "trafo")}

    def conductors(self, table: str) -> tuple[str, ...]:
        """Conductors of an element that are judged one by one; one without a name in the balanced model."""
        return ("",) if self.connections is None else CONDUCTORS[table]

    @property
    def injection_bus(self) -> Ints:
        """(C,) bus of each injection: one for each participant in the balanced model, C = N."""
        return self.bus if self.connections is None else self.bus[self.connections.house]

    @cached_property
    def background(self) -> Background:
        """What the net holds beside the participants."""
        return find_background(self.net)

    def as_given(self) -> Feeder:
        """The same participants on the net as it was given; this feeder where that is not known, as after an outage."""
        if self.given is None or self.given.attached is not self.net:
            return self
        return replace(self, net=self.given.net)

    def digest(self) -> bytes:
        """SHA-256 over electrical tables, participants, their buses, and their phases where they have some; 32 bytes.

        Numbers count with 12 significant digits, so that it is the same in every process and after a round trip through
        JSON. Whatever changes the admittances changes it, so it can serve as key of a cache of power flow engines.
        """
        net = self.net
        lines = [f"f_hz={_format_value(net.f_hz)}", f"sn_mva={_format_value(net.sn_mva)}"]
        for table in ELECTRICAL_TABLES:
            lines += _format_rows(table, net[table]) if table in net else []
        lines += [f"{name}@{bus}" for name, bus in zip(self.participants, self.bus, strict=True)]
        lines += [] if self.connections is None else _format_phases(self.connections)
        return hashlib.sha256("\n".join(lines).encode()).digest()


def read_labels(frame: pd.DataFrame) -> Labels:
    """Indices and names of a table's elements; empty names where it has none, or no column of them."""
    if "name" not in frame:
        return Labels([int(index) for index in frame.index], [""] * len(frame))
    missing = frame["name"].isna()
    names = ["" if none else str(name) for name, none in zip(frame["name"], missing, strict=True)]
    return Labels([int(index) for index in frame.index], names)


def _format_phases(connections: Connections) -> list[str]:
    """One line per device, with the phases of every participant, and one for the earthing of the neutral."""
    wires = connections.wires
    earths = [] if wires is None else [f"wires={wires.star_ohm:.12g},{wires.house_ohm}"]
    devices = {device: getattr(connections, device) for device in DEVICES}
    devices |= {} if connections.ev is None else {EV: connections.ev}
    names = {device: [NAMES[code] for code in codes] for device, codes in devices.items()}
    return [*earths, *(f"phases {device}={','.join(phases)}" for device, phases in names.items())]


def _format_rows(table: str, frame: pd.DataFrame) -> list[str]:
    """One line per element, `table[index] column=value …`, without missing values and descriptive columns."""
    columns = sorted(column for column in map(str, frame.columns) if column not in DESCRIPTIVE_COLUMNS)
    ordered = frame.sort_index()
    values = [[_format_value(value) for value in ordered[column]] for column in columns]
    return [
        f"{table}[{index}] "
        + " ".join(f"{column}={value[k]}" for column, value in zip(columns, values, strict=True) if value[k])
        for k, index in enumerate(ordered.index)
    ]


def _format_value(value: Any) -> str:
    """Text of a number, flag or word; empty where it is missing or something else.

    Examples
    --------
    >>> [_format_value(value) for value in (0.1 + 0.2, np.uint32(3), True, float("nan"), "hv")]
    ['0.3', '3', '1', '', 'hv']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        number = float(value)
        return "" if number != number else f"{number + 0.0:.12g}"
    return ""


def make_feeder(
    name: str,
    net: Any,
    participants: Sequence[str],
    bus: Sequence[int],
    *,
    devices: Mapping[str, Sequence[str]] | None = None,
    shared_bus: bool = False,
    keep_elements: bool = True,
    notes: tuple[str, ...] = (),
) -> Feeder:
    """Check a net and the placement of the participants, and make a feeder of them.

    Parameters
    ----------
    name
        Name of the feeder.
    net
        pandapower net; a copy of it gets the participants' elements.
    participants, bus
        N names and the bus index of each.
    devices
        Elements of each participant (`load`, `pv`, `battery`, `fuel_cell`); load, pv and battery for those left out.
    shared_bus
        Whether several participants may be at one bus.
    keep_elements
        Keep the net's own loads and generators beside the participants, who else replace them.
    notes
        Remarks for the user about the net.

    Raises
    ------
    GridError
        If the net is empty, has no source or an element that is not supported, or a participant is placed twice,
        nowhere, or without supply.
    """
    given = deepcopy(net)
    check_tables(given, f"network '{name}'")
    check_columns(given, f"network '{name}'")
    check_references(given, f"network '{name}'")
    check_numbers(given, f"network '{name}'")
    check_net(name, given)
    check_placement(name, given, participants, bus, shared_bus=shared_bus)
    drop_solver_options(given)
    net = deepcopy(given)
    complete_taps(net)
    all_notes = (*notes, *list_notes(given, keep_elements=keep_elements))
    if not keep_elements:
        drop_elements(net)
        switch_off_elements(given)
    owned = devices or {}
    for device in ELEMENTS:
        at = [
            (participant, int(index))
            for participant, index in zip(participants, bus, strict=True)
            if device in owned.get(participant, DEFAULT_DEVICES)
        ]
        add_elements(net, device, at, name)
    return Feeder(name, net, tuple(participants), np.asarray(bus, dtype=np.int64), all_notes, given=Given(given, net))


def add_elements(net: Any, device: str, at: Sequence[tuple[str, int]], where: str = "") -> None:
    """Add a device's elements to `net` for (participant, bus) pairs, all at zero power, named after participants.

    `where` is the network's name in messages.
    """
    if not at:
        return
    table, pattern = ELEMENTS[device]
    names, buses = [pattern.format(participant) for participant, _ in at], [bus for _, bus in at]
    zero = np.zeros(len(at))
    if table == "load":
        percent = find_dependence(where, net, buses)
        rows = pp.create_loads(net, buses, p_mw=zero, q_mvar=zero, name=names)
        if percent is not None:
            net.load.loc[rows, COLUMNS] = percent
    elif table == "storage":
        pp.create_storages(net, buses, p_mw=zero, max_e_mwh=zero, q_mvar=zero, name=names)
    else:
        kind = "PV" if device == "pv" else "FC"
        pp.create_sgens(net, buses, p_mw=zero, q_mvar=zero, name=names, type=kind)


def check_net(name: str, net: Any) -> None:
    """Raise `GridError` if the net has no bus or no source."""
    if len(net.bus) == 0:
        raise GridError(f"network '{name}': expected at least one bus, got an empty net")
    slack = net.gen.slack.astype(bool) if len(net.gen) else np.zeros(0, dtype=bool)
    if not net.ext_grid.in_service.any() and not (slack & net.gen.in_service).any():
        raise GridError(
            f"network '{name}': expected an external grid in service, found none; add one with "
            "pandapower.create_ext_grid"
        )
    check_element_types(name, net)


def check_placement(name: str, net: Any, participants: Sequence[str], bus: Sequence[int], *, shared_bus: bool) -> None:
    """Raise `GridError` if a participant is listed twice, or its bus is unknown, occupied or without supply."""
    if len(participants) == 0:
        raise GridError(f"network '{name}': expected at least one participant, got none")
    dark = unsupplied_buses(net) | set(net.bus.index[~net.bus.in_service.astype(bool)])
    known, listed = set(net.bus.index), set[str]()
    occupied: dict[int, str] = {}
    for participant, index in zip(participants, map(int, bus), strict=True):
        where = f"network '{name}', participant '{participant}'"
        if participant in listed:
            raise GridError(f"{where}: expected each participant once, got it twice; remove a row")
        listed.add(participant)
        if index not in known:
            raise GridError(f"{where}: expected a bus of the net, got {index}; see net.bus")
        if index in dark:
            raise GridError(
                f"{where}: expected a bus with supply, got bus {index}, which no external grid reaches; "
                "close a switch or choose another bus"
            )
        if index in occupied and not shared_bus:
            raise GridError(
                f"{where}: expected a bus of its own, got bus {index} of '{occupied[index]}'; "
                "set shared_bus = true if both are connected there"
            )
        occupied[index] = participant


def with_ratings(feeder: Feeder, max_i_ka: Mapping[str, float]) -> Feeder:
    """Feeder with the rated currents, kA, of some lines set, by the lines' names.

    Raises
    ------
    GridError
        If a name is no line of the net, or a rating is not positive.
    """
    net, given = deepcopy(feeder.net), deepcopy(feeder.as_given().net)
    for line, rating in max_i_ka.items():
        rows = net.line.index[net.line.name == line]
        if len(rows) == 0:
            known = ", ".join(str(name) for name in net.line.name[:5])
            raise GridError(f"network '{feeder.name}', line '{line}': expected a line such as {known}, found none")
        if not 0 < rating <= LARGEST_RATING_KA:
            hint = f"; {rating:g} A would be {rating / 1000:g}" if rating > LARGEST_RATING_KA else ""
            raise GridError(
                f"network '{feeder.name}', line '{line}': expected max_i_ka above 0 and at most "
                f"{LARGEST_RATING_KA:g} kA, got {rating:g}{hint}"
            )
        net.line.loc[rows, "max_i_ka"] = given.line.loc[rows, "max_i_ka"] = rating
    return replace(feeder, net=net, given=Given(given, net))
