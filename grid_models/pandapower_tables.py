"""Write participants' injections into pandapower's tables; the one place where signs turn.

Everywhere else an injection into the network is positive; in the tables, loads and storages count from the network.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pandapower as pp

from grid_models.feeder import Feeder
from grid_models.kernel import Floats

INJECTION_PREFIX = "injection of "


def with_injection_elements(feeder: Feeder) -> tuple[Any, Any]:
    """Copy of the net with one further `sgen` a participant; returns (net, their index).

    The participants' own elements stay at zero; their sum is what an injection is.
    """
    net = deepcopy(feeder.net)
    index = pp.create_sgens(
        net,
        buses=feeder.bus.tolist(),
        p_mw=np.zeros(feeder.bus.size),
        q_mvar=np.zeros(feeder.bus.size),
        name=[INJECTION_PREFIX + participant for participant in feeder.participants],
    )
    return net, index


def write_injections(net: Any, index: Any, p_kw: Floats, q_kvar: Floats) -> None:
    """Set the injections made by `with_injection_elements`, (N,) each."""
    net.sgen.loc[index, "p_mw"] = p_kw / 1000.0
    net.sgen.loc[index, "q_mvar"] = q_kvar / 1000.0


def write_devices(net: Any, feeder: Feeder, device_kw: dict[str, Floats], q_kvar: Floats) -> None:
    """Set the participants' elements from injections by device.

    Parameters
    ----------
    net
        Copy of the feeder's net; its tables are written.
    feeder
        Names of the participants.
    device_kw
        `load` (negative), `pv`, `battery`, `fuel_cell`: injection of each participant's device, (N,) kW. Devices
        without element in the net must be zero.
    q_kvar
        Reactive injection of each participant, (N,), booked on its load.
    """
    by_name = {
        table: {str(name): index for index, name in zip(net[table].index, net[table].name, strict=True)}
        for table in ("load", "sgen", "storage")
    }
    for k, participant in enumerate(feeder.participants):
        load = by_name["load"].get(participant)
        if load is not None:
            net.load.loc[load, ["p_mw", "q_mvar"]] = -device_kw["load"][k] / 1000.0, -q_kvar[k] / 1000.0
        for device, label, table, sign in (
            ("pv", f"{participant} pv", "sgen", 1.0),
            ("fuel_cell", f"{participant} fuel cell", "sgen", 1.0),
            ("battery", f"{participant} battery", "storage", -1.0),
        ):
            element = by_name[table].get(label)
            if element is not None and device in device_kw:
                net[table].loc[element, "p_mw"] = sign * device_kw[device][k] / 1000.0
