"""What physics says of recorded blocks: the meters solved again by pandapower, held against limits and verdict.

`runpp` solves balanced networks, `runpp_3ph` those with phases.

Blocks of one network are solved together. A verdict's fields are always compared: one that is left empty is a finding
where there is a value. The fast engine is asked for one thing only, whether it would have solved the interval.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.audit.networks import (
    SwitchedNetwork,
    compare_with_scenario,
    find_false_background,
    find_false_taps,
    find_uses,
)
from cosim.audit.reactive import find_foreign, find_tan_phi
from cosim.audit.recorded import OpenedBlock
from cosim.audit.verdicts import Said, Solved, compare_verdict
from cosim.case.head import HeadOfCase
from cosim.curtailment.feasible import Outcome
from cosim.delivery.reactive import IN_PROFILES, LoadReactive
from cosim.delivery.setpoints import Kw, at_device, device_wh, mean_kw, metered_injections, spread_devices
from cosim.delivery.volt_watt import reduced_by_house_wh
from cosim.islands.switching import Uses
from cosim.recording.conductors import make_conductors
from cosim.recording.topology import Changes, Taps, read_changes, read_taps
from cosim.scenario.model import Scenario
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.head import HeadPowerFlow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, check_limits, judge
from market.exchanges import Kind, Rows
from market.flexible import asked_by_cars_wh, shifted_wh
from market.ledger.format.records import ISLANDED, NONE, RecordKind, select_exchanges, select_rows

TOLERANCES = {"vm_pu": 1e-5, "loading_percent": 0.01, "vuf_percent": 1e-3, "neutral_v": 1e-2}
"""How far beyond a limit a settled interval may be: the accuracy of what a run itself holds."""


class Physics(NamedTuple):
    """What blocks are held against.

    Attributes
    ----------
    scenario, feeder, limits
        As recorded.
    interval_minutes
        Length of an interval.
    load_tan_phi_ppm
        Q/P of every house's load in millionths, (N,), as recorded.
    switch
        Makes the network of some topology changes, with the background run in some way.
    head
        Voltages of the feeder's head, and limits there, as the run kept them; None where they are those of the net.
    """

    scenario: Scenario
    feeder: Feeder
    limits: Limits
    interval_minutes: int
    load_tan_phi_ppm: npt.NDArray[np.int64]
    switch: Callable[[Changes, Uses, Taps], SwitchedNetwork]
    head: HeadOfCase | None = None

    def at(self, interval: int) -> Physics:
        """What a block of an interval is held against: with the limit at the head that it has."""
        return self if self.head is None else self._replace(limits=self.head.limits(self.limits, interval))

    def limit_at_head(self, interval: int) -> float:
        """Largest loading at the head in an interval, %; infinite where there is none beside those of the branches."""
        return np.inf if self.head is None else float(self.head.series.max_loading_percent[interval])

    def solve(self, network: SwitchedNetwork, intervals: Sequence[int], p_kw: Kw, q_kvar: Kw) -> Flow:
        """Flow of injections of K intervals by the network's reference, with the head as it is in them."""
        if self.head is None:
            return network.solve(p_kw, q_kvar)
        return network.solve_at(self.head.series.vm_pu[list(intervals)], p_kw, q_kvar)

    def find_engine(
        self, network: SwitchedNetwork, intervals: Sequence[int], p_kw: Kw, q_kvar: Kw
    ) -> npt.NDArray[np.int8]:
        """Who solves injections of K intervals in a run."""
        if self.head is None:
            return network.find_engine(p_kw, q_kvar)
        return HeadPowerFlow(self.head.head, self.head.series.vm_pu[list(intervals)]).solve(p_kw, q_kvar).engine


class Block(NamedTuple):
    """A block that holds an interval, decoded."""

    opened: OpenedBlock
    exchanges: Rows
    meters: Rows
    verdict: np.void
    phases: np.void | None
    changes: Changes
    taps: Taps = ()

    @property
    def is_off(self) -> bool:
        """Whether the verdict says that the feeder was switched off, and so had no voltage."""
        return bool(self.verdict["status"] == Outcome.DE_ENERGISED and self.verdict["lowest_vm_upu"] == NONE)


def decode_block(opened: OpenedBlock) -> Block:
    """Decode a block that holds an interval."""
    records = opened.records
    verdict = select_rows(records, RecordKind.VERDICT)[0]
    meters, phases = select_rows(records, Kind.METER), select_rows(records, RecordKind.PHASES)
    behind = phases[0] if phases.size else None
    return Block(opened, select_exchanges(records), meters, verdict, behind, read_changes(records), read_taps(records))


def audit_blocks(physics: Physics, opened: Sequence[OpenedBlock]) -> list[list[str]]:
    """What is wrong with each of some blocks that hold intervals."""
    blocks = [decode_block(block) for block in opened]
    found: list[list[str]] = [[] for _ in blocks]
    by_network = defaultdict[tuple[Changes, Uses, Taps, float], list[int]](list)
    for k, block in enumerate(blocks):
        if block.meters.size == physics.feeder.bus.size:
            uses = find_uses(physics.feeder, block.changes, block.exchanges, physics.interval_minutes)
            found[k] += find_false_taps(physics.feeder, physics.scenario, block.taps)
            if not found[k]:
                by_network[block.changes, uses, block.taps, physics.limit_at_head(block.opened.interval)].append(k)
        else:
            found[k].append(f"{block.meters.size} meters for {physics.feeder.bus.size} houses")
    for (changes, uses, taps, _), chosen in by_network.items():
        network, held = physics.switch(changes, uses, taps), physics.at(blocks[chosen[0]].opened.interval)
        whats = _audit_network(held, network, [blocks[k] for k in chosen])
        for k, what in zip(chosen, whats, strict=True):
            found[k] += [*find_false_background(network, changes, uses, blocks[k].exchanges), *what]
    return found


def _audit_network(physics: Physics, network: SwitchedNetwork, blocks: Sequence[Block]) -> list[list[str]]:
    """What is wrong with blocks of one network."""
    meters = np.stack([block.meters for block in blocks])
    p_kw, q_kvar = find_injections(physics, meters)
    flow = solve_recorded(physics, network, blocks, p_kw, q_kvar)
    engines = physics.find_engine(network, [block.opened.interval for block in blocks], p_kw, q_kvar)
    verdicts, unjust = judge(flow, physics.limits), find_unjust(physics, network, blocks)
    found = []
    for k, block in enumerate(blocks):
        what = _check_topology(physics, network, block) + _check_parts(network, block)
        what += _check_reactive(physics, block.meters)
        what += _check_switched_off(block, p_kw[k]) if block.is_off else network.find_unsupplied(p_kw[k : k + 1])
        if not flow.converged[k]:
            found.append([*what, "the settled exchanges have no AC solution"])
            continue
        one = flow.select_one(k)
        what += find_false_reductions(physics, block, one)
        what += _list_violations(physics, one) if verdicts.status[k] != Judgement.OK else []
        what += network.find_unbalanced(one, physics.interval_minutes)
        engine = 0 if block.is_off else int(engines[k])
        conductors = make_conductors(physics.feeder)
        solved = Solved(one, verdicts.select(k, k + 1), engine, network.islanded, len(network.formers), conductors)
        said = Said(block.verdict, block.phases)
        what += compare_verdict(solved, physics.limits, physics.interval_minutes, said, block.exchanges)
        found.append([*what, *unjust[k]])
    return found


def find_injections(physics: Physics, meters: Rows) -> tuple[Kw, Kw]:
    """Active and reactive injections of meters, (K, C) kW and kvar.

    Where only the meters say what loads draw, their reactive power is all that of loads, or all that of inverters at
    the phases of the loads: others are refused when a case is built.
    """
    connections = physics.feeder.connections
    if connections is None:
        return metered_injections(meters, physics.interval_minutes, None, None)
    metered = LoadReactive(physics.load_tan_phi_ppm, None, physics.interval_minutes).metered_var(meters)
    drawn = np.where(physics.load_tan_phi_ppm == IN_PROFILES, -meters["q_var"].astype(np.int64), metered)
    return metered_injections(meters, physics.interval_minutes, connections, drawn)


def solve_recorded(physics: Physics, network: SwitchedNetwork, blocks: Sequence[Block], p_kw: Kw, q_kvar: Kw) -> Flow:
    """Flow of recorded injections, (K, C) kW and kvar, by the reference; no voltage where nothing supplies anything."""
    lit = np.flatnonzero([network.reference is not None and not block.is_off for block in blocks])
    flow = network.make_flow_without_voltage(len(blocks))
    if not lit.size:
        return flow
    intervals = [blocks[k].opened.interval for k in lit.tolist()]
    return flow.with_intervals(lit, physics.solve(network, intervals, p_kw[lit], q_kvar[lit]))


def _check_topology(physics: Physics, network: SwitchedNetwork, block: Block) -> list[str]:
    start, changes = block.opened.interval_start, block.changes
    found = compare_with_scenario(physics.feeder, physics.scenario, changes, start)
    if network.islanded != bool(block.verdict["reason"] & ISLANDED):
        found.append("the verdict and the recorded topology disagree on whether anybody was without the grid")
    return found


def _check_parts(network: SwitchedNetwork, block: Block) -> list[str]:
    """Houses trade with one another in the parts that the topology leaves connected, and nowhere else."""
    recorded = select_rows(block.opened.records, RecordKind.ORDER)["part"]
    if recorded.size == 0 or (not block.changes and not recorded.any()):
        return []
    part = network.islands.find_part(network.feeder.bus).tolist()
    numbers = {of: k for k, of in enumerate(dict.fromkeys([of for of in part if of >= 0] + [-1]))}
    if recorded.tolist() == [numbers[of] for of in part]:
        return []
    return ["orders are recorded in other parts of the network than the topology gives"]


def find_false_reductions(physics: Physics, block: Block, flow: Flow) -> list[str]:
    """Reductions by P(V) where the scenario has none, or at a voltage at which it begins not yet; of a flow, K = 1."""
    wh, section = reduced_by_house_wh(block.exchanges, block.meters.size), physics.scenario.pv
    if not section.volt_watt:
        return ["generation is recorded as reduced by the voltage, though no inverter does that"] if wh.any() else []
    vm_pu = flow.vm_pu[:, find_injection_rows(physics.feeder)].mean(axis=2)[0]
    if physics.feeder.connections is not None:
        vm_pu = vm_pu[physics.feeder.connections.column("pv")]
    early = np.flatnonzero((wh > 0) & ~(vm_pu > section.volt_watt_vm_pu[0] - TOLERANCES["vm_pu"]))
    return [
        f"recorded as reduced by the voltage: {wh[house]} Wh of '{physics.feeder.participants[house]}', found "
        f"{vm_pu[house]:.5f} pu, where P(V) takes nothing yet"
        for house in early
    ]


def _check_switched_off(block: Block, p_kw: npt.NDArray[np.float64]) -> list[str]:
    """In a feeder that is switched off nothing flows, and no load is served."""
    if p_kw.any():
        return ["energy flowed in a feeder that was switched off"]
    served = (block.meters["load_wh"] != block.meters["shed_wh"]).any()
    return ["load was served in a feeder that was switched off"] if served else []


def _check_reactive(physics: Physics, meters: Rows) -> list[str]:
    """Reactive power is that of the loads, but where the inverters are under control."""
    if physics.scenario.pv.control != "none":
        return []
    foreign = find_foreign(meters, physics.load_tan_phi_ppm, physics.interval_minutes)
    if not foreign.any():
        return []
    k = int(np.argmax(foreign))
    where = f"{int(foreign.sum())} houses such as '{physics.feeder.participants[k]}'"
    return [f"reactive power is metered that no load draws, though no inverter is under control: at {where}"]


def _list_violations(physics: Physics, flow: Flow) -> list[str]:
    """Violations beyond the tolerance, in words; of a flow with K = 1."""
    return [
        f"settled though {violation}"
        for violation in check_limits(physics.feeder, physics.limits, flow).violations
        if abs(violation.value - violation.limit) > TOLERANCES[violation.quantity]
    ]


def find_unjust(physics: Physics, network: SwitchedNetwork, blocks: Sequence[Block]) -> list[list[str]]:
    """Blocks in which exchanges were cut though the network carries all that was cleared, by more than the tolerance.

    A house injects what it sells and exports less what it buys and imports, so its injection as cleared follows from
    the exchanges, and what its load draws from its power factor. It is unknown where inverters are under control or
    taps change, and where only meters say what a load draws and none of it was served. What an island cannot hold is no
    matter of limits.
    """
    found: list[list[str]] = [[] for _ in blocks]
    pv, taps = physics.scenario.pv, physics.scenario.tap_changer
    controlled = pv.control != "none" or pv.volt_watt or taps.enabled
    if controlled or network.islanded or network.reference is None:
        return found
    cut = [k for k, block in enumerate(blocks) if block.verdict["status"] != Outcome.CLEAN]
    if not cut:
        return found
    meters, connections = np.stack([blocks[k].meters for k in cut]), physics.feeder.connections
    tan_phi = find_tan_phi(meters, physics.load_tan_phi_ppm, physics.interval_minutes)
    known = np.flatnonzero(~np.isnan(tan_phi).any(axis=1))
    if not known.size:
        return found
    cut, asked = [cut[j] for j in known], np.stack([load_as_cleared_wh(blocks[cut[j]]) for j in known])
    q_kvar = -tan_phi[known] * mean_kw(asked, physics.interval_minutes)
    devices = [devices_as_cleared_wh(blocks[k]) for k in cut]
    wh = {device: np.stack([of_one[device] for of_one in devices]) for device in devices[0]}
    p_kw = spread_devices(wh, physics.interval_minutes, connections)
    intervals = [blocks[k].opened.interval for k in cut]
    flow = physics.solve(network, intervals, p_kw, at_device(q_kvar, "load", connections))
    for k, within in zip(cut, find_within(flow, physics.limits).tolist(), strict=True):
        if within:
            found[k].append("exchanges were cut though all that were cleared keep every limit")
    return found


def find_within(flow: Flow, limits: Limits) -> npt.NDArray[np.bool_]:
    """Which intervals of a flow keep every limit by more than the tolerance, (K,)."""
    verdicts = judge(flow, limits)
    within = verdicts.voltage_margin_pu > TOLERANCES["vm_pu"]
    within &= verdicts.loading_margin_percent > TOLERANCES["loading_percent"]
    for quantity, values, largest in (
        ("vuf_percent", flow.vuf_percent, limits.max_vuf_percent),
        ("neutral_v", flow.neutral_v, limits.max_neutral_v),
    ):
        room = (largest - values).min(axis=1, initial=np.inf, where=values > 0.0)
        within &= room > TOLERANCES[quantity]
    return np.asarray(within)


def load_as_cleared_wh(block: Block) -> npt.NDArray[np.int64]:
    """Load of each house with what its devices asked for, (N,) Wh."""
    return block.meters["load_wh"].astype(np.int64) + shifted_wh(block.exchanges, block.meters.size)


def devices_as_cleared_wh(block: Block) -> dict[str, npt.NDArray[np.int64]]:
    """Energy that each kind of device would inject if all exchanges were delivered as cleared, (N,) Wh each.

    Loads and generators are as metered, but for what was to be spilled from the beginning; batteries do the rest.
    """
    rows, meters = block.exchanges, block.meters
    n, spilled = meters.size, np.zeros(meters.size, np.int64)
    at = rows[rows["kind"] == Kind.SPILL]
    np.add.at(spilled, at["seller"], at["cleared_wh"])
    planned = meters.copy()
    planned["spilled_wh"], planned["shed_wh"], planned["load_wh"] = spilled, 0, load_as_cleared_wh(block)
    planned["reason"] = asked_by_cars_wh(select_rows(block.opened.records, RecordKind.FLEXIBLE), n)
    wh = device_wh(planned)
    rest = injection_as_cleared_wh(rows, n) - wh["load"] - wh["ev"] - wh["pv"] - wh["fuel_cell"]
    return {**wh, "battery": rest}


def injection_as_cleared_wh(rows: Rows, n_houses: int) -> npt.NDArray[np.int64]:
    """Energy that each house would inject if all exchanges were delivered as cleared, (N,) Wh."""
    wh = np.zeros(n_houses, np.int64)
    for kinds, giver, taker in (
        ((Kind.P2P, Kind.SHARE_USE), "seller", "buyer"),
        ((Kind.SHARE_STORE,), "seller", "host"),
        ((Kind.LOT_SALE,), "host", "buyer"),
        ((Kind.GRID_IMPORT,), None, "buyer"),
        ((Kind.GRID_EXPORT,), "seller", None),
    ):
        chosen = rows[np.isin(rows["kind"], kinds)]
        for party, sign in ((giver, 1), (taker, -1)):
            if party is not None:
                np.add.at(wh, chosen[party], sign * chosen["cleared_wh"])
    return wh
