"""Outages that begin at many hours: compiled as far as that goes (`cosim.islands.lane`), else by `run_event`.

Law: both ways find the same to the Wh (tests/agreement/test_lane_agreement.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.state import ADMITTED, AHEAD, HOUR_BY_HOUR, LEAVING, NetworkState
from cosim.curtailment.priority import VALUE_OF_LOST_LOAD, rank_houses
from cosim.delivery.window import InputSeries
from cosim.interval.event import run_event, with_admitted_devices
from cosim.interval.look_ahead import find_critical_short_wh, is_served_as_well
from cosim.islands.event_interval import refuel_plants
from cosim.islands.formers import estimate_capacity_wh
from cosim.islands.lane import FORMER, LOOK_CLOSER, Lane, run_lane
from cosim.islands.lane_former import Place
from cosim.islands.phases import Phase
from cosim.islands.saving import keep_from, list_efficiencies
from cosim.islands.switching import Switching
from cosim.studies.outage_failures import Broken, break_devices, list_breaks
from grid_models.arrays import Floats, Ints
from grid_models.devices.fuel_cell_lane import list_cells
from grid_models.feeder.topology import Supply
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.kernel import Network
from market.rules import PLUGGED_IN
from market.state import State

PRIORITIES = tuple(VALUE_OF_LOST_LOAD)
REMEMBERED = 64
"""Series of energy to keep that are remembered, one for each set of devices that work."""


class Start(NamedTuple):
    """States of market and network before an outage, and its first interval."""

    state: State
    network: NetworkState
    first: int


class OutageLanes:
    """Outages of one network that is without the grid from the first interval to the last.

    Parameters
    ----------
    case
        Its only outage lasts as long as its horizon.
    compiled
        Whether to go by compiled code where it can be.
    """

    def __init__(self, case: Case, *, compiled: bool = True) -> None:
        self._case = case
        self._switching = Switching(case.feeder, case.engine, case.timeline.outages)
        self._rank = rank_houses(case)
        self._compiled = compiled and self._fits()
        self._places: dict[int, tuple[Network, int]] = {}
        self._supplies: dict[bytes, InputSeries] = {}
        self._kept: dict[bytes, Ints] = {}
        self._tan_phi = _list_tan_phi(case)
        timeline = case.timeline
        self._eventful = {*timeline.requests, *timeline.retired, *timeline.departing}

    def _fits(self) -> bool:
        """Whether compiled code knows all that is in the case: one island, houses of one rank, a balanced network."""
        case, islands = self._case, self._switching.topology(np.ones(1, bool)).islands
        alone = islands.find_supply(case.feeder.bus) != Supply.GRID
        whole = np.unique(islands.find_part(case.feeder.bus)).size == 1
        plain = case.feeder.connections is None and case.mechanism.code != PLUGGED_IN
        devices = case.inputs.devices.kind.size + case.inputs.submissions.size
        of_one_rank = np.unique(self._rank).size == 1
        fast = isinstance(case.engine, PowerFlow) and case.engine.network is not None
        plain = plain and devices == 0 and case.feeder.background.is_empty and case.control is None
        return bool(alone.all() and whole and plain and of_one_rank and fast)

    def try_plans(self, start: Start, n: int) -> tuple[int, Ints]:
        """The plan that is taken, AHEAD only where it serves no less critical load, and what it does not serve.

        Returns
        -------
        int, numpy.ndarray
            The plan, and of `n` intervals of an outage, (n, 4) Wh: critical load that is short, then all load that is
            not served of houses of low, normal and high priority.
        """
        hourly = self.follow_plan(start, n, HOUR_BY_HOUR)
        if not self._case.opening_network.plan.size:
            return HOUR_BY_HOUR, hourly
        ahead = self.follow_plan(start, n, AHEAD)
        return (AHEAD, ahead) if is_served_as_well(ahead[:, 0], hourly[:, 0]) else (HOUR_BY_HOUR, hourly)

    def follow_plan(self, start: Start, n: int, plan: int, broken: Broken | None = None) -> Ints:
        """What a plan does not serve while devices fail, (n, 4) Wh: as of `try_plans`."""
        return self.advance(self.with_plan(start, plan), n, broken)[1]

    def with_plan(self, start: Start, plan: int) -> Start:
        """The start of an outage that is dispatched by a plan."""
        opening = self._case.opening_network
        return start._replace(
            network=start.network._replace(in_force=opening.in_force, plan=np.full_like(opening.plan, plan))
        )

    def advance(self, start: Start, n: int, broken: Broken | None = None) -> tuple[Start, Ints]:
        """Go on for `n` intervals, in an outage or into one; devices fail at intervals counted from here.

        Returns
        -------
        Start, numpy.ndarray
            The states behind them, and what was not served, (n, 4) Wh.
        """
        state, network, first = start
        breaks = {first + k for k in list_breaks(broken) if k < n} if broken is not None else set[int]()
        found = np.zeros((n, 1 + len(PRIORITIES)), np.int64)
        t, stop = first, first + n
        while t < stop:
            if broken is not None:
                state, network = break_devices(state, network, broken, t - first)
            if self._compiled and t not in self._eventful and not (network.standing == LEAVING).any():
                end = self._find_end(t, stop, breaks)
                state, network, done = self._run_lane(state, network, t, end, found[t - first :])
                t += done
                if t in breaks and done > 0:
                    continue
            if t < stop:
                state, network, found[t - first] = self._look_closer(state, network, t)
                t += 1
        return Start(state, network, stop), found

    def _find_end(self, t: int, stop: int, breaks: set[int]) -> int:
        """Interval before which a lane from `t` on ends at the latest."""
        return min((one for one in self._eventful | breaks if t < one < stop), default=stop)

    def _look_closer(self, state: State, network: NetworkState, t: int) -> tuple[State, NetworkState, Ints]:
        """One interval by the rules of any."""
        chunk = run_event(self._case, self._switching, state, network, t)
        by_rank = np.zeros(len(PRIORITIES), np.int64)
        np.add.at(by_rank, self._rank, chunk.window.meters[0]["shed_wh"])
        found = np.array([find_critical_short_wh(self._case, chunk), *by_rank])
        return chunk.window.state, chunk.network, found

    def _run_lane(
        self, state: State, network: NetworkState, first: int, stop: int, found: Ints
    ) -> tuple[State, NetworkState, int]:
        """As many intervals as compiled code can run; returns the states after them, and their number."""
        case, t = self._case, first
        network = refuel_plants(case, network, first)
        numbers = [k for k in case.fleet.fuel_cells if network.standing[k] == ADMITTED]
        cells = list_cells([case.fleet.fuel_cells[k].plant for k in numbers])
        lane = self._open_lane(network, numbers, stop - first)
        former, supply = self._guess_former(lane), self._supply(network)
        while t < stop:
            net, place = self._place(former, state, network, numbers)
            rest = lane._replace(found=lane.found[t - first :])
            ended = run_lane(net, place, cells, supply, case.rules, rest, state, (t, stop))
            state, t, former = ended.state, ended.t, ended.former
            if ended.why == LOOK_CLOSER:
                break
        found[: t - first, 0] = lane.found[: t - first, 2]
        found[: t - first, 1 + self._rank[0]] = lane.found[: t - first, 1]
        return state, (self._close_lane(network, numbers, lane) if t > first else network), t - first

    def _open_lane(self, network: NetworkState, numbers: list[int], n: int) -> Lane:
        """What changes in place, from the state of the network."""
        forming = np.flatnonzero(network.is_forming)
        former = int(forming[0]) if forming.size else -1
        dark = int((network.phase == Phase.DARK).all())
        mark = np.array([former, dark, network.pickup.max(initial=0)], np.int64)
        tried = np.zeros(network.phase.size + len(numbers), bool)
        return Lane(mark, network.plants[numbers].copy(), tried, np.zeros((n, 3), np.int64))

    def _close_lane(self, network: NetworkState, numbers: list[int], lane: Lane) -> NetworkState:
        """State of the network after a lane."""
        former, dark, pickup = lane.mark
        plants, forming = network.plants.copy(), np.zeros_like(network.is_forming)
        plants[numbers] = lane.plants
        if former >= 0:
            forming[former] = True
        phase = np.full_like(network.phase, Phase.DARK if dark else Phase.ISLANDED)
        return network._replace(
            phase=phase,
            is_forming=forming,
            pickup=np.full_like(network.pickup, pickup),
            in_force=np.ones_like(network.in_force),
            plants=plants,
        )

    def _guess_former(self, lane: Lane) -> int:
        """House whose network a lane is begun with; a wrong one costs a call."""
        return int(lane.mark[FORMER]) if lane.mark[FORMER] >= 0 else lane.tried.size - lane.plants.shape[0] - 1

    def _supply(self, network: NetworkState) -> InputSeries:
        """Inputs with the devices that are admitted."""
        key = network.standing.tobytes()
        if key not in self._supplies:
            self._supplies[key] = with_admitted_devices(self._case, network).inputs
        return self._supplies[key]

    def _keep(self, network: NetworkState, state: State, numbers: list[int]) -> Ints:
        """Energy to keep behind every interval of the run, (T, 2) Wh; (0, 2) without a plan."""
        if not network.looks_ahead:
            return np.zeros((0, 2), np.int64)
        key = network.standing.tobytes() + state.ratings.max_charge_wh.tobytes()
        if key not in self._kept:
            if len(self._kept) >= REMEMBERED:
                self._kept.clear()
            case = replace(self._case, inputs=self._supply(network))
            plants = [case.fleet.fuel_cells[k].plant for k in numbers]
            everyone = np.ones(case.feeder.bus.size, bool)
            self._kept[key] = keep_from(case, 0, case.n_intervals, everyone, plants, state.ratings)
        return self._kept[key]

    def _place(self, former: int, state: State, network: NetworkState, numbers: list[int]) -> tuple[Network, Place]:
        """The network with a former in place, and what else does not change."""
        case, bus = self._case, int(self._case.feeder.bus[former])
        if former not in self._places:
            engine = self._switching.engine(np.ones(1, bool), (bus,))
            assert isinstance(engine, PowerFlow)
            assert engine.network is not None
            self._places[former] = engine.network, int(np.flatnonzero(engine.slack_bus == bus)[0])
        net, slack = self._places[former]
        limits = case.limits
        return net, Place(
            slack,
            former,
            limits.min_vm_pu,
            limits.max_vm_pu,
            limits.max_line_loading_percent,
            limits.max_trafo_loading_percent,
            estimate_capacity_wh(case, state),
            float(case.scenario.community.critical_share),
            float(case.scenario.battery.inverter_cos_phi),
            case.interval_minutes / 60.0,
            60.0 / case.interval_minutes,
            60 // case.interval_minutes - 1,
            self._tan_phi,
            np.array([case.fleet.fuel_cells[k].house for k in numbers], np.int64),
            self._keep(network, state, numbers),
            list_efficiencies([case.fleet.fuel_cells[k].plant for k in numbers]),
        )


def _list_tan_phi(case: Case) -> Floats:
    """Q/P of each house's load, (T, N) where the profiles say it, else (1, N)."""
    reactive = case.load_reactive
    if reactive is None:
        return np.zeros((1, case.feeder.bus.size))
    ratio = reactive.tan_phi(0)[None] if reactive.varh_per_wh is None else reactive.varh_per_wh
    return np.ascontiguousarray(ratio, dtype=np.float64)
