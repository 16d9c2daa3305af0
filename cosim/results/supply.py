"""What outages left of the network in each interval: which buses the grid feeds, which branches are cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.scenario.events import OutageEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import list_outages
from grid_models.arrays import Floats
from grid_models.feeder.topology import Supply, find_grid_transformers, find_islands, open_elements

Mask = npt.NDArray[np.bool_]


def find_outages_in_force(scenario: Scenario, times: pd.DatetimeIndex, outage_intervals: pd.DataFrame) -> Mask:
    """Outages in force in each interval, (T, E): those that are on, and those whose islands wait to be joined.

    Parameters
    ----------
    scenario
        Its events.
    times
        Begins of the T intervals, UTC.
    outage_intervals
        The table of that name; empty without events.
    """
    outages = [outage for _, outage in list_outages(scenario)]
    on = np.zeros((len(times), len(outages)), dtype=bool)
    for k, outage in enumerate(outages):
        begin = pd.Timestamp(outage.start)
        on[:, k] = (times >= begin) & (times < begin + pd.Timedelta(seconds=round(outage.hours * 3600.0)))
    if not on.any() or outage_intervals.empty:
        return on
    apart = outage_intervals.loc[outage_intervals["supply"].astype(str) != "grid", "time"]
    for t in np.flatnonzero(times.isin(pd.DatetimeIndex(apart))):
        if t > 0:
            on[t] |= on[t - 1]
    return on


def find_supply(net: Any, scenario: Scenario, in_force: Mask) -> tuple[Mask, Mask]:
    """Which buses the grid feeds, (T, B), and which lines and transformers can carry nothing, (T, L).

    A branch cannot where it is out of service or a switch of its own is open.

    Parameters
    ----------
    net
        pandapower net with everything as before the outages.
    scenario
        Its events.
    in_force
        Of `find_outages_in_force`.
    """
    outages = [outage for _, outage in list_outages(scenario)]
    patterns, which = np.unique(in_force, axis=0, return_inverse=True)
    found = [_find_supply_of(net, [o for o, on in zip(outages, row, strict=True) if on]) for row in patterns]
    fed, opened = (np.array(masks) for masks in zip(*found, strict=True))
    place = which.reshape(-1)
    return fed[place], opened[place]


def _find_supply_of(net: Any, outages: Sequence[OutageEvent]) -> tuple[Mask, Mask]:
    """Buses that the grid feeds, (B,), and branches that are open, (L,), with some outages in force."""
    grid = any(outage.grid for outage in outages)
    switched = open_elements(
        net,
        switches=[name for outage in outages for name in outage.switches],
        lines=[name for outage in outages for name in outage.lines],
        trafos=find_grid_transformers(net) if grid else (),
        grid=grid,
    )
    opened = [_find_open(switched, table, code) for table, code in (("line", "l"), ("trafo", "t"))]
    return find_islands(switched).find_supply(net.bus.index) == Supply.GRID, np.concatenate(opened)


def _find_open(net: Any, table: str, code: str) -> Mask:
    switch = net.switch
    beside = switch["element"][(switch["et"] == code) & ~switch["closed"].astype(bool)]
    frame = net[table]
    return np.asarray(~frame["in_service"].astype(bool) | frame.index.isin(beside), dtype=bool)


def find_cut_off(net: Any, loading_percent: Floats, vm_pu: Floats, opened: Mask) -> Mask:
    """Branches that are not under voltage, (T, L): no current, and open, or one end without a voltage.

    A branch that is open at one end only still draws its charging or magnetising current, and so is not cut off.
    """
    ends = net.line[["from_bus", "to_bus"]].to_numpy(), net.trafo[["hv_bus", "lv_bus"]].to_numpy()
    rows = net.bus.index.get_indexer(np.concatenate(ends).reshape(-1)).reshape(-1, 2)
    dark = np.isnan(vm_pu)
    cut = (loading_percent == 0.0) & (opened | dark[:, rows[:, 0]] | dark[:, rows[:, 1]])
    return np.asarray(cut | dark.all(axis=1, keepdims=True), dtype=bool)
