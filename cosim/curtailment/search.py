"""Try deliveries of one interval by AC power flow: a batch of candidates, and the largest factor that is clean.

*Clean* means solved and within every limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from cosim.case.case import Case
from cosim.case.solve import Solved, solve_meters
from cosim.delivery.compensation import with_compensation
from cosim.delivery.redispatch import deliver, deliver_alone, find_curtailable
from cosim.delivery.volt_watt import with_reduction
from grid_models.arrays import Floats, Mask
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Judgement, Verdicts, judge
from market.exchanges import METER, Kind, Reason, Rows, with_conductor
from market.orders import Orders
from market.settlement import Delivery, Settlement, settle
from market.state import State
from market.storage import Wh

_PARTS = (16, 16, 16)
"""A factor is found to 1/16³ by three batches."""

T = TypeVar("T")


class Problem(NamedTuple):
    """An interval whose exchanges the network cannot carry.

    Attributes
    ----------
    case
        Network, limits and rules.
    orders, state
        Orders of the interval and the state they were made from.
    rows, meters
        Cleared exchanges, (n,), and the meters of the houses if all were delivered, (N,).
    reason, element, phase
        The binding limit: why, where, and at which conductor in an unbalanced model.
    lost_ueur_per_kwh
        What the parties of each exchange lose where it is cut, (n,) µEUR/kWh; None where the order of kinds decides.
    """

    case: Case
    orders: Orders
    state: State
    rows: Rows
    meters: Rows
    reason: Reason
    element: int
    phase: str = ""
    lost_ueur_per_kwh: Wh | None = None

    @property
    def code(self) -> int:
        """The number that rows have for the reason."""
        return with_conductor(self.reason, self.phase)


class Scope(NamedTuple):
    """What a rule may touch: exchanges that it may cut, (n,), and houses whose load it may shed, (N,)."""

    exchanges: Mask
    houses: Mask

    def equals(self, other: Scope) -> bool:
        """Whether both are the same exchanges and houses."""
        return np.array_equal(self.exchanges, other.exchanges) and np.array_equal(self.houses, other.houses)


class Found(NamedTuple):
    """A settlement, its AC solution and verdict (K = 1), and the factor that led to it where there was one."""

    settlement: Settlement
    flow: Flow
    verdicts: Verdicts
    factor: float = 1.0


class Attempt(NamedTuple):
    """Deliveries tried in one batch: their settlements, AC solutions and verdicts."""

    settlements: Sequence[Settlement]
    flow: Flow
    verdicts: Verdicts

    def clean(self) -> Mask:
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
    solved = solve_meters(case, meters)
    flow, metered = solved.flow, solved.meters
    if solved.reduced_wh is not None:
        settlements = settle_reduced(case, orders, state, deliveries, settlements, solved)
    elif metered is not meters:
        settlements = [s._replace(meters=meters) for s, meters in zip(settlements, metered, strict=True)]
    return Attempt(settlements, flow, judge(flow, case.limits))


def settle_reduced(
    case: Case,
    orders: Orders,
    state: State,
    deliveries: Sequence[Delivery],
    settlements: Sequence[Settlement],
    solved: Solved,
) -> list[Settlement]:
    """Settlements of deliveries with what inverters take of the generation at the voltages that were solved."""
    assert solved.reduced_wh is not None
    made = []
    for k, (delivery, settlement) in enumerate(zip(deliveries, settlements, strict=True)):
        if solved.reduced_wh[k].any():
            reduced = with_reduction(delivery, solved.reduced_wh[k], orders, case.feeder.bus)
            settlement = settle(reduced, orders, state, case.rules)
        meters = settlement.meters.copy()
        meters["q_var"] = solved.meters["q_var"][k]
        made.append(settlement._replace(meters=meters))
    return made


class Search:
    """The deliveries of one interval that a curtailment rule tries; counts their power flows.

    Attributes
    ----------
    everything
        All that the network may cut or shed.
    curtailable, may_shed
        Exchanges, (n,), and houses, (N,), of the present scope.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.power_flows = 0
        self.everything = Scope(find_curtailable(problem.rows), np.ones(problem.orders.need_wh.size, dtype=bool))
        self.narrow(self.everything)

    def narrow(self, scope: Scope) -> None:
        """Leave whole, from now on, what is not in the scope."""
        self.curtailable, self.may_shed = scope

    def try_all(self, deliveries: Sequence[Delivery]) -> Attempt:
        """`try_deliveries` on this problem."""
        self.power_flows += len(deliveries)
        return try_deliveries(self.problem.case, self.problem.orders, self.problem.state, deliveries)

    def make_delivery(self, delivered_wh: Wh, shed_wh: Wh | None = None) -> Delivery:
        """Delivery of given energies of the cleared rows, (n,), and of shed load, (N,)."""
        p = self.problem
        shed = np.zeros(p.orders.need_wh.size, np.int64) if shed_wh is None else shed_wh
        made = deliver(p.orders, p.state, p.rows, delivered_wh, shed, p.code, p.element)
        return with_compensation(made, p.case.compensation_ueur_per_kwh)

    def deliver_alone(self, own_share: float, served_share: float) -> Delivery:
        """`deliver_alone` of this problem."""
        p = self.problem
        made = deliver_alone(p.orders, p.rows, own_share, served_share, p.code, p.element)
        return with_compensation(made, p.case.compensation_ueur_per_kwh)

    def with_curtailable(self, delivered_wh: Wh | Floats | int) -> Wh:
        """Cleared energies, (n,), with those of the curtailable exchanges replaced."""
        return np.where(self.curtailable, delivered_wh, self.problem.rows["cleared_wh"]).astype(np.int64)

    def deliver_share(self, share: float | Floats) -> Delivery:
        """Delivery of a share of every curtailable exchange: one number for all, or (n,)."""
        return self.make_delivery(self.with_curtailable(np.floor(share * self.problem.rows["cleared_wh"])))

    def imports_wh(self, delivered_wh: Wh) -> Wh:
        """Grid import of each house when these energies of the cleared rows are delivered, (N,)."""
        rows, wh = self.make_delivery(delivered_wh).rows, np.zeros(self.problem.orders.need_wh.size, np.int64)
        imports = rows[rows["kind"] == Kind.GRID_IMPORT]
        np.add.at(wh, imports["buyer"], imports["delivered_wh"])
        return wh


def find_largest(try_factors: Callable[[Sequence[float]], Sequence[T | None]], parts: Sequence[int]) -> T | None:
    """Find the largest factor in [0, 1) that is clean, and return its result; None if no factor of the first batch is.

    The gap above the largest clean factor is divided into `parts[0]` equal parts, then `parts[1]`, and so on; the
    factors between them are tried as one batch. `(16, 16)` tries 0, 1/16 … 15/16 first; `(1, 2, 2)` tries 0 alone and
    then bisects. Factor 1 is known to be unclean.

    Parameters
    ----------
    try_factors
        Results at some factors, None where a factor is not clean.
    parts
        Number of parts in each round.

    Examples
    --------
    >>> find_largest(lambda factors: [factor if factor <= 0.7 else None for factor in factors], (1, 2, 2, 2))
    0.625
    """
    low, width = 0.0, 1.0
    best: T | None = None
    for number, n in enumerate(parts):
        width /= n
        factors = [low + width * step for step in range(0 if number == 0 else 1, n)]
        for factor, result in zip(factors, try_factors(factors), strict=True):
            if result is not None:
                low, best = factor, result
        if best is None:
            return None
    return best


def find_largest_clean(search: Search, deliver_at: Callable[[float], Delivery]) -> Found | None:
    """Largest factor in [0, 1) whose delivery is clean, with its settlement and AC solution; None if there is none."""

    def try_factors(factors: Sequence[float]) -> list[Found | None]:
        tried = search.try_all([deliver_at(factor) for factor in factors])
        clean = tried.clean().tolist()
        return [tried.at(k, factor) if clean[k] else None for k, factor in enumerate(factors)]

    return find_largest(try_factors, _PARTS)
