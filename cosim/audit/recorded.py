"""What a run directory holds, once the hashes in the ledger's first block confirm it; and the ledger's blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.case.connections import choose_wires, connect
from cosim.case.kept import check_kept_network, lacks_phases, with_kept_head, with_kept_network, with_kept_temperature
from cosim.delivery.setpoints import mean_kw
from cosim.errors import ScenarioError
from cosim.recording.blocks import Form, name_digests, name_network
from cosim.results.result import NETWORK_FILE
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from grid_models.feeder.connection import ABC, NAMES, Codes, Connections
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.net_file import read_net
from market.exchanges import CAR, Rows
from market.ledger.format.header import decode_header
from market.ledger.format.records import (
    CONNECTED,
    NONE,
    RecordBytes,
    RecordKind,
    read_integer_parameter,
    read_parameters,
    select_rows,
)
from market.ledger.private.commitments import GENESIS, STATE_SEQ, open_commitments
from market.ledger.private.vault import Entry
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import decode_records

Entries = Mapping[tuple[int, int], Entry]
"""Private records from the operator's store, by (interval, number)."""


class Finding(NamedTuple):
    """Something that is wrong with a block."""

    height: int
    what: str


class Recorded(NamedTuple):
    """What a run was made of, as its directory says.

    Attributes
    ----------
    directory, scenario, feeder
        The directory; the scenario and the network that it holds.
    genesis
        Records of the ledger's first block, (M, 72), private ones put back.
    inputs_salt
        Salt of the digests of a private run's inputs; empty in others.
    """

    directory: Path
    scenario: Scenario
    feeder: Feeder
    genesis: RecordBytes
    inputs_salt: bytes

    @property
    def form(self) -> Form:
        """Which terms the first block states: an earlier version may have begun it."""
        parameters = read_parameters(self.genesis)
        waits = self.scenario.ledger.replacement_wait_hours is not None or "replacement_wait" in parameters
        in_profiles = bool((self.houses["load_tan_phi_ppm"] == NONE).any())
        return Form("verdict_private" in parameters, waits, in_profiles)

    @property
    def interval_minutes(self) -> int:
        """Length of an interval."""
        return self.read_parameter("interval_minutes")

    @property
    def n_intervals(self) -> int:
        """Number of intervals that the run has."""
        return self.read_parameter("n_intervals")

    @property
    def houses(self) -> Rows:
        """The houses as the first block records them."""
        return select_rows(self.genesis, RecordKind.HOUSE)

    @property
    def devices(self) -> Rows:
        """Cars and heat pumps as the first block records them."""
        return select_rows(self.genesis, RecordKind.FLEXIBLE)

    @property
    def takes_phases(self) -> bool:
        """Whether phases of houses are taken from the ledger itself, there being nothing to hold them against."""
        return lacks_phases(self.scenario, self.directory)

    def read_parameter(self, name: str) -> int:
        """An integer parameter of the first block."""
        return read_integer_parameter(read_parameters(self.genesis), name)


class OpenedBlock(NamedTuple):
    """A block with its private records put back.

    Attributes
    ----------
    height
        Its height.
    interval, interval_start
        Number of the interval and its begin, seconds since 1970-01-01 UTC.
    records
        Its records in clear, (M, 72).
    """

    height: int
    interval: int
    interval_start: int
    records: RecordBytes

    @property
    def holds_interval(self) -> bool:
        """Whether it records an interval; all others hold statements alone."""
        return bool((self.records[:, 0] == RecordKind.VERDICT).any())


class FirstBlock(NamedTuple):
    """The ledger's first block: its records as bytes, private ones put back, and the salt of its digests if any."""

    records: bytes
    inputs_salt: bytes


def read_first_block(store: Store, entries: Entries | None) -> FirstBlock:
    """First block of a ledger.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If it is damaged, or holds private records that cannot be opened.
    """
    genesis = decode_records(store.block(0).records)
    if not (genesis[:, 0] == RecordKind.PRIVATE).any():
        return FirstBlock(genesis.tobytes(), b"")
    opened = _open(genesis, GENESIS, entries or {}, 0)
    salted = (entries or {}).get((GENESIS, STATE_SEQ))
    return FirstBlock(opened.tobytes(), b"" if salted is None else salted.salt)


def read_recorded(directory: Path, first: FirstBlock) -> Recorded:
    """Scenario and network of a run directory, once their hashes are those of the ledger's first block.

    Raises
    ------
    ScenarioError, market.errors.LedgerError, grid_models.errors.GridError
        If the directory holds no run, or its scenario or network is not the one the ledger was begun with, or what a
        public run kept of its network is missing.
    """
    genesis, salt = decode_records(first.records), first.inputs_salt
    parameters = read_parameters(genesis)
    loaded = with_kept_temperature(load_scenario(directory / "scenario.toml"), directory)
    loaded = with_kept_head(loaded, directory)
    scenario = _find_recorded_scenario(loaded, parameters, salt)
    if scenario is None:
        raise ScenarioError(f"{directory}: expected the scenario the ledger was begun with, got another scenario.toml")
    check_kept_network(scenario, directory)
    houses = select_rows(genesis, RecordKind.HOUSE)
    plain = read_recorded_feeder(directory, scenario, houses.size)
    devices = select_rows(genesis, RecordKind.FLEXIBLE)
    for feeder in list_connected(directory, scenario, plain, houses, devices):
        if all(parameters.get(name, b"")[:32] == digest for name, digest in name_network(feeder, salt).items()):
            return Recorded(directory, scenario, feeder, genesis, salt)
    others = "" if scenario.network.model == "balanced" else ", or other phases of the houses (HOUSE records)"
    raise ScenarioError(
        f"{directory}: expected the network the ledger was begun with, got another {NETWORK_FILE}{others}"
    )


def list_connected(
    directory: Path, scenario: Scenario, feeder: Feeder, houses: Rows, devices: Rows
) -> Iterator[Feeder]:
    """A feeder with the phases that its houses may have: as the first block records them, and as the scenario says.

    In the balanced model it is the feeder as it is.

    Raises
    ------
    ScenarioError
        If a code of a phase is none.
    """
    if scenario.network.model == "balanced":
        yield feeder
        return
    codes = [*(houses[name] for name in CONNECTED), devices["stays"]]
    outside = (devices["house"] < 0) | (devices["house"] >= houses.size)
    if outside.any() or max(code.max(initial=0) for code in codes) >= len(NAMES):
        raise ScenarioError(
            f"{directory}: expected phases from 0 to {len(NAMES) - 1} of every house in the ledger's first block, got "
            "others; run gridsettle ledger verify"
        )
    load, pv, battery, cell = (houses[name].astype(np.int8) for name in CONNECTED)
    ev = read_wall_boxes(load, devices)
    yield replace(feeder, connections=Connections(load, pv, battery, cell, choose_wires(scenario), ev))
    yield connect_as_asked(directory, scenario, feeder, houses, devices)


def read_wall_boxes(load: Codes, devices: Rows) -> Codes | None:
    """Code of every house's wall box, from the devices of a first block; None where all are where the load is."""
    ev, cars = load.copy(), devices[devices["status"] == CAR]
    ev[cars["house"]] = cars["stays"]
    return None if (ev == load).all() else ev


def connect_as_asked(directory: Path, scenario: Scenario, feeder: Feeder, houses: Rows, devices: Rows) -> Feeder:
    """A feeder with the phases that its scenario gives its houses, as far as that follows without the profiles.

    How large a house's panels are decides whether they take three phases. That is as the first block records it, and
    all else too where the table of participants was not kept.
    """
    kept = scenario if scenario.network.source != "file" else with_kept_network(scenario, directory)
    if scenario.network.model == "balanced":
        return feeder
    if kept is None:
        return next(list_connected(directory, scenario, feeder, houses, devices))
    panels_kw = np.where(houses["pv_phase"] == ABC, np.inf, 0.0)
    battery_kw = mean_kw(houses["max_discharge_wh"].astype(np.int64), scenario.horizon.interval_minutes)
    return connect(kept, feeder, panels_kw, battery_kw)


def _find_recorded_scenario(scenario: Scenario, parameters: Mapping[str, bytes], salt: bytes) -> Scenario | None:
    """The scenario whose digest the ledger has, None if it has that of another.

    One that an earlier version wrote has no power factor of loads: they had no reactive power.
    """
    without_reactive = scenario.with_changes(houses={"load_cos_phi": 1.0})
    for candidate in (scenario, without_reactive):
        name, digest = next(iter(name_digests(candidate, b"", salt).items()))
        if parameters.get(name, b"")[:32] == digest:
            return candidate
    return None


def read_recorded_feeder(directory: Path, scenario: Scenario, n_houses: int) -> Feeder:
    """Feeder of the recorded net: its last loads are those of the participants, in their order and at their buses."""
    net = read_net(directory / NETWORK_FILE)
    loads = net.load.iloc[max(len(net.load) - n_houses, 0) :]
    file = scenario.network.file
    name = scenario.network.name or ("generated" if file is None else file.name)
    return Feeder(name, net, tuple(map(str, loads.name)), loads.bus.to_numpy(np.int64))


def find_early_end(recorded: Recorded, height: int, n_intervals: int) -> list[Finding]:
    """A ledger whose last block, at `height`, comes before its run is over: unfinished, or its end was dropped."""
    wanted = recorded.n_intervals
    if n_intervals == wanted:
        return []
    ends, holds = f"ends after {n_intervals} of {wanted} intervals", f"holds {n_intervals} intervals of {wanted}"
    return [Finding(height, f"the ledger {ends if n_intervals < wanted else holds}")]


def read_blocks(store: Store, entries: Entries | None) -> Iterator[OpenedBlock]:
    """All blocks behind the first, in order of height, opened."""
    for group in store.groups():
        yield from (open_block(block, entries) for block in group if block.height > 0)


def read_interval(stored: StoredBlock) -> int:
    """Number of intervals recorded before a block; that of its own interval, if it holds one."""
    return int.from_bytes(stored.records[4:8], "little")


def open_block(stored: StoredBlock, entries: Entries | None) -> OpenedBlock:
    """A block with its private records put back.

    Raises
    ------
    ScenarioError
        If they cannot be opened: without the meters power flows are unknown.
    """
    records = decode_records(stored.records)
    interval = read_interval(stored)
    if (records[:, 0] == RecordKind.PRIVATE).any():
        records = _open(records, interval, entries or {}, stored.height)
    return OpenedBlock(stored.height, interval, decode_header(stored.header).interval_start, records)


def _open(records: RecordBytes, interval: int, entries: Entries, height: int) -> RecordBytes:
    found = open_commitments(records, interval, entries)
    if isinstance(found, str):
        raise ScenarioError(f"block {height}: {found}; open them with --open-with and the operator's key")
    return found
