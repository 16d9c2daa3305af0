"""Tables of settled intervals: columns with names and UTC times, the same in memory and on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome
from cosim.interval.chunk import Chunk
from cosim.results.columns import TIME, make_schema, name_columns
from cosim.results.sums import METERS
from cosim.results.voltage_control import list_house_columns, list_interval_columns
from grid_models.arrays import Floats
from grid_models.feeder.feeder import Labels
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Verdict
from market.exchanges import (
    CONDUCTORS,
    CONTRACT,
    GRID,
    NOBODY,
    OPERATOR,
    Kind,
    Reason,
    Rows,
    Status,
    split_reason,
)

PARTY_NAMES = {NOBODY: "", OPERATOR: "operator", CONTRACT: "contract", GRID: "grid"}


def interval_times(case: Case, intervals: npt.NDArray[Any], each: int = 1) -> pa.Array:
    """Start of each interval as UTC timestamps, `each` times over."""
    step = np.timedelta64(60_000 * case.interval_minutes, "ms")
    return pa.array(case.profiles.start + np.repeat(intervals, each).astype(np.int64) * step, TIME)


def encode_names(codes: npt.NDArray[Any], names: list[str], offset: int = 0) -> pa.DictionaryArray:
    """Dictionary-encoded names of integer codes, in as few bytes as possible; code -offset is the first name."""
    fits = np.min_scalar_type(-len(names))  # signed, and wide enough for the last index
    distinct = pa.array(names, pa.string()).dictionary_encode()  # pandas takes no category twice
    indices = distinct.indices.to_numpy()[codes.astype(np.int32) + offset].astype(fits)
    return pa.DictionaryArray.from_arrays(pa.array(indices), distinct.dictionary)


def make_table(columns: dict[str, Any], nullable: tuple[str, ...] = ()) -> pa.Table:
    """Table of arrays of one length. For columns that are not nullable Parquet stores no null flags.

    Raises
    ------
    ValueError
        If a column that is not nullable holds a null; pyarrow does not check.
    """
    arrays = {
        name: pa.array(np.ascontiguousarray(column)) if isinstance(column, np.ndarray) else column
        for name, column in columns.items()
    }
    if wrong := [name for name, array in arrays.items() if array.null_count and name not in nullable]:
        raise ValueError(f"columns {wrong}: expected no null")
    fields = [pa.field(name, array.type, name in nullable) for name, array in arrays.items()]
    return pa.table(list(arrays.values()), pa.schema(fields))


def _encode_members(
    codes: npt.NDArray[Any], enum: type[IntEnum], unused: tuple[IntEnum, ...] = ()
) -> pa.DictionaryArray:
    names = [str(code) for code in range(max(enum) + 1)]  # pandas wants categories to differ, unused ones too
    for member in enum:
        if member not in unused:
            names[member] = member.name.lower()
    return encode_names(codes, names)


def list_party_names(case: Case) -> list[str]:
    """Names of parties -4 … N-1: nobody, operator, contract, grid, then the participants."""
    return [PARTY_NAMES[code] for code in sorted(PARTY_NAMES)] + list(case.profiles.participants)


def make_exchanges_table(case: Case, rows: Rows) -> pa.Table:
    """One row per exchange, spill, shed or loss."""
    parties, shift = list_party_names(case), -int(NOBODY)
    phased = case.feeder.connections is not None
    reason, conductor = split_reason(rows["reason"])
    unused: tuple[Kind, ...] = (Kind.BACKGROUND,) if case.feeder.background.is_empty else ()
    unused += () if case.fleet.flexible.kind.size else (Kind.SHIFT,)
    columns: dict[str, Any] = {
        "time": interval_times(case, rows["interval"]),
        "interval": rows["interval"],
        "seq": rows["seq"],
        "kind": _encode_members(rows["kind"], Kind, unused),
        "seller": encode_names(rows["seller"], parties, shift),
        "buyer": encode_names(rows["buyer"], parties, shift),
        "host": encode_names(rows["host"], parties, shift),
        "lot": rows["lot"],
        "cleared_wh": rows["cleared_wh"],
        "delivered_wh": rows["delivered_wh"],
        "price_ueur_per_kwh": rows["price_ueur_per_kwh"],
        "amount_neur": rows["amount_neur"],
        "fee_neur": rows["fee_neur"],
        "status": _encode_members(rows["status"], Status),
        "reason": _encode_members(reason, Reason, () if phased else (Reason.UNBALANCE, Reason.NEUTRAL_VOLTAGE)),
        "element": rows["element"],
    }
    if phased:
        columns["phase"] = encode_names(conductor, list(CONDUCTORS))
    return make_table(columns)


def make_houses_table(case: Case, chunk: Chunk) -> pa.Table:
    """One row per house and interval: meters in Wh, wallet and utility account in nEUR."""
    meters = chunk.window.meters.reshape(-1)
    n = case.opening.own_wh.size
    columns = {
        **list_meter_columns(case, meters, [*METERS, "q_var"]),
        **list_house_columns(case, chunk),
        "wallet_neur": chunk.window.accounts[:, :n].reshape(-1),
        "account_neur": chunk.window.accounts[:, n : 2 * n].reshape(-1),
    }
    return make_table(columns)


def list_meter_columns(case: Case, meters: Rows, names: Iterable[str]) -> dict[str, Any]:
    """Columns time, house and some fields of meter rows, (M,)."""
    return {
        "time": interval_times(case, meters["interval"]),
        "house": encode_names(meters["house"], list(case.profiles.participants)),
        **{name: meters[name] for name in names},
    }


def make_bus_voltage_table(case: Case, intervals: npt.NDArray[np.int64], flows: Mapping[str, Flow]) -> pa.Table:
    """Long table time, bus, and a column of voltages, pu, for each flow; null where a bus is without supply.

    In an unbalanced model each flow has a column for every phase, `vm_a_pu` and so on, and one of the unbalance,
    `vuf_percent`; with four wires also the neutral's voltage to earth, `neutral_v`.

    Parameters
    ----------
    case
        Network and times.
    intervals
        Their numbers, (K,).
    flows
        AC solution of the K intervals by the name of its column, which ends in `vm_pu`.
    """
    buses, conductors = list_bus_names(case), case.feeder.conductors("bus")
    voltages: dict[str, Floats] = {}
    for name, flow in flows.items():
        voltages |= _split_conductors(name, flow.vm_pu, conductors)
        if case.feeder.connections is not None:
            voltages[name.replace("vm_pu", "vuf_percent")] = flow.vuf_percent
        if flow.neutral_v.size:
            voltages[name.replace("vm_pu", "neutral_v")] = flow.neutral_v
    return _make_long_table(case, intervals, {"bus": (np.arange(len(buses)), buses)}, voltages)


def make_branch_loading_table(case: Case, intervals: npt.NDArray[np.int64], flows: Mapping[str, Flow]) -> pa.Table:
    """Long table time, element_type, element, and a column of loadings, %, for each flow; lines, then transformers.

    In an unbalanced model each flow has a column for every conductor, `loading_a_percent` to `loading_n_percent`, the
    neutral, which is null for transformers. Parameters are those of `make_bus_voltage_table`.
    """
    lines, trafos = list_branch_names(case)
    keys = {
        "element_type": (np.repeat([0, 1], [len(lines), len(trafos)]), ["line", "trafo"]),
        "element": (np.arange(len(lines) + len(trafos)), lines + trafos),
    }
    conductors = case.feeder.conductors("line")
    loadings: dict[str, Floats] = {}
    for name, flow in flows.items():
        columns = _join_branches(flow, len(conductors), len(case.feeder.conductors("trafo")))
        loadings |= _split_conductors(name, columns, conductors)
    return _make_long_table(case, intervals, keys, loadings)


def _split_conductors(name: str, values: Floats, conductors: tuple[str, ...]) -> dict[str, Floats]:
    """Columns of each conductor, (K, n), of values (K, n·conductors); under its own name where there is but one."""
    columns = name_columns(name, conductors).values()
    return {column: values[:, k :: len(conductors)] for k, column in enumerate(columns)}


def _join_branches(flow: Flow, n_line: int, n_trafo: int) -> Floats:
    """Loadings of lines, then transformers, (K, (L + R)·n_line); NaN for conductors that a transformer has not."""
    trafo, n_intervals = flow.trafo_loading_percent, flow.converged.size
    if n_line > n_trafo:
        wider = np.full((n_intervals, trafo.shape[1] // n_trafo, n_line), np.nan)
        wider[:, :, :n_trafo] = trafo.reshape(n_intervals, -1, n_trafo)
        trafo = wider.reshape(n_intervals, -1)
    return np.hstack([flow.line_loading_percent, trafo])


def _make_long_table(
    case: Case,
    intervals: npt.NDArray[np.int64],
    keys: Mapping[str, tuple[npt.NDArray[np.int64], list[str]]],
    values: Mapping[str, Floats],
) -> pa.Table:
    """One row per interval and element; keys are codes of elements, (n,), and their names, values are (K, n)."""
    n = next(codes.size for codes, _ in keys.values())
    known = {name: pa.array(frame.reshape(-1), from_pandas=True) for name, frame in values.items()}
    named = {key: encode_names(np.tile(codes, intervals.size), names) for key, (codes, names) in keys.items()}
    return make_table({"time": interval_times(case, intervals, n), **named, **known}, tuple(values))


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
            "outcome": _encode_members(chunk.outcome, Outcome),
            "power_flows": chunk.power_flows,
            "contract_neur": window.accounts[:, 2 * case.opening.own_wh.size + 1],
            **list_interval_columns(case, chunk),
        },
        nullable=("p_grid_kw", "losses_kw"),
    )


VIOLATIONS = make_schema("time", "element_type", "element", "name", "quantity", "value", "limit")
VIOLATIONS_OF_PHASES = make_schema(*VIOLATIONS.names, "phase")


def make_violations_table(case: Case, before: dict[int, Verdict]) -> pa.Table:
    """What the exchanges as cleared would have violated: one row per element and interval."""
    found = [(t, v) for t, verdict in sorted(before.items()) for v in verdict.violations]
    times = interval_times(case, np.array([t for t, _ in found], dtype=np.int64))
    schema = VIOLATIONS if case.feeder.connections is None else VIOLATIONS_OF_PHASES
    columns = {name: [getattr(v, name) for _, v in found] for name in schema.names[1:]}
    return pa.table({"time": times, **columns}, schema=schema)


def make_curtailment_table(curtailed: pa.Table, rule: str) -> pa.Table:
    """Exchanges that were not delivered as cleared: what was cut, by which rule, and the limit that was binding.

    Parameters
    ----------
    curtailed
        Of `cosim.results.sums.find_curtailed_exchanges`.
    rule
        Name of the rule that cut.
    """
    phase = [name for name in ("phase",) if name in curtailed.column_names]
    plain = curtailed.drop_columns(["status", "reason", "element", *phase])
    return pa.table(
        {
            **{name: _decode_names(plain[name]) for name in plain.column_names},
            "curtailed_wh": pc.subtract(curtailed["cleared_wh"], curtailed["delivered_wh"]),
            "rule": pa.array([rule] * len(curtailed), pa.string()),
            "reason": _decode_names(curtailed["reason"]),
            "element": curtailed["element"].cast(pa.int64()),
            **{name: _decode_names(curtailed[name]) for name in phase},
        }
    )


def _decode_names(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def list_bus_names(case: Case) -> list[str]:
    """Names of the net's buses, made unique by their index where needed."""
    return _unique(case.feeder.labels["bus"], "bus")


def list_branch_names(case: Case) -> tuple[list[str], list[str]]:
    """Names of the net's lines and transformers, made unique by their index where needed."""
    return _unique(case.feeder.labels["line"], "line"), _unique(case.feeder.labels["trafo"], "transformer")


def _unique(labels: Labels, kind: str) -> list[str]:
    """Names; a kind and an index where there is none.

    Examples
    --------
    >>> _unique(Labels([4, 5, 6, 7], ["a", "b", "b", ""]), "line")
    ['a', 'b #5', 'b #6', 'line #7']
    """
    often = Counter(labels.name)
    return [
        name if name and often[name] == 1 else f"{name or kind} #{index}" for index, name in zip(*labels, strict=True)
    ]


def make_chunk_tables(case: Case, chunk: Chunk) -> dict[str, pa.Table]:
    """All tables of a chunk, by the name of their file."""
    intervals = np.arange(chunk.first, chunk.stop)
    return {
        "exchanges": make_exchanges_table(case, chunk.window.rows),
        "houses": make_houses_table(case, chunk),
        "intervals": make_intervals_table(case, chunk),
        "bus_voltage": make_bus_voltage_table(case, intervals, {"vm_pu": chunk.flow}),
        "branch_loading": make_branch_loading_table(case, intervals, {"loading_percent": chunk.flow}),
        "violations": make_violations_table(case, chunk.unclean),
    }
