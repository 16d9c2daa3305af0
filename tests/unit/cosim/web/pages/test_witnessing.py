"""A served market whose first block asks for a quorum: witnesses are asked, and the pages say how far they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_world import LIVE
from log_world import Running, witness

from cosim.web.live.run import LiveRun
from cosim.web.pages.witnessing import Calls
from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.follow.server import CopyServer


def test_without_a_quorum_nothing_is_measured_and_witnesses_are_refused(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        assert Calls(live, (), lambda: None).measure() is None
        with pytest.raises(LedgerError, match="--witness: expected a scenario whose"):
            Calls(live, ("http://127.0.0.1:1",), lambda: None)


def test_witnesses_are_asked_and_what_they_lack_is_told(tmp_path: Path) -> None:
    keys = [witness(number, tmp_path) for number in (1, 2)]
    scenario = LIVE.with_changes(ledger={"witnesses": [key.verifier_key().text() for key in keys], "quorum": 1})
    with LiveRun.open(scenario, tmp_path / "live") as live, CopyServer(tmp_path / "live", "127.0.0.1", 0, None) as log:
        live.close_interval()
        node = Running(log.url, keys[0], tmp_path / "copy")
        calls = Calls(live, (node.address, "http://127.0.0.1:9"), lambda: None)
        told = calls.measure()
        assert told is not None
        assert (told.needed, told.n_witnesses, told.size, told.behind) == (1, 2, 0, 2)
        assert calls.ask_once()
        assert not calls.ask_once()  # it is cosigned
        node.stop()
        live.close_interval()
        told = calls.measure()
        assert told is not None
        assert (told.size, told.behind) == (2, 1)
    assert verify_ledger(tmp_path / "live").ok
