"""The audit of hours without the grid: silent on honest islands, loud on what an island could not carry.

grid ─✗─ trafo ─✗─┬─ branch 1: former, houses      on the ledger: grid out, transformer out, former at bus …
                  └─✗ branch 2: former, houses
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosim.islands.island
import cosim.recording.blocks
from cosim import Scenario, run
from cosim.audit.audit import Audit, audit_ledger
from cosim.case.case import build_case
from cosim.recording.topology import read_changes
from grid_models.powerflow.limits import Limits
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import SIZE, Change, make_topology_records, view_as_bytes
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole outages and their audits

GRID_OUT = {"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 12, "grid": True}
BRANCH_OUT = {"kind": "outage", "start": "2017-06-20T13:00:00Z", "hours": 5, "switches": ["branch 2"]}
SECOND = {"kind": "register", "at": "2017-06-20T16:00:00Z", "participant": "house_03", "device": "fuel_cell"}
NO_BATTERIES = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
DAY = Scenario().with_changes(
    horizon={"hours": 26, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 8, "n_prosumers": 4},
    network={"n_branches": 2},
    market={"feed_in": True},
    community={"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw"},
    engine={"verify_sample": 0},
    events=[GRID_OUT, BRANCH_OUT, SECOND],
)


def audited(scenario: Scenario, directory: Path) -> Audit:
    """Run, verify (hashes, signatures and books are right), audit every block."""
    run(scenario, directory)
    report = verify_ledger(directory)
    assert report.ok, report.reason
    return audit_ledger(directory, sample=None)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"events": [BRANCH_OUT]},
        {"events": [GRID_OUT], "battery": NO_BATTERIES, "community": {"enabled": False}},
        {"outage": {"dispatch": "ahead"}},
    ],
    ids=["two islands", "one branch", "dark", "energy kept for critical load"],
)
def test_honest_islands_pass_and_every_block_is_audited(changes: dict[str, Any], tmp_path: Path) -> None:
    found = audited(DAY.with_changes(**changes), tmp_path / "run")
    assert found.findings == ()
    assert len(found.heights) == 26
    assert len(found.islanded) >= 5


def test_topology_of_each_hour_is_on_the_ledger(tmp_path: Path) -> None:
    run(DAY, tmp_path / "run")
    with Store.open_to_read(tmp_path / "run") as store:
        hours = [read_changes(decode_records(store.block(2 + t).records)) for t in range(26)]  # an owner joins first
    kinds = [sorted(change.name for change, _ in hour) for hour in hours]
    assert kinds[9] == kinds[25] == []
    assert kinds[11] == ["FORMER", "GRID_OUT", "TRANSFORMER_OUT"]
    assert kinds[14].count("FORMER") == 2
    assert "SWITCH_OPEN" in kinds[14]


def test_an_island_beyond_its_limits_is_caught_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator settles what its own limits forbid, and signs it."""
    honest = build_case(DAY)
    blind = dataclasses.replace(honest, limits=Limits.from_feeder(honest.feeder, max_vm_pu=1.5))
    tight = DAY.with_changes(limits={"max_vm_pu": 1.0005})
    monkeypatch.setattr(
        "cosim.simulation.simulate.build_case", lambda scenario, _: dataclasses.replace(blind, scenario=scenario)
    )
    found = audited(tight, tmp_path / "run")
    caught = [finding for finding in found.findings if finding.height in found.islanded]
    assert caught
    assert "settled though bus" in caught[0].what
    assert "house_" in caught[0].what


def test_an_island_that_uses_more_than_it_has_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pays the former for the losses: the books balance, the island does not."""
    lost = cosim.islands.island._lost_wh
    monkeypatch.setattr(cosim.islands.island, "_lost_wh", lambda *of: (0, lost(*of)[1]))
    found = audited(DAY, tmp_path / "run")
    assert {finding.height for finding in found.findings} <= set(found.islanded)
    assert any("is out of balance by" in finding.what for finding in found.findings)


def test_a_topology_that_no_outage_explains_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour without the grid is passed off as one with it, and an ordinary hour as one without a line."""
    nothing = np.empty((0, SIZE), np.uint8)
    monkeypatch.setattr(cosim.recording.blocks, "make_topology_of_chunk", lambda *_: nothing)
    found = audited(DAY, tmp_path / "hidden")
    whats = [finding.what for finding in found.findings if finding.height == found.islanded[0]]
    assert any("external grid 0: recorded as in service, though an outage opened it" in what for what in whats)
    assert any("disagree on whether anybody was without the grid" in what for what in whats)
    line = view_as_bytes(make_topology_records([(Change.LINE_OUT, 2)]))
    monkeypatch.setattr(cosim.recording.blocks, "make_topology_of_chunk", lambda *_: line)
    found = audited(DAY.with_changes(events=[SECOND]), tmp_path / "invented")
    assert any("line 2: recorded as open, though no outage opened it" in finding.what for finding in found.findings)
