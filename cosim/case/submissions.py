"""What people submitted in a run that is on a ledger, as an input of the same run once more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cosim.case.case import Case
from market.exchanges import SUBMISSION
from market.ledger.format.records import RecordBytes, RecordKind, read_places, select_rows


def with_submissions(case: Case, blocks: Iterable[RecordBytes]) -> Case:
    """The case with the submissions in the records of some blocks; the case itself where nobody submitted.

    Parameters
    ----------
    case
        T intervals and N houses; what lies beyond them is left to `gridsettle ledger verify`.
    blocks
        Records of each block, (M, 72).
    """
    found = [records[records[:, 0] == RecordKind.SUBMISSION] for records in blocks]
    stated = [records for records in found if len(records)]
    if not stated:
        return case
    rows, places = select_rows(np.concatenate(stated), RecordKind.SUBMISSION), read_places(np.concatenate(stated))
    n_intervals, n_houses = case.inputs.load_wh.shape
    spread = np.zeros((n_intervals, n_houses), SUBMISSION)
    inside = (places[:, 0] < n_intervals) & (rows["house"] < n_houses)
    intervals, houses = places[inside, 0].astype(np.int64), rows["house"][inside]
    spread[intervals, houses] = rows[inside]
    return replace(case, inputs=case.inputs._replace(submissions=spread))
