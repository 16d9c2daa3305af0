"""One interval in which the network is not whole: every part by itself, then all of it settled and solved as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.case.devices import run_plant
from cosim.case.solve import Solved, solve_meters
from cosim.case.state import ADMITTED, NetworkState, plant_state
from cosim.case.timeline import Mask
from cosim.curtailment.feasible import Outcome, make_feasible
from cosim.delivery.window import inputs_at
from cosim.islands.island import (
    Former,
    Part,
    darkness,
    hold_island,
    island_orders,
    masked_orders,
)
from cosim.islands.local_dispatch import FuelRange
from cosim.islands.phases import BLACK_START_SOC, PICKUP_FACTOR, RECONNECTION_VM_PU, Happening, Phase, after
from cosim.islands.switching import Switching
from grid_models.devices.fuel_cell_plant import interval_capability
from grid_models.feeder.topology import Supply
from grid_models.powerflow.engine import Flow
from grid_models.powerflow.limits import Verdict
from market.exchanges import EXCHANGE, Kind, Rows
from market.orders import Inputs, Orders
from market.settlement import Delivery, Settlement, settle
from market.state import POOL_CONTRACT, State, after_due
from market.storage import deliverable_wh


class PartResult(NamedTuple):
    """What became of a part: houses in it, its former (None where the grid feeds it or nothing does), its rows.

    `fuel_wh` is the energy of each fuel cell by number, `losses_wh` what the former carried.
    """

    inside: Mask
    supply: Supply
    former: Former | None
    orders: Orders
    delivery: Delivery
    fuel_wh: dict[int, int]
    losses_wh: int
    power_flows: int
    outcome: Outcome = Outcome.CLEAN
    before: Verdict | None = None


class EventInterval(NamedTuple):
    """A disturbed interval, settled.

    Attributes
    ----------
    orders, before, settlement
        Of all houses.
    flow
        AC solution of the network as it was switched.
    parts
        Part by part, in the order of their first house.
    outage
        What is carried on.
    plants
        (D, 4) the fuel cells before the interval, tanks filled where the grid was there.
    """

    orders: Orders
    before: State
    settlement: Settlement
    flow: Flow
    parts: tuple[PartResult, ...]
    outage: NetworkState
    plants: npt.NDArray[np.float64]

    @property
    def outcome(self) -> Outcome:
        """The worst that a grid-fed part saw; islanded as soon as any part is without the grid."""
        if any(part.supply != Supply.GRID for part in self.parts):
            return Outcome.ISLANDED
        return max(part.outcome for part in self.parts)

    @property
    def unclean(self) -> Verdict | None:
        """Verdict on what a grid-fed part cleared, None where it was clean."""
        return next((part.before for part in self.parts if part.before is not None), None)

    @property
    def power_flows(self) -> int:
        """AC power flows it took."""
        return 1 + sum(part.power_flows for part in self.parts)


def run_event_interval(
    case: Case, switching: Switching, state: State, outage: NetworkState, t: int
) -> EventInterval:
    """Simulate interval `t` part by part.

    Parameters
    ----------
    case
        Profiles, market, network and timeline.
    switching
        Topologies and engines.
    state, outage
        State before the interval.
    t
        Interval.
    """
    in_force, waits = in_force_at(case, switching, outage, t)
    topology = switching.topology(in_force)
    before = after_due(state, t)
    outage = refuelled(case, outage, t)
    part_of = topology.islands.part_of(case.feeder.bus)
    fed = topology.islands.supply_of(case.feeder.bus) == Supply.GRID
    plain = inputs_at(case.supply, t, t)
    inputs = with_pickup(plain, outage)
    parts: list[PartResult] = []
    opening = before
    for number in dict.fromkeys(part_of[part_of >= 0].tolist()):
        inside = part_of == number
        if fed[inside].all():
            result = _fed_by_grid(case, switching, in_force, inputs, opening, inside)
        else:
            result = _alone(case, switching, in_force, inputs, opening, outage, inside) or _dark(
                case, plain, opening, inside
            )
        parts.append(result)
        opening = promised(opening, result.delivery.rows)
    if (part_of < 0).any():
        parts.append(_dark(case, plain, opening, part_of < 0))
    orders, delivery = together(parts)
    settlement = settle(delivery, orders, before, case.rules)
    buses = [int(case.feeder.bus[part.former.house]) for part in parts if part.former is not None]
    lit = any(part.supply for part in parts)
    flow, metered = _solved(case, switching, in_force, buses, settlement, fed if lit else None)
    settlement = settlement._replace(meters=metered[0])
    return EventInterval(
        orders,
        before,
        settlement,
        flow,
        tuple(parts),
        _carried(case, switching, outage, in_force, waits, parts, flow),
        outage.plants,
    )


def in_force_at(case: Case, switching: Switching, outage: NetworkState, t: int) -> tuple[Mask, Mask]:
    """Outages in force in interval `t`, (E,), and houses whose island waits to be joined to the grid, (N,).

    An outage that is over stays in force while an island of it has not seen one healthy interval beside the grid.
    """
    on = case.timeline.open[t]
    over = outage.open & ~on
    lit = np.isin(outage.phase, (Phase.ISLANDED, Phase.SYNCHRONISING))
    if not over.any() or not lit.any():
        return on, np.zeros_like(lit)
    ready = switching.topology(on).islands.supply_of(case.feeder.bus) == Supply.GRID
    returning = lit & ready
    if (outage.phase[returning] == Phase.SYNCHRONISING).all():
        return on, np.zeros_like(lit)
    return on | over, returning


def refuelled(case: Case, outage: NetworkState, t: int) -> NetworkState:
    """State in which fuel cells that were at the grid have full tanks and run as scheduled."""
    plants = outage.plants.copy()
    hours = case.interval_minutes / 60.0
    for k, device in enumerate(case.fleet.devices):
        if device.plant is not None and outage.phase[device.house] == Phase.CONNECTED:
            scheduled = case.fleet.schedule(outage.standing)[k].delivered_wh[t - 1] if t > 0 else 0
            running = outage.standing[k] == ADMITTED and scheduled > 0
            p_kw = min(scheduled / 1000.0 / hours, device.plant.nominal_kw) if running else 0.0
            plants[k] = device.plant.tank_kg, running, p_kw, 0.0
    return outage._replace(plants=plants)


def with_pickup(inputs: Inputs, outage: NetworkState) -> Inputs:
    """Inputs with the raised load of houses that come, or just came, out of the dark."""
    raised = (outage.pickup > 0) | (outage.phase == Phase.DARK)
    load = np.where(raised, np.rint(inputs.load_wh * PICKUP_FACTOR).astype(np.int64), inputs.load_wh)
    return inputs._replace(load_wh=load)


def _fed_by_grid(
    case: Case, switching: Switching, in_force: Mask, inputs: Inputs, state: State, inside: Mask
) -> PartResult:
    """A part with the grid: as always, by the full path."""
    orders = masked_orders(case, inputs, state, inside)
    clearing = case.mechanism.clear(orders, state, case.rules)
    view = replace(case, engine=switching.engine(in_force, ()))
    feasible = make_feasible(view, orders, state, clearing.rows)
    return PartResult(
        inside,
        Supply.GRID,
        None,
        orders,
        recover_delivery(feasible.settlement, orders),
        {},
        0,
        feasible.power_flows,
        feasible.outcome,
        feasible.before,
    )


def recover_delivery(settlement: Settlement, orders: Orders) -> Delivery:
    """The delivery that led to a settlement."""
    rows, meters = settlement.rows, settlement.meters
    absorbed = meters["charge_wh"].astype(np.int64) - orders.charge_wh
    released = meters["discharge_wh"].astype(np.int64) - orders.discharge_wh
    for kind, flow in ((Kind.SHARE_STORE, absorbed), (Kind.LOT_SALE, released)):
        chosen = rows[rows["kind"] == kind]
        np.subtract.at(flow, chosen["host"], chosen["delivered_wh"])
    return Delivery(rows, absorbed, released)


def _alone(
    case: Case,
    switching: Switching,
    in_force: Mask,
    inputs: Inputs,
    state: State,
    outage: NetworkState,
    inside: Mask,
) -> PartResult | None:
    """A part without the grid, as an island; None if nobody holds it."""
    orders = island_orders(case, inputs, state, inside)
    rows = case.mechanism.clear(orders, state, case.rules).rows
    numbers, ranges = fuel_cells_in(case, outage, inside)
    critical = np.rint(orders.load_wh * case.scenario.community.critical_share).astype(np.int64)
    part = Part(case, inside, orders, state, rows, ranges, critical)
    held = hold_island(
        part,
        formers(part, outage),
        lambda former: switching.engine(in_force, (int(case.feeder.bus[former.house]),)),
    )
    if held is None:
        return None
    fuel = dict(zip(numbers, held.fuel_wh, strict=True))
    return PartResult(
        inside, Supply.ISLAND, held.former, held.orders, held.delivery, fuel, held.losses_wh, held.power_flows
    )


def _dark(case: Case, inputs: Inputs, state: State, inside: Mask) -> PartResult:
    """A part that nothing holds: nothing is exchanged, and no battery moves."""
    zero = np.zeros_like(inputs.load_wh)
    orders = island_orders(case, inputs, state, inside)
    orders = orders._replace(charge_wh=zero, discharge_wh=zero)
    none = Part(case, inside, orders, state, np.empty(0, EXCHANGE), (), zero)
    return PartResult(inside, Supply.DARK, None, orders, darkness(none), {}, 0, 0)


def fuel_cells_in(case: Case, outage: NetworkState, inside: Mask) -> tuple[list[int], tuple[FuelRange, ...]]:
    """Fuel cells of a part: their numbers and what each can deliver."""
    numbers, ranges = [], []
    for k, device in enumerate(case.fleet.devices):
        if device.plant is not None and outage.standing[k] == ADMITTED and inside[device.house]:
            can = interval_capability(device.plant, plant_state(outage.plants[k]), case.interval_minutes)
            numbers.append(k)
            ranges.append(FuelRange(device.house, can.min_wh, can.max_wh, can.may_stop))
    return numbers, tuple(ranges)


def formers(part: Part, outage: NetworkState) -> Iterator[Former]:
    """Who may hold a part, best first: whoever held it, then batteries by headroom, then fuel cells by headroom.

    Out of the dark a battery needs a fifth of its charge.
    """
    ratings, own = part.state.ratings, part.state.own_wh
    capacity_wh = capacities_wh(part.case, part.state)
    dark = bool((outage.phase[part.inside] == Phase.DARK).all())
    candidates: list[tuple[bool, int, int, Former]] = []
    for i in np.flatnonzero(part.inside):
        stock = int(own[i] - ratings.soc_min_wh[i])
        headroom = min(int(part.orders.discharge_left_wh[i]), deliverable_wh(stock, ratings.discharge_ppm[i]))
        charged = not dark or own[i] >= BLACK_START_SOC * capacity_wh[i]
        if headroom > 0 and charged:
            candidates.append((not outage.former[i], 0, -headroom, Former(int(i), -1)))
    for k, cell in enumerate(part.fuel_cells):
        if cell.high_wh > 0:
            candidates.append((not outage.former[cell.house], 1, -cell.high_wh, Former(cell.house, k)))
    for _, _, _, former in sorted(candidates):
        yield former


def capacities_wh(case: Case, state: State) -> npt.NDArray[np.float64]:
    """Capacities of the batteries there are, (N,), from the upper end of their window."""
    return np.asarray(state.ratings.soc_max_wh / max(case.scenario.battery.soc_max, 1e-9), dtype=np.float64)


def promised(state: State, rows: Rows) -> State:
    """State for the next part's market: numbers of new lots go on, the contract's money is spent only once."""
    shares = rows[np.isin(rows["kind"], [int(Kind.SHARE_USE), int(Kind.SHARE_STORE)])]
    spent = int((shares["cleared_wh"] * shares["price_ueur_per_kwh"]).sum())
    pools, tally = state.pools_neur.copy(), state.tally.copy()
    pools[POOL_CONTRACT] -= spent
    tally[0] = max(int(tally[0]), int(rows["lot"].max(initial=-1)) + 1)
    return state._replace(pools_neur=pools, tally=tally)


def together(parts: list[PartResult]) -> tuple[Orders, Delivery]:
    """Orders and delivery of all houses; lots are sold oldest first, as settlement expects them."""
    orders = parts[0].orders
    summed = {
        name: np.sum([getattr(part.orders, name) for part in parts], axis=0)
        for name in Orders._fields
        if name.endswith("_wh") or name in ("requests", "asks_share")
    }
    largest = max(parts, key=lambda part: int(part.inside.sum()))
    rows = np.concatenate([part.delivery.rows for part in parts])
    sale = rows["kind"] == Kind.LOT_SALE
    rows = rows[np.lexsort((np.where(sale, rows["lot"], 0), ~sale))]
    rows["seq"] = np.arange(rows.size)
    absorbed = np.sum([part.delivery.absorbed_wh for part in parts], axis=0)
    released = np.sum([part.delivery.released_wh for part in parts], axis=0)
    price = largest.orders.price_ueur_per_kwh
    return orders._replace(**summed, price_ueur_per_kwh=price), Delivery(rows, absorbed, released)


def _solved(
    case: Case,
    switching: Switching,
    in_force: Mask,
    buses: list[int],
    settlement: Settlement,
    fed: Mask | None,
) -> Solved:
    """AC solution of the network as it is switched; an island's inverters leave its voltage to the former."""
    if fed is not None:
        view = replace(case, engine=switching.engine(in_force, buses))
        return solve_meters(view, settlement.meters[None], inside=fed)
    nothing = np.zeros((1, settlement.meters.size))
    return Solved(case.engine.solve(nothing, None).switched_off(), settlement.meters[None])


def _carried(
    case: Case,
    switching: Switching,
    outage: NetworkState,
    in_force: Mask,
    waits: Mask,
    parts: list[PartResult],
    flow: Flow,
) -> NetworkState:
    """What the next interval needs to know."""
    happening = np.full(waits.size, Happening.NOTHING_HOLDS, np.int8)
    former = np.zeros(waits.size, bool)
    plants = outage.plants.copy()
    near = switching.largest_step_pu(in_force, flow.vm_pu[0]) <= RECONNECTION_VM_PU
    for part in parts:
        if part.supply == Supply.GRID:
            happening[part.inside] = Happening.GRID_FEEDS
        elif part.former is not None:
            joins = waits[part.inside].any() and near
            happening[part.inside] = Happening.GRID_WAITS if joins else Happening.FORMER_HOLDS
            former[part.former.house] = True
            for k, wh in part.fuel_wh.items():
                plant = case.fleet.devices[k].plant
                assert plant is not None
                _, run = run_plant(plant, plant_state(plants[k]), wh, case.interval_minutes)
                plants[k] = run.state
    phase = after(outage.phase, happening)
    out_of_the_dark = (outage.phase == Phase.DARK) & (phase != Phase.DARK)
    pickup = np.maximum(outage.pickup - 1, 0)
    pickup[out_of_the_dark] = 60 // case.interval_minutes - 1
    pickup[phase == Phase.DARK] = 0
    for k, device in enumerate(case.fleet.devices):
        if phase[device.house] == Phase.DARK:
            plants[k, 1:] = 0.0  # a plant without a network to feed trips
    return outage._replace(phase=phase, former=former, pickup=pickup, open=in_force, plants=plants)
