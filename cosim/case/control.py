"""Reactive power control of the PV inverters, as a scenario asks for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cosim.scenario.model import PvSection
from grid_models.devices.inverter import Characteristic, Inverter
from grid_models.errors import GridError
from grid_models.response.reactive_control import Control


def control_of(section: PvSection, largest_pv_kw: npt.NDArray[np.float64]) -> Control | None:
    """Control that a scenario asks for, of inverters rated by the largest generation of each house, (N,) kW.

    Raises
    ------
    GridError
        If the points of the characteristic are none.
    """
    if section.control == "none":
        return None
    try:
        characteristic = Characteristic(section.q_v_vm_pu, section.q_v_q_pu)
    except GridError as reason:
        raise GridError(f"pv.q_v_vm_pu, pv.q_v_q_pu: {reason}") from reason
    inverter = Inverter(1.0, section.control, section.cos_phi, section.underexcited, characteristic)
    return Control(inverter, section.rating_kva_per_kw * largest_pv_kw, section.min_cos_phi)
