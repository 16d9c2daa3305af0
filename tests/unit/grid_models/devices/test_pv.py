"""PVWatts is pvlib's, unchanged."""

from __future__ import annotations

import sys

import numpy as np
import pvlib
import pytest

from grid_models.devices.pv import pvwatts, pvwatts_ac, pvwatts_dc
from grid_models.errors import GridError


def test_pvwatts_is_pvlib() -> None:
    irradiance, temperature = np.meshgrid(np.linspace(0.0, 1200.0, 41), np.linspace(-20.0, 75.0, 39))
    dc = pvlib.pvsystem.pvwatts_dc(irradiance, temperature, 5000.0, -0.004)
    expected = pvlib.inverter.pvwatts(dc, 4200.0 / 0.97, 0.97)
    got = pvwatts(irradiance, temperature, 5000.0, gamma_per_k=-0.004, inverter_w=4200.0, efficiency=0.97)
    np.testing.assert_allclose(got, expected, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(pvwatts_dc(irradiance, temperature, 5000.0, -0.004), dc, rtol=0.0, atol=1e-9)
    assert np.max(got) == pytest.approx(4200.0)


def test_an_inverter_left_out_is_as_large_as_the_panels() -> None:
    assert pvwatts(1000.0, 25.0, 5000.0) == pytest.approx(float(pvwatts_ac(5000.0, 5000.0)))


def test_a_missing_pvlib_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pvlib", None)
    with pytest.raises(GridError, match=r"expected the package pvlib, found none; install it with: .*\[pv\]"):
        pvwatts(900.0, 30.0, 100.0)
