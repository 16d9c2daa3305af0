"""What the net's own elements drew and fed in each interval: from the AC solution, in islands from the exchanges.

Where the grid feeds them they count like houses, gross: what loads draw comes from the grid, what generation feeds goes
to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.delivery.setpoints import injection_kw
from cosim.interval.chunk import Chunk
from grid_models.arrays import Floats
from market.exchanges import OPERATOR, Kind
from market.storage import Wh


class BackgroundEnergy(NamedTuple):
    """Energies of K intervals, (K,) Wh.

    Attributes
    ----------
    load_wh, generation_wh
        Of all elements with supply.
    from_grid_wh, to_grid_wh
        The part of it where the grid feeds them.
    shed_wh, turned_down_wh
        What loads, shunts, wards and motors did not get while they were off or in the dark, and what generation could
        have fed then, or was turned down by in an island. Without voltage, all counts at 1 pu.
    """

    load_wh: Wh
    generation_wh: Wh
    from_grid_wh: Wh
    to_grid_wh: Wh
    shed_wh: Wh
    turned_down_wh: Wh


def measure_background(case: Case, chunk: Chunk) -> BackgroundEnergy | None:
    """Energies of the background in a chunk's intervals; None where the net has none."""
    if case.feeder.background.is_empty:
        return None
    drawn_kw, fed_kw = _find_on_grid_kw(case, chunk)
    hours = case.interval_minutes / 60.0
    drawn, fed = (np.rint(kw * 1000.0 * hours).astype(np.int64) for kw in (drawn_kw, fed_kw))
    in_islands = _sum_in_islands(chunk)
    lost = (np.rint(kw * 1000.0 * hours).astype(np.int64) for kw in _find_lost_kw(case, chunk))
    return BackgroundEnergy(drawn + in_islands[0], fed + in_islands[1], drawn, fed, *lost)


def _find_lost_kw(case: Case, chunk: Chunk) -> tuple[Floats, Floats]:
    """What elements did not draw and did not feed though the net as given supplies them, (K,) kW each."""
    background, event = case.feeder.background, chunk.event
    vm = chunk.flow.vm_pu[:, background.row]
    dark = ~np.isfinite(vm)
    power = background.constant_kw + background.square_kw * np.where(dark, 1.0, vm) ** 2
    supplied = case.engine.matrices.bus[background.row] >= 0
    not_drawn = np.where(dark & supplied, 1.0, 0.0)
    not_fed = not_drawn.copy()
    if event is not None:
        part = event.part_of_bus
        for bus, use in event.uses:
            inside = part[background.row] == part[case.feeder.net.bus.index.get_loc(bus)]
            not_drawn[:, inside], not_fed[:, inside] = float(use.is_off), 1.0 - use.generation
    lost = np.where(background.is_generation, not_fed, not_drawn) * power
    return -lost[:, ~background.is_generation].sum(axis=1), lost[:, background.is_generation].sum(axis=1)


def _find_on_grid_kw(case: Case, chunk: Chunk) -> tuple[Floats, Floats]:
    """What elements that the grid feeds draw and feed, (K,) kW each."""
    background, flow = case.feeder.background, chunk.flow
    power = background.power_kw(flow.vm_pu[:, :: len(case.feeder.conductors("bus"))])
    if chunk.event is not None:
        power = np.where(chunk.event.on_grid[background.row], power, 0.0)
    feeds = power > 0.0
    drawn, fed = -np.where(feeds, 0.0, power).sum(axis=1), np.where(feeds, power, 0.0).sum(axis=1)
    if background.unknown:
        rest = _find_rest_kw(case, chunk) - (fed - drawn)
        drawn, fed = drawn + np.maximum(-rest, 0.0), fed + np.maximum(rest, 0.0)
    return drawn, fed


def _find_rest_kw(case: Case, chunk: Chunk) -> Floats:
    """What all but houses and islands inject where the grid feeds: the losses less all that is known, (K,) kW."""
    flow, hours = chunk.flow, case.interval_minutes / 60.0
    by_houses = injection_kw(chunk.window.meters, case.interval_minutes).sum(axis=1)
    drawn, fed = _sum_in_islands(chunk)
    rest = flow.losses_kw - flow.p_grid_kw - by_houses - (fed - drawn) / 1000.0 / hours
    return np.where(np.isfinite(flow.vm_pu).any(axis=1), np.nan_to_num(rest), 0.0)


def _sum_in_islands(chunk: Chunk) -> tuple[int, int]:
    """What elements in islands drew and fed, Wh; an interval with islands is a chunk of its own."""
    if chunk.event is None:
        return 0, 0
    rows = chunk.window.rows[chunk.window.rows["kind"] == Kind.BACKGROUND]
    drawn, fed = (rows["delivered_wh"][rows[party] == OPERATOR].sum() for party in ("buyer", "seller"))
    return int(drawn), int(fed)
