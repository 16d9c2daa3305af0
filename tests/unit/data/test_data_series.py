import numpy as np
import pytest

from data.errors import DataError
from data.series import Series


def series(**changes):
    content = {
        "start": np.datetime64("2017-03-25T23:00"),
        "solar_cf": np.array([0.0, 0.5, 1.0]),
        "load_shape": np.array([0.9, 1.0, 1.1]),
        "price_eur_per_mwh": np.array([40.0, 50.0, 60.0]),
        "provenance": {},
    }
    return Series(**{**content, **changes})


def test_the_local_clock_skips_an_hour_in_spring():
    assert series().local_time.hour.tolist() == [0, 1, 3]
    assert series().time.hour.tolist() == [23, 0, 1]


def test_arrays_are_frozen_copies():
    mine = np.array([0.0, 0.5, 1.0])
    made = series(solar_cf=mine)
    mine[0] = 1.0
    assert made.solar_cf[0] == 0.0
    assert not made.solar_cf.flags.writeable


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solar_cf": np.array([0.0, 1.1, 0.0])}, "solar_cf, hour 1: .* got 1.1"),
        ({"load_shape": np.array([1.0, 1.0])}, r"load_shape: expected shape \(3,\)"),
        ({"price_eur_per_mwh": np.array([1.0, np.nan, 1.0])}, "price_eur_per_mwh, hour 1"),
        ({"price_eur_per_mwh": np.array([1.0, 1.0, -1.0])}, "price_eur_per_mwh, hour 2"),
        ({"solar_cf": np.array([])}, "at least one hour"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        series(**changes)
