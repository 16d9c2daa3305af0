"""Make an interval's exchanges feasible: power flow, verdict, curtail, again; the only loop back from physics.

What leaves here settled has its own clean AC solution. The ladder when a rule finds none: F1 no exchange at all, F2
shed load, F3 de-energise the feeder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case import Case
from cosim.redispatch import deliver, deliver_nothing, is_curtailable
from cosim.setpoints import injection_kw
from grid_models.limits import Judgement, Verdict, Verdicts, check_limits, judge
from grid_models.powerflow import Flow
from market.exchanges import NOBODY, Kind, Reason, Rows
from market.orders import Orders
from market.settlement import Delivery, Settlement, as_cleared, settle
from market.state import State
from market.storage import Wh

_STEPS = 16
"""Candidates solved in one batch while searching a factor."""
_ROUNDS = 3
"""Batches per search: a factor is found to 1/16³."""


class Outcome(IntEnum):
    """How an interval became clean."""

    CLEAN = 0
    CURTAILED = 1
    SHED = 2
    DE_ENERGISED = 3


class Problem(NamedTuple):
    """An interval whose exchanges the network cannot carry, and the limit that says so."""

    case: Case
    orders: Orders
    state: State
    rows: Rows
    reason: Reason
    element: int


class Attempt(NamedTuple):
    """Deliveries tried in one batch, what they settle to, and what the network says to each."""

    deliveries: Sequence[Delivery]
    settlements: Sequence[Settlement]
    flow: Flow
    verdicts: Verdicts

    def clean(self) -> npt.NDArray[np.bool_]:
        """Which deliveries are within every limit."""
        return np.asarray(self.verdicts.status == Judgement.OK)


class Feasible(NamedTuple):
    """What physics admitted of an interval.

    Attributes
    ----------
    settlement, flow
        The settled interval and its AC solution (K = 1).
    before
        Verdict on the exchanges as cleared.
    outcome
        How the interval became clean.
    power_flows
        AC power flows solved for it.
    """

    settlement: Settlement
    flow: Flow
    before: Verdict
    outcome: Outcome
    power_flows: int


def attempt(case: Case, orders: Orders, state: State, deliveries: Sequence[Delivery]) -> Attempt:
    """Settle each delivery on a copy of the state, solve all power flows in one batch, and judge them."""
    settlements = [settle(delivery, orders, state, case.rules) for delivery in deliveries]
    meters = np.stack([settlement.meters for settlement in settlements])
    flow = case.engine.solve(injection_kw(meters, case.interval_minutes), None)
    return Attempt(deliveries, settlements, flow, judge(flow, case.limits))


class Search:
    """Counts the power flows of one interval's repair and builds its deliveries."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.power_flows = 0
        rows = problem.rows
        self.curtailable = np.array([is_curtailable(int(row["kind"])) for row in rows], dtype=bool)

    def try_all(self, deliveries: Sequence[Delivery]) -> Attempt:
        """`attempt` on this problem."""
        self.power_flows += len(deliveries)
        return attempt(self.problem.case, self.problem.orders, self.problem.state, deliveries)

    def delivery(self, delivered_wh: Wh, shed_wh: Wh | None = None) -> Delivery:
        """Delivery of given energies of the cleared rows."""
        p = self.problem
        shed = np.zeros(p.orders.need_wh.size, np.int64) if shed_wh is None else shed_wh
        return deliver(p.orders, p.state, p.rows, delivered_wh, shed, int(p.reason), p.element)

    def at_factor(self, alpha: float) -> Delivery:
        """Delivery of the same share `alpha` of every exchange."""
        cleared = self.problem.rows["cleared_wh"]
        return self.delivery(np.where(self.curtailable, np.floor(alpha * cleared), cleared).astype(np.int64))


def largest_clean(search: Search, at: Callable[[float], Delivery]) -> tuple[Settlement, Flow] | None:
    """Settlement and flow at the largest factor in [0, 1) whose delivery is clean; None if 0 is not.

    Sixteen equally spaced factors are solved in one batch, then the gap above the largest clean one is divided
    again, three times in all. Factor 1 is known to be unclean.
    """
    low, width = 0.0, 1.0
    best: tuple[Settlement, Flow] | None = None
    for round_number in range(_ROUNDS):
        width /= _STEPS
        first = 0 if round_number == 0 else 1
        tried = search.try_all([at(low + width * step) for step in range(first, _STEPS)])
        clean = np.flatnonzero(tried.clean())
        if clean.size:
            k = int(clean[-1])
            best = tried.settlements[k], tried.flow.at(k)
            low += width * (k + first)
        elif best is None:
            return None
    return best


def pro_rata(search: Search) -> tuple[Settlement, Flow] | None:
    """Deliver one and the same share of every exchange, as large as the network carries."""
    return largest_clean(search, search.at_factor)


def shed_load(search: Search) -> tuple[Settlement, Flow] | None:
    """F2: no exchange at all, and as little load shed, in equal shares, as makes the feeder clean."""
    orders, rows = search.problem.orders, search.problem.rows
    none = np.where(search.curtailable, 0, rows["cleared_wh"]).astype(np.int64)
    imported = search.delivery(none).rows
    need = np.zeros(orders.need_wh.size, np.int64)
    is_import = imported["kind"] == Kind.GRID_IMPORT
    np.add.at(need, imported["buyer"][is_import], imported["delivered_wh"][is_import])

    def served(share: float) -> Delivery:
        return search.delivery(none, np.ceil((1.0 - share) * need).astype(np.int64))

    return largest_clean(search, served)


RULES: dict[str, Callable[[Search], tuple[Settlement, Flow] | None]] = {"pro_rata": pro_rata}
"""Curtailment rules by name: each finds a clean settlement or None."""

_REASONS = {
    ("bus", "min_vm_pu"): Reason.UNDERVOLTAGE,
    ("bus", "max_vm_pu"): Reason.OVERVOLTAGE,
    ("line", "loading_percent"): Reason.LINE_OVERLOAD,
    ("trafo", "loading_percent"): Reason.TRAFO_OVERLOAD,
}


def binding(verdict: Verdict) -> tuple[Reason, int]:
    """Reason and element of the worst violation, relative to its limit."""
    if not verdict.violations:
        return Reason.NOT_SOLVED, int(NOBODY)
    worst = max(verdict.violations, key=lambda v: abs(v.value - v.limit) / v.limit)
    quantity = worst.quantity
    if worst.element_type == "bus":
        quantity = "max_vm_pu" if worst.value > worst.limit else "min_vm_pu"
    return _REASONS[worst.element_type, quantity], int(worst.element)


def make_feasible(case: Case, orders: Orders, state: State, rows: Rows) -> Feasible:
    """Deliver of the cleared rows what the network can carry.

    Parameters
    ----------
    case
        Network, limits and rules.
    orders, state
        Orders of the interval and the state they were made from.
    rows
        Cleared exchanges.
    """
    cleared = attempt(case, orders, state, [as_cleared(rows, orders.need_wh.size)])
    before = check_limits(case.feeder, case.limits, cleared.flow, 0)
    if cleared.clean()[0]:
        return Feasible(cleared.settlements[0], cleared.flow, before, Outcome.CLEAN, 1)
    search = Search(Problem(case, orders, state, rows, *binding(before)))
    for outcome, rule in (
        (Outcome.CURTAILED, RULES[case.scenario.curtailment.rule]),
        (Outcome.SHED, shed_load),
    ):
        found = rule(search)
        if found is not None:
            return Feasible(*found, before, outcome, 1 + search.power_flows)
    return de_energise(search, before)


def de_energise(search: Search, before: Verdict) -> Feasible:
    """F3: the feeder is switched off; nothing of the interval is delivered or settled."""
    p = search.problem
    off = search.try_all([deliver_nothing(p.orders, p.rows, int(p.reason), p.element)])
    flow = off.flow.switched_off()
    return Feasible(off.settlements[0], flow, before, Outcome.DE_ENERGISED, 1 + search.power_flows)
