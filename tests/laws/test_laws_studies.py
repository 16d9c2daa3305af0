"""Laws of studies: what they tell of a market balances, whatever is varied, and is what its meters count."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import build_market
from cosim.studies.balance import SOURCES, USES
from cosim.studies.market_run import run_market, sum_market
from cosim.studies.sweeps import MARKETS

STRATEGIES = ("uncontrolled", "at_departure", "surplus", "price")


@st.composite
def draw_streets(draw: st.DrawFn) -> Scenario:
    """Streets of a day with any market, batteries that lose, cars, heat pumps, a community and events."""
    n = draw(st.integers(2, 6))
    loaded = [{"kind": "load", "start": "2017-06-19T12:00:00Z", "hours": 6, "participant": "house_02", "factor": 3.0}]
    n_cars, n_pumps = draw(st.integers(0, n)), draw(st.integers(0, n))
    return Scenario().with_changes(
        name="drawn",
        seed=draw(st.integers(1, 1000)),
        horizon={"hours": 24, "start": "2017-06-19T00:00:00Z", "interval_minutes": draw(st.sampled_from([15, 60]))},
        houses={"n_houses": n, "n_prosumers": draw(st.integers(1, n)), "production_ratio": draw(st.floats(0.1, 3.0))},
        network={"n_branches": 1},
        market={"mechanism": draw(st.sampled_from(MARKETS)), "feed_in": draw(st.booleans())},
        battery={"self_discharge_per_month": draw(st.floats(0.0, 0.5))},
        community={"enabled": draw(st.booleans())},
        ev={"n_cars": n_cars, **({"strategy": draw(st.sampled_from(STRATEGIES))} if n_cars else {})},
        heat_pump={"n_heat_pumps": n_pumps, **({"strategy": draw(st.sampled_from(STRATEGIES))} if n_pumps else {})},
        events=draw(st.sampled_from([[], loaded])),
    )


@settings(max_examples=20, deadline=None)
@given(scenario=draw_streets())
def test_a_market_of_a_study_balances_and_tells_what_the_meters_count(scenario: Scenario) -> None:
    case = build_market(scenario)
    totals = sum_market(case)
    assert totals["residual_wh"] == 0
    assert sum(totals[name] for name in USES) == sum(totals[name] for name in SOURCES)
    meters = [window.meters for window in run_market(case)]
    counted = {name: sum(int(part[name].sum()) for part in meters) for name in ("load_wh", "pv_wh", "imported_wh")}
    assert [totals[name] for name in ("demand_wh", "generation_wh", "grid_wh")] == list(counted.values())
    assert totals["demand_wh"] - totals["devices_wh"] == case.inputs.load_wh.sum()
    assert totals["lost_in_batteries_wh"] >= 0
