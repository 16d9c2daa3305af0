"""What a run committed its houses to: the meters of its verified ledger, and its market and network built again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.audit.rebuild import rebuild_case
from cosim.audit.recorded import find_early_end, read_blocks, read_first_block, read_recorded
from cosim.case.case import Case
from cosim.community.delivered import MOST_READINGS
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.profiles import Profiles
from market.exchanges import METER, Kind, Rows
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import RecordKind, select_rows
from market.ledger.store.store import Store

_KNOWN = (Kind.METER, RecordKind.VERDICT, RecordKind.ORDER, RecordKind.SIGNATURE)
"""Records that a block of an interval may hold beside exchanges: others are of what is not settled here."""


class Committed(NamedTuple):
    """What a run committed its houses to.

    Attributes
    ----------
    head
        Hash of the ledger's last block, hexadecimal.
    case
        Market and network of the run; its profiles are the forecasts that orders were made on.
    meters
        (T, N) meter rows of the ledger, after curtailment.
    """

    head: str
    case: Case
    meters: Rows


def read_committed(directory: Path) -> Committed:
    """Read what a run committed its houses to, once its ledger is verified in full.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the ledger is broken or unfinished, or the run has what is not settled here.
    """
    report = verify_ledger(directory)
    if not report.ok:
        raise ScenarioError(
            f"{directory}: expected a ledger that verifies, got one that is broken at block {report.height}: "
            f"{report.reason}"
        )
    with Store.open_to_read(directory) as store:
        recorded = read_recorded(directory, read_first_block(store, None))
        check_records(directory, recorded.scenario)
        shape = recorded.n_intervals, recorded.houses.size
        if shape[0] * shape[1] > MOST_READINGS:
            raise ScenarioError(
                f"{directory}: expected at most {MOST_READINGS:,} readings, got more; take a shorter run"
            )
        meters, n_read, last = np.zeros(shape, METER), 0, store.block(store.size() - 1)
        for block in read_blocks(store, None):
            if not block.holds_interval or block.interval >= shape[0]:
                continue
            kinds = block.records[:, 0]
            other = np.setdiff1d(kinds[kinds >= int(Kind.METER)], _KNOWN).tolist()
            if other:
                _refuse(directory, f"records of {RecordKind(other[0]).name} in block {block.height}", True)
            meters[block.interval] = select_rows(block.records, Kind.METER)
            n_read += 1
    for finding in find_early_end(recorded, last.height, n_read):
        raise ScenarioError(f"{directory}: expected a finished run, but {finding.what}; finish it with --resume")
    if last.hash != report.head:
        raise ScenarioError(f"{directory}: expected a ledger that stays as it is, got one that grew; try again")
    case, _ = rebuild_case(recorded, lambda: _need_profiles(directory))
    check_settled_here(directory, case)
    return Committed(report.head.hex(), case, meters)


def check_records(directory: Path, scenario: Scenario) -> None:
    """Raise ScenarioError where a ledger holds what is not settled here, or hides what is."""
    _refuse(directory, "a private ledger", scenario.ledger.private)
    _refuse(directory, "network charges", scenario.charges.is_on)


def check_settled_here(directory: Path, case: Case) -> None:
    """Refuse a run with what a second verdict on its meters does not know, by name.

    Raises
    ------
    ScenarioError
        If it has any of it.
    """
    _refuse(directory, "outages, or devices that join or leave", case.timeline.next_event(0) < case.n_intervals)
    _refuse(directory, "cars or heat pumps", case.opening.flexible.size > 0)
    _refuse(directory, "phases (network.model)", case.feeder.connections is not None)
    _refuse(directory, "tap changers", case.taps is not None)
    _refuse(directory, "inverters whose reactive power is controlled (pv.control)", case.control is not None)
    _refuse(directory, "inverters that reduce their power by the voltage", case.active is not None)
    _refuse(directory, "a series of the feeder's head", case.head is not None)
    _refuse(directory, "reactive energy in its profiles", case.profiles.load_varh is not None)


def _refuse(directory: Path, what: str, is_there: bool) -> None:
    if is_there:
        raise ScenarioError(f"{directory}: expected a run whose imbalances can be settled, got one with {what}")


def _need_profiles(directory: Path) -> Profiles:
    raise ScenarioError(f"{directory}: expected the profiles that the run kept, found none; put the file back")
