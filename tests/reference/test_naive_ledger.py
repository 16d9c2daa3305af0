"""The verifier and its naive twin, written from the document alone, agree on sound and on broken ledgers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import naive_ledger
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_world import append, begin, busy, world, written

from cosim import Scenario, run
from market.ledger.check.verify import verify_ledger
from market.ledger.format import statements
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import Role
from market.ledger.private.entries import with_signatures
from market.ledger.store import registry
from market.rules import SHARING_CENTRAL, SHARING_HYBRID, SHARING_P2P, TRADING_BATTERY


def both(directory: Path) -> tuple[bool, bool]:
    note = checkpoint_path(directory).read_text()
    report = verify_ledger(directory, checkpoint=note)
    naive = naive_ledger.first_fault(directory, note)
    assert report.ok == (naive is None), (report, naive)
    if naive is not None:
        assert report.height == naive[0], (report, naive)
    return report.ok, naive is None


@pytest.mark.parametrize("mechanism", [TRADING_BATTERY, SHARING_P2P, SHARING_CENTRAL, SHARING_HYBRID])
def test_both_accept_real_markets(mechanism: int, tmp_path: Path) -> None:
    made = world(5, 60, seed=11, mechanism=mechanism)
    assert both(written(tmp_path / "run", made, 13)) == (True, True)


def test_both_accept_a_busy_ledger(tmp_path: Path) -> None:
    busy(tmp_path / "run")
    assert both(tmp_path / "run") == (True, True)


def test_both_accept_members_signatures_and_miss_a_missing_one(tmp_path: Path) -> None:
    made = world(3, 8, seed=2, parameters={"members_sign": 1})
    keys = {m: make_demonstration_key(100 + m) for m in range(2)}

    def write(directory: Path, signers: dict[int, Ed25519PrivateKey]) -> None:
        with begin(directory, made) as ledger:
            rows = [statements.register(ledger.chain_id, m, Role.PARTICIPANT, 1, 2, key) for m, key in keys.items()]
            ledger.append_registry(np.concatenate(rows))
            records, offsets = with_signatures(made.records, made.offsets, signers, ledger.chain_id, 0)
            ledger.append(made.starts, records, offsets, made.roots, b"")

    write(tmp_path / "all", keys)
    assert both(tmp_path / "all") == (True, True)
    write(tmp_path / "one", {0: keys[0]})
    assert both(tmp_path / "one") == (False, False)
    write(tmp_path / "wrong", {0: keys[0], 1: make_demonstration_key(999)})
    assert both(tmp_path / "wrong") == (False, False)


@pytest.mark.parametrize("seed", range(25))
def test_both_find_the_same_block_when_a_byte_of_it_changes(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    busy(tmp_path / "run")
    column = ["header", "hash", "signature", "records"][seed % 4]
    with closing(sqlite3.connect(tmp_path / "run" / "ledger.sqlite")) as connection, connection:
        n = connection.execute("SELECT count(*) FROM block").fetchone()[0]
        height = int(rng.integers(0, n))
        value = bytearray(connection.execute(f"SELECT {column} FROM block WHERE height = ?", (height,)).fetchone()[0])
        value[rng.integers(0, len(value))] ^= 1 << rng.integers(0, 8)
        connection.execute(f"UPDATE block SET {column} = ? WHERE height = ?", (bytes(value), height))
    connection.close()
    report = verify_ledger(tmp_path / "run")
    naive = naive_ledger.first_fault(tmp_path / "run")
    assert naive is not None
    assert (report.ok, report.height, naive[0]) == (False, height, height)


def test_both_accept_compensation_paid_by_the_operator(tmp_path: Path) -> None:
    scenario = Scenario().with_changes(
        horizon={"hours": 8, "start": "2017-06-20T08:00:00Z"},
        houses={"n_houses": 4, "n_prosumers": 4, "production_ratio": 4.0},
        battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        network={"n_branches": 1, "spacing_m": 400.0},
        limits={"max_vm_pu": 1.01},
        market={"feed_in": True},
        curtailment={"compensation_eur_per_kwh": 0.05},
        engine={"verify_sample": 0},
    )
    assert run(scenario, tmp_path / "run").summary["money_eur"]["compensation"] > 0
    assert both(tmp_path / "run") == (True, True)


def test_both_accept_a_grant_that_ends_and_refuse_what_is_read_behind_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Access in interval 8 of a grant until 10; the same in interval 12, which only a dishonest operator records."""
    made, keys = world(3, 14, seed=2), {m: make_demonstration_key(100 + m) for m in range(2)}

    def write(directory: Path, access_at: int) -> None:
        with begin(directory, made) as ledger:
            chain = ledger.chain_id
            rows = [statements.register(chain, m, Role.PARTICIPANT, 1, 2, keys[m]) for m in keys]
            ledger.append_registry(np.concatenate(rows))
            append(ledger, made, 0, 5)
            ledger.append_registry(statements.grant(chain, 0, 2, keys[0], reader=1, until=10))
            append(ledger, made, 5, access_at)
            ledger.append_registry(statements.log_access(chain, 1, 2, keys[1], owner=0))
            append(ledger, made, access_at, 14)

    write(tmp_path / "before", 8)
    assert both(tmp_path / "before") == (True, True)
    granted = registry.is_granted
    monkeypatch.setattr(registry, "is_granted", lambda *given: given[-1] == 12 or granted(*given))
    write(tmp_path / "behind", 12)
    monkeypatch.undo()
    assert both(tmp_path / "behind") == (False, False)
