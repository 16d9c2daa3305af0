"""The contract Market beside the market in Python, interval for interval; wherever the contract runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cosim.delivery.window import InputSeries, make_orders_at
from market.contract.abi import encode_call, encode_deployment, find_entry, select
from market.contract.artifacts import read_artifact
from market.contract.batch import pack_rules
from market.contract.hourly import (
    make_batteries,
    make_wishes,
    read_exchanges,
    read_state,
)
from market.exchanges import Ints, Rows
from market.mechanisms import clear
from market.orders import Orders
from market.rules import Rules
from market.settlement import deliver_all, settle
from market.state import Lots, State, begin_interval

MARKET = read_artifact("Market")
OPERATOR_KEY = b"\x0b" * 32
OPERATOR = "0xf288ecaf15790efcac528946963a6db8c3f8211d"
LENGTH = 3600
Logs = list[tuple[list[bytes], bytes]]


def address_of(house: int) -> str:
    return f"0x{house + 0xA000:040x}"


def encode_submissions(interval: int, wishes: Ints) -> list[bytes]:
    """Calldata of `submit` for each house; the same bytes as those of `encode_call`, quicker."""
    numbers = np.concatenate([np.full((wishes.shape[0], 1), interval), wishes], axis=1)
    words = np.repeat((numbers >> 63)[:, :, None], 4, axis=2)
    words[:, :, 3] = numbers
    selector = select(find_entry(MARKET, "function", "submit"))
    return [selector + each.tobytes() for each in words.astype(">i8")]


class ContractMarket(ABC):
    """A Market with its members."""

    def __init__(self, rules: Rules, state: State, first_gate: int, queued: bool = False) -> None:
        self.rules, self.ratings, self.n, self.first_gate = rules, state.ratings, state.own_wh.size, first_gate
        self.deploy(encode_deployment(MARKET, (pack_rules(rules), (first_gate, LENGTH, queued))))
        opening = zip(make_batteries(state.ratings), state.own_wh.tolist(), state.wallet_neur.tolist(), strict=True)
        for house, (battery, own, wallet) in enumerate(opening):
            self.call("register", address_of(house), battery, own, wallet)

    @abstractmethod
    def deploy(self, content: bytes) -> None:
        """Send the contract, as its operator."""

    @abstractmethod
    def transact(self, sender: str, calldata: bytes) -> Logs:
        """Send one transaction; its logs."""

    @abstractmethod
    def view(self, calldata: bytes) -> bytes:
        """Answer of the contract."""

    def transact_all(self, sent: Sequence[tuple[str, bytes]]) -> None:
        """Send many transactions, each of another sender."""
        for sender, calldata in sent:
            self.transact(sender, calldata)

    def call(self, name: str, *arguments: Any) -> Logs:
        """Do what the operator does."""
        return self.transact(OPERATOR, encode_call(MARKET, name, arguments))

    def quote(self, prices: Iterable[int]) -> None:
        self.call("quote", [int(price) for price in prices])

    def submit(self, interval: int, wishes: Ints, houses: Iterable[int] | None = None) -> None:
        calls = encode_submissions(interval, wishes)
        self.transact_all([(address_of(i), calls[i]) for i in (range(self.n) if houses is None else houses)])

    def clear(self) -> tuple[Rows, int]:
        """Clear; the exchanges, and the price."""
        logs = self.transact(address_of(0), encode_call(MARKET, "clear"))
        *_, price, n = np.frombuffer(logs[-1][1], ">i8")[3::4]
        rows = read_exchanges(logs, self.rules)
        assert rows.size == n
        return rows, int(price)

    def state(self) -> State:
        views = ("listHoldings", "listLots", "pools", "progress")
        return read_state(*(self.view(encode_call(MARKET, name)) for name in views), self.ratings)


def check_equal(contract: State, python: State) -> None:
    """Everything that a state holds is equal to the Wh and nEUR."""
    for name in ("own_wh", "wallet_neur", "account_neur", "pools_neur", "tally"):
        assert getattr(contract, name).tolist() == getattr(python, name).tolist(), name
    for column, mine, theirs in zip(Lots._fields, contract.lots, python.lots, strict=True):
        assert mine.tolist() == theirs.tolist(), column


def settle_both(contract: ContractMarket, orders: Orders, before: State, rules: Rules) -> State:
    """Clear an interval whose orders are in, equal; returns the state after it."""
    rows, price = contract.clear()
    settled = settle(deliver_all(clear(orders, before, rules).rows, contract.n), orders, before, rules)
    assert rows.tobytes() == settled.rows.tobytes(), (orders.interval, rows, settled.rows)
    assert price == orders.price_ueur_per_kwh
    check_equal(contract.state(), begin_interval(settled.state, orders.interval + 1))
    return settled.state


def run_beside(contract: ContractMarket, supply: InputSeries, state: State) -> tuple[State, int]:
    """Run both, each interval equal; returns the last state, and how many lots were made."""
    contract.quote(supply.utility_ueur_per_kwh)
    for t in range(supply.utility_ueur_per_kwh.size):
        orders, before = make_orders_at(supply, t, t, state, contract.rules)
        contract.submit(t, make_wishes(orders))
        state = settle_both(contract, orders, before, contract.rules)
    return state, int(state.tally[0])
