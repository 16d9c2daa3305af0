"""Studies of scenarios whose houses are on phases: each network judges its part by its own model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.case.case import Case, build_case
from cosim.cli.app import app
from cosim.scenario.model import Scenario
from cosim.studies.microgrids import run_step
from cosim.studies.outages import Outage, measure_outage, with_outage
from grid_models.powerflow.verdicts import Judgement, judge

pytestmark = pytest.mark.slow  # pairs of feeders, run together

PHASES = {"model": "three_phase", "phases": "worst"}


def _feeder(name: str, n_prosumers: int, **changes: dict[str, object]) -> Case:
    return build_case(
        Scenario().with_changes(
            name=name,
            horizon={"hours": 16, "start": "2017-06-20T00:00:00Z"},
            houses={"n_houses": 8, "n_prosumers": n_prosumers, "production_ratio": "as_drawn"},
            **changes,
        )
    )


def _sell(cases: list[Case]) -> tuple[int, list[str]]:
    """Energy of all deals of a day as delivered, and the outcomes of the first feeder; all must be clean."""
    states, sold, outcomes = [case.opening for case in cases], 0, list[str]()
    for t in range(16):
        step = run_step(cases, states, t, 1000.0)
        for case, chunk in zip(cases, step.final, strict=True):
            assert judge(chunk.flow, case.limits).status[0] == Judgement.OK
        sold += sum(deal.wh for deal in step.deals)
        outcomes.append(step.feasible[0].outcome.name)
        states = [chunk.window.state for chunk in step.final]
    return sold, outcomes


def test_a_seller_on_one_phase_lets_out_less_than_one_on_three() -> None:
    limits = {"limits": {"max_vm_pu": 1.018, "max_vuf_percent": 100.0}}
    shady = _feeder("shady", 1)
    balanced, _ = _sell([_feeder("sunny", 8, limits={"max_vm_pu": 1.018}), shady])
    phased, outcomes = _sell([_feeder("sunny", 8, network=PHASES, **limits), shady])
    assert 0 < phased < balanced
    assert set(outcomes) > {"CLEAN"}


def test_an_outage_is_measured() -> None:
    scenario = Scenario.load("outage").with_changes(
        houses={"n_houses": 5, "n_prosumers": 3}, network={"model": "three_phase"}
    )
    found = measure_outage(with_outage(scenario, Outage(4000, 2), 1, {}))
    assert found["hours_without_grid"] == 2
    assert 0.0 <= found["served_share"] <= 1.0


def test_sweeps_run_markets_without_their_network(tmp_path: Path) -> None:
    scenario, out = tmp_path / "s.toml", tmp_path / "out"
    scenario.write_text(
        '[horizon]\nhours = 4\n[houses]\nn_houses = 3\nn_prosumers = 2\n[network]\nmodel = "three_phase"\n'
    )
    options = ("--seeds", "1", "--workers", "1", "--out", str(out))
    done = CliRunner().invoke(app, ["study", "storage", str(scenario), *options])
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(out / "storage.csv")) == 35
