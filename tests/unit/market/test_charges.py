"""Network charges by hand, and their laws: what houses pay is what the operator earns, wherever a run is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_charges import NaiveCharges

from market.charges import (
    Period,
    Terms,
    begin_period,
    charge_intervals,
    close_period,
    find_changes,
    find_withdrawn,
    join_charges,
    make_terms_rows,
    share_pro_rata,
    sum_charges,
)
from market.errors import MarketError
from market.exchanges import CONTRACT, EXCHANGE, GRID, NOBODY, OPERATOR, Kind, LossRule, Rows
from market.ledger.books.charges import ChargeBooks
from market.ledger.format.records import make_parameter_records, read_parameters, view_as_bytes

N = 3


def exchange(kind: Kind, seller: int, buyer: int, wh: int, host: int = NOBODY, price: int = 0) -> Rows:
    row = np.zeros(1, EXCHANGE)
    row["kind"], row["seller"], row["buyer"], row["host"] = kind, seller, buyer, host
    row["delivered_wh"], row["price_ueur_per_kwh"], row["amount_neur"] = wh, price, wh * price
    return row


def terms(n: int, ends: list[bool], **prices: int) -> Terms:
    names = ("grid_ueur_per_kwh", "local_ueur_per_kwh", "power_ueur_per_kw", "standing_neur")
    columns = [np.full(n, prices.get(name, 0), np.int64) for name in names]
    return Terms(*columns, np.array(ends), LossRule.PRO_RATA, 60)


def join(intervals: list[list[Rows]]) -> tuple[Rows, np.ndarray]:
    rows = np.concatenate([np.zeros(0, EXCHANGE), *(row for rows in intervals for row in rows)])
    return rows, np.cumsum([0, *map(len, intervals)])


def test_a_month_by_hand() -> None:
    first = [exchange(Kind.GRID_IMPORT, GRID, 0, 2_000), exchange(Kind.P2P, 1, 2, 500)]
    second = [exchange(Kind.GRID_IMPORT, GRID, 2, 500), exchange(Kind.LOSS, GRID, OPERATOR, 30, price=100_000)]
    said = terms(
        2, [False, True], grid_ueur_per_kwh=80_000, local_ueur_per_kwh=20_000, power_ueur_per_kw=1_500_000,
        standing_neur=50_000_000,
    )  # fmt: skip
    charges, after = charge_intervals(said, *join([first, second]), 7, begin_period(N))
    kwh, kw, eur = 1_000, 1_000, 1_000_000_000
    a, b, c = charges.rows
    assert a["withdrawn_wh"] == 2 * kwh
    assert a["peak_w"] == 2 * kw
    assert a["interval"] == 8
    assert a["grid_neur"] == 0.16 * eur
    assert a["local_neur"] == 0
    assert a["power_neur"] == 2 * 3.0 * eur
    assert a["standing_neur"] == 0.1 * eur
    assert (b["withdrawn_wh"], b["peak_w"], b["loss_neur"]) == (0, 0, 0)
    assert b["standing_neur"] == 0.1 * eur
    assert c["grid_neur"] == 0.04 * eur
    assert c["local_neur"] == 0.01 * eur
    assert c["peak_w"] == 500
    assert (a["loss_neur"], c["loss_neur"]) == (2_000_000, 1_000_000)  # 0.003 EUR for losses, 2 kWh to 1 kWh
    assert not np.concatenate(after).any()
    changes = find_changes(charges, N)
    assert not changes[0].any()
    assert changes[1].sum() == 0
    assert changes[1, 2 * N + 2] == sum_charges(charges.rows).sum()


def test_energy_is_charged_once_on_its_way() -> None:
    """0 stores a share with 1, which later goes to 2; a lot that 1 draws out of its own battery used no wires."""
    stored = exchange(Kind.SHARE_STORE, 0, CONTRACT, 900, host=1)
    sold, own = exchange(Kind.LOT_SALE, CONTRACT, 2, 400, host=1), exchange(Kind.LOT_SALE, 0, 1, 300, host=1)
    exported, spilled = exchange(Kind.GRID_EXPORT, 0, GRID, 100), exchange(Kind.SPILL, 0, NOBODY, 100)
    grid, local = find_withdrawn(*join([[stored, exported], [sold, own, spilled]]), N)
    assert not grid.any()
    assert local.tolist() == [[0, 0, 0], [0, 0, 400]]


def test_what_the_operator_takes_from_a_house_is_no_charge_of_it() -> None:
    within = exchange(Kind.BACKGROUND, OPERATOR, OPERATOR, 50, host=0)
    given_, taken = (
        exchange(Kind.BACKGROUND, 1, OPERATOR, 60, host=0),
        exchange(Kind.BACKGROUND, OPERATOR, 2, 70, host=0),
    )
    grid, local = find_withdrawn(*join([[within, given_, taken]]), N)
    assert not grid.any()
    assert local.tolist() == [[0, 0, 70]]


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**12), max_size=8))
def test_shares_sum_and_are_within_one_of_their_proportion(total: int, weights: list[int]) -> None:
    parts = share_pro_rata(total, weights)
    if sum(weights) == 0:
        assert not any(parts)
        return
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


KINDS = (
    (Kind.GRID_IMPORT, "GH"), (Kind.P2P, "HH"), (Kind.SHARE_USE, "HH"), (Kind.LOT_SALE, "HH"), (Kind.SHARE_STORE, "HC"),
    (Kind.LOSS, "GO"), (Kind.GRID_EXPORT, "HG"), (Kind.BACKGROUND, "OH"), (Kind.COMPENSATION, "HO"),
)  # fmt: skip


@st.composite
def markets(draw: st.DrawFn) -> tuple[Terms, list[list[Rows]]]:
    n = draw(st.integers(1, 6))
    prices = st.lists(st.integers(0, 10**6), min_size=n, max_size=n)
    columns = [np.array(draw(prices), np.int64) for _ in range(4)]
    ends = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    said = Terms(*columns, ends, draw(st.sampled_from(list(LossRule))), draw(st.sampled_from((15, 60))))
    party = {"H": st.integers(0, N - 1), "G": st.just(GRID), "C": st.just(CONTRACT), "O": st.just(OPERATOR)}
    intervals = []
    for _ in range(n):
        chosen = draw(st.lists(st.sampled_from(KINDS), max_size=6))
        intervals.append(
            [
                exchange(kind, draw(party[ends[0]]), draw(party[ends[1]]), draw(st.integers(0, 5_000)),
                         draw(party["H"]), draw(st.integers(0, 300_000)))
                for kind, ends in chosen
            ]
        )  # fmt: skip
    return said, intervals


@given(markets(), st.integers(0, 6))
def test_charges_are_what_two_others_compute_and_sum_to_the_operators_income(
    market: tuple[Terms, list[list[Rows]]], cut: int
) -> None:
    said, intervals = market
    rows, offsets = join(intervals)
    whole, after = charge_intervals(said, rows, offsets, 0, begin_period(N))
    at = int(offsets[min(cut, len(intervals))])
    cut = min(cut, len(intervals))
    head, between = charge_intervals(said.select(0, cut), rows[:at], offsets[: cut + 1], 0, begin_period(N))
    tail, end = charge_intervals(said.select(cut, 9), rows[at:], offsets[cut:] - at, cut, between)
    joined = join_charges([head, tail])
    assert joined is not None
    assert (joined.rows == whole.rows).all()
    assert all((one == other).all() for one, other in zip(after, end, strict=True))

    parameters = {"charges": 1, "interval_minutes": said.interval_minutes}
    books = ChargeBooks(read_parameters(view_as_bytes(make_parameter_records(parameters, 0))), N)
    naive = NaiveCharges(N, True, said.interval_minutes)
    priced, taken = make_terms_rows(said, 0), find_changes(whole, N)
    before = np.zeros(4 * N + 3, np.int64)
    for t, mine in enumerate(intervals):
        due = whole.rows[whole.rows["interval"] == t]
        block = np.concatenate([view_as_bytes(part) for part in (*mine, priced[t : t + 1], due)])
        found = books.follow(block)
        assert not isinstance(found, str), found
        assert naive.interval([row.tobytes() for row in block]) == (found or [0] * N)
        change = taken[t] - before
        assert (-change[N : 2 * N]).tolist() == (found or [0] * N)
        assert change.sum() == 0
        before = taken[t]
    if said.loss_rule == LossRule.PRO_RATA and said.ends.any():
        stop = int(np.flatnonzero(said.ends)[-1]) + 1
        lost = sum(int(row["amount_neur"][0]) for mine in intervals[:stop] for row in mine if row["kind"] == Kind.LOSS)
        withdrawn = np.array(find_withdrawn(rows, offsets, N)).sum()
        assert int(whole.rows["loss_neur"].sum()) <= lost
        if said.ends.sum() == 1 and withdrawn and whole.rows["withdrawn_wh"].any():
            assert int(whole.rows["loss_neur"].sum()) == lost


def test_a_charge_that_no_record_holds_is_refused() -> None:
    period = Period(*np.full((4, 1), 10**9), np.array([10**10, 0, 0]))
    with pytest.raises(MarketError, match=r"expected charges of at most .* check the prices of section \[charges\]"):
        close_period(period, LossRule.OPERATOR, 60, 5)
