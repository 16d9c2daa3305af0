"""From final intervals to ledger blocks: records, state roots, and the state a run resumes from.

Nothing here changes what is settled; a run in memory does without it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.case.state import NetworkState
from cosim.curtailment.feasible import Outcome
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.recording.devices import make_decision_records, make_member_records
from cosim.recording.keys import RunKeys, find_run_keys
from cosim.recording.topology import make_topology_of_chunk
from market.errors import MarketError
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
from market.ledger.private.commitments import derive_salt_secret
from market.ledger.private.entries import with_signatures
from market.ledger.write.ledger import Ledger, state_roots
from market.ledger.write.private import append_private
from market.state import Lots, State
from market.storage import Ratings

logger = logging.getLogger(__name__)

_CURTAILABLE = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT)
_STATE_KEYS = ("own_wh", "wallet_neur", "account_neur", "pools_neur", "tally")
_NETWORK_KEYS = ("phase", "former", "pickup", "open", "standing", "plants")
"""Names of the fields of `NetworkState` in the states that a ledger keeps."""


@dataclass(frozen=True, eq=False)
class Recorder:
    """Writes chunks to a ledger, a group at a time; a context manager.

    Attributes
    ----------
    case, ledger, keys
        What is run, where it is recorded, and the keys that sign it.
    state, network, next_interval
        Where the run begins or is resumed.
    """

    case: Case
    ledger: Ledger
    keys: RunKeys
    state: State
    network: NetworkState
    next_interval: int

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    def record(self, group: Sequence[Chunk]) -> None:
        """Append the blocks of a group of chunks; durable when it returns."""
        parts, counts = [], []
        for chunk in group:
            records, sizes = make_block_records(self.case, chunk)
            if chunk.event is not None:
                topology = make_topology_of_chunk(self.case, chunk)
                decisions = make_decision_records(self.case, chunk, self.ledger.chain_id, self.keys.members)
                more = number_records(np.concatenate([topology, decisions]), chunk.first, int(sizes[0]))
                records, sizes = np.concatenate([records, more]), sizes + more.shape[0]
            parts.append(records)
            counts.append(sizes)
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
        first, stop = group[0].first, group[-1].stop
        starts = interval_starts(self.case, np.arange(first, stop))
        state = self.keys.seal_state(encode_state(group[-1].window.state, group[-1].network))
        accounts = np.concatenate([chunk.window.accounts for chunk in group])
        self._append(starts, np.concatenate(parts), offsets, accounts, state)
        logger.info("ledger: blocks of intervals %d to %d committed", first, stop - 1)

    def _append(
        self,
        starts: npt.NDArray[np.int64],
        records: RecordBytes,
        offsets: npt.NDArray[np.int64],
        accounts: npt.NDArray[np.int64],
        state: bytes,
    ) -> None:
        """Append blocks as the scenario demands: signed by the houses, private, both or neither."""
        ledger, keys, options = self.ledger, self.keys, self.case.scenario.ledger
        private = list(keys.members) if options.private else []
        if options.members_sign:
            secret = derive_salt_secret(keys.operator)
            records, offsets = with_signatures(
                records, offsets, keys.members, ledger.chain_id, ledger.next_interval, private, secret
            )
        if private:
            append_private(ledger, keys.operator, private, starts, records, offsets, accounts, state)
        else:
            ledger.append(starts, records, offsets, state_roots(accounts), state)

    def head(self) -> dict[str, Any]:
        """Last block's height and hash, and the root over all blocks."""
        head = self.ledger.head()
        return {"height": head.height, "hash": head.hash.hex(), "root": head.root.hex()}


def open_recorder(case: Case, directory: Path, *, resume: bool) -> Recorder:
    """Recorder of a new ledger in `directory`, or of the one that is there.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the ledger cannot be made or resumed, or belongs to another scenario, or a key cannot be used.
    """
    keys = find_run_keys(case)
    if not resume:
        content = keys.seal_state(encode_state(case.opening, case.opening_network))
        ledger = Ledger.create(directory, make_genesis_records(case), keys.operator, content)
        register_members(ledger, keys)
        return Recorder(case, ledger, keys, case.opening, case.opening_network, 0)
    ledger = Ledger.resume(directory, keys.operator)
    try:
        ledger.check_parameters(make_genesis_records(case)[0])
        height, content = ledger.state()
        register_members(ledger, keys)
        return Recorder(case, ledger, keys, *decode_state(keys.open_state(content)), height)
    except (MarketError, ScenarioError):
        ledger.close()
        raise


def register_members(ledger: Ledger, keys: RunKeys) -> None:
    """Register the members that the ledger does not know yet, in a block of its own before the first interval."""
    missing = {house: key for house, key in keys.members.items() if house not in ledger.registry.keys}
    if missing:
        effective = ledger.head().height + 2
        ledger.append_registry(make_member_records(ledger.chain_id, missing, effective))


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


def encode_state(state: State, network: NetworkState) -> bytes:
    """State of the market and of the network as bytes: an npz archive of arrays of numbers."""
    buffer = io.BytesIO()
    flat = {
        **{name: getattr(state, name) for name in _STATE_KEYS},
        **{f"lots_{name}": column for name, column in state.lots._asdict().items()},
        **{f"ratings_{name}": column for name, column in state.ratings._asdict().items()},
        **{f"outage_{key}": column for key, column in zip(_NETWORK_KEYS, network, strict=True)},
    }
    np.savez(buffer, **flat)
    return buffer.getvalue()


def decode_state(content: bytes) -> tuple[State, NetworkState]:
    """State of the market and of the network from the bytes of `encode_state`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        lots = Lots(*(arrays[f"lots_{name}"] for name in Lots._fields))
        ratings = Ratings(*(arrays[f"ratings_{name}"] for name in Ratings._fields))
        network = NetworkState(*(arrays[f"outage_{key}"] for key in _NETWORK_KEYS))
        return State(**{name: arrays[name] for name in _STATE_KEYS}, lots=lots, ratings=ratings), network
