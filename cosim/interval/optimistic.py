"""A window of intervals settled as if the network could carry everything, and the leading ones that it can."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case, MarketCase
from cosim.case.solve import solve_held
from cosim.case.state import NetworkState
from cosim.delivery.window import InputSeries, Window, settle_window, settle_window_with
from cosim.interval.bounds import Bounds
from cosim.interval.chunk import Chunk, check_conserved, close_intervals
from cosim.interval.taps import with_taps_at_rest
from grid_models.arrays import Mask
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Judgement, Verdicts, judge
from market.exchanges import Rows
from market.rules import PLUGGED_IN
from market.state import State


class Optimistic(NamedTuple):
    """A window settled as cleared, with its AC solution.

    Attributes
    ----------
    first
        Number of its first interval.
    window
        K settled intervals.
    meters
        (K, N) meter rows with the reactive power of the solution.
    flow, verdicts
        AC solution and verdicts of the K intervals.
    disturbed
        (K,) whether inverters reduce their active power, or a tap changer is to step.
    """

    first: int
    window: Window
    meters: Rows
    flow: Flow
    verdicts: Verdicts
    disturbed: Mask

    @property
    def n_clean(self) -> int:
        """Number of leading intervals that are clean, and in which nothing reduces its power or changes taps."""
        unclean = np.flatnonzero((self.verdicts.status != Judgement.OK) | self.disturbed)
        return int(unclean[0]) if unclean.size else self.verdicts.status.size


def slice_inputs(inputs: InputSeries, first: int, stop: int) -> InputSeries:
    """The inputs of intervals first … stop-1."""
    series = (column[first:stop] for column in inputs[:-1])
    return InputSeries._make((*series, inputs.devices))


def settle_optimistically(
    case: MarketCase, state: State, first: int, n: int, given: InputSeries | None = None
) -> Window:
    """Window of `n` intervals settled as cleared, by compiled code or the user's own mechanism; inputs may be given."""
    inputs = given or slice_inputs(case.inputs, first, first + n)
    if case.mechanism.code == PLUGGED_IN:
        return settle_window_with(case.mechanism.clear, inputs, first, n, state, case.rules)
    return settle_window(inputs, first, n, state, case.rules)


def try_window(case: Case, state: State, first: int, n: int) -> Optimistic:
    """Settle the next `n` intervals as cleared, solve and judge them in one batch."""
    window = check_conserved(settle_optimistically(case, state, first, n), first)
    solved = solve_held(case, window.meters)
    flow, disturbed = solved.flow, solved.is_disturbed(n)
    return Optimistic(first, window, solved.meters, flow, judge(flow, case.limits), disturbed)


def close_clean(
    case: Case, state: State, tried: Optimistic, network: NetworkState, n: int, bounds: Bounds | None = None
) -> Chunk:
    """The `n` leading intervals of a window, which are clean, in their final form."""
    window, flow, verdicts = tried.window, tried.flow, tried.verdicts
    if n < verdicts.status.size:  # only the last state of a window is kept: settle again up to the unclean interval
        window = settle_optimistically(case, state, tried.first, n)
        flow, verdicts = flow.select(0, n), verdicts.select(0, n)
    window = window._replace(meters=tried.meters[:n])
    return close_intervals(case, tried.first, window, flow, verdicts, with_taps_at_rest(network), bounds=bounds)
