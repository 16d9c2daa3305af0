"""Redispatch: what becomes of cleared energy that is not delivered, in whole Wh.

Curtailing a trade means that its seller injects less: calling the energy a grid export instead would change no current.
The seller's rest charges its own battery, else it is spilled. The buyer takes what it misses from its own battery, else
from the grid at the utility price.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market.compiled import compiled, fill, integer
from market.exchanges import EXCHANGE, GRID, NOBODY, Kind, Reason, Rows, Status
from market.orders import Orders
from market.settlement import Delivery
from market.state import State, hosted_wh
from market.storage import Wh, chargeable_wh, deliverable_wh, drawn_wh, stored_wh

_P2P, _USE, _STORE = integer(Kind.P2P), integer(Kind.SHARE_USE), integer(Kind.SHARE_STORE)
_LOT_SALE, _IMPORT, _EXPORT = integer(Kind.LOT_SALE), integer(Kind.GRID_IMPORT), integer(Kind.GRID_EXPORT)
_SPILL, _SHED, _SHIFT = integer(Kind.SPILL), integer(Kind.SHED), integer(Kind.SHIFT)
_GRID, _NOBODY = integer(GRID), integer(NOBODY)
_CURTAILED, _REJECTED, _MAKES_UP = (
    integer(Status.CURTAILED),
    integer(Status.REJECTED),
    integer(Reason.MAKES_UP),
)


@compiled
def is_curtailable(kind: int) -> bool:
    """Whether the network may cut an exchange of this kind: every exchange but imports, spill and shed."""
    return kind <= _LOT_SALE or kind == _EXPORT


@compiled
def find_curtailable(rows: Rows) -> npt.NDArray[np.bool_]:
    """Which exchanges the network may cut, (n,)."""
    may = np.empty(rows.size, np.bool_)
    for k in range(rows.size):
        may[k] = is_curtailable(rows[k].kind)
    return may


@compiled
def find_undelivered(rows: Rows, delivered_wh: Wh, n: int) -> tuple[Wh, Wh]:
    """Energy that sellers are left with and that buyers miss, (n,) each.

    A lot (stored energy of another house) that is not sold stays in its battery.
    """
    left, missing = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(rows.size):
        row = rows[k]
        wh = row.cleared_wh - delivered_wh[k]
        if row.kind in (_P2P, _USE, _STORE, _EXPORT):
            left[row.seller] += wh
        if row.kind in (_P2P, _USE, _LOT_SALE):
            missing[row.buyer] += wh
    return left, missing


@compiled
def find_battery_room(orders: Orders, state: State, rows: Rows, delivered_wh: Wh) -> tuple[Wh, Wh]:
    """Energy at the terminals each battery can still absorb and release besides what is delivered, (N,) Wh each."""
    ratings, n = state.ratings, orders.need_wh.size
    room = ratings.soc_max_wh - state.own_wh - hosted_wh(state.lots, n)
    power, release = ratings.max_charge_wh.copy(), orders.discharge_left_wh.copy()
    for k in range(rows.size):
        host = rows[k].host
        if rows[k].kind == _STORE:
            room[host] -= stored_wh(delivered_wh[k], ratings.charge_ppm[host])
            power[host] -= delivered_wh[k]
        elif rows[k].kind == _LOT_SALE:
            release[host] -= delivered_wh[k]
    absorb = np.zeros(n, np.int64)
    for i in range(n):
        drawn = drawn_wh(orders.discharge_wh[i], ratings.discharge_ppm[i])
        own = state.own_wh[i] - max(ratings.soc_min_wh[i], orders.reserve_wh[i]) - drawn
        release[i] = max(0, min(release[i], deliverable_wh(own, ratings.discharge_ppm[i])))
        if orders.charge_left_wh[i] > 0:
            # The sum is rounded once, so the room is that of own charge and absorption together.
            energy = chargeable_wh(room[i] + drawn, ratings.charge_ppm[i])
            absorb[i] = max(0, min(power[i], energy) - orders.charge_wh[i])
    return absorb, release


@compiled
def is_of(rows: Rows, k: int, kind: int, house: int) -> bool:
    """Whether row k is of a kind and of a house: of the seller for spill, of the buyer for imports and shed load."""
    row = rows[k]
    return bool(row.kind == kind and (row.seller if kind == _SPILL else row.buyer) == house)


@compiled
def append_made_up(rows: Rows, size: int, kind: int, house: int, wh: int, orders: Orders) -> int:
    """Append a row of `kind` that nobody cleared; returns the number of rows in use."""
    row = rows[size]
    row.kind = kind
    row.status = 0
    row.reason = _MAKES_UP
    row.interval = orders.interval
    row.seq = size
    row.seller = house if kind == _SPILL else (_GRID if kind == _IMPORT else _NOBODY)
    row.buyer = _NOBODY if kind == _SPILL else house
    row.host = _NOBODY
    row.element = _NOBODY
    row.lot = _NOBODY
    row.cleared_wh = 0
    row.delivered_wh = wh
    row.price_ueur_per_kwh = orders.utility_ueur_per_kwh if kind == _IMPORT else 0
    row.amount_neur = 0
    row.fee_neur = 0
    return size + 1


@compiled
def with_total(rows: Rows, size: int, kind: int, house: int, wh: int, orders: Orders) -> int:
    """Make `wh` the delivered total of the house's rows of `kind`, whatever their number.

    Imports of a deal with another feeder, whose row bears the number of the deal as its lot, are delivered first, the
    cheapest first and none beyond what was cleared. All the rest stands in one row, appended where there is none yet.

    Returns
    -------
    int
        Number of rows in use.
    """
    first = -1
    n_others = 0
    for k in range(size):
        if is_of(rows, k, kind, house):
            if first < 0 and rows[k].lot == _NOBODY:
                first = k
            else:
                rows[k].delivered_wh = -1  # still to be decided
                n_others += 1
    for _ in range(n_others):
        cheapest = -1
        for k in range(size):
            if is_of(rows, k, kind, house) and k != first and rows[k].delivered_wh < 0:
                dearer = cheapest >= 0 and rows[k].price_ueur_per_kwh >= rows[cheapest].price_ueur_per_kwh
                cheapest = cheapest if dearer else k
        rows[cheapest].delivered_wh = min(rows[cheapest].cleared_wh, wh)
        wh -= rows[cheapest].delivered_wh
    if first >= 0:
        rows[first].delivered_wh = wh
    elif wh > 0:
        size = append_made_up(rows, size, kind, house, wh, orders)
    return size


@compiled
def with_unserved(rows: Rows, size: int, house: int, wh: int, orders: Orders, reason: int, element: int) -> int:
    """Append what is not served of a house's load: first what its devices can take later, then load that is shed.

    Returns
    -------
    int
        Number of rows in use.
    """
    shifted = min(wh, orders.flexible_wh[house])
    if shifted > 0:
        size = append_made_up(rows, size, _SHIFT, house, shifted, orders)
        row = rows[size - 1]
        row.status, row.reason, row.element = _CURTAILED, reason, element
    return with_total(rows, size, _SHED, house, wh - shifted, orders)


@compiled
def mark_cut_imports(rows: Rows, reason: int, element: int) -> None:
    """Say of imports that are delivered in part why they are."""
    for k in range(rows.size):
        if rows[k].kind == _IMPORT and rows[k].delivered_wh < rows[k].cleared_wh:
            rows[k].status = _CURTAILED if rows[k].delivered_wh > 0 else _REJECTED
            rows[k].reason = reason
            rows[k].element = element


@compiled
def deliver(
    orders: Orders, state: State, rows: Rows, delivered_wh: Wh, shed_wh: Wh, reason: int, element: int
) -> Delivery:
    """Deliver `delivered_wh` of every cleared row; batteries, spill, grid imports and shedding balance the rest.

    Parameters
    ----------
    orders, state
        Orders of the interval and the state they were made from.
    rows
        Cleared exchanges, (n,).
    delivered_wh
        Wh delivered of each, (n,); of rows that cannot be curtailed their cleared energy.
    shed_wh
        Load that is not served, (N,), that of devices which can wait first; at most what the house then imports.
    reason, element
        Binding limit, written on every exchange that is cut.

    Returns
    -------
    Delivery
        Rows in the same order, then rows that make up for what was cut.
    """
    n = orders.need_wh.size
    left, missing = find_undelivered(rows, delivered_wh, n)
    absorb, release = find_battery_room(orders, state, rows, delivered_wh)
    kept = np.minimum(left, np.minimum(orders.discharge_wh, orders.offer_wh))  # what a battery was to sell it keeps
    left -= kept
    absorbed, taken = np.minimum(left, absorb), np.minimum(missing, release)
    out = np.empty(rows.size + 4 * n, EXCHANGE)
    fill(out[: rows.size], rows)
    imported, spilled = missing - taken, left - absorbed
    for k in range(rows.size):
        row = out[k]
        row.delivered_wh = delivered_wh[k]
        if delivered_wh[k] < row.cleared_wh and is_curtailable(row.kind):
            row.status = _CURTAILED if delivered_wh[k] > 0 else _REJECTED
            row.reason = reason
            row.element = element
        elif row.kind == _IMPORT:
            imported[row.buyer] += row.cleared_wh
        elif row.kind == _SPILL:
            spilled[row.seller] += row.cleared_wh
    size = rows.size
    for i in range(n):
        size = with_total(out, size, _IMPORT, i, imported[i] - shed_wh[i], orders)
        size = with_total(out, size, _SPILL, i, spilled[i], orders)
        size = with_unserved(out, size, i, shed_wh[i], orders, reason, element)
    mark_cut_imports(out[: rows.size], reason, element)
    return Delivery(out[:size].copy(), absorbed, taken - kept)


@compiled
def deliver_alone(
    orders: Orders, rows: Rows, own_share: float, served_share: float, reason: int, element: int
) -> Delivery:
    """No exchange, and only a share of what houses do to balance themselves; the grid serves the rest of the load.

    Where devices of a house are on different phases, what it does by itself loads the network too.

    Parameters
    ----------
    orders, rows
        Orders of the interval, and cleared exchanges.
    own_share
        Share, 0 to 1, of its own load that a house serves itself, and of its own charging; the rest of its generation
        is spilled.
    served_share
        Share, 0 to 1, of the rest of the load that the grid serves; what remains is shed.
    reason, element
        Binding limit, written on every exchange.
    """
    n = orders.need_wh.size
    out = np.empty(rows.size + 4 * n, EXCHANGE)
    fill(out[: rows.size], rows)
    for k in range(rows.size):
        row = out[k]
        row.delivered_wh = 0
        if is_curtailable(row.kind) and row.cleared_wh > 0:
            row.status = _REJECTED
            row.reason = reason
            row.element = element
    size = rows.size
    absorbed, released = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for i in range(n):
        generated = orders.pv_wh[i] + orders.fuel_cell_wh[i]
        own = int(own_share * (orders.load_wh[i] - orders.need_wh[i]))
        charge = int(own_share * orders.charge_wh[i])
        discharge = max(own + charge - generated, 0)
        absorbed[i], released[i] = charge - orders.charge_wh[i], discharge - orders.discharge_wh[i]
        imported = int(served_share * (orders.load_wh[i] - own))
        size = with_total(out, size, _IMPORT, i, imported, orders)
        size = with_total(out, size, _SPILL, i, generated + discharge - own - charge, orders)
        size = with_unserved(out, size, i, orders.load_wh[i] - own - imported, orders, reason, element)
    mark_cut_imports(out[: rows.size], reason, element)
    return Delivery(out[:size].copy(), absorbed, released)


@compiled
def deliver_nothing(orders: Orders, rows: Rows, reason: int, element: int) -> Delivery:
    """De-energised: no exchange, no own balance; generation is spilled and load is shed, all of it."""
    n = orders.need_wh.size
    out = np.empty(rows.size + 4 * n, EXCHANGE)
    fill(out[: rows.size], rows)
    for k in range(rows.size):
        row = out[k]
        row.delivered_wh = 0
        row.status = _REJECTED
        row.reason = reason
        row.element = element
    size = rows.size
    for i in range(n):
        size = with_total(out, size, _SPILL, i, orders.pv_wh[i] + orders.fuel_cell_wh[i], orders)
        size = with_unserved(out, size, i, orders.load_wh[i], orders, reason, element)
    return Delivery(out[:size].copy(), -orders.charge_wh, -orders.discharge_wh)
