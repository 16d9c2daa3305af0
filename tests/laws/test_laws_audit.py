"""Laws of audits: whatever is changed in a record is found and named; an honest run is never accused."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.audit.differences import NUMBER, SEQ, find_difference, select_compared
from cosim.audit.metered import find_raised, undo_pickup, without_panels
from cosim.audit.rerun import rerun_ledger
from cosim.case.community import scale_panels_wh, sun_shape
from cosim.case.devices import PvDevice
from cosim.case.idle_keys import without_idle_keys
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import RecordBytes, RecordKind
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records
from market.mechanisms import BUILT_IN, find_mechanism

GRID_OUT = {"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 6, "grid": True}
CELL = {"kind": "register", "at": "2017-06-20T07:00:00Z", "participant": "house_03", "device": "fuel_cell"}
BATTERY = {"kind": "register", "at": "2017-06-20T06:00:00Z", "participant": "house_02", "device": "battery"}
DAY = Scenario().with_changes(
    horizon={"hours": 20, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3, "production_ratio": 1.5},
    network={"n_branches": 2},
    market={"feed_in": True},
    ledger={"facts": True},
    community={"enabled": True},
    engine={"verify_sample": 0},
    events=[GRID_OUT, CELL, BATTERY],
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[RecordBytes]:
    """Blocks of a day with orders, islands, devices and batteries that change."""
    directory = tmp_path_factory.mktemp("law") / "run"
    run(DAY, directory)
    with Store.open_to_read(directory) as store:
        blocks = [decode_records(block.records) for group in store.groups() for block in group]
    kinds = set(np.concatenate(blocks)[:, 0].tolist())
    assert {1, 5, 6, 9, *map(int, (RecordKind.VERDICT, RecordKind.TOPOLOGY, RecordKind.ORDER))} <= kinds
    assert {int(kind) for kind in (RecordKind.DEVICE, RecordKind.HOUSE, RecordKind.PARAMETER)} <= kinds
    return blocks


@given(data=st.data())
@settings(max_examples=400)
def test_a_changed_byte_of_any_record_is_found_and_named(data: Any, recorded: list[RecordBytes]) -> None:
    """But for the numbers of records and of devices' statements, and kinds that a run does not determine."""
    height = data.draw(st.integers(0, len(recorded) - 1))
    block = recorded[height].copy()
    k = data.draw(st.integers(0, len(block) - 1))
    byte = data.draw(st.integers(1, 71).filter(lambda at: not SEQ.start <= at < SEQ.stop))
    block[k, byte] ^= data.draw(st.integers(1, 255))
    found = find_difference(height, block, recorded[height])
    left_out = len(select_compared(block[k : k + 1])) == 0
    of_statement = block[k, 0] == RecordKind.DEVICE and NUMBER.start <= byte < NUMBER.stop
    assert (found is None) == (left_out or of_statement)
    if found is not None:
        assert found.height == height
        assert found.record.startswith(f"record {k} (")
        assert found.recorded != found.computed or found.field == "reserved", str(found)


@given(data=st.data())
def test_a_record_more_or_less_is_found(data: Any, recorded: list[RecordBytes]) -> None:
    height = data.draw(st.integers(0, len(recorded) - 1))
    block = recorded[height]
    k = data.draw(st.integers(0, len(block) - 1))
    if len(select_compared(block[k : k + 1])):
        for changed in (np.delete(block, k, axis=0), np.insert(block, k, block[k], axis=0)):
            assert find_difference(height, changed, block) is not None
    assert find_difference(height, block, block) is None


energies = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=40)


@given(load_wh=energies)
def test_cold_load_pickup_is_undone(load_wh: list[int]) -> None:
    load = np.array(load_wh)
    assert (undo_pickup(np.rint(load * 1.5).astype(np.int64)) == load).all()


@given(dark=st.lists(st.booleans(), min_size=2, max_size=30), per_hour=st.sampled_from([1, 2, 4]))
def test_load_is_raised_in_the_first_hour_behind_the_dark(dark: list[bool], per_hour: int) -> None:
    raised = find_raised(np.array(dark)[:, None], per_hour)[:, 0]
    for t, was_raised in enumerate(raised):
        assert was_raised == (not dark[t] and any(dark[max(t - per_hour, 0) : t]))


@given(data=st.data(), n_houses=st.integers(1, 4), n_intervals=st.integers(1, 12), n_panels=st.integers(1, 3))
def test_plugged_in_panels_are_taken_off_again(data: Any, n_houses: int, n_intervals: int, n_panels: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    profile = rng.integers(0, 5000, (n_intervals, n_houses)) * rng.integers(0, 2, (n_intervals, 1))
    panels = [PvDevice("panels", int(rng.integers(n_houses)), float(rng.uniform(0.1, 9)), 0) for _ in range(n_panels)]
    there = rng.integers(0, 2, (n_panels, n_intervals)).astype(bool)
    metered = profile.copy()
    for panel, on in zip(panels, there, strict=True):
        metered[:, panel.house] += np.where(on, scale_panels_wh(panel.rated_kw, sun_shape(profile), 60), 0)
    assert (without_panels(metered, panels, there, 60) == profile).all()


MECHANISMS = st.sampled_from(sorted(BUILT_IN))
RULES = st.sampled_from(["least_curtailment", "pro_rata", "lifo", "max_min", "reject"])


@pytest.mark.slow
@given(
    seed=st.integers(1, 10**6),
    mechanism=MECHANISMS,
    rule=RULES,
    pricing=st.sampled_from(["requests_offers", "mid_market", "supply_demand_ratio"]),
    max_vm_pu=st.sampled_from([1.0005, 1.002, 1.05]),
    min_vm_pu=st.sampled_from([0.9, 0.9995]),
    events=st.lists(st.sampled_from([GRID_OUT, CELL, BATTERY]), max_size=3, unique_by=lambda event: event["kind"]),
    community=st.booleans(),
    feed_in=st.booleans(),
    wallet_eur=st.sampled_from([0.05, 1.0, 100.0]),
    minutes=st.sampled_from([60, 30]),
)
@settings(max_examples=6)
def test_an_honest_run_is_never_accused(
    seed: int,
    mechanism: str,
    rule: str,
    pricing: str,
    max_vm_pu: float,
    min_vm_pu: float,
    events: list[dict[str, Any]],
    community: bool,
    feed_in: bool,
    wallet_eur: float,
    minutes: int,
) -> None:
    """Whatever market, limits, rule and events: verify, audit and rerun find nothing."""
    scenario = DAY.with_changes(
        seed=seed,
        horizon={"hours": 18, "start": "2017-06-20T00:00:00Z", "interval_minutes": minutes},
        houses={"n_houses": 5, "n_prosumers": 3, "production_ratio": 1.5, "wallet_eur": wallet_eur},
        market={"mechanism": mechanism, "pricing": pricing, "feed_in": feed_in},
        limits={"max_vm_pu": max_vm_pu, "min_vm_pu": min_vm_pu},
        curtailment={"rule": rule},
        community={"enabled": community},
        events=events,
    )
    with TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        run(without_idle_keys(scenario, find_mechanism(mechanism)), directory)
        assert verify_ledger(directory).reason == ""
        assert audit_ledger(directory, sample=None).findings == ()
        found = rerun_ledger(directory)
        assert (found.differences, found.findings) == ((), ())
