"""Limits of voltages and loadings, and the verdict on a power flow: ok, violated or not solved.

A verdict is data, not an exception. Law: an interval that is not solved, and a loading that is NaN, never pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Ints, Mask, Places
from grid_models.compiled import compiled
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow


class Judgement(IntEnum):
    """Verdict on one interval."""

    OK = 0
    VIOLATED = 1
    NOT_SOLVED = 2


_NOT_SOLVED = int(Judgement.NOT_SOLVED)  # numba takes no IntEnum


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits of every element, in the order of the net's tables.

    Attributes
    ----------
    min_vm_pu, max_vm_pu
        (B,) voltage band of each bus.
    max_line_loading_percent, max_trafo_loading_percent
        (L,), (R,) per cent of the rating.
    warn_loading_percent
        Loading from which an element is reported.
    """

    min_vm_pu: Floats
    max_vm_pu: Floats
    max_line_loading_percent: Floats
    max_trafo_loading_percent: Floats
    warn_loading_percent: float = 80.0

    @classmethod
    def from_feeder(
        cls,
        feeder: Feeder,
        *,
        min_vm_pu: float = 0.90,
        max_vm_pu: float = 1.10,
        max_loading_percent: float = 100.0,
        warn_loading_percent: float = 80.0,
        net_limits_win: bool = True,
    ) -> Limits:
        """Limits of a feeder: those in its tables where given, else the defaults.

        The default voltage band is that of EN 50160 (±10 % of nominal voltage). `net_limits_win = False` ignores
        the net's own.

        Raises
        ------
        GridError
            If a bus's lower limit is not below its upper one, or a loading limit is not positive.
        """

        def column(table: str, name: str, default: float) -> Floats:
            frame = feeder.net[table]
            values = np.full(len(frame), default)
            if net_limits_win and name in frame:
                given = frame[name].to_numpy(np.float64)
                values = np.where(np.isnan(given), values, given)
            return values

        limits = cls(
            column("bus", "min_vm_pu", min_vm_pu),
            column("bus", "max_vm_pu", max_vm_pu),
            column("line", "max_loading_percent", max_loading_percent),
            column("trafo", "max_loading_percent", max_loading_percent),
            warn_loading_percent,
        )
        limits._check(feeder)
        return limits

    @cached_property
    def max_end_percent(self) -> Floats:
        """Limits of the branch ends, (E,) per cent, in the order of `grid_models.response.response.Response`."""
        return np.tile(np.concatenate([self.max_line_loading_percent, self.max_trafo_loading_percent]), 2)

    def _check(self, feeder: Feeder) -> None:
        """Raise `GridError` where a limit is not positive or a voltage band is empty."""
        low, high = self.min_vm_pu, self.max_vm_pu
        for b in np.flatnonzero(~((low > 0.0) & (low < high))):
            raise GridError(
                f"network '{feeder.name}', bus {feeder.net.bus.index[b]}: expected 0 < min_vm_pu < max_vm_pu, "
                f"got {low[b]:g} and {high[b]:g}"
            )
        loadings = {"line": self.max_line_loading_percent, "trafo": self.max_trafo_loading_percent}
        for table, limit in loadings.items():
            for b in np.flatnonzero(~(limit > 0.0)):
                raise GridError(
                    f"network '{feeder.name}', {table} {feeder.net[table].index[b]}: expected "
                    f"max_loading_percent > 0, got {limit[b]:g}"
                )


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

    def select(self, first: int, stop: int) -> Verdicts:
        """Intervals first … stop-1."""
        return Verdicts._make(column[first:stop] for column in self)


def judge(flow: Flow, limits: Limits) -> Verdicts:
    """Compare every interval of a flow with the limits of the network."""
    return _judge_compiled(
        *(flow.converged, flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent),
        *(limits.min_vm_pu, limits.max_vm_pu),
        *(limits.max_line_loading_percent, limits.max_trafo_loading_percent),
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
) -> Verdicts:
    """`judge` as one compiled call: curtailment judges interval by interval, where calls from Python would dominate."""
    n = converged.size
    number, place = np.full((5, n), np.nan), np.full((3, n), -1)
    extremes = (number[0], place[0], number[1], place[1], number[2], place[2])
    out = Verdicts(np.full(n, _NOT_SOLVED, np.int8), *extremes, number[3], number[4])
    solved = np.flatnonzero(converged)
    _judge_voltages(solved, vm_pu, min_vm_pu, max_vm_pu, out)
    _judge_loadings(solved, line, trafo, max_line, max_trafo, out)
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


@dataclass(frozen=True)
class Violation:
    """A quantity of an element and its limit; in a list of violations it is beyond that limit.

    `element_type` is `bus`, `line` or `trafo`, `element` its index in the net, `quantity` `vm_pu` or `loading_percent`.
    """

    element_type: str
    element: int
    name: str
    quantity: str
    value: float
    limit: float

    @property
    def excess(self) -> float:
        """How far the value is beyond its limit, relative to the limit."""
        return abs(self.value - self.limit) / abs(self.limit)

    def __str__(self) -> str:
        unit = "pu" if self.quantity == "vm_pu" else "%"
        named = self.name.startswith(self.element_type)
        label = self.name if named else f"{self.element_type} {self.name or self.element}"
        return f"{label}: {self.value:.4g} {unit} (limit {self.limit:.4g} {unit})"


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
    tables = ("bus", "line", "trafo")
    values = (flow.vm_pu[k], flow.line_loading_percent[k], flow.trafo_loading_percent[k])
    upper = (limits.max_vm_pu, limits.max_line_loading_percent, limits.max_trafo_loading_percent)
    closer, margin = list(upper), [(u - v) / u for u, v in zip(upper, values, strict=True)]
    to_lower = (values[0] - limits.min_vm_pu) / limits.min_vm_pu
    below = to_lower < margin[0]
    closer[0] = np.where(below, limits.min_vm_pu, upper[0])
    margin[0] = np.where(below, to_lower, margin[0])

    def compare(t: int, at: Ints) -> list[Violation]:
        return _compare(feeder, tables[t], at, values[t], closer[t])

    beyond = [v for t in range(3) for v in compare(t, np.flatnonzero(margin[t] < 0.0))]
    if beyond:
        return Verdict(Judgement.VIOLATED, tuple(sorted(beyond, key=lambda v: -v.excess)), None)
    supplied = [t for t in range(3) if np.isfinite(margin[t]).any()]
    if not supplied:
        return Verdict(Judgement.OK, (), None)
    t = min(supplied, key=lambda t: float(np.nanmin(margin[t])))
    return Verdict(Judgement.OK, (), compare(t, np.nanargmin(margin[t], keepdims=True))[0])


def _compare(feeder: Feeder, table: str, at: Ints, values: Floats, limits: Floats) -> list[Violation]:
    """Values of some elements of a table beside their limits; `at` is their places, `values`, `limits` all of them."""
    if at.size == 0:
        return []  # without reading the table's names
    elements, names = feeder.labels[table]
    quantity = "vm_pu" if table == "bus" else "loading_percent"
    return [Violation(table, elements[i], names[i], quantity, float(values[i]), float(limits[i])) for i in at.tolist()]
