"""What a net says of the loads that participants replace: their power factor, which the participants' loads keep.

A load draws P + jQ; `tan_phi` is Q/P, positive where it draws reactive power (inductive, underexcited), negative where
it supplies it (capacitive), as in `pandapower.create_load_from_cosphi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grid_models.arrays import Floats

HOUSEHOLD_COS_PHI = 0.95
"""Power factor, inductive, of a house of which nothing is known.

It is that of the residential loads of the CIGRE low-voltage benchmark (CIGRE Task Force C6.04.02, TB 575, 2014), of the
IEEE European LV Test Feeder, and of the benchmark nets of Dickert, Domagk & Schegner (PowerTech, Grenoble 2013), as
pandapower has them; loads of SimBench's low-voltage grids have 0.93.
"""


def convert_to_tan_phi(cos_phi: float) -> float:
    """Q/P of a load of a power factor; a negative one is capacitive.

    Examples
    --------
    >>> [round(convert_to_tan_phi(cos_phi), 4) for cos_phi in (0.95, 1.0, -0.95)]
    [0.3287, 0.0, -0.3287]
    """
    return float(np.copysign(np.sqrt(max(1.0 - cos_phi**2, 0.0)) / abs(cos_phi), cos_phi)) + 0.0


def convert_to_cos_phi(tan_phi: float) -> float:
    """Power factor of a load of Q/P; negative where it is capacitive.

    Examples
    --------
    >>> round(convert_to_cos_phi(convert_to_tan_phi(-0.95)), 12)
    -0.95
    """
    return float(np.copysign(1.0 / np.hypot(1.0, tan_phi), tan_phi if tan_phi else 1.0))


def find_load_tan_phi(net: Any, bus: Sequence[int]) -> Floats:
    """Q/P of all loads in service at each of some buses, (N,); NaN where they draw no active power.

    Loads count at nominal voltage, scaled; unbalanced ones as the sum of their phases.

    Parameters
    ----------
    net
        pandapower net with its own loads.
    bus
        Indices of N buses.
    """
    s = dict.fromkeys(map(int, bus), 0.0 + 0.0j)
    for table, p_columns, q_columns in (
        ("load", ("p_mw",), ("q_mvar",)),
        ("asymmetric_load", ("p_a_mw", "p_b_mw", "p_c_mw"), ("q_a_mvar", "q_b_mvar", "q_c_mvar")),
    ):
        loads = net[table][net[table]["in_service"].astype(bool)]
        scaling = loads["scaling"].to_numpy(np.float64)
        p_mw = loads[list(p_columns)].fillna(0.0).to_numpy(np.float64).sum(axis=1) * scaling
        q_mvar = loads[list(q_columns)].fillna(0.0).to_numpy(np.float64).sum(axis=1) * scaling
        for at, power in zip(loads["bus"].astype(int), p_mw + 1j * q_mvar, strict=True):
            if at in s:
                s[at] += power
    return np.array([s[int(at)].imag / s[int(at)].real if s[int(at)].real > 0.0 else np.nan for at in bus])
