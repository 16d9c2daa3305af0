"""Droop: where the formers' lines meet."""

from __future__ import annotations

import numpy as np
import pytest

from grid_models.devices.frequency import droop_frequency


def test_full_load_pulls_one_source_down_by_its_droop() -> None:
    island = droop_frequency(5.0, 5.0)
    assert island.hz[0] == pytest.approx(50.0 * (1 - 0.02))
    assert not island.in_band[0]


def test_no_imbalance_is_nominal_frequency() -> None:
    assert droop_frequency(0.0, [3.0, 4.0]).hz[0] == 50.0


def test_surplus_raises_the_frequency() -> None:
    island = droop_frequency([-1.0, 1.0], [10.0])
    assert island.hz[0] > 50.0 > island.hz[1]
    assert island.hz[0] - 50.0 == pytest.approx(50.0 - island.hz[1])


def test_shares_add_up_and_follow_rating_over_droop() -> None:
    island = droop_frequency([6.0], [10.0, 10.0, 20.0], droop=[0.02, 0.04, 0.04])
    assert island.share_kw[0].sum() == pytest.approx(6.0)
    np.testing.assert_allclose(island.share_kw[0] / island.share_kw[0, 1], [2.0, 1.0, 2.0])


def test_every_source_sees_the_same_frequency_on_its_own_line() -> None:
    rated, droop = np.array([5.0, 15.0]), np.array([0.02, 0.05])
    island = droop_frequency([4.0], rated, droop=droop)
    own = 50.0 * (1 - droop * island.share_kw[0] / rated)
    np.testing.assert_allclose(own, island.hz[0])


def test_the_band_is_49_5_to_50_5_hz_with_its_ends() -> None:
    island = droop_frequency([5.0, 5.1, -5.0, -5.1], [10.0], droop=0.02)
    assert island.hz.tolist() == pytest.approx([49.5, 49.49, 50.5, 50.51])
    assert island.in_band.tolist() == [True, False, True, False]
