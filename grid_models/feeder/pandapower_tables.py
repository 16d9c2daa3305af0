"""Write participants' powers into pandapower's tables; the one place where signs turn.

Everywhere else an injection into the network is positive; in the tables, loads and storages count from the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pandapower as pp

from grid_models.arrays import Floats, Ints
from grid_models.errors import GridError
from grid_models.feeder.feeder import ELEMENTS, Feeder

_SIGN = {"load": -1.0, "sgen": 1.0, "storage": -1.0}
_NEGLIGIBLE_KW = 1e-12


def with_injection_elements(feeder: Feeder) -> tuple[Any, Ints]:
    """Copy of the net with one further `sgen` a participant; returns (net, their indices).

    The participants' own elements stay at zero; their sum is what an injection is.
    """
    net = deepcopy(feeder.net)
    index = pp.create_sgens(
        net,
        buses=feeder.bus.tolist(),
        p_mw=np.zeros(feeder.bus.size),
        q_mvar=np.zeros(feeder.bus.size),
        name=[f"injection of {participant}" for participant in feeder.participants],
    )
    return net, np.asarray(index, dtype=np.int64)


def write_injections(net: Any, index: Ints, p_kw: Floats, q_kvar: Floats) -> None:
    """Set the injections made by `with_injection_elements`, (N,) each."""
    net.sgen.loc[index, "p_mw"] = p_kw / 1000.0
    net.sgen.loc[index, "q_mvar"] = q_kvar / 1000.0


def net_at(feeder: Feeder, p_kw: Mapping[str, Floats], q_kvar: Mapping[str, Floats] | None = None) -> Any:
    """Copy of the feeder's net with every device at its setpoint, for any pandapower tool to open, solve or plot.

    Parameters
    ----------
    feeder
        The network.
    p_kw, q_kvar
        Injection of each participant's device, (N,), by device: `load` (negative where it consumes), `pv`, `battery`
        (positive where it discharges), `fuel_cell`. Devices left out are at zero.

    Raises
    ------
    GridError
        If a device is unknown, or is to inject where the participant has none.

    Examples
    --------
    >>> from grid_models.feeder.generated import radial_feeder
    >>> feeder = radial_feeder(["a"], n_branches=1, rng=np.random.default_rng(0))
    >>> net = net_at(feeder, {"load": np.array([-0.5]), "battery": np.array([2.0])})
    >>> net.load.p_mw.tolist(), net.storage.p_mw.tolist()
    ([0.0005], [-0.002])
    """
    net = deepcopy(feeder.net)
    for setpoints, column in ((p_kw, "p_mw"), (q_kvar or {}, "q_mvar")):
        for device, values in setpoints.items():
            if device not in ELEMENTS:
                raise GridError(f"setpoints: expected a device of {', '.join(ELEMENTS)}, got '{device}'")
            _write(net, feeder, device, column, values)
    return net


def _write(net: Any, feeder: Feeder, device: str, column: str, values: Floats) -> None:
    table, pattern = ELEMENTS[device]
    index = {str(name): k for k, name in zip(net[table].index, net[table].name, strict=True)}
    for participant, value in zip(feeder.participants, values, strict=True):
        element = index.get(pattern.format(participant))
        if element is not None:
            net[table].loc[element, column] = _SIGN[table] * value / 1000.0
        elif abs(value) > _NEGLIGIBLE_KW:
            raise GridError(
                f"setpoints, participant '{participant}': expected no {device} power, since it has no {device} in "
                f"the network, got {value:g}"
            )
