"""Laws of a table of temperatures: an hour is as the table says, wherever the run begins and whatever its clock."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.heat_pumps import HeatPumps, make_heat_pumps
from data.errors import DataError
from data.profiles import Profiles
from data.temperature_table import Temperatures, read_temperatures

HOUR = np.timedelta64(3600, "s")
FIRST, N_HOURS = np.datetime64("2016-12-22T00", "s"), 24 * 25
SCENARIO = Scenario().with_changes(heat_pump={"n_heat_pumps": 2})
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu")


def draw_table(seed: int, n: int = N_HOURS, first: np.datetime64 = FIRST, step: np.timedelta64 = HOUR) -> Temperatures:
    celsius = np.random.default_rng(seed).uniform(-25.0, 25.0, n).round(2)
    return Temperatures("t.csv", first + np.arange(n) * step, celsius, step, ())


def heat_from(own: Temperatures, first_hour: int, n: int) -> HeatPumps:
    """Heat and its cost of a run of n hours that begins so many hours into the table."""
    wh = np.zeros((n, 1), np.int64)
    profiles = Profiles(own.time[first_hour], 60, ("ann",), wh, wh, wh[:, 0], {})
    return make_heat_pumps(SCENARIO, profiles, 2, own)


def write_and_read(own: Temperatures, rows: np.ndarray, zone: str, *, offset: bool) -> Temperatures:
    """Some rows of a table, written on a clock with or without its offset, and read again."""
    clock = pd.DatetimeIndex(own.time[rows], tz="UTC").tz_convert(zone)
    lines = clock.strftime("%Y-%m-%dT%H:%M%z" if offset else "%Y-%m-%dT%H:%M")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        pd.DataFrame({"time": lines, "temperature_c": own.celsius[rows]}).to_csv(path, index=False)
        return read_temperatures(path, zone)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), starts=st.tuples(st.integers(0, 400), st.integers(0, 400)))
def test_heat_of_an_hour_does_not_depend_on_where_the_run_begins(seed: int, starts: tuple[int, int]) -> None:
    """Across New Year too, where the table goes on."""
    own, (early, late) = draw_table(seed), sorted(starts)
    n = 120
    first, second = heat_from(own, early, late - early + n), heat_from(own, late, n)
    np.testing.assert_array_equal(first.demand_wh[-n:], second.demand_wh)
    np.testing.assert_array_equal(first.gain_ppm[-n:], second.gain_ppm)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), first_hour=st.integers(96, 400))
@example(seed=1, first_hour=240)  # New Year
def test_cold_days_before_a_run_take_more_heat_on_its_first_day(seed: int, first_hour: int) -> None:
    """The table counts before the run begins, in the year before too: three days that are colder are felt."""
    own = draw_table(seed)
    own = own._replace(celsius=own.celsius.clip(-10.0, 15.0))  # where the profile is steep
    before = np.arange(N_HOURS) // 24 < first_hour // 24
    colder = own._replace(celsius=np.where(before, own.celsius - 10.0, own.celsius))
    day = slice(0, 24 - first_hour % 24)
    usual, felt = (heat_from(table, first_hour, 24).demand_wh[day].sum() for table in (own, colder))
    assert felt > usual


@pytest.mark.parametrize("degrees", [-60.0, -20.0, 39.9, 40.0, 60.0])
def test_every_temperature_that_a_table_may_have_has_a_heat(degrees: float) -> None:
    own = draw_table(1)._replace(celsius=np.full(N_HOURS, degrees))
    found = heat_from(own, 300, 24)
    assert (found.demand_wh >= 0).all()
    assert (found.demand_wh.sum(axis=0) > 1000).all()
    assert (found.gain_ppm > 0).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    zone=st.sampled_from(ZONES),
    offset=st.booleans(),
    first_day=st.integers(0, 360),
    half_hours=st.booleans(),
)
def test_a_table_on_any_clock_is_the_table_in_utc(
    seed: int, zone: str, offset: bool, first_day: int, half_hours: bool
) -> None:
    """Over the hours that a clock skips and repeats."""
    step = np.timedelta64(1800 if half_hours else 3600, "s")
    own = draw_table(seed, 30 * 48, np.datetime64("2017-01-01", "s") + first_day * 24 * HOUR, step)
    found = write_and_read(own, np.arange(own.time.size), zone, offset=offset)
    np.testing.assert_array_equal(found.time, own.time)
    np.testing.assert_array_equal(found.celsius, own.celsius)
    assert any(f"times without an offset on the clock of {zone}" in note for note in found.notes) is not offset


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    minutes=st.sampled_from([1, 5, 10, 15, 30, 60]),
    place=st.integers(0, 30),
    n_missing=st.integers(1, 20),
)
def test_a_short_gap_is_filled_by_a_line_and_a_long_one_refused(
    seed: int, minutes: int, place: int, n_missing: int
) -> None:
    own = draw_table(seed, 60, step=np.timedelta64(60 * minutes, "s"))
    rows = np.delete(np.arange(60), np.arange(place + 1, place + 1 + n_missing))
    ends = own.time[[place, place + n_missing + 1]]
    if (n_missing + 1) * minutes > 180:
        with pytest.raises(DataError, match=rf"nothing between {ends[0]} and {ends[1]} UTC"):
            write_and_read(own, rows, "UTC", offset=True)
        return
    found = write_and_read(own, rows, "UTC", offset=True)
    np.testing.assert_array_equal(found.time, own.time)
    np.testing.assert_array_equal(found.celsius[rows], own.celsius[rows])
    line = np.linspace(own.celsius[place], own.celsius[place + n_missing + 1], n_missing + 2)
    np.testing.assert_allclose(found.celsius[place : place + n_missing + 2], line, atol=1e-9)
    assert any(f"a gap from {ends[0]} to {ends[1]} UTC" in note for note in found.notes)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), hours=st.integers(-30, 90))
def test_nothing_is_known_beyond_the_ends_of_a_table(seed: int, hours: int) -> None:
    own = draw_table(seed, 60)
    asked = own.time[[0]] + hours * HOUR
    assert own.covers(asked).tolist() == [0 <= hours < 60]
    others = np.array([99.0])
    if 0 <= hours < 60:
        assert own.at(asked) == own.over(others, asked) == own.celsius[hours]
        return
    assert own.over(others, asked) == others
    with pytest.raises(DataError, match="add the rows, or move the horizon"):
        own.at(asked)
