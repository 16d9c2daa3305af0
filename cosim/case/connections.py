"""At which phases the participants of a scenario are: as their table says, drawn from the seed, or all on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cosim.case.community import COMMUNITY
from cosim.case.flexible import draw_houses
from cosim.case.houses import list_rows
from cosim.case.participants import (
    PHASE_EV,
    UNSAID,
    Participants,
    connect_rows,
    name_phases,
    read_participants,
    read_placement,
)
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from grid_models.devices.ev import ONE_PHASE_KW
from grid_models.feeder.connection import (
    ABC,
    DEVICES,
    NAMES,
    A,
    Connections,
    FourWires,
    connect_houses,
    draw_connections,
    make_connections,
)
from grid_models.feeder.feeder import ELEMENTS, Feeder

STREAM = 4
"""Number of the random stream of phases; those before it draw houses, series, noise and the feeder."""


def connect(scenario: Scenario, feeder: Feeder, pv_kw: npt.ArrayLike, battery_kw: npt.ArrayLike) -> Feeder:
    """Feeder whose participants know their phases, and notes that say where these come from.

    In the balanced model it is the feeder as it is.

    Parameters
    ----------
    scenario
        Model and source of the network, and how houses are connected.
    feeder
        Network with N participants, the community last if there is one.
    pv_kw, battery_kw
        (N,) rated power of each participant's panels and battery, kW; 0 where it has none.

    Raises
    ------
    ScenarioError
        If the table of participants cannot be used.
    """
    section = scenario.network
    if section.model == "balanced":
        return feeder
    if section.source == "file":
        connections, note = _read_connections(scenario, feeder.participants)
    else:
        connections = _choose_connections(scenario, pv_kw, battery_kw)
        connections = _with_community(_without_missing_cells(connections, feeder), feeder.participants)
        note, rows = _NOTES[section.phases], list_rows(scenario, feeder.participants)
        if name_phases(rows):
            connections, note = connect_rows(rows, connections), f"{note}, but those of the table of participants"
    if scenario.ev.n_cars:
        connections = place_wall_boxes(scenario, connections, feeder.participants)
    notes = (*feeder.notes, f"{note}: {describe(connections)}")
    wires = choose_wires(scenario)
    if wires is not None:
        notes = (*notes, describe_wires(wires))
    return replace(feeder, connections=replace(connections, wires=wires), notes=notes)


def choose_wires(scenario: Scenario) -> FourWires | None:
    """How the neutral is earthed in a scenario; None where it is no conductor of its own."""
    section = scenario.network
    return FourWires(section.star_earth_ohm, section.house_earth_ohm) if section.model == "four_wire" else None


def describe_wires(wires: FourWires) -> str:
    """How the neutral is made and earthed, for the user."""
    at_houses = "nowhere else" if wires.house_ohm is None else f"by {wires.house_ohm:g} ohm at every house"
    return (
        "four wires: the neutral of each line has (Z0 - Z1)/3; it is earthed by "
        f"{wires.star_ohm:g} ohm at each transformer's star point and {at_houses}"
    )


_NOTES = {
    "balanced": "phases of houses as in network.phases",
    "drawn": "phases of houses drawn from the seed",
    "worst": "phases of houses at their worst",
}


def _read_connections(scenario: Scenario, participants: tuple[str, ...]) -> tuple[Connections, str]:
    """Connections as the table of participants says, and a note."""
    found = _read_table(scenario).in_order(participants).connections
    if found is None:
        every = make_connections(np.full(len(participants), ABC))
        return every, "the table of participants has no column phase, so that all houses are taken on three phases"
    return found, "phases of houses as in the table of participants"


def _read_table(scenario: Scenario) -> Participants:
    if scenario.participants:
        return read_placement(scenario)
    assert scenario.network.participants is not None  # the feeder was read by it
    return read_participants(scenario.network.participants, has_cars=scenario.ev.n_cars > 0)


def _choose_connections(scenario: Scenario, pv_kw: npt.ArrayLike, battery_kw: npt.ArrayLike) -> Connections:
    """Connections of a generated or named network's houses."""
    n = np.asarray(pv_kw).size
    if scenario.network.phases == "balanced":
        return make_connections(np.full(n, ABC))
    if scenario.network.phases == "worst":
        return connect_houses(np.full(n, A), pv_kw, battery_kw)
    rng = np.random.default_rng(scenario.seed).spawn(STREAM + 1)[STREAM]
    return draw_connections(rng, pv_kw, battery_kw)


def _without_missing_cells(connections: Connections, feeder: Feeder) -> Connections:
    """The same without injections of fuel cells that nobody has."""
    found = set(feeder.net.sgen["name"])
    owned = [ELEMENTS["fuel_cell"][1].format(name) in found for name in feeder.participants]
    return replace(connections, fuel_cell=np.where(owned, connections.fuel_cell, connections.load))


def _with_community(connections: Connections, participants: Sequence[str]) -> Connections:
    """The same with every device of the community on three phases: it is no house."""
    common = np.array([name == COMMUNITY for name in participants])
    load, pv, battery, cell = (np.where(common, np.int8(ABC), getattr(connections, device)) for device in DEVICES)
    return replace(connections, load=load, pv=pv, battery=battery, fuel_cell=cell)


def place_wall_boxes(scenario: Scenario, connections: Connections, participants: Sequence[str]) -> Connections:
    """The same with the wall boxes of the houses that have a car: of one phase at that of the load, else at all three.

    Raises
    ------
    ScenarioError
        If a table says one phase of a wall box that takes three, or three of one that takes one.
    """
    kw, cars, load = scenario.ev.charger_kw, draw_houses(scenario, participants, "ev"), connections.load
    ev, said = load.copy(), np.full(load.size, UNSAID) if connections.ev is None else connections.ev
    usual = load if kw in ONE_PHASE_KW else np.full(load.size, ABC, np.int8)
    ev[cars] = np.where(said[cars] == UNSAID, usual[cars], said[cars])
    for house in cars[(said[cars] != UNSAID) & ((said[cars] == ABC) == (kw in ONE_PHASE_KW))].tolist():
        expected = "a, b or c" if kw in ONE_PHASE_KW else NAMES[ABC]
        table = scenario.network.participants or "table of participants"
        raise ScenarioError(
            f"{table}, column '{PHASE_EV}', participant '{participants[house]}': expected "
            f"{expected} of a wall box of {kw:g} kW, got {NAMES[said[house]]}; correct the row, or ev.charger_kw"
        )
    return replace(connections, ev=None if (ev == load).all() else ev)


def describe(connections: Connections) -> str:
    """How many loads are on which phases, and how many other devices are not on the phases of their house.

    Examples
    --------
    >>> describe(make_connections([A, A, ABC], pv=[A, ABC, ABC]))
    'loads on a 2, b 0, c 0, abc 1; 1 panels elsewhere than the load'
    """
    counts = ", ".join(f"{NAMES[code]} {int(np.sum(connections.load == code))}" for code in (1, 2, 3, ABC))
    words = {"pv": "panels", "battery": "batteries", "fuel_cell": "fuel cells"}
    moved = {words[d]: int(np.sum(getattr(connections, d) != connections.load)) for d in DEVICES if d in words}
    moved["wall boxes"] = int(np.sum(connections.wall_box != connections.load))
    return f"loads on {counts}" + "".join(f"; {n} {word} elsewhere than the load" for word, n in moved.items() if n)
