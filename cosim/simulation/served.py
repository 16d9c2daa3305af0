"""Runs that people took part in (`gridsettle serve`): their tables are made from the ledger, once they are over."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cosim.case.case import Case, with_given
from cosim.case.given import read_given
from cosim.errors import ScenarioError
from cosim.recording.acts import Between, read_people, resume_stage
from cosim.recording.recorder import Recorder
from market.ledger.format.records import read_places
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

SUBMISSIONS_FILE = "submissions.sqlite"
"""What people have submitted; a run directory that has it belongs to a served run."""


def is_served(directory: Path) -> bool:
    """Whether people take part in the run of a directory."""
    return (directory / SUBMISSIONS_FILE).exists()


class Served(NamedTuple):
    """A run that people took part in: its case with what they submitted, acts between its intervals, its last case."""

    case: Case
    acts: list[Between]
    ended: Case


def read_served(recorder: Recorder, directory: Path) -> Served:
    """What people submitted, and what happened between intervals, from the ledger.

    Raises
    ------
    ScenarioError
        If the run is not over: only the server knows what is still to be applied.
    """
    case, done = recorder.case, recorder.next_interval
    given = read_given(directory, case.profiles)
    if done < case.n_intervals and given is not None:
        raise ScenarioError(
            f"{directory}: expected a run that is over, got a co-simulation that ended after {done} of "
            f"{case.n_intervals} intervals; begin it again in another directory"
        )
    if done < case.n_intervals:
        raise ScenarioError(
            f"{directory}: expected a run that is over, got one in which people take part, after {done} of "
            f"{case.n_intervals} intervals; go on with: gridsettle serve --out {directory}"
        )
    with Store.open_to_read(directory) as store:
        blocks = (decode_records(block.records) for group in store.groups() for block in group if block.height > 0)
        case = case if given is None else with_given(case, given)
        case, acts = read_people(case, ((int(read_places(records[:1])[0, 0]), records) for records in blocks))
    return Served(case, acts, resume_stage(case, acts, recorder.state, recorder.network, done).case)
