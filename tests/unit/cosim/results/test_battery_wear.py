"""Wear of the batteries, and what the battery section reaches: power, window, self-discharge, inverters."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cosim import Result, Scenario, run
from cosim.case.case import build_case
from cosim.interval.fold import run_intervals
from grid_models.devices.battery import Battery
from grid_models.devices.battery_wear import capacity_fade, equivalent_full_cycles, wear_cost_eur
from market.ledger.check.verify import verify_ledger

MONTH: dict[str, Any] = {
    "horizon": {"hours": 240, "start": "2017-06-01T00:00:00Z"},
    "houses": {"n_houses": 4, "n_prosumers": 3},
    "network": {"n_branches": 1},
    "engine": {"verify_sample": 0},
}


def simulated(**battery: Any) -> Result:
    return run(Scenario().with_changes(**MONTH, battery=battery))


def test_wear_follows_from_the_meters_by_the_model() -> None:
    result = simulated(capacity_kwh_min=8.0, capacity_kwh_max=8.0, replacement_eur_per_kwh=500.0)
    wear = result.table("battery_wear").to_pandas().set_index("house")
    assert len(wear) == 4
    for house, row in wear.iterrows():
        meters = result.houses[result.houses["house"] == house]
        charged, discharged = meters["charge_wh"].sum() / 1000.0, meters["discharge_wh"].sum() / 1000.0
        cycles = float(equivalent_full_cycles(Battery(8.0), charged, discharged))
        mean_soc = (meters["own_wh"] + meters["hosted_wh"]).mean() / 8000.0
        fade = float(capacity_fade(Battery(8.0), 240.0, cycles, mean_soc=mean_soc))
        assert row["full_cycles"] == pytest.approx(cycles)
        assert row["fade"] == pytest.approx(fade)
        assert row["wear_eur"] == pytest.approx(wear_cost_eur(Battery(8.0), fade, 500.0))
    assert (wear["full_cycles"] > 0).any()


def test_house_without_battery_or_with_another_one_has_no_row() -> None:
    plug = {"kind": "register", "at": "2017-06-02T00:00:00Z", "participant": "house_02", "device": "battery"}
    result = run(Scenario().with_changes(**MONTH, events=[plug]))
    assert result.table("battery_wear").to_pandas()["house"].tolist() == ["house_01", "house_03", "house_04"]
    none = simulated(capacity_kwh_min=0.0, capacity_kwh_max=0.0)
    assert len(none.table("battery_wear")) == 0


def test_wear_is_a_file_of_the_run_and_the_options_are_on_the_ledger(tmp_path: Path) -> None:
    scenario = Scenario().with_changes(**MONTH, battery={"self_discharge_per_month": 0.03, "c_rate": 0.25})
    result = run(scenario, tmp_path / "run")
    assert len(pd.read_csv(tmp_path / "run" / "battery_wear.csv")) == 4
    assert verify_ledger(tmp_path / "run").ok
    assert result.summary["network"]["intervals"] == 240


def test_power_window_and_self_discharge_of_the_scenario_reach_every_interval() -> None:
    changes = {
        "c_rate": 0.2,
        "soc_min": 0.3,
        "soc_max": 0.6,
        "capacity_kwh_min": 10.0,
        "capacity_kwh_max": 10.0,
    }
    houses = simulated(**changes).houses
    assert houses[["charge_wh", "discharge_wh"]].max().max() <= 2000
    charge = houses["own_wh"] + houses["hosted_wh"]
    assert charge.max() <= 6000
    assert charge.min() >= 3000
    idle = {"market": {"mechanism": "none"}, "battery": {"self_discharge_per_month": 0.5, "soc_min": 0.4}}
    scenario = Scenario().with_changes(**MONTH, **idle)
    own = run(scenario).houses["own_wh"].to_numpy().astype(np.int64).reshape(240, 4)
    ppm = build_case(scenario).opening.ratings.self_discharge_ppm
    assert (ppm == math.ceil(1e6 * (1 - 0.5 ** (1 / 720)))).all()
    assert (own[1:] == own[:-1] - own[:-1] * ppm // 1_000_000).all()


@pytest.mark.slow
def test_former_whose_inverter_is_rated_for_active_power_alone_keeps_below_it() -> None:
    """The cables need reactive power: an inverter rated for active power alone holds only below its rating."""
    events = [{"kind": "outage", "start": "2017-06-03T16:00:00Z", "hours": 5, "grid": True}]
    largest = {}
    weak = {"c_rate": 0.05, "capacity_kwh_min": 15.0, "capacity_kwh_max": 15.0}
    for cos_phi in (0.9, 1.0):
        battery, houses = {**weak, "inverter_cos_phi": cos_phi}, {**MONTH["houses"], "load_cos_phi": 1}
        scenario = Scenario().with_changes(**{**MONTH, "houses": houses}, events=events, battery=battery)
        case = build_case(scenario)
        disturbed = [chunk for chunk in run_intervals(case, case.opening) if chunk.event is not None]
        parts = [(chunk, part) for chunk in disturbed if chunk.event for part in chunk.event.parts]
        held = [(chunk.window.meters[0][part.former.house], part.former) for chunk, part in parts if part.former]
        rated = case.opening.ratings.max_discharge_wh
        shares = [abs(int(m["discharge_wh"]) - int(m["charge_wh"])) / rated[former.house] for m, former in held]
        largest[cos_phi] = max(shares)
    assert largest[1.0] < largest[0.9] == 1.0
