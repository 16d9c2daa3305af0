"""Laws of outages that keep energy for critical load: budgets, and never less of it served than hour by hour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario, run
from cosim.islands.local_dispatch import FuelRange, Sources, dispatch_locally
from cosim.islands.saving import Forecast, find_kept

WH = st.integers(0, 5000)


def lists(n: int) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    return st.lists(WH, min_size=n, max_size=n).map(lambda values: np.array(values, np.int64))


def keep_naively(short: list[int], sun: list[int], t: int, ahead: int) -> int:
    kept = 0
    for k in reversed(range(t + 1, min(t + ahead, len(short) - 1) + 1)):
        kept = max(kept - sun[k], 0) + short[k]
    return kept


@given(short=lists(9), sun=lists(9), fuel=WH, ahead=st.integers(1, 12))
def test_kept_energy_is_that_of_a_loop_and_grows_with_what_is_looked_at(
    short: np.ndarray[Any, Any], sun: np.ndarray[Any, Any], fuel: int, ahead: int
) -> None:
    kept = find_kept(Forecast(short, sun), fuel, ahead)
    beyond_fuel = np.maximum(short - fuel, 0)
    for t in range(9):
        assert kept[t, 0] == keep_naively(short.tolist(), sun.tolist(), t, ahead)
        assert kept[t, 1] == keep_naively(beyond_fuel.tolist(), sun.tolist(), t, ahead)
    assert (kept[:, 0] >= kept[:, 1]).all()
    assert (find_kept(Forecast(short, sun), fuel, ahead + 1) >= kept).all()


@settings(max_examples=50)
@given(
    needs=st.tuples(lists(3), lists(3)), stores=st.tuples(lists(3), lists(3), lists(3)), spare=st.integers(-5000, 20000)
)
def test_critical_load_is_served_as_without_a_plan_and_ordinary_load_from_spare_energy_only(
    needs: Any, stores: Any, spare: int
) -> None:
    surplus, battery, charge = stores
    sources = Sources(surplus, [FuelRange(0, 0, 2500, True)], battery, np.zeros(3, np.int64), charge)
    free, kept = (dispatch_locally(*needs, one) for one in (sources, sources._replace(spare_wh=spare)))
    critical, total = (int(needs[k].sum()) for k in (0, 1))
    served = [int(found.served_wh.sum()) for found in (free, kept)]
    assert served[1] <= served[0]
    assert min(served[1], critical) == min(served[0], critical)
    ordinary, left = served[1] - min(served[1], critical), int(surplus.sum()) - critical
    assert ordinary <= max(left, 0) + max(spare + int(charge.sum()) + min(left, 0), 0)
    if spare >= critical + total:
        assert served[1] == served[0]
    used = [sum(found.fuel_wh) + int(found.released_wh.sum() - found.absorbed_wh.sum()) for found in (free, kept)]
    assert used[1] <= used[0]


def short_wh(scenario: Scenario) -> np.ndarray[Any, Any]:
    """Critical load that is short in each interval in which some part is without the grid."""
    rows = run(scenario).table("outage_intervals").to_pandas()
    rows = rows[rows["supply"].astype(str) != "grid"]
    short = (rows["critical_wh"] - rows["critical_served_wh"]).groupby(rows["time"], observed=True).sum()
    return short.to_numpy()


@pytest.mark.slow
@settings(max_examples=5)
@given(
    seed=st.integers(1, 50),
    month=st.sampled_from(["2017-01-03", "2017-06-20"]),
    begins=st.integers(0, 20),
    battery_kwh=st.sampled_from([0.0, 3.0, 9.0]),
    tank_kg=st.sampled_from([0.05, 0.4]),
    split=st.booleans(),
    priority=st.booleans(),
    mechanism=st.sampled_from(["none", "sharing_p2p", "trading_battery"]),
)
def test_never_less_critical_load_is_served_than_hour_by_hour(
    seed: int,
    month: str,
    begins: int,
    battery_kwh: float,
    tank_kg: float,
    split: bool,
    priority: bool,
    mechanism: str,
) -> None:
    events = [{"kind": "outage", "start": f"{month}T{begins:02d}:00:00Z", "hours": 26, "grid": True}]
    if split:
        events.append({**events[0], "hours": 9, "grid": False, "switches": ["branch 2"]})
    hourly = Scenario().with_changes(
        seed=seed,
        horizon={"start": f"{month}T00:00:00Z", "hours": 60},
        houses={"n_houses": 6, "n_prosumers": 3},
        network={"n_branches": 2},
        community={"enabled": True, "battery_kwh": battery_kwh, "fuel_cell": "pem-1.26kw", "tank_kg": tank_kg},
        curtailment={"priority": {"house_02": "high"}} if priority else {},
        market={"mechanism": mechanism},
        engine={"verify_sample": 0},
        events=events,
    )
    ahead = hourly.with_changes(outage={"dispatch": "ahead", "look_ahead_hours": 12})
    without, with_plan = short_wh(hourly), short_wh(ahead)
    n = max(without.size, with_plan.size)  # one may be joined to the grid an interval before the other
    sums = [np.cumsum(np.pad(short, (0, n - short.size))) for short in (without, with_plan)]
    assert (sums[1] <= sums[0]).all()


@pytest.mark.slow
def test_bundled_outages_serve_all_critical_load_where_energy_is_kept_for_it() -> None:
    events = [event.model_dump() for event in Scenario.load("outage").events[:1]]
    base = Scenario.load("outage").with_changes(events=events, horizon={"hours": 480}, engine={"verify_sample": 0})
    found = [run(base.with_changes(outage=one)).summary["resilience"] for one in ({}, {"dispatch": "ahead"})]
    assert found[0]["critical_served_share"] < 0.9
    assert found[1]["critical_served_share"] == 1.0
    assert found[1]["energy_not_served_kwh"] < 1.3 * found[0]["energy_not_served_kwh"]
