"""PVWatts is pvlib's, system losses included."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pvlib
import pytest

from grid_models.devices.pv import pvwatts, pvwatts_ac, pvwatts_dc
from grid_models.errors import GridError


def test_pvwatts_is_pvlib() -> None:
    irradiance, temperature = np.meshgrid(np.linspace(0.0, 1200.0, 41), np.linspace(-20.0, 75.0, 39))
    dc = pvlib.pvsystem.pvwatts_dc(irradiance, temperature, 5000.0, -0.004)
    expected = pvlib.inverter.pvwatts(dc * (1.0 - pvlib.pvsystem.pvwatts_losses() / 100.0), 4200.0 / 0.97, 0.97)
    got = pvwatts(irradiance, temperature, 5000.0, gamma_per_k=-0.004, inverter_w=4200.0, efficiency=0.97)
    np.testing.assert_allclose(got, expected, rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(pvwatts_dc(irradiance, temperature, 5000.0, -0.004), dc, rtol=0.0, atol=1e-9)
    assert np.max(got) == pytest.approx(4200.0)


def test_a_year_is_that_of_the_model_chain() -> None:
    """A clear-sky year in Madrid, through pvlib's own chain, of which ours takes irradiance and cell temperature."""
    place = pvlib.location.Location(40.4, -3.7, "UTC", 660.0)
    times = pd.date_range("2017-01-01", "2018-01-01", freq="h", inclusive="left", tz="UTC")
    sky = place.get_clearsky(times, model="haurwitz")
    sun = place.get_solarposition(times)
    split = pvlib.irradiance.erbs(sky["ghi"], sun["zenith"], times)
    day = np.asarray(times.hour + 24.0 * times.dayofyear)
    weather = pd.DataFrame(
        {"ghi": sky["ghi"], "dni": split["dni"], "dhi": split["dhi"], "wind_speed": 2.0}, index=times
    ).assign(temp_air=15.0 - 10.0 * np.cos(2 * np.pi * day / 8760.0) - 5.0 * np.cos(2 * np.pi * (day - 3) / 24.0))
    system = pvlib.pvsystem.PVSystem(
        surface_tilt=30.0,
        surface_azimuth=180.0,
        module_parameters={"pdc0": 5000.0, "gamma_pdc": -0.0035},
        inverter_parameters={"pdc0": 4500.0},
        temperature_model_parameters=pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["open_rack_glass_glass"],
    )
    chain = pvlib.modelchain.ModelChain.with_pvwatts(system, place)
    chain.run_model(weather)
    irradiance = chain.results.effective_irradiance.fillna(0.0).to_numpy()
    got = np.asarray(pvwatts(irradiance, chain.results.cell_temperature.to_numpy(), 5000.0, inverter_w=4500.0 * 0.96))
    expected = chain.results.ac.fillna(0.0).to_numpy()
    assert expected.sum() > 1e6
    assert got.sum() == pytest.approx(expected.sum(), rel=1e-3)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-6)


def test_losses_of_the_system_are_1408_per_cent_unless_given() -> None:
    given = float(pvwatts(1000.0, 25.0, 100.0, losses=0.1407566))
    assert pvwatts(1000.0, 25.0, 100.0) == pytest.approx(given, rel=1e-6)
    assert pvwatts(1000.0, 25.0, 100.0, losses=0.0) == pytest.approx(96.0)


def test_an_inverter_left_out_is_as_large_as_the_panels() -> None:
    assert pvwatts(1000.0, 25.0, 5000.0, losses=0.0) == pytest.approx(float(pvwatts_ac(5000.0, 5000.0)))


def test_a_missing_pvlib_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pvlib", None)
    with pytest.raises(GridError, match=r"expected the package pvlib, found none; install it with: .*\[pv\]"):
        pvwatts(900.0, 30.0, 100.0)
