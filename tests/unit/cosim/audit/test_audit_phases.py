"""Ledgers of runs in three phases: written, verified by both verifiers, audited by `runpp_3ph`, made again."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import naive_ledger
import numpy as np
import pytest
from phase_world import make_street

from cosim import Scenario, ScenarioError, run
from cosim.audit.audit import audit_ledger
from cosim.audit.networks import switch_network
from cosim.audit.physics import Block, Physics, devices_as_cleared_wh, find_injections, injection_as_cleared_wh
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.case.inputs import read_inputs
from cosim.case.solve import solve_meters
from cosim.delivery.reactive import find_tan_phi_ppm
from cosim.interval.fold import run_intervals
from cosim.results.publication import publish_run
from cosim.simulation.simulate import Progress
from data.tables import write_profiles
from market.exchanges import Rows, split_reason
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import PHASES, SIZE, VERDICT, RecordKind, select_exchanges, select_rows
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole runs and their audits

DAY = Scenario().with_changes(
    horizon={"hours": 24, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 6, "n_prosumers": 3, "production_ratio": 1.0, "load_cos_phi": 1.0},
    network={"model": "three_phase", "n_branches": 2, "spacing_m": 200.0},
    market={"feed_in": True},
    limits={"max_vm_pu": 1.012},
    engine={"verify_sample": 0},
)
OUTAGE = {"kind": "outage", "start": "2017-06-20T15:00:00Z", "hours": 6, "grid": True}
RUNS: dict[str, dict[str, Any]] = {
    "curtailed": {"ledger": {"facts": True}},
    "inverters under control": {"pv": {"control": "q_v"}},
    "islands": {"events": [OUTAGE], "ledger": {"facts": True}},
    "too much unbalance": {"limits": {"max_vuf_percent": 0.3, "max_vm_pu": 1.1}},
}


def check_all(directory: Path) -> dict[str, int]:
    """Every check of a ledger is silent; returns what the audit says that it did."""
    assert verify_ledger(directory).ok
    assert naive_ledger.first_fault(directory) is None
    audit = audit_ledger(directory, sample=None)
    assert audit.findings == ()
    assert rerun_ledger(directory).ok
    return {name: len(getattr(audit, name)) for name in ("heights", "islanded", "cleared")}


@pytest.mark.parametrize("name", RUNS)
def test_an_honest_run_in_three_phases_passes_every_check(name: str, tmp_path: Path) -> None:
    result = run(DAY.with_changes(**RUNS[name]), tmp_path / "run")
    outcomes = result.summary["network"]["outcomes"]
    done = check_all(tmp_path / "run")
    assert done["heights"] == 24
    assert done["islanded"] == outcomes.get("islanded", 0)
    assert (done["islanded"] > 0) == (name == "islands")
    assert len(outcomes) > 1 or name == "inverters under control"
    assert done["cleared"] == (24 - done["islanded"] if "ledger" in RUNS[name] else 0)


def test_a_network_from_a_file_and_its_table_of_phases_pass(tmp_path: Path) -> None:
    """Houses with panels on other phases than their loads, batteries and reactive loads."""
    run(make_street(tmp_path / "street", limits={"max_vm_pu": 1.01}), tmp_path / "run")
    for name in ("street.json", "houses.csv"):
        (tmp_path / "street" / name).unlink()  # nothing outside the run directory is needed
    assert check_all(tmp_path / "run")["heights"] == 24
    publish_run(tmp_path / "run", tmp_path / "public")  # without the table: nothing but the ledger says the phases
    for check in (partial(audit_ledger, sample=4), rerun_ledger):
        with pytest.raises(ScenarioError, match=r"network_source\.json: expected the file that the run kept"):
            check(tmp_path / "public")


def records_of(directory: Path) -> list[np.ndarray]:
    with Store.open_to_read(directory) as store:
        return [decode_records(block.records) for group in store.groups() for block in group]


def test_what_is_recorded_names_the_conductors_of_the_solution(tmp_path: Path) -> None:
    """Verdict and phases of every interval say the place and the conductor at which the flow has its extreme."""
    case = build_case(DAY)
    run(DAY, tmp_path / "run")
    records = records_of(tmp_path / "run")[1:]
    verdicts, phases = (
        np.concatenate([select_rows(block, kind) for block in records])
        for kind in (RecordKind.VERDICT, RecordKind.PHASES)
    )
    assert verdicts.dtype == VERDICT
    assert phases.dtype == PHASES
    flow = next(iter([chunk.flow for chunk in run_intervals(case, case.opening)]))
    n = len(flow.converged)
    vm = flow.vm_pu.reshape(n, -1, 3)
    line = flow.line_loading_percent.reshape(n, -1, 4)
    for k in range(n):
        for end, extreme in (("lowest", np.nanmin(vm[k])), ("highest", np.nanmax(vm[k]))):
            at = vm[k, verdicts[f"{end}_bus"][k], phases[f"{end}_phase"][k] - 1]
            assert at == extreme
            assert verdicts[f"{end}_vm_upu"][k] == np.rint(extreme * 1e6)
        assert verdicts["branch"][k] < line.shape[1] + len(case.feeder.net.trafo)
        if verdicts["branch"][k] < line.shape[1]:
            at = line[k, verdicts["branch"][k], phases["branch_conductor"][k] - 1]
            assert verdicts["loading_e4_percent"][k] == np.rint(at * 1e4)
        assert phases["neutral_e4_percent"][k] == np.rint(line[k, :, 3].max() * 1e4)
        assert phases["neutral_line"][k] == line[k, :, 3].argmax()
        assert phases["vuf_e4_percent"][k] == np.rint(np.nanmax(flow.vuf_percent[k]) * 1e4)


def test_reasons_name_a_conductor_and_it_is_that_of_the_violation(tmp_path: Path) -> None:
    run(DAY, tmp_path / "run")
    rows = np.concatenate([select_exchanges(block) for block in records_of(tmp_path / "run")])
    reason, conductor = split_reason(rows["reason"].astype(np.int64))
    assert set(reason) == {0, 1, 8}
    assert (conductor[reason == 1] > 0).all()
    assert (conductor[reason != 1] == 0).all()


def test_an_interrupted_run_goes_on_to_the_same_head(tmp_path: Path) -> None:
    scenario = DAY.with_changes(engine={"window": 4})
    whole = run(scenario, tmp_path / "whole").summary["ledger"]["hash"]

    def interrupt(progress: Progress) -> None:
        if progress.done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario, tmp_path / "run", listener=interrupt)
    assert run(scenario, tmp_path / "run", resume=True).summary["ledger"]["hash"] == whole


def test_meters_as_they_are_recorded_give_the_injections_that_were_solved(tmp_path: Path) -> None:
    """Load, panels and battery of a house are on three connections: the split is that of the run."""
    case = build_case(make_street(tmp_path / "street"))
    chunk = next(iter(run_intervals(case, case.opening)))
    tan_phi = find_tan_phi_ppm(case.feeder)
    physics = Physics(case.scenario, case.feeder, case.limits, 60, tan_phi, partial(switch_network, case.feeder))
    p_kw, q_kvar = find_injections(physics, chunk.window.meters)
    again = case.engine.solve(p_kw, q_kvar)
    assert np.array_equal(again.vm_pu, solve_meters(case, chunk.window.meters).flow.vm_pu, equal_nan=True)
    assert (q_kvar != 0).any()


def make_block(exchanges: Rows, meters: Rows) -> Block:
    """A block of these rows, without cars and heat pumps."""
    nothing: Any = SimpleNamespace(records=np.empty((0, SIZE), np.uint8))
    return Block(nothing, exchanges, meters, np.void(b""), None, nothing)


def test_devices_as_cleared_sum_to_what_the_house_would_inject(tmp_path: Path) -> None:
    case = build_case(DAY)
    for chunk in run_intervals(case, case.opening):
        window = chunk.window
        for k in range(len(window.meters)):
            rows = window.rows[window.offsets[k] : window.offsets[k + 1]]
            found = devices_as_cleared_wh(make_block(rows, window.meters[k]))
            assert (sum(found.values()) == injection_as_cleared_wh(rows, 6)).all()
            assert (found["load"] == -window.meters[k]["load_wh"].astype(np.int64)).all()
            if chunk.outcome[k] == 0:  # as cleared is as delivered
                charged = window.meters[k]["discharge_wh"].astype(np.int64) - window.meters[k]["charge_wh"]
                assert (found["battery"] == charged).all()


def test_reactive_power_that_no_meter_tells_apart_is_refused(tmp_path: Path) -> None:
    """Profiles with the load's, inverters with their own, on different phases: one number for both."""
    street = make_street(tmp_path / "street", houses={"n_houses": 6, "n_prosumers": 6})
    profiles, _ = read_inputs(street)
    write_profiles(dataclasses.replace(profiles, load_varh=profiles.load_wh // 3), tmp_path / "mine.parquet")
    table = {"source": "table", "file": tmp_path / "mine.parquet"}
    given = Scenario().with_changes(
        horizon=street.horizon.model_dump(), network=street.network.model_dump(), profiles=table
    )
    build_case(given)
    asked = given.with_changes(pv={"control": "q_v"})
    with pytest.raises(
        ScenarioError,
        match=r"participant 'house_0[35]': expected panels on the phase of the load .* load on [abc] and panels on abc",
    ):
        build_case(asked)
