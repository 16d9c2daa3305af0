"""Envelopes of intervals as records of their blocks."""

from __future__ import annotations

import numpy as np

from cosim.case.case import Case
from cosim.interval.bounds import Bounds
from cosim.interval.limits import find_first_stops, name_stops
from market.exchanges import Ints, Rows
from market.ledger.format.records import ENVELOPE, ENVELOPE_RULES, ROOMS, Kept, RecordKind


def make_envelope_rows(case: Case, bounds: Bounds, first: int, first_seq: Ints) -> Rows:
    """`ENVELOPE` row of every house in K intervals from `first` on, (K, N), numbered from `first_seq`, (K,), on."""
    n_intervals, n = bounds.spilled_wh.shape
    rows = np.zeros((n_intervals, n), ENVELOPE)
    rows["kind"], rows["reason"] = RecordKind.ENVELOPE, ENVELOPE_RULES.index(case.scenario.market.envelope_rule)
    kept = np.where(bounds.binds(), Kept.FROM_SOMETHING, Kept.FROM_NOTHING)
    rows["status"] = np.where(bounds.exists, kept, Kept.NO_ENVELOPE)[:, None]
    rows["interval"] = first + np.arange(n_intervals)[:, None]
    rows["seq"], rows["house"] = first_seq[:, None] + np.arange(n), np.arange(n)
    for name, asked, limit in zip(ROOMS, bounds.asked, bounds.limit, strict=True):
        rows[f"asked_{name}"], rows[name] = asked, limit
    rows["spilled_wh"] = bounds.spilled_wh
    stop = find_first_stops(bounds)
    named = name_stops(case)
    rows["stop_reason"], rows["element"] = named.reason[stop], named.element[stop]
    return rows
