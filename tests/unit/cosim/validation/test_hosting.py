"""Hosting capacity: at the capacity pandapower finds everything clean, a per cent above it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.case.case import Case
from cosim.cli.app import app
from cosim.validation.hosting import find_hosting_capacity
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.runpp import solve_by_runpp

HOUSES = ("near", "middle", "far")
LOAD = np.array([[300, 400, 500], [800, 100, 200]])
PV = np.array([[4000, 0, 2000], [2000, 0, 1000]])


def _case(pv_wh: np.ndarray = PV, **limits: float) -> Case:
    feeder = make_radial_feeder(HOUSES, n_branches=1, spacing_m=200.0, rng=np.random.default_rng(0))
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, HOUSES, LOAD, pv_wh, np.zeros(2, np.int64), {})
    return make_case(feeder, profiles, "least_curtailment", {"max_vm_pu": 1.05, **limits})


def _clean(case: Case, p_kw: np.ndarray, load_wh: np.ndarray = LOAD) -> bool:
    """Whether the AC power flow of pandapower is within the limits; loads of a generated feeder have cos φ = 0.95."""
    flow = solve_by_runpp(case.feeder, p_kw, -np.tan(np.arccos(0.95)) * load_wh / 1000.0)
    loading = np.hstack([flow.line_loading_percent, flow.trafo_loading_percent])
    within = (flow.vm_pu <= case.limits.max_vm_pu + 1e-9) & (flow.vm_pu >= case.limits.min_vm_pu - 1e-9)
    return bool(within.all() and (loading <= 100.0 + 1e-6).all())


def test_scaling_is_the_largest_that_is_clean() -> None:
    case = _case()
    found = find_hosting_capacity(case, np.arange(2))
    assert found.scaling > 1.0
    assert _clean(case, (found.scaling * PV - LOAD) / 1000.0)
    assert not _clean(case, (1.001 * found.scaling * PV - LOAD) / 1000.0)
    assert "1.05 pu" in found.bound_by


def test_each_house_alone_is_at_its_largest() -> None:
    case = _case()
    found = find_hosting_capacity(case, np.arange(2)).houses
    sun = PV.sum(axis=1) / PV.sum(axis=1).max()
    for k, row in found.iterrows():
        for factor, clean in ((1.0, True), (1.001, False)):
            p_kw = -LOAD / 1000.0
            p_kw[:, k] += factor * row["largest_kw"] * sun
            assert _clean(case, p_kw) is clean
        assert row["element_type"] in {"bus", "line", "trafo"}
    assert found["house"].tolist() == list(HOUSES)


def test_the_end_of_the_search_is_said() -> None:
    found = find_hosting_capacity(_case(), np.arange(2), largest_kw=1.0, largest_scaling=1.5)
    assert (found.houses["largest_kw"] == 1.0).all()
    assert found.reached_end
    assert found.houses["reached_end"].all()
    assert set(found.houses["bound_by"]) == {"no limit up to 1 kW, the end of the search"}
    assert found.bound_by == "no limit up to 1.5 times today's PV, the end of the search"
    assert found.houses["element"].isna().all()


def test_a_feeder_already_beyond_its_limits_holds_nothing() -> None:
    found = find_hosting_capacity(_case(min_vm_pu=1.0, max_vm_pu=1.01), np.arange(2))
    assert found.scaling == 0.0
    assert (found.houses["largest_kw"] == 0.0).all()
    assert found.houses["bound_by"].str.endswith("without any PV").all()
    assert not found.reached_end


@pytest.mark.slow
def test_an_interval_with_more_sun_than_its_load_shows_is_not_missed() -> None:
    """Load at noon hides the sun of little PV; the search must find the hour by what it adds, not by what is there."""
    load = np.array([[9000, 9000, 9000], [100, 100, 100]])
    pv = np.array([[900, 0, 900], [90, 0, 90]])
    feeder = _case().feeder
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, HOUSES, load, pv, np.zeros(2, np.int64), {})
    case = make_case(feeder, profiles, "least_curtailment", {"max_vm_pu": 1.05})
    found = find_hosting_capacity(case, np.arange(2), n_first=1)
    for k, kw in enumerate(found.houses["largest_kw"]):
        for factor, clean in ((1.0, True), (1.001, False)):
            p_kw = -load / 1000.0
            p_kw[:, k] += factor * kw * np.array([1.0, 0.1])
            assert _clean(case, p_kw, load) is clean


def test_more_intervals_never_hold_more() -> None:
    one, both = (find_hosting_capacity(_case(), np.arange(n)) for n in (1, 2))
    assert both.scaling <= one.scaling
    assert (both.houses["largest_kw"] <= one.houses["largest_kw"]).all()


def test_command_prints_and_writes(tmp_path: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text("[horizon]\nhours = 24\n[houses]\nn_houses = 4\nn_prosumers = 2\n[network]\nn_branches = 1\n")
    out = tmp_path / "hosting.csv"
    run = CliRunner().invoke(app, ["hosting", str(scenario), "--intervals", "3", "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert "all PV scaled alike" in run.output
    assert len(pd.read_csv(out)) == 4


@pytest.mark.parametrize("options", [["--intervals", "0"], ["--largest-kw", "0"], ["--largest-kw", "nan"]])
def test_bad_options_end_with_exit_code_2(options: list[str]) -> None:
    run = CliRunner().invoke(app, ["hosting", "rural", *options])
    assert run.exit_code == 2
    assert "expected" in run.output
