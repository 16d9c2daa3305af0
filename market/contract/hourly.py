"""Arguments of the contract Market from batteries and orders, and its answers as rows and state; needs the extra `evm`.

Its constructor takes `market.contract.batch.pack_rules` first. Its storage holds the state at the begin of the interval
that takes orders (`market.state.begin_interval`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from market.contract.abi import find_entry, hash_signature
from market.contract.artifacts import read_artifact
from market.errors import ChainError
from market.exchanges import EXCHANGE, NOBODY, Ints, Kind, Rows
from market.orders import Orders
from market.rules import Rules
from market.state import NO_FLEXIBLE, Lots, State
from market.storage import Ratings

WORD = 32
"""Bytes of a word of the virtual machine."""


def make_batteries(ratings: Ratings) -> list[tuple[int, ...]]:
    """Batteries of the houses as the contract's struct `Battery`."""
    return [tuple(battery) for battery in np.stack(ratings, axis=1).tolist()]


def make_wishes(orders: Orders) -> Ints:
    """Orders of the houses as the contract's struct `Wish`, (N, 4): net Wh, charge Wh, ask, limit µEUR/kWh."""
    ask = np.where(orders.requests == 1, 1, 2 * (orders.asks_share == 1))
    net, charge = orders.offer_wh - orders.need_wh, orders.charge_wh - orders.discharge_wh
    return np.stack([net, charge, ask, orders.limit_ueur_per_kwh], axis=1)


def read_exchanges(logs: Iterable[tuple[Sequence[bytes], bytes]], rules: Rules) -> Rows:
    """Events `Exchanged` among the logs of one transaction, in their order, as `EXCHANGE` rows with amounts and fees.

    Parameters
    ----------
    logs
        (topics, data) of each log of the contract.
    rules
        Rules of the market.
    """
    first = hash_exchanged()
    found = [b"".join(topics[1:]) + content for topics, content in logs if topics[0] == first]
    interval, seller, buyer, kind, host, lot, wh, price = _read_words(b"".join(found), 8).T
    rows = np.zeros(len(found), EXCHANGE)
    rows["interval"], rows["seq"], rows["element"] = interval, np.arange(len(found)), NOBODY
    rows["kind"], rows["seller"], rows["buyer"], rows["host"], rows["lot"] = kind, seller, buyer, host, lot
    rows["cleared_wh"], rows["delivered_wh"], rows["price_ueur_per_kwh"] = wh, wh, price
    rows["amount_neur"] = wh * price
    rows["fee_neur"] = np.where(kind == Kind.P2P, wh * price * rules.fee_permille // 1000, 0)
    return rows


@cache
def hash_exchanged() -> bytes:
    """First topic of the event `Exchanged`."""
    return hash_signature(find_entry(read_artifact("Market"), "event", "Exchanged"))


def read_state(holdings: bytes, lots: bytes, pools: bytes, progress: bytes, ratings: Ratings) -> State:
    """State at the begin of the interval that takes orders; the contract knows of no devices that can wait.

    Parameters
    ----------
    holdings, lots, pools, progress
        Answers of `listHoldings`, `listLots`, `pools` and `progress`, as the contract gives them.
    ratings
        Batteries of the houses.
    """
    own, _, wallet, account = _read_words(holdings[2 * WORD :], 4).T
    ((utility, contract),) = _read_words(pools, 2)
    columns = _read_words(lots[2 * WORD :], 5).T
    return State(
        own,
        wallet,
        account,
        np.array([utility, contract, 0]),
        Lots(*(np.ascontiguousarray(column) for column in columns)),
        ratings,
        _read_words(progress, 5)[0, 2:],
        NO_FLEXIBLE,
    )


def _read_words(content: bytes, n_columns: int) -> Ints:
    """Words of 32 bytes as integers, (n, n_columns).

    Raises
    ------
    ChainError
        If they are not whole rows, or a number needs more than 64 bits.
    """
    if len(content) % (n_columns * WORD):
        raise ChainError(f"answer of Market: expected rows of {n_columns} words, got {len(content)} bytes")
    words = np.frombuffer(content, ">i8").reshape(-1, WORD // 8)
    if not (words[:, :-1] == (words[:, -1:] >> 63)).all():
        raise ChainError("answer of Market: expected numbers of 64 bits, got a larger one")
    numbers: Ints = words[:, -1].astype(np.int64).reshape(-1, n_columns)
    return numbers
