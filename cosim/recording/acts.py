"""Acts on the ledger: blocks without an interval, in which devices come and go or the operator switches; and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cosim.case.acts import Act, Switches, make_switching, with_act
from cosim.case.case import Case
from cosim.case.plugged import Joins, Stage, StatedDevice, make_joining, make_leaving
from cosim.case.state import NetworkState
from cosim.case.submissions import with_submissions
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk, group_chunks
from cosim.interval.device_requests import try_joining
from cosim.interval.fold import run_intervals
from market.exchanges import Reason
from market.ledger.format.records import (
    CLOSES,
    JOINS,
    LEAVES_UNREGISTERED,
    OPENS,
    TOPOLOGY,
    Change,
    DeviceKind,
    RecordBytes,
    RecordKind,
    make_house_records,
    make_record,
    number_records,
    select_rows,
    view_as_bytes,
)
from market.state import State

_ACTS = (RecordKind.TOPOLOGY, RecordKind.HOUSE)
"""What the run itself records of an act. A member's statement alone registers a device, and changes no run."""
_NOTHING: RecordBytes = np.empty((0, TOPOLOGY.itemsize), np.uint8)


def make_house_record(before: Stage, after: Stage, house: int) -> RecordBytes:
    """`HOUSE` record of a house whose device joins or leaves: its ratings from now on, the energy that moved, (1, 72).

    It says that the device beside it takes part in the run, or did; panels and fuel cells change no rating.
    """
    case, state = after.case, after.state
    moved, wallets = state.own_wh - before.state.own_wh, np.zeros(state.own_wh.size, np.int64)
    names, bus = case.profiles.participants, case.feeder.bus.tolist()
    rows = make_house_records(names, bus, state.ratings, moved, wallets, 0)
    return view_as_bytes(rows[house : house + 1])


def make_command_record(command: Switches) -> RecordBytes:
    """Record of a command of the operator, (1, 72)."""
    reason = OPENS if command.opens else CLOSES
    return make_record(TOPOLOGY, RecordKind.TOPOLOGY, status=command.change, reason=reason, element=command.element)


def make_act_records(before: Stage, after: Stage, act: Act) -> RecordBytes:
    """Records of an act that the run determines, beside a member's signed statement; stages before and after it."""
    if isinstance(act, Switches):
        return make_command_record(act)
    return make_house_record(before, after, act.device.house if isinstance(act, Joins) else act.house)


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
        stated = read_stated(row)
        if row["status"] == JOINS:
            return Joins(interval, make_joining(stage.case, stated))
        return make_leaving(stage, interval, stated)
    return None


def read_stated(row: Any) -> StatedDevice:
    """What a member states of a device in a `DEVICE` record, fields by name; the kind is one of `DeviceKind`."""
    number = None if row["status"] == LEAVES_UNREGISTERED else int(row["device"])
    kind = DeviceKind(int(row["device_kind"])).name.lower()
    return StatedDevice(
        *(int(row["member"]), kind, int(row["power_w"]), int(row["energy_wh"])), bytes(row["datasheet"]), number
    )


def read_commands(records: RecordBytes, interval: int) -> list[Switches]:
    """Commands of the operator in a block without an interval; `interval` is the first that they count for."""
    return [
        Switches(interval, Change(int(row["status"])), int(row["element"]), bool(row["reason"] == OPENS))
        for row in select_rows(records, RecordKind.TOPOLOGY)
    ]


class Between(NamedTuple):
    """A block without an interval: the number of the next interval, and its records, (M, 72)."""

    interval: int
    records: RecordBytes


class Step(NamedTuple):
    """A part of a run with acts: consecutive chunks of intervals, or the records of an act where there are none.

    `case` is that of the chunks, or that after the act.
    """

    case: Case
    group: list[Chunk]
    records: RecordBytes


def is_act(records: RecordBytes) -> bool:
    """Whether something happens in a block without an interval that changes the run.

    Keys, permissions, and devices that are registered by their member's statement alone do not.
    """
    kinds = records[:, 0]
    return bool(np.isin(kinds, _ACTS).any() and not (kinds == RecordKind.VERDICT).any())


def read_people(case: Case, blocks: Iterable[tuple[int, RecordBytes]]) -> tuple[Case, list[Between]]:
    """The case with what people submitted, and the acts between its intervals, from a ledger in clear.

    Parameters
    ----------
    case
        As the scenario makes it.
    blocks
        Number of intervals before each block behind the first, and its records, in order of height.
    """
    acts, submitted = list[Between](), list[RecordBytes]()
    for interval, records in blocks:
        if is_act(records):
            acts.append(Between(interval, records))
        elif (records[:, 0] == RecordKind.SUBMISSION).any():
            submitted.append(records)
    return with_submissions(case, submitted), acts


def run_with_acts(case: Case, acts: Sequence[Between], size: int, *, judged: bool = False) -> Iterator[Step]:
    """Run a recorded run once more, act by act.

    Parameters
    ----------
    case
        As the scenario makes it, with what people submitted.
    acts
        What happened between intervals, in order of height.
    size
        Intervals of a group.
    judged
        Whether each device is tried again: one that the network cannot carry has no records then.
    """
    stage, last, at = Stage(case, case.opening, case.opening_network), None, 0
    bounds = [*(min(act.interval, case.n_intervals) for act in acts), case.n_intervals]
    for act, stop in zip([*acts, None], bounds, strict=True):
        for group in group_chunks(run_intervals(stage.case, stage.state, at, stage.network, stop), size):
            last = group[-1]
            yield Step(stage.case, group, _NOTHING)
            stage = stage._replace(state=last.window.state, network=last.network, fresh=())
        at = stop
        if act is not None:
            stage, records = _follow(stage, act, last, judged=judged)
            yield Step(stage.case, [], records)


def _follow(stage: Stage, act: Between, last: Chunk | None, *, judged: bool) -> tuple[Stage, RecordBytes]:
    """Stage after an act, and its records: none where it could not be."""
    if act.interval >= stage.case.n_intervals:
        return stage, _NOTHING
    try:
        done = read_act(stage, act.records, act.interval)
    except ScenarioError:
        return stage, _NOTHING
    if done is None:
        return stage, _NOTHING
    if judged and isinstance(done, Joins):
        meters, event = (None, None) if last is None else (last.window.meters[-1:], last.event)
        if try_joining(stage.case, done.device, meters, event, stage.fresh)[0] != Reason.NONE:
            return stage, _NOTHING
    after, stated = with_act(stage, done), act.records[act.records[:, 0] == RecordKind.DEVICE]
    return after, np.concatenate([stated, number_records(make_act_records(stage, after, done), act.interval)])


def resume_stage(case: Case, acts: Sequence[Between], state: State, network: NetworkState, interval: int) -> Stage:
    """Stage that a run goes on with, from the acts on its ledger.

    Parameters
    ----------
    case
        As the scenario makes it.
    acts
        What happened between intervals, in order of height.
    state, network, interval
        After the last interval, and the number of the next.
    """
    stage = Stage(case, case.opening, case.opening_network)
    for act in acts:
        if act.interval < interval:
            stage, _ = _follow(stage, act, None, judged=False)
    stage = stage._replace(state=state, network=network, fresh=())
    for act in acts:
        if act.interval >= interval:
            stage, _ = _follow(stage, act, None, judged=False)
    return stage
