"""How far AC solutions are beyond each limit.

Limits are numbered: upper voltages of the B columns of voltages, their lower ones, then what is judged in per cent:
branches, unbalance, and neutrals, scaled as in `grid_models.powerflow.limits`.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Floats
from grid_models.compiled import compiled
from grid_models.phases.readout import Limited
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import NEUTRAL_SCALE, UNBALANCE_SCALE, Limits

PU_PER_PERCENT = 0.01
"""Per cent count as so many pu, so that all limits have one unit."""


def count_limits(limits: Limits) -> int:
    """Number of limits."""
    of_buses = 2 * limits.max_vm_pu.size + limits.max_vuf_percent.size + limits.max_neutral_v.size
    return of_buses + limits.max_branch_percent.size


def list_excess(flow: Flow | Limited, limits: Limits) -> Floats:
    """Excess over each limit, negative within, (K, 2B + …) pu; -inf without supply, +inf where AC has no solution."""
    excess, at = np.empty((flow.converged.size, count_limits(limits))), 0
    of_buses, percent = (1.0, True), (PU_PER_PERCENT, False)
    for value, limit, sign, scale, (unit, supplied) in (
        (flow.vm_pu, limits.max_vm_pu, 1.0, 1.0, of_buses),
        (flow.vm_pu, limits.min_vm_pu, -1.0, 1.0, of_buses),
        (flow.line_loading_percent, limits.max_line_loading_percent, 1.0, 1.0, percent),
        (flow.trafo_loading_percent, limits.max_trafo_loading_percent, 1.0, 1.0, percent),
        (flow.vuf_percent, limits.max_vuf_percent, 1.0, UNBALANCE_SCALE, (PU_PER_PERCENT, True)),
        (flow.neutral_v, limits.max_neutral_v, 1.0, NEUTRAL_SCALE, (PU_PER_PERCENT, True)),
    ):
        set_excess(value, limit, (sign * scale, unit), supplied, excess[:, at : at + limit.size])
        at += limit.size
    excess[~flow.converged | (excess == np.inf).any(axis=1)] = np.inf
    return excess


@compiled
def set_excess(value: Floats, limit: Floats, scale: tuple[float, float], supplied: bool, excess: Floats) -> None:
    """Set the excess, (K, n), of values, (K, n), over limits, (n,); NaN counts as -inf where it means no supply."""
    for k in range(value.shape[0]):
        for i in range(value.shape[1]):
            beyond = scale[1] * (scale[0] * (value[k, i] - limit[i]))
            if beyond != beyond:
                beyond = -np.inf if supplied else np.inf
            excess[k, i] = beyond
