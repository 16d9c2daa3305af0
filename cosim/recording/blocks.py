"""From final intervals to the records of their blocks, and from a case to those of the first block.

Pure functions: the recorder writes what they make, an audit compares it with what a ledger holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome
from cosim.interval.chunk import Chunk
from cosim.recording.devices import Keys, make_decision_records
from cosim.recording.topology import make_topology_of_chunk
from market.exchanges import METER, Kind
from market.ledger.format.records import (
    ISLANDED,
    VERDICT,
    RecordBytes,
    RecordKind,
    make_house_records,
    make_parameter_records,
    number_records,
    quantise,
    view_as_bytes,
)

_CURTAILABLE = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT)


def interval_starts(case: Case, intervals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Start of intervals in seconds since 1970-01-01 UTC."""
    start = int(case.profiles.start.astype("datetime64[s]").astype(np.int64))
    return start + intervals * 60 * case.interval_minutes


def make_genesis_records(case: Case) -> list[RecordBytes]:
    """Parameters and houses of the first block, numbered after the operator's key."""
    options = case.scenario.ledger
    chosen = {name: 1 for name in ("private", "members_sign") if getattr(options, name)}
    parameters = make_parameter_records(
        {
            "scenario_sha256": case.scenario.digest(),
            "profiles_sha256": case.profiles.digest(),
            "network_sha256": case.feeder.digest(),
            "mechanism": case.mechanism.name[:40],
            "seed": case.scenario.seed,
            "start": int(interval_starts(case, np.zeros(1, np.int64))[0]),
            "interval_minutes": case.interval_minutes,
            "tau_intervals": case.rules.tau_intervals,
            "n_intervals": case.n_intervals,
            **chosen,
        },
        first_seq=1,
    )
    houses = make_house_records(
        case.profiles.participants,
        case.feeder.bus.tolist(),
        case.opening.ratings,
        case.opening.own_wh,
        case.opening.wallet_neur,
        first_seq=1 + parameters.size,
    )
    return [view_as_bytes(parameters), view_as_bytes(houses)]


def make_group_records(
    case: Case, group: Sequence[Chunk], chain_id: bytes, keys: Keys
) -> tuple[RecordBytes, npt.NDArray[np.int64]]:
    """Records of the blocks of consecutive chunks, (M, 72), and where each block's begin, (K + 1,).

    Parameters
    ----------
    case
        What is run.
    group
        The chunks.
    chain_id, keys
        The chain, and the keys of the houses whose devices join or leave: their statements are signed.
    """
    parts, counts = [], []
    for chunk in group:
        records, sizes = make_block_records(case, chunk)
        if chunk.event is not None:
            topology = make_topology_of_chunk(case, chunk)
            decisions = make_decision_records(case, chunk, chain_id, keys)
            more = number_records(np.concatenate([topology, decisions]), chunk.first, int(sizes[0]))
            records, sizes = np.concatenate([records, more]), sizes + more.shape[0]
        parts.append(records)
        counts.append(sizes)
    return np.concatenate(parts), np.concatenate([[0], np.cumsum(np.concatenate(counts))])


def make_block_records(case: Case, chunk: Chunk) -> tuple[RecordBytes, npt.NDArray[np.int64]]:
    """Records of a chunk's blocks, one block after the other, and how many each block has.

    A block holds its exchanges, then one meter per house, then the verdict; topology and statements follow.
    """
    window = chunk.window
    n_intervals, n_houses = window.meters.shape
    n_exchanges = np.diff(window.offsets)
    counts = n_exchanges + n_houses + 1
    begin = np.concatenate([[0], np.cumsum(counts)])
    records = np.empty((int(begin[-1]), METER.itemsize), np.uint8)
    owner = np.repeat(np.arange(n_intervals), n_exchanges)
    records[np.arange(owner.size) - window.offsets[owner] + begin[owner]] = view_as_bytes(window.rows)
    meters = begin[:-1, None] + n_exchanges[:, None] + np.arange(n_houses)
    records[meters.reshape(-1)] = view_as_bytes(window.meters)
    records[begin[1:] - 1] = view_as_bytes(make_verdict_rows(case, chunk, counts - 1))
    return records, counts


def make_verdict_rows(case: Case, chunk: Chunk, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """`VERDICT` row of every interval of a chunk. Only here do floats become integers."""
    flow, verdicts, window = chunk.flow, chunk.verdicts, chunk.window
    rows = np.zeros(chunk.outcome.size, VERDICT)
    rows["kind"] = RecordKind.VERDICT
    rows["status"], rows["reason"] = find_status_and_reason(chunk)
    rows["interval"], rows["seq"] = np.arange(chunk.first, chunk.stop), seq
    rows["lowest_vm_upu"] = quantise(verdicts.lowest_vm_pu, 1e-6)
    rows["lowest_bus"] = verdicts.lowest_bus
    rows["highest_vm_upu"] = quantise(verdicts.highest_vm_pu, 1e-6)
    rows["highest_bus"] = verdicts.highest_bus
    rows["loading_e4_percent"] = quantise(verdicts.highest_loading_percent, 1e-4)
    rows["branch"] = verdicts.highest_branch
    rows["power_flows"] = chunk.power_flows
    rows["p_grid_w"] = quantise(flow.p_grid_kw, 1e-3)
    exchanges = window.rows[: int(window.offsets[-1])]
    delivered = exchanges["delivered_wh"]
    interval = np.repeat(np.arange(rows.size), np.diff(window.offsets))
    for column, kinds, wh in (
        ("losses_wh", (Kind.LOSS,), delivered),
        ("shed_wh", (Kind.SHED,), delivered),
        ("curtailed_wh", _CURTAILABLE, exchanges["cleared_wh"] - delivered),
    ):
        chosen = np.isin(exchanges["kind"], kinds)
        np.add.at(rows[column], interval[chosen], wh[chosen])
    return rows


def find_status_and_reason(chunk: Chunk) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """How each interval became clean (`Outcome`), and which engine solved it.

    An islanded interval is clean or shed, and has the flag `ISLANDED` beside its engine.
    """
    islanded = chunk.outcome == Outcome.ISLANDED
    shed = chunk.window.meters["shed_wh"].any(axis=1)
    clean = np.where(shed, int(Outcome.SHED), int(Outcome.CLEAN))
    status = np.where(islanded, clean, chunk.outcome).astype(np.int8)
    return status, chunk.flow.engine.astype(np.int64) + ISLANDED * islanded
