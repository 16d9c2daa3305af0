"""The AC solution of a batch of intervals, whoever computed it; what is not solved is NaN, never an old value."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Ints


class Engine(IntEnum):
    """Who solved an interval, or gave it up."""

    FAST = 0
    RUNPP = 1
    CONTROL = 2  # gave up: reactive power and voltages that follow from each other were not found


class Flow(NamedTuple):
    """AC solution of K intervals on B buses, L lines, R transformers, in the order of the net's tables.

    Attributes
    ----------
    converged
        (K,) whether an interval is solved; all its values are NaN where it is not.
    vm_pu
        (K, B) voltage magnitudes; NaN at buses without supply.
    line_loading_percent, trafo_loading_percent
        (K, L), (K, R); 0 where no current can flow: out of service, or without supply.
    trafo_p_kw
        (K, R) active power entering each transformer at its high-voltage side.
    p_slack_kw, q_slack_kvar
        (K, G) power out of each bus of fixed voltage into the network: the external grid's, or that of an island's
        former; in the order of `PowerFlow.slack_bus`.
    p_grid_kw, q_grid_kvar
        (K,) of it, power from the external grid; 0 in an island.
    losses_kw
        (K,) active losses.
    iterations, engine
        (K,) iterations, and who solved it (`Engine`).
    """

    converged: npt.NDArray[np.bool_]
    vm_pu: Floats
    line_loading_percent: Floats
    trafo_loading_percent: Floats
    trafo_p_kw: Floats
    p_slack_kw: Floats
    q_slack_kvar: Floats
    p_grid_kw: Floats
    q_grid_kvar: Floats
    losses_kw: Floats
    iterations: Ints
    engine: npt.NDArray[np.int8]

    def between(self, first: int, stop: int) -> Flow:
        """Intervals first … stop-1."""
        return Flow._make(column[first:stop] for column in self)

    def at(self, k: int) -> Flow:
        """Interval k alone, K = 1."""
        return self.between(k, k + 1)

    @staticmethod
    def concatenated(flows: Sequence[Flow]) -> Flow:
        """The intervals of several flows of one network, one behind the other."""
        return Flow._make(map(np.concatenate, zip(*flows, strict=True)))

    def replaced(self, intervals: npt.NDArray[np.intp], other: Flow) -> Flow:
        """The same with some intervals taken from `other`, whose intervals they are in that order."""
        columns: list[npt.NDArray[Any]] = [column.copy() for column in self]
        for column, values in zip(columns, other, strict=True):
            column[intervals] = values
        return Flow._make(columns)

    def switched_off(self) -> Flow:
        """The same intervals with the feeder switched off: no voltage, no current, no losses."""
        off = Flow._make(map(np.zeros_like, self))
        return off._replace(vm_pu=np.full_like(self.vm_pu, np.nan), converged=np.ones_like(self.converged))


def not_solved(n_intervals: int, n_buses: int, n_lines: int, n_trafos: int, n_slacks: int) -> Flow:
    """Flow of intervals of which none is solved, booked on `runpp`, the last to be asked."""
    widths = (n_buses, n_lines, n_trafos, n_trafos, n_slacks, n_slacks)
    shapes = [*((n_intervals, width) for width in widths), *([(n_intervals,)] * 3)]
    solved, iterations = np.zeros(n_intervals, dtype=bool), np.zeros(n_intervals, np.int64)
    nan = [np.full(shape, np.nan) for shape in shapes]
    return Flow._make([solved, *nan, iterations, np.full(n_intervals, Engine.RUNPP, np.int8)])
