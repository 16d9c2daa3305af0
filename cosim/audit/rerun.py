"""Run a recorded run again, and compare every field of every record with the ledger's, block by block.

A run is a function of its inputs, so there is one right ledger, and any other record is a lie or a defect. Signatures
and keys are left to `gridsettle ledger verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.audit.differences import Difference, find_difference, select_compared
from cosim.audit.metered import read_metered_profiles
from cosim.audit.rebuild import Origin, list_scenario_devices, rebuild_case
from cosim.audit.recorded import (
    Entries,
    Finding,
    OpenedBlock,
    Recorded,
    find_early_end,
    read_blocks,
    read_first_block,
    read_recorded,
)
from cosim.case.case import Case, with_given
from cosim.case.given import read_given
from cosim.interval.fold import scale_by_houses
from cosim.recording.acts import Between, is_act, read_people, run_with_acts
from cosim.recording.blocks import make_genesis_records, make_group_records
from cosim.recording.devices import list_device_owners
from cosim.recording.keys import make_participant_key
from data.profiles import Profiles
from market.ledger.format.records import JOINS, SIZE, RecordBytes, RecordKind, select_rows
from market.ledger.store.store import Store

_NOTHING: RecordBytes = np.empty((0, SIZE), np.uint8)

GROUP = 1024
"""Intervals whose records are made together; fewer where there are many houses."""


class Rerun(NamedTuple):
    """What a rerun found.

    Attributes
    ----------
    n_intervals, n_records
        How many intervals and records were compared.
    findings
        What is wrong with the ledger as a whole.
    differences
        First difference of each block that has one, of as many blocks as asked for.
    n_different
        Number of blocks with a difference.
    origin
        Where the profiles came from.
    takes_phases
        Whether phases of houses were taken from the ledger itself.
    registered
        Devices that members have registered and that take no part in the run: (height, house, number) each.
    n_given
        Intervals whose inputs another simulator gave, as the run directory keeps them.
    """

    n_intervals: int
    n_records: int
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    n_different: int
    origin: Origin
    takes_phases: bool = False
    registered: tuple[tuple[int, int, int], ...] = ()
    n_given: int = 0

    @property
    def ok(self) -> bool:
        """Whether the ledger is what the run gives."""
        return not self.findings and not self.n_different


def rerun_ledger(
    directory: str | Path,
    *,
    entries: Entries | None = None,
    so_far: bool = False,
    show: int = 10,
    listener: Callable[[int, int], None] | None = None,
) -> Rerun:
    """Run a recorded run again and compare.

    Parameters
    ----------
    directory
        Run directory.
    entries
        Private records from the operator's store, by (interval, number).
    so_far
        Whether the run goes on, so that an early end is no finding.
    show
        Blocks whose first difference is told; all others are counted.
    listener
        Called with the intervals done and all of them.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If the directory holds no run, an input is not the one the ledger was begun with, or private records cannot be
        opened.
    """
    directory = Path(directory)
    with Store.open_to_read(directory) as store:
        recorded = read_recorded(directory, read_first_block(store, entries))
        case, origin = rebuild_case(recorded, lambda: _read_metered(recorded, store, entries))
        case, acts = _with_people(case, recorded, store)
        n_intervals = n_records = n_different = 0
        shown: list[Difference] = []
        registered: list[tuple[int, int, int]] = []
        blocks = _note_registered(read_blocks(store, entries), registered)
        for n, is_interval, difference in _compare(case, recorded, acts, blocks):
            n_records, n_intervals = n_records + n, n_intervals + is_interval
            if difference is not None:
                n_different += 1
                shown += [difference] if n_different <= show else []
            if listener is not None:
                listener(n_intervals, case.n_intervals)
        findings = () if so_far else tuple(find_early_end(recorded, store.size() - 1, n_intervals))
    found = n_intervals, n_records, findings, tuple(shown), n_different, origin, recorded.takes_phases
    n_given = 0 if case.given is None else len(case.given.rows)
    return Rerun(*found, tuple(registered), n_given)


def _with_people(case: Case, recorded: Recorded, store: Store) -> tuple[Case, list[Between]]:
    """The case with what people submitted, or another simulator gave, and what happened between intervals.

    Nobody takes part in private.
    """
    if recorded.read_parameter("private"):
        return case, []
    given = read_given(recorded.directory, case.profiles)
    case = case if given is None else with_given(case, given)
    return read_people(case, ((block.interval, block.records) for block in read_blocks(store, None)))


def _read_metered(recorded: Recorded, store: Store, entries: Entries | None) -> Profiles:
    return read_metered_profiles(recorded, list_scenario_devices(recorded), read_blocks(store, entries))


def _compare(
    case: Case, recorded: Recorded, acts: Sequence[Between], blocks: Iterator[OpenedBlock]
) -> Iterator[tuple[int, bool, Difference | None]]:
    """For every block the number of records compared, whether it holds an interval, and its first difference.

    Blocks behind the last interval hold what members stated later, and nothing that would change the run.
    """
    genesis = np.concatenate(
        [record.reshape(-1, SIZE) for record in make_genesis_records(case, recorded.inputs_salt, recorded.form)]
    )
    yield _count(recorded.genesis), False, find_difference(0, recorded.genesis, genesis)
    ran, n_acts = list_block_records(case, acts), 0
    for block in blocks:
        is_within = block.interval < case.n_intervals
        acts_here = not block.holds_interval and is_act(block.records)
        acted = acts_here and is_within and n_acts < len(acts)
        n_acts += acted
        computed = next(ran, _NOTHING) if block.holds_interval or acted else select_registrations(block.records)
        if block.holds_interval or is_within or acts_here:
            yield _count(block.records), block.holds_interval, find_difference(block.height, block.records, computed)


def select_registrations(records: RecordBytes) -> RecordBytes:
    """What a block without an interval that changes no run may state of devices: their members' word alone."""
    chosen: RecordBytes = records[records[:, 0] == RecordKind.DEVICE]
    return chosen


def _note_registered(blocks: Iterator[OpenedBlock], found: list[tuple[int, int, int]]) -> Iterator[OpenedBlock]:
    """The blocks, while (height, house, number) of each device is noted that is registered and takes no part."""
    for block in blocks:
        if not block.holds_interval and not is_act(block.records):
            rows = select_rows(block.records, RecordKind.DEVICE)
            rows = rows[rows["status"] == JOINS]
            found += [(block.height, int(row["member"]), int(row["device"])) for row in rows]
        yield block


def _count(records: RecordBytes) -> int:
    """Number of records that are compared."""
    return len(select_compared(records))


def list_block_records(case: Case, acts: Sequence[Between] = ()) -> Iterator[RecordBytes]:
    """Records of every interval's block, and of each act between them, as the run makes them.

    Statements about devices bear no member's signature.

    Parameters
    ----------
    case
        What is run.
    acts
        What happened between intervals, in order of height.
    """
    keys = {house: make_participant_key(case.scenario.seed, house) for house in list_device_owners(case)}
    for step in run_with_acts(case, acts, scale_by_houses(GROUP, case), judged=True):
        if not step.group:
            yield step.records
            continue
        records, offsets = make_group_records(step.case, step.group, bytes(32), keys)
        yield from (records[first:stop] for first, stop in pairwise(offsets.tolist()))
