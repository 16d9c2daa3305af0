"""The AC solution of a batch of intervals, whichever engine computed it.

Law: values of an interval that is not solved are NaN, never those of an earlier interval or iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Ints, Mask, Places


class Engine(IntEnum):
    """Who solved an interval, or could not."""

    FAST = 0
    RUNPP = 1
    CONTROL = 2  # not solved: the reactive power control did not converge


class Flow(NamedTuple):
    """AC solution of K intervals on B buses, L lines, R transformers, in the order of the net's tables.

    Attributes
    ----------
    converged
        (K,) whether an interval is solved.
    vm_pu
        (K, B) voltage magnitudes; NaN at buses without supply.
    line_loading_percent, trafo_loading_percent
        (K, L), (K, R); 0 where no current can flow: out of service, or without supply.
    trafo_p_kw
        (K, R) active power entering each transformer at its high-voltage side.
    p_slack_kw, q_slack_kvar
        (K, G) power out of each bus of fixed voltage into the network, in the order of `PowerFlow.slack_bus`: the
        external grid's bus, or that of an island's grid-forming device.
    p_grid_kw, q_grid_kvar
        (K,) the part of it that comes from the external grid; 0 in an island.
    losses_kw
        (K,) active losses of the branches: the power of shunts, as that of loads, is none.
    iterations, engine
        (K,) iterations, and who solved it (`Engine`).
    vuf_percent
        (K, U) voltage unbalance factors; none, U = 0, in a balanced model.
    neutral_v
        (K, M) voltage of each bus's neutral to earth, V; none, M = 0, where it is no conductor of its own.
    tap_pos
        (K, X) positions of the on-load tap changers; none, X = 0, where there are no such.

    In an unbalanced model the columns of voltages and loadings are those of conductors
    (`grid_models.phases.readout`).
    """

    converged: Mask
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
    vuf_percent: Floats
    neutral_v: Floats
    tap_pos: Ints

    def select(self, first: int, stop: int) -> Flow:
        """Intervals first … stop-1."""
        return Flow._make(column[first:stop] for column in self)

    def select_one(self, k: int) -> Flow:
        """Interval k alone, K = 1."""
        return self.select(k, k + 1)

    @staticmethod
    def concatenate(flows: Sequence[Flow]) -> Flow:
        """Join the intervals of several flows of one network, in their order."""
        return Flow._make(map(np.concatenate, zip(*flows, strict=True)))

    def with_intervals(self, intervals: Places, other: Flow) -> Flow:
        """Copy with these intervals replaced by those of `other`, in that order."""
        columns: list[npt.NDArray[Any]] = [column.copy() for column in self]
        for column, values in zip(columns, other, strict=True):
            column[intervals] = values
        return Flow._make(columns)

    def at_taps(self, position: Ints) -> Flow:
        """The same intervals, with tap changers at these positions, (K, X), or (X,) in all of them."""
        return self._replace(tap_pos=np.array(np.broadcast_to(position, (self.converged.size, position.shape[-1]))))

    def with_feeder_off(self) -> Flow:
        """The same intervals with the feeder switched off: no voltage, no current, no losses."""
        off = Flow._make(map(np.zeros_like, self))
        dark = {name: np.full_like(getattr(self, name), np.nan) for name in ("vm_pu", "vuf_percent", "neutral_v")}
        return off._replace(**dark, converged=np.ones_like(self.converged), tap_pos=self.tap_pos)


def make_no_phases(n_intervals: int) -> tuple[Floats, Floats, Ints]:
    """Unbalance, voltages of neutrals and tap positions in a balanced model without tap changers: none."""
    return np.zeros((n_intervals, 0)), np.zeros((n_intervals, 0)), make_no_taps(n_intervals)


def make_no_taps(n_intervals: int) -> Ints:
    """Positions of tap changers where there are none, (K, 0)."""
    return np.zeros((n_intervals, 0), np.int64)


def make_unsolved_flow(
    n_intervals: int,
    n_buses: int,
    n_lines: int,
    n_trafos: int,
    n_slacks: int,
    *,
    n_power: int | None = None,
    n_unbalance: int = 0,
    n_neutral: int = 0,
) -> Flow:
    """Flow of intervals of which none is solved; its engine is `runpp`, which is the last one asked.

    Parameters
    ----------
    n_intervals
        Number of intervals.
    n_buses, n_lines, n_trafos, n_slacks
        Numbers of columns of voltages, loadings and sources.
    n_power
        Number of transformers, where that is not the number of columns of their loadings.
    n_unbalance, n_neutral
        Number of columns of unbalance factors, and of voltages of neutrals.
    """
    widths = (n_buses, n_lines, n_trafos, n_trafos if n_power is None else n_power, n_slacks, n_slacks)
    shapes = [*((n_intervals, width) for width in widths), *([(n_intervals,)] * 3)]
    converged, iterations = np.zeros(n_intervals, dtype=bool), np.zeros(n_intervals, np.int64)
    nan = [np.full(shape, np.nan) for shape in shapes]
    more = [np.full((n_intervals, n), np.nan) for n in (n_unbalance, n_neutral)]
    engine = np.full(n_intervals, Engine.RUNPP, np.int8)
    return Flow._make([converged, *nan, iterations, engine, *more, make_no_taps(n_intervals)])
