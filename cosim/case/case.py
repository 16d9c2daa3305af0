"""A case: everything a run needs, built once from a scenario and frozen."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from cosim.case.batteries import ratings_of
from cosim.case.control import control_of
from cosim.case.devices import devices_of
from cosim.case.fleet import Fleet
from cosim.case.inputs import read_feeder, read_inputs
from cosim.case.state import ADMITTED, NetworkState, make_opening_network
from cosim.case.timeline import Timeline, make_timeline
from cosim.delivery.setpoints import mean_kw
from cosim.delivery.window import InputSeries
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.limits import Limits
from grid_models.response.reactive_control import Control
from market.exchanges import NEUR_PER_EUR, UEUR_PER_EUR
from market.mechanisms import Mechanism, mechanism
from market.rules import Arrival, Pricing, Rules, check_rules
from market.state import State, opening_state
from market.storage import Wh


@dataclass(frozen=True, eq=False)
class MarketCase:
    """The market's side of a case; enough to run a market without a network.

    Attributes
    ----------
    scenario
        The scenario it was built from.
    profiles, supply
        Inputs as read, and the same as the market takes them.
    mechanism, rules
        The market.
    opening
        State before the first interval.
    capacity_wh
        (N,) capacities of the participants' batteries, then.
    fleet, timeline
        Devices beside the houses' own, and the events.
    opening_network
        What outages carry, before the first interval.
    """

    scenario: Scenario
    profiles: Profiles
    supply: InputSeries
    mechanism: Mechanism
    rules: Rules
    opening: State
    capacity_wh: Wh
    fleet: Fleet
    timeline: Timeline
    opening_network: NetworkState

    @property
    def interval_minutes(self) -> int:
        """Length of an interval."""
        return self.profiles.interval_minutes

    @property
    def compensation_ueur_per_kwh(self) -> int:
        """What the operator pays for energy lost to curtailment."""
        return round(self.scenario.curtailment.compensation_eur_per_kwh * UEUR_PER_EUR)

    @property
    def n_intervals(self) -> int:
        """Number of intervals T."""
        return self.profiles.n_intervals


@dataclass(frozen=True, eq=False)
class Case(MarketCase):
    """Everything a run needs.

    Attributes
    ----------
    feeder, engine, limits
        The network, its power flow and what it must keep.
    control
        Reactive power of the PV inverters; None where they have none.
    """

    feeder: Feeder
    engine: PowerFlow
    limits: Limits
    control: Control | None


def build_market(scenario: Scenario) -> MarketCase:
    """Read the market's inputs of a scenario.

    Raises
    ------
    ScenarioError, data.errors.DataError, market.errors.MarketError
        If an input cannot be used.
    """
    market = mechanism(scenario.market.mechanism)
    rules = rules_of(scenario, market)
    profiles, capacity_wh = read_inputs(scenario)
    return market_case(scenario, profiles, capacity_wh, market, rules)


def market_case(
    scenario: Scenario,
    profiles: Profiles,
    capacity_wh: Wh,
    market: Mechanism,
    rules: Rules,
) -> MarketCase:
    """Market case of profiles and battery capacities, (N,) Wh, that are already at hand."""
    check_priorities(scenario, profiles.participants)
    ratings = ratings_of(scenario, capacity_wh)
    wallets = np.full(profiles.n_participants, round(scenario.houses.wallet_eur * NEUR_PER_EUR))
    opening = opening_state(ratings.soc_min_wh, wallets, ratings)
    devices = devices_of(scenario, profiles.participants, capacity_wh)
    timeline = make_timeline(scenario, profiles, devices)
    outage = make_opening_network(
        profiles.n_participants, len(timeline.outages), devices, sum(map(len, timeline.requests.values()))
    )
    fleet = Fleet(devices, profiles)
    supply = fleet.supply(outage.standing)
    return MarketCase(
        scenario, profiles, supply, market, rules, opening, capacity_wh, fleet, timeline, outage
    )


def build_case(scenario: Scenario) -> Case:
    """Read the inputs of a scenario and build everything a run needs.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    market = build_market(scenario)
    return with_network(market, read_feeder(scenario, market.profiles.participants))


def with_network(market: MarketCase, feeder: Feeder) -> Case:
    """Case of a market on a feeder, with the scenario's limits."""
    parts = {field.name: getattr(market, field.name) for field in fields(market)}
    limits = Limits.of(feeder, **market.scenario.limits.model_dump())
    everything = np.full(len(market.fleet.devices), ADMITTED, np.int8)
    largest_wh = market.fleet.supply(everything).pv_wh.max(axis=0)
    control = control_of(market.scenario.pv, mean_kw(largest_wh, market.interval_minutes))
    return Case(**parts, feeder=feeder, engine=PowerFlow(feeder), limits=limits, control=control)


def rules_of(scenario: Scenario, market: Mechanism) -> Rules:
    """Market section in integers: per mille, per million, intervals, µEUR/kWh."""
    section = scenario.market
    intervals_per_hour = 60 // scenario.horizon.interval_minutes
    return check_rules(
        Rules(
            mechanism=market.code,
            battery=int(market.uses_battery),
            pricing=int(Pricing[section.pricing.upper()]),
            fixed_price_ueur_per_kwh=round(section.fixed_price_eur_per_kwh * UEUR_PER_EUR),
            feed_in_numerator=round(section.feed_in_ratio * 300_000),
            feed_in_denominator=300_000,
            feed_in=int(section.feed_in),
            fee_permille=round(section.fee * 1000) if market.charges_fee else 0,
            beta_permille=round(section.beta * 1000),
            selfish_beta_permille=round(section.selfish_beta * 1000),
            tau_intervals=section.tau_hours * intervals_per_hour,
            arrival=int(Arrival[section.arrival.upper()]),
            seed=scenario.seed,
        )
    )


def check_priorities(scenario: Scenario, participants: tuple[str, ...]) -> None:
    """Raise ScenarioError if a priority names nobody."""
    for name in scenario.curtailment.priority:
        if name not in participants:
            raise ScenarioError(
                f"curtailment.priority: expected names of participants such as {', '.join(participants[:3])}, "
                f"got '{name}'; correct the name or leave it out"
            )
