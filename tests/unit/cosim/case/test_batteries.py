"""Batteries that come and go: sheets add up, energy moves with them, energy of others stays, the ledger verifies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim import Scenario, run
from cosim.case.batteries import leaving_wh
from cosim.case.case import Case, build_case
from cosim.case.state import ADMITTED, LEAVING, REFUSED, RETIRED
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.interval.fold import run_intervals
from cosim.scenario.files import format_toml, parse_scenario
from market.exchanges import Kind, Reason
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import DeviceKind
from market.ledger.write.ledger import Ledger
from market.storage import drawn_wh, stored_wh

OUT = {"kind": "outage", "start": "2017-06-20T18:00:00Z", "hours": 14, "grid": True}
PLUG = {"kind": "register", "at": "2017-06-20T21:00:00Z", "participant": "house_03", "device": "battery"}
GO = {"kind": "retire", "at": "2017-06-21T05:00:00Z", "participant": "house_03", "device": "battery"}
BASE: dict[str, Any] = {
    "horizon": {"hours": 48, "start": "2017-06-20T00:00:00Z"},
    "houses": {"n_houses": 6, "n_prosumers": 3},
    "battery": {"capacity_kwh_min": 2.0, "capacity_kwh_max": 3.0},
    "network": {"n_branches": 1},
    "community": {"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw"},
    "engine": {"verify_sample": 0},
}
HOUSE = 2


def scenario_of(*events: dict[str, Any], **changes: Any) -> Scenario:
    return Scenario().with_changes(**{**BASE, **changes}, events=list(events))


def stream_of(scenario: Scenario) -> tuple[Case, list[Chunk]]:
    case = build_case(scenario)
    return case, list(run_intervals(case, case.opening))


def answers(stream: list[Chunk]) -> list[tuple[int, int, int]]:
    return [(chunk.first, a.standing, a.energy_wh) for chunk in stream for a in chunk.decisions]


def served_wh(stream: list[Chunk]) -> int:
    meters = np.concatenate([chunk.window.meters for chunk in stream if chunk.event is not None])
    return int((meters["load_wh"].astype(np.int64) - meters["shed_wh"]).sum())


def unexplained_wh(case: Case, stream: list[Chunk]) -> int:
    """Largest difference between a battery's content and what meters, lots and answers say of it, Wh."""
    own, ratings = case.opening.own_wh.copy(), case.opening.ratings
    stored_own = own + 0
    worst = 0
    for chunk in stream:
        for k in range(chunk.outcome.size):
            meters = chunk.window.meters[k].astype(chunk.window.meters.dtype)
            rows = chunk.window.rows[chunk.window.offsets[k] : chunk.window.offsets[k + 1]]
            for i, m in enumerate(meters):
                stores = rows[(rows["kind"] == Kind.SHARE_STORE) & (rows["host"] == i)]["delivered_wh"]
                sales = rows[(rows["kind"] == Kind.LOT_SALE) & (rows["host"] == i)]["delivered_wh"]
                change = stored_wh(int(m["charge_wh"] - stores.sum()), int(ratings.charge_ppm[i]))
                change += sum(stored_wh(int(wh), int(ratings.charge_ppm[i])) for wh in stores)
                change -= drawn_wh(int(m["discharge_wh"] - sales.sum()), int(ratings.discharge_ppm[i]))
                change -= sum(drawn_wh(int(wh), int(ratings.discharge_ppm[i])) for wh in sales)
                stored_own[i] += change
                worst = max(worst, abs(int(m["own_wh"]) + int(m["hosted_wh"]) - int(stored_own[i])))
        for answer in chunk.decisions:
            stored_own[case.fleet.devices[answer.device].house] += answer.energy_wh
        ratings = chunk.window.state.ratings
    return worst


@pytest.mark.slow
def test_plugged_in_battery_adds_its_sheet_and_its_charge_from_the_next_interval_on() -> None:
    case, stream = stream_of(scenario_of(OUT, {**PLUG, "battery_kwh": 10.0, "soc": 0.6}))
    assert answers(stream) == [(21, ADMITTED, 6000)]
    joined = next(chunk for chunk in stream if chunk.first == 21)
    before, after = case.opening.ratings, joined.window.state.ratings
    sheet = {"soc_min_wh": 1000, "soc_max_wh": 9000, "max_charge_wh": 5000, "max_discharge_wh": 5000}
    for name, wh in sheet.items():
        added = getattr(after, name) - getattr(before, name)
        assert added.tolist() == [wh if i == HOUSE else 0 for i in range(7)]
    assert joined.window.state.own_wh[HOUSE] == joined.window.meters[0]["own_wh"][HOUSE] + 6000
    assert unexplained_wh(case, stream) == 0


@pytest.mark.slow
def test_plugged_in_battery_raises_what_the_island_serves() -> None:
    with_battery = stream_of(scenario_of(OUT, {**PLUG, "soc": 0.9}))[1]
    assert served_wh(with_battery) > served_wh(stream_of(scenario_of(OUT))[1])


def test_battery_comes_and_goes_and_every_watt_hour_is_accounted_for() -> None:
    case, stream = stream_of(scenario_of(OUT, PLUG, GO))
    went = [answer for answer in answers(stream) if answer[1] == RETIRED]
    assert [device.label for device in case.fleet.devices[1:]] == [
        "house_03 battery",
        "house_03 plugged-in battery",
    ]
    assert len(went) == 2
    last = stream[-1].window.state
    assert last.ratings.soc_max_wh[HOUSE] == last.ratings.max_charge_wh[HOUSE] == 0
    assert last.own_wh[HOUSE] == 0
    assert unexplained_wh(case, stream) == 0


def test_battery_at_a_dark_bus_or_beyond_the_wires_is_refused_and_changes_nothing() -> None:
    nobody = {"battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}, "community": {"enabled": False}}
    _, dark = stream_of(scenario_of(OUT, PLUG, **nobody))
    (answer,) = [a for chunk in dark for a in chunk.decisions]
    assert (answer.standing, answer.reason, answer.energy_wh) == (REFUSED, Reason.DARK, 0)
    case, huge = stream_of(scenario_of(OUT, {**PLUG, "battery_kwh": 3000.0}))
    (answer,) = [a for chunk in huge for a in chunk.decisions]
    assert answer.standing == REFUSED
    assert answer.reason != Reason.NONE
    assert huge[-1].window.state.ratings.soc_max_wh.tolist() == case.opening.ratings.soc_max_wh.tolist()


def test_battery_with_energy_of_others_waits_and_takes_nothing_in() -> None:
    """Poor houses share: house_03 hosts lots in its only battery when it is asked to leave."""
    shared = {
        "horizon": {**BASE["horizon"], "hours": 72},
        "houses": {**BASE["houses"], "wallet_eur": 0.0},
        "battery": {"capacity_kwh_min": 8.0, "capacity_kwh_max": 8.0},
        "community": {"enabled": False},
    }
    plain = stream_of(scenario_of(**shared))[1]
    hosted = np.concatenate([chunk.window.meters["hosted_wh"] for chunk in plain])
    t, house = divmod(int(hosted.argmax()), hosted.shape[1])
    assert hosted[t, house] > 0
    at = f"2017-06-{20 + (t + 1) // 24}T{(t + 1) % 24:02d}:00:00Z"
    go = {**GO, "at": at, "participant": f"house_{house + 1:02d}"}
    case, stream = stream_of(scenario_of(go, **shared))
    (begun, first, nothing), (gone, second, energy) = answers(stream)
    assert (begun, first, nothing) == (t, LEAVING, 0)
    assert second == RETIRED
    assert begun < gone <= begun + 12
    meters = np.concatenate([chunk.window.meters for chunk in stream])[:, house]
    assert (meters["charge_wh"][begun + 1 :] == 0).all()
    assert meters["hosted_wh"][gone] == 0
    assert energy == -int(meters["own_wh"][gone])
    assert unexplained_wh(case, stream) == 0


@given(st.integers(0, 50_000), st.integers(0, 50_000), st.integers(0, 50_000), st.integers(0, 50_000))
def test_what_leaves_is_own_and_what_stays_fits(own: int, hosted: int, ceiling: int, more: int) -> None:
    rest = hosted + more
    leaves = leaving_wh(own, hosted, ceiling, rest)
    assert 0 <= leaves <= own
    assert own + hosted - leaves <= rest
    if own + hosted <= ceiling + rest and leaves < own:
        assert leaves * (ceiling + rest) >= (own + hosted) * ceiling  # no less than its share


@pytest.mark.slow
def test_ledger_knows_the_battery_and_is_the_same_for_every_window(tmp_path: Path) -> None:
    heads = set()
    for window in (None, 1, 7):
        directory = tmp_path / str(window)
        result = run(scenario_of(OUT, PLUG, GO).with_changes(engine={"window": window}), directory)
        heads.add(result.summary["ledger"]["hash"])
        assert verify_ledger(directory).ok, verify_ledger(directory).reason
    assert len(heads) == 1
    asked = pd.read_csv(tmp_path / "7" / "registrations.csv")
    assert asked["answer"].tolist() == ["admitted", "retired", "retired"]
    assert asked["energy_wh"].tolist()[0] == 5000


def test_registry_lists_a_battery_that_stays(tmp_path: Path) -> None:
    scenario = scenario_of(OUT, PLUG)
    run(scenario, tmp_path / "run")
    with Ledger.resume(tmp_path / "run", make_demonstration_key(scenario.seed)) as ledger:
        (device,) = ledger.registry.devices.values()
    assert (device.kind, device.power_w, device.energy_wh) == (DeviceKind.BATTERY, 5000, 10_000)


@pytest.mark.slow
def test_interrupted_run_goes_on_with_the_battery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.simulation.simulate.GROUP", 5)

    class _CutError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.done == 27:
            raise _CutError

    scenario = scenario_of(OUT, PLUG, GO)
    with pytest.raises(_CutError):
        run(scenario, tmp_path / "cut", listener=stop)
    resumed = run(scenario, tmp_path / "cut", resume=True)
    assert resumed.summary["ledger"] == run(scenario, tmp_path / "whole").summary["ledger"]


def test_events_of_batteries_survive_being_shown_and_say_what_is_wrong() -> None:
    scenario = scenario_of(OUT, {**PLUG, "battery_kwh": 4.5, "soc": 0.25}, GO)
    assert parse_scenario(format_toml(scenario), "text") == scenario
    nobody = {"battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}}
    with pytest.raises(ScenarioError, match=r"expected 'house_03' to have a battery before .*, it has none then"):
        build_case(scenario_of(GO, **nobody))
    with pytest.raises(ScenarioError, match="expected a time after the first interval"):
        build_case(scenario_of({**GO, "at": "2017-06-20T00:00:00Z"}))
