"""The contract Market in a virtual machine in this process, beside the market in Python, interval for interval."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from cosim.delivery.window import InputSeries, make_orders_at
from market.contract.abi import decode_event, decode_result, describe_revert, encode_call, encode_deployment, find_entry, select
from market.contract.artifacts import read_artifact
from market.contract.hourly import make_battery, make_rules_argument, make_wish, read_exchanges, read_state
from market.exchanges import Rows
from market.mechanisms import clear
from market.orders import Orders
from market.rules import Rules
from market.settlement import Settlement, deliver_all, settle
from market.state import State, begin_interval

pyrevm = pytest.importorskip("pyrevm", reason="pyrevm, a virtual machine for contracts, has no wheel for this Python")

MARKET = read_artifact("Market")
OPERATOR = "0x" + "0b" * 20
FIRST_GATE, LENGTH = 1_000_000, 3600
SUBMIT = select(find_entry(MARKET, "function", "submit"))


def address_of(house: int) -> str:
    return f"0x{house + 0xA000:040x}"


def encode_submission(interval: int, wish: Sequence[int]) -> bytes:
    """The same bytes as `encode_call`, quicker."""
    return SUBMIT + b"".join(int(each).to_bytes(32, "big", signed=True) for each in (interval, *wish))


class EvmMarket:
    """A Market with its members."""

    def __init__(self, rules: Rules, state: State, queued: bool = False) -> None:
        self.rules, self.ratings, self.n = rules, state.ratings, state.own_wh.size
        self.machine = pyrevm.EVM()
        self.at = 0
        arguments = (make_rules_argument(rules), (FIRST_GATE, LENGTH, queued))
        self.address = self.machine.deploy(OPERATOR, encode_deployment(MARKET, arguments))
        for i in range(self.n):
            battery = make_battery(state.ratings, i)
            own, wallet = int(state.own_wh[i]), int(state.wallet_neur[i])
            self.call(OPERATOR, "register", (address_of(i), battery, own, wallet))

    def send(self, sender: str, calldata: bytes) -> bytes:
        return bytes(self.machine.message_call(sender, self.address, calldata=calldata))

    def call(self, sender: str, name: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...]:
        return decode_result(MARKET, name, self.send(sender, encode_call(MARKET, name, arguments)))

    def quote(self, prices: Iterable[int]) -> None:
        self.call(OPERATOR, "quote", ([int(price) for price in prices],))

    def wait_for_gate(self, interval: int) -> None:
        self.machine.set_block_env(pyrevm.BlockEnv(timestamp=FIRST_GATE + interval * LENGTH))

    def clear(self) -> tuple[Rows, int]:
        """Clear; the exchanges, and the price."""
        self.call(OPERATOR, "clear")
        exchanges: list[dict[str, Any]] = []
        price = -1
        for log in self.machine.result.logs:
            topics, content = log.data
            topics = [bytes.fromhex(topic.removeprefix("0x")) if isinstance(topic, str) else topic for topic in topics]
            if (event := decode_event(MARKET, "Exchanged", topics, bytes(content))) is not None:
                exchanges.append(event)
            elif (event := decode_event(MARKET, "Cleared", topics, bytes(content))) is not None:
                price = event["price"]
        return read_exchanges(exchanges, self.rules.fee_permille), price

    def state(self) -> State:
        (holdings,), (lots,) = self.call(OPERATOR, "listHoldings"), self.call(OPERATOR, "listLots")
        pools, progress = self.call(OPERATOR, "pools"), self.call(OPERATOR, "progress")
        return read_state(holdings, lots, pools, progress, self.ratings)
