"""The fold over intervals: optimistic windows, the first unclean interval by the full path, then on behind it.

Law: the length of a window never changes a byte of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case import Case, MarketCase
from cosim.errors import ConservationError
from cosim.interval import run_interval
from cosim.losses import losses_wh, with_losses
from cosim.setpoints import injection_kw
from cosim.window import (
    Supply,
    Window,
    empty_window,
    enter,
    settle_window,
    settle_window_with,
)
from grid_models.limits import Judgement, Verdict, Verdicts, judge
from grid_models.powerflow import Flow
from market.mechanisms import PLUGGED_IN
from market.state import State

FIRST_WINDOW, LONGEST_WINDOW = 64, 2048


class Chunk(NamedTuple):
    """Intervals that are final: settled, clean, conserved.

    Attributes
    ----------
    first
        Interval number of the first.
    window
        Exchanges (losses included), meters, accounts, prices, state after.
    flow, verdicts
        AC solution of what was delivered, and its verdict.
    outcome, power_flows
        (K,) how each interval became clean (`Outcome`), and the power flows it took.
    before
        Verdict on the exchanges as cleared, for each interval that was not clean: {interval: verdict}.
    """

    first: int
    window: Window
    flow: Flow
    verdicts: Verdicts
    outcome: npt.NDArray[np.int8]
    power_flows: npt.NDArray[np.int32]
    before: dict[int, Verdict]

    @property
    def stop(self) -> int:
        """Interval number behind the last."""
        return self.first + self.outcome.size


def supply_between(supply: Supply, first: int, stop: int) -> Supply:
    """The part of the supply that belongs to intervals first … stop-1."""
    return Supply(*(column[first:stop] for column in supply))


def settle_optimistically(case: MarketCase, state: State, first: int, n: int) -> Window:
    """Window of `n` intervals settled as cleared, by compiled code or the user's own mechanism."""
    supply = supply_between(case.supply, first, first + n)
    if case.mechanism.code == PLUGGED_IN:
        return settle_window_with(case.mechanism.clear, supply, first, n, state, case.rules)
    return settle_window(supply, first, n, state, case.rules)


def conserved(window: Window, first: int) -> Window:
    """The window itself, once its identities are known to hold.

    Raises
    ------
    ConservationError
        If energy or money of an interval does not balance.
    """
    k, house = (int(value) for value in window.unbalanced)
    if k >= 0:
        n = window.meters.shape[1]
        what = f"the energy of house {house}" if house < n else "the accounts"
        raise ConservationError(
            f"interval {first + k}: {what} do not balance; this is a defect, please report it"
        )
    return window


def clean_part(case: Case, state: State, first: int, n: int) -> Chunk | None:
    """The leading clean intervals of the next `n`, or None if the very first is not clean."""
    window = conserved(settle_optimistically(case, state, first, n), first)
    flow = case.engine.solve(injection_kw(window.meters, case.interval_minutes), None)
    verdicts = judge(flow, case.limits)
    unclean = np.flatnonzero(verdicts.status != Judgement.OK)
    if unclean.size:
        n = int(unclean[0])
        if n == 0:
            return None
        window = settle_optimistically(case, state, first, n)
        flow, verdicts = flow.between(0, n), verdicts.between(0, n)
    return finished(case, first, window, flow, verdicts, np.zeros(n, np.int8), np.ones(n, np.int32), {})


def repaired(case: Case, state: State, t: int) -> Chunk:
    """Interval `t` by the full path: verdict, curtailment, settlement of what is delivered."""
    _, result = run_interval(case, state, t)
    feasible = result.feasible
    window = enter(
        empty_window(1, state), 0, result.orders, result.clearing, feasible.settlement, result.before
    )
    return finished(
        case,
        t,
        conserved(window, t),
        feasible.flow,
        judge(feasible.flow, case.limits),
        np.array([feasible.outcome], np.int8),
        np.array([feasible.power_flows], np.int32),
        {} if feasible.before is None else {t: feasible.before},
    )


def finished(
    case: Case,
    first: int,
    window: Window,
    flow: Flow,
    verdicts: Verdicts,
    outcome: npt.NDArray[np.int8],
    power_flows: npt.NDArray[np.int32],
    before: dict[int, Verdict],
) -> Chunk:
    """Chunk with the losses booked."""
    stop = first + outcome.size
    lost = losses_wh(flow.losses_kw, case.interval_minutes)
    prices = case.supply.utility_ueur_per_kwh[first:stop]
    window = with_losses(window, lost, prices, first, case.opening.own_wh.size)
    return Chunk(first, window, flow, verdicts, outcome, power_flows, before)


def chunks(case: Case, state: State, first: int = 0) -> Iterator[Chunk]:
    """Simulate from `state` before interval `first` to the end, a chunk at a time.

    The window doubles while intervals are clean and shrinks to what was clean when one is not; a length fixed in
    the scenario is kept.
    """
    fixed = case.scenario.engine.window
    length = fixed or FIRST_WINDOW
    t = first
    while t < case.n_intervals:
        n = min(length, case.n_intervals - t)
        chunk = clean_part(case, state, t, n)
        n_clean = 0
        if chunk is not None:
            yield chunk
            state, t = chunk.window.state, chunk.stop
            n_clean = chunk.outcome.size
        if n_clean < n:
            chunk = repaired(case, state, t)
            yield chunk
            state, t = chunk.window.state, chunk.stop
        if fixed is None:
            length = min(2 * length, LONGEST_WINDOW) if n_clean == n else max(1, 2 * n_clean)
