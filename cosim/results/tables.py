"""Chunks as columnar tables with names and UTC times, the same in memory and on disk."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome
from cosim.interval.chunk import Chunk
from cosim.results.columns import TIME
from grid_models.feeder.feeder import Labels
from grid_models.powerflow.limits import Verdict
from market.exchanges import CONTRACT, GRID, METER, NOBODY, OPERATOR, Kind, Reason, Rows, Status

PARTY_NAMES = {NOBODY: "", OPERATOR: "operator", CONTRACT: "contract", GRID: "grid"}


def interval_times(case: Case, intervals: npt.NDArray[Any]) -> pa.Array:
    """Start of each interval as UTC timestamps."""
    step = np.timedelta64(60_000 * case.interval_minutes, "ms")
    return pa.array(case.profiles.start + intervals.astype(np.int64) * step, TIME)


def encode_names(codes: npt.NDArray[Any], names: list[str], offset: int = 0) -> pa.DictionaryArray:
    """Dictionary-encoded names of integer codes, in as few bytes as do; code -offset is the first name."""
    fits = np.min_scalar_type(-len(names))  # signed, and so wide that the last index fits
    indices = pa.array((codes.astype(np.int32) + offset).astype(fits))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def make_table(columns: dict[str, Any], nullable: tuple[str, ...] = ()) -> pa.Table:
    """Table of arrays of one length; of columns that are not nullable Parquet keeps no marks of what is null.

    Raises
    ------
    ValueError
        If such a column holds a null; pyarrow itself does not look.
    """
    arrays = {
        name: pa.array(np.ascontiguousarray(column)) if isinstance(column, np.ndarray) else column
        for name, column in columns.items()
    }
    if wrong := [name for name, array in arrays.items() if array.null_count and name not in nullable]:
        raise ValueError(f"columns {wrong}: expected no null")
    fields = [pa.field(name, array.type, name in nullable) for name, array in arrays.items()]
    return pa.table(list(arrays.values()), pa.schema(fields))


def _enum_names(enum: type[IntEnum]) -> list[str]:
    names = [str(code) for code in range(max(enum) + 1)]  # categories must differ, those without a name too
    for member in enum:
        names[member] = member.name.lower()
    return names


def list_party_names(case: Case) -> list[str]:
    """Names of parties -4 … N-1: nobody, operator, contract, grid, then the participants."""
    return [PARTY_NAMES[code] for code in sorted(PARTY_NAMES)] + list(case.profiles.participants)


def make_exchanges_table(case: Case, rows: Rows) -> pa.Table:
    """One row per exchange, spill, shed or loss."""
    parties, shift = list_party_names(case), -int(NOBODY)
    columns: dict[str, Any] = {
        "time": interval_times(case, rows["interval"]),
        "interval": rows["interval"],
        "seq": rows["seq"],
        "kind": encode_names(rows["kind"], _enum_names(Kind)),
        "seller": encode_names(rows["seller"], parties, shift),
        "buyer": encode_names(rows["buyer"], parties, shift),
        "host": encode_names(rows["host"], parties, shift),
        "lot": rows["lot"],
        "cleared_wh": rows["cleared_wh"],
        "delivered_wh": rows["delivered_wh"],
        "price_ueur_per_kwh": rows["price_ueur_per_kwh"],
        "amount_neur": rows["amount_neur"],
        "fee_neur": rows["fee_neur"],
        "status": encode_names(rows["status"], _enum_names(Status)),
        "reason": encode_names(rows["reason"], _enum_names(Reason)),
        "element": rows["element"],
    }
    return make_table(columns)


def make_houses_table(case: Case, chunk: Chunk) -> pa.Table:
    """One row per house and interval: meters in Wh, wallet and utility account in nEUR."""
    meters = chunk.window.meters.reshape(-1)
    n = case.opening.own_wh.size
    wh = [name for name in METER.names or () if name.endswith("_wh")]
    columns: dict[str, Any] = {
        "time": interval_times(case, meters["interval"]),
        "house": encode_names(meters["house"], list(case.profiles.participants)),
        **{name: meters[name] for name in wh},
        "q_var": meters["q_var"],
        "wallet_neur": chunk.window.accounts[:, :n].reshape(-1),
        "account_neur": chunk.window.accounts[:, n : 2 * n].reshape(-1),
    }
    return make_table(columns)


def _long(case: Case, chunk: Chunk, n: int) -> pa.Array:
    return interval_times(case, np.repeat(np.arange(chunk.first, chunk.stop), n))


def make_bus_voltage_table(case: Case, chunk: Chunk) -> pa.Table:
    """Long table time, bus, vm_pu; null where a bus is without supply."""
    buses = list_bus_names(case)
    n_intervals = chunk.stop - chunk.first
    return make_table(
        {
            "time": _long(case, chunk, len(buses)),
            "bus": encode_names(np.tile(np.arange(len(buses)), n_intervals), buses),
            "vm_pu": pa.array(chunk.flow.vm_pu.reshape(-1), from_pandas=True),
        },
        nullable=("vm_pu",),
    )


def make_branch_loading_table(case: Case, chunk: Chunk) -> pa.Table:
    """Long table time, element_type, element, loading_percent; lines first, then transformers."""
    lines, trafos = list_branch_names(case)
    n_intervals, n = chunk.stop - chunk.first, len(lines) + len(trafos)
    loading = np.hstack([chunk.flow.line_loading_percent, chunk.flow.trafo_loading_percent])
    kind = np.tile(np.repeat([0, 1], [len(lines), len(trafos)]), n_intervals)
    return make_table(
        {
            "time": _long(case, chunk, n),
            "element_type": encode_names(kind, ["line", "trafo"]),
            "element": encode_names(np.tile(np.arange(n), n_intervals), lines + trafos),
            "loading_percent": pa.array(loading.reshape(-1), from_pandas=True),
        },
        nullable=("loading_percent",),
    )


def make_intervals_table(case: Case, chunk: Chunk) -> pa.Table:
    """One row per interval: prices, grid exchange, losses, outcome."""
    flow, window = chunk.flow, chunk.window
    intervals = np.arange(chunk.first, chunk.stop)
    return make_table(
        {
            "time": interval_times(case, intervals),
            "utility_ueur_per_kwh": case.inputs.utility_ueur_per_kwh[chunk.first : chunk.stop],
            "price_ueur_per_kwh": window.price_ueur_per_kwh,
            "p_grid_kw": pa.array(flow.p_grid_kw, from_pandas=True),
            "losses_kw": pa.array(flow.losses_kw, from_pandas=True),
            "outcome": encode_names(chunk.outcome, _enum_names(Outcome)),
            "power_flows": chunk.power_flows,
            "contract_neur": window.accounts[:, 2 * case.opening.own_wh.size + 1],
        },
        nullable=("p_grid_kw", "losses_kw"),
    )


VIOLATIONS = pa.schema(
    [
        ("time", TIME),
        ("element_type", pa.string()),
        ("element", pa.int64()),
        ("name", pa.string()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
    ]
)


def make_violations_table(case: Case, before: dict[int, Verdict]) -> pa.Table:
    """What the exchanges as cleared would have violated: one row per element and interval."""
    found = [(t, v) for t, verdict in sorted(before.items()) for v in verdict.violations]
    return pa.table(
        {
            "time": interval_times(case, np.array([t for t, _ in found], dtype=np.int64)),
            "element_type": [v.element_type for _, v in found],
            "element": [int(v.element) for _, v in found],
            "name": [str(v.name) for _, v in found],
            "quantity": [v.quantity for _, v in found],
            "value": [float(v.value) for _, v in found],
            "limit": [float(v.limit) for _, v in found],
        },
        schema=VIOLATIONS,
    )


CURTAILMENT_READS = (
    *("time", "seq", "kind", "seller", "buyer", "cleared_wh", "delivered_wh"),
    *("status", "reason", "element"),
)


def make_curtailment_table(cut: pa.Table, rule: str) -> pa.Table:
    """Exchanges that were not delivered as cleared: what was cut, by which rule, and the limit that was binding.

    Parameters
    ----------
    cut
        Of `cosim.results.sums.find_curtailed_exchanges`, with the columns `CURTAILMENT_READS`.
    rule
        Name of the rule that cut.
    """
    plain = {
        name: cut[name].cast(pa.string()) if pa.types.is_dictionary(cut[name].type) else cut[name]
        for name in ("time", "seq", "kind", "seller", "buyer", "cleared_wh", "delivered_wh")
    }
    return pa.table(
        {
            **plain,
            "curtailed_wh": pc.subtract(cut["cleared_wh"], cut["delivered_wh"]),
            "rule": pa.array([rule] * len(cut), pa.string()),
            "reason": cut["reason"].cast(pa.string()),
            "element": cut["element"].cast(pa.int64()),
        }
    )


def list_bus_names(case: Case) -> list[str]:
    """Names of the net's buses, made unique by their index where needed."""
    return _unique(case.feeder.labels["bus"])


def list_branch_names(case: Case) -> tuple[list[str], list[str]]:
    """Names of the net's lines and transformers, made unique by their index where needed."""
    return _unique(case.feeder.labels["line"]), _unique(case.feeder.labels["trafo"])


def _unique(labels: Labels) -> list[str]:
    often = Counter(labels.name)
    return [
        name if name and often[name] == 1 else f"{name or 'unnamed'} #{index}"
        for index, name in zip(*labels, strict=True)
    ]


def make_chunk_tables(case: Case, chunk: Chunk) -> dict[str, pa.Table]:
    """All tables of a chunk, by the name of their file."""
    return {
        "exchanges": make_exchanges_table(case, chunk.window.rows),
        "houses": make_houses_table(case, chunk),
        "intervals": make_intervals_table(case, chunk),
        "bus_voltage": make_bus_voltage_table(case, chunk),
        "branch_loading": make_branch_loading_table(case, chunk),
        "violations": make_violations_table(case, chunk.unclean),
    }
