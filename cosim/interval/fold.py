"""The fold over intervals: optimistic windows, the first unclean interval by the full path, then on behind it.

A window settles many intervals as cleared and solves their power flows in one batch. The leading clean ones are final.
The first unclean one goes on from the window's own clearing and power flow: neither is repeated.

Law: the length of a window never changes a byte of the result.
"""

from __future__ import annotations

from collections.abc import Iterator

from cosim.case.case import Case, MarketCase
from cosim.case.state import NetworkState
from cosim.curtailment.feasible import Outcome, make_feasible
from cosim.curtailment.search import Found
from cosim.delivery.window import make_orders_at
from cosim.interval.charging import with_charges
from cosim.interval.chunk import Chunk
from cosim.interval.event import run_event, with_admitted_devices
from cosim.interval.interval import close_one, run_interval
from cosim.interval.look_ahead import with_plan
from cosim.interval.optimistic import Optimistic, close_clean, try_window
from cosim.interval.taps import with_taps_of
from cosim.interval.within import run_within
from cosim.islands.switching import Switching
from market.settlement import deliver_all, settle
from market.state import State

FIRST_WINDOW, LONGEST_WINDOW = 64, 4096
FEW_HOUSES = 32
"""Up to so many houses a window may be as long as the longest; with more of them it is shorter by as much."""


def repair_interval(case: Case, state: State, tried: Optimistic, network: NetworkState) -> Chunk:
    """The first unclean interval of a window, from its clearing and its power flow on as in `run_interval`."""
    k, t = tried.n_clean, tried.first + tried.n_clean
    orders, before = make_orders_at(case.inputs, t, t, state, case.rules)
    rows = tried.window.rows[tried.window.offsets[k] : tried.window.offsets[k + 1]]
    if tried.disturbed[k] or case.taps is not None:
        return close_one(case, t, orders, before, rows, make_feasible(case, orders, before, rows), network)
    settlement = settle(deliver_all(rows, orders.need_wh.size), orders, before, case.rules)
    cleared = Found(
        settlement._replace(meters=tried.meters[k]), tried.flow.select_one(k), tried.verdicts.select(k, k + 1)
    )
    feasible = make_feasible(case, orders, before, rows, cleared)
    return close_one(case, t, orders, before, rows, feasible, network)


def is_calm(chunk: Chunk) -> bool:
    """Whether what follows a chunk is likely to be clean as cleared: its last interval was, and nothing acted in it."""
    free = chunk.bounds is None or not chunk.bounds.binds()[-1]
    return bool(
        chunk.outcome[-1] == Outcome.CLEAN and free and not chunk.acted and not chunk.network.tap_waited_s.any()
    )


def scale_by_houses(intervals: int, case: MarketCase) -> int:
    """Number of intervals whose houses are no more than those of `intervals` with few: memory does not grow."""
    return max(1, intervals * FEW_HOUSES // max(case.opening.own_wh.size, FEW_HOUSES))


def run_window(case: Case, state: State, network: NetworkState, first: int, n: int) -> list[Chunk]:
    """The clean intervals among the next `n`, and the first unclean one repaired."""
    tried = try_window(case.at(first, first + n), state, first, n)
    done = [close_clean(case, state, tried, network, tried.n_clean)] if tried.n_clean else []
    if tried.n_clean < n:
        network = done[-1].network if done else network
        state = done[-1].window.state if done else state
        unclean = first + tried.n_clean
        done.append(repair_interval(with_taps_of(case, network).at(unclean, unclean + 1), state, tried, network))
    return done


def run_intervals(
    case: Case, state: State, first: int = 0, network: NetworkState | None = None, stop: int | None = None
) -> Iterator[Chunk]:
    """Simulate from `state` before interval `first` to `stop`, or to the end, a chunk of final intervals at a time.

    The window grows fourfold while intervals are clean and is one interval when one is not, or inverters reduced their
    power or taps changed in it: the next is likely to be of that kind too. A length fixed in the scenario is kept. No
    window crosses an event.
    """
    fixed = case.scenario.engine.window
    length = fixed or FIRST_WINDOW
    longest = scale_by_houses(LONGEST_WINDOW, case)
    switching = Switching(case.feeder, case.engine, case.timeline.outages)
    network = network or case.opening_network
    case = with_admitted_devices(case, network)
    t, end = first, case.n_intervals if stop is None else stop
    while t < end:
        event = case.timeline.next_event(t) if network.is_normal else t
        n = min(length, event - t, end - t)
        if case.head is not None and n > 1:
            n = case.head.count_without_limit(t, n)
        case = with_taps_of(case, network)
        if n == 0:
            network = with_plan(case, switching, state, network, t)
            done = [run_event(case, switching, state, network, t)]
            network = done[-1].network
            case = with_admitted_devices(case, network)
        elif case.scenario.market.network == "envelope":
            done = run_within(case, state, network, t, n)
        elif n == 1:
            done = [run_interval(case, state, t, network)[1].final]
            network = done[-1].network
        else:
            done = run_window(case, state, network, t, n)
            network = done[-1].network
        if case.terms is not None:
            done = with_charges(case.terms, done, network.period, case.opening.wallet_neur)
            network = network._replace(period=done[-1].network.period)
        yield from done
        state, t = done[-1].window.state, done[-1].stop
        if fixed is None and n > 0:
            length = min(4 * length, longest) if is_calm(done[-1]) else 1
