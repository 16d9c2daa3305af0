"""Replay accounts, lots and batteries from records alone, to see whether what was recorded can have happened.

Independent of the market's own settlement: it reads rows, and knows nothing of orders or rules.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from market.compiled import compiled
from market.exchanges import CONTRACT, GRID, NOBODY, OPERATOR, Kind, Rows
from market.storage import PPM, Ratings, Wh, drawn_wh, stored_wh

_P2P, _USE, _STORE, _LOT_SALE = int(Kind.P2P), int(Kind.SHARE_USE), int(Kind.SHARE_STORE), int(Kind.LOT_SALE)
_IMPORT, _EXPORT, _SPILL, _SHED = (
    int(Kind.GRID_IMPORT),
    int(Kind.GRID_EXPORT),
    int(Kind.SPILL),
    int(Kind.SHED),
)
_LOSS = int(Kind.LOSS)
_GRID, _CONTRACT, _OPERATOR, _NOBODY = int(GRID), int(CONTRACT), int(OPERATOR), int(NOBODY)


class Fault(IntEnum):
    """What a replay finds wrong."""

    NONE = 0
    PARTY = 1
    AMOUNT = 2
    ENERGY = 3
    LOT = 4
    WALLET = 5
    CONTRACT = 6
    METER = 7
    BALANCE = 8
    STORAGE = 9


FAULTS = {
    Fault.PARTY: "a party that cannot take part in such an exchange",
    Fault.AMOUNT: "an amount that is not delivered energy times price, or a fee beyond it",
    Fault.ENERGY: "energy below zero",
    Fault.LOT: "a lot that does not exist, is not the seller's, is not there, or holds less than was sold",
    Fault.WALLET: "a wallet below zero",
    Fault.CONTRACT: "a sharing contract below zero",
    Fault.METER: "a meter that contradicts the exchanges",
    Fault.BALANCE: "a house whose energies do not balance",
    Fault.STORAGE: "a battery whose content does not follow from its flows",
}


class Books(NamedTuple):
    """Everything a replay carries: accounts, batteries, lots (rows: id, owner, host, stored, expiry)."""

    wallet_neur: Wh
    account_neur: Wh
    pools_neur: Wh
    own_wh: Wh
    lots: Wh


@compiled
def move(houses: Wh, pools: Wh, party: int, change: int) -> None:
    """Add to a house's account or a pool."""
    if party >= 0:
        houses[party] += change
    else:
        pools[-1 - party] += change


@compiled
def parties_fit(kind: int, seller: int, buyer: int, host: int, n: int) -> bool:
    """Whether these parties can take part in an exchange of this kind."""
    if seller >= n or buyer >= n or host >= n or seller < _NOBODY or buyer < _NOBODY or host < _NOBODY:
        return False
    if kind in (_P2P, _USE):
        return seller >= 0 and buyer >= 0 and seller != buyer
    if kind == _STORE:
        return seller >= 0 and host >= 0 and (buyer == _CONTRACT or buyer == seller)  # noqa: SIM109 (mixed widths)
    if kind == _LOT_SALE:
        return (seller >= 0 or seller == _CONTRACT) and buyer >= 0 and host >= 0
    if kind == _IMPORT:
        return seller == _GRID and buyer >= 0
    if kind == _EXPORT:
        return seller >= 0 and buyer == _GRID
    if kind == _SPILL:
        return seller >= 0
    if kind == _SHED:
        return buyer >= 0
    return kind == _LOSS and seller == _GRID and buyer == _OPERATOR


@compiled
def lot_row(lots: Wh, lot: int) -> int:
    """Row of a lot, -1 if it is not alive."""
    for k in range(lots.shape[0]):
        if lots[k, 0] == lot:
            return k
    return -1


@compiled
def due(books: Books, interval: int, ratings: Ratings) -> Books:
    """Books once lots that fall due are their hosts' own, and batteries have self-discharged."""
    own = books.own_wh.copy()
    alive = np.ones(books.lots.shape[0], np.bool_)
    for k in range(books.lots.shape[0]):
        if books.lots[k, 4] <= interval:
            own[books.lots[k, 2]] += books.lots[k, 3]
            alive[k] = False
    own -= own * ratings.self_discharge_ppm // PPM
    return Books(
        books.wallet_neur.copy(), books.account_neur.copy(), books.pools_neur.copy(), own, books.lots[alive]
    )


@compiled
def replay(
    rows: Rows, meters: Rows, before: Books, interval: int, tau_intervals: int, ratings: Ratings
) -> tuple[int, int, Books]:
    """Replay one interval; returns (`Fault`, number of the row or house, books after it)."""
    books = due(before, interval, ratings)
    n = meters.size
    # Per house: bought, sold, imported, exported, spilled, shed, lots in, lots out (energy), lots in, out (stored).
    flows = np.zeros((n, 8), np.int64)
    lots = np.empty((books.lots.shape[0] + rows.size, 5), np.int64)
    lots[: books.lots.shape[0]] = books.lots
    n_lots = books.lots.shape[0]
    for k in range(rows.size):
        row = rows[k]
        kind, wh, amount = row.kind, row.delivered_wh, row.amount_neur
        if not parties_fit(kind, row.seller, row.buyer, row.host, n):
            return 1, k, books
        if wh < 0 or row.cleared_wh < 0:
            return 3, k, books
        if amount != wh * row.price_ueur_per_kwh or row.fee_neur < 0 or row.fee_neur > amount:
            return 2, k, books
        if row.fee_neur > 0 and kind != _P2P:
            return 2, k, books
        houses = books.wallet_neur if kind <= _LOT_SALE else books.account_neur
        move(houses, books.pools_neur, _CONTRACT if kind in (_USE, _STORE) else row.buyer, -amount)
        move(houses, books.pools_neur, row.seller, amount - row.fee_neur)
        move(houses, books.pools_neur, _CONTRACT, row.fee_neur)
        if kind in (_P2P, _USE):
            flows[row.seller, 1] += wh
            flows[row.buyer, 0] += wh
        elif kind == _STORE:
            flows[row.seller, 1] += wh
            flows[row.host, 0] += wh
            flows[row.host, 6] += wh
            if lot_row(lots[:n_lots], row.lot) >= 0:
                return 4, k, books
            lots[n_lots, 0], lots[n_lots, 1], lots[n_lots, 2] = row.lot, row.buyer, row.host
            lots[n_lots, 3] = stored_wh(wh, ratings.charge_ppm[row.host])
            lots[n_lots, 4] = interval + tau_intervals
            n_lots += 1
        elif kind == _LOT_SALE:
            at = lot_row(lots[: books.lots.shape[0]], row.lot)
            if at < 0 or lots[at, 1] != row.seller or lots[at, 2] != row.host:
                return 4, k, books
            lots[at, 3] -= drawn_wh(wh, ratings.discharge_ppm[row.host])
            if lots[at, 3] < 0:
                return 4, k, books
            flows[row.host, 1] += wh
            flows[row.host, 7] += wh
            flows[row.buyer, 0] += wh
        elif kind == _IMPORT:
            flows[row.buyer, 2] += wh
        elif kind == _EXPORT:
            flows[row.seller, 3] += wh
        elif kind == _SPILL:
            flows[row.seller, 4] += wh
        elif kind == _SHED:
            flows[row.buyer, 5] += wh
    lots = lots[:n_lots]
    after = Books(books.wallet_neur, books.account_neur, books.pools_neur, books.own_wh, lots[lots[:, 3] > 0])
    if after.pools_neur[1] < 0:
        return 6, 0, after
    fault, house = check_meters(meters, flows, after, ratings)
    return fault, house, after


@compiled
def check_meters(meters: Rows, flows: Wh, books: Books, ratings: Ratings) -> tuple[int, int]:
    """Hold every meter against the exchanges and the battery; moves the own energy in `books` on."""
    hosted = np.zeros(meters.size, np.int64)
    for k in range(books.lots.shape[0]):
        hosted[books.lots[k, 2]] += books.lots[k, 3]
    for i in range(meters.size):
        m = meters[i]
        if m.house != i:
            return 7, i
        if books.wallet_neur[i] < 0:
            return 5, i
        if m.load_wh < 0 or m.pv_wh < 0 or m.fuel_cell_wh < 0:
            return 3, i
        given = (m.bought_wh, m.sold_wh, m.imported_wh, m.exported_wh, m.spilled_wh, m.shed_wh)
        for f in range(6):
            if given[f] != flows[i, f]:
                return 7, i
        into = m.pv_wh + m.fuel_cell_wh + m.discharge_wh + m.bought_wh + m.imported_wh
        out = m.load_wh - m.shed_wh + m.charge_wh + m.sold_wh + m.exported_wh + m.spilled_wh
        if into != out:
            return 8, i
        charge, discharge = m.charge_wh - flows[i, 6], m.discharge_wh - flows[i, 7]
        if charge < 0 or discharge < 0:
            return 9, i
        books.own_wh[i] += stored_wh(charge, ratings.charge_ppm[i]) - drawn_wh(
            discharge, ratings.discharge_ppm[i]
        )
        soc = books.own_wh[i] + hosted[i]
        if m.own_wh != books.own_wh[i] or m.hosted_wh != hosted[i] or books.own_wh[i] < 0:
            return 9, i
        if m.charge_wh > 0 and soc > ratings.soc_max_wh[i]:
            return 9, i
        if m.charge_wh > ratings.max_charge_wh[i] or m.discharge_wh > ratings.max_discharge_wh[i]:
            return 9, i
    return 0, 0
