"""Outages run by compiled code against the same outages by the rules of any interval, Wh by Wh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cosim import Scenario
from cosim.case.case import build_case
from cosim.studies.outage_lanes import OutageLanes, Start
from cosim.studies.survival import follow_undisturbed, open_for, with_grid

HOURS = 24
BASE: dict[str, Any] = {
    "houses": {"n_houses": 8, "n_prosumers": 4},
    "community": {"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw", "tank_kg": 1.0},
    "events": [],
}
SECOND = {"kind": "register", "participant": "house_03", "device": "fuel_cell", "preset": "sofc-3kw"}
IN_THREE_PHASES: dict[str, Any] = {
    "horizon": {"start": "2017-06-20T00:00:00Z"},
    "network": {"model": "three_phase"},
    "limits": {"max_vuf_percent": 30.0},  # what is overloaded is the former
}
WORLDS: dict[str, dict[str, Any]] = {
    "winter": {},
    "summer": {"horizon": {"start": "2017-06-20T00:00:00Z"}},
    "poor, small batteries, dark at night": {
        "houses": {**BASE["houses"], "wallet_eur": 0.2},
        "battery": {"capacity_kwh_min": 1.0, "capacity_kwh_max": 2.0},
        "community": {**BASE["community"], "tank_kg": 0.1},
        "market": {"mechanism": "sharing_hybrid"},
    },
    "a second fuel cell": {"events": [{**SECOND, "at": "2017-01-01T00:00:00Z"}]},
    "fuel cells only": {
        "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        "community": {**BASE["community"], "battery_kwh": 0.0},
        "market": {"mechanism": "sharing_central"},
    },
    "no market": {"market": {"mechanism": "none"}},
    "inverters without reserve": {"battery": {"inverter_cos_phi": 1.0}},
    "three phases, a former near its limit per phase": {
        **IN_THREE_PHASES,
        "community": {**BASE["community"], "battery_kwh": 12.0},
    },
    "three phases, batteries on one that cannot form": {
        **IN_THREE_PHASES,
        "battery": {"capacity_kwh_min": 6.0, "capacity_kwh_max": 8.0, "inverter_cos_phi": 0.3},
        "community": {**BASE["community"], "battery_kwh": 0.0},
        "houses": {**BASE["houses"], "load_cos_phi": 0.95},
    },
    "quarter hours": {"horizon": {"interval_minutes": 15}},
    "energy kept for critical load": {"outage": {"dispatch": "ahead", "look_ahead_hours": 12}},
    "energy kept, a second fuel cell, quarter hours": {
        "horizon": {"interval_minutes": 15},
        "events": [{**SECOND, "at": "2017-01-01T00:00:00Z"}],
        "outage": {"dispatch": "ahead", "look_ahead_hours": 6},
    },
}


class Watched(OutageLanes):
    """Counts intervals that compiled code leaves to the rules of any."""

    looked = 0

    def _look_closer(self, *given: Any) -> Any:
        self.looked += 1
        return super()._look_closer(*given)


def follow_both(name: str, starts: tuple[int, ...]) -> Iterator[tuple[Any, Any]]:
    changes = WORLDS[name]
    horizon = {"hours": 4 * HOURS, "start": "2017-01-01T00:00:00Z", **changes.get("horizon", {})}
    scenario = Scenario().with_changes(**{**BASE, **changes, "horizon": horizon})
    alone = scenario.with_changes(events=[*changes.get("events", []), open_for(scenario, 4 * HOURS)])
    case, without = build_case(with_grid(alone)), build_case(alone)
    fast, slow = Watched(without), OutageLanes(without, compiled=False)
    per_hour = 60 // case.interval_minutes
    for begins, (state, network) in zip(starts, follow_undisturbed(case, starts), strict=True):
        start = Start(state, network, begins * per_hour)
        yield fast.try_plans(start, HOURS * per_hour)[1], slow.try_plans(start, HOURS * per_hour)[1]
    n = len(starts) * HOURS * per_hour
    overloaded = name == "inverters without reserve" or name.startswith("three phases")
    least, most = (1, n - 1) if overloaded else (0, n // 4)
    assert least <= fast.looked <= most  # what is not clean, and a former that is overloaded, need a closer look


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WORLDS))
def test_compiled_outages_are_those_of_any_interval(name: str) -> None:
    shed = 0
    for fast, slow in follow_both(name, (0, 41)):
        assert (fast == slow).all()
        shed += int(slow[:, 1:].sum())
    assert shed > 0 or name == "summer"


@pytest.mark.slow
def test_kept_energy_is_not_used_for_ordinary_load() -> None:
    """The worlds in which energy is kept differ from those in which it is not: the plan was followed."""
    kept = sum(fast[:, 0].sum() for fast, _ in follow_both("energy kept for critical load", (0, 41)))
    hourly = sum(fast[:, 0].sum() for fast, _ in follow_both("winter", (0, 41)))
    assert kept < hourly
