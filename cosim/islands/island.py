"""One island for one interval: the market, then local dispatch, then a test of the grid former.

The grid former is the device that holds the voltage: a battery inverter or a fuel cell. It supplies the losses. One
that cannot supply them within its power, apparent power and energy is replaced by the next; what the wires cannot carry
is shed; where no device can hold the part, it is dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.solve import solve_inverters
from cosim.case.timeline import Mask
from cosim.delivery.redispatch import find_battery_room, find_undelivered
from cosim.delivery.setpoints import at_device, mean_kw, spread_devices
from cosim.islands.background import (
    BackgroundPlan,
    IslandBackground,
    dispatch_with_background,
    make_background_rows,
)
from cosim.islands.local_dispatch import FuelRange, LocalDispatch, Sources, dispatch_locally, spread_share
from cosim.islands.switching import Uses
from grid_models.arrays import Complex, Floats, Ints
from grid_models.errors import GridError
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Judgement, judge
from grid_models.response.sensitivity import AnyPowerFlow
from market.exchanges import EXCHANGE, NOBODY, OPERATOR, Kind, Reason, Rows, Status
from market.orders import Inputs, Orders, make_orders
from market.settlement import Delivery
from market.state import State
from market.storage import Wh

_RESERVES, _BISECTIONS = 8, 6
_PARTS = 8
"""Shares that are asked before the bisection where phases differ."""
_GRID_KINDS = (Kind.GRID_IMPORT, Kind.GRID_EXPORT, Kind.SPILL)
_FROM_SURPLUS = [int(Kind.P2P), int(Kind.SHARE_USE)]
_USED_BY_BUYERS = [*_FROM_SURPLUS, int(Kind.LOT_SALE)]


class Former(NamedTuple):
    """A candidate grid former: a house's battery (`cell` is -1), or its fuel cell, number `cell` of the part."""

    house: int
    cell: int


EngineFor = Callable[[Former, Uses], AnyPowerFlow]
"""Power flow of the network as it is switched, with a former in place and its background run in some way."""


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the network in an interval, and what is in it.

    Attributes
    ----------
    case
        Limits, rules, length of an interval.
    inside
        (N,) houses in it.
    orders, state
        Orders of these houses, their batteries untouched but for charging, and the state they were made from.
    rows
        What the market cleared among them.
    fuel_cells
        Ranges of the fuel cells in it.
    critical_wh
        (N,) load that is shed last.
    rank
        (N,) houses of a lower rank are shed before those of a higher one; their priorities in the scenario.
    background
        The net's own elements in it; None if it has none.
    spare_wh
        Energy that it need not keep for critical load to come; None to keep nothing.
    """

    case: Case
    inside: Mask
    orders: Orders
    state: State
    rows: Rows
    fuel_cells: tuple[FuelRange, ...]
    critical_wh: Wh
    rank: Ints
    background: IslandBackground | None = None
    spare_wh: int | None = None


class HeldIsland(NamedTuple):
    """A part that a grid former holds.

    Attributes
    ----------
    former
        The grid former.
    orders, delivery
        What is delivered; the losses that the former supplies are the last row.
    fuel_wh
        Energy of each of the part's fuel cells.
    losses_wh
        Losses that the former supplies.
    clean
        Whether the part is within every limit of the network.
    power_flows
        AC power flows it took.
    uses
        How the background is run.
    """

    former: Former
    orders: Orders
    delivery: Delivery
    fuel_wh: list[int]
    losses_wh: int
    clean: bool
    power_flows: int = 0
    uses: Uses = ()


def make_part_orders(case: Case, inputs: Inputs, state: State, inside: Mask) -> Orders:
    """Orders of the houses inside; those of all others are zero."""

    def only(wh: Wh) -> Wh:
        return np.where(inside, wh, 0)

    alone = Inputs(
        inputs.interval,
        only(inputs.load_wh),
        only(inputs.pv_wh),
        only(inputs.fuel_cell_wh),
        inputs.utility_ueur_per_kwh,
        select_submissions(inputs.submissions, inside),
    )
    orders = make_orders(alone, state, case.rules)
    left = only(orders.charge_left_wh), only(orders.discharge_left_wh)
    return orders._replace(charge_left_wh=left[0], discharge_left_wh=left[1], flexible_wh=only(orders.flexible_wh))


def select_submissions(rows: Rows, inside: Mask) -> Rows:
    """Submissions of the houses inside; those of all others say nothing."""
    if rows.size == 0:
        return rows
    chosen = rows.copy()
    chosen["status"][~inside] = 0
    return chosen


def make_island_orders(case: Case, inputs: Inputs, state: State, inside: Mask) -> Orders:
    """Orders in an island: own surplus still charges, but batteries discharge only after the market has cleared.

    So panels serve first, then fuel cells, and batteries last.
    """
    zero = np.zeros_like(inputs.load_wh)
    waiting = state._replace(ratings=state.ratings._replace(max_discharge_wh=zero))
    no_fuel = inputs._replace(fuel_cell_wh=zero)
    orders = make_part_orders(case, no_fuel, waiting, inside)
    limit = state.ratings.max_discharge_wh if case.rules.battery else zero
    return orders._replace(discharge_left_wh=np.where(inside, limit, 0))


def hold_island(part: Part, formers: Iterable[Former], engine_of: EngineFor) -> HeldIsland | None:
    """The part with the first former that can hold it, as much served as the wires carry; None if no former can.

    Where all that could have too little apparent power, the first of them serves the largest share within it.
    """
    trials, held = list[_Trial](), None
    for former in formers:
        trials.append(_Trial(part, former, engine_of))
        held = trials[-1].at(1.0)
        if held is not None and not held.clean:
            held = trials[-1].largest_clean()
        if held is not None:
            break
    else:
        found = (trial.largest_clean() for trial in trials if trial.is_overloaded)
        held = next((each for each in found if each is not None), None)
    return None if held is None else held._replace(power_flows=sum(trial.power_flows for trial in trials))


class _Trial:
    """Tries a part with one former; counts the power flows, and notes where its apparent power was too little."""

    def __init__(self, part: Part, former: Former, engine_of: EngineFor) -> None:
        self.part, self.former, self.engine_of = part, former, engine_of
        self.power_flows, self.is_overloaded = 0, False

    def engine(self, uses: Uses) -> AnyPowerFlow | None:
        """Power flow with the background run in some way; None if pandapower has none.

        So it is where the background alone has no solution, and where the former's bus is all that is left of the net.
        """
        try:
            return self.engine_of(self.former, uses)
        except GridError:
            return None

    def at(self, share: float) -> HeldIsland | None:
        """The part with this share of all exchanges and needs served; None if the former cannot hold it.

        Energy for the losses is held in reserve at the former and raised until it covers them.
        """
        part, former, reserve = self.part, self.former, 0
        for _ in range(_RESERVES):
            plan = _plan(part, former, share, reserve)
            if plan is None:
                return None
            uses = _list_uses(part, former, plan)
            engine = self.engine(uses)
            if engine is None:
                return None
            self.power_flows += 1
            connections = part.case.feeder.connections
            p_kw = spread_devices(plan.device_wh, part.case.interval_minutes, connections)[None]
            of_loads = _load_q_kvar(part, plan)
            at_loads = None if of_loads is None else at_device(of_loads, "load", connections)
            flow, injected_kvar = _solve_part(part, engine, plan, p_kw, at_loads)
            if not flow.converged[0]:
                return None
            lost, q_kvar = _lost_wh(part, former, engine, flow, plan)
            if lost <= plan.spare_wh:
                within = _within_apparent_power(part, former, plan, lost, q_kvar)
                if isinstance(engine, FeederPhaseFlow):
                    of_phases = engine.solve_sources(p_kw, injected_kvar)[0, _find_slack(part, former, engine)]
                    within = within and _within_phases(part, former, plan, of_phases)
                clean = judge(flow, part.case.limits).status[0] == Judgement.OK
                if not within:
                    self.is_overloaded = True
                    return None
                drawn = min(_drawn_wh(part, flow), lost)
                return _held(part, former, plan, lost, drawn, bool(clean))._replace(uses=uses)
            reserve = max(lost, reserve) + 1 + lost // 50
        return None

    def largest_clean(self) -> HeldIsland | None:
        """The part with the largest share that keeps the limits, by bisection; None if no first share does."""
        best, low, high = self._find_first_clean()
        if best is None:
            return None
        for _ in range(_BISECTIONS):
            share = (low + high) / 2
            held = self.at(share)
            if held is not None and held.clean:
                best, low = held, share
            else:
                high = share
        return best

    def _find_first_clean(self) -> tuple[HeldIsland | None, float, float]:
        """A clean share, and the shares between which the search goes on.

        In the balanced model less is never worse, so that 0 is asked. With phases it can be: shares are asked from the
        largest down.
        """
        parts = 1 if self.part.case.feeder.connections is None else _PARTS
        for k in range(parts - 1, -1, -1):
            held = self.at(k / parts)
            if held is not None and held.clean:
                return held, k / parts, (k + 1) / parts
        return None, 0.0, 0.0


class _Plan(NamedTuple):
    """A dispatch before losses: the market's rows as delivered, what houses still need, and the local dispatch.

    `device_wh` is what each kind of device injects, (N,), losses aside, `spare_wh` the energy that the former has left
    for these, `background` what goes to the net's own elements.
    """

    rows: Rows
    need_wh: Wh
    local: LocalDispatch
    device_wh: dict[str, Wh]
    spare_wh: int
    background: BackgroundPlan | None = None


def _plan(part: Part, former: Former, share: float, reserve_wh: int) -> _Plan | None:
    """Dispatch with `reserve_wh` held in reserve at the former; None if it has less, or not enough for the background.

    Where load of a higher rank would be shed, what lower ranks have bought of others' surplus serves it instead.
    """
    rows = part.rows[~np.isin(part.rows["kind"], [int(kind) for kind in _GRID_KINDS])].copy()
    shares = np.zeros(part.inside.size)
    shares[part.inside] = spread_share(share, part.rank[part.inside])
    uses = np.isin(rows["kind"], _USED_BY_BUYERS)
    buyer = np.where(uses, rows["buyer"], 0)  # whoever else takes part in a row is no house
    of_row = np.where(uses, shares[buyer], shares[part.inside].min(initial=1.0))
    rows["delivered_wh"] = np.floor(rows["cleared_wh"] * of_row)
    if part.background is not None:
        part = replace(part, background=part.background.with_share(share))
    plan = _dispatch(part, former, rows, shares, reserve_wh)
    if plan is None:
        return None
    short = part.rank[plan.need_wh > plan.local.served_wh]
    outranked = np.isin(rows["kind"], _FROM_SURPLUS) & (part.rank[buyer] < short.max(initial=-1))
    if not (outranked & (rows["delivered_wh"] > 0)).any():
        return plan
    rows["delivered_wh"][outranked] = 0
    return _dispatch(part, former, rows, shares, reserve_wh)


def _dispatch(part: Part, former: Former, rows: Rows, shares: Floats, reserve_wh: int) -> _Plan | None:
    """Local dispatch beside the market's rows as they are delivered; None if the former has less than its reserve."""
    orders, n, delivered = part.orders, part.inside.size, rows["delivered_wh"]
    left, missing = find_undelivered(rows, delivered, n)
    need, surplus = missing, left
    for kind, party, total in (
        (Kind.GRID_IMPORT, "buyer", need),
        (Kind.GRID_EXPORT, "seller", surplus),
        (Kind.SPILL, "seller", surplus),
    ):
        chosen = part.rows[part.rows["kind"] == kind]
        np.add.at(total, chosen[party], chosen["cleared_wh"])
    room, release = find_battery_room(orders, part.state, rows, delivered)
    cells = list(part.fuel_cells)
    if former.cell < 0:
        if release[former.house] < reserve_wh:
            return None
        usable = release.copy()
        usable[former.house] -= reserve_wh
    else:
        usable = release
        cell = cells[former.cell]
        if cell.high_wh - reserve_wh < cell.low_wh:
            return None
        cells[former.cell] = cell._replace(high_wh=cell.high_wh - reserve_wh, may_stop=False)
    served_before = orders.load_wh - need
    critical = np.clip(part.critical_wh - served_before, 0, need)
    charge = orders.charge_wh.copy()
    charge[former.house] = 0  # the former keeps its charge, so that it can hold the next interval too
    sources = Sources(surplus, cells, usable, np.where(part.inside, room, 0), charge, part.spare_wh)
    background = None
    if part.background is None:
        local = dispatch_locally(critical, need - critical, sources, shares, part.rank)
    else:
        found = dispatch_with_background(part.background, critical, need - critical, sources, shares, part.rank)
        if found is None:
            return None
        local, background = found
    spare = (
        int(release[former.house] - local.released_wh[former.house])
        if former.cell < 0
        else part.fuel_cells[former.cell].high_wh - local.fuel_wh[former.cell]
    )
    return _Plan(rows, need, local, _device_wh(part, rows, delivered, need, local), spare, background)


def _device_wh(part: Part, rows: Rows, delivered: Wh, need: Wh, local: LocalDispatch) -> dict[str, Wh]:
    """Energy that each kind of device of each house injects, losses aside."""
    orders = part.orders
    fuel = np.zeros_like(need)
    for cell, wh in zip(part.fuel_cells, local.fuel_wh, strict=True):
        fuel[cell.house] += wh
    charge = orders.charge_wh + local.absorbed_wh
    discharge = orders.discharge_wh + local.released_wh
    for kind, flow in ((Kind.SHARE_STORE, charge), (Kind.LOT_SALE, discharge)):
        chosen = rows["kind"] == kind
        np.add.at(flow, rows["host"][chosen], delivered[chosen])
    served = orders.load_wh - need + local.served_wh
    panels = orders.pv_wh - local.spilled_wh
    return {"load": -served, "pv": panels, "battery": discharge - charge, "fuel_cell": fuel}


def _load_q_kvar(part: Part, plan: _Plan) -> Floats | None:
    """Reactive injection of the loads that are served, (1, N) kvar, supplied by the former; None without any."""
    reactive = part.case.load_reactive
    if reactive is None:
        return None
    served = part.orders.load_wh - plan.need_wh + plan.local.served_wh
    return np.asarray(reactive.drawn_var(served, part.orders.interval)[None] / -1000.0)


def _solve_part(
    part: Part, engine: AnyPowerFlow, plan: _Plan, p_kw: Floats, at_loads: Floats | None
) -> tuple[Flow, Floats | None]:
    """AC solution of a plan, and all reactive injections of it, (1, C) kvar: of its loads and of its inverters."""
    case = part.case
    if case.control is None:
        return engine.solve(p_kw, at_loads), at_loads
    panels_kw = mean_kw(plan.device_wh["pv"], case.interval_minutes)[None]
    flow, q_kvar = solve_inverters(case, engine, p_kw, panels_kw, at_loads, part.inside)
    return flow, q_kvar if at_loads is None else q_kvar + at_loads


def _list_uses(part: Part, former: Former, plan: _Plan) -> Uses:
    """How a plan runs the background."""
    if part.background is None or plan.background is None:
        return ()
    return part.background.list_uses(int(part.case.feeder.bus[former.house]), plan.background.used_wh)


def _lost_wh(part: Part, former: Former, engine: AnyPowerFlow, flow: Flow, plan: _Plan) -> tuple[int, float]:
    """What the former supplies beyond a plan, in whole Wh, and its reactive power.

    These are the losses of the part, and what its own elements draw that goes with the voltage.
    """
    slack = _find_slack(part, former, engine)
    hours = part.case.interval_minutes / 60.0
    injected_wh = int(sum(wh.sum() for wh in plan.device_wh.values()))
    if part.background is not None and plan.background is not None:
        injected_wh += plan.background.used_wh - part.background.load_wh
    lost_kw = float(flow.p_slack_kw[0, slack]) + float(injected_wh) / 1000.0 / hours
    return max(round(lost_kw * hours * 1000.0), 0), float(flow.q_slack_kvar[0, slack])


def _drawn_wh(part: Part, flow: Flow) -> int:
    """What the background draws beyond its constant loads, Wh."""
    if part.background is None:
        return 0
    vm_pu = flow.vm_pu[:, :: len(part.case.feeder.conductors("bus"))]
    return part.background.drawn_wh(vm_pu, part.case.interval_minutes)


def _find_slack(part: Part, former: Former, engine: AnyPowerFlow) -> int:
    """Place of the former among an engine's sources."""
    return int(np.flatnonzero(engine.slack_bus == int(part.case.feeder.bus[former.house]))[0])


def _within_apparent_power(part: Part, former: Former, plan: _Plan, lost_wh: int, q_kvar: float) -> bool:
    """Whether the former's apparent power is within its inverter's rating."""
    energy, s_kva = _rate_former(part, former, plan)
    p_kw = abs(energy + lost_wh) / 1000.0 / (part.case.interval_minutes / 60.0)
    return bool(np.hypot(p_kw, q_kvar) <= s_kva)


def _within_phases(part: Part, former: Former, plan: _Plan, source_kva: Complex) -> bool:
    """Whether each phase of the former is within a third of its inverter's rating.

    To a third of what it injects by the plan comes what the source at its bus supplies, (3,) kVA.
    """
    energy, s_kva = _rate_former(part, former, plan)
    planned = energy / 1000.0 / (part.case.interval_minutes / 60.0) / 3.0
    return bool((np.abs(planned + source_kva) <= s_kva / 3.0).all())


def _rate_former(part: Part, former: Former, plan: _Plan) -> tuple[int, float]:
    """What the former delivers by a plan, losses aside, Wh, and its rated apparent power, kVA."""
    hours = part.case.interval_minutes / 60.0
    if former.cell >= 0:
        energy, rated = plan.local.fuel_wh[former.cell], part.fuel_cells[former.cell].high_wh
    else:
        house = former.house
        sold = plan.rows["delivered_wh"][(plan.rows["kind"] == Kind.LOT_SALE) & (plan.rows["host"] == house)].sum()
        out = int(part.orders.discharge_wh[house] + plan.local.released_wh[house] + sold)
        energy = out - int(part.orders.charge_wh[house] + plan.local.absorbed_wh[house])
        rated = int(part.state.ratings.max_discharge_wh[house])
    return int(energy), rated / 1000.0 / hours / part.case.scenario.battery.inverter_cos_phi


def _held(part: Part, former: Former, plan: _Plan, lost_wh: int, drawn_wh: int, clean: bool) -> HeldIsland:
    """A plan in its final form: the former supplies `lost_wh`, of which `drawn_wh` goes to the net's own elements."""
    local, orders = plan.local, part.orders
    bus = int(part.case.feeder.bus[former.house])
    cut = plan.rows["delivered_wh"] < plan.rows["cleared_wh"]
    plan.rows["status"][cut] = np.where(plan.rows["delivered_wh"][cut] > 0, int(Status.CURTAILED), int(Status.REJECTED))
    plan.rows["reason"][cut], plan.rows["element"][cut] = Reason.ISLAND_LIMIT, bus
    fuel_wh, fuel, released = list(local.fuel_wh), np.zeros_like(orders.load_wh), local.released_wh.copy()
    if former.cell < 0:
        released[former.house] += lost_wh
    else:
        fuel_wh[former.cell] += lost_wh
    for cell, wh in zip(part.fuel_cells, fuel_wh, strict=True):
        fuel[cell.house] += wh
    rows = np.concatenate(
        [
            plan.rows,
            make_transfer_rows(part, plan, local),
            make_residual_rows(orders, Kind.SPILL, local.spilled_wh, Reason.ISLAND_LIMIT, bus),
            make_residual_rows(orders, Kind.SHED, plan.need_wh - local.served_wh, Reason.ISLAND_LIMIT, bus),
            *_list_background_rows(part, former, plan, drawn_wh),
            make_loss_row(orders, former.house, lost_wh - drawn_wh),
        ]
    )
    delivery = Delivery(rows, local.absorbed_wh, released)
    return HeldIsland(former, orders._replace(fuel_cell_wh=fuel), delivery, fuel_wh, lost_wh - drawn_wh, clean)


def _list_background_rows(part: Part, former: Former, plan: _Plan, drawn_wh: int) -> list[Rows]:
    """Exchanges with the net's own elements, if there are any."""
    if plan.background is None:
        return []
    return [make_background_rows(plan.background, part.orders.interval, former.house, part.inside.size, drawn_wh)]


def make_transfer_rows(part: Part, plan: _Plan, local: LocalDispatch) -> Rows:
    """Local dispatch as exchanges: sold where the buyer's wallet covers the price, else given for nothing."""
    orders = part.orders
    wallet = part.state.wallet_neur.copy()
    paid = plan.rows["delivered_wh"] * plan.rows["price_ueur_per_kwh"]
    buys = np.isin(plan.rows["kind"], [int(Kind.P2P), int(Kind.LOT_SALE)])
    np.subtract.at(wallet, plan.rows["buyer"][buys], paid[buys])
    rows = np.zeros(len(local.transfers), EXCHANGE)
    for row, (seller, buyer, wh) in zip(rows, local.transfers, strict=True):
        cost = wh * orders.price_ueur_per_kwh
        sold = cost <= wallet[buyer]
        row["kind"] = Kind.P2P if sold else Kind.SHARE_USE
        row["seller"], row["buyer"], row["host"] = seller, buyer, seller if sold else buyer
        row["cleared_wh"] = row["delivered_wh"] = wh
        row["price_ueur_per_kwh"] = orders.price_ueur_per_kwh if sold else 0
        row["reason"] = Reason.MAKES_UP
        wallet[buyer] -= cost if sold else 0
    rows["interval"], rows["element"], rows["lot"] = orders.interval, NOBODY, NOBODY
    return rows


def make_residual_rows(orders: Orders, kind: Kind, wh: Wh, reason: Reason, element: int | Wh) -> Rows:
    """One row for each house whose generation is spilled or whose load is shed."""
    houses = np.flatnonzero(wh)
    rows = np.zeros(houses.size, EXCHANGE)
    rows["kind"], rows["reason"], rows["interval"] = kind, reason, orders.interval
    rows["seller"], rows["buyer"] = (houses, NOBODY) if kind == Kind.SPILL else (NOBODY, houses)
    rows["host"], rows["lot"] = NOBODY, NOBODY
    rows["element"] = np.broadcast_to(element, wh.shape)[houses]
    rows["delivered_wh"] = wh[houses]
    return rows


def make_loss_row(orders: Orders, seller: int, lost_wh: int) -> Rows:
    """Losses that the operator buys from the former at the utility price."""
    row = np.zeros(1, EXCHANGE)
    row["kind"], row["interval"], row["seller"], row["buyer"] = Kind.LOSS, orders.interval, seller, OPERATOR
    row["host"] = row["element"] = row["lot"] = NOBODY
    row["cleared_wh"] = row["delivered_wh"] = lost_wh
    row["price_ueur_per_kwh"] = orders.utility_ueur_per_kwh
    return row


def deliver_nothing_dark(part: Part) -> Delivery:
    """Delivery in a dark part: all generation is spilled, all load is shed."""
    orders, bus = part.orders, part.case.feeder.bus
    rows = [
        make_residual_rows(orders, Kind.SPILL, orders.pv_wh, Reason.DARK, bus),
        make_residual_rows(orders, Kind.SHED, orders.load_wh, Reason.DARK, bus),
    ]
    return Delivery(np.concatenate(rows), -orders.charge_wh, -orders.discharge_wh)
