"""The same draws without voltage control and with it: what is asked for, what it gains, what P(V) takes, hunting."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError, find_stochastic_hosting
from cosim.cli.app import app
from cosim.studies.hosting.compared import (
    NOTHING_GAINED,
    ComparedHosting,
    compare_stochastic_hosting,
    read_controls,
    with_controls,
)
from cosim.studies.hosting.figure import draw_hosting
from cosim.studies.hosting.intervals import Chosen

STREET = Scenario.load("phases").with_changes(
    horizon={"hours": 24}, houses={"n_houses": 6, "n_prosumers": 4, "mean_load_w": 600.0}, network={"spacing_m": 60.0}
)
CURVE = {"volt_watt": True, "volt_watt_vm_pu": (1.04, 1.08)}
TAPS = {"enabled": True, "bus": "4", "tap_step_percent": 1.0, "vm_lower_pu": 0.98, "vm_upper_pu": 1.01}
CONTROLLED = STREET.with_changes(pv={**CURVE, "control": "cos_phi", "cos_phi": 0.9}, tap_changer=TAPS)


@pytest.fixture(scope="module")
def compared() -> ComparedHosting:
    return compare_stochastic_hosting(CONTROLLED, "p_v,tap", draws=20, seed=5, technology="pv", n_intervals=4)


def test_unknown_controls_are_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match=r"--with: expected q_v, p_v, tap, .* got 'q_p'"):
        read_controls("q_v,q_p")
    with pytest.raises(ScenarioError, match=r"--with: expected each control once, got 'p_v\+q_v' again"):
        read_controls("q_v+p_v,p_v+q_v")
    for words, said in (
        (("--with", "q_v"), "--with: expected it with --draws"),
        (("--draws", "20", "--with", "q_v", "--pv-control", "q_v"), "--pv-control: expected it without --with"),
        (("--draws", "20", "--with", "envelope"), "got 'envelope'"),
    ):
        ended = CliRunner().invoke(app, ["hosting", "phases", *words])
        assert (ended.exit_code, said in ended.stderr) == (2, True), (words, ended.stderr)


def test_a_control_has_the_curves_of_the_scenario_and_no_other_is_on() -> None:
    none = with_controls(CONTROLLED, frozenset())
    assert (none.pv.control, none.pv.volt_watt, none.tap_changer.enabled) == ("none", False, False)
    assert none.pv.volt_watt_vm_pu != CURVE["volt_watt_vm_pu"]
    p_v = with_controls(CONTROLLED, frozenset(["p_v"]))
    assert (p_v.pv.control, p_v.pv.volt_watt_vm_pu, p_v.tap_changer.enabled) == ("none", (1.04, 1.08), False)
    both = with_controls(CONTROLLED, frozenset(["q_v", "tap"]))
    assert (both.pv.control, both.pv.volt_watt, both.tap_changer.bus) == ("q_v", False, "4")


@pytest.mark.slow
def test_without_control_the_draws_are_those_of_a_scenario_without(compared: ComparedHosting) -> None:
    judged = compared.found["none"].intervals
    plain = find_stochastic_hosting(
        STREET, draws=20, seed=5, technology="pv", n_intervals=4, besides=judged["time"].to_numpy()
    )
    assert compared.found["none"].draws.equals(plain.draws)
    assert plain.intervals["time"].equals(judged["time"])
    for name, found in compared.found.items():  # so a gain is that of the control alone
        assert found.intervals["time"].equals(judged["time"]), name
    assert "p_v_lost_kwh" not in plain.draws
    assert any("left out: P(V), tap changers that move, envelopes" in note for note in plain.notes)
    for name, found in compared.found.items():
        assert found.draws["hosted_kw"].sum() >= plain.draws["hosted_kw"].sum(), name
        same = name != "none" and found.draws["hosted_kw"].equals(plain.draws["hosted_kw"])
        assert (NOTHING_GAINED in found.notes) == same, name
    assert compared.found["p_v"].draws["hosted_kw"].sum() > plain.draws["hosted_kw"].sum()
    assert json.loads(json.dumps(compared.as_dict()))["gains"][0]["control"] == "p_v"
    page = draw_hosting(compared, "street")
    assert "without it" in page  # what the two panels count


@pytest.mark.slow
def test_gains_are_those_of_each_draw_and_what_p_v_takes_is_stated(compared: ComparedHosting) -> None:
    plain, held = (compared.found[name].draws for name in ("none", "p_v"))
    median = compared.gains[(compared.gains["control"] == "p_v") & (compared.gains["percent"] == 50.0)]
    every = np.sort((held["hosted_kw"] - plain["hosted_kw"]).to_numpy())
    assert median["gain_kw"].item() == pytest.approx(every[9])
    assert (held["p_v_lost_kwh"] > 0.0).any()
    verified = compared.found["p_v"].verified
    assert (verified["p_v_lost_kwh"] >= held["p_v_lost_kwh"].to_numpy()[verified["draw"]] - 1e-6).all()
    assert (verified["p_v_lost_percent"] < 100.0).all()
    assert "p_v_lost_kwh" not in compared.found["tap"].draws


def test_intervals_join_in_the_order_of_time_and_keep_why_they_were_chosen() -> None:
    chosen = Chosen(np.array([3, 7]), ["net load", "net feed-in"]).join(np.array([7, 1]), "judged besides")
    assert (chosen.interval.tolist(), chosen.why) == ([1, 3, 7], ["judged besides", "net load", "net feed-in"])


@pytest.mark.slow
def test_limits_that_are_broken_before_end_the_comparison_too() -> None:
    """One control leaves limits broken without any device, another does not: they have no intervals in common."""
    tight = STREET.with_changes(limits={"min_vm_pu": 0.985}, tap_changer=TAPS)
    found = compare_stochastic_hosting(tight, "tap", draws=20, seed=5, technology="pv", n_intervals=4, judge="all")
    assert found.found["none"].draws["hosted_kw"].sum() == 0.0
    idle = found.found["tap"].draws["hosted_kw"].sum() == 0.0
    assert [NOTHING_GAINED in each.notes for each in found.found.values()] == [False, idle]


@pytest.mark.slow
def test_hunting_ends_a_draw_and_is_loud() -> None:
    """A curve so steep that P(V) finds no state to rest in."""
    steep = STREET.with_changes(pv={"volt_watt": True, "volt_watt_vm_pu": (1.02, 1.0201), "volt_watt_share": 0.0})
    found = find_stochastic_hosting(steep, draws=20, seed=5, technology="pv", n_intervals=2)
    hunting = found.draws["element_type"] == "control"
    assert hunting.any()
    assert found.binding["element_type"].eq("control").any()
    assert any(
        f"hunting: inverters or tap changers find no state to rest in where {hunting.sum()} of" in note
        for note in found.notes
    )
