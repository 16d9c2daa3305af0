"""The transition table: complete where it must be, and what the phases of a whole outage look like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim import run
from cosim.case.case import build_case
from cosim.interval.chunk import Chunk
from cosim.interval.fold import run_intervals
from cosim.islands.phases import PICKUP_FACTOR, TRANSITIONS, Happening, Phase
from cosim.scenario.model import Scenario
from grid_models.feeder.topology import Supply

OUT = {"kind": "outage", "start": "2017-06-20T06:00:00Z", "hours": 4, "grid": True}


def _stream(**changes: Any) -> list[Chunk]:
    scenario = Scenario().with_changes(
        **{
            "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
            "houses": {"n_houses": 4, "n_prosumers": 3},
            "network": {"n_branches": 1},
            "events": [OUT],
            **changes,
        }
    )
    case = build_case(scenario)
    return [chunk for chunk in run_intervals(case, case.opening) if chunk.event is not None]


def test_table_names_every_phase_for_everything_that_can_happen_to_it() -> None:
    impossible = {(Phase.CONNECTED, Happening.GRID_WAITS), (Phase.DARK, Happening.GRID_WAITS)}
    everything = {(phase, happening) for phase in Phase for happening in Happening}
    assert set(TRANSITIONS) == everything - impossible
    assert all(after == Phase.DARK for (_, h), after in TRANSITIONS.items() if h == Happening.NOTHING_HOLDS)
    assert all(after == Phase.CONNECTED for (_, h), after in TRANSITIONS.items() if h == Happening.GRID_FEEDS)


def test_island_waits_one_healthy_interval_before_it_is_joined() -> None:
    stream = _stream(community={"enabled": True, "fuel_eur_per_kg": 1.0})
    phases = [(chunk.first, set(chunk.network.phase.tolist())) for chunk in stream]
    assert phases[:4] == [(t, {Phase.ISLANDED}) for t in range(6, 10)]
    assert phases[4:6] == [(10, {Phase.SYNCHRONISING}), (11, {Phase.CONNECTED})]
    assert stream[-1].network.is_normal


def test_dark_houses_are_joined_at_once_and_draw_more_for_an_hour() -> None:
    nothing = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    for minutes in (60, 15):
        horizon = {"hours": 24, "start": "2017-06-20T00:00:00Z", "interval_minutes": minutes}
        stream = _stream(battery=nothing, horizon=horizon)
        per_hour = 60 // minutes
        dark = [chunk for chunk in stream if (chunk.network.phase == Phase.DARK).all()]
        assert len(dark) == 4 * per_hour
        assert all(chunk.event.parts[0].supply == Supply.DARK for chunk in dark if chunk.event)
        raised = stream[4 * per_hour :]
        case = build_case(
            Scenario().with_changes(
                horizon=horizon,
                houses={"n_houses": 4, "n_prosumers": 3},
                network={"n_branches": 1},
                battery=nothing,
            )
        )
        assert len(raised) == per_hour
        for chunk in raised:
            plain = case.profiles.load_wh[chunk.first]
            assert (chunk.window.meters["load_wh"][0] == np.rint(plain * PICKUP_FACTOR)).all()


def test_fuel_cell_starts_a_dark_island_once_it_can() -> None:
    # A solid-oxide cell needs twenty hours from cold: it cannot hold the island in time.
    community = {"enabled": True, "battery_kwh": 0.0, "pv_kwp": 0.0, "fuel_cell": "sofc-3kw"}
    nothing = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    slow = _stream(community=community, battery=nothing)
    assert all((c.network.phase == Phase.DARK).all() for c in slow[:4])
    quick = _stream(community={**community, "fuel_cell": "pem-6kw"}, battery=nothing)
    assert all((c.network.phase == Phase.ISLANDED).all() for c in quick[:4])
    assert all(c.event.parts[0].former.cell == 0 for c in quick[:4] if c.event)  # type: ignore[union-attr]


def test_empty_tank_leaves_the_island_dark() -> None:
    community = {"enabled": True, "battery_kwh": 0.0, "pv_kwp": 0.0, "tank_kg": 0.1}
    stream = _stream(community=community, battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0})
    phases = [int(chunk.network.phase[0]) for chunk in stream[:4]]
    assert Phase.DARK in phases
    assert min(float(chunk.network.plants[0, 0]) for chunk in stream) >= 0.0


@pytest.mark.parametrize("mechanism", ["none", "trading_battery", "sharing_central", "double_auction"])
def test_every_mechanism_survives_an_outage(mechanism: str) -> None:
    stream = _stream(market={"mechanism": mechanism}, community={"enabled": True})
    assert all((chunk.verdicts.status == 0).all() for chunk in stream)
    assert any(part.supply == Supply.ISLAND for c in stream if c.event for part in c.event.parts)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["three_phase", "four_wire"])
def test_an_outage_of_a_network_with_phases_is_a_part_of_its_tables(model: str) -> None:
    """A network that is off has no neutral: its voltages to earth are null, not missing."""
    found = run(
        Scenario().with_changes(
            horizon={"hours": 6, "start": "2017-06-20T04:00:00Z"},
            houses={"n_houses": 4, "n_prosumers": 0, "production_ratio": 0.0},
            battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
            network={"n_branches": 1, "model": model},
            community={"enabled": False},
            events=[{**OUT, "hours": 2}],
        )
    )
    columns = [name for name in found.bus_voltage.columns if name != "bus"]
    assert ("neutral_v" in columns) == (model == "four_wire")
    off = found.bus_voltage.loc["2017-06-20T06:00Z":"2017-06-20T07:00Z", columns]  # type: ignore[misc]
    assert len(off)
    assert off.isna().to_numpy().all()
