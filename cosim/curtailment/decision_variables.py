"""What a linear programme of curtailment can change, and the delivery that its values mean.

Batteries absorb first, then uncommitted exports go, then sharing transfers, then trades, load last of all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.curtailment.priority import value_of_lost_load
from cosim.curtailment.search import Problem, Search
from cosim.delivery.redispatch import battery_room
from cosim.delivery.setpoints import mean_kw
from grid_models.arrays import Floats
from market.exchanges import Kind
from market.settlement import Delivery

ABSORB, EXPORT, SHARE, TRADE = 0.1, 1.0, 2.0, 3.0
"""Cost per kW; of shed load see `cosim.curtailment.priority`."""
EARLIER = 0.01
"""How much dearer the first trade of an interval is than the last, as a share."""


class DecisionVariables(NamedTuple):
    """What a programme can change; M cuttable exchanges, N houses, columns [cut | absorbed | shed], kW.

    Attributes
    ----------
    rows
        Positions of the M cuttable exchanges.
    effect
        (N, M + 2N): change of each house's injection per kW.
    weight, largest
        (M + 2N,) cost per kW and largest value.
    absorbs
        (N, M): which cuts of a house its battery may absorb at the lower cost.
    misses
        (N, M): which cuts leave a house without energy that it bought, so that it can be shed.
    imports
        (N,) what each house imports as cleared, and can be shed without any cut, kW.
    """

    rows: npt.NDArray[np.intp]
    effect: Floats
    weight: Floats
    largest: Floats
    absorbs: Floats
    misses: Floats
    imports: Floats

    @property
    def first_shed(self) -> int:
        """Place of the first column of shed load."""
        return self.weight.size - self.imports.size


def make_decision_variables(search: Search) -> DecisionVariables:
    """Levers of a problem: every cut acts at the bus where the energy enters the network.

    Cutting an exchange lowers the seller's injection, that of the battery's host for a lot; a share that is not stored
    raises the host's. What a buyer misses it takes from the grid at the same bus, which changes nothing there, unless
    it is shed: a house sheds of its load what it imports as cleared or is cut of what it bought. Exports cut for the
    own battery cost less than those spilled: the programme's column `absorbed` takes that difference off.
    """
    p = search.problem
    rows = np.flatnonzero(search.curtailable)
    exchanges, n, m = p.rows[rows], p.orders.need_wh.size, rows.size
    kind, minutes = exchanges["kind"], p.case.interval_minutes
    source = np.where(kind == Kind.LOT_SALE, exchanges["host"], exchanges["seller"])
    effect = np.zeros((n, m + 2 * n))
    effect[source, np.arange(m)] = -1.0
    stored = np.flatnonzero(kind == Kind.SHARE_STORE)
    effect[exchanges["host"][stored], stored] += 1.0
    effect[:, m + n :] = np.eye(n)
    room, _ = battery_room(p.orders, p.state, p.rows, p.rows["cleared_wh"].astype(np.int64))
    absorbs = np.zeros((n, m))
    absorbs[source, np.arange(m)] = kind == Kind.GRID_EXPORT
    bought = np.flatnonzero((kind == Kind.P2P) | (kind == Kind.SHARE_USE) | (kind == Kind.LOT_SALE))
    misses = np.zeros((n, m))
    misses[exchanges["buyer"][bought], bought] = 1.0
    weight = np.concatenate([_weights(kind), np.full(n, ABSORB - EXPORT), value_of_lost_load(p.case)])
    cleared, imports = mean_kw(exchanges["cleared_wh"], minutes), _imports(p)
    absorbed = np.minimum(mean_kw(room, minutes), absorbs @ cleared)
    largest = np.concatenate([cleared, absorbed, imports + misses @ cleared])
    return DecisionVariables(rows, effect, weight, largest, absorbs, misses, imports)


def _weights(kind: npt.NDArray[np.uint8]) -> Floats:
    weight = np.full(kind.size, TRADE)
    weight[(kind == Kind.SHARE_USE) | (kind == Kind.SHARE_STORE)] = SHARE
    weight[kind == Kind.GRID_EXPORT] = EXPORT
    later = np.arange(kind.size) / max(kind.size, 1)
    return np.asarray(weight * (1.0 + EARLIER * (1.0 - later)))


def _imports(p: Problem) -> Floats:
    """Grid import of each house as cleared, kW."""
    wh = np.zeros(p.orders.need_wh.size, np.int64)
    imports = p.rows[p.rows["kind"] == Kind.GRID_IMPORT]
    np.add.at(wh, imports["buyer"], imports["cleared_wh"])
    return mean_kw(wh, p.case.interval_minutes)


def make_delivery(search: Search, lever: DecisionVariables, x: Floats) -> Delivery:
    """Delivery of lever values: cut energies rounded up, shed energy rounded up, in Wh."""
    p = search.problem
    m = lever.rows.size
    hours_wh = 1000.0 * p.case.interval_minutes / 60.0
    delivered = p.rows["cleared_wh"].astype(np.int64).copy()
    cut = np.ceil(x[:m] * hours_wh - 1e-6).astype(np.int64)
    delivered[lever.rows] = np.clip(delivered[lever.rows] - cut, 0, delivered[lever.rows])
    shed = np.ceil(x[lever.first_shed :] * hours_wh - 1e-6).astype(np.int64)
    return search.delivery(delivered, np.minimum(shed, search.imports_wh(delivered)) if shed.any() else shed)
