"""P(V) and tap changers as a scenario asks for them: what cannot be is refused by one message, or named as left out."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from cosim import Scenario, ScenarioError
from cosim.case.case import build_case
from cosim.case.voltage_control import find_one
from cosim.validation.hosting import find_hosting
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.errors import GridError

DAY = {"horizon": {"hours": 3, "start": "2017-06-01T10:00:00Z"}, "houses": {"n_houses": 6, "n_prosumers": 3}}
OUTAGE = {"kind": "outage", "grid": True, "start": "2017-06-01T11:00:00Z", "hours": 1}
TAPS = {"enabled": True}


@pytest.mark.slow  # builds a case for each
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pv": {"volt_watt": True, "volt_watt_vm_pu": (1.1, 1.06)}}, "two rising voltages"),
        ({"pv": {"volt_watt_share": 0.5}}, "pv.volt_watt = true"),
        ({"pv": {"volt_watt": True, "volt_watt_share": 1.5}}, "volt_watt_share"),
        ({"tap_changer": {"delay_s": 10.0}}, "tap_changer.enabled = true"),
        ({"tap_changer": {**TAPS, "vm_lower_pu": 1.03}}, "below vm_upper_pu"),
        ({"tap_changer": {**TAPS, "vm_upper_pu": 0.99}}, "at least one step"),
        ({"tap_changer": {**TAPS, "transformers": ("none such",)}}, "name or number of one transformer"),
        ({"tap_changer": {**TAPS, "bus": "none such"}}, "name or number of one bus"),
        ({"tap_changer": {**TAPS, "tap_pos": 7}}, "tap_min <= tap_pos <= tap_max"),
        ({"tap_changer": {**TAPS, "tap_step_percent": 30.0}}, "tap_step_percent"),
        ({"pv": {"volt_watt": True}, "events": [OUTAGE]}, "knows neither outages"),
        ({"tap_changer": TAPS, "events": [OUTAGE]}, "knows neither outages"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((ScenarioError, GridError), match=said) as caught:
        build_case(Scenario().with_changes(**{**DAY, **changes}))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_a_validation_of_trades_and_the_hosting_capacity_say_that_they_know_neither() -> None:
    case = build_case(Scenario().with_changes(**DAY))
    profiles: Profiles = case.profiles
    with pytest.raises(ScenarioError, match=r"pv\.volt_watt: expected false for a validation"):
        make_case(case.feeder, profiles, "pro_rata", {}, {"volt_watt": True})
    changes: dict[str, Any] = {**DAY, "pv": {"volt_watt": True}, "tap_changer": TAPS}
    notes = " ".join(find_hosting(Scenario().with_changes(**changes), n_intervals=2).notes)
    assert "leaves out pv.volt_watt = true" in notes
    assert "leaves out tap_changer" in notes


def test_keys_replace_what_the_net_says_of_its_taps() -> None:
    taps = {**TAPS, "tap_pos": 1, "tap_min": -8, "tap_max": 8, "tap_step_percent": 1.25}
    case = build_case(Scenario().with_changes(**DAY, tap_changer=taps))
    row = case.feeder.net.trafo.iloc[0]
    assert [row[key] for key in ("tap_pos", "tap_min", "tap_max", "tap_step_percent")] == [1, -8, 8, 1.25]
    assert case.opening_network.tap_pos.tolist() == [1]


def test_a_scenario_without_them_has_the_digest_that_it_had() -> None:
    plain = Scenario().with_changes(**DAY)
    assert plain.digest() != Scenario().with_changes(**DAY, tap_changer=TAPS).digest()
    assert plain.digest() != Scenario().with_changes(**DAY, pv={"volt_watt": True}).digest()


def test_a_message_says_how_many_more_there_are_than_it_names() -> None:
    table = pd.DataFrame({"name": [f"bus {k}" for k in range(11)]})
    with pytest.raises(
        ScenarioError, match=r"'none such', which none of them have; choose from .*7 'bus 7', and 3 more$"
    ):
        find_one(table, "none such", "tap_changer.bus", "bus")
    with pytest.raises(ScenarioError, match=r"7 'bus 7'$"):
        find_one(table.iloc[:8], "none such", "tap_changer.bus", "bus")
