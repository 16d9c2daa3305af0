"""Whether a block charges for the use of the network what section `[charges]` of the scenario says of its interval."""

from __future__ import annotations

import numpy as np

from cosim.audit.differences import find_difference
from cosim.audit.recorded import OpenedBlock, Recorded
from cosim.case.charges import make_terms
from market.charges import Terms, make_terms_rows
from market.ledger.format.records import RecordKind, view_as_bytes


def make_recorded_terms(recorded: Recorded) -> Terms | None:
    """Terms of all intervals that a run was begun for; None where nothing is charged."""
    horizon = recorded.scenario.horizon
    time = np.datetime64(int(horizon.start.timestamp()), "s") + 60 * horizon.interval_minutes * np.arange(
        horizon.n_intervals
    )
    return make_terms(recorded.scenario, time, horizon.interval_minutes)


def find_wrong_terms(terms: Terms | None, block: OpenedBlock) -> list[str]:
    """What is wrong with the terms of a block that holds an interval.

    What houses are charged by them is the matter of the books: see `gridsettle ledger verify`.
    """
    recorded = block.records[block.records[:, 0] == RecordKind.TERMS]
    t = block.interval
    computed = recorded[:0] if terms is None else view_as_bytes(make_terms_rows(terms.select(t, t + 1), t))
    difference = find_difference(block.height, recorded, computed)
    return [] if difference is None else [str(difference)]
