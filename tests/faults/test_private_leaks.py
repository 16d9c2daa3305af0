"""Whoever knows all that is public of a private run knows no more of a house than public statistics say.

run ── publish ── attackers of many kinds ── rank correlation with each house's load over a week ≤ 0.1
 └── the same run as a ledger with verdicts, losses and sums in clear would show it: the same attackers succeed
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attackers import ATTACKERS, Floats, Public, read_public, says_nothing, score

from cosim import Scenario, run
from cosim.results.publication import publish_run
from market.exchanges import METER, OPERATOR, Kind
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import (
    PRIVATE,
    RecordBytes,
    RecordKind,
    make_record,
    select_rows,
)
from market.ledger.private.commitments import make_aggregate_record, open_block
from market.ledger.private.vault import Vault, vault_path

pytestmark = pytest.mark.slow  # weeks of private runs

N, HOURS = 6, 169
SEEDS = [11, 12, pytest.param(13, marks=pytest.mark.slow), pytest.param(14, marks=pytest.mark.slow)]
HIGHEST = 0.1


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaks") / "keys"
    folder.mkdir(mode=0o700)
    for k, name in enumerate(["operator", *(f"member-{house:03d}" for house in range(N))]):
        write_key_pair(folder / f"{name}.key", make_demonstration_key(7000 + k))
    return folder


def private_run(keys: Path, seed: int, **changes: object) -> Path:
    """A private run of a week; returns its directory, published beside it as `public`."""
    directory = keys.parent / f"run-{seed}-{len(changes)}"
    if not directory.exists():
        ledger = {"operator_key": keys / "operator.key", "member_keys": keys, "private": True, "members_sign": True}
        scenario = Scenario(seed=seed).with_changes(
            horizon={"hours": HOURS, "start": "2017-05-08T00:00:00Z"},
            houses={"n_houses": N, "n_prosumers": 3, "production_ratio": 1.5, "load_cos_phi": 1},
            engine={"verify_sample": 0},
            ledger=ledger,
            **changes,
        )
        run(scenario, directory)
        publish_run(directory, directory.with_name(f"{directory.name}-public"))
    return directory


def published(directory: Path) -> Public:
    return read_public(directory.with_name(f"{directory.name}-public"), N)


def opened_blocks(directory: Path, keys: Path) -> list[RecordBytes]:
    """The blocks of the intervals in clear, as the operator sees them."""
    with Vault(vault_path(directory, OPERATOR), to_read=True) as vault:
        entries = {(e.interval, e.seq): e for e in vault.read(make_demonstration_key(7000))}
    found = [open_block(records, t, entries) for t, records in enumerate(published(directory).blocks)]
    return [opened.records for opened in found if not isinstance(opened, str)]


def loads_of(directory: Path, keys: Path) -> Floats:
    """Load of each house in each interval, (T, N), as its meter says."""
    return np.array([select_rows(records, Kind.METER)["load_wh"] for records in opened_blocks(directory, keys)], float)


def as_before(directory: Path, keys: Path) -> Public:
    """What a ledger with verdicts, losses and the sums of every block in clear shows of the same run."""
    blocks = []
    for t, records in enumerate(opened_blocks(directory, keys)):
        named = np.isin(records[:, 0], [kind for kind in range(1, 17) if kind != Kind.LOSS])
        shown = records.copy()
        shown[named] = make_record(PRIVATE, RecordKind.PRIVATE, commitment=bytes(32))
        blocks.append(np.concatenate([shown, make_aggregate_record(records[named], t, len(records))]))
    public = published(directory)
    return public._replace(blocks=blocks, sizes=[records.size for records in blocks])


def attack_all(public: Public, others: Public, loads: Floats) -> dict[str, float]:
    """How well each attacker orders the hours of a run, given what is published of it and of a run of other houses."""
    found = {name: (attack(public), attack(others)) for name, attack in ATTACKERS.items()}
    return {name: 0.0 if says_nothing(*guess) else score(guess[0], loads) for name, guess in found.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_attacker_orders_the_hours_of_a_week_by_a_houses_load(seed: int, keys: Path) -> None:
    directory, others = private_run(keys, seed), private_run(keys, seed + 100)
    loads = loads_of(directory, keys)
    assert loads.shape == (HOURS, N)
    found = attack_all(published(directory), published(others), loads)
    assert max(found.values()) <= HIGHEST, max(found.items(), key=lambda item: item[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_attackers_succeed_where_verdicts_and_sums_stand_in_clear(seed: int, keys: Path) -> None:
    """Without this the test above could not fail."""
    directory, others = private_run(keys, seed), private_run(keys, seed + 100)
    found = attack_all(as_before(directory, keys), as_before(others, keys), loads_of(directory, keys))
    for name in ("loading_e4_percent", "losses in clear", "into_wh", "lowest voltage", "records", "branch to cable"):
        assert found[name] > 2 * HIGHEST, (name, found[name])
    assert found["branch to cable"] > 0.6, "the loading of a house's own cable is its power"


def seen(records: RecordBytes) -> bytes:
    """A block without what looks random to whoever has no key: commitments and signatures."""
    masked = records.copy()
    masked[masked[:, 0] == RecordKind.PRIVATE, 12:44] = 0
    masked[masked[:, 0] == RecordKind.SIGNATURE, 40:72] = 0
    return masked.tobytes()


def find_differing(first: Path, second: Path) -> list[int]:
    """Intervals whose blocks strangers can tell apart."""
    blocks = [[seen(records) for records in published(directory).blocks] for directory in (first, second)]
    return [t for t, (a, b) in enumerate(zip(*blocks, strict=True)) if a != b]


def test_blocks_of_two_runs_with_other_loads_are_the_same_to_strangers(keys: Path) -> None:
    """The law behind it: within a period nothing that is public depends on what houses did."""
    first, second = (private_run(keys, seed) for seed in (11, 111))
    assert (loads_of(first, keys) != loads_of(second, keys)).mean() > 0.9
    assert find_differing(first, second) == [167], "the only block with a statement"


def test_a_period_says_its_sums_and_coarse_extremes(keys: Path) -> None:
    """And no more: a week's energy of all houses together, voltages to 0.01 pu, loading to 10 %."""
    directory = private_run(keys, 11)
    records, opened = published(directory).blocks[167], opened_blocks(directory, keys)
    (sums,), (verdict,) = (select_rows(records, kind) for kind in (RecordKind.AGGREGATE, RecordKind.VERDICT))
    meters = np.concatenate([select_rows(block, Kind.METER) for block in opened[:168]])
    into = [name for name in METER.names or () if name.split("_wh")[0] in
            ("pv", "fuel_cell", "discharge", "bought", "imported", "shed")]  # fmt: skip
    assert sums["into_wh"] == sum(int(meters[name].sum(dtype=np.int64)) for name in into)
    exact = np.concatenate([select_rows(block, RecordKind.VERDICT) for block in opened[:168]])
    assert verdict["loading_e4_percent"] == -(-exact["loading_e4_percent"].max() // 100_000) * 100_000
    assert verdict["branch"] == verdict["lowest_bus"] == -(2**31)


def test_not_even_an_outage_shows(keys: Path) -> None:
    """What is switched off follows from events, but when an island is connected again follows from its batteries."""
    outage = {"kind": "outage", "start": "2017-05-09T03:00:00Z", "hours": 4, "grid": True}
    first, second = (private_run(keys, seed, events=[outage]) for seed in (11, 111))
    true = np.concatenate([select_rows(records, RecordKind.TOPOLOGY) for records in opened_blocks(first, keys)])
    assert true.size > 0
    assert find_differing(first, second) == [167]
    assert find_differing(first, private_run(keys, 11)) == [167]
