"""Local prices of scenarios: what is refused, what is named, and that prices follow from what houses wish."""

from __future__ import annotations

import pytest

from cosim.errors import ScenarioError
from cosim.prices.local_prices import EVENT, check_can_be_priced, choose_costs, find_local_prices
from cosim.prices.resources import Costs
from cosim.scenario.model import Scenario


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"pv": {"control": "q_v"}}, "pv.control: expected none for local prices"),
        ({"pv": {"volt_watt": True}}, "pv.volt_watt: expected false for local prices"),
        ({"tap_changer": {"enabled": True}}, "tap_changer.enabled: expected false"),
        ({"market": {"network": "envelope"}}, "market.network: expected after"),
        ({"network": {"model": "four_wire"}}, "network.model: expected balanced or three_phase"),
    ],
)
def test_what_prices_would_leave_out_is_refused_by_name(section: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        check_can_be_priced(Scenario(**section))


def test_costs_are_those_asked_for_the_scenarios_or_the_defaults() -> None:
    scenario = Scenario()
    assert choose_costs(scenario, None, None) == Costs(10.0, 0.05)
    assert choose_costs(scenario.with_changes(outage={"lost_load_eur_per_kwh": 7.0}), None, 0.0) == Costs(7.0, 0.0)
    for asked in ((0.0, None), (float("nan"), None), (2000.0, None), (None, -1.0), (None, float("inf"))):
        with pytest.raises(ScenarioError, match="-eur-per-kwh: expected"):
            choose_costs(scenario, *asked)


@pytest.mark.slow
def test_intervals_beyond_the_horizon_are_refused_and_outages_named() -> None:
    start = "2017-06-01T02:00:00"
    outage = {"kind": "outage", "start": start, "hours": 2, "lines": ["main 1.2"]}
    scenario = Scenario(horizon={"start": "2017-06-01T00:00:00", "hours": 6}, events=[outage])
    found = find_local_prices(scenario, n_intervals=4)
    assert [(each["interval"], each["reason"]) for each in found.not_priced] == [(2, EVENT), (3, EVENT)]
    assert found.table["interval"].unique().tolist() == [0, 1]
    with pytest.raises(ScenarioError, match="expected intervals within 0 to 5, got 2 from 5 on"):
        find_local_prices(scenario, first=5, n_intervals=2)


@pytest.mark.slow
def test_waiting_is_what_a_limit_costs_where_cars_can_wait() -> None:
    """Dearer waiting, dearer congestion; without congestion nobody waits, however little it costs."""
    scenario = Scenario.load("default").with_changes(horizon={"hours": 3})
    cheap, dear = (find_local_prices(scenario, n_intervals=3, waiting_eur_per_kwh=cost) for cost in (0.05, 0.5))
    assert cheap.summary["congested"] == dear.summary["congested"] == 1
    ratio = dear.table["congestion_ueur_per_kwh"].max() / cheap.table["congestion_ueur_per_kwh"].max()
    assert 10.0 < ratio < 12.0  # what a car waits for is less than its cost by the losses that it saves
    uncongested = cheap.table["interval"] != 1
    assert (cheap.table.loc[uncongested, "congestion_ueur_per_kwh"] == 0).all()
