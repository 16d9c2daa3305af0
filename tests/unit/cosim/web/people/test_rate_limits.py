"""Rate limits: what a bucket grants, whatever is asked of it, and how much memory it takes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.web.people.limits import TokenBuckets

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5), st.sampled_from([0.5, 1.0])), max_size=60)


@given(STEPS, st.floats(0.1, 5), st.integers(1, 8))
def test_no_key_gets_more_than_its_burst_and_its_rate(
    steps: list[tuple[str, float, float]], rate: float, burst: int
) -> None:
    buckets, now = TokenBuckets(rate, burst), 0.0
    granted: dict[str, list[tuple[float, float]]] = {}
    for key, pause, cost in steps:
        now += pause
        if buckets.take(key, now, cost) == 0:
            granted.setdefault(key, []).append((now, cost))
    for taken in granted.values():
        for first in range(len(taken)):
            for last in range(first, len(taken)):
                total = sum(cost for _, cost in taken[first : last + 1])
                assert total <= burst + rate * (taken[last][0] - taken[first][0]) + 1e-6


@given(STEPS, st.floats(0.1, 5), st.integers(1, 8))
def test_after_the_wait_that_is_told_it_is_granted_and_not_before(
    steps: list[tuple[str, float, float]], rate: float, burst: int
) -> None:
    buckets, now = TokenBuckets(rate, burst), 0.0
    for key, pause, cost in steps:
        now += pause
        wait = buckets.take(key, now, cost)
        if wait > 1e-3:
            assert buckets.take(key, now + wait * 0.99, cost) > 0
            assert buckets.take(key, now + wait + 1e-6, cost) == 0
            now += wait + 1e-6


def test_of_ten_thousand_in_a_minute_all_but_a_few_wait() -> None:
    buckets = TokenBuckets(rate=1, burst=20)
    granted = sum(buckets.take("a member", k * 60 / 10_000) == 0 for k in range(10_000))
    assert granted == 79


def test_many_keys_take_no_more_memory() -> None:
    buckets = TokenBuckets(1, 1, most_keys=100)
    for k in range(10_000):
        assert buckets.take(str(k), 0.0) == 0
    assert len(buckets) == 100
    assert buckets.take("9999", 0.0) == 1.0  # the newest are still known


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = TokenBuckets(1, 1)
    assert [buckets.take("a", now) for now in (100.0, 0.0, 100.0)] == [0.0, 1.0, 1.0]


def test_threads_share_a_bucket() -> None:
    buckets = TokenBuckets(1e-9, 500)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: buckets.take("a", 0.0), range(2000)))
    assert waits.count(0.0) == 500


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0.5, 1), (1, 1, 0), (float("nan"), 1, 1), (1, float("inf"), 1)])
def test_a_limit_that_would_not_limit_is_refused(wrong: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match="expected rate > 0"):
        TokenBuckets(*wrong)
