"""Checks of what is connected: sources, parts without supply, and switches that leave them so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cosim.nets.doctor.finding import NET, Found, Severity
from cosim.nets.doctor.subject import Subject
from grid_models.feeder.elements import REPLACED
from grid_models.feeder.references import ENDS, SWITCHED
from grid_models.feeder.topology import NONE, Supply

LIVE = (*REPLACED, "shunt", "ward", "xward")
"""Tables of what draws or feeds power at one bus."""


def find_missing_source(subject: Subject) -> Iterator[Found]:
    """A net without any source of voltage in service."""
    if not (subject.islands.supply != Supply.DARK).any():
        rows = len(subject.net.ext_grid)
        state = f"{rows} external grid{'s' * (rows != 1)}, none of them in service at a bus in service" if rows else ""
        yield Found(NET, None, state or "no external grid and no slack generator", 0.0, "sources")


def list_sources(subject: Subject) -> Iterator[Found]:
    """External grids beside the first one in service."""
    grids = subject.select("ext_grid")
    for label, row in list(grids.iterrows())[1:]:
        first = grids.iloc[0]
        apart = float(row["vm_pu"] - first["vm_pu"])
        what = (
            f"one of {len(grids)} external grids, at {row['vm_pu']:g} pu and {row['va_degree']:g}°, "
            f"{apart:+.4g} pu from the first"
        )
        yield Found("ext_grid", int(label), what, float(len(grids)), "external grids")


class DarkPart(NamedTuple):
    """A connected part without supply.

    Attributes
    ----------
    buses
        Its buses in service.
    elements
        How many elements in service draw or feed there.
    switches
        Open switches beyond which there is supply.
    """

    buses: tuple[int, ...]
    elements: int
    switches: tuple[int, ...]

    @property
    def words(self) -> str:
        """Size of the part."""
        n, m = len(self.buses), self.elements
        return f"{n} bus{'es' * (n != 1)} with {m} element{'s' * (m != 1)} of load or generation"


def find_dark_parts(subject: Subject) -> list[DarkPart]:
    """Parts without supply, in a net that has a source somewhere."""
    islands, net = subject.islands, subject.net
    if not (islands.supply != Supply.DARK).any():
        return []
    dark = np.flatnonzero(islands.supply == Supply.DARK)
    elements = np.zeros(islands.n_parts + 1, np.int64)
    for table in LIVE:
        frame = subject.select(table)
        if len(frame):
            np.add.at(elements, islands.find_part(frame["bus"].to_numpy(np.int64)), 1)
    switches: dict[int, list[int]] = {}
    for label, a, b in _list_open(net):
        parts = {int(part) for part in islands.find_part([a, b])} - {NONE}
        lit = [part for part in parts if islands.supply[part] != Supply.DARK]
        for part in parts if lit else ():
            if islands.supply[part] == Supply.DARK:
                switches.setdefault(part, []).append(label)
    order = np.argsort(islands.part, kind="stable")
    begin, end = (np.searchsorted(islands.part[order], dark, side) for side in ("left", "right"))
    return [
        DarkPart(
            tuple(int(bus) for bus in np.sort(islands.bus[order[first:last]])),
            int(elements[part]),
            tuple(switches.get(int(part), ())),
        )
        for part, first, last in zip(dark, begin, end, strict=True)
    ]


def _list_open(net: Any) -> Iterator[tuple[int, int, int]]:
    """Index of each open switch, and two buses that it would join."""
    for label, row in net.switch[~net.switch["closed"].astype(bool)].iterrows():
        kind, bus, element = str(row["et"]), int(row["bus"]), int(row["element"])
        if kind == "b":
            yield int(label), bus, element
            continue
        table = SWITCHED[kind]
        branch = net[table].loc[element]
        for column in ENDS[table] if branch["in_service"] else ():
            if int(branch[column]) != bus:
                yield int(label), bus, int(branch[column])


def find_open_switches(subject: Subject) -> Iterator[Found]:
    """Open switches that leave elements without supply; the first of each part."""
    for part in find_dark_parts(subject):
        if part.switches and part.elements:
            what = f"open, and leaves {part.words} without supply, from bus {part.buses[0]} on"
            yield Found("switch", part.switches[0], what, float(len(part.buses)), "buses")


def find_islands_without_supply(subject: Subject) -> Iterator[Found]:
    """Parts with elements that no closed path joins to a source, and that no single switch would."""
    for part in find_dark_parts(subject):
        if part.elements and not part.switches:
            what = f"{part.words}: no path of branches in service leads to a source"
            yield Found("bus", part.buses[0], what, float(len(part.buses)), "buses")


def find_dead_ends(subject: Subject) -> Iterator[Found]:
    """Buses without supply at which nothing is; behind an open switch that may well be meant."""
    for part in find_dark_parts(subject):
        if not part.elements:
            n = len(part.buses)
            behind = f", behind the open switch {part.switches[0]}" if part.switches else ""
            what = f"{n} bus{'es' * (n != 1)} without supply and with nothing that draws or feeds{behind}"
            severity = Severity.NOTE if part.switches else None
            yield Found("bus", part.buses[0], what, float(n), "buses", severity)


def find_elements_at_dead_buses(subject: Subject) -> Iterator[Found]:
    """Elements in service at a bus that is out of service: pandapower leaves them out without a word."""
    for table in LIVE:
        frame = subject.select(table)
        if len(frame):
            on = frame["bus"].map(subject.net.bus["in_service"].astype(bool)).to_numpy(bool)
            for label, bus in frame.loc[~on, "bus"].items():
                yield Found(table, int(label), f"in service at bus {bus}, which is out of service")
