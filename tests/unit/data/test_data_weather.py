"""Tables of temperatures and of weather: gaps and ends by name, clocks as in tables of profiles."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cosim import DataError, Scenario
from data.temperature_table import read_temperatures
from data.weather_table import read_weather

HOURS = [f"2017-01-10T{hour:02d}:00Z" for hour in range(12)]


def write_table(folder: Path, times: list[str], values: list[str] | None = None) -> Path:
    cells = values or [f"{k}.5" for k in range(len(times))]
    rows = [f"{time},{cell}" for time, cell in zip(times, cells, strict=True)]
    (folder / "t.csv").write_text("\n".join(["time,temperature_c", *rows]))
    return folder / "t.csv"


REFUSED = {
    "a hole of four hours": (
        (HOURS[:4] + HOURS[7:], None),
        "t.csv, column 'time': expected a row every 1 h, got nothing between 2017-01-10T03:00:00 and "
        "2017-01-10T07:00:00 UTC; add the missing rows (gaps of up to 3 h are filled in)",
    ),
    "an empty cell": (
        (HOURS[:3], ["1", "", "3"]),
        "t.csv, column 'temperature_c', row 3: expected a temperature from -60 to 60 °C, got nothing",
    ),
    "a row twice": ((HOURS[:2] + HOURS[1:3], None), "row 4: expected times that rise from row to row"),
    "rows out of order": (([HOURS[1], HOURS[0], HOURS[2]], None), "row 3: expected times that rise from row to row"),
    "a word": (
        (HOURS[:2], ["1", "cold"]),
        "column 'temperature_c', row 3: expected a temperature from -60 to 60 °C, got 'cold'",
    ),
    "means of months": (([f"2017-{month:02d}-01T00:00Z" for month in range(1, 7)], None), "expected a row every 24 h"),
    "some times with an offset": (([HOURS[0], "2017-01-10T01:00"], None), "times that all have an offset or none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_missing_or_wrong_is_named(case: str, tmp_path: Path) -> None:
    (times, values), message = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read_temperatures(write_table(tmp_path, times, values))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_short_gaps_are_filled_and_told_in_one_note(tmp_path: Path) -> None:
    found = read_temperatures(write_table(tmp_path, [HOURS[k] for k in (0, 1, 4, 5, 7, 8)]))
    np.testing.assert_allclose(found.celsius, [0.5, 1.5, 1.5 + 1 / 3, 1.5 + 2 / 3, 2.5, 3.5, 4.0, 4.5, 5.5])
    assert found.notes == (
        "t.csv: 2 gaps, the first from 2017-01-10T01:00:00 to 2017-01-10T04:00:00 UTC, filled in by a line between the "
        "rows around it",
    )


def test_a_table_of_one_row_holds_for_an_hour(tmp_path: Path) -> None:
    found = read_temperatures(write_table(tmp_path, HOURS[:1]))
    asked = np.array(["2017-01-10T00:45", "2017-01-10T01:00"], "datetime64[s]")
    assert found.covers(asked).tolist() == [True, False]


WALL = ["2017-10-29 01:00", "2017-10-29 02:00", "2017-10-29 02:00", "2017-10-29 03:00"]
"""The hour that clocks in Berlin show twice; 23:00 UTC of the day before is the first."""


def test_temperatures_on_a_local_clock_have_both_hours_of_autumn(tmp_path: Path) -> None:
    found = read_temperatures(write_table(tmp_path, WALL), "Europe/Berlin")
    np.testing.assert_array_equal(found.time, np.datetime64("2017-10-28T23:00", "s") + 3600 * np.arange(4))
    assert any("repeated hour of 2017-10-29 told by the order" in note for note in found.notes)
    assert any("times without an offset on the clock of Europe/Berlin" in note for note in found.notes)


def write_weather(folder: Path, times: list[str]) -> Path:
    rows = [f"{time},{k},0,{k},8,2" for k, time in enumerate(times)]
    (folder / "w.csv").write_text("\n".join(["time,ghi,dni,dhi,temp_air,wind_speed", *rows]))
    return folder / "w.csv"


def test_weather_on_a_local_clock_is_that_in_utc(tmp_path: Path) -> None:
    hours = np.datetime64("2017-10-28T23:00", "s") + 3600 * np.arange(4)
    local = read_weather(write_weather(tmp_path, WALL), hours, "Europe/Berlin")
    utc = read_weather(write_weather(tmp_path, [f"{hour}Z" for hour in hours]), hours)
    np.testing.assert_array_equal(local.ghi, utc.ghi)
    assert local.ghi.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert "on the clock of Europe/Berlin" in local.note
    assert "clock" not in utc.note


def test_dates_of_both_tables_may_have_the_day_first(tmp_path: Path) -> None:
    times = [f"03/04/2017 {hour:02d}:00" for hour in range(3)]
    hours = np.datetime64("2017-04-03T00", "s") + 3600 * np.arange(3)
    with pytest.raises(DataError, match="day_first"):
        read_temperatures(write_table(tmp_path, times))
    np.testing.assert_array_equal(read_temperatures(write_table(tmp_path, times), day_first=True).time, hours)
    assert read_weather(write_weather(tmp_path, times), hours, day_first=True).ghi.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("read", [read_temperatures, lambda path: read_weather(path, np.array([], "datetime64[s]"))])
def test_a_clock_that_was_turned_back_is_named_by_keys_that_exist(read: object, tmp_path: Path) -> None:
    """The message about the repeated hour names a key of the scenario, for users who have no option."""
    path = (write_table if read is read_temperatures else write_weather)(tmp_path, WALL)
    with pytest.raises(DataError, match="row 4: expected") as caught:
        read(path)  # type: ignore[operator]
    (key,) = re.findall(r"profiles\.(\w+)", str(caught.value))
    assert key in type(Scenario().profiles).model_fields
