"""Envelopes of a run: what they took off orders, what had to be cut behind them, and what would have been carried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.interval.bounds import Bounds
from cosim.interval.chunk import Chunk
from cosim.interval.limits import find_first_stops, name_stops
from cosim.results.columns import is_named
from cosim.results.sums import Parts, read_whole
from cosim.results.tables import encode_names, interval_times, make_table
from market.clipping import NO_LIMIT_WH, Rooms
from market.exchanges import CONDUCTORS, Ints, Kind, Reason, split_reason

ENVELOPES_TABLE, ENVELOPE_INTERVALS_TABLE = "envelopes", "envelope_intervals"
_KEPT = ["free", "bound", "none"]
_SUMMED = ("kept", "spilled_wh", "not_taken_wh", "cut_wh", "withheld_wh")
_CUTTABLE = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT)


def has_envelopes(case: Case) -> bool:
    """Whether orders are clipped to envelopes before the market."""
    return case.scenario.market.network == "envelope"


def list_envelope_tables(case: Case) -> tuple[str, ...]:
    """Names of the tables of a run with envelopes."""
    return (ENVELOPES_TABLE, ENVELOPE_INTERVALS_TABLE) if has_envelopes(case) else ()


def make_envelope_tables(case: Case, chunk: Chunk) -> dict[str, pa.Table]:
    """Both tables of a chunk; empty in an interval with an event, which has no envelopes."""
    if not has_envelopes(case):
        return {}
    return {
        ENVELOPES_TABLE: _make_houses(case, chunk),
        ENVELOPE_INTERVALS_TABLE: _make_intervals(case, chunk),
    }


def _make_intervals(case: Case, chunk: Chunk) -> pa.Table:
    """One row per interval with envelopes: what they did, and what clear-then-curtail would have carried beyond."""
    bounds, n = chunk.bounds, 0 if chunk.bounds is None else chunk.outcome.size
    kept = np.zeros(n, np.int8)
    if bounds is not None:
        kept = np.where(bounds.exists, bounds.binds(), 2).astype(np.int8)
    none = np.zeros((n, 1), np.int64)
    return make_table(
        {
            "time": interval_times(case, np.arange(chunk.first, chunk.first + n)),
            "kept": encode_names(kept, _KEPT),
            "spilled_wh": (none if bounds is None else bounds.spilled_wh).sum(axis=1),
            "not_taken_wh": (none if bounds is None else bounds.not_taken_wh).sum(axis=1),
            "cut_wh": _sum_cut(chunk)[:n],
            "withheld_wh": none[:, 0] if bounds is None else bounds.instead_wh,
        }
    )


def _sum_cut(chunk: Chunk) -> Ints:
    """What curtailment took in each interval behind the market, (K,) Wh: exchanges, devices and load."""
    rows, offsets = chunk.window.rows[: int(chunk.window.offsets[-1])], chunk.window.offsets
    cut = np.where(np.isin(rows["kind"], _CUTTABLE), rows["cleared_wh"] - rows["delivered_wh"], 0)
    cut += np.where(np.isin(rows["kind"], (Kind.SHIFT, Kind.SHED)), rows["delivered_wh"], 0)
    return np.diff(np.concatenate([[0], np.cumsum(cut)])[offsets])


def _make_houses(case: Case, chunk: Chunk) -> pa.Table:
    """One row per house and interval in which an envelope keeps somebody from something."""
    bounds, names = chunk.bounds, list(case.profiles.participants)
    at = np.zeros(0, np.int64) if bounds is None else np.flatnonzero(bounds.binds())
    n = len(names)
    house = np.tile(np.arange(n), at.size)
    columns: dict[str, Any] = {
        "time": interval_times(case, chunk.first + at, n),
        "house": encode_names(house, names),
    }
    for k, name in enumerate(Rooms._fields):
        asked, limit = (np.zeros(0, np.int64),) * 2 if bounds is None else (r[k][at].ravel() for r in bounds[:2])
        columns |= {f"asked_{name}": asked, f"most_{name}": pa.array(limit, mask=limit == NO_LIMIT_WH)}
    columns |= _list_taken_off(case, bounds, at)
    return make_table(columns, tuple(f"most_{name}" for name in Rooms._fields))


def _list_taken_off(case: Case, bounds: Bounds | None, at: Ints) -> dict[str, Any]:
    """Columns of what was taken off, and of what stops each house, in some intervals."""
    none = np.zeros(0, np.int64)
    spilled, not_taken, stop = (
        (none, none, none)
        if bounds is None
        else (bounds.spilled_wh[at].ravel(), bounds.not_taken_wh[at].ravel(), find_first_stops(bounds)[at].ravel())
    )
    named = name_stops(case)
    reason, conductor = split_reason(named.reason[stop])
    return {
        "spilled_wh": spilled,
        "not_taken_wh": not_taken,
        "reason": encode_names(reason, [member.name.lower() for member in Reason]),
        "element": named.element[stop],
        "phase": encode_names(conductor, list(CONDUCTORS)),
    }


def summarise_envelopes(case: Case, parts: Parts) -> dict[str, Any]:
    """Hours and energies of envelopes under the key `envelopes`; nothing without any. JSON-ready.

    *Too wide* is an envelope behind which something had to be cut, *too narrow* one without which, from the same state,
    more would have been carried: by more than the Wh a house that limits are rounded down by.
    """
    if not has_envelopes(case):
        return {}
    rows = read_whole(parts, ENVELOPE_INTERVALS_TABLE, _SUMMED)
    hours, narrow = case.interval_minutes / 60.0, pc.greater(rows["withheld_wh"], case.profiles.n_participants)
    counted = {
        "bound_hours": is_named(rows["kept"], "bound"),
        "too_wide_hours": pc.and_(pc.greater(rows["cut_wh"], 0), pc.invert(is_named(rows["kept"], "none"))),
        "too_narrow_hours": narrow,
        "no_envelope_hours": is_named(rows["kept"], "none"),
    }
    summed = {
        "spilled_kwh": rows["spilled_wh"],
        "not_taken_kwh": rows["not_taken_wh"],
        "cut_behind_kwh": rows["cut_wh"],
        "withheld_kwh": rows["withheld_wh"].filter(narrow),
    }
    return {
        "envelopes": {
            "rule": case.scenario.market.envelope_rule,
            "forecast": case.scenario.market.envelope_forecast,
            "hours": hours * len(rows),
            **{name: hours * (pc.sum(mask).as_py() or 0) for name, mask in counted.items()},
            **{name: (pc.sum(column).as_py() or 0) / 1000.0 for name, column in summed.items()},
        }
    }
