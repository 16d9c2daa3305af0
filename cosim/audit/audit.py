"""Audit a ledger down to the physics: solve recorded intervals again and check that what settled was admissible.

A ledger can be right in every hash and signature and still record a trade that the wires could not carry. The audit
rebuilds the injections from the recorded meters and solves them by `pandapower.runpp` on the recorded network, switched
as the block's topology says, each island with its grid former as slack. Limits and verdict are then checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.audit.networks import SwitchedNetwork, compare_with_scenario, switch_network
from cosim.curtailment.feasible import Outcome
from cosim.delivery.setpoints import injection_kw
from cosim.errors import ScenarioError
from cosim.recording.topology import Changes, read_changes
from cosim.results.directory import read_table
from cosim.results.result import NETWORK_FILE
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.net_file import read_net
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits, Verdict, check_limits
from market.exchanges import Kind
from market.ledger.format.header import decode_header
from market.ledger.format.records import (
    ISLANDED,
    NONE,
    RecordBytes,
    RecordKind,
    read_integer_parameter,
    read_parameters,
    select_rows,
)
from market.ledger.private.commitments import open_commitments
from market.ledger.private.vault import Entry
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

TOLERANCE_VM_PU, TOLERANCE_LOADING_PERCENT = 1e-5, 0.01
"""How far beyond a limit a settled interval may be: the accuracy of what a run itself holds."""

RECORDED_VM_UPU, RECORDED_LOADING_E4 = 10, 100
"""How far the recorded extremes may be from the recomputed ones, in their own steps (1e-5 pu, 0.01 %)."""


class Finding(NamedTuple):
    """An interval that should not have settled as it did, or whose verdict is not what physics says."""

    height: int
    what: str


class Audit(NamedTuple):
    """What an audit found.

    Attributes
    ----------
    heights
        Blocks audited.
    findings
        What is wrong, in order of height; nothing if the ledger is physically sound.
    islanded
        Those of them in which a participant was without the grid.
    """

    heights: tuple[int, ...]
    findings: tuple[Finding, ...]
    islanded: tuple[int, ...]


class Recorded(NamedTuple):
    """What a run was made of: its directory says so, and the hashes in the ledger's first block confirm it.

    `switch` makes the network of some topology changes.
    """

    scenario: Scenario
    feeder: Feeder
    switch: Callable[[Changes], SwitchedNetwork]
    limits: Limits
    interval_minutes: int
    n_blocks: int


def audit_ledger(
    directory: str | Path,
    *,
    sample: int | None = 48,
    seed: int = 0,
    entries: Mapping[tuple[int, int], Entry] | None = None,
) -> Audit:
    """Audit the ledger of a run.

    Parameters
    ----------
    directory
        Run directory.
    sample
        Number of blocks to audit, drawn at random; all if None.
    seed
        Of the draw.
    entries
        Private records from the operator's store, by (interval, number).

    Raises
    ------
    ScenarioError, market.errors.LedgerError, grid_models.errors.GridError
        If the directory holds no run, its scenario or network is not the one the ledger was begun with, or its
        records are private and cannot be opened.
    """
    directory = Path(directory)
    with Store.open_to_read(directory) as store:
        recorded = read_recorded(directory, store)
        heights = np.arange(1, recorded.n_blocks)
        if sample is not None and sample < heights.size:
            heights = np.sort(np.random.default_rng(seed).choice(heights, sample, replace=False))
        findings: list[Finding] = []
        audited, islanded = [], []
        for height in heights.tolist():
            block = store.block(height)
            records = open_records(decode_records(block.records), entries or {}, height)
            verdict = select_rows(records, RecordKind.VERDICT)
            if verdict.size == 0:
                continue  # a block of the registry alone
            audited.append(height)
            if verdict[0]["reason"] & ISLANDED:
                islanded.append(height)
            start = decode_header(block.header).interval_start
            findings += [Finding(height, what) for what in audit_block(recorded, records, start)]
    return Audit(tuple(audited), tuple(findings), tuple(islanded))


def open_records(records: RecordBytes, entries: Mapping[tuple[int, int], Entry], height: int) -> RecordBytes:
    """A block's records, the private ones put back.

    Raises
    ------
    ScenarioError
        If they cannot be opened: without the meters power flows are unknown.
    """
    if not (records[:, 0] == RecordKind.PRIVATE).any():
        return records
    found = open_commitments(records, int(records[0, 4:8].copy().view("<u4")[0]), entries)
    if isinstance(found, str):
        raise ScenarioError(f"block {height}: {found}; open them with --open-with and the operator's key")
    return found


def read_recorded(directory: Path, store: Store) -> Recorded:
    """Scenario and network of a run directory, once their hashes are those of the ledger's first block."""
    genesis = decode_records(store.block(0).records)
    parameters = read_parameters(genesis)
    scenario = load_scenario(directory / "scenario.toml")
    if scenario.digest() != parameters["scenario_sha256"][:32]:
        raise ScenarioError(f"{directory}: expected the scenario the ledger was begun with, got another scenario.toml")
    feeder = read_recorded_feeder(directory, scenario, genesis)
    if feeder.digest() != parameters["network_sha256"][:32]:
        raise ScenarioError(f"{directory}: expected the network the ledger was begun with, got another {NETWORK_FILE}")
    limits = Limits.from_feeder(feeder, **scenario.limits.model_dump())
    minutes = read_integer_parameter(parameters, "interval_minutes")
    return Recorded(scenario, feeder, cache(partial(switch_network, feeder)), limits, minutes, store.size())


def read_recorded_feeder(directory: Path, scenario: Scenario, genesis: RecordBytes) -> Feeder:
    """Feeder of the recorded net: buses of the houses from the first block, their names from the run's own table."""
    houses = select_rows(genesis, RecordKind.HOUSE)
    names = read_table(directory, "houses", ["house"])["house"].slice(0, houses.size).to_pylist()
    file = scenario.network.file
    name = scenario.network.name or ("generated" if file is None else file.name)
    return Feeder(name, read_net(directory / NETWORK_FILE), tuple(names), houses["bus"].astype(np.int64))


def audit_block(recorded: Recorded, records: RecordBytes, interval_start: int) -> list[str]:
    """What is wrong with a block: limits broken by what settled, and a topology or verdict other than recomputed.

    `interval_start` is the begin of its interval, seconds since 1970-01-01 UTC.
    """
    meters, verdict = select_rows(records, Kind.METER), select_rows(records, RecordKind.VERDICT)[0]
    p_kw = injection_kw(meters[None, :], recorded.interval_minutes)
    if verdict["status"] == Outcome.DE_ENERGISED:
        return ["energy flowed in a feeder that was switched off"] if p_kw.any() else []
    changes = read_changes(records)
    network = recorded.switch(changes)
    found = compare_with_scenario(recorded.feeder, recorded.scenario, changes, interval_start)
    if network.islanded != bool(verdict["reason"] & ISLANDED):
        found.append("the verdict and the recorded topology disagree on whether anybody was without the grid")
    found += network.find_unsupplied(p_kw)
    if network.reference is None:
        lit = int(verdict["lowest_vm_upu"]) != NONE or int(verdict["highest_vm_upu"]) != NONE
        return [*found, "a voltage is recorded where nothing supplies any bus"] if lit else found
    flow = network.reference.solve(p_kw, meters["q_var"][None, :] / 1000.0)
    if not flow.converged[0]:
        return [*found, "the settled exchanges have no AC solution"]
    return [
        *found,
        *_list_violations(check_limits(recorded.feeder, recorded.limits, flow)),
        *network.find_unbalanced(flow, recorded.interval_minutes),
        *_compare_extremes(flow, verdict),
    ]


def _list_violations(verdict: Verdict) -> list[str]:
    """Violations beyond the tolerance, in words."""
    return [
        f"settled though {violation}"
        for violation in verdict.violations
        if abs(violation.value - violation.limit)
        > (TOLERANCE_VM_PU if violation.quantity == "vm_pu" else TOLERANCE_LOADING_PERCENT)
    ]


def _compare_extremes(flow: Flow, verdict: np.void) -> list[str]:
    """Recorded extremes that are not those of the recomputed flow."""
    found = []
    for name, value in (("lowest_vm", np.nanmin(flow.vm_pu)), ("highest_vm", np.nanmax(flow.vm_pu))):
        recorded_upu = int(verdict[f"{name}_upu"])
        if abs(recorded_upu - value * 1e6) > RECORDED_VM_UPU:
            found.append(f"recorded {name} {recorded_upu / 1e6:.6f} pu, found {value:.6f}")
    loading = np.concatenate([flow.line_loading_percent[0], flow.trafo_loading_percent[0]])
    branch, recorded_e4 = int(verdict["branch"]), int(verdict["loading_e4_percent"])
    if branch >= 0 and abs(recorded_e4 - loading[branch] * 1e4) > RECORDED_LOADING_E4:
        found.append(f"recorded loading {recorded_e4 / 1e4:.4f} %, found {loading[branch]:.4f} %")
    return found
