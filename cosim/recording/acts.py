"""Acts on the ledger: blocks without an interval, in which a device joins or the operator switches; and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cosim.case.acts import Act, Joins, Stage, Switches, make_joining, make_switching, with_act
from cosim.case.case import Case
from cosim.case.devices import BatteryDevice
from cosim.case.state import NetworkState
from market.ledger.format.records import (
    CLOSES,
    OPENS,
    TOPOLOGY,
    Change,
    DeviceKind,
    RecordBytes,
    RecordKind,
    make_house_records,
    make_record,
    select_rows,
    view_as_bytes,
)
from market.state import State


def make_battery_record(stage: Stage, device: BatteryDevice) -> RecordBytes:
    """`HOUSE` record of a battery that came: the house's new ratings, and the energy in the battery, (1, 72).

    `stage` is that after the device has joined.
    """
    case, state, _ = stage
    n = case.opening.own_wh.size
    own, wallets = np.zeros(n, np.int64), np.zeros(n, np.int64)
    own[device.house] = device.charge_wh
    names, bus = case.profiles.participants, case.feeder.bus.tolist()
    rows = make_house_records(names, bus, state.ratings, own, wallets, 0)
    return view_as_bytes(rows[device.house : device.house + 1])


def make_command_record(command: Switches) -> RecordBytes:
    """Record of a command of the operator, (1, 72)."""
    reason = OPENS if command.opens else CLOSES
    return make_record(TOPOLOGY, RecordKind.TOPOLOGY, status=command.change, reason=reason, element=command.element)


def make_act_records(stage: Stage, act: Act) -> RecordBytes:
    """Records of an act that the run determines, beside a member's signed statement; `stage` is that after it."""
    if isinstance(act, Switches):
        return make_command_record(act)
    if isinstance(act.device, BatteryDevice):
        return make_battery_record(stage, act.device)
    return np.empty((0, TOPOLOGY.itemsize), np.uint8)


def read_act(stage: Stage, records: RecordBytes, interval: int) -> Act | None:
    """The act of a block without an interval, None if it holds none: keys and permissions change nothing.

    Parameters
    ----------
    stage
        Before the act.
    records
        Of the block, (M, 72).
    interval
        The first interval that it counts for.

    Raises
    ------
    ScenarioError
        If it is one that cannot be.
    """
    for command in read_commands(records, interval):
        return make_switching(stage.case, *command[:3], opens=command.opens)
    for row in select_rows(records, RecordKind.DEVICE):
        if row["status"] == 1:
            kind = DeviceKind(int(row["device_kind"])).name.lower()
            house, power_w, energy_wh = (int(row[name]) for name in ("member", "power_w", "energy_wh"))
            return Joins(interval, make_joining(stage.case, house, kind, power_w, energy_wh))
    return None


def read_commands(records: RecordBytes, interval: int) -> list[Switches]:
    """Commands of the operator in a block without an interval; `interval` is the first that they count for."""
    return [
        Switches(interval, Change(int(row["status"])), int(row["element"]), bool(row["reason"] == OPENS))
        for row in select_rows(records, RecordKind.TOPOLOGY)
    ]


def follow_act(stage: Stage, records: RecordBytes, interval: int) -> tuple[Stage, RecordBytes]:
    """Stage after the act of a block, and the records of it that the run determines; none if there is no act."""
    act = read_act(stage, records, interval)
    if act is None:
        return stage, np.empty((0, TOPOLOGY.itemsize), np.uint8)
    stage = with_act(stage, act)
    return stage, make_act_records(stage, act)


def resume_stage(
    case: Case, blocks: Iterable[tuple[int, RecordBytes]], state: State, network: NetworkState, interval: int
) -> Stage:
    """Stage that a run goes on with, from the acts on its ledger.

    Parameters
    ----------
    case
        As the scenario makes it.
    blocks
        Number of intervals before each block without an interval, and its records, in order of height.
    state, network, interval
        After the last interval, and the number of the next.
    """
    stage = Stage(case, case.opening, case.opening_network)
    acts = list(blocks)
    for at, records in acts:
        if at < interval:
            stage, _ = follow_act(stage, records, at)
    stage = stage._replace(state=state, network=network)
    for at, records in acts:
        if at >= interval:
            stage, _ = follow_act(stage, records, at)
    return stage
