"""The network of a block: the recorded one as the block's topology switched it, and what must hold for it.

A grid former is a device, a battery or a fuel cell, that sets voltage and frequency of an island.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.voltage_control import find_transformers
from cosim.islands.switching import Uses
from cosim.recording.conductors import make_conductors
from cosim.recording.topology import Changes, Taps, apply_changes, find_changes
from cosim.scenario.events import OutageEvent, RandomOutagesEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import list_outages
from grid_models.arrays import Floats
from grid_models.errors import NothingToSolveError
from grid_models.feeder.background import Use
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.topology import Islands, Supply, find_islands
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.judge import OpenDssReference, make_judge
from grid_models.phases.runpp_3ph import PhaseReference
from grid_models.powerflow.flow import Engine, Flow, make_unsolved_flow
from grid_models.powerflow.runpp import Reference, find_slacks
from grid_models.response.sensitivity import AnyPowerFlow, make_engine
from grid_models.response.tap_changer import with_taps
from market.exchanges import OPERATOR, Kind, Rows
from market.ledger.format.records import Change

METER_ROUNDING_WH = 1.0
"""Energy in an interval by which a grid former may seem to deliver more than metered: meters are whole Wh."""


class SwitchedNetwork(NamedTuple):
    """A network with some elements out of service and grid formers in place.

    Attributes
    ----------
    feeder, islands
        The network and its parts.
    reference
        Solves it by `pandapower.runpp`, or by the judge of its phases; None where nothing supplies any part, or the
        grid ends at its own bus.
    formers
        (bus, place in `Flow.p_slack_kw`) of each grid former.
    engine
        What a run solves it by; None where there is no reference.
    """

    feeder: Feeder
    islands: Islands
    reference: Reference | PhaseReference | OpenDssReference | None
    formers: tuple[tuple[int, int], ...]
    engine: AnyPowerFlow | None

    @property
    def islanded(self) -> bool:
        """Whether a participant is without the grid."""
        return bool((self.islands.find_supply(self.feeder.bus) != Supply.GRID).any())

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Flow of injections, (K, C) kW and kvar, by the reference; K above 0, and some part is supplied."""
        assert self.reference is not None
        if isinstance(self.reference, Reference):
            return self.reference.solve_series(p_kw, q_kvar)
        return self.reference.solve(p_kw, q_kvar)

    def solve_at(self, vm_pu: Floats, p_kw: Floats, q_kvar: Floats) -> Flow:
        """`solve` with the voltage of the external grid of each interval, (K,) pu, written into the net."""
        assert isinstance(self.reference, Reference)
        before, flows = self.reference.net.ext_grid["vm_pu"].copy(), []
        for k, vm in enumerate(vm_pu.tolist()):
            self.reference.net.ext_grid["vm_pu"] = vm
            flows.append(self.reference.solve(p_kw[k : k + 1], q_kvar[k : k + 1]))
        self.reference.net.ext_grid["vm_pu"] = before
        return Flow.concatenate(flows)

    def make_flow_without_voltage(self, n_intervals: int) -> Flow:
        """Flow of intervals in which the feeder is off; others can be put in their places."""
        net, made = self.feeder.net, make_conductors(self.feeder)
        n_slacks = 0 if self.engine is None else self.engine.slack_bus.size
        widths = len(net.bus) * made.of_bus, len(net.line) * made.of_line, len(net.trafo) * made.of_trafo
        connections = self.feeder.connections
        n_unbalance = 0 if connections is None else len(net.bus)
        n_neutral = 0 if connections is None or connections.wires is None else n_unbalance
        more = {"n_power": len(net.trafo), "n_unbalance": n_unbalance, "n_neutral": n_neutral}
        return make_unsolved_flow(n_intervals, *widths, n_slacks, **more).with_feeder_off()

    def find_engine(self, p_kw: Floats, q_kvar: Floats) -> npt.NDArray[np.int8]:
        """Who solves injections, (K, C) kW and kvar, in a run: the fast engine wherever it can."""
        if self.engine is None:
            return np.full(len(p_kw), Engine.FAST, np.int8)
        if self.engine.refusal is not None:
            return np.full(len(p_kw), Engine.RUNPP, np.int8)
        return self.engine.solve(p_kw, q_kvar).engine

    def find_unsupplied(self, p_kw: Floats) -> list[str]:
        """Participants who inject or draw, (1, C) kW, though nothing supplies their bus."""
        connections = self.feeder.connections
        dark = self.islands.find_supply(self.feeder.injection_bus) == Supply.DARK
        at = np.flatnonzero(dark & (p_kw[0] != 0))
        houses = at if connections is None else np.unique(connections.house[at])
        return [f"energy flowed at '{self.feeder.participants[i]}', which nothing supplies" for i in houses]

    def find_unbalanced(self, flow: Flow, interval_minutes: int) -> list[str]:
        """Islands whose grid former delivers or takes what no meter recorded; of a flow with K = 1."""
        found = []
        for bus, place in self.formers:
            wh = float(flow.p_slack_kw[0, place]) * 1000.0 * interval_minutes / 60.0
            if abs(wh) > METER_ROUNDING_WH:
                found.append(f"settled though the island of the former at bus {bus} is out of balance by {wh:.1f} Wh")
        return found


def find_false_taps(feeder: Feeder, scenario: Scenario, taps: Taps) -> list[str]:
    """Tap changers that a block records, or lacks, against those of the scenario, in words."""
    section = scenario.tap_changer
    expected = find_transformers(section, feeder).tolist() if section.enabled else []
    if [trafo for trafo, _ in taps] != expected:
        return [f"recorded tap changers of transformers {[trafo for trafo, _ in taps]}, the scenario has {expected}"]
    return [
        f"recorded tap position {position} of transformer {trafo}, it has {low:g} to {high:g}"
        for trafo, position in taps
        for low, high in [feeder.net.trafo.loc[trafo, ["tap_min", "tap_max"]].to_numpy(np.float64)]
        if not low <= position <= high
    ]


def switch_network(feeder: Feeder, changes: Changes, uses: Uses = (), taps: Taps = ()) -> SwitchedNetwork:
    """The network of a feeder with some changes made, and the background of its islands run in some way.

    Tap changers stand where `taps` say.

    Raises
    ------
    grid_models.errors.GridError
        If it has no such element.
    """
    net = apply_changes(feeder.net, changes, uses) if changes else feeder.net
    if taps:
        net = with_taps(net, np.array([trafo for trafo, _ in taps]), tuple(position for _, position in taps))
    feeder, islands = replace(feeder, net=net), find_islands(net)
    if not (islands.supply != Supply.DARK).any():
        return SwitchedNetwork(feeder, islands, None, (), None)
    try:
        engine = make_engine(feeder)
    except NothingToSolveError:
        return SwitchedNetwork(feeder, islands, None, (), None)
    if isinstance(engine, FeederPhaseFlow):
        reference: Reference | PhaseReference | OpenDssReference = make_judge(feeder, engine.connected)
    else:
        reference = Reference(feeder, engine.matrices)
    slacks = find_slacks(net, engine.matrices)
    gens = net.gen.bus.loc[slacks.gens].tolist()
    places = zip(gens, slacks.gen_bus.tolist(), strict=True)
    formers = tuple(pair for pair in places if (Change.FORMER, pair[0]) in changes)
    return SwitchedNetwork(feeder, islands, reference, formers, engine)


def find_uses(feeder: Feeder, changes: Changes, rows: Rows, interval_minutes: int) -> Uses:
    """How the background's generation was run in each island, by the exchanges that it fed; whole where there is none.

    Raises
    ------
    grid_models.errors.GridError
        If the network has no element that the changes name.
    """
    background, formers = feeder.background, sorted(bus for change, bus in changes if change == Change.FORMER)
    if not formers or not background.is_generation.any():
        return ()
    islands = find_islands(apply_changes(feeder.net, changes))
    known = (rows["host"] >= 0) & (rows["host"] < feeder.bus.size)
    fed = rows[(rows["kind"] == Kind.BACKGROUND) & (rows["seller"] == OPERATOR) & known]
    found = []
    for bus in formers:
        inside = islands.part[background.row] == islands.find_part([bus])[0]
        available = background.constant_kw[inside & background.is_generation].sum() * 1000.0 * interval_minutes / 60.0
        if available:
            used = fed["delivered_wh"][feeder.bus[fed["host"]] == bus].sum()
            found.append((bus, Use(generation=float(used / available))))
    return tuple(found)


def find_false_background(network: SwitchedNetwork, changes: Changes, uses: Uses, rows: Rows) -> list[str]:
    """Exchanges with the background that no island explains, and generation beyond what there is, in words."""
    found = [
        f"more background generation is recorded than there is in the island of the former at bus {bus}"
        for bus, use in uses
        if use.generation > 1.0 + 1e-9
    ]
    chosen = rows[rows["kind"] == Kind.BACKGROUND]
    if chosen.size == 0:
        return found
    bus, formers = network.feeder.bus, [bus for change, bus in changes if change == Change.FORMER]
    part, last = network.islands.find_part(bus), bus.size - 1
    host = np.clip(chosen["host"], 0, last)
    strange = (host != chosen["host"]) | ~np.isin(bus[host], formers)
    for party in ("seller", "buyer"):
        strange |= (chosen[party] >= 0) & (part[np.clip(chosen[party], 0, last)] != part[host])
    if strange.any():
        found.append("exchanges with the background are recorded where no former holds an island")
    return found


def compare_with_scenario(feeder: Feeder, scenario: Scenario, changes: Changes, interval_start: int) -> list[str]:
    """Elements recorded as out of service that no outage of the scenario explains, and those that lack in the record.

    An outage whose time is over may stay in force until its island is connected again.

    Parameters
    ----------
    feeder
        As recorded.
    scenario
        Whose outages they are.
    changes
        As recorded for the interval.
    interval_start
        Begin of the interval, seconds since 1970-01-01 UTC.
    """
    if not changes and not any(isinstance(event, OutageEvent | RandomOutagesEvent) for event in scenario.events):
        return []
    now = datetime.fromtimestamp(interval_start, UTC)
    outages = [outage for _, outage in list_outages(scenario)]
    begun = [event for event in outages if event.start <= now]
    on = [event for event in begun if now < event.start + timedelta(seconds=round(event.hours * 3600.0))]
    switched: Changes = frozenset(pair for pair in changes if pair[0] not in (Change.FORMER, Change.BACKGROUND_OFF))
    return [
        *_describe("recorded as open, though no outage opened it", switched - find_changes(feeder.net, begun)),
        *_describe("recorded as in service, though an outage opened it", find_changes(feeder.net, on) - switched),
    ]


def _describe(what: str, changes: Changes) -> list[str]:
    names = {
        Change.SWITCH_OPEN: "switch",
        Change.LINE_OUT: "line",
        Change.TRANSFORMER_OUT: "transformer",
        Change.GRID_OUT: "external grid",
    }
    return [f"{names[change]} {element}: {what}" for change, element in sorted(changes)]
