"""Inverters under control inside islands: on the ledger, in the audit, by phases, and where the former is too small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosim import Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger

pytestmark = pytest.mark.slow  # whole outages

DAY: dict[str, Any] = {
    "horizon": {"hours": 5, "start": "2017-06-20T09:00:00Z"},
    "houses": {"n_houses": 8, "n_prosumers": 4},
    "network": {"n_branches": 2},
    "community": {"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw"},
    "events": [{"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 3, "grid": True}],
    "pv": {"control": "cos_phi", "cos_phi": 0.92},
}


@pytest.mark.parametrize("model", ["balanced", "three_phase"])
def test_an_outage_with_inverters_under_control_passes_its_audit(model: str, tmp_path: Path) -> None:
    changes = {**DAY, "network": {**DAY["network"], "model": model}}
    result = run(Scenario().with_changes(**changes), tmp_path / "run")
    assert set(result.intervals["outcome"]) == {"clean", "islanded"}
    dark = result.intervals["outcome"] == "islanded"
    houses = result.houses.reset_index()
    by_day = houses[houses["time"].isin(result.intervals.index[dark])]
    assert (by_day["q_var"] < 0).any()
    found = audit_ledger(tmp_path / "run", sample=None)
    assert found.findings == ()
    assert len(found.islanded) == 4  # an hour more, until it is joined
    again = rerun_ledger(tmp_path / "run")
    assert again.n_different == 0


def test_a_former_too_small_for_what_inverters_absorb_is_relieved_of_generation(tmp_path: Path) -> None:
    small = {"capacity_kwh_min": 5.0, "capacity_kwh_max": 6.0, "inverter_cos_phi": 1.0}
    poor = {**DAY, "battery": small, "community": {"enabled": False}}
    with_control, without = (
        run(Scenario().with_changes(**{**poor, "pv": pv})) for pv in ({"control": "cos_phi", "cos_phi": 0.9}, {})
    )
    assert set(with_control.intervals["outcome"]) == {"clean", "islanded"}
    spilled = [result.energy_balance["spilled_wh"] for result in (with_control, without)]
    assert (spilled[1] == 0).all()
    assert ((spilled[0] > 0) & (spilled[0] < with_control.energy_balance["pv_wh"])).any()  # a part of it runs on
