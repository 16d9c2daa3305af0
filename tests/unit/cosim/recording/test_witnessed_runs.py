"""Runs whose scenario names witnesses: the first block states the quorum, nothing else changes, audits know it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import append, begin
from log_world import with_quorum, witness

from cosim import Scenario, run
from cosim.audit.rerun import rerun_ledger
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.note import add_cosignature, read_note
from market.ledger.format.quorum import parse_witnesses
from market.ledger.read.tiles import read_terms_of_quorum
from market.ledger.store.store import Store
from market.ledger.write.ledger import Ledger


@pytest.mark.slow
def test_a_run_states_its_quorum_and_is_audited_with_it(tmp_path: Path) -> None:
    cosigners = [witness(k, tmp_path) for k in range(3)]
    lines = tuple(cosigner.verifier_key().text() for cosigner in cosigners)
    scenario = Scenario.load("rural").with_changes(
        horizon={"hours": 24}, ledger={"witnesses": lines, "quorum": 2}, houses={"n_houses": 4, "n_prosumers": 2}
    )
    run(scenario, out=tmp_path / "run")
    with Store.open_to_read(tmp_path / "run") as store:
        assert read_terms_of_quorum(store) == parse_witnesses(lines, 2)
    report = verify_ledger(tmp_path / "run")
    assert (report.ok, report.witnesses, report.quorum, report.witnessed) == (True, 3, 2, 0)
    assert rerun_ledger(tmp_path / "run").ok


def test_cosignatures_outlive_a_resumed_run(tmp_path: Path) -> None:
    """Resuming signs the same checkpoint once more, and a longer one has none."""
    made, cosigner = with_quorum([witness(1, tmp_path)], 1), witness(1, tmp_path)
    with begin(tmp_path / "run", made) as ledger:
        append(ledger, made, 0, 6)
    note = add_cosignature(read_note(checkpoint_path(tmp_path / "run")), cosigner.name, cosigner.key, 7)
    with Store.open_to_write(tmp_path / "run") as store:
        store.add_checkpoint(7, note)
    with Ledger.resume(tmp_path / "run", made.key) as ledger:
        assert read_note(checkpoint_path(tmp_path / "run")) == note
        append(ledger, made, 6, 12)
    assert "witness" not in read_note(checkpoint_path(tmp_path / "run"))
    assert verify_ledger(tmp_path / "run").witnessed == 7
