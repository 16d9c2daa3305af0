"""Loads whose power depends on the voltage, and why participants beside them change nothing.

pandapower takes the mean of `const_z_percent` and `const_i_percent` over the rows of a bus, unweighted, and applies
it to the sum of their power. A further row would dilute it, even one without power. So the rows of participants have
the percentages that the bus has without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grid_models.arrays import Floats, Ints
from grid_models.errors import GridError

COLUMNS = ["const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent"]


def has_dependence(net: Any) -> bool:
    """Whether a load in service depends on the voltage, and the net's own options do not make all loads constant."""
    if not (net.get("user_pf_options") or {}).get("voltage_depend_loads", True):
        return False
    columns = [column for column in COLUMNS if column in net.load]
    active = net.load[net.load["in_service"].astype(bool)]
    return bool((active[columns].fillna(0.0) != 0.0).to_numpy().any())


def find_dependence(name: str, net: Any, buses: Sequence[int]) -> Floats | None:
    """Percentages that a load added at each of some buses must have to change nothing.

    Parameters
    ----------
    name, net
        pandapower net, and its name for messages.
    buses
        N bus indices.

    Returns
    -------
    array, (N, 4), or None
        In the order of `COLUMNS`; None where no load depends on the voltage.

    Raises
    ------
    GridError
        If closed switches join buses whose loads have different percentages: pandapower takes those of one of them.
    """
    if not has_dependence(net):
        return None
    active = net.load[net.load["in_service"].astype(bool) & net.load["bus"].map(net.bus["in_service"]).astype(bool)]
    means = active.groupby("bus")[COLUMNS].mean()
    group = dict(zip(net.bus.index, group_buses(net), strict=True))
    of_group: dict[int, list[int]] = {}
    for bus in means.index:
        of_group.setdefault(group[bus], []).append(int(bus))
    return np.array([_find_common(name, means, of_group.get(group[bus], []), bus) for bus in buses]).reshape(-1, 4)


def _find_common(name: str, means: Any, at: list[int], bus: int) -> Floats:
    """Percentages of the buses `at` that switches join with a bus."""
    rows = means.loc[at, COLUMNS].to_numpy(np.float64)
    if len(rows) and np.ptp(rows, axis=0).max() > 1e-9:
        raise GridError(
            f"network '{name}', bus {bus}: expected loads with equal const_z and const_i percentages at the buses "
            f"{', '.join(map(str, at))}, which closed switches join, got different ones, of which pandapower takes "
            "one for all; make them equal, or connect the participant elsewhere"
        )
    return np.asarray(rows[0] if len(rows) else np.zeros(len(COLUMNS)))


def group_buses(net: Any) -> Ints:
    """Number of the group of buses that closed switches without impedance make one, (B,)."""
    switch = net.switch
    closed = switch["closed"].astype(bool) & (switch["et"] == "b")
    joined = switch[closed & ~(switch["z_ohm"] > 0.0)] if "z_ohm" in switch else switch[closed]
    rows, columns = (net.bus.index.get_indexer(joined[side].to_numpy(np.int64)) for side in ("bus", "element"))
    size = len(net.bus)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
