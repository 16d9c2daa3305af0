"""Small physical formulas and set-ups that several tests share and the product does not need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from grid_models.devices.battery import Battery
from grid_models.devices.fuel_cell import (
    ELECTRONS_PER_H2,
    FARADAY_C_PER_MOL,
    H2_KG_PER_MOL,
    LHV_J_PER_MOL,
    Stack,
    stack_voltage,
)
from grid_models.devices.inverter import Characteristic
from grid_models.feeder.feeder import ELEMENTS, Feeder
from grid_models.powerflow.admittance import find_bus_rows
from grid_models.powerflow.engine import PowerFlow

LHV_KWH_PER_KG = LHV_J_PER_MOL / H2_KG_PER_MOL / 3.6e6
"""Lower heating value of hydrogen, 33.32 kWh/kg."""

IEEE_1547_B = Characteristic((0.92, 0.98, 1.02, 1.08), (0.44, 0.0, 0.0, -0.44))
"""Default voltage-reactive power settings of category B (IEEE Std 1547-2018, table 8)."""


def stack_efficiency(stack: Stack, i_a: Any) -> Any:
    """Electrical power over the lower heating value of the hydrogen supplied, `V z F U_f / (N ΔH)`."""
    per_volt = ELECTRONS_PER_H2 * FARADAY_C_PER_MOL * stack.fuel_utilisation / (stack.cells * LHV_J_PER_MOL)
    return stack_voltage(stack, i_a) * per_volt


def ideal_battery(capacity_kwh: float) -> Battery:
    """Battery of the reference study: no losses, 0-100 %, no power limit."""
    return Battery(capacity_kwh, 1.0, 1.0, math.inf, 0.0, 1.0)


def find_unsupplied(engine: PowerFlow) -> npt.NDArray[np.bool_]:
    """Participants whose bus no source reaches, (N,)."""
    return np.asarray(engine.matrices.bus[find_bus_rows(engine.feeder.net, engine.feeder.bus)] < 0)


def net_at(feeder: Feeder, p_kw: Mapping[str, Any], q_kvar: Mapping[str, Any]) -> Any:
    """Copy of the net with devices' injections, (N,) each, in their own tables; loads and storages count negative."""
    net = deepcopy(feeder.net)
    for setpoints, column in ((p_kw, "p_mw"), (q_kvar, "q_mvar")):
        for device, values in setpoints.items():
            table, pattern = ELEMENTS[device]
            sign = 1.0 if table == "sgen" else -1.0
            names = [pattern.format(participant) for participant in feeder.participants]
            own = net[table].reset_index().set_index("name").loc[names, "index"]
            net[table].loc[own, column] = sign * values / 1000.0
    return net
