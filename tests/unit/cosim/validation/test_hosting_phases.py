"""Hosting capacity where phases differ: PV at the phases of a house's panels, which may mend before it breaks.

A house on phase b at the end of a long cable, beside a generator on phase c and a load on phase a::

    medium voltage --(transformer)-- low --500 m-- far
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.case.case import Case
from cosim.cli.app import app
from cosim.validation.hosting import Hosting, find_hosting_capacity
from cosim.validation.largest_clean import Searches, find_largest_clean
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.connection import ABC, A, B, C, make_connections
from grid_models.feeder.feeder import make_feeder
from grid_models.phases.fill import FOUR_CORE, with_zero_sequence
from grid_models.powerflow.verdicts import Judgement, judge


def make_street(**limits: float) -> Case:
    """A kilowatt of the house raises phase b, and moves phase a down first, then up: its voltage turns."""
    net = pp.create_empty_network(name="street")
    mv, low, far = (pp.create_bus(net, kv, name=name) for kv, name in ((20.0, "mv"), (0.4, "low"), (0.4, "far")))
    pp.create_ext_grid(net, mv)
    pp.create_transformer(net, mv, low, "0.4 MVA 20/0.4 kV")
    pp.create_line_from_parameters(net, low, far, 0.5, 0.6, 0.35, 0.0, 0.4, name="to far")
    pp.create_asymmetric_load(net, far, p_a_mw=0.003, type="wye")
    pp.create_asymmetric_sgen(net, far, p_c_mw=0.008, type="wye")
    feeder = with_zero_sequence(make_feeder("street", net, ("far",), [far]), FOUR_CORE)
    return _case(replace(feeder, connections=make_connections([B])), [[0]], [[1000]], {"max_vm_pu": 1.3, **limits})


def _case(feeder: Any, load_wh: Any, pv_wh: Any, limits: dict[str, float]) -> Case:
    load, pv = np.array(load_wh, np.int64), np.array(pv_wh, np.int64)
    start = np.datetime64("2017-06-01T12:00:00")
    profiles = Profiles(start, 60, feeder.participants, load, pv, 0 * load[:, 0], {})
    return make_case(feeder, profiles, "least_curtailment", {"max_vuf_percent": 100.0, **limits})


def _clean_levels(case: Case, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Levels of the house's PV, kW, and whether each is clean."""
    levels = np.linspace(0.0, end, 4001)
    return levels, judge(case.engine.solve(levels[:, None]), case.limits).status == Judgement.OK


def _find(case: Case, end: float) -> Hosting:
    return find_hosting_capacity(case, np.arange(1), largest_kw=end, largest_scaling=end)


def test_an_island_of_levels_that_are_not_clean_is_not_jumped_over() -> None:
    """Clean up to 2.5 kW, too low in phase a up to 11, clean again up to 33: a bisection alone finds the last."""
    case = make_street(min_vm_pu=0.918)
    levels, clean = _clean_levels(case, 100.0)
    edges = levels[1:][np.diff(clean.astype(int)) != 0]
    assert clean[0]
    assert edges.size == 3
    found = _find(case, 100.0)
    for answer in (found.scaling, found.houses["largest_kw"][0]):
        assert edges[0] - 0.025 <= answer <= edges[0]
    assert found.bound_by == "bus far, phase a: 0.918 pu (limit 0.918 pu)"
    assert not found.houses["reached_end"][0]


@pytest.mark.parametrize("end", [20.0, 100.0])
def test_what_is_mended_above_does_not_count(end: float) -> None:
    """Too low in phase a without PV, clean from 15 to 33 kW: even where the end is clean, 0 is not."""
    case = make_street(min_vm_pu=0.9205)
    _, clean = _clean_levels(case, end)
    assert not clean[0]
    assert clean[-1] == (end == 20.0)
    assert clean.any()
    found = _find(case, end)
    assert (found.scaling, found.houses["largest_kw"][0]) == (0.0, 0.0)
    assert not found.reached_end
    assert found.bound_by == "bus far, phase a: 0.9195 pu (limit 0.9205 pu), without any PV"


def test_without_such_a_limit_it_is_the_bisection() -> None:
    case = make_street(min_vm_pu=0.5)
    levels, clean = _clean_levels(case, 100.0)
    found = _find(case, 100.0)
    assert found.scaling == pytest.approx(levels[clean][-1], abs=0.025)
    assert found.bound_by == "bus far, phase b: 1.3 pu (limit 1.3 pu)"
    row = found.houses.iloc[0]
    assert (row["phase_pv"], row["element_name"], row["phase"]) == ("b", "far", "b")


def test_unbalance_binds_and_is_of_no_phase() -> None:
    case = make_street(min_vm_pu=0.5, max_vuf_percent=3.0)
    found = _find(case, 100.0)
    assert found.bound_by == "bus far: 3 % unbalance (VUF) (limit 3 %)"
    assert found.houses["phase"][0] == ""


def test_an_interval_that_only_levels_below_the_answer_break_joins_the_search() -> None:
    """In the second hour phase a is too low from 2 to 11 kW; the search begins on the first, where nothing is."""
    case = make_street(min_vm_pu=0.918)

    def inject(_: np.ndarray, interval: np.ndarray, level: np.ndarray) -> np.ndarray:
        return np.where(interval == 0, 1.001 * level, level)[:, None] + np.where(interval == 0, 12.0, 0.0)[:, None]

    searches = Searches(case, inject, 2, np.array([20.0]))
    levels, clean = _clean_levels(case, 20.0)
    found = find_largest_clean(searches, 1)
    assert found.level[0] <= levels[np.flatnonzero(~clean)[0]]
    assert not found.reached_end[0]


NAMES = ("one", "two", "three")


def make_houses() -> Case:
    net = pp.create_empty_network(name="three houses")
    mv, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, mv)
    pp.create_transformer(net, mv, low, "0.25 MVA 20/0.4 kV")
    buses = [low]
    for name in NAMES:
        buses.append(pp.create_bus(net, 0.4, name=name))
        pp.create_line(net, *buses[-2:], 0.2, "NAYY 4x50 SE", name=f"to {name}")
    feeder = with_zero_sequence(make_feeder("three houses", net, NAMES, buses[1:]), FOUR_CORE)
    connections = make_connections([A, B, C], pv=[A, ABC, C])
    feeder = replace(feeder, connections=connections, load_tan_phi=np.array([0.3, 0.0, 0.2]))
    limits = {"max_vm_pu": 1.06, "max_vuf_percent": 2.0}
    return _case(feeder, [[300, 400, 500], [800, 100, 200]], [[4000, 3000, 2000], [2000, 1500, 1000]], limits)


def test_load_is_at_its_phases_and_pv_at_those_of_the_panels() -> None:
    """The one-phase houses hold less than the one whose panels are on three phases."""
    found = find_hosting_capacity(make_houses(), np.arange(2))
    one, two, three = found.houses["largest_kw"]
    assert two > 2.0 * max(one, three)
    assert found.houses["phase_pv"].tolist() == ["a", "abc", "c"]
    assert found.notes[0] == "PV at the phases of each house's panels: a 1, b 0, c 1, abc 1"
    assert found.notes[1].startswith("2 one-phase answers are above 4.6 kVA")


def test_the_order_of_phases_changes_nothing_but_names() -> None:
    case = make_houses()
    turned = {ABC: ABC, A: B, B: C, C: A}
    connections = case.feeder.connections
    assert connections is not None
    other = make_connections(
        [turned[int(code)] for code in connections.load], pv=[turned[int(code)] for code in connections.pv]
    )
    feeder = replace(case.feeder, connections=other)
    limits = {"max_vm_pu": 1.06, "max_vuf_percent": 2.0}
    here = find_hosting_capacity(case, np.arange(2))
    there = find_hosting_capacity(_case(feeder, case.profiles.load_wh, case.profiles.pv_wh, limits), np.arange(2))
    np.testing.assert_allclose(here.houses["largest_kw"], there.houses["largest_kw"], rtol=1e-6)
    assert here.scaling == pytest.approx(there.scaling, rel=1e-6)


def test_a_balanced_answer_has_no_phases() -> None:
    case = make_houses()
    found = find_hosting_capacity(
        make_case(replace(case.feeder, connections=None), case.profiles, "least_curtailment", {}), np.arange(2)
    )
    assert not {"phase", "phase_pv"} & set(found.houses.columns)
    assert found.notes == ()
    assert found.as_dict()["notes"] == []


def test_command_shows_phases(tmp_path: Path) -> None:
    scenario, out = tmp_path / "small.toml", tmp_path / "hosting.csv"
    scenario.write_text(
        "[horizon]\nhours = 24\n[houses]\nn_houses = 3\nn_prosumers = 2\n[network]\nn_branches = 1\n"
        'spacing_m = 60.0\nmodel = "three_phase"\n'
    )
    done = CliRunner().invoke(app, ["hosting", str(scenario), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "note: PV at the phases of each house's panels: " in done.output
    written = pd.read_csv(out, keep_default_na=False)
    assert set(written["phase_pv"]) <= {"a", "b", "c", "abc"}
    assert set(written["phase"]) <= {"", "a", "b", "c", "n"}
    assert (written["largest_kw"] > 0.0).all()
