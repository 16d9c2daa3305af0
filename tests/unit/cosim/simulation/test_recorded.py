"""Whoever anchors a run is told of blocks when they are durable; the ledger is the same with and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim import Scenario, run
from cosim.simulation import simulate
from market.ledger.store.store import Store


@pytest.mark.slow
def test_blocks_are_told_once_they_are_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "GROUP", 6)
    houses = {"n_houses": 4, "n_prosumers": 2}
    scenario = Scenario().with_changes(horizon={"hours": 24}, houses=houses, engine={"window": 6})
    told: list[tuple[int, int]] = []

    def recorded(n_blocks: int) -> None:
        with Store.open_to_read(tmp_path / "told") as store:
            told.append((n_blocks, store.size()))

    result = run(scenario, tmp_path / "told", recorded=recorded)
    assert told == [(7, 7), (13, 13), (19, 19), (25, 25)]
    assert run(scenario, tmp_path / "plain").summary["ledger"] == result.summary["ledger"]
    run(scenario, tmp_path / "told", resume=True, recorded=recorded)
    assert len(told) == 4
