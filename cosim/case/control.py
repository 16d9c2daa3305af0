"""Reactive power control of the PV inverters, as a scenario asks for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cosim.scenario.sections import PvSection
from grid_models.devices.inverter import Characteristic, Inverter
from grid_models.response.reactive_control import Control


def make_control(section: PvSection, largest_pv_kw: npt.NDArray[np.float64]) -> Control | None:
    """Control of the inverters, None where the scenario asks for none.

    Parameters
    ----------
    section
        Control, checked by `cosim.case.checks.check_characteristic`.
    largest_pv_kw
        Largest generation of each house, (N,), by which its inverter is rated.
    """
    if section.control == "none":
        return None
    characteristic = Characteristic(section.q_v_vm_pu, section.q_v_q_pu)
    inverter = Inverter(1.0, section.control, section.cos_phi, section.underexcited, characteristic)
    return Control(inverter, section.rating_kva_per_kw * largest_pv_kw, section.min_cos_phi)
