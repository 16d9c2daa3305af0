"""Participants of an imported network: those that its file names, or one per bus that draws or feeds power.

A participant stands for elements of constant power. What holds a voltage or depends on it stays in the network.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cosim.errors import ScenarioError
from cosim.nets.importing.imported import Imported
from cosim.nets.importing.simbench import PRICE_EUR_PER_KWH
from cosim.nets.models import Model
from data.prices import make_constant_price
from data.profiles import RESERVED_NAMES, Profiles
from grid_models.feeder.elements import REPLACED
from grid_models.feeder.voltage_dependence import COLUMNS

HOURS = 24
"""Length of profiles that are constant."""
START = np.datetime64("2017-01-01T00:00:00")
_SIGNS = {"load": 1, "storage": 1, "sgen": -1, "asymmetric_load": 1, "asymmetric_sgen": -1}
"""Tables of constant power, and the sign of what their elements draw."""
_MEGA = 1_000_000


class House(NamedTuple):
    """A participant, the index of its bus, and the phases of its devices."""

    participant: str
    bus: int
    phase: str = "abc"


class Housed(NamedTuple):
    """A network with participants.

    Attributes
    ----------
    houses
        N participants.
    profiles
        Of these, in their order.
    kept
        Elements that no participant stands for, by table, which must stay in the network.
    is_constant
        Whether the profiles are the powers of the file, the same in every hour.
    notes
        What a reader of a run must know.
    unlike
        Participants of the file's profiles whose phases no participant can have: between phases, or unequal.
    """

    houses: tuple[House, ...]
    profiles: Profiles
    kept: dict[str, list[int]]
    is_constant: bool
    notes: tuple[str, ...]
    unlike: tuple[str, ...] = ()


def find_houses(imported: Imported) -> Housed | None:
    """Participants and their profiles; None where nothing in the network draws or feeds constant power.

    Powers of the file become hourly profiles.

    Raises
    ------
    ScenarioError
        If a participant of the file's profiles has no bus.
    data.errors.DataError
        If a power is beyond what profiles hold.
    """
    net = imported.net
    if imported.profiles is not None:
        given = {name: (bus, "abc") for name, bus in imported.participants}
        places = given or _find_places(net, imported.model)
        lacking = [name for name in imported.profiles.participants if name not in places]
        if lacking:
            raise ScenarioError(
                f"profiles of the network, '{lacking[0]}': expected the name of a bus or of a load, found none"
            )
        houses = tuple(House(name, *places[name]) for name in imported.profiles.participants)
        unlike = tuple(house.participant for house in houses if not house.phase)
        return Housed(houses, imported.profiles, _list_kept(net), is_constant=False, notes=(), unlike=unlike)
    draws = _list_draws(net, imported.model)
    return _share_draws(imported, draws) if draws else None


def _find_places(net: Any, model: Model) -> dict[str, tuple[int, str]]:
    """Bus and phase of participants by the names of loads and generators, or of the buses, which go before.

    The phase is empty where a participant cannot have it.
    """
    places: dict[str, tuple[int, str]] = {}
    for table in _SIGNS:
        by_phase = table.startswith("asymmetric") and model is not Model.BALANCED
        for _, row in net[table].iterrows():
            places[str(row["name"])] = int(row["bus"]), _find_phase(row) if by_phase else "abc"
    names = net.bus["name"].astype(str)
    return places | {name: (int(bus), "abc") for bus, name in names[~names.duplicated(keep=False)].items()}


def _find_phase(row: Any) -> str:
    """Phase of an element with three powers: abc where all are equal, empty between phases or where they differ."""
    if row["type"] == "delta":
        return ""
    powers = {phase: (row[f"p_{phase}_mw"], row[f"q_{phase}_mvar"]) for phase in "abc"}
    if len(set(powers.values())) == 1:
        return "abc"
    drawing = [phase for phase, (p, q) in powers.items() if p or q]
    return drawing[0] if len(drawing) == 1 else ""


def _list_draws(net: Any, model: Model) -> dict[tuple[int, str], list[complex]]:
    """Complex powers drawn, W and var, of the elements of constant power at each bus and phase."""
    draws: dict[tuple[int, str], list[complex]] = {}
    for table, sign in _SIGNS.items():
        by_phase = table.startswith("asymmetric") and model is not Model.BALANCED
        for index in net[table].index[_stood_for(net, table)]:
            row = net[table].loc[index]
            phases = ("a", "b", "c") if table.startswith("asymmetric") else ("",)
            for phase in phases:
                suffix = f"_{phase}" if phase else ""
                power = complex(row[f"p{suffix}_mw"], row[f"q{suffix}_mvar"]) * float(row["scaling"]) * _MEGA * sign
                at = (int(row["bus"]), phase if by_phase else "abc")
                if power or not by_phase:
                    draws.setdefault(at, []).append(power)
    return dict(sorted(draws.items()))


def _stood_for(net: Any, table: str) -> Any:
    """Which elements of a table a participant can stand for.

    They are in service, not between phases, and at no bus whose loads depend on voltage:
    pandapower takes the mean of what the loads of a bus depend on, so that none of these can be taken away.
    """
    frame = net[table]
    chosen = frame["in_service"].astype(bool)
    if table.startswith("asymmetric"):
        chosen &= frame["type"] != "delta"
    if table == "load":
        depends = chosen & (frame.reindex(columns=COLUMNS).astype(float).fillna(0.0) != 0.0).any(axis=1)
        chosen &= ~frame["bus"].isin(frame["bus"][depends])
    return chosen


def _list_kept(net: Any) -> dict[str, list[int]]:
    """Elements in service that a run would replace, but no participant stands for."""
    kept = {}
    for table in REPLACED:
        frame = net[table]
        chosen = frame["in_service"].astype(bool)
        if table in _SIGNS:
            chosen &= ~_stood_for(net, table)
        if table == "gen":
            chosen &= ~frame["slack"].astype(bool)
        if chosen.any():
            kept[table] = [int(index) for index in frame.index[chosen]]
    return kept


def _share_draws(imported: Imported, draws: dict[tuple[int, str], list[complex]]) -> Housed:
    """Participants with constant profiles: what the elements at their bus and phase draw and feed, shared evenly."""
    net, named = imported.net, _group(imported.participants)
    names = _name_buses(net)
    houses, rows, beside = [], [], []
    for (bus, phase), powers in draws.items():
        several = sum(1 for other, _ in draws if other == bus) > 1
        residents = named.get(bus) or [f"{names[bus]} {phase}" if several else names[bus]]
        load_w, pv_w = (sum(max(sign * s.real, 0.0) for s in powers) for sign in (1, -1))
        q_var = sum(s.imag for s in powers)
        shares = [_share(round(value), len(residents)) for value in (load_w, pv_w, q_var)]
        if round(q_var) and not round(load_w):
            beside.append(f"{names[bus]} ({q_var / 1000.0:.6g} kvar)")
        houses += [House(name, bus, phase) for name in residents]
        rows += list(zip(*shares, strict=True))
    unplaced = [name for name, bus in imported.participants if bus not in {at for at, _ in draws}]
    places = dict(imported.participants)
    houses += [House(name, places[name]) for name in unplaced]
    rows += [(0, 0, 0)] * len(unplaced)
    hourly = np.array(rows, dtype=np.int64)
    load, pv, varh = (np.tile(column, (HOURS, 1)) for column in hourly.T)
    profiles = Profiles(
        START,
        60,
        tuple(house.participant for house in houses),
        load,
        pv,
        make_constant_price(PRICE_EUR_PER_KWH, HOURS, "imported network"),
        {"source": "constant powers of the imported network"},
        np.where(load > 0, varh, 0),
    )
    notes = [f"no series in the file: every participant has the constant powers of its bus for {HOURS} h"]
    if beside:
        notes.append(
            "reactive power at buses that draw no active power is in the network, but not in the profiles, where it "
            f"goes with loads: {', '.join(beside[:3])}{' …' if len(beside) > 3 else ''}"
        )
    return Housed(tuple(houses), profiles, _list_kept(net), is_constant=True, notes=tuple(notes))


def _group(participants: tuple[tuple[str, int], ...]) -> dict[int, list[str]]:
    grouped: dict[int, list[str]] = {}
    for name, bus in participants:
        grouped.setdefault(bus, []).append(name)
    return grouped


def _share(total: int, n: int) -> list[int]:
    """A whole number in n parts, the remainder one by one over the first ones."""
    whole, rest = divmod(total, n)
    return [whole + (k < rest) for k in range(n)]


def _name_buses(net: Any) -> dict[int, str]:
    """A name for the participant at each bus: the bus's own where no other has it, else `bus` and its index."""
    names = net.bus["name"].astype(str)
    once = ~names.duplicated(keep=False) & net.bus["name"].notna()
    good = [bool(name) and name.isprintable() and name == name.strip() and name not in RESERVED_NAMES for name in names]
    return {
        int(bus): name if fits and unique else f"bus {bus}"
        for bus, name, fits, unique in zip(net.bus.index, names, good, once, strict=True)
    }
