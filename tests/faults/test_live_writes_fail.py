"""A served run whose ledger cannot be written for a while: what is on the disk counts, and nothing is written twice."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from live_world import LIVE_WITH_FACTS, close_all, join, key_of, submit
from naive_ledger import first_fault

from cosim.audit.rerun import rerun_ledger
from cosim.web.live.run import LiveRun
from market.errors import LedgerError
from market.exchanges import Reason
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import Change, DeviceKind
from market.ledger.format.statements import make_device_record


@pytest.mark.slow
def test_a_block_that_is_written_though_its_checkpoint_is_not_counts_once(tmp_path: Path) -> None:
    """The checkpoint is written behind the block; a folder in its way is as good as a full disk."""
    in_the_way = tmp_path / ".live.checkpoint.partial"
    with LiveRun.open(LIVE_WITH_FACTS, tmp_path / "live") as live:
        join(live, 0)
        submit(live, 0, 0, 9, reserve_wh=5)
        for what in ("close", "device", "command", "close"):
            in_the_way.mkdir()
            with pytest.raises(LedgerError):
                change(live, what)
            in_the_way.rmdir()
            live.close_interval()
        close_all(live)
    assert verify_ledger(tmp_path / "live").ok
    assert first_fault(tmp_path / "live") is None
    found = rerun_ledger(tmp_path / "live")
    assert (found.differences, found.findings) == ((), ())


def change(live: LiveRun, what: str) -> None:
    if what == "close":
        live.close_interval()
    elif what == "command":
        live.switch(Change.GRID_OUT, 0, opens=True)
    else:
        answer = live.register_device(
            make_device_record(
                *(live.chain_id, 0, live.next_number(0), key_of(0)),
                device=1,
                kind=DeviceKind.PV,
                bus=int(live.case.feeder.bus[0]),
                power_w=900,
                energy_wh=0,
                datasheet=sha256(b"").digest(),
            )
        )
        assert answer.reason == Reason.NONE
