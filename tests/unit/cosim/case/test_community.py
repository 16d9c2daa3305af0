"""The community: its place among the participants, and when its fuel cell runs while the grid is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim.case.case import build_case
from cosim.case.fleet import run_plant, schedule_plant
from cosim.case.inputs import read_inputs
from cosim.errors import ScenarioError
from cosim.interval.fold import run_intervals
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from grid_models.devices.fuel_cell_plant import (
    PlantState,
    hydrogen_kg_per_h,
    interval_capability,
    make_preset_plant,
    specific_cost_eur_per_kwh,
)

WEEK: dict[str, Any] = {"horizon": {"hours": 168}, "houses": {"n_houses": 5, "n_prosumers": 3}}


def test_community_is_the_last_participant_under_the_houses_sun() -> None:
    plain, capacity = read_inputs(Scenario().with_changes(**WEEK))
    larger, with_community = read_inputs(
        Scenario().with_changes(**WEEK, community={"enabled": True, "pv_kwp": 4.0, "battery_kwh": 12.0})
    )
    assert larger.participants == (*plain.participants, "community")
    assert (larger.load_wh[:, :-1] == plain.load_wh).all()
    assert (larger.load_wh[:, -1] == 0).all()
    assert with_community.tolist() == [*capacity.tolist(), 12_000]
    sunny = plain.pv_wh.sum(axis=1) > 0
    assert ((larger.pv_wh[:, -1] > 0) <= sunny).all()
    assert larger.pv_wh[:, -1].max() <= 4000


def test_fuel_cell_runs_only_where_the_price_covers_its_fuel_and_up_to_what_is_lacking() -> None:
    plant = make_preset_plant("pem-6kw", fuel_eur_per_kg=1.0)
    lacking = np.array([9000, 9000, 3000, 200, 0])
    price = np.array([30_000, 200_000, 200_000, 200_000, 200_000])
    use = schedule_plant(plant, lacking, price, 60)
    assert use.delivered_wh.tolist()[0] == 0
    assert 4900 <= use.delivered_wh[1] <= 5128
    assert use.delivered_wh.tolist()[2:] == [3000, 0, 0]  # 200 Wh are below its least load
    assert use.fuel_kg[2] == pytest.approx(float(hydrogen_kg_per_h(plant, 3.0)))


@pytest.mark.parametrize("minutes", [15, 60])
def test_a_schedule_is_that_of_one_interval_after_the_other(minutes: int) -> None:
    """Twin that computes every interval anew: equal to the bit, through starts, stops and part loads."""
    plant = make_preset_plant("pem-6kw", fuel_eur_per_kg=1.0)
    rng, n, hours = np.random.default_rng(minutes), 200, minutes / 60.0
    lacking = rng.integers(0, int(9000 * hours), n) * (rng.random(n) < 0.7)
    price = rng.choice([30_000, 80_000, 200_000], n)
    delivered, fuel, state = [], [], PlantState(plant.tank_kg)
    for lacking_wh, ueur_per_kwh in zip(lacking.tolist(), price.tolist(), strict=True):
        can = interval_capability(plant, state, minutes)
        wanted = min(lacking_wh, can.max_wh or int(plant.nominal_kw * hours * 1000.0))
        kw = min(wanted / 1000.0 / hours, plant.nominal_kw)
        runs = wanted > 0 and plant.minimum_kw <= kw * (1 + 1e-9)
        covered = runs and ueur_per_kwh / 1e6 >= float(specific_cost_eur_per_kwh(plant, kw))
        wh, ran = run_plant(plant, state, wanted if covered else 0, minutes)
        delivered.append(wh)
        fuel.append(ran.fuel_kg)
        state = ran.state._replace(hydrogen_kg=plant.tank_kg)
    use = schedule_plant(plant, lacking, price, minutes)
    assert 0 < np.count_nonzero(delivered) < n
    assert use.delivered_wh.tolist() == delivered
    assert use.fuel_kg.tolist() == fuel


def test_dear_hydrogen_leaves_the_fuel_cell_off() -> None:
    case = build_case(Scenario().with_changes(**WEEK, community={"enabled": True}))
    assert case.inputs.fuel_cell_wh.sum() == 0


def test_energy_of_the_fuel_cell_is_on_the_community_s_meter() -> None:
    case = build_case(Scenario().with_changes(**WEEK, community={"enabled": True, "fuel_eur_per_kg": 1.0}))
    metered = np.concatenate([chunk.window.meters["fuel_cell_wh"] for chunk in run_intervals(case, case.opening)])
    assert metered[:, -1].sum() == case.inputs.fuel_cell_wh.sum() > 0
    assert (metered[:, :-1] == 0).all()


def test_second_community_is_refused(tmp_path: Any) -> None:
    table = tmp_path / "profiles.csv"
    table.write_text(
        "time,participant,load_wh,pv_wh\n2017-01-01T00:00:00Z,community,1,0\n2017-01-01T01:00:00Z,community,1,0\n"
    )
    scenario = Scenario().with_changes(
        horizon={"hours": 2},
        profiles={"source": "table", "file": str(table), "price_eur_per_kwh": 0.1},
        community={"enabled": True},
    )
    with pytest.raises(ScenarioError, match="expected no participant 'community'"):
        read_inputs(scenario)


def test_network_shows_all_three_kinds_of_element() -> None:
    case = build_case(Scenario().with_changes(**WEEK, community={"enabled": True}))
    net = case.feeder.net
    assert "community fuel cell" in net.sgen.name[net.sgen.type == "FC"].tolist()
    assert "community pv" in net.sgen.name[net.sgen.type == "PV"].tolist()
    assert "community battery" in net.storage.name.tolist()
    assert (net.sgen.type == "FC").sum() == 1


def test_main_job_has_a_community_whose_fuel_cell_runs() -> None:
    scenario = load_scenario("rural")
    case = build_case(scenario.with_changes(horizon={"hours": 48}))
    assert case.profiles.participants[-1] == "community"
    assert case.inputs.fuel_cell_wh[:, -1].sum() > 0
