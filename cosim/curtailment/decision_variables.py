"""Decision variables of curtailment's linear programme, and the delivery that their values mean.

Costs set the order: devices that can wait do so first, then batteries absorb, then exports without a buyer are cut,
then sharing transfers, then trades; then devices miss what they cannot make up for, and load is shed last of all. Where
it is known what the parties of each exchange lose, and that differs, the least money is lost instead; the order of
kinds decides between exchanges that lose the same.
"""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_array

from cosim.curtailment.priority import value_of_lost_load
from cosim.curtailment.search import Problem, Search
from cosim.delivery.redispatch import find_battery_room
from cosim.delivery.setpoints import mean_kw
from grid_models.arrays import Floats, Places
from market.exchanges import Kind, Rows
from market.flexible import asked_by_cars_wh, dimmable_wh, postponed_wh, price_later
from market.settlement import Delivery
from market.storage import Wh

POSTPONE, ABSORB, EXPORT, SHARE, TRADE, FORGO = 0.05, 0.1, 1.0, 2.0, 3.0, 10.0
"""Cost per kW; that of shed load is in `cosim.curtailment.priority`."""
DEARER = 0.5
"""Additional cost of waiting for the dearest time over waiting for free energy, as a share."""
EARLIER = 0.01
"""Additional cost of the first trade of an interval over the last one, as a share."""
DIMMING = "section_14a"
"""Name of the rule that leaves every device 4.2 kW."""
TIE = 0.01
"""Weight of the order of kinds where money decides."""


class DecisionVariables(NamedTuple):
    """Variables of a programme: columns [cut | absorbed | shed] of M cuttable exchanges and N houses, kW.

    Where devices can wait, columns [postponed | forgone] of the N houses stand before those of shed load: what devices
    can take later without harm, and what they will miss. F is 2N then, else 0.

    Attributes
    ----------
    rows
        Positions of the M cuttable exchanges.
    effect
        (C, M + F + 2N), sparse, since a variable changes one or two injections: change of each injection per kW, one
        injection a house in the balanced model; complex, P + jQ, where loads draw reactive power, which is shed with
        them.
    cost, upper
        (M + F + 2N,) cost per kW and largest value.
    absorbs
        (N, M): which cuts of a house its battery may absorb at the lower cost.
    misses
        (N, M): which cuts leave a house without energy that it bought, so that it can be shed.
    imports
        (N,) imports of each house as cleared, which can be shed without any cut, kW.
    """

    rows: Places
    effect: csc_array
    cost: Floats
    upper: Floats
    absorbs: Floats
    misses: Floats
    imports: Floats

    @property
    def first_shed(self) -> int:
        """Position of the first column of shed load."""
        return self.cost.size - self.imports.size

    @property
    def first_waiting(self) -> int:
        """Position of the first column of devices that wait; that of shed load where there are none."""
        return self.rows.size + self.imports.size

    def unserved(self, x: Floats) -> Floats:
        """Load of each house that is not served by the values `x`, (N,) kW: what waits, and what is shed."""
        return np.asarray(x[self.first_waiting :].reshape(-1, self.imports.size).sum(axis=0))


def make_decision_variables(search: Search) -> DecisionVariables:
    """Decision variables of a problem: every cut acts at the bus where the energy enters the network.

    Cutting an exchange lowers the seller's injection; where stored energy is sold, that of the house whose battery
    holds it. Cutting a share that is stored also raises the injection of the house that would store it. A buyer takes
    the energy that it misses from the grid at the same bus, which changes nothing there, unless it is shed: a house can
    shed its imports as cleared and the purchases cut. Exports cut for the house's own battery cost less than those
    spilled: the column `absorbed` subtracts that difference.
    """
    p = search.problem
    rows = np.flatnonzero(search.curtailable)
    exchanges, n, m = p.rows[rows], p.orders.need_wh.size, rows.size
    kind, minutes = exchanges["kind"], p.case.interval_minutes
    source = np.where(kind == Kind.LOT_SALE, exchanges["host"], exchanges["seller"])
    effect = _make_effect(p, exchanges, source)
    room, _ = find_battery_room(p.orders, p.state, p.rows, p.rows["cleared_wh"].astype(np.int64))
    absorbs = np.zeros((n, m))
    absorbs[source, np.arange(m)] = kind == Kind.GRID_EXPORT
    bought = np.flatnonzero((kind == Kind.P2P) | (kind == Kind.SHARE_USE) | (kind == Kind.LOT_SALE))
    misses = np.zeros((n, m))
    misses[exchanges["buyer"][bought], bought] = 1.0
    lost = None if p.lost_ueur_per_kwh is None else p.lost_ueur_per_kwh[rows].astype(np.float64)
    of_cuts = _cost_of_cuts(kind, lost)
    waiting = list_waiting(p)
    cost_of_waiting = _cost_of_waiting(p) if waiting else np.zeros(0)
    absorbing = _cost_of_absorbing(of_cuts, lost, absorbs)
    cost = np.concatenate([of_cuts, absorbing, cost_of_waiting, value_of_lost_load(p.case)])
    cleared, imports = mean_kw(exchanges["cleared_wh"], minutes), _imports_kw(p)
    absorbed = np.minimum(mean_kw(room, minutes), absorbs @ cleared)
    unserved = imports + misses @ cleared
    waits = [np.minimum(mean_kw(wh, minutes), unserved) for wh in waiting]
    upper = np.concatenate([cleared, absorbed, *waits, unserved])
    return DecisionVariables(rows, _with_reactive(effect, p), cost, upper, absorbs, misses, imports)


def list_waiting(p: Problem) -> tuple[Wh, ...]:
    """Energies that devices of each house can take later, and that they would miss, (N,) Wh each; none without devices.

    Dimming leaves every device what § 14a EnWG says; nothing of that is taken to spare an exchange.
    """
    n = p.orders.need_wh.size
    if not p.orders.flexible_wh.any():
        return ()
    if p.case.scenario.curtailment.rule == DIMMING:
        return dimmable_wh(p.state.flexible, n), np.zeros(n, np.int64)
    later = postponed_wh(p.state.flexible, n)
    return later, p.orders.flexible_wh - later


def _make_effect(p: Problem, exchanges: Rows, source: Places) -> csc_array:
    """(C, M + F + 2N) change of each injection by each variable, kW per kW.

    A cut sale leaves what panels or fuel cell made; what is absorbed goes on being made, and charges the battery.
    """
    n, m = p.orders.need_wh.size, exchanges.size
    at_load, at_battery, at_source = find_columns(p)
    houses, cuts = np.arange(n), np.arange(m)
    n_waiting = 2 if p.orders.flexible_wh.any() else 0
    lot, stored = exchanges["kind"] == Kind.LOT_SALE, np.flatnonzero(exchanges["kind"] == Kind.SHARE_STORE)
    parts: list[tuple[Places, Places, float | Floats]] = [
        (np.where(lot, at_battery[source], at_source[source]), cuts, -1.0),
        (at_battery[exchanges["host"][stored]], stored, 1.0),
        (at_source, m + houses, 1.0),
        (at_battery, m + houses, -1.0),
        (at_load, m + (1 + n_waiting) * n + houses, 1.0),
    ]
    for k in range(n_waiting):
        parts += [(row, m + (1 + k) * n + houses, share) for row, share in find_waiting_shares(p, at_load)]
    row, column = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    change = np.concatenate([np.broadcast_to(part[2], part[0].shape) for part in parts])
    shape = p.case.feeder.injection_bus.size, m + (2 + n_waiting) * n
    return csc_array(coo_array((change, (row, column)), shape))


def find_waiting_shares(p: Problem, at_load: Places) -> list[tuple[Places, Floats]]:
    """Injections, (N,) each, and the parts that they have in what waits of each house: cars wait at wall boxes."""
    n, connections = p.orders.need_wh.size, p.case.feeder.connections
    if connections is None or connections.ev is None:
        return [(at_load, np.ones(n))]
    of_cars = asked_by_cars_wh(p.state.flexible, n) / np.maximum(p.orders.flexible_wh, 1)
    return [(connections.column("ev"), of_cars), (at_load, 1.0 - of_cars)]


def find_columns(p: Problem) -> tuple[Places, Places, Places]:
    """Injection of each house's load, battery, and of what it sells: panels, or a fuel cell where there are none."""
    connections = p.case.feeder.connections
    if connections is None:
        houses = np.arange(p.orders.need_wh.size)
        return houses, houses, houses
    of_cells = (p.orders.pv_wh == 0) & (p.orders.fuel_cell_wh > 0)
    at_source = np.where(of_cells, connections.column("fuel_cell"), connections.column("pv"))
    return connections.column("load"), connections.column("battery"), at_source


def _with_reactive(effect: csc_array, p: Problem) -> csc_array:
    """Change of each injection's P + jQ: load that waits or is shed takes its reactive power with it."""
    reactive, n = p.case.load_reactive, p.orders.need_wh.size
    if reactive is None:
        return effect
    first = effect.shape[1] - n * (3 if p.orders.flexible_wh.any() else 1)
    column = np.arange(first, effect.shape[1])
    repeats = column.size // n
    row, q = (np.tile(of_houses, repeats) for of_houses in (find_columns(p)[0], reactive.tan_phi(p.orders.interval)))
    return csc_array(effect + 1j * csc_array(coo_array((q, (row, column)), effect.shape)))


def _decides(lost: Floats | None) -> TypeGuard[Floats]:
    """Whether exchanges differ in what their parties lose."""
    return lost is not None and lost.size > 0 and bool(lost.max() > max(lost.min(), 0.0))


def _cost_of_cuts(kind: npt.NDArray[np.uint8], lost: Floats | None) -> Floats:
    """Cost per kW of each cut, (M,): by its kind, or where money decides its share of the largest loss."""
    by_kind = _cost_of_kinds(kind)
    return TRADE * np.maximum(lost, 0.0) / lost.max() + TIE * by_kind if _decides(lost) else by_kind


def _cost_of_absorbing(of_cuts: Floats, lost: Floats | None, absorbs: Floats) -> Floats:
    """Cost per kW of absorbing a cut export, (N,), negative: most of what the house's cheapest export costs."""
    if not _decides(lost):
        return np.full(absorbs.shape[0], ABSORB - EXPORT)
    cheapest = np.where(absorbs > 0.0, of_cuts, np.inf).min(axis=1)
    return (ABSORB - EXPORT) * np.where(np.isfinite(cheapest), cheapest, 0.0)


def _cost_of_waiting(p: Problem) -> Floats:
    """Cost per kW of what devices take later, more where later is dearer, and of what they miss, (2N,)."""
    n = p.orders.need_wh.size
    later = price_later(p.state.flexible, n) / max(int(price_later(p.state.flexible, n).max()), 1)
    return np.concatenate([POSTPONE * (1.0 + DEARER * later), np.full(n, FORGO)])


def _cost_of_kinds(kind: npt.NDArray[np.uint8]) -> Floats:
    cost = np.full(kind.size, TRADE)
    cost[(kind == Kind.SHARE_USE) | (kind == Kind.SHARE_STORE)] = SHARE
    cost[kind == Kind.GRID_EXPORT] = EXPORT
    later = np.arange(kind.size) / max(kind.size, 1)
    return np.asarray(cost * (1.0 + EARLIER * (1.0 - later)))


def _imports_kw(p: Problem) -> Floats:
    """Grid import of each house as cleared."""
    wh = np.zeros(p.orders.need_wh.size, np.int64)
    imports = p.rows[p.rows["kind"] == Kind.GRID_IMPORT]
    np.add.at(wh, imports["buyer"], imports["cleared_wh"])
    return mean_kw(wh, p.case.interval_minutes)


def apply_values(search: Search, variables: DecisionVariables, x: Floats) -> Delivery:
    """Delivery that the values `x` mean: cut and shed energies are rounded up to whole Wh."""
    p, rows = search.problem, variables.rows
    hours_wh = 1000.0 * p.case.interval_minutes / 60.0
    delivered = p.rows["cleared_wh"].astype(np.int64).copy()
    cut = np.ceil(x[: rows.size] * hours_wh - 1e-6).astype(np.int64)
    delivered[rows] = np.clip(delivered[rows] - cut, 0, delivered[rows])
    shed = np.ceil(variables.unserved(x) * hours_wh - 1e-6).astype(np.int64)
    if shed.any():
        shed = np.minimum(shed, search.imports_wh(delivered))
    return search.make_delivery(delivered, shed)
