"""Law: the length of a window never changes a byte of what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim import Scenario, run
from cosim.scenario.files import load_scenario
from market.ledger.store.store import Store

pytestmark = pytest.mark.slow  # whole runs in windows of many lengths

CLEAN = {"horizon": {"hours": 96, "start": "2017-06-01T00:00:00Z"}}
STRESSED = {
    "horizon": {"hours": 72, "start": "2017-06-01T00:00:00Z"},
    "limits": {"max_vm_pu": 1.01},
}


def _hashes(scenario: Scenario, window: int | None, directory: Path) -> list[bytes]:
    result = run(scenario.with_changes(engine={"window": window, "verify_sample": 2}), directory)
    with Store.open_to_read(directory) as store:
        hashes = store.hashes()
    assert hashes[-1].hex() == result.summary["ledger"]["hash"]
    return hashes


CONTROLLED = {**STRESSED, "pv": {"control": "q_v", "q_v_vm_pu": (0.95, 0.97, 1.0, 1.04)}}


@pytest.mark.parametrize(
    ("name", "changes", "curtailed"),
    [("rural", CLEAN, False), ("stressed", STRESSED, True), ("stressed", CONTROLLED, True)],
)
def test_ledger_is_the_same_for_every_window(
    name: str, changes: dict[str, dict[str, object]], curtailed: bool, tmp_path: Path
) -> None:
    scenario = load_scenario(name).with_changes(**changes)
    adaptive = _hashes(scenario, None, tmp_path / "adaptive")
    for window in (1, 7, 512):
        assert _hashes(scenario, window, tmp_path / str(window)) == adaptive, window
    outcomes = run(scenario).summary["network"]["outcomes"]
    assert (outcomes.get("curtailed", 0) > 0) == curtailed
