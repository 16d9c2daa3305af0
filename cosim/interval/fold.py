"""The fold over intervals: optimistic windows, the first unclean interval by the full path, then on behind it.

Law: the length of a window never changes a byte of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cosim.case.batteries import ratings_as, with_batteries
from cosim.case.case import Case, MarketCase
from cosim.case.solve import solve_meters
from cosim.case.state import NetworkState
from cosim.curtailment.feasible import Outcome
from cosim.delivery.losses import losses_wh, with_losses
from cosim.delivery.window import InputSeries, Window, settle_window, settle_window_with, window_of_one
from cosim.errors import ConservationError
from cosim.interval.chunk import Chunk
from cosim.interval.device_requests import answer_requests, let_go, retire
from cosim.interval.interval import run_interval
from cosim.islands.event_interval import run_event_interval
from cosim.islands.switching import Switching
from grid_models.powerflow.engine import Flow
from grid_models.powerflow.limits import Judgement, Verdict, Verdicts, judge
from market.book import Clearing
from market.mechanisms import PLUGGED_IN
from market.state import State
from market.storage import Ratings

FIRST_WINDOW, LONGEST_WINDOW = 64, 4096
FEW_HOUSES = 32
"""Up to so many houses a window may be as long as the longest; with more of them it is shorter by as much."""


def supply_between(supply: InputSeries, first: int, stop: int) -> InputSeries:
    """The part of the supply that belongs to intervals first … stop-1."""
    return InputSeries(*(column[first:stop] for column in supply))


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


def clean_part(case: Case, state: State, outage: NetworkState, first: int, n: int) -> Chunk | None:
    """The leading clean intervals of the next `n`, or None if the very first is not clean."""
    window = conserved(settle_optimistically(case, state, first, n), first)
    flow, meters = solve_meters(case, window.meters)
    verdicts = judge(flow, case.limits)
    unclean = np.flatnonzero(verdicts.status != Judgement.OK)
    if unclean.size:
        n = int(unclean[0])
        if n == 0:
            return None
        window = settle_optimistically(case, state, first, n)
        flow, verdicts = flow.between(0, n), verdicts.between(0, n)
    window = window._replace(meters=meters[:n])
    return finished(
        case, first, window, flow, verdicts, np.zeros(n, np.int8), np.ones(n, np.int32), {}, outage
    )


def repaired(case: Case, state: State, outage: NetworkState, t: int) -> Chunk:
    """Interval `t` by the full path: verdict, curtailment, settlement of what is delivered."""
    _, result = run_interval(case, state, t)
    feasible = result.feasible
    window = window_of_one(result.orders, result.clearing, feasible.settlement, result.before)
    return finished(
        case,
        t,
        conserved(window, t),
        feasible.flow,
        feasible.verdicts,
        np.array([feasible.outcome], np.int8),
        np.array([feasible.power_flows], np.int32),
        {} if feasible.before is None else {t: feasible.before},
        outage,
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
    outage: NetworkState,
) -> Chunk:
    """Chunk with the losses booked."""
    stop = first + outcome.size
    lost = losses_wh(flow.losses_kw, case.interval_minutes)
    prices = case.supply.utility_ueur_per_kwh[first:stop]
    window = with_losses(window, lost, prices, first, case.opening.own_wh.size)
    return Chunk(first, window, flow, verdicts, outcome, power_flows, before, outage)


def disturbed_interval(case: Case, switching: Switching, state: State, outage: NetworkState, t: int) -> Chunk:
    """Interval `t` with an outage, or a device that asks or leaves: part by part."""
    outage, left = retire(case, outage, t)
    case = standing_as(case, outage)
    done = run_event_interval(case, switching, state, outage, t)
    outage, answers = answer_requests(case, switching, done, t)
    outage, gone = let_go(case, outage, done, t)
    answers += gone
    settled = window_of_one(done.orders, Clearing(done.settlement.rows), done.settlement, done.before)
    by_formers = sum(part.losses_wh for part in done.parts)
    from_grid = np.maximum(losses_wh(done.flow.losses_kw, case.interval_minutes) - by_formers, 0)
    prices = case.supply.utility_ueur_per_kwh[t : t + 1]
    window = with_losses(conserved(settled, t), from_grid, prices, t, case.opening.own_wh.size)
    moved = [(case.fleet.devices[answer.device].house, answer.energy_wh) for answer in answers]
    window = window._replace(state=with_batteries(window.state, battery_ratings(case, outage), moved))
    return Chunk(
        t,
        window,
        done.flow,
        judge(done.flow, case.limits),
        np.array([done.outcome], np.int8),
        np.array([done.power_flows], np.int32),
        {} if done.unclean is None else {t: done.unclean},
        outage,
        done,
        (*left, *answers),
    )


def battery_ratings(case: Case, outage: NetworkState) -> Ratings:
    """Rating sheets of the batteries that are there."""
    return ratings_as(case.opening.ratings, case.scenario, case.fleet.devices, outage.standing)


def standing_as(case: Case, outage: NetworkState) -> Case:
    """The case with the devices that are admitted, and no others."""
    return replace(case, supply=case.fleet.supply(outage.standing))


def fewer_for_many(intervals: int, case: MarketCase) -> int:
    """Number of intervals whose houses are no more than those of `intervals` with few: memory does not grow."""
    return max(1, intervals * FEW_HOUSES // max(case.opening.own_wh.size, FEW_HOUSES))


def chunks(case: Case, state: State, first: int = 0, outage: NetworkState | None = None) -> Iterator[Chunk]:
    """Simulate from `state` before interval `first` to the end, a chunk at a time.

    The window grows fourfold while intervals are clean and is one interval when one is not: behind an unclean interval
    the next is likely to be unclean too. A length fixed in the scenario is kept. No window crosses an event.
    """
    fixed = case.scenario.engine.window
    length = fixed or FIRST_WINDOW
    longest = fewer_for_many(LONGEST_WINDOW, case)
    switching = Switching(case.feeder, case.engine, case.timeline.outages)
    outage = outage or case.opening_network
    case = standing_as(case, outage)
    t = first
    while t < case.n_intervals:
        stop = case.timeline.next_disturbed(t) if outage.calm else t
        if stop == t:
            chunk = disturbed_interval(case, switching, state, outage, t)
            yield chunk
            state, outage, t = chunk.window.state, chunk.outage, chunk.stop
            case = standing_as(case, outage)
            continue
        n = min(length, stop - t)
        # Of a single interval the full path asks the network just as well.
        hopeful = n > 1 or fixed is not None
        clean = clean_part(case, state, outage, t, n) if hopeful else None
        n_clean = 0
        if clean is not None:
            yield clean
            state, t = clean.window.state, clean.stop
            n_clean = clean.outcome.size
        if n_clean < n:
            chunk = repaired(case, state, outage, t)
            yield chunk
            state, t = chunk.window.state, chunk.stop
            n_clean += int(not hopeful and chunk.outcome[0] == Outcome.CLEAN)
        if fixed is None:
            length = min(4 * length, longest) if n_clean == n else 1
