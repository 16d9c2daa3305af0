"""A market between microgrids: each feeder clears its own market first, then feeders trade what is left over.

Energy traded between feeders leaves one transformer and enters another, and the utility passes the money on. A capacity
bounds the exchange of each feeder, and both networks judge their part: a deal is what the seller's network lets out and
the buyer's network lets in, to the Wh. Every interval of every feeder is closed as that of a run is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.charges import check_no_charges
from cosim.case.checks import check_no_envelopes
from cosim.case.event_checks import check_only_loads
from cosim.case.head import check_no_head
from cosim.case.voltage_control import check_without_voltage_control
from cosim.curtailment.feasible import Feasible, make_feasible
from cosim.delivery.window import make_orders_at
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.interval.interval import close_one
from cosim.studies.deals import Deal, check_deals, lost_ueur_per_kwh, match_deals, sum_deals, sum_left_over, with_deals
from cosim.studies.microgrid_tables import MicrogridResult, MicrogridTables
from market.exchanges import Ints, Rows
from market.orders import Orders
from market.state import State

MAX_ROUNDS = 8
"""Rounds in which both sides of the deals are judged. What they have not agreed on by then is called off."""


class Cleared(NamedTuple):
    """A feeder's own market in one interval: orders, the state they were made from, and the exchanges cleared."""

    case: Case
    orders: Orders
    before: State
    rows: Rows


class MicrogridInterval(NamedTuple):
    """One interval of all feeders.

    Attributes
    ----------
    feasible, final
        What each network admitted; the same with losses booked and conservation checked.
    matched, deals
        Deals as agreed, and the same deals as delivered: some of them may be of 0 Wh.
    """

    feasible: list[Feasible]
    final: list[Chunk]
    matched: list[Deal]
    deals: list[Deal]


def run_step(cases: Sequence[Case], states: Sequence[State], t: int, capacity_kw: float) -> MicrogridInterval:
    """Clear interval `t` in each feeder, match what is left over, and let each network judge its part.

    Raises
    ------
    ConservationError
        If a house, the accounts or a deal does not balance.
    """
    feeders = [_clear(case, state, t) for case, state in zip(cases, states, strict=True)]
    matched = _match(feeders, capacity_kw)
    deals, feasible = deliver_deals(feeders, matched)
    check_deals(deals, [found.settlement.rows for found in feasible], t)
    final = [
        close_one(f.case, t, f.orders, f.before, f.rows, found, f.case.opening_network)
        for f, found in zip(feeders, feasible, strict=True)
    ]
    return MicrogridInterval(feasible, final, matched, deals)


def _clear(case: Case, state: State, t: int) -> Cleared:
    orders, before = make_orders_at(case.inputs, t, t, state, case.rules)
    return Cleared(case, orders, before, case.mechanism.clear(orders, before, case.rules).rows)


def _match(feeders: Sequence[Cleared], capacity_kw: float) -> list[Deal]:
    surplus_wh, need_wh = zip(*(sum_left_over(f.rows) for f in feeders), strict=True)
    return match_deals(
        surplus_wh,
        need_wh,
        [f.orders.feed_in_ueur_per_kwh for f in feeders],
        [f.orders.utility_ueur_per_kwh for f in feeders],
        int(capacity_kw * 1000.0 * feeders[0].case.interval_minutes / 60.0),
    )


def deliver_deals(feeders: Sequence[Cleared], matched: Sequence[Deal]) -> tuple[list[Deal], list[Feasible]]:
    """Let the networks judge the deals until what sellers give is what buyers get; deals only ever become smaller.

    Sellers are judged first, then buyers with what is let out. Where a buyer's network lets in less, because it sheds
    load, the sellers are judged again with that: what they cannot sell they spill, or export at the feed-in tariff.
    """
    deals = list(matched)
    selling = sorted({deal.seller for deal in matched})
    buying = [f for f in range(len(feeders)) if f not in selling]
    for _ in range(MAX_ROUNDS):
        judged = {f: _judge(feeders, deals, f) for f in selling}
        given = _limit(deals, _sum_over(judged, len(deals)))
        judged |= {f: _judge(feeders, given, f) for f in buying}
        got = _limit(given, _sum_over({f: judged[f] for f in buying}, len(deals)))
        if got == given:
            return given, [judged[f] for f in range(len(feeders))]
        deals = got
    nothing = [deal._replace(wh=0) for deal in deals]
    return nothing, [_judge(feeders, nothing, f) for f in range(len(feeders))]


def _judge(feeders: Sequence[Cleared], deals: Sequence[Deal], f: int) -> Feasible:
    """What feeder `f` admits of its exchanges and deals. With deals, what is worth least to the parties goes first."""
    case, orders, before, cleared = feeders[f]
    rows, lost = with_deals(cleared, deals, f), None
    if any(deal.wh > 0 and f in (deal.seller, deal.buyer) for deal in deals):
        lost = lost_ueur_per_kwh(rows, deals, [each.orders.utility_ueur_per_kwh for each in feeders], f)
    return make_feasible(case, orders, before, rows, lost_ueur_per_kwh=lost)


def _sum_over(judged: dict[int, Feasible], n_deals: int) -> Ints:
    """Energy of each deal that some feeders' networks admitted, (n_deals,) Wh: each deal is in one of them."""
    none = np.zeros(n_deals, np.int64)
    return sum((sum_deals(found.settlement.rows, "delivered_wh", n_deals) for found in judged.values()), none)


def _limit(deals: Sequence[Deal], admitted_wh: Ints) -> list[Deal]:
    return [deal._replace(wh=min(deal.wh, int(wh))) for deal, wh in zip(deals, admitted_wh, strict=True)]


def check_alike(cases: Sequence[Case]) -> None:
    """Raise `ScenarioError` unless the feeders have different names, the same intervals and no events but of loads."""
    for case in cases:
        who = f"study microgrids, in scenario '{case.scenario.name}'"
        check_only_loads(case.scenario, who)
        check_without_voltage_control(case.scenario, who)
        check_no_envelopes(case.scenario, "study microgrids")
        check_no_head(case.scenario, "study microgrids")
        check_no_charges(case.scenario, "study microgrids")
    names = [case.scenario.name for case in cases]
    if len(set(names)) < len(names):
        raise ScenarioError(f"microgrids: expected a name of its own for every scenario, got {', '.join(names)}")
    clocks = {(str(case.profiles.start), case.interval_minutes) for case in cases}
    if len(clocks) > 1:
        raise ScenarioError(
            f"microgrids: expected the same horizon.start and horizon.interval_minutes in all scenarios, got {clocks}"
        )


def run_microgrids(cases: Sequence[Case], capacity_kw: float, n_intervals: int | None = None) -> MicrogridResult:
    """Run several feeders side by side with a market between them.

    Parameters
    ----------
    cases
        One case a feeder, all with intervals of the same begin and length.
    capacity_kw
        Largest exchange of a feeder with the others; 0 leaves each by itself.
    n_intervals
        Intervals to simulate; all that every feeder has if left out.

    Raises
    ------
    ScenarioError
        If the feeders have the same names or different intervals, or events of other kinds than `load`.
    ConservationError
        If a house, the accounts or a deal does not balance in an interval.
    """
    check_alike(cases)
    n = min(case.n_intervals for case in cases) if n_intervals is None else n_intervals
    states = [case.opening for case in cases]
    tables = MicrogridTables(cases)
    for t in range(n):
        step = run_step(cases, states, t, capacity_kw)
        tables.add(t, step.matched, step.deals, step.final)
        states = [chunk.window.state for chunk in step.final]
    return tables.finish()
