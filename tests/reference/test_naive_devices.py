"""The verifier and its naive twin agree about cars and heat pumps, whatever field of whatever record is changed."""

from __future__ import annotations

from pathlib import Path

import naive_ledger
import numpy as np
import pytest
from devices_world import make_devices_world
from ledger_world import World, written

from market.exchanges import FLEXIBLE, METER, Kind
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import RecordKind
from market.ledger.format.version import DEVICES_PARAMETER

FIELDS = [name for name in FLEXIBLE.names or () if name not in ("kind", "interval", "seq")]


def both(directory: Path) -> bool:
    report, naive = verify_ledger(directory), naive_ledger.first_fault(directory)
    assert report.ok == (naive is None), (report, naive)
    assert naive is None or report.height == naive[0], (report, naive)
    return report.ok


@pytest.mark.parametrize("seed", range(6))
def test_both_accept_ledgers_with_devices(seed: int, tmp_path: Path) -> None:
    made = make_devices_world(seed, phased=seed % 2 == 1)
    kinds = made.records[:, 0]
    assert (kinds == RecordKind.FLEXIBLE).sum() == 12 * made.genesis[2].shape[0]
    assert both(written(tmp_path / "run", made))


def test_some_of_these_devices_wait() -> None:
    shifts = sum((make_devices_world(seed).records[:, 0] == Kind.SHIFT).sum() for seed in range(6))
    assert shifts > 20


@pytest.mark.parametrize("name", FIELDS)
def test_both_find_the_same_block_when_a_field_changes(name: str, tmp_path: Path) -> None:
    rng, found = np.random.default_rng(FIELDS.index(name)), []
    for k, change in enumerate((1, -1, 1000)):
        made = make_devices_world(int(rng.integers(1000)), 6)
        at = rng.choice(np.flatnonzero(made.records[:, 0] == RecordKind.FLEXIBLE))
        row = made.records[at].view(FLEXIBLE)
        row[name] = row[name] + np.array(change).astype(row[name].dtype)  # may wrap
        found.append(both(written(tmp_path / str(k), made)))
    free = ("unserved_wh", "stays", "later_ueur_per_kwh", "least_wh", "most_wh", "gain_ppm")
    assert not any(found) or name in free, found


@pytest.mark.parametrize("change", [1, -1])
def test_both_find_another_energy_of_cars_in_a_meter(change: int, tmp_path: Path) -> None:
    made = make_devices_world(3, 12)
    meters = np.flatnonzero(made.records[:, 0] == Kind.METER)
    row = next(row for row in (made.records[at].view(METER) for at in meters) if row["reason"][0] > 0)
    row["reason"] = int(row["reason"][0]) + change
    assert not both(written(tmp_path / "run", made))


def without(made: World, kind: int, block: int | None = None) -> World:
    """Without the last record of a kind in a block, or without all of them in the first one."""
    if block is None:
        return made._replace(genesis=[rows for rows in made.genesis if rows[0, 0] != kind])
    begin, end = made.offsets[block], made.offsets[block + 1]
    last = begin + np.flatnonzero(made.records[begin:end, 0] == kind)[-1]
    records, offsets = np.delete(made.records, last, axis=0), made.offsets - (made.offsets > last)
    for k in range(block, block + 1):
        mine = records[offsets[k] : offsets[k + 1]].view("<u4").reshape(-1, 18)
        mine[:, 2] = np.arange(len(mine))
    return made._replace(records=records, offsets=offsets)


def test_both_miss_a_device_that_is_left_out(tmp_path: Path) -> None:
    made = make_devices_world(3, 4)
    assert not both(written(tmp_path / "first", without(made, RecordKind.FLEXIBLE)))
    assert not both(written(tmp_path / "later", without(made, RecordKind.FLEXIBLE, 2)))


def test_neither_takes_a_device_in_a_ledger_without_any(tmp_path: Path) -> None:
    made = make_devices_world(3, 4)
    name = DEVICES_PARAMETER.encode()
    terms = made.genesis[0][[name not in row.tobytes() for row in made.genesis[0]]]
    terms.view("<u4").reshape(-1, 18)[:, 2] = 1 + np.arange(len(terms))
    rest = np.concatenate(made.genesis[1:])
    rest.view("<u4").reshape(-1, 18)[:, 2] = 1 + len(terms) + np.arange(len(rest))
    assert not both(written(tmp_path / "run", made._replace(genesis=[terms, rest])))


def test_neither_takes_devices_in_a_private_ledger(tmp_path: Path) -> None:
    cover = {"private": 1, "verdict_private": 1, "private_records": 8, "sum_intervals": 2}
    assert not both(written(tmp_path / "covered", make_devices_world(3, 4, **cover)))
    assert not both(written(tmp_path / "older", make_devices_world(3, 4, private=1)))
