"""The verifier and its naive twin agree on private ledgers, those of an earlier version too, sound and broken."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import naive_ledger
import numpy as np
import pytest
from ledger_world import world
from private_world import COVERED, append_covered, begin_private, private_ledger
from resigned import resign
from test_naive_ledger import both

from market.exchanges import OPERATOR, Kind
from market.ledger.check.receipt import prove
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import SIZE, RecordKind
from market.ledger.private.vault import Vault, vault_path
from market.ledger.read.account import collect_entries, make_account
from market.ledger.store.store import Store


def test_both_verify_private_ledgers_in_sums(tmp_path: Path) -> None:
    private_ledger(tmp_path / "run")
    assert both(tmp_path / "run") == (True, True)


def test_both_verify_private_ledgers_that_houses_sign(tmp_path: Path) -> None:
    made = world(4, 14, seed=9, parameters={**COVERED, "members_sign": 1})
    keys = {m: make_demonstration_key(100 + m) for m in range(4)}
    with begin_private(tmp_path / "run", made, keys) as ledger:
        append_covered(ledger, made, range(4), 0, 5, keys)
        append_covered(ledger, made, range(4), 5, 14, keys)
    assert both(tmp_path / "run") == (True, True)


@pytest.fixture(params=["partly", "signed"])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """Private ledgers that an earlier version wrote: with verdicts and losses in clear, and sums in every block."""
    (tmp_path / "run" / "vaults").mkdir(parents=True)
    for part, name in (("ledger", "ledger"), ("operator", "vaults/operator"), ("1", "vaults/1")):
        packed = Path(__file__).parent / "ledgers_before" / f"{request.param}-{part}.sqlite.gz"
        (tmp_path / "run" / f"{name}.sqlite").write_bytes(gzip.decompress(packed.read_bytes()))
    shutil.copy(packed.with_name(f"{request.param}-checkpoint.txt"), tmp_path / "run.checkpoint")
    return request.param, tmp_path / "run"


def test_private_ledgers_of_before_still_verify(before: tuple[str, Path]) -> None:
    name, directory = before
    heads = {"partly": "cb73f9b07943e175", "signed": "8e1eea6cbb02a9a1"}
    assert both(directory) == (True, True)
    with Vault(vault_path(directory, OPERATOR), to_read=True) as vault:
        entries = {(e.interval, e.seq): e for e in vault.read(make_demonstration_key(4))}
    report = verify_ledger(directory, entries=entries)
    assert (report.ok, report.in_sums, report.head.hex()[:16]) == (True, False, heads[name]), report.reason
    with Vault(vault_path(directory, 1), to_read=True) as vault, Store.open_to_read(directory) as store:
        own = vault.read(make_demonstration_key(101))
        account = make_account(store, 1, collect_entries(store, 1, own), own)
        assert prove(store, 3, 2).seq == 2
    assert account.n_intervals == {"partly": 10, "signed": 8}[name]


@pytest.mark.parametrize("case", range(30))
def test_both_find_what_changes_in_a_private_ledger_of_before(case: int, before: tuple[str, Path]) -> None:
    changed_somewhere(before[1], case)


@pytest.mark.parametrize("case", range(40))
def test_both_find_what_changes_in_a_private_ledger(case: int, tmp_path: Path) -> None:
    changed_somewhere(private_ledger(tmp_path / "run"), case)


SAYING = (RecordKind.VERDICT, RecordKind.AGGREGATE, RecordKind.PRIVATE, RecordKind.HOUSE, Kind.LOSS)


def changed_somewhere(directory: Path, case: int) -> None:
    """Change a record of a block and sign all again, as a dishonest operator would: both agree on what they find."""
    rng = np.random.default_rng(case)
    with Store.open_to_read(directory) as store:
        blocks = [block for group in store.groups() for block in group]
    holding = [block.height for block in blocks if RecordKind.VERDICT in block.records[::SIZE]]
    height = int(rng.choice(holding if case % 4 else [0]))
    records = bytearray(blocks[height].records)
    kinds, said = np.frombuffer(bytes(records[::SIZE]), np.uint8), [k for k in SAYING if k in records[::SIZE]]
    at = int(rng.choice(np.flatnonzero(kinds == rng.choice(said))))
    if case % 3 == 0:
        del records[at * SIZE : (at + 1) * SIZE]
    else:
        records[at * SIZE + int(rng.integers(12, SIZE))] ^= 1 << int(rng.integers(0, 8))
    body = bytes(records)
    resign(directory, make_demonstration_key(4), lambda header, old: (header, body if header.height == height else old))
    report, naive = verify_ledger(directory), naive_ledger.first_fault(directory)
    assert report.ok == (naive is None), (report, naive)
    if naive is not None:
        assert report.height == naive[0], (report, naive)
