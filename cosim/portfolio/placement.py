"""As many houses as a network has buses with loads, one at each: for networks without a table of participants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.households import name_houses
from grid_models.feeder.named_nets import make_named_net
from grid_models.feeder.net_file import read_net

_IN_PROPORTION = (("houses", "n_prosumers"), ("ev", "n_cars"), ("heat_pump", "n_heat_pumps"))
"""Keys that count houses of a kind: they grow and shrink with the number of houses."""


def with_houses_at_loads(scenario: Scenario) -> Scenario:
    """The scenario with a house at every bus that carries a load; prosumers, cars and heat pumps in proportion.

    Parameters
    ----------
    scenario
        With a network by name or from a file, and no table of participants.

    Raises
    ------
    ScenarioError
        If the network has no loads.
    grid_models.errors.GridError
        If there is no such network, or its file is none.
    """
    section = scenario.network
    if section.source == "file":
        buses = find_load_buses(read_net(Path(str(section.file))))
        where = str(section.file)
    else:
        buses = find_load_buses(make_named_net(str(section.name), seed=scenario.seed))
        where = f"network '{section.name}'"
    if not buses:
        raise ScenarioError(f"{where}: expected a load, where a house can be, got none; name a table of participants")
    changes: dict[str, Any] = count_in_proportion(scenario, len(buses))
    if section.source == "file":
        placed = zip(name_houses(len(buses)), buses, strict=True)
        changes["participants"] = [{"participant": house, "bus": f"#{bus}"} for house, bus in placed]
    return scenario.with_changes(where, **changes)


def find_load_buses(net: Any) -> list[int]:
    """Buses with a load, by their index.

    Examples
    --------
    >>> find_load_buses(make_named_net("kerber_landnetz_kabel_1", seed=1))
    [3, 5, 7, 9, 11, 13, 15, 17]
    """
    loads = [net[table].bus.to_numpy(np.int64) for table in ("load", "asymmetric_load") if table in net]
    return [int(bus) for bus in np.unique(np.concatenate(loads))] if loads else []


def count_in_proportion(scenario: Scenario, n_houses: int) -> dict[str, dict[str, int]]:
    """Changes that give a scenario another number of houses, and as many of each kind as there were for each house.

    Examples
    --------
    >>> count_in_proportion(Scenario(), 50)
    {'houses': {'n_houses': 50, 'n_prosumers': 24}}
    """
    changes: dict[str, dict[str, int]] = {"houses": {"n_houses": n_houses}}
    for section, key in _IN_PROPORTION:
        count = getattr(getattr(scenario, section), key)
        if isinstance(count, int) and count > 0:
            changes.setdefault(section, {})[key] = round(count * n_houses / scenario.houses.n_houses)
    return changes
