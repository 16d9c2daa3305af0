"""Names of time zones: what is accepted works everywhere, everything else is refused in the same words by every key."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError
from cosim.cli.app import app
from cosim.results.local_time import find_zone as find_zone_of_report
from cosim.results.local_time import show_time
from data.clock import localise
from data.errors import DataError
from data.tariffs import Band, price_by_bands
from data.zones import find_zone

NO_ZONES = ("posixrules", "right/UTC", "posix/Europe/Berlin", "localtime", "Factory", "Mars/Base", "Europe", "", ".")
STRANGE = ("../../etc/passwd", "/etc/localtime", "UTC+1", "+01:00", "Europe/Berlin\0", "Europe/Berlin ", "x" * 5000)
KEYS = [name for name, section in Scenario() if "timezone" in getattr(type(section), "model_fields", ())]
WALL = np.arange("2017-01-01", "2018-01-01", 7 * 3600, "datetime64[s]")


def list_files() -> Iterator[str]:
    """Names of all files and folders beside the zones of this computer."""
    for folder in map(Path, zoneinfo.TZPATH):
        yield from (str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_name_that_is_accepted_works_and_every_zone_is() -> None:
    """Whatever lies on disk beside the zones: no key lets a name through that a library then does not know."""
    whole_day = Band(250_000, 2**24 - 1, 2**7 - 1, 2**12 - 1)
    accepted = set()
    for name in {*zoneinfo.available_timezones(), *list_files(), *NO_ZONES, *STRANGE}:
        try:
            zone = find_zone(name).key
        except DataError:
            continue
        accepted.add(name)
        utc = localise(WALL, zone, [np.zeros(WALL.size, np.int64)]).utc
        assert np.abs(utc[0] - WALL[0]) <= np.timedelta64(15, "h")
        assert set(price_by_bands(WALL, [whole_day], zone).tolist()) == {250_000}
    assert accepted == zoneinfo.available_timezones() - {"localtime", "Factory"}


@pytest.mark.parametrize("name", [*NO_ZONES, *STRANGE])
def test_every_key_for_a_zone_refuses_in_the_same_words(name: str) -> None:
    with pytest.raises(DataError) as reason:
        find_zone(name)
    assert sorted(KEYS) == ["charges", "horizon", "profiles", "tariff"]
    for section in KEYS:
        with pytest.raises(ScenarioError) as caught:
            Scenario().with_changes(**{section: {"timezone": name}})
        assert f"{section}.timezone: {reason.value}" in str(caught.value)


def test_the_report_knows_the_zones_of_the_scenario() -> None:
    for name in ("Europe/Berlin", "EST5EDT", "Etc/GMT+3"):
        zone = find_zone_of_report(Scenario().with_changes(horizon={"timezone": name}))
        assert zone is not None
        assert show_time("2017-06-17T11:00:00Z", zone).startswith("2017-06-17 11:00 UTC (")


@pytest.mark.parametrize("section", KEYS)
@pytest.mark.parametrize("name", ["posixrules", "right/UTC"])
def test_a_run_by_a_zone_that_is_none_ends_with_code_2(
    section: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bands = "bands = [{price_eur_per_kwh = 0.3}]" if section == "tariff" else ""
    Path("s.toml").write_text(f'[{section}]\ntimezone = "{name}"\n{bands}\n')
    done = CliRunner().invoke(app, ["run", "s.toml", "--out", "out"], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert f"{section}.timezone: expected a name like Europe/Madrid or UTC, got '{name}'" in done.output
    assert not Path("out").exists()
