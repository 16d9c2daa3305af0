"""Check what a user's own mechanism answers against the orders, before anything of it is settled."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.book import Clearing
from market.errors import MarketError
from market.exchanges import CONTRACT, EXCHANGE, GRID, NOBODY, Ints, Kind, Rows
from market.orders import Orders
from market.state import POOL_CONTRACT, State
from market.storage import drawn_wh

HOUSE = "a house"

PARTIES: dict[int, tuple[tuple[object, ...], tuple[object, ...]]] = {
    Kind.P2P: ((HOUSE,), (HOUSE,)),
    Kind.SHARE_USE: ((HOUSE,), (HOUSE,)),
    Kind.SHARE_STORE: ((HOUSE,), (HOUSE, CONTRACT)),
    Kind.LOT_SALE: ((HOUSE, CONTRACT), (HOUSE,)),
    Kind.GRID_IMPORT: ((GRID,), (HOUSE,)),
    Kind.GRID_EXPORT: ((HOUSE,), (GRID,)),
    Kind.SPILL: ((HOUSE,), (NOBODY,)),
}
"""Who may sell and who may buy, by kind of exchange."""

ANSWERS_OFFER = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.GRID_EXPORT, Kind.SPILL)
ANSWERS_NEED = (Kind.P2P, Kind.SHARE_USE, Kind.LOT_SALE, Kind.GRID_IMPORT)
SHARES = (Kind.SHARE_USE, Kind.SHARE_STORE)
PAID_FROM_WALLET = (Kind.P2P, Kind.LOT_SALE)


def check_clearing(name: str, clearing: Clearing, orders: Orders, state: State) -> Clearing:
    """Return `clearing` unchanged if it can be settled, or say what is wrong with it.

    Parameters
    ----------
    name
        Name of the mechanism, for the message.
    clearing
        What the mechanism answered.
    orders, state
        What it was given.

    Raises
    ------
    MarketError
        If a row names a party, lot or number that cannot be; if an order is not answered exactly once; if a battery,
        a wallet, a lot or the sharing contract would have to give more than it has.
    """
    where = f"mechanism '{name}', interval {orders.interval}"
    rows = getattr(clearing, "rows", None)
    if not isinstance(rows, np.ndarray) or rows.dtype != EXCHANGE:
        raise MarketError(f"{where}: expected a Clearing of EXCHANGE rows, got {type(clearing).__name__}")
    for k, row in enumerate(rows):
        _check_row(f"{where}, row {k}", k, row, orders)
    _check_lots(where, rows, orders, state)
    _check_totals(where, rows, orders, state)
    return clearing


def _expect(holds: bool | np.bool_, where: str, expected: object, got: object) -> None:
    if not holds:
        raise MarketError(f"{where}: expected {expected}, got {got}")


def _check_row(where: str, k: int, row: Any, orders: Orders) -> None:
    """Kind, parties, numbers and signs of row k."""
    n = orders.need_wh.size
    _expect(int(row["kind"]) in PARTIES, f"{where}, kind", f"one of {sorted(map(int, PARTIES))}", row["kind"])
    kind = Kind(row["kind"])
    parties = dict(zip(("seller", "buyer"), PARTIES[kind], strict=True))
    if kind in (*SHARES, Kind.LOT_SALE):
        parties["host"] = (HOUSE,)
    for end, allowed in parties.items():
        party = int(row[end])
        fits = party in allowed or (HOUSE in allowed and 0 <= party < n)
        named = " or ".join(f"a house 0 to {n - 1}" if who == HOUSE else str(who) for who in allowed)
        _expect(fits, f"{where}, {end} of {kind.name.lower()}", named, party)
    cleared, delivered, price = row["cleared_wh"], row["delivered_wh"], row["price_ueur_per_kwh"]
    _expect(row["interval"] == orders.interval, f"{where}, interval", orders.interval, row["interval"])
    _expect(row["seq"] == k, f"{where}, seq", k, row["seq"])
    _expect(cleared >= 0, f"{where}, cleared_wh", "at least 0 Wh", cleared)
    _expect(delivered == cleared, f"{where}, delivered_wh", "cleared_wh", delivered)
    _expect(price >= 0, f"{where}, price", "at least 0", price)
    _expect(kind != Kind.SPILL or price == 0, f"{where}, price of spill", 0, price)
    if kind in PAID_FROM_WALLET and (limit := orders.limit_ueur_per_kwh[row["buyer"]]) >= 0:
        _expect(price <= limit, f"{where}, price", f"at most the buyer's limit, {limit}", price)


def _check_lots(where: str, rows: Rows, orders: Orders, state: State) -> None:
    """New lots are numbered on; lots sold exist, have this owner and host, and hold what is sold."""
    new = rows["lot"][rows["kind"] == Kind.SHARE_STORE].tolist()
    following = list(range(int(state.tally[0]), int(state.tally[0]) + len(new)))
    _expect(new == following, f"{where}, numbers of new lots", following, new)
    position = {int(lot): k for k, lot in enumerate(state.lots.lot)}
    left = state.lots.stored_wh.copy()
    for row in rows[rows["kind"] == Kind.LOT_SALE]:
        at = f"{where}, row {row['seq']}, lot {row['lot']}"
        k = position.get(int(row["lot"]), -1)
        _expect(k >= 0, at, "a lot that is alive", "none of that number")
        _expect(row["seller"] == state.lots.owner[k], f"{at}, seller", state.lots.owner[k], row["seller"])
        _expect(row["host"] == state.lots.host[k], f"{at}, host", state.lots.host[k], row["host"])
        drawn = drawn_wh(int(row["cleared_wh"]), state.ratings.discharge_ppm[row["host"]])
        _expect(drawn <= left[k], at, f"at most {left[k]} Wh drawn", drawn)
        left[k] -= drawn


def _check_totals(where: str, rows: Rows, orders: Orders, state: State) -> None:
    """Orders are answered once; nobody gives more than it has."""

    def total(column: str, kinds: tuple[Kind, ...], values: Ints) -> Ints:
        chosen = np.isin(rows["kind"], kinds) & (rows[column] >= 0)
        sums = np.zeros(orders.need_wh.size, np.int64)
        np.add.at(sums, rows[column][chosen], values[chosen])
        return sums

    wh, neur = rows["cleared_wh"], rows["cleared_wh"] * rows["price_ueur_per_kwh"]
    for what, got, limit, exactly in (
        ("offer answered, Wh", total("seller", ANSWERS_OFFER, wh), orders.offer_wh, True),
        ("need answered, Wh", total("buyer", ANSWERS_NEED, wh), orders.need_wh, True),
        ("shares stored, Wh", total("host", (Kind.SHARE_STORE,), wh), orders.charge_left_wh, False),
        ("lots sold, Wh", total("host", (Kind.LOT_SALE,), wh), orders.discharge_left_wh, False),
        ("paid from the wallet, nEUR", total("buyer", PAID_FROM_WALLET, neur), state.wallet_neur, False),
    ):
        for i in np.flatnonzero((got > limit) | (exactly & (got < limit)))[:1]:
            expected = limit[i] if exactly else f"at most {limit[i]}"
            _expect(False, f"{where}, house {i}, {what}", expected, got[i])
    paid = int(neur[np.isin(rows["kind"], SHARES)].sum())
    balance = int(state.pools_neur[POOL_CONTRACT])
    _expect(paid <= balance, f"{where}, paid by the contract, nEUR", f"at most {balance}", paid)
