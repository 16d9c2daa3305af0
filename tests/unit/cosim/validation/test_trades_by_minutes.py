"""Trades by 10, 5 and 1 minute: which length their times ask for, and what is left to who names it."""

from __future__ import annotations

import pandas as pd
import pytest

from cosim.validation.trades import find_interval_minutes, list_notes, make_empty_profiles


def make_trades(*clocks: str) -> pd.DataFrame:
    times = pd.DatetimeIndex([f"2017-06-01T{clock}Z" for clock in clocks])
    return pd.DataFrame({"time": times, "seller": "a", "buyer": "b", "energy_wh": 10, "price_ueur_per_kwh": 1})


@pytest.mark.parametrize(
    ("clocks", "minutes"),
    [
        (("12:00", "13:00"), 60),
        (("12:00", "12:30"), 30),
        (("12:45",), 15),
        (("12:10", "12:40"), 10),
        (("12:10", "12:15"), 5),
        (("12:07",), 5),  # asked for by name: --interval-minutes 1
    ],
)
def test_the_longest_intervals_that_times_allow_are_taken(clocks: tuple[str, ...], minutes: int) -> None:
    trades = make_trades(*clocks)
    assert find_interval_minutes(trades) == minutes
    notes = [f"intervals of {minutes} minutes, since trades begin there (--interval-minutes)"]
    assert list_notes(trades, None, None, ()) == (notes if minutes < 60 else [])


@pytest.mark.parametrize(("minutes", "n"), [(1, 31), (5, 7), (10, 4)])
def test_profiles_of_trades_alone_have_intervals_of_that_length(minutes: int, n: int) -> None:
    found = make_empty_profiles(make_trades("12:00", "12:30"), ("a", "b"), minutes)
    assert (found.interval_minutes, found.n_intervals) == (minutes, n)
