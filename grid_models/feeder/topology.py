"""Islands: the parts into which switching leaves a network, which of them the grid feeds, and who forms the others.

Nothing is changed in place: switching and forming return new nets, so a topology is a value that can be kept, compared
and cached. A part without grid and without former is dark.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandapower as pp
from pandapower.topology import connected_components, create_nxgraph

from grid_models.arrays import Ints
from grid_models.errors import GridError

NONE = -1


class Supply(IntEnum):
    """Where a part of the network has its voltage from."""

    DARK = 0
    ISLAND = 1
    GRID = 2


@dataclass(frozen=True, eq=False)
class Islands:
    """Connected parts of a network with B buses and C parts.

    Attributes
    ----------
    bus
        (B,) bus indices, in the order of the net's table.
    part
        (B,) number of each bus's part, in order of the first bus of each; -1 for buses out of service.
    supply
        (C,) `Supply` of each part: the grid where an external grid is in service, an island where a slack generator is.
    """

    bus: Ints
    part: Ints
    supply: npt.NDArray[np.int8]

    @property
    def n_parts(self) -> int:
        """Number of parts C."""
        return int(self.supply.size)

    def part_of(self, bus: npt.ArrayLike) -> Ints:
        """Part of each of the given bus indices, same shape; -1 for buses out of service.

        Raises
        ------
        GridError
            If a bus is not in the net.
        """
        wanted = np.asarray(bus, dtype=np.int64)
        order = np.argsort(self.bus)
        place = np.minimum(np.searchsorted(self.bus, wanted, sorter=order), self.bus.size - 1)
        row = order[place]
        if wanted.size and np.any(self.bus[row] != wanted):
            stranger = int(wanted[self.bus[row] != wanted].flat[0])
            raise GridError(f"islands: expected a bus of the net, got {stranger}; see net.bus")
        return np.asarray(self.part[row], dtype=np.int64)

    def supply_of(self, bus: npt.ArrayLike) -> npt.NDArray[np.int8]:
        """`Supply` of each of the given bus indices; buses out of service are dark."""
        part = self.part_of(bus)
        supply = np.append(self.supply, np.int8(Supply.DARK))  # part -1 reads the last
        return np.asarray(supply[part], dtype=np.int8)


def find_islands(net: Any) -> Islands:
    """Connected parts of a net as its switches and branches in service leave them.

    Lines, transformers, impedances and closed bus-bus switches connect; direct-current links do not, since they carry
    no frequency.

    Parameters
    ----------
    net
        pandapower net; not changed.
    """
    graph = create_nxgraph(net, multi=False, include_dclines=False, include_vsc=False, include_line_dc=False)
    bus = net.bus.index.to_numpy(dtype=np.int64)
    row = {int(index): k for k, index in enumerate(bus)}
    parts = sorted(sorted(row[int(b)] for b in members) for members in connected_components(graph))
    part = np.full(bus.size, NONE, np.int64)
    for number, rows in enumerate(parts):
        part[rows] = number
    islands = Islands(bus, part, np.full(len(parts), Supply.DARK, np.int8))
    slack = net.gen[net.gen.in_service.astype(bool) & net.gen.slack.astype(bool)]
    grid = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    for table, supply in ((slack, Supply.ISLAND), (grid, Supply.GRID)):
        fed = islands.part_of(table.bus.to_numpy(dtype=np.int64))
        islands.supply[fed[fed != NONE]] = supply
    return islands


def open_elements(
    net: Any,
    *,
    switches: Iterable[int | str] = (),
    lines: Iterable[int | str] = (),
    trafos: Iterable[int | str] = (),
    grid: bool = False,
) -> Any:
    """New net with some switches open, branches out of service, or the grid disconnected.

    Parameters
    ----------
    net
        pandapower net; not changed.
    switches, lines, trafos
        By index or name.
    grid
        Whether every external grid is disconnected.

    Raises
    ------
    GridError
        If there is no switch, line or transformer of that index or name.
    """
    switched = deepcopy(net)
    switched.switch.loc[elements(net, "switch", switches), "closed"] = False
    switched.line.loc[elements(net, "line", lines), "in_service"] = False
    switched.trafo.loc[elements(net, "trafo", trafos), "in_service"] = False
    if grid:
        switched.ext_grid["in_service"] = False
    return switched


def elements(net: Any, table: str, wanted: Iterable[int | str]) -> list[int]:
    """Indices in a table of a net; a name stands for every element of that name.

    Raises
    ------
    GridError
        If there is none of an index or name.
    """
    frame = net[table]
    rows: list[int] = []
    for key in wanted:
        found = frame.index[frame.name == key] if isinstance(key, str) else frame.index[frame.index == key]
        if len(found) == 0:
            names = [str(name) for name in frame.name if name is not None]
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"see net.{table}"
            raise GridError(
                f"network, {table} '{key}': expected an index or name of the net, found none; {hint}"
            )
        rows.extend(int(index) for index in found)
    return rows


def with_formers(net: Any, buses: Iterable[int], *, vm_pu: float = 1.0) -> Any:
    """New net in which a source holds the voltage at each of some buses.

    pandapower's storages and static generators cannot be a reference, so a former is a slack generator at its bus;
    what the island's balance leaves over is booked on it.

    Parameters
    ----------
    net
        pandapower net; not changed.
    buses
        One bus index per island; two in one part would share its balance by angle, which nobody asked for.
    vm_pu
        Voltage that they hold.
    """
    formed = deepcopy(net)
    for bus in buses:
        pp.create_gen(formed, bus, p_mw=0.0, vm_pu=vm_pu, slack=True, name=f"former at bus {bus}")
    return formed
