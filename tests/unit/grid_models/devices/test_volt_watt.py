"""P(V): the characteristic of an inverter that reduces its active power at high voltage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models.devices.volt_watt import VoltWatt
from grid_models.errors import GridError
from grid_models.response.active_control import ActiveControl

VOLTAGES = st.floats(0.8, 1.3)


@pytest.mark.parametrize(
    ("vm_pu", "share", "said"),
    [
        ((1.10, 1.06), 0.2, "two rising voltages"),
        ((1.06,), 0.2, "two rising voltages"),
        ((1.06, 1.08, 1.10), 0.2, "two rising voltages"),
        ((1.06, 1.10), 1.2, "share"),
        ((0.0, 1.10), 0.2, "vm_pu"),
    ],
)
def test_points_that_are_none_are_refused(vm_pu: tuple[float, ...], share: float, said: str) -> None:
    with pytest.raises(GridError, match=said):
        VoltWatt(vm_pu, share)


@given(low=VOLTAGES, high=VOLTAGES, available=st.floats(0, 10), rated=st.floats(0.1, 10), share=st.floats(0, 1))
def test_never_more_at_a_higher_voltage_and_never_more_than_there_is(
    low: float, high: float, available: float, rated: float, share: float
) -> None:
    control = ActiveControl(VoltWatt((1.03, 1.08), share), np.array([rated]))
    at_low, at_high = (float(control.passed_kw(np.array([available]), np.array([v]))[0]) for v in sorted((low, high)))
    assert at_high <= at_low <= available
    assert at_high >= min(available, share * rated)


def test_a_dark_bus_and_a_house_without_panels_are_left_alone() -> None:
    control = ActiveControl(VoltWatt(), np.array([5.0, 0.0]))
    assert control.passed_kw(np.array([4.0, 3.0]), np.array([np.nan, 1.2])).tolist() == [4.0, 3.0]
