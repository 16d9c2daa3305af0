"""Which of several broken limits a trade is cut for, where phases differ: one that it has a part in.

On a street of one-phase houses several limits are broken at a time, of other phases and of unbalance, and the worst of
them need not be one that a trade has anything to do with. So each cut trade is taken out of the AC power flow by
itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosim.case.case import Case
from cosim.case.solve import solve_meters
from cosim.curtailment.scope import HELPS
from cosim.delivery.setpoints import mean_kw, metered_injections
from cosim.validation.trades import JudgedInterval
from grid_models.arrays import Floats, Ints
from grid_models.feeder.connection import Connections
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import JUDGED, Violation
from market.exchanges import GRID
from market.settlement import deliver_all, settle


def find_binding(case: Case, answer: JudgedInterval, cut: Ints, broken: Sequence[Violation]) -> list[Violation]:
    """The limit for which each cut trade of an interval is cut, of those that the trades as given break.

    A trade has a part in a limit if taking it out helps that at least half as much per kW as the trade that helps it
    most. Of the limits that it has a part in, it is cut for the one of whose excess it takes the least away.

    Parameters
    ----------
    case
        An unbalanced network.
    answer
        The interval.
    cut
        (M,) numbers of trades in the interval.
    broken
        Limits that are broken, one at least.
    """
    relief = _find_relief(case, answer, cut, broken)
    strongest = relief.max(axis=1, initial=0.0, keepdims=True)
    share = np.divide(relief, strongest, out=np.zeros_like(relief), where=strongest > 0.0)
    worst = int(np.argmax([violation.excess for violation in broken]))

    def choose(k: int) -> Violation:
        has_part = np.flatnonzero(share[:, k] >= HELPS[0])
        if has_part.size:
            return broken[int(has_part[relief[has_part, k].argmin()])]
        return broken[int(share[:, k].argmax()) if share[:, k].max() > 0.0 else worst]

    return [choose(k) for k in range(cut.size)]


def _find_relief(case: Case, answer: JudgedInterval, cut: Ints, broken: Sequence[Violation]) -> Floats:
    """Share of each limit's excess that each trade's absence takes away, per kW, (limits, M); 0 where there is none."""
    given = settle(
        deliver_all(answer.traded.rows, case.profiles.n_participants), answer.traded.orders, case.opening, case.rules
    )
    meters = solve_meters(case, given.meters[None]).meters
    load_var = None if case.load_reactive is None else case.load_reactive.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, case.interval_minutes, case.feeder.connections, load_var)
    kw = np.maximum(mean_kw(answer.traded.trades.energy_wh[cut], case.interval_minutes), 1e-3)
    without = np.repeat(p_kw, cut.size, axis=0)
    assert case.feeder.connections is not None  # the caller says so
    without[np.arange(cut.size), _find_columns(case.feeder.connections, answer, cut)] -= kw * _signs(answer, cut)
    flow = case.engine.solve(without, np.repeat(q_kvar, cut.size, axis=0))
    value = np.array([v.value for v in broken])[:, None]
    excess = value - np.array([v.limit for v in broken])[:, None]
    found = np.stack([_read_values(case.feeder, flow, v) for v in broken])
    return np.asarray(np.nan_to_num(np.maximum((value - found) / excess, 0.0) / kw))


def _signs(answer: JudgedInterval, cut: Ints) -> Floats:
    """1 of trades whose seller injects, -1 of those whose buyer draws from the grid."""
    return np.where(answer.traded.trades.seller[cut] == GRID, -1.0, 1.0)


def _find_columns(connections: Connections, answer: JudgedInterval, cut: Ints) -> Ints:
    """Injection that is less without each trade: the seller's panels, or the load of a buyer from the grid."""
    seller, buyer = answer.traded.trades.seller[cut], answer.traded.trades.buyer[cut]
    from_grid = seller == GRID
    panels = connections.column("pv")[np.where(from_grid, 0, seller)]
    return np.where(from_grid, connections.column("load")[np.where(from_grid, buyer, 0)], panels)


def _read_values(feeder: Feeder, flow: Flow, violation: Violation) -> Floats:
    """Values of a violation's quantity in all intervals of a flow, (K,)."""
    table, quantity = violation.element_type, violation.quantity
    of_buses = (flow.vuf_percent, flow.neutral_v)
    columns = (flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent, *of_buses)
    values = columns[JUDGED.index((table, quantity))]
    conductors = ("",) if violation.phase == "" else feeder.conductors(table)
    element = feeder.labels[table].element.index(violation.element)
    return np.asarray(values[:, element * len(conductors) + conductors.index(violation.phase)])
