"""The looked-up BDEW profile against demandlib's own year by year."""

import warnings

import numpy as np
import pandas as pd
import pytest
from demandlib.bdew import ElecSlp

from data.standard_load import LOAD_SHAPES, country_load_shape, household_load_shape


@pytest.mark.parametrize("year", [2015, 2016, 2018])
def test_equals_demandlib_in_every_hour(year):
    with warnings.catch_warnings():
        frame = ElecSlp(year).get_profiles("h0_dyn")
    expected = frame["h0_dyn"].resample("h").mean() * len(frame)
    ours = household_load_shape(pd.DatetimeIndex(expected.index))
    assert np.abs(ours / expected.to_numpy() - 1).max() < 0.003


@pytest.mark.parametrize("year", range(2013, 2021))
@pytest.mark.parametrize("whose", sorted(LOAD_SHAPES))
def test_mean_of_a_year_is_one(year, whose):
    hours = pd.date_range(f"{year}-01-01", f"{year + 1}-01-01", freq="h", inclusive="left")
    assert LOAD_SHAPES[whose](hours).mean() == pytest.approx(1.0, abs=0.001)


def test_a_country_varies_as_spain_did():
    """Kaggle, "Hourly energy demand …": 4,575 of 28,697 MW; median 28,901, extremes 18,041 and 41,015."""
    hours = pd.date_range("2015-01-01", "2018-12-31 23:00", freq="h", tz="Europe/Madrid")
    shape = country_load_shape(hours)
    assert shape.std() == pytest.approx(4574.988 / 28696.940, abs=0.005)
    assert np.median(shape) == pytest.approx(28901.0 / 28696.940, abs=0.01)
    assert shape.min() > 18041.0 / 28696.940
    assert shape.max() < 41015.0 / 28696.940


def test_a_change_of_clocks_repeats_or_skips_an_hour():
    autumn = pd.date_range("2017-10-28T23:00Z", periods=3, freq="h").tz_convert("Europe/Madrid")
    assert autumn.hour.tolist() == [1, 2, 2]
    shape = household_load_shape(autumn)
    assert shape[1] == shape[2] != shape[0]


def test_warnings_of_the_process_stay_as_they_were():
    before = list(warnings.filters)
    household_load_shape(pd.date_range("2017-01-01", periods=2, freq="h"))
    assert list(warnings.filters) == before
