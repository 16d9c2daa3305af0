"""Records of devices: owners become members before the first interval, and sign when a device joins or leaves."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.case.case import Case
from cosim.case.devices import BatteryDevice
from cosim.case.state import ADMITTED, REFUSED, RETIRED
from cosim.interval.chunk import Chunk
from cosim.interval.device_requests import DeviceDecision
from market.ledger.format.records import (
    SIZE,
    DeviceKind,
    RecordBytes,
    Role,
    make_house_records,
    view_as_bytes,
)
from market.ledger.format.statements import make_device_record, register

Keys = Mapping[int, Ed25519PrivateKey]
"""Key of each house that is a member."""


def list_device_owners(case: Case) -> list[int]:
    """Houses whose devices join or leave in the course of the run."""
    timeline = case.timeline
    by_interval = (timeline.requests, timeline.retired, timeline.departing)
    changing = [k for events in by_interval for numbers in events.values() for k in numbers]
    return sorted({case.fleet.devices[k].house for k in changing})


def make_member_records(chain_id: bytes, keys: Keys, effective: int) -> RecordBytes:
    """Statements by which houses become members; their keys count from the block at height `effective` on."""
    return np.concatenate(
        [register(chain_id, house, Role.PARTICIPANT, 1, effective, key) for house, key in keys.items()]
    )


def make_decision_records(case: Case, chunk: Chunk, chain_id: bytes, keys: Keys) -> RecordBytes:
    """Signed records of the devices that joined or left in a chunk's interval, and the new ratings of batteries.

    The houses' devices of the first interval are not on the ledger: nothing is recorded when one of them leaves.
    """
    known = case.opening_network.standing != ADMITTED
    records = [
        _make_record(case, decision, chain_id, chunk.first, keys)
        for decision in chunk.decisions
        if decision.standing in (ADMITTED, RETIRED) and known[decision.device]
    ]
    records += make_battery_records(case, chunk)
    return np.concatenate(records) if records else np.empty((0, SIZE), np.uint8)


def make_battery_records(case: Case, chunk: Chunk) -> list[RecordBytes]:
    """`HOUSE` records of the houses whose batteries came, left or began to leave: new ratings, energy that moved."""
    n, moved = case.opening.own_wh.size, dict[int, int]()
    for decision in chunk.decisions:
        device = case.fleet.devices[decision.device]
        if isinstance(device, BatteryDevice) and decision.standing != REFUSED:
            moved[device.house] = moved.get(device.house, 0) + decision.energy_wh
    opening = np.array([moved.get(house, 0) for house in range(n)], np.int64)
    names, ratings = case.profiles.participants, chunk.window.state.ratings
    rows = make_house_records(names, case.feeder.bus.tolist(), ratings, opening, np.zeros(n, np.int64), 0)
    return [view_as_bytes(rows[house : house + 1]) for house in sorted(moved)]


def _make_record(case: Case, decision: DeviceDecision, chain_id: bytes, interval: int, keys: Keys) -> RecordBytes:
    device = case.fleet.devices[decision.device]
    joins = decision.standing == ADMITTED
    return make_device_record(
        chain_id,
        device.house,
        2 + interval * len(case.fleet.devices) + decision.device,
        keys[device.house],
        device=decision.device,
        kind=DeviceKind[device.kind.upper()],
        bus=int(case.feeder.bus[device.house]),
        power_w=round(device.rated_kw * 1000),
        energy_wh=device.energy_wh,
        datasheet=sha256(device.label.encode()).digest(),
        joins=joins,
    )
