"""The plan of an outage: chosen once when it begins, kept in the state, told in the tables, costed where asked for."""

from __future__ import annotations

import numpy as np
import pytest

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.case.state import AHEAD, HOUR_BY_HOUR
from cosim.interval.fold import run_intervals
from cosim.recording.recorder import decode_state, encode_state

EVENTS = [{"kind": "outage", "start": "2017-01-02T06:00:00Z", "hours": 20, "grid": True}]
WINTER = Scenario().with_changes(
    horizon={"hours": 36, "start": "2017-01-02T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 2},
    community={"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw", "tank_kg": 0.6},
    outage={"dispatch": "ahead", "lost_load_eur_per_kwh": 7.0},
    engine={"verify_sample": 0},
    events=EVENTS,
)


def test_state_without_plans_is_written_as_before_and_with_one_comes_back() -> None:
    hourly = build_case(WINTER.with_changes(outage={"dispatch": "hourly"}, horizon={"hours": 24}))
    assert b"outage_plan.npy" not in encode_state(hourly.opening, hourly.opening_network)
    ahead = build_case(WINTER.with_changes(horizon={"hours": 24}))
    chosen = ahead.opening_network._replace(plan=np.full(1, AHEAD, np.int8))
    assert decode_state(encode_state(ahead.opening, chosen))[1].looks_ahead
    assert not decode_state(encode_state(hourly.opening, hourly.opening_network))[1].looks_ahead


@pytest.mark.slow
def test_a_run_that_goes_on_inside_an_outage_keeps_its_plan() -> None:
    case = build_case(WINTER)
    chunks = list(run_intervals(case, case.opening))
    inside = next(k for k, chunk in enumerate(chunks) if chunk.first == 10)
    assert chunks[inside].network.plan.tolist() == [AHEAD]
    state, network = decode_state(encode_state(chunks[inside].window.state, chunks[inside].network))
    for whole, later in zip(chunks[inside + 1 :], run_intervals(case, state, 11, network), strict=True):
        assert (whole.window.meters == later.window.meters).all()
        assert (whole.window.rows == later.window.rows).all()


@pytest.mark.slow
def test_a_plan_is_told_and_its_lost_load_has_a_cost() -> None:
    planned, hourly = run(WINTER), run(WINTER.with_changes(outage={"dispatch": "hourly"}))
    for result, word in ((planned, "ahead"), (hourly, "hourly")):
        parts = result.table("outage_intervals").to_pandas()
        assert set(parts.loc[parts["supply"].astype(str) == "island", "dispatch"]) == {word}
        kwh, eur = (result.resilience[name] for name in ("energy_not_served_kwh", "lost_load_eur"))
        assert eur.tolist() == pytest.approx((7.0 * kwh).tolist())
        assert result.summary["resilience"]["lost_load_eur"] == eur["all"]
    assert HOUR_BY_HOUR != AHEAD
    assert planned.resilience["critical_served_share"]["all"] > hourly.resilience["critical_served_share"]["all"]
