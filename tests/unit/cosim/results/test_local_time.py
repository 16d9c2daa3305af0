"""Local time beside UTC: daylight saving time, the key of the scenario, and that it changes no result."""

from __future__ import annotations

import pandas as pd
import pytest

from cosim.errors import ScenarioError
from cosim.report.figures.network import draw_hour_by_day
from cosim.results.local_time import find_zone, show_local, show_time
from cosim.scenario.model import Scenario

BERLIN = Scenario().with_changes(horizon={"timezone": "Europe/Berlin"})


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2017-03-26T00:00:00Z", "2017-03-26 01:00 CET"),
        ("2017-03-26T01:00:00Z", "2017-03-26 03:00 CEST"),
        ("2017-10-29T00:00:00Z", "2017-10-29 02:00 CEST"),
        ("2017-10-29T01:00:00Z", "2017-10-29 02:00 CET"),
        ("2017-12-31T23:00:00Z", "2018-01-01 00:00 CET"),
    ],
)
def test_clocks_go_forward_and_back(utc: str, local: str) -> None:
    zone = find_zone(BERLIN)
    assert zone is not None
    assert show_local(pd.Timestamp(utc), zone) == local
    assert show_time(utc, zone) == f"{utc[:10]} {utc[11:16]} UTC ({local.removeprefix(utc[:10] + ' ')})"


def test_utc_is_not_shown_twice() -> None:
    assert find_zone(Scenario()) is None
    assert show_time("2017-03-26T01:00:00Z", find_zone(Scenario())) == "2017-03-26 01:00 UTC"


def test_the_time_zone_is_no_part_of_the_digest() -> None:
    assert BERLIN.digest() == Scenario().digest()


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"horizon\.timezone.*Europe/Madrid.*Mars"):
        Scenario().with_changes(horizon={"timezone": "Mars"})


def test_the_hour_that_clocks_skip_is_empty_and_the_one_that_comes_twice_has_the_extreme() -> None:
    times = pd.date_range("2017-03-25", "2017-03-28", freq="h", tz="UTC", inclusive="left")
    figure = draw_hour_by_day(pd.Series(range(len(times)), times, dtype=float), "kW", 1, find_zone(BERLIN))
    grid = pd.DataFrame(*(figure.data[0][axis] for axis in "zyx"))
    assert grid["2017-03-26"].isna().to_dict() == {hour: hour == 2 for hour in range(24)}
    assert "Europe/Berlin" in figure.layout["yaxis"]["title"]["text"]
    times = pd.date_range("2017-10-28T22:00", periods=25, freq="h", tz="UTC")
    figure = draw_hour_by_day(pd.Series(range(25), times, dtype=float), "kW", 1, find_zone(BERLIN))
    assert figure.data[0]["z"][2, 0] == 3.0
