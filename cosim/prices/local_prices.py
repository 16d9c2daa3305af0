"""Local prices of a scenario's intervals: what one kWh more of load costs at each node, in three parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.case.head import check_no_head
from cosim.case.state import NetworkState
from cosim.case.voltage_control import check_without_voltage_control
from cosim.curtailment.search import Problem, try_deliveries
from cosim.delivery.window import make_orders_at
from cosim.errors import ScenarioError
from cosim.interrupts.stop import stop_between_lines
from cosim.interval.event import with_admitted_devices
from cosim.interval.fold import run_intervals
from cosim.prices.binding import name_limit
from cosim.prices.nodes import Nodes, make_nodes
from cosim.prices.optimum import NotPriced, Sought, find_optimum
from cosim.prices.parts import NodePrices, find_node_prices
from cosim.prices.resources import Costs, make_resources
from cosim.results.tables import interval_times
from cosim.scenario.model import Scenario
from grid_models.feeder.feeder import Feeder
from market.exchanges import NOBODY, UEUR_PER_EUR, Reason
from market.settlement import deliver_all
from market.state import State

MOST_EUR_PER_KWH = 1000.0
"""Largest value of lost load, and of waiting, that is taken."""

EVENT = "an outage, or a device that joins or leaves, is on"

PARTS = ("price", "energy", "loss", "congestion")
COLUMNS = ("time", "interval", "bus", "node", "phase", "houses", *(f"{part}_ueur_per_kwh" for part in PARTS), "binding")
"""Of the table of prices."""
LIMIT_COLUMNS = (
    *("time", "interval", "element_type", "element", "name", "phase", "quantity", "limit", "eur_per_h_per_percent"),
)
"""Of the table of limits that bind."""


@dataclass(frozen=True, eq=False)
class LocalPrices:
    """Local prices of some intervals.

    Attributes
    ----------
    table
        A row for each interval and node, in the columns of `COLUMNS`; energy + loss + congestion = price, in whole
        µEUR/kWh. `binding` names the limit with the largest part in the congestion there.
    limits
        A row for each limit that binds; one per cent more of it saves `eur_per_h_per_percent`.
    not_priced
        Intervals without a price and why: `interval`, `time`, `reason`.
    notes
        What is left out.
    costs
        What giving way costs.
    net
        The pandapower net.
    """

    table: pd.DataFrame
    limits: pd.DataFrame
    not_priced: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    costs: Costs
    net: Any

    @property
    def summary(self) -> dict[str, Any]:
        """Counts and ranges, JSON-ready."""
        price, congestion = (self.table[f"{name}_ueur_per_kwh"] for name in ("price", "congestion"))
        priced = self.table["interval"].nunique()
        congested = self.table.loc[congestion != 0, "interval"].nunique()
        keys = ["element_type", "name", "phase", "quantity"]
        of_limits = Counter(self.limits[keys].itertuples(index=False, name=None))
        return {
            "intervals": priced + len(self.not_priced),
            "priced": priced,
            "congested": congested,
            "lowest_ueur_per_kwh": int(price.min()) if priced else None,
            "highest_ueur_per_kwh": int(price.max()) if priced else None,
            "lost_load_eur_per_kwh": self.costs.lost_load,
            "waiting_eur_per_kwh": self.costs.waiting,
            "binding": [
                {**dict(zip(keys, limit, strict=True)), "intervals": n} for limit, n in of_limits.most_common()
            ],
            "not_priced": [dict(each) for each in self.not_priced],
            "notes": list(self.notes),
        }

    def list_ranges(self) -> Iterator[dict[str, Any]]:
        """Of each interval its number, time, prices at the head, lowest and highest, and the limits that bind."""
        for number, rows in self.table.groupby("interval"):
            price, at = rows["price_ueur_per_kwh"], rows.iloc[0]
            limits = dict.fromkeys(filter(None, rows["binding"]))
            yield {
                "interval": number,
                "time": at["time"],
                "head_ueur": int(at["energy_ueur_per_kwh"]),
                "lowest_ueur": int(price.min()),
                "highest_ueur": int(price.max()),
                "binding": list(limits),
            }


class _Interval(NamedTuple):
    """An interval as cleared, None where an event is on."""

    number: int
    problem: Problem | None


@stop_between_lines()
def find_local_prices(
    scenario: Scenario,
    *,
    first: int = 0,
    n_intervals: int = 24,
    lost_load_eur_per_kwh: float | None = None,
    waiting_eur_per_kwh: float | None = None,
) -> LocalPrices:
    """Local prices of a scenario's feeder in some of its intervals.

    The price of a node is what one kWh more of load there adds to the least cost of serving the interval: energy at the
    utility's price, panels that give up generation for nothing, devices that wait and buy later, load that is shed at
    the value of lost load, within the limits of the AC power flow. Intervals follow one another as in a run.

    Parameters
    ----------
    scenario
        Network, limits, houses and market.
    first, n_intervals
        First interval, and how many follow.
    lost_load_eur_per_kwh
        Value of lost load of a house of normal priority; that of the scenario's `outage.lost_load_eur_per_kwh` if left
        out, 10 where that says none.

    waiting_eur_per_kwh
        What a device that can wait is paid for it, above the larger of the prices of now and of later; 0.05 if left
        out.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used, or the scenario has something that prices would leave out.

    Examples
    --------
    >>> found = find_local_prices(Scenario(), n_intervals=1)
    >>> parts = found.table[["energy_ueur_per_kwh", "loss_ueur_per_kwh", "congestion_ueur_per_kwh"]]
    >>> bool((parts.sum(axis=1) == found.table["price_ueur_per_kwh"]).all())
    True
    """
    check_can_be_priced(scenario)
    case = build_case(scenario)
    _check_intervals(case, first, n_intervals)
    costs = choose_costs(scenario, lost_load_eur_per_kwh, waiting_eur_per_kwh)
    nodes: Nodes | None = None
    tables, limits, not_priced = [], [], []
    for number, problem in list_cleared(case, first, n_intervals):
        time = pd.Timestamp(interval_times(case, np.array([number]))[0].as_py())
        if problem is None:
            not_priced.append({"interval": number, "time": time.isoformat(), "reason": EVENT})
            continue
        sought = prepare_interval(problem, costs)
        optimum = find_optimum(sought)
        if isinstance(optimum, NotPriced):
            not_priced.append({"interval": number, "time": time.isoformat(), "reason": optimum.reason})
            continue
        if nodes is None:
            at = optimum.response.vm_pu.reshape(len(case.feeder.net.bus), -1)
            nodes = make_nodes(case.feeder, np.flatnonzero(np.isfinite(at).all(axis=1)))
        prices = find_node_prices(sought, optimum, nodes)
        tables.append(make_price_table(case, nodes, prices).assign(time=time, interval=number))
        limits.append(make_limit_table(case, prices).assign(time=time, interval=number))
    return LocalPrices(
        _join(tables, COLUMNS),
        _join(limits, LIMIT_COLUMNS),
        tuple(not_priced),
        list_left_out(case),
        costs,
        case.feeder.net,
    )


def check_can_be_priced(scenario: Scenario) -> None:
    """Raise ScenarioError where a scenario has something that prices would leave out."""
    who = "local prices"
    check_no_head(scenario, who)
    check_without_voltage_control(scenario, f"{who}, which know one position of taps and all power of panels")
    for key, asked, expected, why in (
        ("pv.control", scenario.pv.control, ("none",), "know no reactive power of inverters"),
        ("market.network", scenario.market.network, ("after",), "are of orders that no envelope has clipped"),
        ("network.model", scenario.network.model, ("balanced", "three_phase"), "know no neutral of its own"),
    ):
        if asked not in expected:
            raise ScenarioError(
                f"scenario '{scenario.name}', {key}: expected {' or '.join(expected)} for {who}, which {why}, got "
                f"{asked}; change it"
            )


def choose_costs(scenario: Scenario, lost_load: float | None, waiting: float | None) -> Costs:
    """Costs as asked; what is left out is the scenario's or the default.

    Raises
    ------
    ScenarioError
        If one is not a number from 0 to 1,000 EUR/kWh, or load is lost for nothing.

    Examples
    --------
    >>> choose_costs(Scenario(), None, 0.1)
    Costs(lost_load=10.0, waiting=0.1)
    """
    of_scenario = scenario.outage.lost_load_eur_per_kwh
    asked = {"lost_load": of_scenario if lost_load is None else lost_load, "waiting": waiting}
    costs = Costs(**{name: value for name, value in asked.items() if value is not None})
    for name, value, least in (("lost-load", costs.lost_load, 1e-3), ("waiting", costs.waiting, 0.0)):
        if not least <= value <= MOST_EUR_PER_KWH:
            raise ScenarioError(
                f"--{name}-eur-per-kwh: expected {least:g} to {MOST_EUR_PER_KWH:g}, got {value:g}; correct it, or the "
                "scenario's outage.lost_load_eur_per_kwh"
            )
    return costs


def _check_intervals(case: Case, first: int, n_intervals: int) -> None:
    total = case.n_intervals
    if not (0 <= first < total and 1 <= n_intervals <= total - first):
        raise ScenarioError(
            f"scenario '{case.scenario.name}': expected intervals within 0 to {total - 1}, got {n_intervals} from "
            f"{first} on; choose others, or a longer horizon"
        )


def list_cleared(case: Case, first: int, n_intervals: int) -> Iterator[_Interval]:
    """Intervals as cleared, in their order; what was delivered in those before is as in a run."""
    state, network = case.opening, case.opening_network
    for chunk in run_intervals(case, state, stop=first) if first else ():
        state, network = chunk.window.state, chunk.network
    for t in range(first, first + n_intervals):
        yield _Interval(t, _clear(case, state, network, t))
        for chunk in run_intervals(case, state, t, network, t + 1):
            state, network = chunk.window.state, chunk.network


def _clear(case: Case, state: State, network: NetworkState, t: int) -> Problem | None:
    """An interval as cleared, as if the network carried all of it; None where an event is on."""
    if case.timeline.has_event[t] or not network.is_normal:
        return None
    case = with_admitted_devices(case, network)
    orders, before = make_orders_at(case.inputs, t, t, state, case.rules)
    rows = case.mechanism.clear(orders, before, case.rules).rows
    whole = try_deliveries(case, orders, before, [deliver_all(rows, orders.need_wh.size)]).at(0)
    return Problem(case, orders, before, rows, whole.settlement.meters, Reason.NONE, int(NOBODY))


def prepare_interval(problem: Problem, costs: Costs) -> Sought:
    """The problem whose optimum prices an interval as cleared."""
    case, head = problem.case, int(problem.orders.utility_ueur_per_kwh) / UEUR_PER_EUR
    return Sought(case.engine, case.limits, make_resources(problem, costs), head)


def make_price_table(case: Case, nodes: Nodes, prices: NodePrices) -> pd.DataFrame:
    """Prices of an interval, a row a node."""
    index, names = case.feeder.labels["bus"]
    name_of = dict(zip(index, names, strict=True))
    houses = _list_houses(case.feeder)
    worst = _describe_worst(case, prices)
    parts = zip(PARTS, (prices.price, prices.energy, prices.loss, prices.congestion), strict=True)
    return pd.DataFrame(
        {
            "bus": nodes.bus,
            "node": [name_of[int(bus)] or f"bus {bus}" for bus in nodes.bus],
            "phase": nodes.phase,
            "houses": [houses.get(int(bus), "") for bus in nodes.bus],
            **{f"{part}_ueur_per_kwh": values for part, values in parts},
            "binding": worst,
        }
    )


def _list_houses(feeder: Feeder) -> dict[int, str]:
    """Participants at each bus, with semicolons between them."""
    found: dict[int, list[str]] = {}
    for name, bus in zip(feeder.participants, feeder.bus.tolist(), strict=True):
        found.setdefault(bus, []).append(name)
    return {bus: "; ".join(names) for bus, names in found.items()}


def _describe_worst(case: Case, prices: NodePrices) -> list[str]:
    """For each node the limit with the largest part in its congestion; empty where there is none."""
    if prices.limit.size == 0:
        return [""] * prices.energy.size
    names = [str(name_limit(case.feeder, case.limits, int(number))) for number in prices.limit]
    worst = np.abs(prices.part).argmax(axis=0)
    return [names[k] if congestion else "" for k, congestion in zip(worst, prices.congestion, strict=True)]


def make_limit_table(case: Case, prices: NodePrices) -> pd.DataFrame:
    """Binding limits of an interval, a row each."""
    named = [name_limit(case.feeder, case.limits, int(number)) for number in prices.limit]
    rows = [
        (*name[:4], name.quantity, name.value, multiplier * name.scale)
        for name, multiplier in zip(named, prices.multiplier.tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(LIMIT_COLUMNS[2:]))


def _join(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    some = [table for table in tables if len(table)]
    if not some:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return pd.concat(some, ignore_index=True)[list(columns)]


def list_left_out(case: Case) -> tuple[str, ...]:
    """What is not free to change in the optimum, as remarks; nothing where there is none."""
    said = ["fuel cells do what they do as cleared"] if case.inputs.fuel_cell_wh.any() else []
    batteries = ["batteries do what they do as cleared"] if case.capacity_wh.any() else []
    charges = ["network charges are not in the prices"] if case.terms is not None else []
    return tuple(batteries + said + charges)
