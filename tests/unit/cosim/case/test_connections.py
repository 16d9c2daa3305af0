"""How the houses of a scenario are connected: drawn from the seed, at their worst, balanced, or as a table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_power_factors import write_case

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.case.connections import connect, describe
from cosim.case.devices import make_battery
from cosim.case.inputs import read_feeder, read_inputs
from cosim.delivery.setpoints import mean_kw
from grid_models.feeder.connection import ABC, DEVICES, LARGEST_ONE_PHASE_KVA, A, B, C, Connections
from grid_models.phases.fill import TRAFO_VALUES

SMALL = {"horizon": {"start": "2017-06-01T00:00:00Z", "hours": 24}, "houses": {"n_houses": 12, "n_prosumers": 9}}


def powers(case: Case) -> tuple[np.ndarray, np.ndarray]:
    pv_kw = mean_kw(case.profiles.pv_wh.max(axis=0), case.interval_minutes)
    return pv_kw, np.array([make_battery(case.scenario.battery, int(wh)).rated_kw for wh in case.capacity_wh])


def join(seed: int = 1, community: bool = False, **network: Any) -> tuple[Connections, Case, list[str]]:
    """Connections of a scenario in phases, its balanced case, and the notes that the connections add."""
    scenario = Scenario("test", seed=seed, community={"enabled": community}, **SMALL)
    case = build_case(scenario)
    asked = scenario.with_changes(network={"model": "three_phase", **network})
    feeder = connect(asked, case.feeder, *powers(case))
    assert feeder.connections is not None
    return feeder.connections, case, list(feeder.notes[len(case.feeder.notes) :])


def test_a_balanced_feeder_is_the_one_that_it_was() -> None:
    case = build_case(Scenario("test", **SMALL))
    assert connect(case.scenario, case.feeder, *powers(case)) is case.feeder


def test_drawn_houses_follow_the_seed_alone_and_larger_devices_take_three_phases() -> None:
    found, case, notes = join()
    again, *_ = join()
    other, *_ = join(seed=2)
    assert [getattr(found, d).tolist() for d in DEVICES] == [getattr(again, d).tolist() for d in DEVICES]
    assert found.load.tolist() != other.load.tolist()
    assert set(found.load.tolist()) == {A, B, C}
    pv_kw, battery_kw = powers(case)
    assert ((found.pv == ABC) == (pv_kw > LARGEST_ONE_PHASE_KVA)).all()
    assert ((found.battery == ABC) == (battery_kw > LARGEST_ONE_PHASE_KVA)).all()
    assert found.fuel_cell.tolist() == found.load.tolist()  # nobody has one
    assert notes == [f"phases of houses drawn from the seed: {describe(found)}"]


def test_phases_change_nothing_else_that_the_seed_draws() -> None:
    scenario = Scenario("test", **SMALL)
    case, phases = build_case(scenario), scenario.with_changes(network={"model": "three_phase", "phases": "worst"})
    profiles, capacity_wh = read_inputs(phases)
    assert profiles.digest() == case.profiles.digest()
    assert capacity_wh.tolist() == case.capacity_wh.tolist()
    feeder = read_feeder(phases, profiles.participants, set())
    added = {"r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km", "vk0_percent", "vkr0_percent", *TRAFO_VALUES}
    for table in ("bus", "line", "trafo", "load", "sgen", "storage", "switch"):
        frame = feeder.net[table].drop(columns=list(added & set(feeder.net[table])))
        pd.testing.assert_frame_equal(
            frame.drop(columns="vector_group", errors="ignore"),
            case.feeder.net[table].drop(columns="vector_group", errors="ignore"),
        )


def test_at_their_worst_all_one_phase_devices_are_on_phase_a() -> None:
    found, *_ = join(phases="worst")
    drawn, *_ = join()
    assert set(found.load.tolist()) == {A}
    for device in ("pv", "battery"):
        assert ((getattr(found, device) == ABC) == (getattr(drawn, device) == ABC)).all()


def test_balanced_houses_have_every_device_on_three_phases() -> None:
    found, _, notes = join(phases="balanced")
    assert all((getattr(found, device) == ABC).all() for device in DEVICES)
    assert notes == ["phases of houses as in network.phases: loads on a 0, b 0, c 0, abc 12"]


@pytest.mark.parametrize("phases", ["drawn", "worst"])
def test_the_community_is_no_house_and_changes_nobodys_phase(phases: str) -> None:
    found, case, _ = join(community=True, phases=phases)
    without, *_ = join(phases=phases)
    assert case.feeder.participants[-1] == "community"
    assert all(getattr(found, device)[-1] == ABC for device in DEVICES)
    assert found.load[:-1].tolist() == without.load.tolist()


def test_a_table_of_participants_says_the_phases_of_its_own_network(tmp_path: Path) -> None:
    scenario = write_case(tmp_path, "participant,bus,phase,phase_pv\nb,b,2,abc\na,a,L3,\nc,c,,\n")
    case = build_case(scenario)
    feeder = connect(scenario.with_changes(network={"model": "three_phase"}), case.feeder, *powers(case))
    assert feeder.participants == ("a", "b", "c")
    assert feeder.connections is not None
    assert feeder.connections.load.tolist() == [C, B, ABC]
    assert feeder.connections.pv.tolist() == [C, ABC, ABC]
    assert feeder.notes[-1].startswith("phases of houses as in the table of participants: loads on a 0, b 1, c 1, abc")


def test_a_table_without_phases_is_said_to_mean_three(tmp_path: Path) -> None:
    scenario = write_case(tmp_path)
    case = build_case(scenario)
    feeder = connect(scenario.with_changes(network={"model": "three_phase"}), case.feeder, *powers(case))
    assert feeder.connections is not None
    assert (feeder.connections.load == ABC).all()
    assert "has no column phase, so that all houses are taken on three phases" in feeder.notes[-1]
