"""How far states are beyond their limits, where what stands without any device may be left out.

Law: a state that is not solved is beyond every limit, and one whose excess is not above 0 is clean by
`grid_models.powerflow.verdicts`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.compiled import compiled
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import JUDGED, Violation

WORSE = 0.001
"""What was beyond a limit without any device counts as made worse once it is further beyond by this share of it."""


class Bounds(NamedTuple):
    """Where values of K intervals begin to be a violation; columns as of `Flow`.

    Attributes
    ----------
    low, high
        (K, B) of voltages.
    line, trafo, vuf, neutral
        (K, …) of loadings, unbalance and voltages of neutrals.
    """

    low: Floats
    high: Floats
    line: Floats
    trafo: Floats
    vuf: Floats
    neutral: Floats


def make_bounds(limits: Limits, base: Flow, *, judge_all: bool) -> Bounds:
    """Bounds of K intervals, whose solution without any device is `base`.

    Parameters
    ----------
    limits
        The limits.
    base
        (K,) intervals.
    judge_all
        Whether limits hold as they are. Else what is beyond one in `base` is no violation until it is worse by `WORSE`;
        where `base` has no solution nothing is.
    """
    unsolved = ~base.converged[:, None]

    def above(values: Floats, limit: Floats) -> Floats:
        if judge_all:
            return np.broadcast_to(limit, values.shape)
        bound = np.where(values > limit, values + WORSE * limit, limit)
        return np.where(unsolved, np.inf, bound)

    low = np.broadcast_to(limits.min_vm_pu, base.vm_pu.shape)
    if not judge_all:
        bound = np.where(base.vm_pu < limits.min_vm_pu, base.vm_pu - WORSE * limits.min_vm_pu, limits.min_vm_pu)
        low = np.where(unsolved, -np.inf, bound)
    return Bounds(
        low,
        above(base.vm_pu, limits.max_vm_pu),
        above(base.line_loading_percent, limits.max_line_loading_percent),
        above(base.trafo_loading_percent, limits.max_trafo_loading_percent),
        above(base.vuf_percent, limits.max_vuf_percent),
        above(base.neutral_v, limits.max_neutral_v),
    )


def list_columns(limits: Limits) -> tuple[Floats, ...]:
    """Limits of each part that `find_parts` returns."""
    return (
        *(np.where(limits.min_vm_pu > 0.0, limits.min_vm_pu, 1.0), limits.max_vm_pu),
        *(limits.max_line_loading_percent, limits.max_trafo_loading_percent),
        *(limits.max_vuf_percent, limits.max_neutral_v),
    )


def find_parts(limits: Limits, bounds: Bounds, k: Ints, flow: Flow) -> tuple[Floats, ...]:
    """How far R states of intervals k, (R,), are beyond their bounds, as a share of the limit, by kind of value."""
    below, over, line, trafo, vuf, neutral = list_columns(limits)
    values = flow.line_loading_percent, flow.trafo_loading_percent, flow.vuf_percent, flow.neutral_v
    rest = zip(values, bounds[2:], (line, trafo, vuf, neutral), strict=True)
    return (
        (bounds.low[k] - flow.vm_pu) / below,
        (flow.vm_pu - bounds.high[k]) / over,
        *((value - bound[k]) / limit for value, bound, limit in rest),
    )


@compiled
def find_largest_share(value: Floats, bound: Floats, k: Ints, limit: Floats, worst: Floats) -> None:
    """Raise `worst`, (R,), to the largest share by which values, (R, n), are beyond bounds k of (K, n); NaN is none."""
    for row in range(value.shape[0]):
        for column in range(value.shape[1]):
            share = (value[row, column] - bound[k[row], column]) / limit[column]
            if share > worst[row]:
                worst[row] = share


def find_excess(limits: Limits, bounds: Bounds, k: Ints, flow: Flow) -> Floats:
    """The largest of them, (R,): above 0 where a state is not clean, infinite where there is none."""
    worst = np.full(flow.converged.size, -np.inf)
    below, over, *others = list_columns(limits)
    find_largest_share(-flow.vm_pu, -bounds.low, k, below, worst)
    values = flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent, flow.vuf_percent, flow.neutral_v
    for value, bound, limit in zip(values, bounds[1:], (over, *others), strict=True):
        find_largest_share(value, bound, k, limit, worst)
    unjudged = np.isinf(bounds.high[k]).all(axis=1)
    worst[~flow.converged] = np.inf
    worst[unjudged] = -np.inf
    return worst


def name_worst(feeder: Feeder, limits: Limits, bounds: Bounds, k: int, flow: Flow, row: int) -> Violation | None:
    """The value of a state that is furthest beyond its bound, with its limit; None where there is no solution."""
    if not flow.converged[row]:
        return None
    one = flow.select_one(row)
    parts = find_parts(limits, bounds, np.array([k]), one)
    peaks = [np.fmax.reduce(part.ravel(), initial=-np.inf) for part in parts]
    t = int(np.argmax(peaks))
    place = int(np.nanargmax(parts[t][0]))
    kind = max(t - 1, 0)  # both sides of the voltage come first
    table, quantity = JUDGED[kind]
    values = one.vm_pu, one.line_loading_percent, one.trafo_loading_percent, one.vuf_percent, one.neutral_v
    elements, names = feeder.labels[table]
    conductors = ("",) if quantity in ("vuf_percent", "neutral_v") else feeder.conductors(table)
    i, conductor = divmod(place, len(conductors))
    limit = limits.min_vm_pu[place] if t == 0 else list_columns(limits)[t][place]
    value = float(values[kind][0, place])
    return Violation(table, elements[i], names[i], quantity, value, float(limit), conductors[conductor])
