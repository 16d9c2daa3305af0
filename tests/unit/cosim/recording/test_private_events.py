"""Private runs with everything in them: outages, batteries that come and go, orders, signatures, more than a period."""

from __future__ import annotations

from pathlib import Path

import naive_ledger
import numpy as np
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.audit.rerun import rerun_ledger
from cosim.cli.app import app
from market.exchanges import OPERATOR
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import RecordBytes, RecordKind, select_rows
from market.ledger.private.commitments import open_block
from market.ledger.private.vault import Entry, Vault, vault_path
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

N, KEY = 5, make_demonstration_key(9000)
"""Four houses and the community."""
PLUG = {"participant": "house_01", "device": "battery"}
EVENTS = [
    {"kind": "register", "at": "2017-06-02T09:00:00Z", "battery_kwh": 8.0, **PLUG},
    {"kind": "outage", "start": "2017-06-03T06:00:00Z", "hours": 5, "grid": True},
    {"kind": "retire", "at": "2017-06-05T09:00:00Z", **PLUG},
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = tmp_path_factory.mktemp("events") / "keys"
    keys.mkdir(mode=0o700)
    write_key_pair(keys / "operator.key", KEY)
    for house in range(N):
        write_key_pair(keys / f"member-{house:03d}.key", make_demonstration_key(9001 + house))
    ledger = {"private": True, "members_sign": True, "facts": True, "operator_key": keys / "operator.key"}
    scenario = Scenario().with_changes(
        horizon={"hours": 176, "start": "2017-06-01T00:00:00Z"},
        houses={"n_houses": N - 1, "n_prosumers": 2},
        community={"enabled": True},
        events=EVENTS,
        engine={"verify_sample": 0},
        ledger={**ledger, "member_keys": keys},
    )
    run(scenario, keys.with_name("run"))
    return keys.with_name("run")


def entries_in(done: Path) -> dict[tuple[int, int], Entry]:
    with Vault(vault_path(done, OPERATOR), to_read=True) as vault:
        return {(entry.interval, entry.seq): entry for entry in vault.read(KEY)}


def shown_and_opened(done: Path) -> tuple[RecordBytes, RecordBytes]:
    """Records of all blocks of intervals, as strangers see them and in clear."""
    entries, shown, opened = entries_in(done), [], []
    with Store.open_to_read(done) as store:
        blocks = [decode_records(block.records) for group in store.groups() for block in group]
    for t, records in enumerate(r for r in blocks if (r[:, 0] == RecordKind.VERDICT).any()):
        found = open_block(records, t, entries)
        assert not isinstance(found, str)
        shown.append(records)
        opened.append(found.records)
    return np.concatenate(shown), np.concatenate(opened)


@pytest.mark.slow
def test_it_is_verified_in_sums_and_in_full(done: Path) -> None:
    note = checkpoint_path(done).read_text()
    assert verify_ledger(done, checkpoint=note).ok
    assert naive_ledger.first_fault(done, note) is None
    report = verify_ledger(done, checkpoint=note, entries=entries_in(done))
    assert (report.ok, report.in_sums) == (True, False), report.reason


@pytest.mark.slow
def test_it_is_audited_by_whoever_opens_it(done: Path) -> None:
    found = rerun_ledger(done, entries=entries_in(done))
    assert found.ok, (found.findings, found.differences)
    key = str(done.with_name("keys") / "operator.key")
    audited = CliRunner().invoke(app, ["ledger", "audit", str(done), "--all", "--open-with", key])
    assert audited.exit_code == 0, audited.output


@pytest.mark.slow
def test_batteries_and_islands_are_private_devices_are_registered_for_all_to_see(done: Path) -> None:
    shown, opened = shown_and_opened(done)
    for kind in (RecordKind.HOUSE, RecordKind.TOPOLOGY, RecordKind.ORDER):
        assert select_rows(shown, kind).size == 0
        assert select_rows(opened, kind).size > 0
    assert select_rows(shown, RecordKind.DEVICE)["status"].tolist() == [1, 2]


def test_every_block_has_as_many_private_records_as_the_next(done: Path) -> None:
    with Store.open_to_read(done) as store:
        counts = {
            block.records[::72].count(RecordKind.PRIVATE)
            for group in store.groups()
            for block in group
            if RecordKind.VERDICT in block.records[::72]
        }
    assert counts == {5 * N + 2}
