"""Records of topology: what outages switch off in an interval, and which devices form islands; and back to a net.

An interval in which the network is whole records nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosim.case.case import Case
from cosim.interval.chunk import Chunk
from cosim.islands.switching import Topology, Uses, with_uses
from cosim.scenario.events import OutageEvent
from grid_models.feeder.background import Use, find_background
from grid_models.feeder.topology import find_elements, find_grid_transformers, find_islands, open_elements, with_formers
from market.ledger.format.records import (
    Change,
    RecordBytes,
    RecordKind,
    make_topology_records,
    select_rows,
    view_as_bytes,
)

Changes = frozenset[tuple[Change, int]]
"""Kinds of change, each with the index of an element in its table of the net."""


Taps = tuple[tuple[int, int], ...]
"""Transformers whose tap changers a block records, each with its position."""


def make_topology_of_chunk(case: Case, chunk: Chunk) -> RecordBytes:
    """`TOPOLOGY` records of a chunk's interval, (M, 72); none where the network is whole."""
    if chunk.event is None:
        return view_as_bytes(make_topology_records([]))
    in_force = [event for event, on in zip(case.timeline.outages, chunk.network.in_force, strict=True) if on]
    houses = [part.former.house for part in chunk.event.parts if part.former is not None]
    formers = {(Change.FORMER, int(bus)) for bus in case.feeder.bus[houses]}
    off = {(Change.BACKGROUND_OFF, bus) for bus, use in chunk.event.uses if use.is_off}
    return view_as_bytes(make_topology_records(sorted(find_changes(case.feeder.net, in_force) | formers | off)))


def find_changes(net: Any, outages: Sequence[OutageEvent]) -> Changes:
    """What some outages switch off in a net."""
    found: set[tuple[Change, int]] = set()
    for outage in outages:
        grids = net.ext_grid.index[net.ext_grid.in_service.astype(bool)] if outage.grid else ()
        trafos = find_grid_transformers(net) if outage.grid else ()
        for change, indices in (
            (Change.SWITCH_OPEN, find_elements(net, "switch", outage.switches)),
            (Change.LINE_OUT, find_elements(net, "line", outage.lines)),
            (Change.TRANSFORMER_OUT, trafos),
            (Change.GRID_OUT, grids),
        ):
            found |= {(change, int(index)) for index in indices}
    return frozenset(found)


def read_changes(records: RecordBytes) -> Changes:
    """Changes that a block records."""
    rows = select_rows(records, RecordKind.TOPOLOGY)
    rows = rows[rows["status"] != Change.TAP_POSITION]
    return frozenset((Change(int(row["status"])), int(row["element"])) for row in rows)


def read_taps(records: RecordBytes) -> Taps:
    """Where tap changers stood in the interval of a block."""
    rows = select_rows(records, RecordKind.TOPOLOGY)
    rows = rows[rows["status"] == Change.TAP_POSITION]
    return tuple(zip(rows["element"].tolist(), rows["tap_pos"].tolist(), strict=True))


def apply_changes(net: Any, changes: Changes, uses: Uses = ()) -> Any:
    """New net with the changes made.

    Parameters
    ----------
    net
        pandapower net; not changed.
    changes
        Of `read_changes`.
    uses
        How the background is run in islands, beside the loads that the changes switch off.

    Raises
    ------
    grid_models.errors.GridError
        If the net has no such element.
    """

    def of(change: Change) -> list[int]:
        return sorted(element for kind, element in changes if kind == change)

    lines, trafos = of(Change.LINE_OUT), of(Change.TRANSFORMER_OUT)
    switched = open_elements(net, switches=of(Change.SWITCH_OPEN), lines=lines, trafos=trafos)
    switched.ext_grid.loc[find_elements(net, "ext_grid", of(Change.GRID_OUT)), "in_service"] = False
    runs = {bus: Use(is_off=True) for bus in find_elements(net, "bus", of(Change.BACKGROUND_OFF))}
    for bus, use in uses:
        runs[bus] = Use(bus in runs, use.generation)
    if runs:
        topology = Topology(switched, find_islands(switched))
        switched = with_uses(topology, find_background(net), tuple(runs.items()))
    return with_formers(switched, find_elements(net, "bus", of(Change.FORMER)))
