from dataclasses import replace

import numpy as np
import pytest

from data.errors import DataError
from data.households import HouseholdSpec, draw_households, make_reference_profiles
from data.series import Series
from data.synthetic import make_synthetic_series

YEAR = 8760


@pytest.fixture(scope="module")
def series():
    return make_synthetic_series(np.datetime64("2017-01-01"), YEAR, np.random.default_rng(5))


def houses(seed=1, **changes):
    return draw_households(HouseholdSpec(**changes), np.random.default_rng(seed))


def profiles(series, seed=1, **changes):
    spec = HouseholdSpec(**changes)
    return make_reference_profiles(
        series, draw_households(spec, np.random.default_rng(seed)), spec, np.random.default_rng(9)
    )


def test_ranges_of_the_reference_study():
    drawn = houses(n_houses=2000)
    panels_w = drawn.nameplate_w[drawn.nameplate_w > 0]
    assert panels_w.min() >= 17 * 170
    assert panels_w.max() <= 21 * 350
    assert panels_w.mean() == pytest.approx(19 * 260, rel=0.01)
    assert 5_000 <= drawn.battery_wh.min() < 5_100
    assert 14_900 < drawn.battery_wh.max() <= 15_000
    assert drawn.load_level.mean() == pytest.approx(1.0, abs=1e-12)
    assert (drawn.nameplate_w > 0).mean() == pytest.approx(0.5, abs=0.04)
    assert drawn.nameplate_w.dtype == drawn.battery_wh.dtype == np.int64


def test_names_sort_as_they_are_numbered():
    assert houses().names[:2] == ("house_01", "house_02")
    assert houses(n_houses=100).names[-1] == "house_100"
    assert list(houses(n_houses=100).names) == sorted(houses(n_houses=100).names)


@pytest.mark.parametrize("n_prosumers", [0, 1, 12, 23, 25])
def test_exact_number_of_prosumers(n_prosumers):
    assert (houses(n_prosumers=n_prosumers).nameplate_w > 0).sum() == n_prosumers


def test_prosumers_are_anywhere():
    share = np.mean([houses(seed, n_prosumers=12).nameplate_w > 0 for seed in range(400)], axis=0)
    assert share.min() > 0.38
    assert share.max() < 0.58


def test_more_prosumers_keep_those_there_were():
    fewer, more = houses(n_prosumers=12), houses(n_prosumers=20)
    had = fewer.nameplate_w > 0
    assert (more.nameplate_w[had] == fewer.nameplate_w[had]).all()


def test_an_option_does_not_reshuffle_the_others():
    drawn = houses()
    other = houses(prosumer_probability=0.9, panel_w_max=600, battery_kwh_max=30.0)
    assert (other.load_level == drawn.load_level).all()
    batteries = houses(panels_max=40).battery_wh
    assert (batteries == drawn.battery_wh).all()
    assert ((houses(battery_kwh_max=99.0).nameplate_w > 0) == (drawn.nameplate_w > 0)).all()


def test_demand_is_that_of_the_study_at_any_seed(series):
    for seed in range(3):
        made = profiles(series, seed)
        assert made.load_wh.sum() == pytest.approx(25 * 987 * YEAR, rel=0.005)


def test_generation_is_nameplate_times_capacity_factor(series):
    spec = HouseholdSpec(production_ratio=None, n_prosumers=12)
    drawn = draw_households(spec, np.random.default_rng(1))
    made = make_reference_profiles(series, drawn, spec, np.random.default_rng(2))
    assert np.abs(made.pv_wh - drawn.nameplate_w * series.solar_cf[:, None]).max() <= 0.5
    assert made.provenance["panel_scale"] == 1.0


@pytest.mark.parametrize("ratio", [0.0, 0.12, 0.58, 1.28])
def test_production_ratio_holds_over_the_horizon(series, ratio):
    made = profiles(series, n_prosumers=12, production_ratio=ratio)
    assert made.pv_wh.sum() / made.load_wh.sum() == pytest.approx(ratio, abs=1e-4)


def test_production_ratio_leaves_the_loads_alone(series):
    low, high = (profiles(series, production_ratio=ratio, n_prosumers=12) for ratio in (0.12, 1.28))
    assert (low.load_wh == high.load_wh).all()


def test_more_prosumers_leave_the_loads_alone_and_generate_more(series):
    few, many = (profiles(series, production_ratio=None, n_prosumers=n) for n in (12, 24))
    assert (few.load_wh == many.load_wh).all()
    assert many.pv_wh.sum() > 1.8 * few.pv_wh.sum()


def test_noise_is_multiplicative_with_mean_one_and_independent_between_houses():
    flat = Series(np.datetime64("2017-01-01"), np.ones(YEAR), np.ones(YEAR), np.ones(YEAR), {})
    made = profiles(flat, load_noise=0.3, load_level_spread=0.0, production_ratio=None)
    assert made.load_wh.mean(axis=0) == pytest.approx(np.full(25, 987.0), rel=0.02)
    assert np.log(made.load_wh).std(axis=0) == pytest.approx(np.full(25, 0.3), rel=0.03)
    correlation = np.corrcoef(made.load_wh.T) - np.eye(25)
    assert np.abs(correlation).max() < 0.06


def test_another_house_leaves_the_noise_of_the_others_alone():
    flat = Series(np.datetime64("2017-01-01"), np.ones(100), np.ones(100), np.ones(100), {})
    fewer, more = (profiles(flat, n_houses=n, load_level_spread=0.0, production_ratio=None) for n in (5, 6))
    assert (fewer.load_wh == more.load_wh[:, :5]).all()


def test_prices_are_the_hours_market_prices(series):
    made = profiles(series)
    assert np.abs(made.price_ueur_per_kwh / 1000 - series.price_eur_per_mwh).max() <= 0.0005
    assert (made.start, made.interval_minutes, made.n_intervals) == (series.start, 60, YEAR)


def test_same_seed_same_integers(series):
    assert profiles(series).digest() == profiles(series).digest()
    assert profiles(series, seed=2).digest() != profiles(series).digest()


def test_no_sun_or_no_panels_cannot_reach_a_ratio(series):
    with pytest.raises(DataError, match=r"production_ratio: expected panels and sun to reach 0\.58, got 0 prosumers"):
        profiles(series, n_prosumers=0)
    assert profiles(series, n_prosumers=0, production_ratio=None).pv_wh.sum() == 0
    night = replace(series, solar_cf=np.zeros(YEAR))
    with pytest.raises(DataError, match="got 12 prosumers and no generation"):
        profiles(night, n_prosumers=12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_houses": 0}, "n_houses: expected 1 to 1e"),
        ({"prosumer_probability": 1.2}, "prosumer_probability: expected 0 to 1, got 1.2"),
        ({"n_prosumers": 26}, "n_prosumers: expected 0 to 25, got 26"),
        ({"panels_min": 22}, "panels_max: expected 22 to"),
        ({"panel_w_min": 0}, "panel_w_min"),
        ({"battery_kwh_min": -1.0}, "battery_kwh_min: expected 0 to"),
        ({"battery_kwh_max": 4.0}, "battery_kwh_max: expected 5 to"),
        ({"mean_load_w": float("nan")}, "mean_load_w: .* got nan"),
        ({"load_level_spread": 1.5}, "load_level_spread"),
        ({"load_noise": -0.1}, "load_noise"),
        ({"production_ratio": -0.5}, "production_ratio: expected 0 to 100, got -0.5"),
    ],
)
def test_impossible_specifications_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        HouseholdSpec(**changes)
