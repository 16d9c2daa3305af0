"""Promises of the operator: kept, broken, of somebody else, lapsed with a key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from live_world import LIVE, close_all, join, key_of, submit
from resigned import resign
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.web.live.run import LiveRun
from market.errors import LedgerError
from market.ledger.check.promises import FORMAT, Promise, check_promises, read_promises
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.records import SIZE, RecordKind, Role
from market.ledger.format.statements import rotate
from market.ledger.store.store import Store

SHORT = LIVE.with_changes(horizon={"hours": 6})


def make_run(directory: Path) -> list[Promise]:
    """A run in which house 0 submits for intervals 1 to 4, again for 3; house 1 for all, and changes its key."""
    with LiveRun.open(SHORT, directory) as live:
        join(live, 0, 1)
        given = [submit(live, 0, 1, 4, reserve_wh=1), submit(live, 0, 3, reserve_wh=2), submit(live, 1, 0, 5)]
        live.close_interval()
        live.close_interval()
        number, height = live.next_number(1), live.next_height + 1
        live.state_statement(rotate(live.chain_id, 1, Role.PARTICIPANT, number, height, key_of(1), key_of(9)))
        close_all(live)
    return [Promise(*each) for each in given]


def test_promises_that_were_kept(tmp_path: Path) -> None:
    promises = make_run(tmp_path / "live")
    with Store.open_to_read(tmp_path / "live") as store:
        found = check_promises(store, promises)
    assert [(each.applied, each.broken, each.fault) for each in found] == [
        ((1, 2, 3, 4), (), ""),
        ((3,), (), ""),
        ((0, 1), (), ""),  # what the old key signed has lapsed with it
    ]


def test_what_was_left_out_is_a_broken_promise(tmp_path: Path) -> None:
    promises = make_run(tmp_path / "live")

    def leave_out(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE)
        mine = (records[:, 0] == RecordKind.SUBMISSION) & (records[:, 12] == 0)
        signed = (records[:, 0] == RecordKind.SIGNATURE) & (records[:, 1] == 4) & (records[:, 12] == 0)
        return header, records[~(mine | signed)].tobytes()

    resign(tmp_path / "live", make_demonstration_key(SHORT.seed), leave_out)
    with Store.open_to_read(tmp_path / "live") as store:
        assert [each.broken for each in check_promises(store, promises)] == [(1, 2, 3, 4), (3,), ()]
    kept = [{"record": each.record.hex(), "signature": each.signature.hex()} for each in promises]
    (tmp_path / "promises.json").write_text(json.dumps({"format": FORMAT, "promises": kept}))
    arguments = ["ledger", "promises", str(tmp_path / "live"), str(tmp_path / "promises.json")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    said = done.stdout
    assert "house 1 (ledger index 0), submission 1, intervals 1 to 4: LEFT OUT in interval 1, 2, 3, 4" in said
    assert "1 of 3 promises kept so far" in said


def test_a_promise_of_somebody_else_is_none(tmp_path: Path) -> None:
    promises = make_run(tmp_path / "live")
    with Store.open_to_read(tmp_path / "live") as store:
        (found,) = check_promises(store, [promises[0]._replace(signature=promises[1].signature)])
    assert found.fault == "it is not signed by the operator of this ledger"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "x"}', '{"format": "gridsettle promises v1", "promises": [{"record": "00"}]}']
)
def test_what_is_no_file_of_promises_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "promises.json").write_text(text)
    with pytest.raises(LedgerError, match="expected promises as the account page saves them"):
        read_promises(tmp_path / "promises.json")
