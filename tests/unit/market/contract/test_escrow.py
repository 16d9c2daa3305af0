"""Positions of a day: whole units, the sum of zero, nobody more than a unit off; the contract takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.delivery.window import make_orders_at
from market.contract.abi import decode_result, encode_call, encode_deployment
from market.contract.artifacts import read_artifact
from market.contract.escrow import find_positions, in_units
from market.errors import MarketError
from market.mechanisms import clear
from market.settlement import deliver_all, settle
from market.state import State

ESCROW = read_artifact("Escrow")
OPERATOR = "0x" + "0b" * 20


@given(
    st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=30),
    st.sampled_from([1, 3, 1000, 10**9]),
)
def test_units_are_whole_and_add_up_to_zero(values: list[int], neur_per_unit: int) -> None:
    positions = np.array([*values, -sum(values)])
    units = in_units(positions, neur_per_unit)
    assert sum(units) == 0
    assert all(abs(u * neur_per_unit - p) < neur_per_unit for u, p in zip(units, positions.tolist(), strict=True))


def test_positions_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(MarketError, match="positions of a day: expected the sum of zero, got 1 nEUR"):
        in_units(np.array([5, -4]), 1)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_day_of_a_market_is_settled_in_a_token(seed: int) -> None:
    evm_batch = pytest.importorskip("evm_batch", reason="pyrevm: not installed, it has no wheel for this Python")
    machine = evm_batch.pyrevm.EVM()
    before, after = _run_day(evm_batch, seed)
    units = in_units(find_positions(before, after), 1000)
    members = [f"0x{i + 1:040x}" for i in range(len(units))]
    machine.set_balance(OPERATOR, 10**30)
    address = machine.deploy(OPERATOR, encode_deployment(ESCROW, ("0x" + "0" * 40, 0, members)))

    def call(name: str, *arguments: object, value: int = 0) -> tuple[object, ...]:
        content = encode_call(ESCROW, name, arguments)
        return decode_result(
            ESCROW, name, bytes(machine.message_call(OPERATOR, address, calldata=content, value=value))
        )

    for house, unit in enumerate(units):
        call("deposit", house, abs(unit), value=abs(unit))
    call("settle", 0, bytes(32), units)
    assert [call("accounts", house)[0] for house in range(len(units))] == [abs(unit) + unit for unit in units]
    with pytest.raises(RuntimeError):
        call("settle", 1, bytes(32), [-abs(unit) - unit - 1 for unit in units])


def _run_day(evm_batch: Any, seed: int) -> tuple[State, State]:
    supply, rules, before = evm_batch.make_case(seed, "sharing_central", 6, 24)
    state = before
    for t in range(24):
        orders, begun = make_orders_at(supply, t, t, state, rules)
        state = settle(deliver_all(clear(orders, begun, rules).rows, 6), orders, begun, rules).state
    return before, state
