"""Programmes that take rows as solutions break them end where programmes with all rows end."""

from __future__ import annotations

from typing import Any

import pytest

import cosim.curtailment.cutting_planes as cutting_planes
import cosim.curtailment.least as least
from cosim import Result, Scenario, run

DAY: dict[str, Any] = {
    "horizon": {"start": "2017-06-18T00:00:00Z", "hours": 24},
    "houses": {"n_houses": 12, "n_prosumers": 10, "production_ratio": 1.4, "mean_load_w": 2500.0},
    "network": {"n_branches": 2},
    "market": {"feed_in": True},
    "engine": {"verify_sample": 0},
}
WORLDS: dict[str, dict[str, Any]] = {
    "voltages too high": {"limits": {"max_vm_pu": 1.03}},
    "overloaded": {"limits": {"max_vm_pu": 1.3, "max_loading_percent": 20.0}},
    "load is shed": {"limits": {"min_vm_pu": 0.985, "max_vm_pu": 1.05}, "network": {"spacing_m": 500.0}},
    "phase by phase": {"limits": {"max_vm_pu": 1.03}, "network": {"model": "three_phase", "phases": "drawn"}},
}


def deliver(world: str) -> Result:
    return run(Scenario().with_changes(**DAY).with_changes(**WORLDS[world]))


@pytest.mark.parametrize(
    "world",
    [pytest.param(world, marks=() if world == "voltages too high" else pytest.mark.slow) for world in WORLDS],
)
def test_few_rows_lead_to_the_same_deliveries(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, asked = deliver(world), []

    def solve_by_rows(response: Any, limits: Any, working_set: Any, *rest: Any) -> Any:
        asked.append(int(working_set.sum()))
        return cutting_planes.solve_by_rows(response, limits, working_set, *rest)

    monkeypatch.setattr(least, "solve_by_rows", solve_by_rows)
    monkeypatch.setattr(cutting_planes, "AT_ONCE", 0)
    monkeypatch.setattr(cutting_planes, "FIRST", 2)
    one_by_one = deliver(world)
    assert max(asked) > 10  # there was something to leave out
    assert one_by_one.houses.equals(at_once.houses)
    assert one_by_one.table("curtailment").equals(at_once.table("curtailment"))
    assert at_once.table("curtailment").num_rows
