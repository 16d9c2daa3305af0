"""Make an interval's exchanges feasible: where their power flow breaks a limit, curtail and solve again.

Law: whatever is settled has a clean AC solution of its own. A curtailment rule that finds none is followed by steps
that cut more: no exchange at all, then shedding of load, then what houses do by themselves, then switching the feeder
off.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from itertools import chain
from typing import NamedTuple

from cosim.case.case import Case
from cosim.curtailment.decision_variables import DIMMING
from cosim.curtailment.least import least_curtailment
from cosim.curtailment.max_min import max_min
from cosim.curtailment.proportional import end_own_balance, lifo, pro_rata, reject, shed_load
from cosim.curtailment.scope import find_in_scopes, list_scopes, with_purchases
from cosim.curtailment.search import Found, Problem, Search, try_deliveries
from cosim.curtailment.waiting import section_14a, wait
from cosim.delivery.redispatch import deliver_nothing
from grid_models.powerflow.flow import Engine, Flow
from grid_models.powerflow.verdicts import Judgement, Verdict, Verdicts, check_limits, judge
from market.exchanges import NOBODY, Reason, Rows
from market.orders import Orders
from market.settlement import Settlement, deliver_all
from market.state import State
from market.storage import Wh


class Outcome(IntEnum):
    """How an interval became clean."""

    CLEAN = 0
    CURTAILED = 1
    SHED = 2
    DE_ENERGISED = 3
    ISLANDED = 4  # a part of the network at least was without the grid


class Feasible(NamedTuple):
    """What physics admitted of an interval.

    Attributes
    ----------
    settlement, flow, verdicts
        The settled interval, its AC solution and the verdict on that (K = 1).
    before
        Verdict on the exchanges as cleared, None where it was clean.
    outcome
        How the interval became clean.
    power_flows
        AC power flows solved for it.
    hunts
        Whether inverters or tap changers found no state to rest in with the exchanges as cleared.
    """

    settlement: Settlement
    flow: Flow
    verdicts: Verdicts
    before: Verdict | None
    outcome: Outcome
    power_flows: int
    hunts: bool = False


RULES: dict[str, Callable[[Search], Found | None]] = {
    "least_curtailment": least_curtailment,
    "pro_rata": pro_rata,
    "lifo": lifo,
    "max_min": max_min,
    "reject": reject,
    DIMMING: section_14a,
}
"""Curtailment rules by name: each finds a clean settlement or None."""

_REASONS = {
    ("bus", "min_vm_pu"): Reason.UNDERVOLTAGE,
    ("bus", "max_vm_pu"): Reason.OVERVOLTAGE,
    ("line", "loading_percent"): Reason.LINE_OVERLOAD,
    ("trafo", "loading_percent"): Reason.TRAFO_OVERLOAD,
    ("bus", "vuf_percent"): Reason.UNBALANCE,
    ("bus", "neutral_v"): Reason.NEUTRAL_VOLTAGE,
}


class BindingLimit(NamedTuple):
    """Reason for which exchanges are cut, the element, and its conductor in an unbalanced model (else empty)."""

    reason: Reason
    element: int
    phase: str = ""


def find_binding_limit(verdict: Verdict) -> BindingLimit:
    """The worst violation, relative to its limit."""
    if not verdict.violations:
        return BindingLimit(Reason.NOT_SOLVED, int(NOBODY))
    worst = max(verdict.violations, key=lambda v: abs(v.value - v.limit) / v.limit)
    quantity = worst.quantity
    if quantity == "vm_pu":
        quantity = "max_vm_pu" if worst.value > worst.limit else "min_vm_pu"
    return BindingLimit(_REASONS[worst.element_type, quantity], int(worst.element), worst.phase)


def make_feasible(
    case: Case,
    orders: Orders,
    state: State,
    rows: Rows,
    cleared: Found | None = None,
    lost_ueur_per_kwh: Wh | None = None,
) -> Feasible:
    """Deliver of the cleared rows what the network can carry.

    Parameters
    ----------
    case
        Network, limits and rules.
    orders, state
        Orders of the interval and the state they were made from.
    rows
        Cleared exchanges.
    cleared
        Their settlement, AC solution and verdict if all are delivered; computed here if left out.
    lost_ueur_per_kwh
        What the parties of each exchange lose where it is cut, (n,): least curtailment then loses the least money. If
        left out, or the same for all, the order of kinds decides.
    """
    if cleared is None:
        cleared = try_deliveries(case, orders, state, [deliver_all(rows, orders.need_wh.size)]).at(0)
    settlement, flow, verdicts, _ = cleared
    if verdicts.status[0] == Judgement.OK:
        return Feasible(settlement, flow, verdicts, None, Outcome.CLEAN, 1)
    before = check_limits(case.feeder, case.limits, flow)
    binding = find_binding_limit(before)
    hunts = bool(flow.engine[0] == Engine.CONTROL)
    if hunts:
        binding = binding._replace(reason=Reason.CONTROL)
    search = Search(Problem(case, orders, state, rows, settlement.meters, *binding, lost_ueur_per_kwh))
    for find in (wait, find_by_rule, find_by_shedding, end_own_balance):
        found = find(search)
        if found is not None:
            settlement, flow, verdicts, _ = found
            outcome = Outcome.SHED if settlement.meters["shed_wh"].any() else Outcome.CURTAILED
            return Feasible(settlement, flow, verdicts, before, outcome, 1 + search.power_flows, hunts)
    return de_energise(search, before)._replace(hunts=hunts)


def find_by_rule(search: Search) -> Found | None:
    """What the scenario's rule finds among the exchanges that help a broken limit; None if that is not enough.

    The programme of least curtailment sees the effects itself: what does not help costs and saves nothing.
    """
    rule = RULES[search.problem.case.scenario.curtailment.rule]
    if rule in (least_curtailment, section_14a):
        return rule(search)
    scopes = (scope for scope in list_scopes(search) if scope.exchanges.any())
    return find_in_scopes(search, rule, scopes)


def find_by_shedding(search: Search) -> Found | None:
    """No exchange and no more load than need be, of those that help a broken limit; in the end of all."""
    scopes = chain(with_purchases(search, list_scopes(search, shedding=True)), [search.everything])
    return find_in_scopes(search, shed_load, scopes)


def de_energise(search: Search, before: Verdict) -> Feasible:
    """Switch the feeder off: nothing of the interval is delivered or settled."""
    p = search.problem
    off = search.try_all([deliver_nothing(p.orders, p.rows, p.code, p.element)])
    flow = off.flow.with_feeder_off()
    verdicts = judge(flow, p.case.limits)
    return Feasible(off.settlements[0], flow, verdicts, before, Outcome.DE_ENERGISED, 1 + search.power_flows)
