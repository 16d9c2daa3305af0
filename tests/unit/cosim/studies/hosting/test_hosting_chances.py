"""Intervals of percentiles and chances against their definitions, by the binomial distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cosim.studies.hosting.chances import CONFIDENCE, chance_interval, percentile_ranks

TAIL = (1.0 - CONFIDENCE) / 2.0


@pytest.mark.parametrize("n", [20, 77, 1000])
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.95])
def test_ranks_are_the_tightest_whose_tails_hold(n: int, share: float) -> None:
    rank, low, high = percentile_ranks(n, share)
    below = stats.binom(n, share)
    assert rank == np.ceil(n * share - 1e-9)
    assert below.cdf(low - 1) <= TAIL < below.cdf(low)
    assert below.sf(high - 1) <= TAIL < below.sf(high - 2)
    assert low <= rank <= high


@pytest.mark.parametrize("n", [1, 30, 1000])
def test_the_ends_of_a_chance_are_those_at_which_the_count_becomes_unlikely(n: int) -> None:
    count = np.unique(np.linspace(0, n, 7).round().astype(int))
    low, high = chance_interval(count, n)
    assert low[0] == 0.0
    assert high[-1] == 1.0
    assert stats.binom.sf(count[1:] - 1, n, low[1:]) == pytest.approx(np.full(count.size - 1, TAIL))
    assert stats.binom.cdf(count[:-1], n, high[:-1]) == pytest.approx(np.full(count.size - 1, TAIL))
