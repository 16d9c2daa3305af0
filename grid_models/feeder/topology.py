"""Islands: the connected parts of a switched network, and where each has its voltage from.

A *former* (grid-forming device) holds the voltage of a part that the grid does not feed; a part with neither is dark.
Law: no net is changed in place. Switching and adding formers return new nets, which can be compared and cached.
"""

from __future__ import annotations

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
from grid_models.errors import GridError, suggest_name

NONE = -1


class Supply(IntEnum):
    """Where a part of the network has its voltage from."""

    DARK = 0
    ISLAND = 1
    GRID = 2


@dataclass(frozen=True, eq=False)
class Islands:
    """Connected parts of a network of B buses and C parts.

    Attributes
    ----------
    bus
        (B,) bus indices, in the order of the net's table.
    part
        (B,) number of each bus's part, -1 for buses out of service; parts are in the order of their first buses.
    supply
        (C,) `Supply` of each part: GRID with an external grid in service, ISLAND with a slack generator only.
    """

    bus: Ints
    part: Ints
    supply: npt.NDArray[np.int8]

    @property
    def n_parts(self) -> int:
        """Number of parts C."""
        return int(self.supply.size)

    def find_part(self, bus: npt.ArrayLike) -> Ints:
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

    def find_supply(self, bus: npt.ArrayLike) -> npt.NDArray[np.int8]:
        """`Supply` of each of the given bus indices; buses out of service are dark."""
        part = self.find_part(bus)
        supply = np.append(self.supply, np.int8(Supply.DARK))  # part -1 reads the last
        return np.asarray(supply[part], dtype=np.int8)


def find_islands(net: Any) -> Islands:
    """Find the parts of a net that its closed switches and branches in service connect.

    Lines, transformers, impedances and closed bus-bus switches connect; DC links do not, since they couple no
    frequencies.

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
        fed = islands.find_part(table.bus.to_numpy(dtype=np.int64))
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
    """Copy a net with some switches open, branches out of service, or the grid disconnected.

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
    switched.switch.loc[find_elements(net, "switch", switches), "closed"] = False
    switched.line.loc[find_elements(net, "line", lines), "in_service"] = False
    switched.trafo.loc[find_elements(net, "trafo", trafos), "in_service"] = False
    if grid:
        switched.ext_grid["in_service"] = False
    return switched


def find_elements(net: Any, table: str, wanted: Iterable[int | str]) -> list[int]:
    """Find the indices of elements in a table of a net; a name stands for every element of that name.

    Raises
    ------
    GridError
        If the table has no such index or name.
    """
    frame = net[table]
    rows: list[int] = []
    for key in wanted:
        found = frame.index[frame.name == key] if isinstance(key, str) else frame.index[frame.index == key]
        if len(found) == 0:
            hint = suggest_name(key, frame.name.dropna(), f"see net.{table}")
            raise GridError(f"network, {table} '{key}': expected an index or name of the net, found none; {hint}")
        rows.extend(int(index) for index in found)
    return rows


def with_formers(net: Any, buses: Iterable[int], *, vm_pu: float = 1.0) -> Any:
    """Copy a net with a grid-forming device at each of some buses.

    pandapower's storages and static generators cannot be a reference. A former is therefore modelled as a slack
    generator at its bus, which supplies the difference between load and generation of its island.

    Parameters
    ----------
    net
        pandapower net; not changed.
    buses
        One bus index per island; two in one part would share the difference by their angles.
    vm_pu
        Voltage that they hold.
    """
    formed = deepcopy(net)
    for bus in buses:
        pp.create_gen(formed, bus, p_mw=0.0, vm_pu=vm_pu, slack=True, name=f"former at bus {bus}")
    return formed


def find_grid_transformers(net: Any) -> list[int]:
    """Transformers in service at an external grid's bus: an island is disconnected there and need not feed them."""
    fed = find_fused_buses(net, {int(bus) for bus in net.ext_grid.bus})
    return [int(k) for k in net.trafo.index[net.trafo.hv_bus.isin(fed) & net.trafo.in_service]]


def find_fused_buses(net: Any, buses: set[int]) -> set[int]:
    """These buses and all that closed bus-bus switches join to them."""
    closed = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    pairs = [{int(a), int(b)} for a, b in zip(closed.bus, closed.element, strict=True)]
    reached = set(buses)
    while more := [pair for pair in pairs if pair & reached and not pair <= reached]:
        reached |= set().union(*more)
    return reached
