"""Cars and heat pumps of a scenario: what is refused, what the user's table does, and a run that is taken up again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from live_world import close_all, close_until, join, state_device, submit
from naive_ledger import first_fault
from typer.testing import CliRunner

import cosim.simulation.simulate
from cosim import Scenario, ScenarioError, run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_market
from cosim.case.flexible import digest_devices
from cosim.cli.app import app
from cosim.results.csv_text import format_csv
from cosim.simulation.simulate import Progress
from cosim.web.live.run import LiveRun
from data.ev_sessions import KM_A_YEAR, draw_sessions
from data.weather import NORMALS_C, draw_temperature_c
from market.exchanges import Ask
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import Change, DeviceKind

WINTER = Scenario().with_changes(
    horizon={"hours": 48, "start": "2017-01-10T00:00:00Z"},
    houses={"n_houses": 6, "n_prosumers": 3},
    network={"n_branches": 2, "spacing_m": 200.0},
    ev={"n_cars": 4, "charger_kw": 22.0},
    heat_pump={"n_heat_pumps": 3},
    limits={"min_vm_pu": 0.99},
    engine={"verify_sample": 0, "window": 8},
)

KEYS = {"operator_key": "operator.pem", "member_keys": "keys"}
REFUSED = {
    "more cars than houses": ({"ev": {"n_cars": 7}}, "ev.n_cars: expected at most one for each of 6 houses, got 7"),
    "more heat pumps than houses": (
        {"heat_pump": {"n_heat_pumps": 9}},
        "heat_pump.n_heat_pumps: expected at most one for each of 6 houses, got 9",
    ),
    "a rating that there is not": ({"ev": {"charger_kw": 10.0}}, "expected 3.7, 7.4, 11 or 22 kW, got 10"),
    "cars that feed back": ({"ev": {"v2g": True}}, "v2g: expected false, since cars do not discharge"),
    "a strategy that there is not": ({"ev": {"strategy": "clever"}}, "strategy"),
    "no cars at all": ({"ev": {"n_cars": -1}}, "n_cars"),
    "a battery without content": ({"ev": {"battery_kwh": 0.0}}, "battery_kwh"),
    "an efficiency above 1": ({"ev": {"efficiency": 1.1}}, "efficiency"),
    "a buffer too small": ({"heat_pump": {"buffer_kwh": 1.0}}, "buffer_kwh: expected at least 8.4 kWh"),
    "a private ledger": (
        {"ledger": {"private": True, **KEYS}},
        "ledger.private: expected false where houses have cars",
    ),
    "a table that is not there": ({"heat_pump": {"temperature_file": "none.csv"}}, "none.csv"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_message(case: str) -> None:
    changes, message = REFUSED[case]
    with pytest.raises((ScenarioError, ValueError)) as caught:
        build_market(WINTER.with_changes(**changes))
    assert message in str(caught.value)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hplib.hplib", None)
    with pytest.raises(ScenarioError, match=r'pip install "gridsettle\[heat\]", or take cop = "quadratic"'):
        build_market(WINTER.with_changes(heat_pump={"cop": "hplib"}))


@pytest.mark.parametrize("source", ["air", "ground"])
def test_hplib_and_the_quadratic_are_near_each_other(source: str) -> None:
    pytest.importorskip("hplib")
    cop = {}
    for name in ("hplib", "quadratic"):
        case = build_market(WINTER.with_changes(heat_pump={"cop": name, "source": source}))
        cop[name] = case.fleet.flexible.gain_ppm[:, -1].mean() / 1e6
    assert 0.75 < cop["quadratic"] / cop["hplib"] < 1.25


def write_temperatures(path: Path, values: list[float], first: str = "2017-01-10T00:00") -> Path:
    hours = np.datetime64(first) + np.arange(len(values)) * np.timedelta64(1, "h")
    rows = [f"{hour}:00Z,{value}" for hour, value in zip(hours, values, strict=True)]
    path.write_text("\n".join(["time,temperature_c", *rows]) + "\n")
    return path


def test_a_cold_table_takes_more_heat_and_gives_less_of_it(tmp_path: Path) -> None:
    found = {}
    for name, degrees in (("cold", -10.0), ("mild", 10.0)):
        file = write_temperatures(tmp_path / f"{name}.csv", [degrees] * 48)
        devices = build_market(WINTER.with_changes(heat_pump={"temperature_file": file})).fleet.flexible
        found[name] = devices.used_wh[:, -3:].sum(), devices.gain_ppm[:, -3:].mean()
    assert found["cold"][0] > 1.5 * found["mild"][0]
    assert found["cold"][1] < found["mild"][1]


@pytest.mark.parametrize(
    ("values", "first", "message"),
    [
        ([5.0] * 10, "2017-01-10T00:00", "add the rows, or move the horizon"),
        ([5.0] * 48, "2017-01-11T00:00", "add the rows, or move the horizon"),
        ([5.0] * 47 + [99.0], "2017-01-10T00:00", "a temperature from -60 to 60"),
    ],
)
def test_a_table_of_temperatures_that_cannot_be_used_is_refused(
    values: list[float], first: str, message: str, tmp_path: Path
) -> None:
    file = write_temperatures(tmp_path / "t.csv", values, first)
    with pytest.raises(ValueError, match=message):
        build_market(WINTER.with_changes(heat_pump={"temperature_file": file}))


def test_bad_devices_end_with_code_2_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text("[ev]\nn_cars = 500\n")
    done = CliRunner().invoke(app, ["run", "s.toml", "--out", "out"])
    assert done.exit_code == 2
    assert "ev.n_cars: expected at most one for each of" in done.output
    assert not Path("out").exists()


class _InterruptedError(Exception):
    pass


@pytest.mark.slow
def test_a_run_with_devices_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's table may be gone: the run keeps a copy, by which it is run again."""
    monkeypatch.setattr(cosim.simulation.simulate, "GROUP", 16)
    file = write_temperatures(tmp_path / "t.csv", [float(k % 7) - 4.0 for k in range(48)])
    scenario = WINTER.with_changes(heat_pump={"temperature_file": file})

    def interrupt(progress: Progress) -> None:
        if progress.done >= 24:
            raise _InterruptedError

    with pytest.raises(_InterruptedError):
        run(scenario, tmp_path / "cut", listener=interrupt)
    resumed, whole = run(scenario, tmp_path / "cut", resume=True), run(scenario, tmp_path / "whole")
    assert resumed.summary == whole.summary
    for table in ("ev", "heat_pumps", "houses"):
        assert format_csv(getattr(resumed, table)) == format_csv(getattr(whole, table)), table
    assert whole.ev["given_wh"].lt(whole.ev["wanted_wh"]).any()
    file.unlink()
    assert verify_ledger(tmp_path / "cut").ok
    assert rerun_ledger(tmp_path / "cut").ok


def test_cars_stay_where_another_device_is_plugged_in() -> None:
    fleet = build_market(WINTER).fleet
    other = fleet.with_devices(fleet.devices, {0: 3})
    assert other.withdrawn == {0: 3}
    assert other.with_devices(()).withdrawn == {0: 3}
    for one in (other, other.with_devices(())):
        assert one.flexible is fleet.flexible
        assert one.make_inputs(np.zeros(0, np.int8)).devices.kind.size == 7


def test_what_devices_do_depends_on_the_seed_and_not_on_the_horizon() -> None:
    first = build_market(WINTER).fleet.flexible
    longer = build_market(WINTER.with_changes(horizon={"hours": 72})).fleet.flexible
    other = build_market(WINTER.with_changes(seed=2)).fleet.flexible
    np.testing.assert_array_equal(first.used_wh, longer.used_wh[:48])
    np.testing.assert_array_equal(first.house, longer.house)
    assert digest_devices(first) != digest_devices(other)


def test_cars_are_used_as_statistics_say() -> None:
    """13,257 km a year, a car at home for more than half of the time, most of them back in the evening."""
    drawn = draw_sessions(np.datetime64("2017-01-01"), 8760, 60, np.full(60, 180.0), 3)
    km = drawn.used_wh.sum(axis=0) / 180.0
    assert km.mean() == pytest.approx(KM_A_YEAR, rel=0.06)
    at_home = drawn.leaves > 0
    assert 0.6 < at_home.mean() < 0.85
    begins = np.flatnonzero((at_home[1:] & ~at_home[:-1]).sum(axis=1).reshape(-1)) % 24
    assert begins.size
    back = (at_home[1:] & ~at_home[:-1]).nonzero()[0]
    hours = (back + 1) % 24
    assert np.mean((hours >= 14) & (hours <= 18)) > 0.5  # UTC: 15 to 19 in winter, 16 to 20 in summer


def test_a_drawn_year_is_as_warm_as_the_normals() -> None:
    hours = np.datetime64("2017-01-01T00") + np.arange(8760) * np.timedelta64(1, "h")
    drawn = np.mean([draw_temperature_c(hours, seed) for seed in range(20)], axis=0)
    month = hours.astype("datetime64[M]").astype(int) % 12
    for k, normal in enumerate(NORMALS_C):
        assert drawn[month == k].mean() == pytest.approx(normal, abs=1.5)


@pytest.mark.slow
def test_a_market_that_people_take_part_in_has_cars(tmp_path: Path) -> None:
    """Panels and a battery join while it runs; it is stopped once, and found right by everybody."""
    scenario = WINTER.with_changes(horizon={"hours": 24}, ledger={"facts": True}, events=[])
    directory = tmp_path / "run"
    live = LiveRun.open(scenario, directory)
    join(live, 0, 1)
    close_until(live, 3)
    live.register_device(state_device(live, 0, DeviceKind.PV, 1500, device=7))
    submit(live, 1, 5, 8, ask=Ask.GRID)
    close_until(live, 12)
    live.close()
    live = LiveRun.open(scenario, directory)
    live.switch(Change.GRID_OUT, 0, opens=True)
    close_until(live, 14)
    live.switch(Change.GRID_OUT, 0, opens=False)
    close_all(live)
    live.close()
    assert verify_ledger(directory).ok
    assert first_fault(directory) is None
    assert audit_ledger(directory, sample=None).findings == ()
    assert rerun_ledger(directory).ok
