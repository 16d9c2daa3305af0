"""Positions of a period: whole units, the sum of zero, nobody more than a unit off; the contract moves the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.delivery.window import make_orders_at
from market.contract.abi import decode_result, encode_call, encode_deployment
from market.contract.artifacts import read_artifact
from market.contract.escrow import Clock, cover_positions, find_positions, in_units
from market.errors import MarketError
from market.mechanisms import clear
from market.settlement import deliver_all, settle
from market.state import State

ESCROW = read_artifact("Escrow")
OPERATOR = "0x" + "0b" * 20
CLOCK = Clock(first=10, begin=1_790_000_000, length=86_400, patience=3 * 86_400)


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
    with pytest.raises(MarketError, match="positions of a period: expected the sum of zero, got 1 nEUR"):
        in_units(np.array([5, -4]), 1)


accounts = st.lists(st.tuples(st.integers(-(10**30), 10**30), st.integers(0, 10**30)), min_size=1, max_size=12)


@given(accounts)
def test_what_moves_adds_up_and_takes_nobody_below_zero(drawn: list[tuple[int, int]]) -> None:
    positions, balances = _balance(drawn)
    moved, missing = cover_positions(positions, balances)
    owed = -sum(each for each in positions if each < 0)
    assert sum(moved) == 0
    assert missing == sum(max(0, -each - balance) for each, balance in zip(positions, balances, strict=True))
    for position, balance, units in zip(positions, balances, moved, strict=True):
        if position <= 0:
            assert units == max(position, -balance)
        else:
            assert 0 <= units <= position
            assert abs(units * owed - position * (owed - missing)) < owed
    if missing == 0:
        assert moved == positions


@pytest.mark.parametrize(
    ("positions", "message"),
    [([1, 0], "the sum of zero, got 1 units"), ([1, -1, 0], "one each of 2 members, got 3")],
)
def test_positions_that_do_not_fit_are_refused(positions: list[int], message: str) -> None:
    with pytest.raises(MarketError, match=f"positions of a period: expected {message}"):
        cover_positions(positions, [5, 5])


class Deposits:
    """An escrow in ether in a virtual machine, with the members' first balances in it."""

    def __init__(self, pyrevm: Any, balances: list[int]) -> None:
        self.pyrevm, self.machine = pyrevm, pyrevm.EVM()
        self.wait_until(CLOCK.begin)
        self.members = [f"0x{i + 1:040x}" for i in range(len(balances))]
        self.machine.set_balance(OPERATOR, 10**36)
        self.address = self.machine.deploy(OPERATOR, encode_deployment(ESCROW, ("0x" + "0" * 40, CLOCK, self.members)))
        for member, balance in enumerate(balances):
            self.call("deposit", member, balance, value=balance)

    def wait_until(self, time: int) -> None:
        self.machine.set_block_env(self.pyrevm.BlockEnv(timestamp=time))

    def call(self, name: str, *arguments: object, sender: str = OPERATOR, value: int = 0) -> tuple[object, ...]:
        content = encode_call(ESCROW, name, arguments)
        answer = self.machine.message_call(sender, self.address, calldata=content, value=value)
        return decode_result(ESCROW, name, bytes(answer))

    def settle_next(self, units: list[int], may_miss: int) -> None:
        (period,) = self.call("nextPeriod")
        (end,) = self.call("endOf", period)
        assert isinstance(end, int)
        self.wait_until(end)
        self.call("settle", period, bytes(32), units, may_miss)

    def read_balances(self) -> list[object]:
        return [self.call("accounts", member)[0] for member in range(len(self.members))]


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_day_of_a_market_is_settled_in_a_token(seed: int) -> None:
    evm_batch = pytest.importorskip("evm_batch", reason="pyrevm: not installed, it has no wheel for this Python")
    before, after = _run_day(evm_batch, seed)
    units = in_units(find_positions(before, after), 1000)
    escrow = Deposits(evm_batch.pyrevm, [abs(unit) for unit in units])
    escrow.settle_next(units, 0)
    assert escrow.read_balances() == [abs(unit) + unit for unit in units]


@settings(max_examples=15, deadline=None)
@given(accounts)
def test_the_contract_moves_what_python_says(drawn: list[tuple[int, int]]) -> None:
    pyrevm = pytest.importorskip("pyrevm", reason="pyrevm: not installed, it has no wheel for this Python")
    positions, balances = _balance(drawn)
    escrow = Deposits(pyrevm, balances)
    moved, missing = cover_positions(positions, balances)
    if missing > 0:
        with pytest.raises(RuntimeError):
            escrow.settle_next(positions, missing - 1)
    escrow.settle_next(positions, missing)
    assert escrow.read_balances() == [balance + units for balance, units in zip(balances, moved, strict=True)]


def test_what_is_announced_answers_for_the_running_period() -> None:
    pyrevm = pytest.importorskip("pyrevm", reason="pyrevm: not installed, it has no wheel for this Python")
    escrow = Deposits(pyrevm, [10, 10])
    second = CLOCK.first + 1
    escrow.wait_until(CLOCK.begin + CLOCK.length + 9 * 3600)
    escrow.call("announce", 10, sender=escrow.members[0])
    assert escrow.call("announcedIn", 0) == (second,)
    escrow.settle_next([0, 0], 0)
    with pytest.raises(RuntimeError):
        escrow.call("withdraw", sender=escrow.members[0])
    escrow.settle_next([-9, 9], 0)
    escrow.call("withdraw", sender=escrow.members[0])
    assert escrow.read_balances() == [0, 19]


def _balance(drawn: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Positions with the sum of zero, and balances that may cover them."""
    positions, balances = [each[0] for each in drawn], [each[1] for each in drawn]
    return [*positions, -sum(positions)], [*balances, 10**29]


def _run_day(evm_batch: Any, seed: int) -> tuple[State, State]:
    supply, rules, before = evm_batch.make_case(seed, "sharing_central", 6, 24)
    state = before
    for t in range(24):
        orders, begun = make_orders_at(supply, t, t, state, rules)
        state = settle(deliver_all(clear(orders, begun, rules).rows, 6), orders, begun, rules).state
    return before, state
