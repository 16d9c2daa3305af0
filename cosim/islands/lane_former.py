"""A grid former's trial in an outage, compiled: who is asked, and whether it holds the island at full service.

Law: the former that holds, its losses and the dispatch are those of `island.hold_island` at full service.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cosim.islands.lane_dispatch import NO_LIMIT, Dispatched, Needs, Supplies, add_fuel, dispatch_needs
from cosim.islands.lane_market import Opened
from cosim.islands.phases import BLACK_START_SOC
from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.compiled import compiled
from grid_models.phases.one_interval import FeederCircuit, solve_interval
from grid_models.powerflow.engine import MAX_ITERATIONS, TOLERANCE_PU
from grid_models.powerflow.kernel import Network
from grid_models.powerflow.readout import solve_all
from market.compiled import ZERO, integer
from market.exchanges import Kind
from market.state import State
from market.storage import Wh, deliverable_wh

_STORE, _LOT_SALE = integer(Kind.SHARE_STORE), integer(Kind.LOT_SALE)
_ITERATIONS, _RESERVES = integer(MAX_ITERATIONS), 8

HELD, CANNOT, UNSURE = integer(0), integer(1), integer(2)
NOBODY_HOLDS, ELSEWHERE = integer(3), integer(4)
"""Verdicts: holds at full service, has too little energy, must be looked at; nobody holds; its network is not here."""


Wires = Network | FeederCircuit
"""A network with a former in place: balanced, or with phases."""


class Phases(NamedTuple):
    """At which injections the houses' devices are, and limits that only a network with phases has.

    Attributes
    ----------
    load, pv, battery, fuel_cell
        (N,) place of each house's injection by a device.
    n_injections
        Their number C.
    max_vuf_percent, max_neutral_v
        Limits, in the order of the network's buses.
    """

    load: Ints
    pv: Ints
    battery: Ints
    fuel_cell: Ints
    n_injections: int
    max_vuf_percent: Floats
    max_neutral_v: Floats


class Place(NamedTuple):
    """What does not change in an outage.

    Attributes
    ----------
    slack, former
        Place of the former among the sources of its network, and its house.
    min_vm_pu, max_vm_pu, max_line_percent, max_trafo_percent
        Limits, in the order of the network's buses and branches.
    capacity_wh
        (N,) nominal capacities of the batteries.
    critical_share, inverter_cos_phi
        Keys of the scenario.
    hours, per_hour, pickup
        Length of an interval; intervals in an hour; those with raised load after a black start.
    tan_phi
        Q/P of each house's load, in each interval of the run, (T, N), or in all of them, (1, N).
    cell_house
        (C,) houses of the fuel cells.
    kept, wh_per_kg
        (T, 2) energy to keep behind each interval, in all and as charge, and (C,) what plants make of hydrogen
        (`saving`); (0, 2) where nothing is kept.
    can_form
        (N + C,) whether a battery, then a fuel cell, is on all phases.
    phases
        Where devices are at phases; () in a balanced network.
    gives_way
        Whether an island that nobody holds is tried with less generation: where phases differ.
    """

    slack: int
    former: int
    min_vm_pu: Floats
    max_vm_pu: Floats
    max_line_percent: Floats
    max_trafo_percent: Floats
    capacity_wh: Floats
    critical_share: float
    inverter_cos_phi: float
    hours: float
    per_hour: float
    pickup: int
    tan_phi: Floats
    cell_house: Ints
    kept: Ints
    wh_per_kg: Floats
    can_form: Mask
    phases: Phases | tuple[()]
    gives_way: bool


class Trial(NamedTuple):
    """What became of an interval with a former: a verdict, the dispatch, and the losses that the former supplies."""

    verdict: int
    dispatched: Dispatched
    losses_wh: int


@compiled
def find_headroom(place: Place, opened: Opened, high_wh: Wh, dark: bool) -> Wh:
    """What each battery, then each fuel cell could deliver as the former, (N + C,) Wh; 0 where it cannot be one."""
    before, n = opened.before, opened.need_wh.size
    own, ratings = before.own_wh, before.ratings
    found = np.zeros(n + high_wh.size, np.int64)
    for i in range(n):
        stock = deliverable_wh(own[i] - ratings.soc_min_wh[i], ratings.discharge_ppm[i])
        if not dark or own[i] >= BLACK_START_SOC * place.capacity_wh[i]:
            found[i] = max(min(opened.orders.discharge_left_wh[i], stock), ZERO)
    found[n:] = high_wh
    found[~place.can_form] = 0
    return found


@compiled
def find_best(place: Place, headroom_wh: Wh, tried: Mask, former: int) -> int:
    """Best former that was not tried, -1 for none: that of the interval before, batteries, then most headroom."""
    n, best, best_key = headroom_wh.size - place.cell_house.size, -1, -1
    for x in range(headroom_wh.size):
        if headroom_wh[x] > 0 and not tried[x]:
            house = x if x < n else place.cell_house[x - n]
            key = (2 if house == former else 0) + (1 if x < n else 0)
            if key > best_key or (key == best_key and headroom_wh[x] > headroom_wh[best]):
                best, best_key = x, key
    return best


@compiled
def find_spare(place: Place, before: State, plants: Floats, high_wh: Wh, is_used: bool, t: int) -> int:
    """Energy that need not be kept for later: `saving.find_spare`."""
    if place.kept.shape[0] == 0:
        return NO_LIMIT
    charge, tanks = ZERO, ZERO
    for i in range(before.own_wh.size if is_used else 0):
        charge += deliverable_wh(before.own_wh[i] - before.ratings.soc_min_wh[i], before.ratings.discharge_ppm[i])
    for k in range(place.wh_per_kg.size):
        tanks += int(plants[k, 0] * place.wh_per_kg[k])
    spare: int = min(charge + tanks - place.kept[t, 0], charge + high_wh.sum() - place.kept[t, 1])
    return spare


@compiled
def find_needs(place: Place, opened: Opened) -> Needs:
    """Critical and other load that houses still need."""
    load, need = opened.orders.load_wh, opened.need_wh
    critical = np.empty_like(need)
    for i in range(need.size):
        wh = integer_of(load[i] * place.critical_share)
        critical[i] = min(max(wh - (load[i] - need[i]), ZERO), need[i])
    return Needs(critical, need - critical)


@compiled
def integer_of(wh: float) -> int:
    """Nearest whole Wh; of two the even one."""
    return int(np.rint(wh))


class Injected(NamedTuple):
    """Energy that each kind of device of each house injects, losses aside, (N,) Wh each: `island._device_wh`."""

    load_wh: Wh
    pv_wh: Wh
    battery_wh: Wh
    fuel_cell_wh: Wh


class PlanFlow(NamedTuple):
    """What matters of a plan's AC solution: what the former supplies beside its plan, and whether limits are kept.

    `source_kva` is P + jQ out of each phase of the former, (3,); (0,) in a balanced network.
    """

    converged: bool
    p_slack_kw: float
    q_slack_kvar: float
    clean: bool
    source_kva: Complex


@compiled
def inject(opened: Opened, supplies: Supplies, plan: Dispatched) -> Injected:
    """What each device injects by a plan."""
    orders = opened.orders
    battery = orders.discharge_wh + plan.released_wh - orders.charge_wh - plan.absorbed_wh
    for row in opened.rows:
        if row.kind == _STORE:
            battery[row.host] -= row.delivered_wh
        elif row.kind == _LOT_SALE:
            battery[row.host] += row.delivered_wh
    served = orders.load_wh - opened.need_wh + plan.served_wh
    return Injected(-served, orders.pv_wh - plan.spilled_wh, battery, add_fuel(supplies, plan.fuel_wh))


@compiled
def inject_kvar(place: Place, opened: Opened, plan: Dispatched) -> Floats:
    """Reactive injection of the loads that are served, (N,) kvar: `LoadReactive.drawn_var`."""
    ratio = place.tan_phi[opened.orders.interval if place.tan_phi.shape[0] > 1 else 0]
    served = opened.orders.load_wh - opened.need_wh + plan.served_wh
    injected: Floats = np.rint(served * place.per_hour * ratio) / -1000.0
    return injected


@compiled
def is_below(values: Floats, limits: Floats) -> bool:
    """Whether no value is above its limit; what has no supply (NaN) is not judged."""
    below = True
    for b in range(limits.size):
        below = below and not values[b] > limits[b]
    return below


@compiled
def is_clean(place: Place, vm_pu: Floats, line_percent: Floats, trafo_percent: Floats) -> bool:
    """Whether every voltage and loading of an interval is within its limits; what has no supply is not judged."""
    for b in range(vm_pu.size):
        if vm_pu[b] < place.min_vm_pu[b] or vm_pu[b] > place.max_vm_pu[b]:
            return False
    for b in range(place.max_line_percent.size):
        if not line_percent[b] <= place.max_line_percent[b]:
            return False
    return is_below(trafo_percent, place.max_trafo_percent)


@compiled
def solve_plan(net: Any, phases: Any, place: Place, injected: Injected, q_kvar: Floats) -> PlanFlow:
    """AC solution of what devices inject, and of the loads' reactive power, (N,) kvar."""
    if len(phases) == 0:  # known when it is compiled, so that the other way is left out
        return solve_balanced(net, place, injected, q_kvar)
    return solve_phases(net, phases, place, injected, q_kvar)


@compiled
def solve_balanced(net: Network, place: Place, injected: Injected, q_kvar: Floats) -> PlanFlow:
    """`solve_plan` of a balanced network."""
    wh = injected.load_wh + injected.pv_wh + injected.battery_wh + injected.fuel_cell_wh
    p_kw = (wh / 1000.0 / place.hours).reshape(1, -1)
    flow = solve_all(net, p_kw, q_kvar.reshape(1, -1), TOLERANCE_PU, _ITERATIONS)
    p_slack, q_slack = flow.p_slack_kw[0, place.slack], flow.q_slack_kvar[0, place.slack]
    clean = is_clean(place, flow.vm_pu[0], flow.line_loading_percent[0], flow.trafo_loading_percent[0])
    return PlanFlow(flow.iterations[0] > 0, p_slack, q_slack, clean, np.zeros(0, np.complex128))


@compiled
def solve_phases(net: FeederCircuit, phases: Phases, place: Place, injected: Injected, q_kvar: Floats) -> PlanFlow:
    """`solve_plan` of a network with phases."""
    p, q = np.zeros(phases.n_injections), np.zeros(phases.n_injections)
    for i in range(q_kvar.size):
        p[phases.load[i]] += injected.load_wh[i]
        p[phases.pv[i]] += injected.pv_wh[i]
        p[phases.battery[i]] += injected.battery_wh[i]
        p[phases.fuel_cell[i]] += injected.fuel_cell_wh[i]
        q[phases.load[i]] = q_kvar[i]
    flow = solve_interval(net, p / 1000.0 / place.hours, q, place.slack)
    clean = is_clean(place, flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent)
    clean = clean and is_below(flow.vuf_percent, phases.max_vuf_percent)
    clean = clean and is_below(flow.neutral_v, phases.max_neutral_v)
    supplied = flow.source_kva.sum()
    return PlanFlow(flow.converged, supplied.real, supplied.imag, clean, flow.source_kva)


@compiled
def find_former_wh(place: Place, opened: Opened, plan: Dispatched, cell: int) -> int:
    """What the former delivers by a plan, losses aside."""
    house, orders = place.former, opened.orders
    if cell >= 0:
        return int(plan.fuel_wh[cell])
    energy = orders.discharge_wh[house] + plan.released_wh[house]
    energy -= orders.charge_wh[house] + plan.absorbed_wh[house]
    for row in opened.rows:
        if row.kind == _LOT_SALE and row.host == house:
            energy += row.delivered_wh
    return int(energy)


@compiled
def is_within_power(place: Place, energy_wh: int, most_wh: int, lost_wh: int, flow: PlanFlow) -> bool:
    """Whether the former's apparent power is within its inverter's rating, and each phase within a third of it.

    By the plan it delivers `energy_wh`, and `most_wh` is its rated energy: `island._within_apparent_power` and
    `island._within_phases`.
    """
    rated = most_wh / 1000.0 / place.hours / place.inverter_cos_phi
    within = np.hypot(abs(energy_wh + lost_wh) / 1000.0 / place.hours, flow.q_slack_kvar) <= rated
    planned = energy_wh / 1000.0 / place.hours / 3.0
    for supplied in flow.source_kva:
        within = within and abs(planned + supplied) <= rated / 3.0
    return bool(within)


@compiled
def hold_back(supplies: Supplies, place: Place, cell: int, reserve_wh: int, release_wh: Wh, high_wh: Wh) -> bool:
    """Hold energy in reserve at the former, in place; False where it has less."""
    if cell < 0:
        supplies.battery_wh[place.former] = release_wh[place.former] - reserve_wh
        return bool(release_wh[place.former] >= reserve_wh)
    supplies.high_wh[cell] = high_wh[cell] - reserve_wh
    return bool(high_wh[cell] - reserve_wh >= supplies.low_wh[cell])


@compiled
def try_former(net: Wires, place: Place, opened: Opened, supplies: Supplies, cell: int) -> Trial:
    """Full service with the former at hand, `cell` or a battery; energy for losses is raised until it covers them.

    Houses that did not balance one another, which no dispatch leaves, would be for the other way to report.
    """
    needs, house = find_needs(place, opened), place.former
    release, high = supplies.battery_wh.copy(), supplies.high_wh.copy()
    plan, reserve = dispatch_needs(needs, supplies), ZERO
    for _ in range(_RESERVES):
        if not hold_back(supplies, place, cell, reserve, release, high):
            return Trial(CANNOT, plan, ZERO)
        plan = dispatch_needs(needs, supplies)
        injected = inject(opened, supplies, plan)
        flow = solve_plan(net, place.phases, place, injected, inject_kvar(place, opened, plan))
        if not flow.converged or not is_balanced(injected):
            return Trial(UNSURE, plan, ZERO)
        lost = max(integer_of(flow.p_slack_kw * place.hours * 1000.0), ZERO)
        spare = release[house] - plan.released_wh[house] if cell < 0 else high[cell] - plan.fuel_wh[cell]
        if lost <= spare:
            most = opened.before.ratings.max_discharge_wh[house] if cell < 0 else high[cell]
            energy = find_former_wh(place, opened, plan, cell)
            holds = flow.clean and is_within_power(place, energy, most, lost, flow)
            return Trial(HELD if holds else UNSURE, plan, lost)
        reserve = max(lost, reserve) + 1 + lost // 50
    return Trial(CANNOT, plan, ZERO)


@compiled
def is_balanced(injected: Injected) -> bool:
    """Whether all that is injected is drawn."""
    of_houses = injected.load_wh + injected.pv_wh + injected.battery_wh + injected.fuel_cell_wh
    return bool(of_houses.sum() == 0)
