"""The contract Batch in a virtual machine in this process, beside the market in Python, interval for interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cosim.delivery.redispatch import deliver, deliver_nothing, find_curtailable
from cosim.delivery.window import InputSeries
from market.contract.abi import decode_event, encode_call, encode_deployment
from market.contract.artifacts import read_artifact
from market.contract.batch import (
    ALL_DELIVERED,
    Delivered,
    find_head,
    pack_delivery,
    pack_interval,
    pack_orders,
    pack_ratings,
    pack_rules,
    pack_state,
    read_exchanges,
)
from market.exchanges import Kind, Reason, Rows
from market.mechanisms import BUILT_IN
from market.orders import Orders
from market.rules import Rules
from market.settlement import Delivery, Settlement, deliver_all
from market.state import State, make_opening_state
from market.storage import Ratings

pyrevm = pytest.importorskip("pyrevm", reason="pyrevm, a virtual machine for contracts, has no wheel for this Python")

BATCH = read_artifact("Batch")
OPERATOR = "0x" + "0b" * 20
VERDICT = bytes(range(32))
SIGNS = ["kind", "seller", "buyer", "host", "lot", "cleared_wh", "delivered_wh", "price_ueur_per_kwh"]


class EvmBatch:
    """A Batch with its members."""

    def __init__(
        self,
        rules: Rules,
        opening: State,
        interval: int = 0,
        compensation: int = 0,
        members: Sequence[str] = (),
        signed_only: bool = False,
    ) -> None:
        n = opening.own_wh.size
        self.machine = pyrevm.EVM()
        arguments = (
            pack_rules(rules, compensation),
            signed_only,
            list(members) or [f"0x{house + 1:040x}" for house in range(n)],
            pack_ratings(opening.ratings),
            tuple(pack_state(opening, interval)),
        )
        self.address = self.machine.deploy(OPERATOR, encode_deployment(BATCH, arguments))

    def call(self, name: str, *arguments: Any, sender: str = OPERATOR) -> bytes:
        return bytes(self.machine.message_call(sender, self.address, calldata=encode_call(BATCH, name, arguments)))

    def clear(self, *argument: Any, name: str = "clear") -> dict[str, Any]:
        """Bring an interval; the event of its settlement."""
        self.call(name, *argument)
        topics, content = self.machine.result.logs[-1].data
        event = decode_event(BATCH, "Settled", [bytes(topic) for topic in topics], bytes(content))
        assert event is not None
        assert event["head"] == self.call("head")
        return event


def bring(
    contract: EvmBatch, before: State, orders: Orders, settlement: Settlement, delivered: Delivered = ALL_DELIVERED
) -> dict[str, Any]:
    """Settle an interval on the contract and compare every row, the price and all of the state with Python's.

    `before` is the state that the interval before left, `settlement` what Python made of this one.
    """
    t = int(orders.interval)
    words = pack_interval(pack_state(before, t), pack_orders(orders), orders.utility_ueur_per_kwh, delivered)
    event = contract.clear(words)
    mine, theirs = read_exchanges(event["exchanges"], t), settlement.rows
    theirs = theirs[(theirs["kind"] != Kind.LOSS) | (theirs["delivered_wh"] > 0)]
    for name in SIGNS:
        assert mine[name].tolist() == theirs[name].tolist(), (t, name, mine, theirs)
    assert event["price"] == orders.price_ueur_per_kwh
    assert event["head"] == find_head(pack_state(settlement.state, t + 1))
    return event


def deliver_some(orders: Orders, before: State, rows: Rows, rng: np.random.Generator) -> tuple[Delivery, bool]:
    """What a network might admit: all, nothing at all, or shares of some exchanges and not all of the load."""
    n, how = orders.need_wh.size, rng.random()
    if how < 0.3:
        return deliver_all(rows, n), False
    if how < 0.35:
        return deliver_nothing(orders, rows, int(Reason.OVERVOLTAGE), 3), True
    cut = find_curtailable(rows)
    share = rng.choice([0.0, 1.0, 0.5, rng.random()], rows.size)
    wh = np.where(cut, np.floor(share * rows["cleared_wh"]), rows["cleared_wh"]).astype(np.int64)
    none = deliver(orders, before, rows, wh, np.zeros(n, np.int64), int(Reason.OVERVOLTAGE), 3)
    shed, imports = np.zeros(n, np.int64), none.rows[none.rows["kind"] == Kind.GRID_IMPORT]
    np.add.at(shed, imports["buyer"], imports["delivered_wh"])
    shed = (rng.integers(0, 2, n) * rng.integers(0, 2) * shed * rng.random()).astype(np.int64)
    return deliver(orders, before, rows, wh, shed, int(Reason.UNDERVOLTAGE), 3), False


def make_case(seed: int, mechanism: str, n: int, hours: int) -> tuple[InputSeries, Rules, State]:
    """A random community: batteries of all sizes, prices, funds, expiry; some hours are sunny for nobody."""
    rng = np.random.default_rng(seed)
    capacity = rng.integers(0, 8000, n) * rng.integers(0, 2, n)
    ratings = Ratings(
        capacity // 10,
        capacity * 9 // 10,
        rng.integers(1, 4000, n) * (capacity > 0),
        rng.integers(1, 4000, n) * (capacity > 0),
        rng.integers(700_000, 1_000_001, n),
        rng.integers(700_000, 1_000_001, n),
        rng.integers(0, 3000, n),
    )
    supply = InputSeries(
        rng.integers(0, 2500, (hours, n)),
        rng.integers(0, 2, (hours, n)) * rng.integers(0, 6000, (hours, n)),
        np.zeros((hours, n), np.int64),
        rng.integers(1, 300_000, hours),
    )
    kind = BUILT_IN[mechanism]
    rules = Rules(
        mechanism=kind.code,
        battery=int(kind.uses_battery),
        pricing=int(rng.integers(0, 4)),
        fixed_price_ueur_per_kwh=int(rng.integers(0, 300_000)),
        feed_in_numerator=int(rng.integers(0, 4)),
        feed_in=int(rng.integers(0, 2)),
        fee_permille=int(rng.integers(0, 300)) * kind.charges_fee,
        beta_permille=int(rng.integers(1, 1000)),
        tau_intervals=int(rng.integers(1, 9)),
        arrival=int(rng.integers(0, 3)),
        seed=int(rng.integers(0, 2**31)),
    )
    funds = rng.integers(0, 10 ** int(rng.integers(6, 11)), n)
    return supply, rules, make_opening_state(ratings.soc_min_wh, funds, ratings)


def delivered_of(orders: Orders, settlement: Settlement, off: bool = False) -> Delivered:
    return pack_delivery(orders, settlement.rows, settlement.meters, VERDICT, off)
