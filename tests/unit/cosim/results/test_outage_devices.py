"""What cars and heat pumps missed in outages is what a run of the same scenario without the outage gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cosim import Result, Scenario, run
from cosim.report.sections.outage import make_outage_sections
from cosim.report.tables.run_tables import read_run
from cosim.results.labels import OUTAGE_DEVICES
from cosim.results.outage_devices import DEVICE_METRICS
from cosim.simulation import simulate

STREET = Scenario().with_changes(
    name="street",
    horizon={"hours": 48, "start": "2017-01-16T00:00:00Z"},
    houses={"n_houses": 6, "n_prosumers": 3},
    network={"n_branches": 2, "spacing_m": 5.0},
    ev={"n_cars": 5, "charger_kw": 11.0},
    heat_pump={"n_heat_pumps": 4},
    engine={"verify_sample": 0},
)
ALL: dict[str, Any] = {"kind": "outage", "grid": True, "start": "2017-01-16T18:00:00Z", "hours": 12}
BRANCH: dict[str, Any] = {"kind": "outage", "grid": False, "switches": ["branch 2"]}
LATER = [{**BRANCH, "start": f"2017-01-{day}:00:00Z", "hours": hours} for day, hours in (("16T05", 4), ("17T20", 8))]


def measure_by_two_runs(lost: Result, whole: Result) -> dict[str, float]:
    """The same numbers from the tables of a run without the outages, in which the network cut nothing."""
    cars, pumps = (pd.DataFrame(getattr(whole, name)) for name in ("ev", "heat_pumps"))
    off = [getattr(lost, name)["without_grid"].to_numpy() for name in ("ev", "heat_pumps")]
    short, cold = lost.ev["unserved_wh"] - cars["unserved_wh"], lost.heat_pumps["shortfall_wh"] - pumps["shortfall_wh"]
    by_house = [
        frame.groupby(at, observed=True).sum().clip(lower=0).sum()
        for frame, at in ((short, lost.ev["house"]), (cold, lost.heat_pumps["house"]))
    ]
    put_off = sum(frame["given_wh"].to_numpy()[mask].sum() for frame, mask in zip((cars, pumps), off, strict=True))
    return dict(zip(DEVICE_METRICS, (float(wh) / 1000.0 for wh in (put_off, *by_house)), strict=True))


@pytest.mark.slow  # runs with outages beside runs without
@pytest.mark.parametrize("events", [[ALL], [LATER[0]], [ALL, LATER[1]]])
@pytest.mark.parametrize("strategy", ["uncontrolled", "at_departure", "surplus", "price"])
def test_what_devices_missed_is_what_a_run_without_the_outage_gives_them(
    events: list[dict[str, Any]], strategy: str
) -> None:
    scenario = STREET.with_changes(ev={"strategy": strategy}, heat_pump={"strategy": strategy})
    whole, lost = run(scenario), run(scenario.with_changes(events=events))
    assert set(whole.summary["network"]["outcomes"]) == {"clean"}
    assert set(lost.summary["network"]["outcomes"]) <= {"clean", "islanded", "shed"}
    found = lost.resilience
    if len(events) == 1:  # what is missed in one outage may not be made up for by another
        expected = measure_by_two_runs(lost, whole)
        assert {name: found.loc["all", name] for name in DEVICE_METRICS} == pytest.approx(expected)
        assert events != [ALL] or min(expected.values()) > 0.0
    for name in DEVICE_METRICS:
        assert found[name]["all"] == pytest.approx(found[name][1:].sum())
        assert lost.summary["resilience"][name] == found[name]["all"]
    assert found["put_off_kwh"]["all"] > 0.0


@pytest.mark.slow
def test_devices_that_take_nothing_stand_beside_load_that_was_not_served() -> None:
    result = run(STREET.with_changes(horizon={"hours": 24}, events=[{**ALL, "hours": 6}], community={"enabled": True}))
    table, summary = result.resilience, result.summary["resilience"]
    assert table.columns.tolist()[-3:] == list(DEVICE_METRICS) == list(OUTAGE_DEVICES)
    off = result.ev["without_grid"].to_numpy()
    assert off.any()
    assert not result.ev["given_wh"].to_numpy()[off].any()
    assert not result.heat_pumps["given_wh"].to_numpy()[result.heat_pumps["without_grid"].to_numpy()].any()
    (section,) = make_outage_sections(read_run(result))
    shown = {fact.label: fact.cell.value for fact in section.facts}
    assert {label: shown[label] for label in OUTAGE_DEVICES.values()} == {
        label: summary[key] for key, label in OUTAGE_DEVICES.items()
    }
    assert any("Cars and heat pumps take nothing" in text for text in section.text)


def test_it_is_the_same_whatever_the_length_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A written run is followed part by part: contents go on from one to the next."""
    scenario = STREET.with_changes(horizon={"hours": 20, "start": "2017-01-16T14:00:00Z"}, events=[{**ALL, "hours": 5}])
    whole = run(scenario)
    monkeypatch.setattr(simulate, "GROUP", 3)
    parted = run(scenario, tmp_path / "parted")
    pd.testing.assert_frame_equal(parted.resilience, whole.resilience)
    assert whole.resilience["put_off_kwh"]["all"] > 0.0


def test_without_devices_or_outages_nothing_is_told_of_them() -> None:
    bare = STREET.with_changes(
        horizon={"hours": 12, "start": "2017-01-16T12:00:00Z"},
        ev={"n_cars": 0, "charger_kw": 11.0},
        heat_pump={"n_heat_pumps": 0},
        events=[{**ALL, "hours": 2}],
    )
    result = run(bare)
    assert not set(DEVICE_METRICS) & {*result.summary["resilience"], *result.resilience.columns}
    assert "without_grid" not in run(STREET.with_changes(horizon={"hours": 4})).ev


def test_what_a_house_would_have_missed_anyway_does_not_count() -> None:
    """Heat pumps too small for the winter: an outage of an hour adds little to what is missed all day."""
    weak = STREET.with_changes(
        horizon={"hours": 24}, heat_pump={"power_kw": 0.5}, events=[{**ALL, "hours": 1}], ev={"n_cars": 1}
    )
    summary = run(weak).summary
    assert summary["heat_pumps"]["shortfall_kwh"] > 10.0 * summary["resilience"]["missed_heat_kwh"] > 0.0
    assert np.isfinite(summary["resilience"]["put_off_kwh"])
