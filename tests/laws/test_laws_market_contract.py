"""The contract Market and the market in Python say the same of random communities and of the default profiles."""

from __future__ import annotations

import numpy as np
import pytest
from contract_market import MARKET, OPERATOR_KEY, address_of, settle_both
from eth_account import Account
from evm_market import EvmMarket
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.delivery.window import InputSeries, make_orders_at
from market.contract.abi import encode_call
from market.contract.hourly import make_wishes
from market.exchanges import AUTOMATIC, NO_LIMIT, STATED, SUBMISSION, Ask, Ints, Rows
from market.mechanisms import BUILT_IN
from market.rules import Arrival, Pricing, Rules
from market.state import State, make_opening_state
from market.storage import Ratings

N_INTERVALS = 10
ON_CHAIN = ("trading", "trading_battery", "sharing_central", "sharing_p2p")
every_mechanism = pytest.mark.parametrize("name", ON_CHAIN)
communities = given(seed=st.integers(0, 2**31), n=st.integers(2, 30))


def draw_ratings(rng: np.random.Generator, n: int) -> Ratings:
    """Batteries from none to large, of any efficiency, some without power."""
    capacity = rng.integers(0, 2, n) * rng.integers(1, 9000, n)
    rates = [rng.choice([1_000_000, 999_999, 950_000, 700_001], n) for _ in range(2)]
    power = [rng.integers(0, 2, n) * rng.integers(1, 4000, n) for _ in range(2)]
    return Ratings(capacity // 10, capacity * 9 // 10, *power, *rates, rng.choice([0, 300, 30_000], n))


def draw_rules(rng: np.random.Generator, name: str) -> Rules:
    mechanism = BUILT_IN[name]
    return Rules(
        mechanism=mechanism.code,
        battery=int(mechanism.uses_battery),
        pricing=int(rng.choice(list(Pricing))),
        fixed_price_ueur_per_kwh=int(rng.integers(0, 300_000)),
        feed_in_numerator=int(rng.integers(0, 4)),
        feed_in=int(rng.integers(0, 2)),
        fee_permille=int(rng.integers(0, 1001)) * mechanism.charges_fee,
        beta_permille=int(rng.integers(1, 1000)),
        tau_intervals=int(rng.integers(1, 9)),
        arrival=int(rng.choice(list(Arrival))),
        seed=int(rng.integers(0, 2**63)),
    )


def draw_submissions(rng: np.random.Generator, n: int) -> Rows:
    """What people want, some of them: to give or take more or less, to keep a reserve, to ask otherwise, a limit."""
    rows = np.zeros((N_INTERVALS, n), SUBMISSION)
    shape = rows.shape
    rows["status"] = STATED * rng.integers(0, 2, shape)
    rows["net_wh"] = np.where(rng.random(shape) < 0.5, AUTOMATIC, rng.integers(-3000, 4000, shape))
    rows["reserve_wh"] = rng.integers(0, 2000, shape)
    rows["ask"] = rng.choice(list(Ask), shape)
    rows["limit_ueur_per_kwh"] = np.where(rng.random(shape) < 0.5, NO_LIMIT, rng.integers(0, 300_000, shape))
    return rows


def draw_community(seed: int, n: int, name: str) -> tuple[InputSeries, State, Rules]:
    """Random prices, funds, batteries, expiry, wishes and rules."""
    rng = np.random.default_rng(seed)
    shape = (N_INTERVALS, n)
    supply = InputSeries(
        rng.integers(0, 2500, shape),
        rng.integers(0, 2, (N_INTERVALS, 1)) * rng.integers(0, 2, n) * rng.integers(0, 6000, shape),
        rng.integers(0, 2, n) * rng.integers(0, 300, shape),
        rng.integers(0, 300_000, N_INTERVALS) * (rng.random(N_INTERVALS) > 0.05),
        draw_submissions(rng, n),
    )
    ratings = draw_ratings(rng, n)
    own = rng.integers(0, ratings.soc_max_wh + 1)
    wallets = rng.integers(0, 2, n) * rng.integers(0, 5_000_000_000, n)
    return supply, make_opening_state(own, wallets, ratings), draw_rules(rng, name)


def wishes_before_limits(supply: InputSeries, t: int, state: State, rules: Rules) -> Ints:
    """What houses ask for before any request is withdrawn because of its limit, and their limits."""
    unlimited = supply.submissions.copy()
    unlimited["limit_ueur_per_kwh"] = NO_LIMIT
    wishes = make_wishes(make_orders_at(supply._replace(submissions=unlimited), t, t, state, rules)[0])
    wishes[:, 3] = make_wishes(make_orders_at(supply, t, t, state, rules)[0])[:, 3]
    return wishes


def check_community(name: str, seed: int, n: int) -> None:
    """Every interval equal, whoever does not order in it: it has no load and no generation in Python."""
    supply, state, rules = draw_community(seed, n, name)
    rng = np.random.default_rng(seed + 1)
    contract = EvmMarket(rules, state)
    contract.quote(supply.utility_ueur_per_kwh)
    for t in range(N_INTERVALS):
        absent = rng.random(n) < rng.choice([0, 0.3])
        for column in supply[:3]:
            column[t, absent] = 0
        supply.submissions["status"][t, absent] = 0
        orders, before = make_orders_at(supply, t, t, state, rules)
        contract.submit(t, wishes_before_limits(supply, t, state, rules), np.flatnonzero(~absent))
        if absent.any():
            contract.wait_for_gate(t)
        state = settle_both(contract, orders, before, rules)
        contract.wait_for_gate(-1)


@every_mechanism
@settings(max_examples=10)
@communities
def test_contract_and_python_agree_on_random_communities(name: str, seed: int, n: int) -> None:
    check_community(name, seed, n)


@pytest.mark.slow
@every_mechanism
@settings(max_examples=200)
@communities
def test_contract_and_python_agree_on_many_communities(name: str, seed: int, n: int) -> None:
    check_community(name, seed, n)


TICKET = {"Ticket": [{"name": name, "type": "uint32"} for name in ("interval", "house", "number")]}


def submit_with_ticket(contract: EvmMarket, interval: int, house: int, number: int, wish: list[int]) -> None:
    """As a wallet signs it, for the chain 1 of the virtual machine."""
    domain = {"name": "gridsettle market", "version": "1", "chainId": 1, "verifyingContract": contract.address}
    message = {"interval": interval, "house": house, "number": number}
    ticket = Account.sign_typed_data(OPERATOR_KEY, domain, TICKET, message)
    r, s = (each.to_bytes(32, "big") for each in (ticket.r, ticket.s))
    calldata = encode_call(MARKET, "submitWithTicket", (interval, wish, number, ticket.v, r, s))
    contract.transact(address_of(house), calldata)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 8))
def test_tickets_of_the_operator_say_who_is_served_first(seed: int, n: int) -> None:
    supply, state, rules = draw_community(seed, n, "sharing_p2p")
    rng = np.random.default_rng(seed)
    contract = EvmMarket(rules, state, queued=True)
    contract.quote(supply.utility_ueur_per_kwh)
    for t in range(3):
        orders, before = make_orders_at(supply, t, t, state, rules)
        numbers = rng.choice(2**32, n, replace=False)
        wishes = wishes_before_limits(supply, t, state, rules).tolist()
        for house in rng.permutation(n).tolist():
            submit_with_ticket(contract, t, house, int(numbers[house]), wishes[house])
        state = settle_both(contract, orders._replace(order=np.argsort(numbers)), before, rules)
