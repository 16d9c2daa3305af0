"""Panels under the weather: each roof by pvlib, kept with the run, and a typical year for any year."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cosim import DataError, Scenario, ScenarioError, run
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_market
from data.weather_table import read_weather

pvlib = pytest.importorskip("pvlib")
PLACE = {"latitude_deg": 48.1, "longitude_deg": 11.6}


def write_weather(folder: Path, start: str = "2017-06-01", hours: int = 24) -> Path:
    time = pd.date_range(start, periods=hours, freq="h", tz="UTC")
    clear = pvlib.location.Location(48.1, 11.6).get_clearsky(time + pd.Timedelta(minutes=30), model="haurwitz")
    ghi = clear["ghi"].to_numpy()
    frame = pd.DataFrame(
        {"time": time, "ghi": ghi, "dni": 0.7 * ghi, "dhi": 0.3 * ghi, "temp_air": 18.0, "wind_speed": 2.0}
    )
    frame.to_csv(folder / "weather.csv", index=False)
    return folder / "weather.csv"


def scenario_of(
    folder: Path, rows: str = "house_01,5,30,90\nhouse_02,5,30,270\nhouse_03,5,0,\n", **pv: object
) -> Scenario:
    (folder / "houses.csv").write_text(f"participant,pv_kwp,pv_tilt_deg,pv_azimuth_deg\n{rows}")
    return Scenario().with_changes(
        horizon={"start": "2017-06-01T00:00:00Z", "hours": 24},
        houses={"n_houses": 4, "n_prosumers": 0, "table": folder / "houses.csv"},
        pv={"source": "pvwatts", "weather_file": write_weather(folder), **PLACE, **pv},
    )


def test_a_roof_is_pvlibs_chain_of_models(tmp_path: Path) -> None:
    profiles = build_market(scenario_of(tmp_path)).profiles
    frame = pd.read_csv(tmp_path / "weather.csv", parse_dates=["time"]).set_index("time")
    frame.index = frame.index + pd.Timedelta(minutes=30)
    mounting = pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["close_mount_glass_glass"]
    for k, (tilt, azimuth) in enumerate([(30, 90), (30, 270), (0, 180)]):
        system = pvlib.pvsystem.PVSystem(
            surface_tilt=tilt,
            surface_azimuth=azimuth,
            module_parameters={"pdc0": 5000.0, "gamma_pdc": -0.0035},
            inverter_parameters={"pdc0": 5000.0, "eta_inv_nom": 0.96},
            temperature_model_parameters=mounting,
        )
        chain = pvlib.modelchain.ModelChain.with_pvwatts(system, pvlib.location.Location(48.1, 11.6))
        expected = chain.run_model(frame).results.ac.to_numpy()
        np.testing.assert_allclose(profiles.pv_wh[:, k], np.nan_to_num(expected), atol=1.0)
    east, west = profiles.pv_wh[:, 0], profiles.pv_wh[:, 1]
    assert np.argmax(east) < np.argmax(profiles.pv_wh[:, 2]) < np.argmax(west)
    assert not profiles.pv_wh[:, 3].any()


def test_quarter_hours_have_the_energy_of_their_hour(tmp_path: Path) -> None:
    hourly = scenario_of(tmp_path)
    quarters = build_market(hourly.with_changes(horizon={"interval_minutes": 15})).profiles.pv_wh
    whole = build_market(hourly).profiles.pv_wh
    np.testing.assert_allclose(quarters.reshape(24, 4, -1).sum(axis=1), whole, atol=2)


@pytest.mark.slow
def test_a_run_keeps_what_the_weather_made(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path).with_changes(community={"enabled": True, "fuel_cell": "none"})
    result = run(scenario, tmp_path / "run")
    (tmp_path / "weather.csv").unlink()
    assert rerun_ledger(tmp_path / "run").ok
    assert result.summary["energy_kwh"]["pv"] > 60
    assert any("weather of weather.csv" in note for note in result.summary["notes"])


def test_a_typical_year_serves_any_year(tmp_path: Path) -> None:
    path = write_weather(tmp_path, "2005-01-01", 8760)
    days = np.arange("2016-02-28", "2016-03-02", dtype="datetime64[h]")
    found = read_weather(path, days)
    assert found.note.endswith("a typical year")
    np.testing.assert_array_equal(found.ghi[:24], found.ghi[24:48])
    assert not np.array_equal(found.ghi[24:48], found.ghi[48:])


BAD = {
    "no weather": ({"weather_file": None}, "pv.weather_file: expected one for pv.source"),
    "no place": ({"latitude_deg": None}, "pv.latitude_deg: expected one for pv.source"),
    "polar": ({"latitude_deg": 80}, "latitude_deg: expected less than or equal to 66"),
    "no source": ({"source": "profiles"}, "pv.weather_file: expected its default"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_weather_needs_is_asked_for(name: str, tmp_path: Path) -> None:
    changes, message = BAD[name]
    with pytest.raises(ScenarioError, match=message):
        build_market(scenario_of(tmp_path, "house_01,5,,\n").with_changes(pv=changes))


TABLES = {
    "gap": (lambda text: "\n".join(text.splitlines()[:5] + text.splitlines()[6:]), "expected a row for every hour"),
    "short": (
        lambda text: "\n".join(text.splitlines()[:8]),
        "expected weather from .* or a typical year of 8760 h",
    ),
    "column": (lambda text: text.replace("dni", "beam"), "column 'beam': expected one of"),
    "kelvin": (
        lambda text: text.replace("18.0", "291.0"),
        "column 'temp_air', row 2: expected -60 to 60 °C, got '291'",
    ),
    "dark": (lambda text: text.replace(",2.0", ",-2.0"), "column 'wind_speed', row 2: expected 0 to 60 m/s"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_weather_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    spoil, message = TABLES[name]
    scenario = scenario_of(tmp_path)
    (tmp_path / "weather.csv").write_text(spoil((tmp_path / "weather.csv").read_text()))
    with pytest.raises(DataError, match=message):
        build_market(scenario)
