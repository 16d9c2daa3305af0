"""Laws of imbalances: Wh and nEUR sum to zero, amounts are those of a naive twin, a perfect forecast costs nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_imbalances import naive_imbalances

from market.errors import MarketError
from market.imbalances import ImbalancePrices, check_sums, settle_imbalances

wh = st.one_of(st.integers(-20, 20), st.integers(-(2**32), 2**32))
rows = st.lists(st.tuples(*[wh] * 6), min_size=1, max_size=4)
prices = st.tuples(*[st.integers(0, 10_000_000)] * 2).map(lambda two: ImbalancePrices(max(two), min(two)))


@settings(max_examples=50)
@given(rows, prices)
def test_energy_and_money_sum_to_zero_and_each_house_gets_what_the_twin_says(
    drawn: list[tuple[int, ...]], prices: ImbalancePrices
) -> None:
    energies = np.array(drawn, np.int64)
    committed, delivered = energies[:, :3], energies[:, 3:]
    found = settle_imbalances(committed, delivered, prices)
    twin = naive_imbalances(committed.tolist(), delivered.tolist(), *(Fraction(price, 10**6) for price in prices))
    assert [[Fraction(neur, 10**9) for neur in row] for row in found.amount_neur.tolist()] == twin
    assert (found.deviation_wh.sum(axis=1) + found.utility_wh == 0).all()
    assert (found.amount_neur.sum(axis=1) + found.utility_neur == 0).all()
    assert (found.utility_neur[found.utility_wh == 0] >= 0).all()  # deviations that cancel never cost the utility
    assert not settle_imbalances(committed, committed, prices).amount_neur.any()


def test_sums_that_do_not_balance_and_prices_that_pay_for_deviating_are_refused() -> None:
    energies = np.array([[0, 5]]), np.array([[7, -2]])
    found = settle_imbalances(*energies, ImbalancePrices(3, 2))
    for wrong in (
        found._replace(utility_neur=found.utility_neur + 1),
        found._replace(utility_wh=found.utility_wh - 1),
    ):
        with pytest.raises(MarketError, match="imbalances of interval 0: expected energy and money that sum to zero"):
            check_sums(wrong)
    with pytest.raises(MarketError, match="would pay for deviating"):
        settle_imbalances(*energies, ImbalancePrices(2, 3))
    with pytest.raises(MarketError, match="short_ueur_per_kwh: expected 0 to 10000000, got 10000001"):
        settle_imbalances(*energies, ImbalancePrices(10_000_001, 3))
    with pytest.raises(MarketError, match="same intervals and houses"):
        settle_imbalances(energies[0], energies[1][:, :1], ImbalancePrices(3, 2))
    with pytest.raises(MarketError, match="less than 2\\^62"):
        settle_imbalances(energies[0], energies[1] + 2**40, ImbalancePrices(10_000_000, 2))
