"""Mends against runs: a feeder mended as it is told is not curtailed for what was mended, and less is too little."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pandapower as pp
import pandas as pd
import pytest

from cosim import Scenario, run
from cosim.portfolio.mends import BY_NO_SHIFT, BY_SHIFT, MEND_COLUMNS, NOT_NEEDED, NOT_TOLD, measure_mends
from cosim.results.result import Result

Change = Callable[[Any], None]
HOUSES = {"n_houses": 6, "n_prosumers": 5}


def keep(net: Any) -> None:
    """The feeder as it is."""


@cache
def base() -> Scenario:
    return Scenario.load("stressed").with_changes(houses=HOUSES)


@cache
def street() -> Any:
    """The net of the six houses."""
    horizon = {"start": "2016-07-01", "hours": 1}
    return run(base().with_changes(horizon=horizon, network={"n_branches": 1})).net


def run_changed(folder: Path, change: Change, month: int, **limits: float) -> Result:
    """Three days of a street of six houses, with the limits given, after a change of its net."""
    net = deepcopy(street())
    houses = pd.DataFrame({"participant": net.load["name"], "bus": net.load["bus"]})
    for table in ("load", "sgen", "storage"):
        net[table] = net[table].iloc[:0]
    change(net)
    pp.to_json(net, str(folder / "net.json"))
    houses.to_csv(folder / "houses.csv", index=False)
    network = {"source": "file", "file": folder / "net.json", "participants": folder / "houses.csv"}
    days = {"start": f"2016-{month:02}-10", "hours": 72}
    return run(base().with_changes(network=network, horizon=days, limits=limits))


def count_curtailed(result: Result) -> int:
    outcomes = result.summary["network"]["outcomes"]
    return int(result.summary["network"]["intervals"] - outcomes.get("clean", 0))


@pytest.mark.slow
@pytest.mark.parametrize(("month", "limits"), [(7, {"min_vm_pu": 0.9, "max_vm_pu": 1.008}), (1, {"min_vm_pu": 0.987})])
def test_another_voltage_of_the_head_or_another_tap_mends(tmp_path: Path, month: int, limits: dict[str, float]) -> None:
    before = run_changed(tmp_path, keep, month, **limits)
    found = measure_mends(before)
    assert set(found) == {name for name, _, _ in MEND_COLUMNS}
    assert count_curtailed(before)
    assert found["mend_voltage"] == BY_SHIFT
    shift, steps = found["mend_head_shift_pu"], found["mend_tap_steps"]
    assert (shift < 0) == (month == 7)

    def shifted(share: float) -> Change:
        return lambda net: net.ext_grid.update({"vm_pu": net.ext_grid["vm_pu"] + share * shift})

    after = run_changed(tmp_path, shifted(1.0), month, **limits)
    assert count_curtailed(after) == 0
    assert measure_mends(after)["mend_voltage"] == NOT_NEEDED
    assert count_curtailed(run_changed(tmp_path, shifted(0.9), month, **limits))

    def tapped(net: Any) -> None:
        net.trafo["tap_pos"] += steps

    assert count_curtailed(run_changed(tmp_path, tapped, month, **limits)) == 0


@pytest.mark.slow
def test_a_larger_rating_mends_what_is_overloaded_and_only_that(tmp_path: Path) -> None:
    def thin(net: Any) -> None:
        net.line["max_i_ka"] *= 0.015

    limits = {"min_vm_pu": 0.9, "max_vm_pu": 1.008}
    before = run_changed(tmp_path, thin, 7, **limits)
    found = measure_mends(before)
    assert set(before.violations["quantity"]) == {"vm_pu", "loading_percent"}

    def grown(share: float) -> Change:
        def change(net: Any) -> None:
            thin(net)
            net.line["max_i_ka"] *= 1.0 + share * found["mend_rating_percent"] / 100.0 + 1e-9

        return change

    after = run_changed(tmp_path, grown(1.0), 7, **limits)
    assert set(after.violations["quantity"]) == {"vm_pu"}
    assert measure_mends(after)["mend_rating_percent"] == 0.0
    assert measure_mends(after)["mend_head_shift_pu"] == pytest.approx(found["mend_head_shift_pu"], abs=2e-4)
    less = run_changed(tmp_path, grown(0.95), 7, **limits)
    assert set(less.violations["quantity"]) == {"vm_pu", "loading_percent"}


@pytest.mark.slow
def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    wide = measure_mends(run_changed(tmp_path, keep, 7, min_vm_pu=0.999, max_vm_pu=1.008))
    assert wide["mend_voltage"] == BY_NO_SHIFT
    assert wide["mend_head_shift_pu"] is None
    assert wide["mend_band_lacks_pu"] > 0.0
    horizon, limits = {"start": "2016-07-10", "hours": 24}, {"min_vm_pu": 0.9, "max_vm_pu": 1.008}
    controlled = run(base().with_changes(horizon=horizon, limits=limits, pv={"control": "q_v"}))
    found = measure_mends(controlled)
    assert found["mend_voltage"] == NOT_TOLD
    assert found["mend_head_shift_pu"] is None
    assert found["mend_note"] == "voltage: inverters control voltages"
