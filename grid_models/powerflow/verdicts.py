"""The verdict on a power flow against limits: ok, violated or not solved.

A verdict is data, not an exception. Law: an interval that is not solved, and a loading that is NaN, never pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Ints, Mask, Places
from grid_models.compiled import compiled
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits


class Judgement(IntEnum):
    """Verdict on one interval."""

    OK = 0
    VIOLATED = 1
    NOT_SOLVED = 2


_NOT_SOLVED = int(Judgement.NOT_SOLVED)  # numba takes no IntEnum


class Verdicts(NamedTuple):
    """Verdicts on K intervals, and what is closest to a limit in each; elements by their place in the net's tables.

    Attributes
    ----------
    status
        (K,) `Judgement`.
    lowest_vm_pu, lowest_bus, highest_vm_pu, highest_bus
        (K,) extreme voltages and their buses; NaN and -1 without any.
    highest_loading_percent, highest_branch
        (K,) largest loading relative to its limit, and its branch: lines first, then transformers; NaN and -1
        without any.
    voltage_margin_pu, loading_margin_percent
        (K,) smallest distance of a voltage to the limits of its bus, and distance of that loading to its limit;
        negative where violated, NaN without any.
    highest_vuf_percent, highest_vuf_bus
        (K,) largest voltage unbalance relative to its limit, and its bus; NaN and -1 in a balanced model.
    highest_neutral_v, highest_neutral_bus
        (K,) largest voltage of a neutral relative to its limit, and its bus; NaN and -1 where there is none.

    In an unbalanced model places are those of conductors, the columns of `Flow`.
    """

    status: npt.NDArray[np.int8]
    lowest_vm_pu: Floats
    lowest_bus: Ints
    highest_vm_pu: Floats
    highest_bus: Ints
    highest_loading_percent: Floats
    highest_branch: Ints
    voltage_margin_pu: Floats
    loading_margin_percent: Floats
    highest_vuf_percent: Floats
    highest_vuf_bus: Ints
    highest_neutral_v: Floats
    highest_neutral_bus: Ints

    def select(self, first: int, stop: int) -> Verdicts:
        """Intervals first … stop-1."""
        return Verdicts._make(column[first:stop] for column in self)


def judge(flow: Flow, limits: Limits) -> Verdicts:
    """Compare every interval of a flow with the limits of the network."""
    # Of several orders of the same arrays every one would be compiled: batches with phases have bus before interval.
    vm_pu, line, trafo = map(np.ascontiguousarray, (flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent))
    return _judge_compiled(
        *(flow.converged, vm_pu, line, trafo),
        *(limits.min_vm_pu, limits.max_vm_pu),
        *(limits.max_line_loading_percent, limits.max_trafo_loading_percent),
        *(flow.vuf_percent, limits.max_vuf_percent, flow.neutral_v, limits.max_neutral_v),
    )


@compiled
def _judge_compiled(
    converged: Mask,
    vm_pu: Floats,
    line: Floats,
    trafo: Floats,
    min_vm_pu: Floats,
    max_vm_pu: Floats,
    max_line: Floats,
    max_trafo: Floats,
    vuf_percent: Floats,
    max_vuf: Floats,
    neutral_v: Floats,
    max_neutral_v: Floats,
) -> Verdicts:
    """`judge` as one compiled call: curtailment judges interval by interval, where calls from Python would dominate."""
    n = converged.size
    number, place = np.full((7, n), np.nan), np.full((5, n), -1)
    extremes = (number[0], place[0], number[1], place[1], number[2], place[2])
    extra = (number[5], place[3], number[6], place[4])
    out = Verdicts(np.full(n, _NOT_SOLVED, np.int8), *extremes, number[3], number[4], *extra)
    solved = np.flatnonzero(converged)
    _judge_voltages(solved, vm_pu, min_vm_pu, max_vm_pu, out)
    _judge_loadings(solved, line, trafo, max_line, max_trafo, out)
    _judge_buses(solved, vuf_percent, max_vuf, out.status, out.highest_vuf_percent, out.highest_vuf_bus)
    _judge_buses(solved, neutral_v, max_neutral_v, out.status, out.highest_neutral_v, out.highest_neutral_bus)
    return out


@compiled
def _judge_voltages(solved: Places, vm_pu: Floats, min_vm_pu: Floats, max_vm_pu: Floats, out: Verdicts) -> None:
    """Set extremes, margin and status of the solved intervals; buses without supply (NaN) are not judged."""
    for k in solved:
        lowest, highest, margin = np.inf, -np.inf, np.inf
        lowest_bus, highest_bus = -1, -1
        for b in range(vm_pu.shape[1]):
            vm = vm_pu[k, b]
            if vm < lowest:
                lowest, lowest_bus = vm, b
            if vm > highest:
                highest, highest_bus = vm, b
            below, above = vm - min_vm_pu[b], max_vm_pu[b] - vm
            closer = below if below < above else above
            if closer < margin:
                margin = closer
        out.status[k] = 0 if margin >= 0.0 else 1
        if lowest_bus >= 0:
            out.lowest_vm_pu[k], out.lowest_bus[k] = lowest, lowest_bus
            out.highest_vm_pu[k], out.highest_bus[k] = highest, highest_bus
            out.voltage_margin_pu[k] = margin


@compiled
def _judge_loadings(
    solved: Places, line: Floats, trafo: Floats, max_line: Floats, max_trafo: Floats, out: Verdicts
) -> None:
    """Set highest loading, margin and status of the solved intervals; a loading that is NaN does not pass."""
    n_lines = line.shape[1]
    for k in solved:
        tightest, branch = -np.inf, -1
        for b in range(n_lines + trafo.shape[1]):
            value = line[k, b] if b < n_lines else trafo[k, b - n_lines]
            limit = max_line[b] if b < n_lines else max_trafo[b - n_lines]
            if not value <= limit:
                out.status[k] = 1
            ratio = value / limit
            if ratio > tightest:
                tightest, branch = ratio, b
        if branch >= 0:
            value = line[k, branch] if branch < n_lines else trafo[k, branch - n_lines]
            limit = max_line[branch] if branch < n_lines else max_trafo[branch - n_lines]
            out.highest_loading_percent[k], out.highest_branch[k] = value, branch
            out.loading_margin_percent[k] = limit - value


@compiled
def _judge_buses(
    solved: Places, values: Floats, limits: Floats, status: npt.NDArray[np.int8], highest: Floats, highest_bus: Ints
) -> None:
    """Set highest value, its bus and status of the solved intervals; buses without supply (NaN) are not judged."""
    for k in solved:
        tightest = -np.inf
        for b in range(limits.size):
            value = values[k, b]
            if value > limits[b]:
                status[k] = 1
            if value / limits[b] > tightest:
                tightest = value / limits[b]
                highest[k], highest_bus[k] = value, b


@dataclass(frozen=True)
class Violation:
    """A quantity of an element and its limit; in a list of violations it is beyond that limit.

    `element_type` is `bus`, `line` or `trafo`, `element` its index in the net, `quantity` `vm_pu`, `loading_percent`,
    `vuf_percent` or `neutral_v`; `phase` is a, b, c or n (neutral) in an unbalanced model, and empty where it is no
    single conductor.
    """

    element_type: str
    element: int
    name: str
    quantity: str
    value: float
    limit: float
    phase: str = ""

    @property
    def excess(self) -> float:
        """How far the value is beyond its limit, relative to the limit."""
        return abs(self.value - self.limit) / abs(self.limit)

    def __str__(self) -> str:
        unit = {"vm_pu": "pu", "neutral_v": "V"}.get(self.quantity, "%")
        named = self.name.startswith(self.element_type)
        label = self.name if named else f"{self.element_type} {self.name or self.element}"
        where = {"": "", "n": ", neutral"}.get(self.phase, f", phase {self.phase}")
        what = {"vuf_percent": " unbalance (VUF)", "neutral_v": " neutral to earth"}.get(self.quantity, "")
        return f"{label}{where}: {self.value:.4g} {unit}{what} (limit {self.limit:.4g} {unit})"


@dataclass(frozen=True)
class Verdict:
    """Verdict on one interval: all violated elements, worst first; where there is none, the one closest to a limit."""

    status: Judgement
    violations: tuple[Violation, ...]
    tightest: Violation | None


def check_limits(feeder: Feeder, limits: Limits, flow: Flow, k: int = 0) -> Verdict:
    """Verdict on interval `k` of a flow, with the elements' names.

    Parameters
    ----------
    feeder, limits
        The network and its limits.
    flow
        AC solution.
    k
        Interval of the flow.
    """
    if not flow.converged[k]:
        return Verdict(Judgement.NOT_SOLVED, (), None)
    loadings = (flow.line_loading_percent[k], flow.trafo_loading_percent[k])
    values = (flow.vm_pu[k], *loadings, flow.vuf_percent[k], flow.neutral_v[k])
    upper = (
        *(limits.max_vm_pu, limits.max_line_loading_percent, limits.max_trafo_loading_percent),
        *(limits.max_vuf_percent, limits.max_neutral_v),
    )
    closer, margin = list(upper), [(u - v) / u for u, v in zip(upper, values, strict=True)]
    floor = np.where(limits.min_vm_pu > 0.0, limits.min_vm_pu, 1.0)  # 0 is no limit, and nothing is below it
    to_lower = (values[0] - limits.min_vm_pu) / floor
    below = to_lower < margin[0]
    closer[0] = np.where(below, limits.min_vm_pu, upper[0])
    margin[0] = np.where(below, to_lower, margin[0])

    def compare(t: int, at: Ints) -> list[Violation]:
        return _compare(feeder, JUDGED[t], at, values[t], closer[t])

    beyond = [v for t in range(len(JUDGED)) for v in compare(t, np.flatnonzero(margin[t] < 0.0))]
    if beyond:
        return Verdict(Judgement.VIOLATED, tuple(sorted(beyond, key=lambda v: -v.excess)), None)
    supplied = [t for t in range(len(JUDGED)) if np.isfinite(margin[t]).any()]
    if not supplied:
        return Verdict(Judgement.OK, (), None)
    t = min(supplied, key=lambda t: float(np.nanmin(margin[t])))
    return Verdict(Judgement.OK, (), compare(t, np.nanargmin(margin[t], keepdims=True))[0])


JUDGED = (
    *(("bus", "vm_pu"), ("line", "loading_percent"), ("trafo", "loading_percent")),
    *(("bus", "vuf_percent"), ("bus", "neutral_v")),
)
"""Tables and quantities that are judged, in the order of `Flow`."""


def _compare(feeder: Feeder, what: tuple[str, str], at: Ints, values: Floats, limits: Floats) -> list[Violation]:
    """Values of some places of a table and quantity beside their limits; `values`, `limits` are those of all places."""
    if at.size == 0:
        return []  # without reading the table's names
    table, quantity = what
    elements, names = feeder.labels[table]
    conductors = ("",) if quantity in ("vuf_percent", "neutral_v") else feeder.conductors(table)
    found = []
    for place in at.tolist():
        i, conductor = divmod(place, len(conductors))
        value, limit = float(values[place]), float(limits[place])
        found.append(Violation(table, elements[i], names[i], quantity, value, limit, conductors[conductor]))
    return found
