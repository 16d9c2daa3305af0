"""Private runs in three phases: phases are committed to as verdicts are, and nothing public tells where a house is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import naive_ledger
import numpy as np
import pytest

import market.ledger.private.hiding
from cosim import Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.recording import recorder
from cosim.results.publication import publish_run
from market.exchanges import OPERATOR
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import (
    PHASES,
    RecordBytes,
    RecordKind,
    make_record,
    number_records,
    read_parameters,
)
from market.ledger.private import cover
from market.ledger.private.vault import Entry, Vault, vault_path
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole private runs

N, HOURS = 6, 170


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A week and a bit, so that a period ends, of a street in three phases whose houses are all private."""
    folder = tmp_path_factory.mktemp("private") / "keys"
    folder.mkdir(mode=0o700)
    for k, name in enumerate(["operator", *(f"member-{house:03d}" for house in range(N))]):
        write_key_pair(folder / f"{name}.key", make_demonstration_key(7000 + k))
    keys = {"operator_key": folder / "operator.key", "member_keys": folder}
    return Scenario.load("phases").with_changes(
        horizon={"hours": HOURS},
        houses={"n_houses": N, "n_prosumers": 4},
        ledger={**keys, "private": True, "members_sign": True, "facts": True},
        engine={"verify_sample": 0},
    )


@pytest.fixture(scope="module")
def done(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("done") / "run"
    run(scenario, directory)
    return directory


def entries_of(directory: Path) -> Mapping[tuple[int, int], Entry]:
    with Vault(vault_path(directory, OPERATOR), to_read=True) as vault:
        return {(entry.interval, entry.seq): entry for entry in vault.read(make_demonstration_key(7000))}


def blocks_of(directory: Path) -> list[RecordBytes]:
    with Store.open_to_read(directory) as store:
        return [decode_records(block.records) for group in store.groups() for block in group]


def test_strangers_verify_in_sums_and_the_operator_in_full(done: Path) -> None:
    report = verify_ledger(done)
    assert (report.ok, report.in_sums) == (True, True), report.reason
    assert naive_ledger.first_fault(done) is None
    report = verify_ledger(done, entries=entries_of(done))
    assert (report.ok, report.in_sums) == (True, False), report.reason
    audit = audit_ledger(done, sample=8, entries=entries_of(done))
    assert (audit.findings, len(audit.cleared)) == ((), len(audit.heights))
    assert rerun_ledger(done, entries=entries_of(done)).ok


def test_no_phase_is_in_clear_and_no_guess_at_one_can_be_tried(done: Path, scenario: Scenario, tmp_path: Path) -> None:
    kinds = Counter(int(kind) for block in blocks_of(done) for kind in block[:, 0])
    assert kinds[RecordKind.VERDICT] == HOURS
    assert RecordKind.PHASES not in kinds
    assert RecordKind.HOUSE not in kinds
    sizes = {int((block[:, 0] == RecordKind.PRIVATE).sum()) for block in blocks_of(done)[2:]}
    assert len(sizes) == 1, "the number of commitments does not depend on the interval"
    publish_run(done, tmp_path / "public")
    feeder = build_case(scenario).feeder
    assert feeder.connections is not None
    for path in (tmp_path / "public").iterdir():
        content = path.read_bytes()
        assert feeder.digest() not in content
        assert feeder.digest().hex().encode() not in content
    parameters = read_parameters(blocks_of(done)[0])
    assert {"network_hmac", "scenario_hmac", "profiles_hmac"} <= set(parameters)
    assert "network_sha256" not in parameters
    assert "network_sha256" not in json.loads((tmp_path / "public" / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("in place", "phases that do not follow the verdict"),
        ("behind the one in clear", "the phases of a private verdict stand in clear"),
    ],
)
def test_phases_in_clear_are_found(
    where: str, reason: str, scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, blank = cover.is_hidden, cover.make_blank_verdict

    def all_but_phases(records: RecordBytes, houses: list[int]) -> np.ndarray:
        return np.asarray(hidden(records, houses) & (records[:, 0] != RecordKind.PHASES))

    def with_phases(interval: int, seq: int) -> RecordBytes:
        phases = make_record(PHASES, RecordKind.PHASES, lowest_phase=2)
        return np.concatenate([blank(interval, seq), number_records(phases, interval, seq + 1)])

    if where == "in place":
        monkeypatch.setattr(market.ledger.private.hiding, "is_hidden", all_but_phases)
    else:
        monkeypatch.setattr(market.ledger.private.hiding, "make_blank_verdict", with_phases)
    run(scenario.with_changes(horizon={"hours": 3}), tmp_path / "run")
    report = verify_ledger(tmp_path / "run")
    assert (report.ok, report.height, report.reason) == (False, 2, reason)
    found = naive_ledger.first_fault(tmp_path / "run")
    assert found is not None
    assert found[0] == 2


def test_phases_that_are_missing_are_found_by_whoever_opens_the_records(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorder.make_group_records

    def without(*given: object) -> tuple[RecordBytes, np.ndarray]:
        records, offsets = made(*given)  # type: ignore[arg-type]
        keep = records[:, 0] != RecordKind.PHASES
        kept = [np.flatnonzero(keep[first:stop]) for first, stop in pairwise(offsets.tolist())]
        sizes = np.array([rows.size for rows in kept])
        numbered = records[keep].copy()
        seq = np.concatenate([np.arange(size) for size in sizes]).astype("<u4")
        numbered[:, 8:12] = seq.view(np.uint8).reshape(-1, 4)
        return numbered, np.concatenate([[0], np.cumsum(sizes)])

    monkeypatch.setattr(recorder, "make_group_records", without)
    run(scenario.with_changes(horizon={"hours": 3}), tmp_path / "run")
    assert verify_ledger(tmp_path / "run").ok, "in sums nobody can know"
    report = verify_ledger(tmp_path / "run", entries=entries_of(tmp_path / "run"))
    assert (report.ok, report.height, report.reason) == (False, 2, "the verdict has no phases behind it")


def test_a_private_house_with_a_wrong_phase_is_found_by_whoever_opens_it(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed to has the ranges of what stands in clear."""
    made = recorder.make_genesis_records

    def with_phase_9(*given: object) -> list[RecordBytes]:
        parameters, houses = made(*given)  # type: ignore[arg-type]
        changed = houses.copy()
        changed[0, 64] = 9
        return [parameters, changed]

    monkeypatch.setattr(recorder, "make_genesis_records", with_phase_9)
    run(scenario.with_changes(horizon={"hours": 3}), tmp_path / "run")
    report = verify_ledger(tmp_path / "run", entries=entries_of(tmp_path / "run"))
    assert (report.ok, report.height) == (False, 0)
    assert report.reason == "a record whose load_phase is out of range: 9"
