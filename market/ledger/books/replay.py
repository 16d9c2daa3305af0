"""Replay accounts, batteries and lots from records alone, to check that what is recorded can have happened.

It does not share code with the market's settlement, so that it finds its errors; it knows nothing of orders or rules.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from market.compiled import compiled
from market.exchanges import CONTRACT, GRID, NOBODY, OPERATOR, Ints, Kind, Reason, Rows
from market.storage import PPM, Ratings, Wh, drawn_wh, stored_wh

_P2P, _USE, _STORE, _LOT_SALE = int(Kind.P2P), int(Kind.SHARE_USE), int(Kind.SHARE_STORE), int(Kind.LOT_SALE)
_IMPORT, _EXPORT, _SPILL = int(Kind.GRID_IMPORT), int(Kind.GRID_EXPORT), int(Kind.SPILL)
_SHED, _LOSS, _COMPENSATION = int(Kind.SHED), int(Kind.LOSS), int(Kind.COMPENSATION)
_BACKGROUND, _SHIFT = int(Kind.BACKGROUND), int(Kind.SHIFT)
_VOLT_WATT = int(Reason.VOLT_WATT)
_GRID, _CONTRACT, _OPERATOR, _NOBODY = int(GRID), int(CONTRACT), int(OPERATOR), int(NOBODY)


class Fault(IntEnum):
    """What a replay finds wrong."""

    NONE = 0
    PARTY = 1
    AMOUNT = 2
    LOT = 4
    WALLET = 5
    CONTRACT = 6
    METER = 7
    BALANCE = 8
    STORAGE = 9
    VERDICT = 10


_NONE, _PARTY, _AMOUNT, _LOT, _WALLET, _DEBT, _METER, _BALANCE, _STORAGE, _VERDICT = map(int, Fault)

FAULTS = {
    Fault.PARTY: "a party that cannot take part in such an exchange",
    Fault.AMOUNT: "an amount that is not delivered energy times price, or a fee beyond it",
    Fault.LOT: "a lot that does not exist, is not the seller's, is not there, or holds less than was sold",
    Fault.WALLET: "a wallet below zero",
    Fault.CONTRACT: "a sharing contract below zero",
    Fault.METER: "a meter that contradicts the exchanges",
    Fault.BALANCE: "a house whose energies do not balance",
    Fault.STORAGE: "a battery whose content does not follow from its flows",
    Fault.VERDICT: "losses, curtailed or shed energy that do not follow from the exchanges",
}

LARGEST_BALANCE = 2**61
"""No account may be further from zero; since amounts are at most 2^50, none can overflow before it is found."""


class Books(NamedTuple):
    """State of a replay after an interval.

    Attributes
    ----------
    wallet_neur, account_neur
        Wallet and utility account of each house, (N,).
    pools_neur
        Accounts of the utility, the sharing contract and the network operator, (3,).
    own_wh
        Stored energy that belongs to the house itself, (N,).
    lots
        A row for each lot: number, owner, host, stored energy, expiry; (n_lots, 5).
    next_lot
        Lowest number of the next lot, (1,).
    """

    wallet_neur: Ints
    account_neur: Ints
    pools_neur: Ints
    own_wh: Wh
    lots: Ints
    next_lot: Ints


@compiled
def add_to_account(houses: Ints, pools: Ints, party: int, change: int) -> bool:
    """Add nEUR to a house's account or a pool; False if the balance is then too large."""
    if party >= 0:
        houses[party] += change
        return bool(abs(houses[party]) < LARGEST_BALANCE)
    pools[-1 - party] += change
    return bool(abs(pools[-1 - party]) < LARGEST_BALANCE)


@compiled
def post_exchange(row: Any, books: Books) -> bool:
    """Pay one exchange; False if its amounts are wrong."""
    kind, amount, fee = row.kind, row.amount_neur, row.fee_neur
    if amount != row.delivered_wh * row.price_ueur_per_kwh or fee < 0 or fee > max(amount, 0):
        return False
    if fee > 0 and kind != _P2P:
        return False
    if kind in (_SPILL, _SHED, _BACKGROUND, _SHIFT):
        return bool(amount == 0)
    houses = books.wallet_neur if kind <= _LOT_SALE else books.account_neur
    payer = _CONTRACT if kind in (_USE, _STORE) else row.buyer
    paid = add_to_account(houses, books.pools_neur, payer, -amount)
    earned = add_to_account(houses, books.pools_neur, row.seller, amount - fee)
    return paid and earned and add_to_account(houses, books.pools_neur, _CONTRACT, fee)


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
    if kind in (_SHED, _SHIFT):
        return buyer >= 0
    if kind == _COMPENSATION:
        return seller >= 0 and buyer == _OPERATOR
    if kind == _BACKGROUND:  # to, from or within the operator's own elements, in the island that `host` holds
        given, taken = seller >= 0 and buyer == _OPERATOR, seller == _OPERATOR and buyer >= 0
        return host >= 0 and (given or taken or (seller == _OPERATOR and buyer == _OPERATOR))
    return kind == _LOSS and seller >= _GRID and buyer == _OPERATOR  # in an island a house sells the losses


@compiled
def find_lot(lots: Ints, lot: int) -> int:
    """Row of a lot, -1 if there is none."""
    for k in range(lots.shape[0]):
        if lots[k, 0] == lot:
            return k
    return -1


@compiled
def expire_lots(books: Books, interval: int, ratings: Ratings) -> Books:
    """Books at the begin of `interval`: expired lots belong to their hosts, and batteries have self-discharged."""
    own = books.own_wh.copy()
    alive = np.ones(books.lots.shape[0], np.bool_)
    for k in range(books.lots.shape[0]):
        if books.lots[k, 4] <= interval:
            own[books.lots[k, 2]] += books.lots[k, 3]
            alive[k] = False
    own -= own * ratings.self_discharge_ppm // PPM
    wallet, account, pools = books.wallet_neur.copy(), books.account_neur.copy(), books.pools_neur.copy()
    return Books(wallet, account, pools, own, books.lots[alive], books.next_lot.copy())


@compiled
def replay_interval(
    rows: Rows, meters: Rows, before: Books, interval: int, tau_intervals: int, ratings: Ratings
) -> tuple[int, int, Books]:
    """Replay one interval; returns (`Fault`, number of the exchange or house, books after it)."""
    books = expire_lots(before, interval, ratings)
    n = meters.size
    # For each house: bought, sold, imported, exported, spilled, shed, charged for lots, discharged from lots.
    flows = np.zeros((n, 8), np.int64)
    n_old = books.lots.shape[0]
    lots = np.empty((n_old + rows.size, 5), np.int64)
    lots[:n_old] = books.lots
    n_lots = n_old
    for k in range(rows.size):
        row = rows[k]
        kind, wh = row.kind, row.delivered_wh
        if not parties_fit(kind, row.seller, row.buyer, row.host, n):
            return _PARTY, k, books
        if not post_exchange(row, books):
            return _AMOUNT, k, books
        if kind in (_P2P, _USE):
            flows[row.seller, 1] += wh
            flows[row.buyer, 0] += wh
        elif kind == _STORE:
            flows[row.seller, 1] += wh
            flows[row.host, 0] += wh
            flows[row.host, 6] += wh
            if row.lot < books.next_lot[0]:
                return _LOT, k, books
            books.next_lot[0] = row.lot + 1
            lots[n_lots, 0], lots[n_lots, 1], lots[n_lots, 2] = row.lot, row.buyer, row.host
            lots[n_lots, 3] = stored_wh(wh, ratings.charge_ppm[row.host])
            lots[n_lots, 4] = interval + tau_intervals
            n_lots += 1
        elif kind == _LOT_SALE:
            at = find_lot(lots[:n_old], row.lot)
            if at < 0 or lots[at, 1] != row.seller or lots[at, 2] != row.host:
                return _LOT, k, books
            lots[at, 3] -= drawn_wh(wh, ratings.discharge_ppm[row.host])
            if lots[at, 3] < 0:
                return _LOT, k, books
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
        elif kind in (_LOSS, _BACKGROUND):
            if row.seller >= 0:
                flows[row.seller, 1] += wh
            if row.buyer >= 0:
                flows[row.buyer, 0] += wh
    lots = lots[:n_lots]
    left = lots[lots[:, 3] > 0]
    after = Books(books.wallet_neur, books.account_neur, books.pools_neur, books.own_wh, left, books.next_lot)
    if after.pools_neur[1] < 0:
        return _DEBT, 0, after
    fault, house = check_meters(meters, flows, after, ratings)
    return fault, house, after


@compiled
def post_exchanges(rows: Rows, books: Books) -> int:
    """Pay exchanges; -1 if all are right, else the number of the first that is not."""
    for k in range(rows.size):
        row = rows[k]
        if not parties_fit(row.kind, row.seller, row.buyer, row.host, books.wallet_neur.size):
            return k
        if not post_exchange(row, books):
            return k
    return -1


@compiled
def verdict_fits(rows: Rows, verdict: Any) -> bool:
    """Whether the sums in a verdict are those of the interval's exchanges; what P(V) took is not curtailed."""
    losses, curtailed, shed = 0, 0, 0
    for row in rows:
        if row.kind == _LOSS:
            losses += row.delivered_wh
        elif row.kind == _SHED:
            shed += row.delivered_wh
        elif (row.kind <= _LOT_SALE or row.kind == _EXPORT) and row.reason != _VOLT_WATT:
            curtailed += row.cleared_wh - row.delivered_wh
    return bool(verdict.losses_wh == losses and verdict.curtailed_wh == curtailed and verdict.shed_wh == shed)


@compiled
def replay_window(
    rows: Rows,
    offsets: Ints,
    meters: Rows,
    verdicts: Rows,
    before: Books,
    first: int,
    tau_intervals: int,
    ratings: Ratings,
) -> tuple[int, int, int, Ints, Books]:
    """Replay K intervals, up to the first that is wrong.

    Parameters
    ----------
    rows, offsets
        Exchanges of all intervals, and where each interval's begin, (K + 1,).
    meters, verdicts
        Meter readings (K, N) and verdicts (K,).
    before
        Books before the first.
    first
        Number of the first interval.
    tau_intervals, ratings
        Life of a lot in intervals, and the batteries.

    Returns
    -------
    tuple
        (index of the wrong interval or K, `Fault`, number of the exchange or house, accounts after each interval before
        it (K, 4N + 3), books after the last right interval).
    """
    n_intervals, n = meters.shape
    table = np.zeros((n_intervals, 4 * n + 3), np.int64)
    books = before
    for k in range(n_intervals):
        mine = rows[offsets[k] : offsets[k + 1]]
        fault, at, after = replay_interval(mine, meters[k], books, first + k, tau_intervals, ratings)
        if fault == _NONE and not verdict_fits(mine, verdicts[k]):
            fault, at = _VERDICT, 0
        if fault != _NONE:
            return k, fault, at, table, books
        books = after
        table[k] = flatten_books(books)
    return n_intervals, _NONE, 0, table, books


@compiled
def flatten_books(books: Books) -> Ints:
    """What a block's state root covers, (4N + 3,): wallets, accounts, pools (nEUR), own and hosted energy (Wh)."""
    n = books.own_wh.size
    row = np.zeros(4 * n + 3, np.int64)
    row[:n] = books.wallet_neur
    row[n : 2 * n] = books.account_neur
    row[2 * n : 2 * n + 3] = books.pools_neur
    row[2 * n + 3 : 3 * n + 3] = books.own_wh
    for k in range(books.lots.shape[0]):
        row[3 * n + 3 + books.lots[k, 2]] += books.lots[k, 3]
    return row


@compiled
def check_meters(meters: Rows, flows: Wh, books: Books, ratings: Ratings) -> tuple[int, int]:
    """Check every meter against the exchanges and the battery; brings `own_wh` of the books up to date."""
    hosted = np.zeros(meters.size, np.int64)
    for k in range(books.lots.shape[0]):
        hosted[books.lots[k, 2]] += books.lots[k, 3]
    for i in range(meters.size):
        m = meters[i]
        if m.house != i:
            return _METER, i
        if books.wallet_neur[i] < 0:
            return _WALLET, i
        given = (m.bought_wh, m.sold_wh, m.imported_wh, m.exported_wh, m.spilled_wh, m.shed_wh)
        for f in range(6):
            if given[f] != flows[i, f]:
                return _METER, i
        into = m.pv_wh + m.fuel_cell_wh + m.discharge_wh + m.bought_wh + m.imported_wh
        out = m.load_wh - m.shed_wh + m.charge_wh + m.sold_wh + m.exported_wh + m.spilled_wh
        if into != out:
            return _BALANCE, i
        charge, discharge = m.charge_wh - flows[i, 6], m.discharge_wh - flows[i, 7]
        if charge < 0 or discharge < 0:
            return _STORAGE, i
        books.own_wh[i] += stored_wh(charge, ratings.charge_ppm[i]) - drawn_wh(discharge, ratings.discharge_ppm[i])
        soc = books.own_wh[i] + hosted[i]
        if m.own_wh != books.own_wh[i] or m.hosted_wh != hosted[i] or books.own_wh[i] < 0:
            return _STORAGE, i
        if m.charge_wh > 0 and soc > ratings.soc_max_wh[i]:
            return _STORAGE, i
        if m.discharge_wh > 0 and soc < ratings.soc_min_wh[i]:
            return _STORAGE, i
        if m.charge_wh > ratings.max_charge_wh[i] or m.discharge_wh > ratings.max_discharge_wh[i]:
            return _STORAGE, i
    return _NONE, 0
