"""The looked-up BDEW profile against demandlib's own year by year."""

import warnings

import numpy as np
import pandas as pd
import pytest
from demandlib.bdew import ElecSlp

from data.standard_load import household_load_shape


@pytest.mark.parametrize("year", [2015, 2016, 2018])
def test_equals_demandlib_in_every_hour(year):
    with warnings.catch_warnings():
        frame = ElecSlp(year).get_profiles("h0_dyn")
    expected = frame["h0_dyn"].resample("h").mean() * len(frame)
    ours = household_load_shape(pd.DatetimeIndex(expected.index))
    assert np.abs(ours / expected.to_numpy() - 1).max() < 0.003


@pytest.mark.parametrize("year", range(2013, 2021))
def test_mean_of_a_year_is_one(year):
    hours = pd.date_range(f"{year}-01-01", f"{year + 1}-01-01", freq="h", inclusive="left")
    assert household_load_shape(hours).mean() == pytest.approx(1.0, abs=0.001)


def test_a_change_of_clocks_repeats_or_skips_an_hour():
    autumn = pd.date_range("2017-10-28T23:00Z", periods=3, freq="h").tz_convert("Europe/Madrid")
    assert autumn.hour.tolist() == [1, 2, 2]
    shape = household_load_shape(autumn)
    assert shape[1] == shape[2] != shape[0]


def test_warnings_of_the_process_stay_as_they_were():
    before = list(warnings.filters)
    household_load_shape(pd.date_range("2017-01-01", periods=2, freq="h"))
    assert list(warnings.filters) == before
