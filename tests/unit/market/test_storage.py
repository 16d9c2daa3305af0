"""Energy in and out of a battery, in whole Wh: every rounding is on the battery's side, so it never creates any."""

from __future__ import annotations

import numpy as np
import pytest
from market_scenes import ideal_ratings

from market.storage import PPM, chargeable_wh, deliverable_wh, drawn_wh, stored_wh

ETA = 950_000


def test_stored_energy_is_rounded_down() -> None:
    assert stored_wh(1000, ETA) == 950
    assert stored_wh(1, ETA) == 0


def test_drawn_energy_is_rounded_up() -> None:
    assert drawn_wh(950, ETA) == 1000
    assert drawn_wh(1, ETA) == 2


def test_lossless_battery_gives_back_what_it_took() -> None:
    assert stored_wh(777, PPM) == drawn_wh(777, PPM) == chargeable_wh(777, PPM) == deliverable_wh(777, PPM) == 777


@pytest.mark.parametrize("ppm", [1, 500_000, 700_001, ETA, 999_999, PPM])
@pytest.mark.parametrize("wh", [1, 2, 19, 20, 1000])
def test_chargeable_is_the_largest_energy_that_fits(wh: int, ppm: int) -> None:
    e = chargeable_wh(wh, ppm)
    assert stored_wh(e, ppm) <= wh < stored_wh(e + 1, ppm)


@pytest.mark.parametrize("ppm", [500_000, 700_001, ETA, 999_999, PPM])
@pytest.mark.parametrize("wh", [1, 2, 19, 20, 1000])
def test_deliverable_is_the_largest_energy_that_is_there(wh: int, ppm: int) -> None:
    e = deliverable_wh(wh, ppm)
    assert drawn_wh(e, ppm) <= wh < drawn_wh(e + 1, ppm)


@pytest.mark.parametrize("wh", [0, -5])
def test_full_battery_takes_nothing_and_empty_one_gives_nothing(wh: int) -> None:
    """Not even the one Wh that would vanish in the losses; an overfull battery counts as full."""
    assert chargeable_wh(wh, ETA) == 0
    assert deliverable_wh(wh, ETA) == 0


def test_round_trip_never_gains() -> None:
    for wh in range(200):
        assert deliverable_wh(stored_wh(wh, ETA), ETA) <= wh * ETA * ETA // PPM // PPM


def test_largest_energies_do_not_overflow() -> None:
    assert stored_wh(2**31, ETA) == 2**31 * 95 // 100
    assert chargeable_wh(2**31, 1) == (2**31 + 1) * PPM - 1


def test_ideal_ratings_are_those_of_the_reference_study() -> None:
    """No losses, 0-100 %, and the whole capacity within one interval."""
    ratings = ideal_ratings(np.array([0, 5_000]))
    assert ratings.soc_min_wh.tolist() == ratings.self_discharge_ppm.tolist() == [0, 0]
    assert ratings.soc_max_wh.tolist() == ratings.max_charge_wh.tolist() == [0, 5_000]
    assert ratings.max_discharge_wh.tolist() == [0, 5_000]
    assert ratings.charge_ppm.tolist() == ratings.discharge_ppm.tolist() == [PPM, PPM]
