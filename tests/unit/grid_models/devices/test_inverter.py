"""Reactive power: signs, rules and the rating."""

from __future__ import annotations

import numpy as np
import pytest
from physics_helpers import IEEE_1547_B

from grid_models.devices.inverter import (
    VDE_AR_N_4105,
    Characteristic,
    Inverter,
    reactive_limit_kvar,
    reactive_power_kvar,
)


def test_no_rule_is_no_reactive_power() -> None:
    assert reactive_power_kvar(Inverter(5.0), np.array([0.0, 3.0, -3.0])).tolist() == [0.0, 0.0, 0.0]


def test_underexcited_absorbs_whether_it_injects_or_draws_power() -> None:
    p = np.array([4.0, -4.0, 0.0])
    absorbing = reactive_power_kvar(Inverter(10.0, "cos_phi", cos_phi=0.9), p)
    injecting = reactive_power_kvar(Inverter(10.0, "cos_phi", cos_phi=0.9, underexcited=False), p)
    tan_phi = np.sqrt(1 - 0.9**2) / 0.9
    np.testing.assert_allclose(absorbing, [-4 * tan_phi, -4 * tan_phi, 0.0])
    np.testing.assert_allclose(injecting, -np.asarray(absorbing))


def test_power_factor_is_kept_until_the_rating_is_reached() -> None:
    p = np.array([4.5, 4.9])
    q = np.asarray(reactive_power_kvar(Inverter(5.0, "cos_phi", cos_phi=0.9), p))
    assert p[0] / np.hypot(p[0], q[0]) == pytest.approx(0.9)
    assert np.hypot(p[1], q[1]) == pytest.approx(5.0)


def test_active_power_beyond_the_rating_leaves_no_reactive_power() -> None:
    assert reactive_limit_kvar(5.0, 5.2) == 0.0
    assert reactive_power_kvar(Inverter(5.0, "q_v"), 5.2, 1.10) == 0.0


@pytest.mark.parametrize(
    ("curve", "vm_pu", "q_pu"),
    [
        (
            VDE_AR_N_4105,
            [0.90, 0.93, 0.95, 0.97, 1.0, 1.03, 1.07, 1.10],
            [0.436, 0.436, 0.218, 0, 0, 0, -0.436, -0.436],
        ),
        (
            IEEE_1547_B,
            [0.90, 0.92, 0.95, 0.98, 1.0, 1.02, 1.05, 1.08],
            [0.44, 0.44, 0.22, 0, 0, 0, -0.22, -0.44],
        ),
    ],
)
def test_standard_characteristics_at_their_corners_and_halfway(
    curve: Characteristic, vm_pu: list[float], q_pu: list[float]
) -> None:
    np.testing.assert_allclose(curve.q_at(np.array(vm_pu)), q_pu, atol=1e-12)


def test_ends_of_the_vde_characteristic_are_a_power_factor_of_0_9() -> None:
    assert VDE_AR_N_4105.q_pu[0] == pytest.approx(np.sin(np.arccos(0.9)), abs=5e-4)


def test_an_own_characteristic_is_followed() -> None:
    own = Inverter(10.0, "q_v", characteristic=Characteristic((0.9, 1.0, 1.1), (0.3, 0.0, -0.6)))
    np.testing.assert_allclose(reactive_power_kvar(own, 0.0, np.array([0.95, 1.05])), [1.5, -3.0])


def test_a_dark_bus_gets_no_reactive_power() -> None:
    q = reactive_power_kvar(Inverter(5.0, "q_v"), 0.0, np.array([np.nan, 1.07]))
    np.testing.assert_allclose(q, [0.0, -2.18])


def test_power_and_voltage_broadcast() -> None:
    q = reactive_power_kvar(Inverter(5.0, "q_v"), np.zeros((2, 1)), np.array([0.9, 1.0, 1.1]))
    assert np.shape(q) == (2, 3)
