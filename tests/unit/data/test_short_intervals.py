"""Intervals of 1, 5 and 10 minutes: resampled to the Wh, rounded without a drift, refused where they do not fit."""

from __future__ import annotations

import io
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError
from data.profiles import INTERVALS_MINUTES, Profiles
from data.series import round_within_hours
from data.tables import parse_profiles

START = np.datetime64("2017-01-01T00:00:00")


def make_profiles(minutes: int, load_wh: list[int]) -> Profiles:
    load = np.array(load_wh).reshape(-1, 1)
    return Profiles(START, minutes, ("a",), load, load // 2, 1000 + load[:, 0], {}, load - 7)


@given(
    st.sampled_from(list(product(INTERVALS_MINUTES, INTERVALS_MINUTES))),
    st.lists(st.integers(0, 5000), min_size=2, max_size=2),
    st.integers(1, 3),
)
def test_resampling_keeps_every_half_hours_sum(pair: tuple[int, int], loads: list[int], hours: int) -> None:
    found, wanted = pair
    n = 60 * hours // found
    original = make_profiles(found, (loads * n)[:n])
    made = original.resample(wanted)
    longest = max(found, wanted, 30)
    assert (made.interval_minutes, made.n_intervals, made.start) == (wanted, 60 * hours // wanted, START)
    for name in ("load_wh", "pv_wh", "load_varh"):
        whole, parts = (getattr(p, name).reshape(60 * hours // longest, -1).sum(axis=1) for p in (original, made))
        np.testing.assert_array_equal(whole, parts)
    if wanted < found and found % wanted == 0:
        assert made.resample(found).digest() == original.digest()


def test_ten_minutes_are_made_of_quarters_of_an_hour_and_back() -> None:
    made = make_profiles(15, [9, 15]).resample(10)
    assert made.load_wh[:, 0].tolist() == [6, 8, 10]  # 3 3 3 | 5 5 5, two at a time
    assert made.resample(15).load_wh[:, 0].tolist() == [10, 14]


def test_quarters_that_do_not_fill_tens_are_refused() -> None:
    with pytest.raises(DataError, match="multiple of 2 intervals to join, got 3 intervals"):
        make_profiles(15, [1, 2, 3]).resample(10)
    with pytest.raises(DataError, match="a full 10 minutes"):
        make_profiles(15, [1, 2, 3]).window(1, 3).resample(10)


def test_power_by_the_minute_is_carried_over_where_it_is_less_than_a_watt_hour() -> None:
    rows = [f"2017-01-01T{t // 60:02}:{t % 60:02}Z,{name},0.05" for t in range(600) for name in ("a", "b")]
    text = "time,participant,load_kw\n" + "\n".join(rows)
    found = parse_profiles(io.StringIO(text), price_eur_per_kwh=0.2)
    assert found.interval_minutes == 1
    assert found.load_wh.sum(axis=0).tolist() == [500, 500]  # 0.05 kW for ten hours
    wide = "time,a.load_kw,b.load_kw\n" + "\n".join(f"{row.split(',')[0]},0.05,0.05" for row in rows[::2])
    np.testing.assert_array_equal(parse_profiles(io.StringIO(wide), price_eur_per_kwh=0.2).load_wh, found.load_wh)


@pytest.mark.parametrize(("minutes", "sums"), [(1, 10), (5, 10), (10, 10), (15, 12), (60, 10)])
def test_hours_are_rounded_once_where_intervals_are_short(minutes: int, sums: int) -> None:
    n = 120 // minutes
    times = START + np.arange(n) * np.timedelta64(minutes, "m")
    wh = np.full((n, 2), 10.2 * minutes / 60)
    found = round_within_hours(wh, times, minutes)
    np.testing.assert_array_equal(found.reshape(2, -1, 2).sum(axis=1), sums)


@pytest.mark.parametrize("minutes", [1, 5, 10])
def test_where_a_run_begins_does_not_change_what_an_interval_gets(minutes: int) -> None:
    times = START + np.arange(120 // minutes) * np.timedelta64(minutes, "m")
    wh = np.full(times.size, 7.7)
    whole, late = round_within_hours(wh, times, minutes), round_within_hours(wh[3:], times[3:], minutes)
    np.testing.assert_array_equal(whole[3:], late)
