"""The contract Market in a virtual machine in this process, beside the market in Python, interval for interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from cosim.delivery.window import InputSeries, make_orders_at
from market.contract.abi import decode_result, encode_call, encode_deployment, find_entry, select
from market.contract.artifacts import read_artifact
from market.contract.hourly import make_batteries, make_rules_argument, make_wishes, read_exchanges, read_state
from market.exchanges import Ints, Rows
from market.mechanisms import clear
from market.orders import Orders
from market.rules import Rules
from market.settlement import deliver_all, settle
from market.state import Lots, State, begin_interval

pyrevm = pytest.importorskip("pyrevm", reason="pyrevm, a virtual machine for contracts, has no wheel for this Python")

MARKET = read_artifact("Market")
OPERATOR = "0x" + "0b" * 20
FIRST_GATE, LENGTH = 1_000_000, 3600
SUBMIT = select(find_entry(MARKET, "function", "submit"))
CLEAR = encode_call(MARKET, "clear")
VIEWS = tuple(encode_call(MARKET, name) for name in ("listHoldings", "listLots", "pools", "progress"))


def address_of(house: int) -> str:
    return f"0x{house + 0xA000:040x}"


def encode_submissions(interval: int, wishes: Ints) -> list[bytes]:
    """Calldata of `submit` for each house; the same bytes as those of `encode_call`, quicker."""
    numbers = np.concatenate([np.full((wishes.shape[0], 1), interval), wishes], axis=1)
    words = np.repeat((numbers >> 63)[:, :, None], 4, axis=2)
    words[:, :, 3] = numbers
    return [SUBMIT + each.tobytes() for each in words.astype(">i8")]


class EvmMarket:
    """A Market with its members."""

    def __init__(self, rules: Rules, state: State, queued: bool = False) -> None:
        self.rules, self.ratings, self.n = rules, state.ratings, state.own_wh.size
        self.machine = pyrevm.EVM()
        arguments = (make_rules_argument(rules), (FIRST_GATE, LENGTH, queued))
        self.address = self.machine.deploy(OPERATOR, encode_deployment(MARKET, arguments))
        opening = zip(make_batteries(state.ratings), state.own_wh.tolist(), state.wallet_neur.tolist(), strict=True)
        for house, (battery, own, wallet) in enumerate(opening):
            self.call(OPERATOR, "register", (address_of(house), battery, own, wallet))

    def send(self, sender: str, calldata: bytes) -> bytes:
        return bytes(self.machine.message_call(sender, self.address, calldata=calldata))

    def call(self, sender: str, name: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...]:
        return decode_result(MARKET, name, self.send(sender, encode_call(MARKET, name, arguments)))

    def quote(self, prices: Iterable[int]) -> None:
        self.call(OPERATOR, "quote", ([int(price) for price in prices],))

    def wait_for_gate(self, interval: int) -> None:
        self.machine.set_block_env(pyrevm.BlockEnv(timestamp=FIRST_GATE + interval * LENGTH))

    def clear(self, sender: str = OPERATOR) -> tuple[Rows, int]:
        """Clear; the exchanges, and the price."""
        self.send(sender, CLEAR)
        logs = [([bytes(topic) for topic in topics], bytes(data)) for topics, data in self.logs()]
        *_, price, n = np.frombuffer(logs[-1][1], ">i8")[3::4]
        rows = read_exchanges(logs, self.rules)
        assert rows.size == n
        return rows, int(price)

    def logs(self) -> list[tuple[list[bytes], bytes]]:
        return [log.data for log in self.machine.result.logs]

    def state(self) -> State:
        return read_state(*(self.send(OPERATOR, view) for view in VIEWS), self.ratings)

    def submit(self, interval: int, wishes: Ints, houses: Iterable[int] | None = None) -> None:
        calls = encode_submissions(interval, wishes)
        for house in range(self.n) if houses is None else houses:
            self.send(address_of(house), calls[house])


def check_equal(contract: State, python: State) -> None:
    """Everything that a state holds is equal to the Wh and nEUR."""
    for name in ("own_wh", "wallet_neur", "account_neur", "pools_neur", "tally"):
        assert getattr(contract, name).tolist() == getattr(python, name).tolist(), name
    for column, mine, theirs in zip(Lots._fields, contract.lots, python.lots, strict=True):
        assert mine.tolist() == theirs.tolist(), column


def settle_both(contract: EvmMarket, orders: Orders, before: State, rules: Rules) -> State:
    """Clear an interval whose orders are in, equal; returns the state after it."""
    rows, price = contract.clear()
    settled = settle(deliver_all(clear(orders, before, rules).rows, contract.n), orders, before, rules)
    assert rows.tobytes() == settled.rows.tobytes(), (orders.interval, rows, settled.rows)
    assert price == orders.price_ueur_per_kwh
    check_equal(contract.state(), begin_interval(settled.state, orders.interval + 1))
    return settled.state


def run_beside(supply: InputSeries, state: State, rules: Rules) -> State:
    """Run both, each interval equal; returns the last state."""
    contract = EvmMarket(rules, state)
    contract.quote(supply.utility_ueur_per_kwh)
    for t in range(supply.utility_ueur_per_kwh.size):
        orders, before = make_orders_at(supply, t, t, state, rules)
        contract.submit(t, make_wishes(orders))
        state = settle_both(contract, orders, before, rules)
    return state
