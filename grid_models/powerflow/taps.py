"""Rated voltages of transformers at their tap positions, as pandapower computes them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from pandapower.build_branch import _calc_tap_from_dataframe

from grid_models.arrays import Floats


def find_rated_kv(net: Any) -> Floats:
    """Rated voltages of the high and the low side at the tap positions, (R, 2) kV."""
    if not len(net.trafo):
        return np.zeros((0, 2))
    given = deepcopy(net)
    given["_options"] = {"calculate_voltage_angles": True, "mode": "pf"}
    hv, lv, _ = _calc_tap_from_dataframe(given, given.trafo)
    return np.column_stack([hv, lv]).astype(np.float64)
