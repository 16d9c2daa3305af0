"""Bundled statistics come out again: four years, several seeds."""

import numpy as np
import pytest

from data.errors import DataError
from data.synthetic import (
    FLOOR_EUR_PER_MWH,
    WEEKDAY_PRICE_FACTOR,
    draw_autoregressive,
    make_synthetic_series,
    read_spain_statistics,
)

START, FOUR_YEARS = np.datetime64("2015-01-01"), 35_064
SEEDS = range(6)


@pytest.fixture(scope="module")
def runs():
    return [make_synthetic_series(START, FOUR_YEARS, np.random.default_rng(seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def cell(runs):
    local = runs[0].local_time
    return (local.month.to_numpy() - 1) * 24 + local.hour.to_numpy()


@pytest.fixture(scope="module")
def day(runs):
    return np.unique(runs[0].local_time.date, return_inverse=True)[1]


def by_cell(values, cell):
    return np.bincount(cell, values) / np.bincount(cell)


def by_whole_day(values, day):
    return (np.bincount(day, values) / np.bincount(day))[1:-1]


def lag1(values):
    return np.corrcoef(values[1:], values[:-1])[0, 1]


def test_overall_means(runs):
    assert np.mean([run.solar_cf.mean() for run in runs]) == pytest.approx(0.252, abs=0.01)
    assert np.mean([run.price_eur_per_mwh.mean() for run in runs]) == pytest.approx(56.5, abs=2.0)
    assert runs[0].load_shape.mean() == pytest.approx(1.0, abs=0.002)


def test_month_hour_means(runs, cell):
    statistics = read_spain_statistics()
    solar = np.mean([by_cell(run.solar_cf, cell) for run in runs], axis=0)
    price = np.mean([by_cell(run.price_eur_per_mwh, cell) for run in runs], axis=0)
    sunny = statistics.solar_mean > 0.1
    assert np.abs(solar / statistics.solar_mean - 1)[sunny].mean() < 0.05
    assert np.abs(solar - statistics.solar_mean).max() < 0.06
    assert np.abs(price / statistics.price_mean_eur_per_mwh - 1).mean() < 0.03


def test_spread_of_noon_follows_the_table(runs, cell):
    statistics = read_spain_statistics()
    for month in (1, 4, 7, 10):
        noon = (month - 1) * 24 + 13
        values = np.concatenate([run.solar_cf[cell == noon] for run in runs])
        assert np.quantile(values, 0.1) == pytest.approx(statistics.solar_p10[noon], abs=0.12)
        assert np.quantile(values, 0.9) == pytest.approx(statistics.solar_p90[noon], abs=0.06)


def test_solar_varies_from_day_to_day_as_published(runs, cell, day):
    expected = by_whole_day(read_spain_statistics().solar_mean[cell], day)
    relative = [by_whole_day(run.solar_cf, day) / expected for run in runs]
    assert np.mean([days.std() for days in relative]) == pytest.approx(0.46, abs=0.03)
    assert np.mean([lag1(days) for days in relative]) == pytest.approx(0.55, abs=0.04)


def test_price_varies_from_day_to_day_as_published(runs, cell, day):
    expected = by_whole_day(read_spain_statistics().price_mean_eur_per_mwh[cell], day)
    relative = [by_whole_day(run.price_eur_per_mwh, day) / expected for run in runs]
    assert np.mean([days.std() for days in relative]) == pytest.approx(0.19, abs=0.015)
    assert np.mean([lag1(days) for days in relative]) == pytest.approx(0.81, abs=0.03)


def test_price_varies_from_hour_to_hour_as_published(runs, cell):
    residual = [run.price_eur_per_mwh - read_spain_statistics().price_mean_eur_per_mwh[cell] for run in runs]
    assert np.mean([hours.std() for hours in residual]) == pytest.approx(11.4, abs=0.6)
    assert np.mean([lag1(hours) for hours in residual]) == pytest.approx(0.978, abs=0.006)


def test_weekdays(runs):
    weekday = runs[0].local_time.dayofweek.to_numpy()
    price = np.mean([run.price_eur_per_mwh for run in runs], axis=0)
    factor = np.bincount(weekday, price) / np.bincount(weekday) / price.mean()
    assert np.abs(factor - WEEKDAY_PRICE_FACTOR).max() < 0.02


def test_bounds(runs):
    for run in runs:
        assert 0.0 <= run.solar_cf.min() < 0.01
        assert 0.95 < run.solar_cf.max() <= 1.0
        assert run.price_eur_per_mwh.min() >= FLOOR_EUR_PER_MWH
        assert (run.price_eur_per_mwh == FLOOR_EUR_PER_MWH).mean() < 0.002


def test_nights_are_dark_on_the_local_clock(runs):
    local = runs[0].local_time
    winter_night = (local.month == 1) & (local.hour == 5)
    assert max(run.solar_cf[winter_night].mean() for run in runs) < 0.03


def test_the_beginning_does_not_depend_on_the_length():
    long = make_synthetic_series(START, 2000, np.random.default_rng(3))
    short = make_synthetic_series(START, 1000, np.random.default_rng(3))
    assert (long.solar_cf[:1000] == short.solar_cf).all()
    assert (long.load_shape[:1000] == short.load_shape).all()
    assert (long.price_eur_per_mwh[:1000] == short.price_eur_per_mwh).all()


def test_same_seed_same_series_other_seed_another():
    a, b, c = (make_synthetic_series(START, 48, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (a.solar_cf == b.solar_cf).all()
    assert (a.price_eur_per_mwh == b.price_eur_per_mwh).all()
    assert not (a.price_eur_per_mwh == c.price_eur_per_mwh).any()


def test_autoregressive_has_unit_variance_and_the_lag_asked_for():
    values = draw_autoregressive(200_000, 0.7, np.random.default_rng(1))
    assert values.std() == pytest.approx(1.0, abs=0.02)
    assert lag1(values) == pytest.approx(0.7, abs=0.01)
    first = [draw_autoregressive(1, 0.9, np.random.default_rng(seed))[0] for seed in range(2000)]
    assert np.std(first) == pytest.approx(1.0, abs=0.05)


def test_weekday_variation_never_exceeds_the_bundled_deviation():
    statistics = read_spain_statistics()
    by_weekday = WEEKDAY_PRICE_FACTOR.std() * statistics.price_mean_eur_per_mwh
    assert (statistics.price_std_eur_per_mwh > by_weekday).all()


def test_no_hours_are_refused():
    with pytest.raises(DataError, match="n_hours: expected at least 1, got 0"):
        make_synthetic_series(START, 0, np.random.default_rng(1))


def test_an_unknown_load_is_refused():
    with pytest.raises(DataError, match="load: expected one of household, country, got 'town'"):
        make_synthetic_series(START, 24, np.random.default_rng(1), "town")


def test_whose_load_it_is_changes_nothing_else():
    house, country = (
        make_synthetic_series(START, 48, np.random.default_rng(1), load) for load in ("household", "country")
    )
    assert (house.solar_cf == country.solar_cf).all()
    assert (house.price_eur_per_mwh == country.price_eur_per_mwh).all()
    assert (house.load_shape != country.load_shape).all()
