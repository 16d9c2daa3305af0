"""The statement of a run on EN 50160: a row per node and week, and its section of the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from cosim.case.case import Case
from cosim.results.columns import make_schema, name_columns
from cosim.results.en50160 import (
    ORDER,
    Block,
    Counts,
    Word,
    count_means_a_week,
    find_first,
    judge_unbalance,
    judge_voltage,
    merge_words,
    tally_weeks,
)
from cosim.results.sums import Parts
from cosim.results.supply import find_outages_in_force, find_supply
from cosim.results.tables import list_bus_names
from grid_models.arrays import Floats, Ints, Mask
from grid_models.feeder.connection import CONDUCTORS

STATEMENT_TABLE = "en50160"
LOW_VOLTAGE_KV = 1.0
"""Clause 4 of the standard is on nodes of up to this nominal voltage."""
INTERVALS_AT_ONCE = 4096
CLAUSES = {"voltage": "4.2.2", "unbalance": "4.2.4"}
JUDGES: dict[str, Callable[[Counts, int], list[Word]]] = {"voltage": judge_voltage, "unbalance": judge_unbalance}

_OF_VOLTAGE = (
    *("bus", "week", "begin", "means", "off", "islanded", "valid", "share_within_percent", "beyond"),
    *("lowest_vm_pu", "highest_vm_pu", "voltage"),
)
_OF_PHASES = ("phase", "share_vuf_within_percent", "highest_vuf_percent")


class Statement(NamedTuple):
    """Weeks of B nodes.

    Attributes
    ----------
    minutes, resolution_minutes
        Length of the run's intervals, and of the rows of its profiles, which is the longer one where they were spread.
    buses, conductors
        Names of the nodes, and of the phases that are judged; one without a name in a balanced run.
    begin, weeks
        When each week begins, UTC, and what it counts.
    """

    minutes: int
    resolution_minutes: int
    buses: tuple[str, ...]
    conductors: tuple[str, ...]
    begin: tuple[pd.Timestamp, ...]
    weeks: tuple[Counts, ...]


def make_statement(case: Case, parts: Parts, outage_intervals: pa.Table) -> Statement:
    """Count the ten-minute means of every low-voltage node that is in service.

    Parameters
    ----------
    case
        Network, times and outages.
    parts
        Reads the table `bus_voltage`.
    outage_intervals
        The table of that name; empty without events.
    """
    bus, minutes = case.feeder.net.bus, case.interval_minutes
    chosen = ((bus["vn_kv"] <= LOW_VOLTAGE_KV) & bus["in_service"].astype(bool)).to_numpy(bool)
    conductors = ("",) if case.feeder.connections is None else CONDUCTORS["bus"]
    blocks = read_blocks(parts, chosen, conductors, _find_islanded(case, outage_intervals))
    weeks = tuple(tally_weeks(blocks, case.profiles.start, minutes)) if chosen.any() else ()
    names = tuple(name for name, low in zip(list_bus_names(case), chosen, strict=True) if low)
    return Statement(
        minutes, case.profiles.resolution_minutes, names, conductors, _find_begins(case, len(weeks)), weeks
    )


def _find_begins(case: Case, n_weeks: int) -> tuple[pd.Timestamp, ...]:
    start, minutes = case.profiles.start, case.interval_minutes
    first = pd.Timestamp(start, tz="UTC") + pd.Timedelta(minutes=minutes * find_first(start, minutes))
    return tuple(first + pd.Timedelta(days=7 * k) for k in range(n_weeks))


def _find_islanded(case: Case, outage_intervals: pa.Table) -> Mask | None:
    """Whether the grid did not feed each bus, (T, B); None without events."""
    if not case.timeline.has_event.any():
        return None
    times = pd.DatetimeIndex(case.profiles.time, tz="UTC")
    in_force = find_outages_in_force(case.scenario, times, outage_intervals.to_pandas())
    return ~find_supply(case.feeder.net, case.scenario, in_force)[0]


def read_blocks(parts: Parts, chosen: Mask, conductors: Sequence[str], islanded: Mask | None) -> Iterator[Block]:
    """Voltages of some buses out of the table `bus_voltage`, some intervals at a time.

    Parameters
    ----------
    parts
        Reads the table.
    chosen
        (B,) which buses of the net.
    conductors
        Phases of a bus; one without a name in a balanced run, which has no unbalance.
    islanded
        (T, B) whether the grid did not feed a bus; None: it always did.
    """
    columns, at = list(name_columns("vm_pu", conductors).values()), 0
    vuf = ["vuf_percent"] if any(conductors) else []
    for part in parts("bus_voltage", (*columns, *vuf)):
        for begin in range(0, len(part), INTERVALS_AT_ONCE * chosen.size):
            rows = part.slice(begin, INTERVALS_AT_ONCE * chosen.size)
            values = {name: rows[name].to_numpy().reshape(-1, chosen.size)[:, chosen] for name in (*columns, *vuf)}
            vm = np.stack([values[name] for name in columns], axis=2)
            n, dark = len(vm), np.zeros(vm.shape[:2], dtype=bool)
            apart = dark if islanded is None else islanded[at : at + n, chosen]
            yield Block(vm, values.get("vuf_percent", np.zeros((n, 0))), apart)
            at += n


def make_statement_table(found: Statement) -> pa.Table:
    """One row per node and week: means, those that are not valid, shares, extremes and the word for each clause.

    A balanced run has no `phase`, which is that with the smallest share, and no figures of unbalance. Shares and
    extremes are null without a valid mean.
    """
    unbalanced = any(found.conductors)
    names = (*_OF_VOLTAGE, *(_OF_PHASES if unbalanced else ()), "unbalance")
    rows = [_make_columns(found, k, unbalanced) for k in range(len(found.weeks))]
    schema = make_schema(*names)
    columns: dict[str, pa.Array] = {}
    for field in schema:
        values: npt.ArrayLike = np.concatenate([row[field.name] for row in rows]) if rows else []
        columns[field.name] = pa.array(values, field.type, from_pandas=True)
    return pa.table(columns, schema)


def _make_columns(found: Statement, k: int, unbalanced: bool) -> dict[str, Any]:
    week, n = found.weeks[k], len(found.buses)
    columns = {
        "bus": np.array(found.buses, dtype=object),
        "week": np.full(n, k + 1),
        "begin": np.full(n, found.begin[k].tz_localize(None).to_datetime64()),
        "means": np.full(n, week.means),
        **{name: getattr(week, name) for name in ("off", "islanded", "valid", "beyond")},
        **{name: getattr(week, name) for name in ("lowest_vm_pu", "highest_vm_pu")},
        "share_within_percent": find_share(week.within.min(axis=1), week.valid),
        **{clause: np.array(judge(week, found.resolution_minutes), dtype=object) for clause, judge in JUDGES.items()},
    }
    if unbalanced:
        columns["phase"] = np.array(found.conductors, dtype=object)[week.within.argmin(axis=1)]
        columns["share_vuf_within_percent"] = find_share(week.balanced, week.valid)
        columns["highest_vuf_percent"] = week.highest_vuf_percent
    return columns


def find_share(within: Ints, valid: Ints) -> Floats:
    """Per cent of valid means; NaN where there is none."""
    return np.where(valid > 0, 100.0 * within / np.maximum(valid, 1), np.nan)


def summarise_statement(found: Statement, table: pa.Table) -> dict[str, Any]:
    """Section `en50160` of a summary, JSON-ready; none where the net has no node of low voltage."""
    if not found.buses:
        return {}
    per_week, whole = count_means_a_week(found.minutes), [w.means for w in found.weeks]
    incomplete = [
        {"begin": begin.isoformat(), "means": n, "of": per_week}
        for begin, n in zip(found.begin, whole, strict=True)
        if n < per_week
    ]
    rows = table.to_pandas()
    section = {
        "minutes": found.minutes,
        "resolution_minutes": found.resolution_minutes,
        "nodes": len(found.buses),
        "complete_weeks": len(whole) - len(incomplete),
        "incomplete_weeks": incomplete,
        "means": {name: int(rows[name].sum()) for name in ("valid", "off", "islanded")},
    }
    return {STATEMENT_TABLE: section | {clause: _summarise(found, clause, rows) for clause in CLAUSES}}


def _find_lowest(rows: pd.DataFrame, share: str, per_week: int) -> pd.Series[Any]:
    """Row with the smallest share, of a complete week where one has less than all; some share is not missing."""
    complete = rows[(rows["means"] == per_week) & (rows[share] < 100.0)]
    among = complete if len(complete) else rows
    return among.iloc[int(np.nanargmin(among[share]))]


def _summarise(found: Statement, clause: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Words of a clause, over nodes and in all, and its figures."""
    weeks = [JUDGES[clause](week, found.resolution_minutes) for week in found.weeks]
    of_nodes = [merge_words(words) for words in zip(*weeks, strict=True)] or [Word.INCOMPLETE] * len(found.buses)
    word, counts = merge_words(of_nodes), Counter(of_nodes)
    told: dict[str, Any] = {
        "clause": CLAUSES[clause],
        "word": str(word),
        "nodes": {str(w): counts[w] for w in ORDER if w in counts},
    }
    share = "share_within_percent" if clause == "voltage" else "share_vuf_within_percent"
    if share in rows and rows[share].notna().any():
        row = _find_lowest(rows, share, count_means_a_week(found.minutes))
        phase = {"phase": row["phase"]} if clause == "voltage" and "phase" in row else {}
        told["lowest_share"] = {
            "percent": float(row[share]),
            "bus": row["bus"],
            **phase,
            "week_of": row["begin"].isoformat(),
        }
        if clause == "voltage":
            told["beyond"] = int(rows["beyond"].sum())
            told["lowest_vm_pu"] = float(rows["lowest_vm_pu"].min())
            told["highest_vm_pu"] = float(rows["highest_vm_pu"].max())
        else:
            told["highest_vuf_percent"] = float(rows["highest_vuf_percent"].max())
    return told
