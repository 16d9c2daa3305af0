"""Audit a ledger down to the physics: solve recorded intervals again and check that what settled was admissible.

A ledger can be right in every hash and signature and still record a trade that the wires could not carry. The audit
rebuilds the injections from the recorded meters and solves them by pandapower on the recorded network, switched
as the block's topology says, each island with its grid former as slack. Limits and verdict are then checked. Where the
ledger records orders and rules, the interval is cleared again too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.audit.charges import find_wrong_terms, make_recorded_terms
from cosim.audit.differences import find_difference
from cosim.audit.market import can_clear, clear_again, follow_states
from cosim.audit.networks import switch_network
from cosim.audit.physics import Physics, audit_blocks
from cosim.audit.rebuild import make_bare_case, make_recorded_genesis, rebuild_head
from cosim.audit.recorded import (
    Entries,
    Finding,
    FirstBlock,
    OpenedBlock,
    Recorded,
    find_early_end,
    open_block,
    read_blocks,
    read_first_block,
    read_interval,
    read_recorded,
)
from cosim.audit.sample import draw_heights, make_nonce
from cosim.audit.tariff import find_wrong_prices
from cosim.case.acts import Switches, list_commanded
from cosim.case.case import Case
from cosim.interrupts.processes import open_pool
from cosim.recording.acts import read_commands
from grid_models.phases.judge import name_judge
from grid_models.powerflow.limits import Limits
from market.charges import Terms
from market.ledger.format.records import ISLANDED, RecordKind, read_next_interval, select_rows
from market.ledger.private.vault import Entry
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import decode_records
from market.state import State

TASK = 256
"""Blocks that are solved one after the other, each from the solution before; so more processes change no number."""

WORTH_PROCESSES = 600
"""Blocks from which on starting processes pays."""


class Audit(NamedTuple):
    """What an audit found.

    Attributes
    ----------
    heights
        Blocks audited.
    findings
        What is wrong, in order of height; nothing if the ledger is physically sound.
    islanded
        Those of them in which a participant was without the grid.
    cleared
        Those of them that were cleared again too.
    n_blocks, n_drawn
        Number of blocks behind the first, and how many of them were drawn.
    nonce
        The number that they were drawn by.
    judge
        What solved them: `pandapower.runpp`, in an unbalanced model `pandapower.runpp_3ph`, with four wires OpenDSS.
    takes_phases
        Whether phases of houses were taken from the ledger itself.
    """

    heights: tuple[int, ...]
    findings: tuple[Finding, ...]
    islanded: tuple[int, ...]
    cleared: tuple[int, ...]
    n_blocks: int
    n_drawn: int
    nonce: bytes
    judge: str
    takes_phases: bool = False


class Task(NamedTuple):
    """Blocks for one process.

    Attributes
    ----------
    directory, first
        Run directory, and the ledger's first block, which says what scenario and network are.
    heights
        Of the blocks.
    entries
        The private records in them.
    states
        State of the market before those that can be cleared again.
    commands
        What the operator has switched in the course of the run.
    """

    directory: Path
    first: FirstBlock
    heights: tuple[int, ...]
    entries: Entries
    states: Mapping[int, State]
    commands: tuple[Switches, ...]


class Bench(NamedTuple):
    """What blocks are held against: physics, in a ledger with facts market and network to clear again, and charges."""

    physics: Physics
    case: Case | None
    terms: Terms | None


class Audited(NamedTuple):
    """What became of a task: heights audited and findings; heights without the grid, and of those cleared again."""

    heights: list[int]
    findings: list[Finding]
    islanded: list[int]
    cleared: list[int]


def audit_ledger(
    directory: str | Path,
    *,
    sample: int | None = 48,
    nonce: bytes | None = None,
    entries: Entries | None = None,
    so_far: bool = False,
    n_processes: int = 1,
) -> Audit:
    """Audit the ledger of a run.

    Parameters
    ----------
    directory
        Run directory.
    sample
        Number of blocks to audit; all if None.
    nonce
        What they are drawn by, beside the ledger's head; a new random number if left out.
    entries
        Private records from the operator's store, by (interval, number).
    so_far
        Whether the run goes on, so that an early end is no finding.
    n_processes
        Processes that solve power flows. With more than one, the calling program's main module must be importable.

    Raises
    ------
    ScenarioError, market.errors.LedgerError, grid_models.errors.GridError
        If the directory holds no run, its scenario or network is not the one the ledger was begun with, or its
        records are private and cannot be opened.
    """
    directory, nonce = Path(directory), nonce or make_nonce()
    with Store.open_to_read(directory) as store:
        first = read_first_block(store, entries)
        recorded = read_recorded(directory, first)
        last = store.block(store.size() - 1)
        heights = draw_heights(last.hash, nonce, last.height, last.height if sample is None else sample)
        findings = _compare_first_block(recorded)
        states, wrong = _find_states(recorded, store, set(heights), entries)
        task = Task(directory, first, (), entries or {}, states, _find_commands(store, last, entries))
        done = _audit_all(recorded, list(_split(task, store, heights)), n_processes)
        findings += [finding for part in done for finding in part.findings] + wrong
        if not so_far:
            findings += find_early_end(recorded, last.height, read_next_interval(decode_records(last.records)))
    audited, islanded, cleared = (
        tuple(height for part in done for height in getattr(part, name)) for name in ("heights", "islanded", "cleared")
    )
    feeder = recorded.feeder
    judge = "pandapower.runpp" if feeder.connections is None else name_judge(feeder)
    return Audit(
        *(audited, tuple(findings), islanded, cleared, last.height, len(heights), nonce, judge),
        takes_phases=recorded.takes_phases,
    )


def _compare_first_block(recorded: Recorded) -> list[Finding]:
    """What the first block says of scenario, rules, network and houses, against the scenario and network themselves."""
    difference = find_difference(0, recorded.genesis, make_recorded_genesis(recorded))
    return [] if difference is None else [Finding(0, str(difference))]


def _find_states(
    recorded: Recorded, store: Store, heights: Collection[int], entries: Entries | None
) -> tuple[dict[int, State], list[Finding]]:
    """State before each of some blocks, and what is wrong with the books; nothing in a ledger without facts."""
    if not recorded.read_parameter("facts"):
        return {}, []
    followed = dict(follow_states(recorded, read_blocks(store, entries), heights))
    states = {height: state for height, state in followed.items() if isinstance(state, State)}
    return states, [state for state in followed.values() if isinstance(state, Finding)]


def _find_commands(store: Store, last: StoredBlock, entries: Entries | None) -> tuple[Switches, ...]:
    """What the operator has switched between intervals; nothing is read where every block holds an interval."""
    if last.height == read_next_interval(decode_records(last.records)):
        return ()
    blocks = (block for block in read_blocks(store, entries) if not block.holds_interval)
    return tuple(command for block in blocks for command in read_commands(block.records, block.interval))


def _split(task: Task, store: Store, heights: Sequence[int]) -> Iterator[Task]:
    """Tasks of up to `TASK` blocks, each with the private records and states that it needs."""
    by_interval = defaultdict[int, dict[tuple[int, int], Entry]](dict)
    for place, entry in task.entries.items():
        by_interval[place[0]][place] = entry
    for first in range(0, len(heights), TASK):
        chosen, needed = tuple(heights[first : first + TASK]), dict[tuple[int, int], Entry]()
        if task.entries:
            for height in chosen:
                needed |= by_interval[read_interval(store.block(height))]
        states = {height: task.states[height] for height in chosen if height in task.states}
        yield task._replace(heights=chosen, entries=needed, states=states)


def _audit_all(recorded: Recorded, tasks: Sequence[Task], n_processes: int) -> list[Audited]:
    if n_processes == 1 or sum(len(task.heights) for task in tasks) < WORTH_PROCESSES:
        bench = make_bench(recorded, tasks[0].commands if tasks else ())
        return [audit_task(bench, task) for task in tasks]
    with open_pool(n_processes) as pool:
        return list(pool.map(_audit_in_process, tasks))


def _audit_in_process(task: Task) -> Audited:
    return audit_task(_read_bench(task.directory, task.first, task.commands), task)


@lru_cache(maxsize=1)
def _read_bench(directory: Path, first: FirstBlock, commands: tuple[Switches, ...]) -> Bench:
    """What the blocks of a ledger are held against; once in a process."""
    return make_bench(read_recorded(directory, first), commands)


def make_bench(recorded: Recorded, commands: Sequence[Switches] = ()) -> Bench:
    """What the blocks of a recorded run are held against; outages that the operator commanded count as the scenario's.

    Raises
    ------
    ScenarioError
        If a command names what the network has not.
    """
    feeder, scenario = recorded.feeder, recorded.scenario
    if commands:
        commanded = list_commanded(scenario, feeder.net, commands)
        scenario = scenario.model_copy(update={"events": (*scenario.events, *commanded)})
    limits = Limits.from_feeder(feeder, **scenario.limits.asked())
    switch = cache(partial(switch_network, feeder))
    tan_phi_ppm = recorded.houses["load_tan_phi_ppm"].astype(np.int64)
    head = rebuild_head(recorded)
    physics = Physics(scenario, feeder, limits, recorded.interval_minutes, tan_phi_ppm, switch, head)
    case = make_bare_case(recorded) if recorded.read_parameter("facts") else None
    return Bench(physics, case, make_recorded_terms(recorded))


def audit_task(bench: Bench, task: Task) -> Audited:
    """Audit the blocks of a task that hold intervals."""
    with Store.open_to_read(task.directory) as store:
        opened = [open_block(store.block(height), task.entries) for height in task.heights]
    blocks = [block for block in opened if block.holds_interval]
    whats, cleared, tan_phi_ppm = audit_blocks(bench.physics, blocks), list[int](), bench.physics.load_tan_phi_ppm
    for block, found in zip(blocks, whats, strict=True):
        found += find_wrong_prices(bench.physics.scenario, block) + find_wrong_terms(bench.terms, block)
        if bench.case is not None and block.height in task.states and can_clear(bench.case, block, tan_phi_ppm):
            cleared.append(block.height)
            difference = clear_again(bench.case, task.states[block.height], block, tan_phi_ppm)
            found += [] if difference is None else [str(difference)]
    return Audited(
        [block.height for block in blocks],
        [Finding(block.height, what) for block, found in zip(blocks, whats, strict=True) for what in found],
        [block.height for block in blocks if is_islanded(block)],
        cleared,
    )


def is_islanded(block: OpenedBlock) -> bool:
    """Whether the verdict of a block that holds an interval says that a participant was without the grid."""
    return bool(select_rows(block.records, RecordKind.VERDICT)["reason"][0] & ISLANDED)
