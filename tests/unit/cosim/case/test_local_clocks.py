"""The clock of `profiles.timezone` is that of every table with times; its key is refused where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cosim import Scenario, ScenarioError
from cosim.case.case import MarketCase, build_market

AUTUMN = Scenario().with_changes(
    horizon={"start": "2017-10-28T22:00:00Z", "hours": 30}, houses={"n_houses": 3, "n_prosumers": 2}
)
HOURS = pd.date_range("2017-10-20T00:00", "2017-11-01T00:00", freq="h", tz="UTC")


def with_temperatures(folder: Path, times: pd.Index) -> Scenario:
    celsius = np.random.default_rng(3).uniform(-5.0, 15.0, times.size).round(2)
    pd.DataFrame({"time": times, "temperature_c": celsius}).to_csv(folder / "t.csv", index=False)
    return AUTUMN.with_changes(heat_pump={"n_heat_pumps": 2, "temperature_file": folder / "t.csv"})


def notes(market: MarketCase) -> str:
    return str(market.profiles.provenance.get("notes", ""))


def test_temperatures_on_the_clock_of_the_scenario_are_those_in_utc(tmp_path: Path) -> None:
    utc = build_market(with_temperatures(tmp_path, HOURS.strftime("%Y-%m-%dT%H:%MZ")))
    wall = HOURS.tz_convert("Europe/Berlin").strftime("%d.%m.%Y %H:%M")
    local = build_market(with_temperatures(tmp_path, wall).with_changes(profiles={"timezone": "Europe/Berlin"}))
    np.testing.assert_array_equal(local.fleet.flexible.used_wh, utc.fleet.flexible.used_wh)
    np.testing.assert_array_equal(local.fleet.flexible.gain_ppm, utc.fleet.flexible.gain_ppm)
    assert "t.csv: dates with the day first" in notes(local)
    assert "times without an offset on the clock of Europe/Berlin" in notes(local)
    assert "t.csv" not in notes(utc)


def test_the_order_of_day_and_month_is_that_of_the_scenario(tmp_path: Path) -> None:
    scenario = with_temperatures(tmp_path, HOURS[12 * 24 :].strftime("%d/%m/%Y %H:%M"))
    with pytest.raises(ValueError, match="order of day and month"):
        build_market(scenario)
    with pytest.raises(ValueError, match="got 2017-01-11T00:00:00 to"):
        build_market(scenario.with_changes(profiles={"day_first": False}))


def test_weather_is_on_the_clock_of_the_scenario(tmp_path: Path) -> None:
    pytest.importorskip("pvlib")
    pv = {"source": "pvwatts", "weather_file": tmp_path / "w.csv", "latitude_deg": 48.1, "longitude_deg": 11.6}
    found = []
    for zone, times in (("UTC", HOURS), ("Europe/Berlin", HOURS.tz_convert("Europe/Berlin"))):
        ghi = np.random.default_rng(3).uniform(0.0, 300.0, HOURS.size)
        frame = pd.DataFrame({"time": times.strftime("%Y-%m-%d %H:%M"), "ghi": ghi, "dni": ghi, "dhi": ghi / 3})
        frame.assign(temp_air=8.0, wind_speed=2.0).to_csv(tmp_path / "w.csv", index=False)
        found.append(build_market(AUTUMN.with_changes(pv=pv, profiles={"timezone": zone})))
    np.testing.assert_array_equal(found[0].profiles.pv_wh, found[1].profiles.pv_wh)
    assert found[0].profiles.pv_wh.any()
    assert "on the clock of Europe/Berlin" in notes(found[1])


def test_a_clock_without_a_table_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"profiles\.timezone: .*pv\.weather_file or heat_pump\.temperature_file"):
        build_market(AUTUMN.with_changes(profiles={"timezone": "Europe/Berlin"}))
