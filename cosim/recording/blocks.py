"""From final intervals to the records of their blocks, and from a case to those of the first block.

Pure functions: the recorder writes what they make, an audit compares it with what a ledger holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case, make_rules
from cosim.case.flexible import digest_devices
from cosim.curtailment.feasible import Outcome
from cosim.delivery.flexible import FlexibleDevices
from cosim.delivery.reactive import IN_PROFILES, find_tan_phi_ppm
from cosim.delivery.volt_watt import is_reduced
from cosim.interval.chunk import Chunk
from cosim.recording.charges import append_charges
from cosim.recording.conductors import Conductors, find_highest_neutral, make_conductors
from cosim.recording.devices import Keys, make_decision_records
from cosim.recording.envelopes import make_envelope_rows
from cosim.recording.facts import list_facts
from cosim.recording.houses import list_house_parameters
from cosim.recording.topology import make_topology_of_chunk
from cosim.scenario.model import Scenario
from cosim.scenario.sections import LedgerSection
from data.heads import HeadSeries
from grid_models.feeder.connection import DEVICES
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits
from grid_models.response.tap_changer import TapChangers
from market.exchanges import CAR, METER, Kind
from market.ledger.format.quorum import make_quorum_parameters, parse_witnesses
from market.ledger.format.records import (
    CHARGES_PARAMETER,
    ENVELOPE_PARAMETER,
    ISLANDED,
    PHASES,
    TOPOLOGY,
    VERDICT,
    Change,
    RecordBytes,
    RecordKind,
    make_house_records,
    make_parameter_records,
    number_records,
    quantise,
    view_as_bytes,
)
from market.ledger.format.version import DEVICES_PARAMETER
from market.ledger.private.commitments import commit_inputs
from market.ledger.private.cover import Cover
from market.mechanisms import Mechanism
from market.rules import Arrival
from market.state import State

DAYS_OF_SUMS = 7
"""Days over which a private ledger states sums and coarse extremes."""

HOURS_TO_WAIT = 168
"""Hours for which a key waits in place of one that the operator ended, if the scenario does not say."""

_CURTAILABLE = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT)


def interval_starts(case: Case, intervals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Start of intervals in seconds since 1970-01-01 UTC."""
    start = int(case.profiles.start.astype("datetime64[s]").astype(np.int64))
    return start + intervals * 60 * case.interval_minutes


class Form(NamedTuple):
    """Which terms a first block states; ledgers that an earlier version began state fewer.

    Attributes
    ----------
    covered
        If records are private: that verdicts and inputs are too.
    waits
        If the operator has a key of its own: for how long a replaced key has to wait.
    varh_in_profiles
        That the profiles have the reactive power of the loads.
    """

    covered: bool = True
    waits: bool = True
    varh_in_profiles: bool = False


NOW = Form()


def make_genesis_records(case: Case, inputs_salt: bytes = b"", form: Form = NOW) -> list[RecordBytes]:
    """Parameters and houses of the first block in clear, numbered after the operator's key.

    Parameters
    ----------
    case
        What is run.
    inputs_salt
        Salt of the digests of a private run's inputs; empty in others.
    form
        Which terms it states.
    """
    digests = name_digests(case.scenario, case.profiles.digest(), inputs_salt) | name_network(case.feeder, inputs_salt)
    digests |= name_devices(case.fleet.flexible) | name_head(None if case.head is None else case.head.series)
    form = form._replace(varh_in_profiles=case.profiles.load_varh is not None)
    return make_first_records(case.scenario, case.mechanism, case.opening, case.feeder, case.limits, digests, form)


def name_digests(scenario: Scenario, profiles_sha256: bytes, inputs_salt: bytes) -> dict[str, bytes]:
    """Digests of scenario and profiles as the first block holds them, by the names of their parameters.

    Those of a private run are salted: where a seed draws the houses, a guess could be held against them.
    """
    if not inputs_salt:
        return {"scenario_sha256": scenario.digest(), "profiles_sha256": profiles_sha256}
    digests = {"scenario_hmac": scenario.digest(), "profiles_hmac": profiles_sha256}
    return {name: commit_inputs(inputs_salt, digest) for name, digest in digests.items()}


def name_network(feeder: Feeder, inputs_salt: bytes) -> dict[str, bytes]:
    """Digest of the network as the first block holds it, by the name of its parameter.

    Phases that a seed draws are in it, so that of a private run with phases is salted too.
    """
    if not inputs_salt or feeder.connections is None:
        return {"network_sha256": feeder.digest()}
    return {"network_hmac": commit_inputs(inputs_salt, feeder.digest())}


def name_devices(devices: FlexibleDevices) -> dict[str, bytes]:
    """Digest of cars and heat pumps as the first block holds it, by the name of its parameter; nothing without any."""
    return {DEVICES_PARAMETER: digest_devices(devices)} if devices.kind.size else {}


def name_head(series: HeadSeries | None) -> dict[str, bytes]:
    """Digest of the feeder's head as the first block holds it, by the name of its parameter; nothing without any."""
    return {} if series is None else {"head_sha256": series.digest()}


def make_cover(scenario: Scenario, n_houses: int) -> Cover:
    """How the records of a private run are covered: room for a meter, three exchanges and an order of every house."""
    a_house = 4 + scenario.ledger.facts
    of_all = 2 if scenario.network.model == "balanced" else 3  # losses and the verdict, in two records if need be
    return Cover(a_house * n_houses + of_all, DAYS_OF_SUMS * 24 * 60 // scenario.horizon.interval_minutes)


def make_first_records(
    scenario: Scenario,
    mechanism: Mechanism,
    opening: State,
    feeder: Feeder,
    limits: Limits,
    digests: Mapping[str, bytes],
    form: Form,
) -> list[RecordBytes]:
    """`make_genesis_records` of what a case is built from; of profiles and network's digest only what is given.

    Parameters
    ----------
    scenario, mechanism
        What is run, and its market.
    opening
        State before the first interval.
    feeder, limits
        The network, and the limits that are applied.
    digests
        Digests of scenario, profiles and network, as `name_digests` and `name_network` make them.
    form
        Which terms the block states.
    """
    options, horizon, rules = scenario.ledger, scenario.horizon, make_rules(scenario, mechanism)
    terms = {
        **digests,
        **({} if feeder.connections is None else {"model": scenario.network.model}),
        "mechanism": mechanism.name[:40],
        "seed": scenario.seed,
        "start": int(horizon.start.timestamp()),
        "interval_minutes": horizon.interval_minutes,
        "tau_intervals": rules.tau_intervals,
        "n_intervals": horizon.n_intervals,
        **{name: 1 for name in ("private", "members_sign", "facts") if getattr(options, name)},
        **(list_facts(scenario, rules, limits) if options.facts else {}),
        **({ENVELOPE_PARAMETER: scenario.market.envelope_rule} if scenario.market.network == "envelope" else {}),
        **({CHARGES_PARAMETER: 1} if scenario.charges.is_on else {}),
        **_list_terms(scenario, opening.own_wh.size, form),
        **list_house_parameters(scenario, feeder.participants),
    }
    if options.private and form.covered and rules.arrival != Arrival.SHUFFLE:
        del terms["seed"]  # whoever knows it can draw the houses again, and nothing else on the ledger needs it
    parameters = make_parameter_records(terms, first_seq=1)
    houses = make_house_records(
        feeder.participants,
        feeder.bus.tolist(),
        opening.ratings,
        opening.own_wh,
        opening.wallet_neur,
        first_seq=1 + parameters.size,
        load_tan_phi_ppm=IN_PROFILES if form.varh_in_profiles else find_tan_phi_ppm(feeder),
        phases=[0 if feeder.connections is None else getattr(feeder.connections, device) for device in DEVICES],
    )
    devices = opening.flexible.copy()
    if feeder.connections is not None:
        devices["stays"] = np.where(devices["status"] == CAR, feeder.connections.wall_box[devices["house"]], 0)
    devices["seq"] = 1 + parameters.size + houses.size + np.arange(devices.size)
    return [view_as_bytes(parameters), view_as_bytes(houses), *([view_as_bytes(devices)] if devices.size else [])]


def _list_terms(scenario: Scenario, n_houses: int, form: Form) -> dict[str, bytes | int]:
    """Parameters about members and private records; a run with demonstration keys has none: they prove nothing."""
    options, found = scenario.ledger, dict[str, bytes | int]()
    if options.private and form.covered:
        cover = make_cover(scenario, n_houses)
        found |= {"verdict_private": 1, "private_records": cover.n_records, "sum_intervals": cover.every}
    hours = HOURS_TO_WAIT if options.replacement_wait_hours is None else options.replacement_wait_hours
    if options.operator_key is not None and hours and form.waits:
        found["replacement_wait"] = -(-hours * 60 // scenario.horizon.interval_minutes)
    return found | _list_quorum(options)


def _list_quorum(options: LedgerSection) -> dict[str, bytes | int]:
    """Parameters about the witnesses whose cosignatures a checkpoint needs to count; none without witnesses."""
    if not options.witnesses:
        return {}
    return make_quorum_parameters(parse_witnesses(options.witnesses, options.quorum or len(options.witnesses)))


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

    A block holds its exchanges, then one meter per house, orders if they are recorded, devices that can wait, envelopes
    if there are any, then the verdict, with phases behind it in an unbalanced model; tap changers, network charges,
    topology and statements follow.
    """
    window = chunk.window
    n_intervals, n_houses = window.meters.shape
    n_exchanges = np.diff(window.offsets)
    n_orders = n_houses if window.orders.size else 0
    n_phases = int(case.feeder.connections is not None)
    n_devices, n_envelopes = window.devices.shape[1], 0 if chunk.bounds is None else n_houses
    n_taps = chunk.flow.tap_pos.shape[1]
    counts = n_exchanges + n_houses + n_orders + n_devices + n_envelopes + 1 + n_phases + n_taps
    begin = np.concatenate([[0], np.cumsum(counts)])
    records = np.empty((int(begin[-1]), METER.itemsize), np.uint8)
    owner = np.repeat(np.arange(n_intervals), n_exchanges)
    records[np.arange(owner.size) - window.offsets[owner] + begin[owner]] = view_as_bytes(window.rows)
    meters = begin[:-1, None] + n_exchanges[:, None] + np.arange(n_houses)
    records[meters.reshape(-1)] = view_as_bytes(window.meters)
    if n_orders:
        records[meters.reshape(-1) + n_houses] = view_as_bytes(window.orders)
    if n_devices:
        devices = begin[:-1, None] + (n_exchanges + n_houses + n_orders)[:, None] + np.arange(n_devices)
        records[devices.reshape(-1)] = view_as_bytes(window.devices)
    if chunk.bounds is not None:
        behind = n_exchanges + n_houses + n_orders + n_devices
        envelopes = make_envelope_rows(case, chunk.bounds, chunk.first, behind)
        records[(begin[:-1, None] + behind[:, None] + np.arange(n_houses)).reshape(-1)] = view_as_bytes(envelopes)
    conductors = make_conductors(case.feeder)
    behind = counts - n_taps
    verdicts = make_verdict_rows(chunk, conductors, behind - 1 - n_phases)
    records[begin[1:] - n_taps - 1 - n_phases] = view_as_bytes(verdicts)
    if n_phases:
        records[begin[1:] - n_taps - 1] = view_as_bytes(make_phases_rows(chunk, conductors, behind - 1))
    if case.taps is not None:
        places = begin[1:, None] - n_taps + np.arange(n_taps)
        records[places.reshape(-1)] = view_as_bytes(make_tap_rows(case.taps, chunk, behind))
    if chunk.charges is not None:
        return append_charges(chunk.charges, chunk.first, n_houses, records, counts)
    return records, counts


def make_tap_rows(taps: TapChangers, chunk: Chunk, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """`TOPOLOGY` rows of where each tap changer stood in every interval, (K·X,); `seq` of the first, (K,)."""
    n_intervals, n_taps = chunk.flow.tap_pos.shape
    rows = np.zeros((n_intervals, n_taps), TOPOLOGY)
    rows["kind"], rows["status"] = RecordKind.TOPOLOGY, Change.TAP_POSITION
    rows["interval"] = np.arange(chunk.first, chunk.stop)[:, None]
    rows["seq"] = seq[:, None] + np.arange(n_taps)
    rows["element"], rows["tap_pos"] = taps.trafos, chunk.flow.tap_pos
    return rows.reshape(-1)


def make_phases_rows(chunk: Chunk, conductors: Conductors, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """`PHASES` row of every interval of a chunk of an unbalanced model."""
    verdicts, rows = chunk.verdicts, np.zeros(chunk.outcome.size, PHASES)
    rows["kind"] = RecordKind.PHASES
    rows["interval"], rows["seq"] = np.arange(chunk.first, chunk.stop), seq
    rows["lowest_phase"], rows["highest_phase"] = (
        conductors.split_buses(columns)[1] for columns in (verdicts.lowest_bus, verdicts.highest_bus)
    )
    rows["branch_conductor"] = conductors.split_branches(verdicts.highest_branch)[1]
    rows["vuf_e4_percent"] = quantise(verdicts.highest_vuf_percent, 1e-4)
    rows["vuf_bus"] = verdicts.highest_vuf_bus
    percent, line = find_highest_neutral(chunk.flow, conductors)
    rows["neutral_e4_percent"], rows["neutral_line"] = quantise(percent, 1e-4), line
    rows["neutral_mv"], rows["neutral_bus"] = quantise(verdicts.highest_neutral_v, 1e-3), verdicts.highest_neutral_bus
    return rows


def make_verdict_rows(chunk: Chunk, conductors: Conductors, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """`VERDICT` row of every interval of a chunk. Only here, and beside, do floats become integers."""
    flow, verdicts, window = chunk.flow, chunk.verdicts, chunk.window
    rows = np.zeros(chunk.outcome.size, VERDICT)
    rows["kind"] = RecordKind.VERDICT
    rows["status"], rows["reason"] = find_status_and_reason(chunk)
    rows["interval"], rows["seq"] = np.arange(chunk.first, chunk.stop), seq
    rows["lowest_vm_upu"] = quantise(verdicts.lowest_vm_pu, 1e-6)
    rows["lowest_bus"] = conductors.split_buses(verdicts.lowest_bus)[0]
    rows["highest_vm_upu"] = quantise(verdicts.highest_vm_pu, 1e-6)
    rows["highest_bus"] = conductors.split_buses(verdicts.highest_bus)[0]
    rows["loading_e4_percent"] = quantise(verdicts.highest_loading_percent, 1e-4)
    rows["branch"] = conductors.split_branches(verdicts.highest_branch)[0]
    rows["power_flows"] = chunk.power_flows
    rows["p_grid_w"] = quantise(flow.p_grid_kw, 1e-3)
    exchanges = window.rows[: int(window.offsets[-1])]
    delivered = exchanges["delivered_wh"]
    interval = np.repeat(np.arange(rows.size), np.diff(window.offsets))
    for column, kinds, wh in (
        ("losses_wh", (Kind.LOSS,), delivered),
        ("shed_wh", (Kind.SHED,), delivered),
        ("curtailed_wh", _CURTAILABLE, np.where(is_reduced(exchanges), 0, exchanges["cleared_wh"] - delivered)),
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
