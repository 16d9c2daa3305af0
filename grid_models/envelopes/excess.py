"""How far AC solutions are beyond each limit.

Limits are numbered: upper voltages of the B columns of voltages, their lower ones, then what is judged in per cent:
branches, unbalance, and neutrals, scaled as in `grid_models.powerflow.limits`.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Floats
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
    loading = np.hstack(
        [
            flow.line_loading_percent - limits.max_line_loading_percent,
            flow.trafo_loading_percent - limits.max_trafo_loading_percent,
        ]
    )
    unbalance = UNBALANCE_SCALE * (flow.vuf_percent - limits.max_vuf_percent)
    neutral = NEUTRAL_SCALE * (flow.neutral_v - limits.max_neutral_v)
    of_buses = [flow.vm_pu - limits.max_vm_pu, limits.min_vm_pu - flow.vm_pu, unbalance, neutral]
    high, low, unbalance, neutral = (np.where(np.isnan(part), -np.inf, part) for part in of_buses)
    excess = np.hstack([high, low, *(PU_PER_PERCENT * part for part in (loading, unbalance, neutral))])
    excess[~flow.converged | np.isnan(excess).any(axis=1)] = np.inf
    return excess
