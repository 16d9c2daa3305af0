"""One interval with an outage: every connected part of the network by itself, then all settled and solved together.

A part that the grid feeds goes through the same steps as any interval (`cosim.interval.interval`). A part without the
grid is an island where a device can hold its voltage (a grid former), else it is dark.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.case.fleet import run_plant
from cosim.case.solve import Solved, solve_meters
from cosim.case.state import ADMITTED, NetworkState, make_plant_state
from cosim.case.timeline import Mask
from cosim.curtailment.feasible import Outcome, make_feasible
from cosim.curtailment.priority import rank_houses
from cosim.delivery.window import take_inputs, with_asks
from cosim.islands.background import find_island_background
from cosim.islands.formers import list_fuel_cells, rank_formers
from cosim.islands.island import (
    EngineFor,
    Former,
    HeldIsland,
    Part,
    deliver_nothing_dark,
    hold_island,
    make_island_orders,
    make_part_orders,
    make_residual_rows,
)
from cosim.islands.phases import (
    AS_GOOD_AS_DARK,
    PICKUP_FACTOR,
    RECONNECTION_VM_PU,
    Happening,
    Phase,
    advance_phase,
)
from cosim.islands.saving import find_spare
from cosim.islands.switching import Switching, Topology, Uses
from grid_models.arrays import Ints
from grid_models.errors import NothingToSolveError
from grid_models.feeder.topology import Supply
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Verdict
from grid_models.response.sensitivity import AnyPowerFlow
from market.exchanges import EXCHANGE, Kind, Reason, Rows
from market.orders import Inputs, Orders
from market.settlement import Delivery, Settlement, settle
from market.state import POOL_CONTRACT, State, begin_interval
from market.storage import Wh


class PartResult(NamedTuple):
    """What became of a part.

    Attributes
    ----------
    inside
        (N,) houses in it.
    supply
        Whether the grid feeds it, a grid former holds it, or it is dark.
    former
        The grid former; None where the grid feeds the part or nothing does.
    orders, delivery
        Orders of its houses, and what was delivered.
    fuel_wh
        Energy of each fuel cell by device number.
    losses_wh
        Losses that the grid former supplied.
    power_flows
        AC power flows it took.
    uses
        How the net's own elements are run in an island.
    outcome, before
        How a grid-fed part became clean, and the verdict on what it cleared (None if that was clean).
    """

    inside: Mask
    supply: Supply
    former: Former | None
    orders: Orders
    delivery: Delivery
    fuel_wh: dict[int, int]
    losses_wh: int
    power_flows: int
    uses: Uses = ()
    outcome: Outcome = Outcome.CLEAN
    before: Verdict | None = None


class EventInterval(NamedTuple):
    """An interval with an event, settled.

    Attributes
    ----------
    orders, before, settlement
        Of all houses.
    flow
        AC solution of the network as it was switched.
    parts
        Part by part, in the order of their first house.
    network
        State of the network after the interval.
    plants
        (D, 4) the fuel cells before the interval, tanks filled where the grid was there.
    on_grid, part_of_bus
        (B,) buses that the grid feeds, and the connected part that each bus is in, -1 for none.
    """

    orders: Orders
    before: State
    settlement: Settlement
    flow: Flow
    parts: tuple[PartResult, ...]
    network: NetworkState
    plants: npt.NDArray[np.float64]
    on_grid: Mask
    part_of_bus: Ints

    @property
    def uses(self) -> Uses:
        """How the net's own elements are run in the islands."""
        return tuple(use for part in self.parts for use in part.uses)

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the parts; `ISLANDED` as soon as any part is without the grid."""
        if any(part.supply != Supply.GRID for part in self.parts):
            return Outcome.ISLANDED
        return max(part.outcome for part in self.parts)

    @property
    def unclean(self) -> Verdict | None:
        """Verdict on what a grid-fed part cleared; None where that was clean."""
        return next((part.before for part in self.parts if part.before is not None), None)

    @property
    def power_flows(self) -> int:
        """AC power flows it took."""
        return 1 + sum(part.power_flows for part in self.parts)


def run_event_interval(case: Case, switching: Switching, state: State, network: NetworkState, t: int) -> EventInterval:
    """Simulate interval `t` part by part.

    Parameters
    ----------
    case
        Profiles, market, network and timeline.
    switching
        Topologies and engines.
    state, network
        State before the interval.
    t
        Interval.
    """
    in_force, waits = find_outages_in_force(case, switching, network, t)
    opening = begin_interval(state, t)
    network = refuel_plants(case, network, t)
    before, parts = _run_parts(case, switching, in_force, opening, network, t)
    if waits.any() and _is_dark_beside_the_grid(case, switching.topology(case.timeline.open[t]), parts):
        in_force, waits = case.timeline.open[t], np.zeros_like(waits)
        before, parts = _run_parts(case, switching, in_force, opening, network, t)
    islands = switching.topology(in_force).islands
    fed = islands.find_supply(case.feeder.bus) == Supply.GRID
    orders, delivery = join_parts(parts)
    settlement = settle(delivery, orders, before, case.rules)
    buses = [int(case.feeder.bus[part.former.house]) for part in parts if part.former is not None]
    on_grid = np.asarray(islands.find_supply(islands.bus) == Supply.GRID)
    lit = any(part.supply and part.outcome != Outcome.DE_ENERGISED for part in parts)
    if not fed.any():  # the grid may feed what is left of the net without houses, if only a transformer at no load
        lit |= bool(on_grid.any())
    uses = tuple(use for part in parts for use in part.uses)
    controlled = np.any([part.inside for part in parts if part.supply != Supply.DARK], axis=0) if lit else None
    solved = _solved(case, switching, in_force, buses, uses, settlement, controlled)
    flow, settlement = solved.flow, settlement._replace(meters=solved.meters[0])
    return EventInterval(
        orders,
        before,
        settlement,
        flow,
        tuple(parts),
        _network_after(case, switching, network, in_force, waits, parts, flow),
        network.plants,
        on_grid,
        islands.part,
    )


def _run_parts(
    case: Case, switching: Switching, in_force: Mask, before: State, network: NetworkState, t: int
) -> tuple[State, list[PartResult]]:
    """What becomes of every part of the network with some outages in force, in the order of their first house.

    Cars and heat pumps of houses that the grid does not feed take nothing; with the state that all houses ask from.
    """
    islands = switching.topology(in_force).islands
    part_of = islands.find_part(case.feeder.bus)
    fed = islands.find_supply(case.feeder.bus) == Supply.GRID
    raised, plain = with_pickup(take_inputs(case.inputs, t, t), network), take_inputs(case.inputs, t, t)
    before, inputs = _with_asks_of_fed(case, raised, before, fed)
    plain = plain._replace(submissions=inputs.submissions[:0])
    alone = inputs._replace(submissions=plain.submissions)  # without the grid all houses are served by one rule
    parts: list[PartResult] = []
    opening = before
    for number in dict.fromkeys(part_of[part_of >= 0].tolist()):
        inside = part_of == number
        if fed[inside].all():
            result = _fed_by_grid(case, switching, in_force, inputs, opening, inside)
        else:
            result = _alone(case, switching, in_force, alone, opening, network, inside) or _dark(
                case, plain, opening, inside
            )
        parts.append(result)
        opening = reserve_lots_and_funds(opening, result.delivery.rows)
    if (part_of < 0).any():
        parts.append(_dark(case, plain, opening, part_of < 0))
    return before, parts


def _with_asks_of_fed(case: Case, inputs: Inputs, before: State, fed: Mask) -> tuple[State, Inputs]:
    """State and inputs with what cars and heat pumps of houses that the grid feeds ask for."""
    devices = case.inputs.devices
    return with_asks(devices, inputs, before, ~fed) if devices.kind.size else (before, inputs)


def _is_dark_beside_the_grid(case: Case, joined: Topology, parts: list[PartResult]) -> bool:
    """Whether a house that the grid could feed is dark, or as good as dark, while islands wait to be joined."""
    ready = joined.islands.find_supply(case.feeder.bus) == Supply.GRID
    return any(bool((_find_unserved(part) & ready).any()) for part in parts if part.supply != Supply.GRID)


def _find_unserved(part: PartResult) -> Mask:
    """Houses of a part that get less than `AS_GOOD_AS_DARK` of their load, (N,)."""
    load, rows = part.orders.load_wh, part.delivery.rows
    chosen = rows[rows["kind"] == Kind.SHED]
    served = load.copy()
    np.subtract.at(served, chosen["buyer"], chosen["delivered_wh"])
    return np.asarray((load > 0) & (served < AS_GOOD_AS_DARK * load))


def find_outages_in_force(case: Case, switching: Switching, network: NetworkState, t: int) -> tuple[Mask, Mask]:
    """Outages in force in interval `t`, (E,), and houses whose island waits to be joined to the grid, (N,).

    When the grid is back, an island first runs one interval side by side with it (synchronising); until then its
    outage stays in force. `run_event_interval` joins at once where a house would be dark meanwhile.
    """
    on = case.timeline.open[t]
    over = network.in_force & ~on
    lit = np.isin(network.phase, (Phase.ISLANDED, Phase.SYNCHRONISING))
    if not over.any() or not lit.any():
        return on, np.zeros_like(lit)
    ready = switching.topology(on).islands.find_supply(case.feeder.bus) == Supply.GRID
    returning = lit & ready
    if (network.phase[returning] == Phase.SYNCHRONISING).all():
        return on, np.zeros_like(lit)
    return on | over, returning


def refuel_plants(case: Case, network: NetworkState, t: int) -> NetworkState:
    """State in which fuel cells of houses connected to the grid have full tanks and run as scheduled."""
    plants = network.plants.copy()
    hours = case.interval_minutes / 60.0
    for k, device in case.fleet.fuel_cells.items():
        if network.phase[device.house] == Phase.CONNECTED:
            scheduled = case.fleet.schedule(network.standing)[k].delivered_wh[t - 1] if t > 0 else 0
            running = network.standing[k] == ADMITTED and scheduled > 0
            p_kw = min(scheduled / 1000.0 / hours, device.plant.nominal_kw) if running else 0.0
            plants[k] = device.plant.tank_kg, running, p_kw, 0.0
    return network._replace(plants=plants)


def with_pickup(inputs: Inputs, network: NetworkState) -> Inputs:
    """Inputs with cold-load pickup: the raised load of houses whose supply is restored, or was within the last hour."""
    raised = (network.pickup > 0) | (network.phase == Phase.DARK)
    load = np.where(raised, np.rint(inputs.load_wh * PICKUP_FACTOR).astype(np.int64), inputs.load_wh)
    return inputs._replace(load_wh=load)


def _fed_by_grid(
    case: Case, switching: Switching, in_force: Mask, inputs: Inputs, state: State, inside: Mask
) -> PartResult:
    """A part that the grid feeds: the steps of `run_interval`, on the engine of the network as it is switched."""
    orders = make_part_orders(case, inputs, state, inside)
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
        outcome=feasible.outcome,
        before=feasible.before,
    )


def recover_delivery(settlement: Settlement, orders: Orders) -> Delivery:
    """The delivery that a settlement was made from, recovered from its rows and meters."""
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
    network: NetworkState,
    inside: Mask,
) -> PartResult | None:
    """A part without the grid, as an island; None if no device can hold it."""
    numbers, ranges = list_fuel_cells(case, network, inside)
    background = find_island_background(case, switching.topology(in_force), inside)
    spare = find_spare(case, network, state, inputs.interval, inside, ranges)

    def engine_of(former: Former, uses: Uses) -> AnyPowerFlow:
        return switching.engine(in_force, (int(case.feeder.bus[former.house]),), uses)

    def hold_with(inputs: Inputs) -> HeldIsland | None:
        orders = make_island_orders(case, inputs, state, inside)
        rows = case.mechanism.clear(orders, state, case.rules).rows
        critical = np.rint(orders.load_wh * case.scenario.community.critical_share).astype(np.int64)
        part = Part(case, inside, orders, state, rows, ranges, critical, rank_houses(case), background, spare)
        return hold_with_background(part, network, engine_of)

    held = hold_with(inputs)
    if held is None and (case.feeder.connections is not None or case.control is not None):
        held = hold_with_less_generation(case, inputs, inside, hold_with)
    if held is None:
        return None
    fuel = dict(zip(numbers, held.fuel_wh, strict=True))
    spent = held.losses_wh, held.power_flows
    return PartResult(inside, Supply.ISLAND, held.former, held.orders, held.delivery, fuel, *spent, held.uses)


def hold_with_less_generation(
    case: Case, inputs: Inputs, inside: Mask, hold_with: Callable[[Inputs], HeldIsland | None]
) -> HeldIsland | None:
    """An island with the largest share of its panels' energy, in sixteenths, that a former can hold; None without any.

    Panels on one phase, and what they serve or charge on others, can be more than a phase of the former carries; so can
    be the reactive power of inverters under control.
    """

    def hold_share(share: float) -> HeldIsland | None:
        used = np.floor(share * inputs.pv_wh).astype(np.int64)
        held = hold_with(inputs._replace(pv_wh=used))
        return None if held is None else spill_rest(case, held, np.where(inside, inputs.pv_wh - used, 0))

    for quarter in (0.75, 0.5, 0.25, 0.0):  # from the largest: less need not be easier to hold
        best = hold_share(quarter)
        if best is not None:
            for step in (0.125, 0.0625):
                held = hold_share(quarter + step)
                best, quarter = (best, quarter) if held is None else (held, quarter + step)
            return best
    return None


def spill_rest(case: Case, held: HeldIsland, rest_wh: Wh) -> HeldIsland:
    """The island with generation that was left out of it, (N,), spilled; its last row stays that of the losses."""
    rows, bus = held.delivery.rows.copy(), int(case.feeder.bus[held.former.house])
    spilled = np.flatnonzero(rows["kind"] == Kind.SPILL)
    rows["delivered_wh"][spilled] += rest_wh[rows["seller"][spilled]]
    missing = rest_wh.copy()
    missing[rows["seller"][spilled]] = 0
    more = make_residual_rows(held.orders, Kind.SPILL, missing, Reason.ISLAND_LIMIT, bus)
    orders = held.orders._replace(pv_wh=held.orders.pv_wh + rest_wh)
    delivery = held.delivery._replace(rows=np.concatenate([rows[:-1], more, rows[-1:]]))
    return held._replace(orders=orders, delivery=delivery)


def hold_with_background(part: Part, network: NetworkState, engine_of: EngineFor) -> HeldIsland | None:
    """The part as an island with the loads of its background; without them where critical load would be short."""
    held = hold_island(part, rank_formers(part, network), engine_of)
    background = part.background
    if background is None or not background.has_load or (held is not None and not _is_critical_shed(part, held)):
        return held
    part = replace(part, background=background.without_load())
    return hold_island(part, rank_formers(part, network), engine_of) or held


def _is_critical_shed(part: Part, held: HeldIsland) -> bool:
    """Whether a house does not get all of its critical load."""
    rows, served = held.delivery.rows, part.orders.load_wh.copy()
    chosen = rows[rows["kind"] == Kind.SHED]
    np.subtract.at(served, chosen["buyer"], chosen["delivered_wh"])
    return bool((served < part.critical_wh).any())


def _dark(case: Case, inputs: Inputs, state: State, inside: Mask) -> PartResult:
    """A dark part: nothing is exchanged, and no battery moves."""
    zero = np.zeros_like(inputs.load_wh)
    orders = make_island_orders(case, inputs, state, inside)
    orders = orders._replace(charge_wh=zero, discharge_wh=zero)
    none = Part(case, inside, orders, state, np.empty(0, EXCHANGE), (), zero, zero)
    return PartResult(inside, Supply.DARK, None, orders, deliver_nothing_dark(none), {}, 0, 0)


def reserve_lots_and_funds(state: State, rows: Rows) -> State:
    """State for the next part's market: lot numbers go on counting, and the contract's money is spent only once.

    A lot is shared energy that waits in a host's battery until its owner sells it.
    """
    shares = rows[np.isin(rows["kind"], [int(Kind.SHARE_USE), int(Kind.SHARE_STORE)])]
    spent = int((shares["cleared_wh"] * shares["price_ueur_per_kwh"]).sum())
    pools, tally = state.pools_neur.copy(), state.tally.copy()
    pools[POOL_CONTRACT] -= spent
    tally[0] = max(int(tally[0]), int(rows["lot"].max(initial=-1)) + 1)
    return state._replace(pools_neur=pools, tally=tally)


def join_parts(parts: list[PartResult]) -> tuple[Orders, Delivery]:
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
    limits = np.max([part.orders.limit_ueur_per_kwh for part in parts], axis=0)
    joined = orders._replace(**summed, price_ueur_per_kwh=price, limit_ueur_per_kwh=limits)
    return joined, Delivery(rows, absorbed, released)


def _solved(
    case: Case,
    switching: Switching,
    in_force: Mask,
    buses: list[int],
    uses: Uses,
    settlement: Settlement,
    controlled: Mask | None,
) -> Solved:
    """AC solution of the network as it is switched; inverters of the houses `controlled`, (N,), are under control."""
    if controlled is not None:
        with suppress(NothingToSolveError):  # the grid ends at its own bus
            view = replace(case, engine=switching.engine(in_force, buses, uses))
            return solve_meters(view, settlement.meters[None], inside=controlled)
    nothing = np.zeros((1, case.feeder.injection_bus.size))
    return Solved(case.engine.solve(nothing, None).with_feeder_off(), settlement.meters[None])


def _network_after(
    case: Case,
    switching: Switching,
    network: NetworkState,
    in_force: Mask,
    waits: Mask,
    parts: list[PartResult],
    flow: Flow,
) -> NetworkState:
    """State of the network after the interval."""
    happening = np.full(waits.size, Happening.NOTHING_HOLDS, np.int8)
    former = np.zeros(waits.size, bool)
    plants = network.plants.copy()
    close = waits.any() and switching.largest_step_pu(in_force, flow.vm_pu[0]) <= RECONNECTION_VM_PU
    for part in parts:
        if part.supply == Supply.GRID:
            happening[part.inside] = Happening.GRID_FEEDS
        elif part.former is not None:
            joins = waits[part.inside].any() and close
            happening[part.inside] = Happening.GRID_WAITS if joins else Happening.FORMER_HOLDS
            former[part.former.house] = True
            for k, wh in part.fuel_wh.items():
                plant = case.fleet.fuel_cells[k].plant
                _, run = run_plant(plant, make_plant_state(plants[k]), wh, case.interval_minutes)
                plants[k] = run.state
    phase = advance_phase(network.phase, happening)
    out_of_the_dark = (network.phase == Phase.DARK) & (phase != Phase.DARK)
    pickup = np.maximum(network.pickup - 1, 0)
    pickup[out_of_the_dark] = 60 // case.interval_minutes - 1
    pickup[phase == Phase.DARK] = 0
    for k, device in enumerate(case.fleet.devices):
        if phase[device.house] == Phase.DARK:
            plants[k, 1:] = 0.0  # a plant without a network to feed trips
    return network._replace(phase=phase, is_forming=former, pickup=pickup, in_force=in_force, plants=plants)
