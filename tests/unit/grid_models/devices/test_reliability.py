"""Units that fail: what is refused and why, shapes, chances of failure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from grid_models.devices.reliability import Source, Storage, Units, survival_chance
from grid_models.errors import GridError


def test_chance_of_failure_is_one_over_the_mean_in_an_hour_and_compounds() -> None:
    unit = Units(mean_hours_to_failure=5)
    assert unit.failure_chance(1.0) == pytest.approx(0.2)
    assert 1.0 - unit.failure_chance(0.25) == pytest.approx(0.8**0.25)
    assert Units(mean_hours_to_failure=1).failure_chance(1.0) == 1.0
    assert Units(mean_hours_to_failure=math.inf).failure_chance(1.0) == 0.0


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Units(-1), "units that fail, units: expected 0 <= value"),
        (
            lambda: Units(availability=98.0),
            "availability: expected 0 <= value <= 1, got 98; give a share, not per cent",
        ),
        (lambda: Units(start_chance=-0.1), "start_chance: expected"),
        (lambda: Units(mean_hours_to_failure=0.5), "mean_hours_to_failure: expected 1 <= value, got 0.5; give hours"),
        (lambda: Storage(-1.0, Units(), 1.0), "storage, capacity_kwh: expected"),
        (lambda: Storage(1.0, Units(), 1.0, charge_efficiency=0.0), "charge_efficiency: expected 0 < value <= 1"),
    ],
)
def test_numbers_outside_their_range_are_refused(make: Any, expected: str) -> None:
    with pytest.raises(GridError, match=expected):
        make()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"load_kw": np.ones(3)}, r"load_kw: expected shape \(S, T\), got \(3,\)"),
        ({"load_kw": np.full((1, 3), np.nan)}, "load_kw: expected -inf < value < inf, got nan"),
        ({"start_kwh": 3.0}, "start_kwh: expected 0 <= value <= 2, got 3; give the charge above its lower bound"),
        ({"start_kwh": np.ones(2)}, r"start_kwh: expected a number or shape \(1,\), got \(2,\)"),
        ({"step_kwh": 0.0}, "step_kwh: expected 0 < value < inf"),
        ({"hours": 0.0}, "hours: expected 0 < value < inf"),
        ({"sources": [Source(Units(), np.ones(2))]}, r"unit_kw: expected a number or shape \(1, 3\), got \(2,\)"),
        ({"sources": [Source(Units(), -1.0)]}, "unit_kw: expected 0 <= value < inf, got -1"),
    ],
)
def test_what_cannot_be_computed_is_refused(changes: dict[str, Any], expected: str) -> None:
    fits = {"load_kw": np.ones((1, 3)), "sources": [], "storage": Storage(2.0, Units(), 1.0), "start_kwh": 1.0}
    with pytest.raises(GridError, match=expected):
        survival_chance(**{**fits, **changes})


def test_panels_supply_hour_by_hour_and_outages_are_independent() -> None:
    load, sun = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    found = survival_chance(load, [Source(Units(availability=0.9), sun)])
    assert found.low == pytest.approx(np.array([[0.9, 0.0], [1.0, 0.9]]))


def test_inverters_limit_what_a_storage_gives() -> None:
    storage = Storage(10.0, Units(2, availability=0.5), 1.0)
    found = survival_chance(np.array([[2.0], [1.0], [0.0]]), [], storage, start_kwh=10.0)
    assert found.low[:, 0] == pytest.approx([0.25, 0.75, 1.0])


@pytest.mark.parametrize(
    ("capacity_kwh", "load_kw", "survives"), [(5.0, 0.71, 1.0), (5.0, 0.73, 0.0), (0.5, 0.44, 1.0), (0.5, 0.46, 0.0)]
)
def test_what_is_stored_is_within_power_efficiency_and_capacity(
    capacity_kwh: float, load_kw: float, survives: float
) -> None:
    """A surplus of 3 kW through 1 kW at 80 % stores 0.8 kWh, of which 90 % come out: 0.72 kWh, or 0.45 of 0.5 kWh."""
    storage = Storage(capacity_kwh, Units(1), 1.0, charge_efficiency=0.8, discharge_efficiency=0.9)
    found = survival_chance(np.array([[-3.0, load_kw]]), [], storage, step_kwh=0.01)
    assert found.low[0].tolist() == found.high[0].tolist() == [1.0, survives]


def test_a_capacity_between_two_steps_is_rounded_to_either_side() -> None:
    found = survival_chance(np.array([[-2.0, 1.5]]), [], Storage(1.5, Units(), 2.0), step_kwh=1.0)
    assert (found.low[0, 1], found.high[0, 1]) == (0.0, 1.0)
