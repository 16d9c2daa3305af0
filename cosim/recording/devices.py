"""Devices on the ledger: owners become members before the first interval, then sign when a device joins or leaves."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

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

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


Keys = Mapping[int, "Ed25519PrivateKey"]
"""Key of each house that is a member."""


def list_device_owners(case: Case) -> list[int]:
    """Houses whose devices join or leave in the course of the run."""
    timeline = case.timeline
    tables = (timeline.requests, timeline.retired, timeline.departing)
    changing = [k for numbers in tables for ks in numbers.values() for k in ks]
    return sorted({case.fleet.devices[k].house for k in changing})


def make_member_records(chain_id: bytes, keys: Keys, effective: int) -> RecordBytes:
    """Statements by which houses become members; their keys count from the block at height `effective` on."""
    return np.concatenate(
        [register(chain_id, house, Role.PARTICIPANT, 1, effective, key) for house, key in keys.items()]
    )


def make_decision_records(case: Case, chunk: Chunk, chain_id: bytes, keys: Keys) -> RecordBytes:
    """Signed records of the devices that joined or left in a chunk's interval, and of batteries that are others now."""
    settled = [answer for answer in chunk.decisions if answer.standing in (ADMITTED, RETIRED)]
    records = [
        _record(case, answer, chain_id, chunk.first, keys)
        for answer in settled
        if _was_plugged_in(case, answer)
    ]
    records += make_battery_records(case, chunk)
    return np.concatenate(records) if records else np.empty((0, SIZE), np.uint8)


def make_battery_records(case: Case, chunk: Chunk) -> list[RecordBytes]:
    """`HOUSE` records of the houses whose batteries came, left or began to leave: new ratings, energy that moved."""
    devices, n = case.fleet.devices, case.opening.own_wh.size
    changed = [
        a for a in chunk.decisions if isinstance(devices[a.device], BatteryDevice) and a.standing != REFUSED
    ]
    moved = np.zeros(n, np.int64)
    for answer in changed:
        moved[devices[answer.device].house] += answer.energy_wh
    houses = sorted({devices[answer.device].house for answer in changed})
    names, ratings = case.profiles.participants, chunk.window.state.ratings
    rows = make_house_records(names, case.feeder.bus.tolist(), ratings, moved, np.zeros(n, np.int64), 0)
    return [view_as_bytes(rows[house : house + 1]) for house in houses]


def _was_plugged_in(case: Case, answer: DeviceDecision) -> bool:
    """Whether the ledger knows the device: those of the scenario's first day have no record that they joined."""
    return bool(case.opening_network.standing[answer.device] != ADMITTED)


def _record(case: Case, answer: DeviceDecision, chain_id: bytes, interval: int, keys: Keys) -> RecordBytes:
    device = case.fleet.devices[answer.device]
    joins = answer.standing == ADMITTED
    return make_device_record(
        chain_id,
        device.house,
        2 + interval * len(case.fleet.devices) + answer.device,
        keys[device.house],
        device=answer.device,
        kind=DeviceKind[device.kind.upper()],
        bus=int(case.feeder.bus[device.house]),
        power_w=round(device.rated_kw * 1000),
        energy_wh=device.energy_wh,
        datasheet=sha256(device.label.encode()).digest(),
        joins=joins,
    )
