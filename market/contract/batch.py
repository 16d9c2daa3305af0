"""Intervals of a market in the words of the contract `Batch`, and its answers as rows; needs the extra `evm`.

The layouts are those of `solidity/Words.sol`. The contract keeps a digest of the state alone, so who brings an interval
brings the state before it too: `pack_state` of the market's own. Where the two markets had ever come to differ, the
contract would refuse the next interval.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from market.contract.extra import import_extra
from market.errors import MarketError
from market.exchanges import EXCHANGE, NO_LIMIT, NOBODY, Ints, Kind, Reason, Rows
from market.orders import Orders
from market.rules import SHARING_P2P, TRADING, Rules
from market.state import State
from market.storage import Ratings

Words = tuple[int, ...]
_MADE = (Kind.SHED, Kind.LOSS, Kind.COMPENSATION)
"""Kinds of rows that are never cleared: what became of an interval, not what was agreed on."""


class Field(NamedTuple):
    """A number in a word: its name, its bits, and whether it may be below zero."""

    name: str
    bits: int
    signed: bool = False


HOUSE = (
    Field("own energy, Wh", 64, True),
    Field("wallet, nEUR", 64, True),
    Field("account, nEUR", 64, True),
    Field("number of the last signed order", 32),
)
RATINGS = (
    *(Field(f"{name}, Wh", 40) for name in ("soc_min", "soc_max", "max_charge", "max_discharge")),
    *(Field(f"{name}_ppm", 20) for name in ("charge", "discharge", "self_discharge")),
)
LOT = (
    Field("lot", 32),
    Field("owner", 16, True),
    Field("host", 16),
    Field("stored, Wh", 64, True),
    Field("expiry", 32),
)
POOLS = tuple(Field(f"pool of the {name}, nEUR", 64, True) for name in ("utility", "contract", "operator"))
TALLY = (
    Field("next lot", 32),
    Field("stored in lots, Wh", 64, True),
    Field("sold of lots, Wh", 64, True),
    Field("interval", 32),
)
ORDER = (
    Field("net energy, Wh", 64, True),
    Field("charge, Wh", 64, True),
    Field("limit, µEUR/kWh", 64, True),
    Field("ask", 8),
    Field("number of the order", 32),
)
CUT = (Field("row", 16), Field("delivered, Wh", 48))
CHANGE = (
    Field("house", 16),
    Field("absorbed, Wh", 48),
    Field("released, Wh", 48, True),
    Field("shed, Wh", 48),
)
EXCHANGED = (
    Field("kind", 8),
    Field("seller", 16, True),
    Field("buyer", 16, True),
    Field("host", 16, True),
    Field("lot", 32, True),
    Field("cleared_wh", 48),
    Field("delivered_wh", 48),
    Field("price_ueur_per_kwh", 48),
)


class Carried(NamedTuple):
    """State of a market in words: one a house, one a lot, the pools of money, and what is counted."""

    houses: Words
    lots: Words
    pools: int
    tally: int


class Delivered(NamedTuple):
    """What the network admitted of an interval, as the contract takes it.

    Attributes
    ----------
    losses
        Wh that the operator buys from the utility.
    off
        Whether the feeder was switched off.
    verdict
        Digest of the verdict, 32 bytes; zeros where everything was delivered.
    cuts, changes
        Words of exchanges and of houses that differ from what was cleared.
    """

    losses: int
    off: bool
    verdict: bytes
    cuts: Words
    changes: Words


ALL_DELIVERED = Delivered(0, False, bytes(32), (), ())


def pack(fields: Sequence[Field], values: Iterable[int]) -> int:
    """Put numbers into a word, lowest bits first.

    Raises
    ------
    MarketError
        If a number does not fit into its place.

    Examples
    --------
    >>> hex(pack((Field("a", 8), Field("b", 8, True)), (1, -1)))
    '0xff01'
    """
    word = position = 0
    for field, value in zip(fields, map(int, values), strict=True):
        low = -(1 << (field.bits - 1)) if field.signed else 0
        if not low <= value < low + (1 << field.bits):
            raise MarketError(f"{field.name}: expected {low} to {low + (1 << field.bits) - 1}, got {value}")
        word |= (value & ((1 << field.bits) - 1)) << position
        position += field.bits
    return word


def unpack(fields: Sequence[Field], word: int) -> list[int]:
    """Take numbers out of a word.

    Examples
    --------
    >>> unpack((Field("a", 8), Field("b", 8, True)), 0xFF01)
    [1, -1]
    """
    values = []
    for field in fields:
        value = word & ((1 << field.bits) - 1)
        values.append(value - (1 << field.bits) if field.signed and value >> (field.bits - 1) else value)
        word >>= field.bits
    return values


def check_rules_of_batch(rules: Rules) -> None:
    """Refuse a market that the contract does not know.

    Raises
    ------
    MarketError
        If the mechanism is none of `trading`, `trading_battery`, `sharing_central` and `sharing_p2p`, or uses batteries
        otherwise than these do, or the feed-in tariff is a fixed one.
    """
    if not TRADING <= rules.mechanism <= SHARING_P2P:
        raise MarketError(
            "contract Batch, mechanism: expected trading, trading_battery, sharing_central or sharing_p2p, "
            f"got number {rules.mechanism}; the others are not on a chain"
        )
    if rules.battery != (rules.mechanism != TRADING):
        raise MarketError(f"contract Batch, battery: expected that of the mechanism, got {rules.battery}")
    if rules.feed_in_ueur_per_kwh >= 0:
        raise MarketError(
            "contract Batch, feed-in tariff: expected a part of the utility price, got a fixed one of "
            f"{rules.feed_in_ueur_per_kwh} uEUR/kWh; the contract does not know it"
        )


def pack_rules(rules: Rules, compensation_ueur_per_kwh: int = 0) -> tuple[int | bool, ...]:
    """Rules as the contract's constructor takes them.

    Raises
    ------
    MarketError
        If the contract does not know the mechanism.

    Examples
    --------
    >>> pack_rules(Rules(mechanism=1, battery=0))[:4]
    (1, 0, 0, False)
    """
    check_rules_of_batch(rules)
    return (
        rules.mechanism,
        rules.pricing,
        rules.arrival,
        bool(rules.feed_in),
        rules.fixed_price_ueur_per_kwh,
        rules.feed_in_numerator,
        rules.feed_in_denominator,
        rules.fee_permille,
        rules.beta_permille,
        rules.tau_intervals,
        rules.seed,
        compensation_ueur_per_kwh,
    )


def pack_ratings(ratings: Ratings) -> Words:
    """Batteries as the contract's constructor takes them, (N,) words."""
    return tuple(pack(RATINGS, row) for row in np.stack(ratings, axis=1).tolist())


def pack_state(state: State, interval: int, numbers: Sequence[int] | None = None) -> Carried:
    """State before an interval.

    Parameters
    ----------
    state
        As the interval before it left it: lots that fall due, and self-discharge, are the contract's matter.
    interval
        Number of the interval that comes next.
    numbers
        (N,): number of the last order that each member has signed; zeros if left out.
    """
    last = [0] * state.own_wh.size if numbers is None else numbers
    houses = zip(state.own_wh.tolist(), state.wallet_neur.tolist(), state.account_neur.tolist(), last, strict=True)
    return Carried(
        tuple(pack(HOUSE, row) for row in houses),
        tuple(pack(LOT, row) for row in np.stack(state.lots, axis=1).tolist()),
        pack(POOLS, state.pools_neur.tolist()),
        pack(TALLY, [*state.tally.tolist(), interval]),
    )


def find_head(carried: Carried) -> bytes:
    """Digest of a state, 32 bytes: what the contract keeps of it."""
    keccak = import_extra("eth_utils").keccak
    houses, lots = (keccak(b"".join(_bytes(word) for word in words)) for words in carried[:2])
    return bytes(keccak(houses + lots + _bytes(carried.pools) + _bytes(carried.tally)))


def pack_orders(orders: Orders, numbers: Sequence[int] | None = None) -> Words:
    """Orders of an interval, (N,) words; `numbers` are those that members sign, zeros if left out.

    A request that its limit has withdrawn is no longer among `orders`: the contract need not see it.
    """
    limits = np.where(orders.requests == 1, orders.limit_ueur_per_kwh, NO_LIMIT)
    columns = (
        orders.offer_wh - orders.need_wh,
        orders.charge_wh - orders.discharge_wh,
        limits,
        orders.requests + 2 * orders.asks_share,
        np.zeros_like(limits) if numbers is None else np.asarray(numbers, np.int64),
    )
    return tuple(pack(ORDER, row) for row in np.stack(columns, axis=1).tolist())


def pack_delivery(orders: Orders, rows: Rows, meters: Rows, verdict: bytes, off: bool = False) -> Delivered:
    """What the network admitted of an interval, from its settled rows.

    Parameters
    ----------
    orders
        Of the interval.
    rows, meters
        `EXCHANGE` rows, (n,), and `METER` rows, (N,), as a run settles and records them; the loss may be among them.
    verdict
        Digest of the interval's verdict, 32 bytes; needed only where something was curtailed.
    off
        Whether the feeder was switched off.

    Raises
    ------
    MarketError
        If load was put off: the contract knows load that is served or shed; or if inverters reduced their power.
    """
    if (rows["kind"] == Kind.SHIFT).any():
        raise MarketError(
            "contract Batch, exchanges: expected none of kind shift, got some; run without cars and heat pumps"
        )
    if (rows["reason"] == Reason.VOLT_WATT).any():
        raise MarketError(
            "contract Batch, exchanges: expected none that P(V) has cut, got some; set pv.volt_watt = false"
        )
    agreed = rows[is_cleared(rows)]
    losses = int(rows["delivered_wh"][rows["kind"] == Kind.LOSS].sum())
    cuts = () if off else tuple(_cuts(agreed))
    changes = tuple(_changes(orders, rows, meters, off))
    curtailed = off or bool(cuts) or bool(changes)
    return Delivered(losses, off, verdict if curtailed else bytes(32), cuts, changes)


def digest_verdict(record: bytes) -> bytes:
    """Digest of an interval's verdict, 32 bytes: SHA-256 of its record on the ledger, where it can be looked up."""
    return hashlib.sha256(record).digest()


def is_cleared(rows: Rows) -> Any:
    """Which rows the market agreed on, (n,) bool; the others say what became of them."""
    return ~np.isin(rows["kind"], _MADE) & (rows["reason"] != Reason.MAKES_UP)


def pack_interval(state: Carried, orders: Words, utility_ueur_per_kwh: int, delivered: Delivered) -> tuple[Any, ...]:
    """The argument `interval` of the contract's functions."""
    return (tuple(state), int(utility_ueur_per_kwh), orders, tuple(delivered))


def read_exchanges(words: Iterable[int], interval: int) -> Rows:
    """Exchanges that the contract has settled as `EXCHANGE` rows without reasons, amounts and fees."""
    values = [unpack(EXCHANGED, word) for word in words]
    rows = np.zeros(len(values), EXCHANGE)
    for field, column in zip(EXCHANGED, zip(*values, strict=True), strict=False):
        rows[field.name] = column
    rows["interval"], rows["seq"], rows["element"] = interval, np.arange(rows.size), NOBODY
    return rows


def _cuts(agreed: Rows) -> Iterable[int]:
    cuttable = (agreed["kind"] <= Kind.LOT_SALE) | (agreed["kind"] == Kind.GRID_EXPORT)
    for k in np.flatnonzero(cuttable & (agreed["delivered_wh"] < agreed["cleared_wh"])):
        yield pack(CUT, (int(k), int(agreed["delivered_wh"][k])))


def _changes(orders: Orders, rows: Rows, meters: Rows, off: bool) -> Iterable[int]:
    absorbed, released = find_battery_changes(orders, rows, meters)
    shed = meters["shed_wh"].astype(np.int64)
    columns = np.stack([absorbed * (not off), released * (not off), shed], axis=1)
    for i in np.flatnonzero(columns.any(axis=1)):
        yield pack(CHANGE, (int(i), *columns[i].tolist()))


def find_battery_changes(orders: Orders, rows: Rows, meters: Rows) -> tuple[Ints, Ints]:
    """What batteries charge and discharge on top of orders and of others' lots, (N,) Wh each."""
    charge, discharge = meters["charge_wh"].astype(np.int64), meters["discharge_wh"].astype(np.int64)
    stored, sold = rows[rows["kind"] == Kind.SHARE_STORE], rows[rows["kind"] == Kind.LOT_SALE]
    np.subtract.at(charge, stored["host"], stored["delivered_wh"])
    np.subtract.at(discharge, sold["host"], sold["delivered_wh"])
    return charge - orders.charge_wh, discharge - orders.discharge_wh


def _bytes(word: int) -> bytes:
    return word.to_bytes(32, "big")
