"""Try deliveries of one interval by AC power flow: a batch of candidates, the largest clean factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.case.solve import solve_meters
from cosim.delivery.compensation import with_compensation
from cosim.delivery.redispatch import deliver, find_curtailable
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Judgement, Verdicts, judge
from market.exchanges import METER, Kind, Reason, Rows
from market.orders import Orders
from market.settlement import Delivery, Settlement, settle
from market.state import State
from market.storage import Wh

_STEPS = 16
"""Candidates solved in one batch while searching a factor."""
_ROUNDS = 3
"""Batches per search: a factor is found to 1/16³."""


class Problem(NamedTuple):
    """An interval whose exchanges the network cannot carry.

    Attributes
    ----------
    case
        Network, limits and rules.
    orders, state
        Orders of the interval and the state they were made from.
    rows, meters
        Cleared exchanges, (n,), and what the houses would meter if all were delivered, (N,).
    reason, element
        The limit that says no.
    """

    case: Case
    orders: Orders
    state: State
    rows: Rows
    meters: Rows
    reason: Reason
    element: int


class Found(NamedTuple):
    """A settlement, its AC solution and verdict (K = 1), and the factor that led to it where there was one."""

    settlement: Settlement
    flow: Flow
    verdicts: Verdicts
    factor: float = 1.0


class Attempt(NamedTuple):
    """Deliveries tried in one batch: what they settle to, and what the network says to each."""

    settlements: Sequence[Settlement]
    flow: Flow
    verdicts: Verdicts

    def clean(self) -> npt.NDArray[np.bool_]:
        """Which deliveries are within every limit."""
        return np.asarray(self.verdicts.status == Judgement.OK)

    def at(self, k: int, factor: float = 1.0) -> Found:
        """The k-th of them."""
        return Found(self.settlements[k], self.flow.select_one(k), self.verdicts.select(k, k + 1), factor)


def try_deliveries(case: Case, orders: Orders, state: State, deliveries: Sequence[Delivery]) -> Attempt:
    """Settle each delivery on a copy of the state, solve all power flows in one batch, and judge them."""
    settlements = [settle(delivery, orders, state, case.rules) for delivery in deliveries]
    meters = np.empty((len(settlements), orders.need_wh.size), METER)
    for k, settlement in enumerate(settlements):  # stacking compares the fields of all, which takes longer
        meters[k] = settlement.meters
    flow, metered = solve_meters(case, meters)
    if case.control is not None:
        settlements = [s._replace(meters=meters) for s, meters in zip(settlements, metered, strict=True)]
    return Attempt(settlements, flow, judge(flow, case.limits))


class Search:
    """Counts the power flows of one interval's repair and builds its deliveries."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.power_flows = 0
        self.curtailable = find_curtailable(problem.rows)

    def try_all(self, deliveries: Sequence[Delivery]) -> Attempt:
        """`try_deliveries` on this problem."""
        self.power_flows += len(deliveries)
        return try_deliveries(self.problem.case, self.problem.orders, self.problem.state, deliveries)

    def delivery(self, delivered_wh: Wh, shed_wh: Wh | None = None) -> Delivery:
        """Delivery of given energies of the cleared rows."""
        p = self.problem
        shed = np.zeros(p.orders.need_wh.size, np.int64) if shed_wh is None else shed_wh
        made = deliver(p.orders, p.state, p.rows, delivered_wh, shed, int(p.reason), p.element)
        return with_compensation(made, p.case.compensation_ueur_per_kwh)

    def imports_wh(self, delivered_wh: Wh) -> Wh:
        """What each house imports from the grid when this much of the cleared rows is delivered, (N,)."""
        rows = self.delivery(delivered_wh).rows
        imports, wh = (
            rows[rows["kind"] == Kind.GRID_IMPORT],
            np.zeros(self.problem.orders.need_wh.size, np.int64),
        )
        np.add.at(wh, imports["buyer"], imports["delivered_wh"])
        return wh

    def at_factor(self, alpha: float) -> Delivery:
        """Delivery of the same share `alpha` of every exchange."""
        cleared = self.problem.rows["cleared_wh"]
        return self.delivery(np.where(self.curtailable, np.floor(alpha * cleared), cleared).astype(np.int64))


def find_largest_clean(search: Search, at: Callable[[float], Delivery]) -> Found | None:
    """Settlement and flow at the largest factor in [0, 1) whose delivery is clean; None if 0 is not.

    Sixteen equally spaced factors are solved in one batch, then the gap above the largest clean one is divided
    again, three times in all. Factor 1 is known to be unclean.
    """
    low, width = 0.0, 1.0
    best: Found | None = None
    for round_number in range(_ROUNDS):
        width /= _STEPS
        first = 0 if round_number == 0 else 1
        tried = search.try_all([at(low + width * step) for step in range(first, _STEPS)])
        clean = np.flatnonzero(tried.clean())
        if clean.size:
            k = int(clean[-1])
            low += width * (k + first)
            best = tried.at(k, low)
        elif best is None:
            return None
    return best
