"""Meters in place of commitments, and runs whose imbalances are not settled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim import Scenario
from cosim.case.case import build_case
from cosim.errors import ScenarioError
from cosim.imbalances.committed import check_records, check_settled_here
from cosim.imbalances.metered import with_metered
from data.profiles import Profiles
from market.exchanges import METER

SMALL = {"horizon": {"hours": 24}, "houses": {"n_houses": 4, "n_prosumers": 2}}


def test_what_was_spilled_or_shed_stands_as_far_as_there_is_any() -> None:
    meters = np.zeros((1, 4), METER)
    meters["load_wh"], meters["shed_wh"] = [[10, 10, 10, 10]], [[0, 4, 4, 0]]
    meters["pv_wh"], meters["spilled_wh"] = [[8, 0, 8, 8]], [[5, 0, 5, 11]]  # the last one spills 3 of a fuel cell
    meters["fuel_cell_wh"] = [[0, 0, 0, 3]]
    load, pv = np.array([[12, 3, 20, 10]]), np.array([[9, 0, 2, 6]])
    metered = Profiles(np.datetime64("2017-01-01"), 60, tuple("abcd"), load, pv, np.zeros(1, np.int64), {})
    real = with_metered(meters, metered)
    assert real["load_wh"].tolist() == load.tolist()
    assert real["pv_wh"].tolist() == pv.tolist()
    assert real["shed_wh"].tolist() == [[0, 3, 4, 0]]
    assert real["spilled_wh"].tolist() == [[5, 0, 2, 9]]
    assert meters["load_wh"].tolist() == [[10] * 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"network": {"model": "three_phase"}}, "phases"),
        ({"pv": {"control": "cos_phi", "cos_phi": 0.95}}, "pv.control"),
        ({"ev": {"n_cars": 1}}, "cars or heat pumps"),
        ({"events": [{"kind": "outage", "start": "2017-01-01T05:00:00Z", "hours": 2, "grid": True}]}, "outages"),
    ],
)
def test_a_run_with_what_is_not_known_here_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    case = build_case(Scenario(**{**SMALL, **change}))
    with pytest.raises(
        ScenarioError, match=f"^run: expected a run whose imbalances can be settled, got one with .*{named}"
    ):
        check_settled_here(Path("run"), case)
    check_settled_here(Path("run"), build_case(Scenario(**SMALL)))


def test_a_run_with_network_charges_is_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match="got one with network charges"):
        check_records(Path("run"), Scenario(**{**SMALL, "charges": {"standing_eur_per_day": 0.1}}))
    check_records(Path("run"), Scenario(**SMALL))
