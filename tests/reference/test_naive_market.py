"""The compiled market equals its naive twin: every exchange, meter, wallet, account, pool and lot.

Few houses and few Wh on purpose, so that orders meet exactly, batteries run full and wallets dry in most intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_market import NOBODY, meter, run_interval

from cosim.delivery.window import InputSeries, Window, settle_window
from market.exchanges import AUTOMATIC, CONTRACT, MISSING, STATED, SUBMISSION, Ask, Kind, Rows
from market.mechanisms import BUILT_IN
from market.rules import Arrival, Pricing, Rules, check_rules
from market.state import State, make_opening_state
from market.storage import Ratings

MIXED_PPM = [1_000_000, 950_000, 999_999, 700_001, 500_000]


def random_ratings(rng: np.random.Generator, n: int) -> Ratings:
    """Some houses without a battery, some lossless, some with power limits, losses and a reserve."""
    top = rng.choice([0, 0, 3, 10, 25], n)
    ideal = rng.random() < 0.3
    return Ratings(
        np.minimum(rng.choice([0, 0, 2], n), top),
        top,
        top if ideal else np.minimum(rng.choice([0, 2, 7, 25], n), top),
        top if ideal else np.minimum(rng.choice([0, 2, 7, 25], n), top),
        np.full(n, 1_000_000) if ideal else rng.choice(MIXED_PPM, n),
        np.full(n, 1_000_000) if ideal else rng.choice(MIXED_PPM, n),
        rng.choice([0, 0, 0 if ideal else 150_000], n),
    )


def random_rules(rng: np.random.Generator, name: str) -> Rules:
    mechanism = BUILT_IN[name]
    denominator = int(rng.integers(1, 5))
    return check_rules(
        Rules(
            mechanism=mechanism.code,
            battery=int(mechanism.uses_battery),
            pricing=int(rng.choice(list(Pricing))),
            fixed_price_ueur_per_kwh=int(rng.integers(0, 200_000)),
            feed_in_numerator=int(rng.integers(0, denominator + 1)),
            feed_in_denominator=denominator,
            feed_in=int(rng.integers(0, 2)),
            fee_permille=int(rng.choice([0, 100, 333, 1000])) if mechanism.charges_fee else 0,
            beta_permille=int(rng.choice([1, 300, 500, 500, 750, 999])),
            selfish_beta_permille=int(rng.choice([0, 100, 500, 999])),
            tau_intervals=int(rng.integers(1, 7)),
            arrival=int(rng.choice(list(Arrival))),
            seed=int(rng.integers(0, 6)),
            feed_in_ueur_per_kwh=int(rng.choice([-1, -1, 0, 80_000, 10_000_000])),
        )
    )


def random_submissions(rng: np.random.Generator, shape: tuple[int, int], price: int) -> Rows:
    """What some people want of some intervals; zeros where nobody says anything."""
    rows = np.zeros(shape, SUBMISSION)
    rows["status"] = rng.choice([0, STATED, STATED, MISSING], shape)
    rows["net_wh"] = np.where(rng.random(shape) < 0.3, AUTOMATIC, rng.integers(-15, 30, shape))
    rows["reserve_wh"] = rng.choice([0, 0, 3, 20], shape)
    rows["ask"] = rng.choice(list(Ask), shape)
    rows["limit_ueur_per_kwh"] = np.where(rng.random(shape) < 0.4, -1, rng.integers(0, price + 2, shape))
    return rows


def wishes_of(rows: Rows) -> dict[int, dict[str, Any]]:
    """Submissions of an interval as the naive market writes them down."""
    return {
        i: {
            "net": None if row["net_wh"] == AUTOMATIC else int(row["net_wh"]),
            "reserve": int(row["reserve_wh"]),
            "ask": ("rules", "trade", "share", "grid")[row["ask"]],
            "limit": None if row["limit_ueur_per_kwh"] < 0 else int(row["limit_ueur_per_kwh"]),
        }
        for i, row in enumerate(rows)
        if row["status"] == STATED
    }


def random_market(seed: int, n: int, n_intervals: int, name: str) -> tuple[InputSeries, State, Rules]:
    rng = np.random.default_rng(seed)
    price = int(rng.choice([0, 1, 7, 150_000, 150_000]))
    shape = (n_intervals, n)
    supply = InputSeries(
        rng.integers(0, 12, shape),
        rng.integers(0, 2, shape) * rng.integers(0, 25, shape),
        rng.integers(0, 2, shape) * rng.integers(0, 5, n),
        rng.integers(0, price + 1, n_intervals),
    )
    ratings = random_ratings(rng, n)
    if rng.random() < 0.5:
        supply = supply._replace(submissions=random_submissions(rng, shape, price))
    wallets = rng.integers(0, int(rng.choice([10, 60, 1000])) * price + 1, n)
    state = make_opening_state(rng.integers(0, ratings.soc_max_wh + 1), wallets, ratings)
    pools = np.array([0, rng.integers(0, 20 * price + 1), 0])
    return supply, state._replace(pools_neur=pools), random_rules(rng, name)


def world_of(state: State) -> dict[str, Any]:
    """The compiled market's opening state as the naive market writes it down."""
    ratings = state.ratings
    houses = [
        {
            "own": int(state.own_wh[i]),
            "wallet": int(state.wallet_neur[i]),
            "account": 0,
            "soc_min": int(ratings.soc_min_wh[i]),
            "soc_max": int(ratings.soc_max_wh[i]),
            "max_charge": int(ratings.max_charge_wh[i]),
            "max_discharge": int(ratings.max_discharge_wh[i]),
            "charge_ppm": int(ratings.charge_ppm[i]),
            "discharge_ppm": int(ratings.discharge_ppm[i]),
            "self_discharge_ppm": int(ratings.self_discharge_ppm[i]),
        }
        for i in range(state.own_wh.size)
    ]
    return {
        "houses": houses,
        "utility": 0,
        "contract": int(state.pools_neur[1]),
        "lots": [],
        "next_lot": 0,
        "lots_stored": 0,
        "lots_sold": 0,
    }


def as_exchange(row: dict[str, Any]) -> dict[str, int]:
    """A naive row in the columns of `market.exchanges.EXCHANGE`."""
    return {
        "kind": int(Kind[row["kind"].upper()]),
        "status": 0,
        "reason": 0,
        "interval": row["interval"],
        "seq": row["seq"],
        "seller": row["seller"],
        "buyer": row["buyer"],
        "host": row["host"],
        "element": NOBODY,
        "lot": row["lot"],
        "cleared_wh": row["energy"],
        "delivered_wh": row["energy"],
        "price_ueur_per_kwh": row["price"],
        "amount_neur": row["amount"],
        "fee_neur": row["fee"],
    }


def as_dicts(rows: np.ndarray) -> list[dict[str, int]]:
    return [dict(zip(rows.dtype.names, row.tolist(), strict=True)) for row in rows]


def compare_interval(
    world: dict[str, Any], window: Window, supply: InputSeries, k: int, price: int, rows: list[Any]
) -> None:
    compiled_rows = window.rows[window.offsets[k] : window.offsets[k + 1]]
    assert as_dicts(compiled_rows) == [as_exchange(row) for row in rows]
    traded = [row["price"] for row in rows if row["kind"] == "p2p"]
    assert int(window.price_ueur_per_kwh[k]) == (traded[0] if traded else price)
    for i in range(len(world["houses"])):
        expected = meter(
            world, i, int(supply.load_wh[k, i]), int(supply.pv_wh[k, i]), int(supply.fuel_cell_wh[k, i]), rows
        )
        got = dict(zip(window.meters.dtype.names, window.meters[k, i].tolist(), strict=True))
        assert {name: got[name] for name in expected} == expected
        assert (got["house"], got["seq"]) == (i, len(rows) + i)
    houses = world["houses"]
    table = [
        *(house["wallet"] for house in houses),
        *(house["account"] for house in houses),
        *(world["utility"], world["contract"], 0),
        *(house["own"] for house in houses),
        *(sum(lot["stored"] for lot in world["lots"] if lot["host"] == i) for i in range(len(houses))),
    ]
    assert window.accounts[k].tolist() == table


def compare_lots(world: dict[str, Any], state: State) -> None:
    lots = zip(*(column.tolist() for column in state.lots), strict=True)
    expected = [(lot["id"], lot["owner"], lot["host"], lot["stored"], lot["expiry"]) for lot in world["lots"]]
    assert list(lots) == expected
    assert state.tally.tolist() == [world["next_lot"], world["lots_stored"], world["lots_sold"]]


def compare_run(name: str, seed: int, n: int, n_intervals: int, first: int) -> None:
    supply, state, rules = random_market(seed, n, n_intervals, name)
    window = settle_window(supply, first, n_intervals, state, rules)
    world = world_of(state)
    for k in range(n_intervals):
        rows, price = run_interval(
            world,
            first + k,
            supply.load_wh[k].tolist(),
            supply.pv_wh[k].tolist(),
            supply.fuel_cell_wh[k].tolist(),
            int(supply.utility_ueur_per_kwh[k]),
            name,
            rules,
            wishes_of(supply.submissions[k]) if supply.submissions.size else None,
        )
        compare_interval(world, window, supply, k, price, rows)
    compare_lots(world, window.state)
    assert window.unbalanced.tolist() == [-1, -1]


RUNS = {
    "seed": st.integers(0, 2**32),
    "n": st.integers(1, 8),
    "n_intervals": st.integers(5, 40),
    "first": st.integers(0, 100),
}


@pytest.mark.parametrize("name", list(BUILT_IN))
@settings(max_examples=60)
@given(**RUNS)
def test_compiled_market_equals_the_naive_one(name: str, seed: int, n: int, n_intervals: int, first: int) -> None:
    compare_run(name, seed, n, n_intervals, first)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BUILT_IN))
@settings(max_examples=1500)
@given(**RUNS)
def test_compiled_market_equals_the_naive_one_over_many_runs(
    name: str, seed: int, n: int, n_intervals: int, first: int
) -> None:
    compare_run(name, seed, n, n_intervals, first)


def test_random_runs_meet_the_corner_cases() -> None:
    """The comparison is worth something only if every kind of exchange and every corner occurs in it."""
    seen: dict[str, int] = {}
    for seed in range(40):
        for name in ("sharing_hybrid", "sharing_selfish"):
            supply, state, rules = random_market(seed, 6, 30, name)
            window = settle_window(supply, 0, 30, state, rules)
            rows, meters = window.rows[: window.offsets[-1]], window.meters
            for kind in Kind:
                seen[kind.name] = seen.get(kind.name, 0) + int((rows["kind"] == kind).sum())
            own_lots = (rows["kind"] == Kind.LOT_SALE) & (rows["seller"] == rows["buyer"])
            by_contract = (rows["kind"] == Kind.SHARE_STORE) & (rows["buyer"] == CONTRACT)
            full = meters["own_wh"] + meters["hosted_wh"] == state.ratings.soc_max_wh
            corners = {
                "owner draws its own lot": own_lots.sum(),
                "contract stores": by_contract.sum(),
                "contract sells": ((rows["kind"] == Kind.LOT_SALE) & (rows["seller"] == CONTRACT)).sum(),
                "fee": (rows["fee_neur"] > 0).sum(),
                "full battery hosts": (full & (meters["hosted_wh"] > 0)).sum(),
                "below lower bound": (meters["own_wh"] < state.ratings.soc_min_wh).sum(),
                "sold from the battery": ((meters["discharge_wh"] > 0) & (meters["load_wh"] == 0)).sum(),
                "empty wallet": (window.accounts[:, :6] == 0).sum(),
                "lots alive": window.state.lots.lot.size,
            }
            for corner, count in corners.items():
                seen[corner] = seen.get(corner, 0) + int(count)
    never = {"SHED", "LOSS", "METER", "COMPENSATION", "BACKGROUND", "SHIFT"}
    assert {what for what, count in seen.items() if count < 10} == never, seen
