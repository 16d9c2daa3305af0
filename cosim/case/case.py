"""A case: everything a run needs, checked and built once from a scenario, and then frozen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosim.case.batteries import make_ratings
from cosim.case.charges import check_areas, check_charges, make_terms
from cosim.case.checks import (
    check_characteristic,
    check_envelopes,
    check_islands,
    check_memory,
    check_outages,
    check_priorities,
    check_sources,
    check_split,
)
from cosim.case.connections import connect
from cosim.case.control import make_control
from cosim.case.devices import list_devices
from cosim.case.event_checks import check_retirements, list_cut_events
from cosim.case.fleet import Fleet
from cosim.case.flexible import make_flexible_devices, make_opening_rows
from cosim.case.given import GivenInputs
from cosim.case.head import HeadOfCase, make_head_of_case, read_head
from cosim.case.heat_pumps import read_own_temperatures
from cosim.case.houses import list_rows, with_houses
from cosim.case.idle_keys import check_idle_keys, list_idle_batteries, list_idle_dimming
from cosim.case.inputs import follow_file, list_spread, read_feeder, read_inputs, read_load_cos_phi
from cosim.case.power_factors import check_one_source, with_notes_on_reactive_power
from cosim.case.state import ADMITTED, NetworkState, make_opening_network
from cosim.case.timeline import Timeline, make_timeline
from cosim.case.voltage_control import (
    check_voltage_control,
    make_active_control,
    make_tap_changers,
    with_tap_keys,
)
from cosim.delivery.reactive import LoadReactive, make_load_reactive
from cosim.delivery.setpoints import mean_kw
from cosim.delivery.window import InputSeries
from cosim.scenario.model import Scenario
from data.profiles import Profiles
from grid_models.arrays import Floats, Places
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits
from grid_models.response.active_control import ActiveControl
from grid_models.response.reactive_control import Control
from grid_models.response.sensitivity import AnyPowerFlow, make_engine
from grid_models.response.tap_changer import NO_TAPS, TapChangers, TapState
from market.charges import Terms, begin_period
from market.exchanges import NEUR_PER_EUR, UEUR_PER_EUR, Rows
from market.mechanisms import Mechanism, find_mechanism
from market.rules import Arrival, Pricing, Rules, check_rules
from market.state import NO_FLEXIBLE, State, make_opening_state
from market.storage import Wh

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class MarketCase:
    """The market's side of a case; enough to run a market without a network.

    Attributes
    ----------
    scenario
        The scenario it was built from.
    profiles
        Load, generation and prices as read, T intervals of N participants.
    inputs
        The same with the devices that are there from the first interval, as the market takes them.
    mechanism, rules
        The market.
    opening
        State before the first interval.
    capacity_wh
        (N,) capacities of the participants' own batteries, Wh.
    fleet, timeline
        Devices beside the houses' own, and the events.
    opening_network
        State of network and devices before the first interval.
    """

    scenario: Scenario
    profiles: Profiles
    inputs: InputSeries
    mechanism: Mechanism
    rules: Rules
    opening: State
    capacity_wh: Wh
    fleet: Fleet
    timeline: Timeline
    opening_network: NetworkState

    @property
    def interval_minutes(self) -> int:
        """Length of an interval, minutes."""
        return self.profiles.interval_minutes

    @property
    def compensation_ueur_per_kwh(self) -> int:
        """What the network operator pays for energy lost to curtailment, µEUR/kWh."""
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
    load_reactive
        Reactive power of the loads; None where they have none.
    active
        P(V) of the PV inverters; None where they do not reduce their power.
    taps, tap_state
        On-load tap changers, None without any, and where they stand before the interval that is run.
    head
        Voltages of the feeder's head, and limits there, in each interval; None where they are those of the net.
    terms
        What the use of the network costs in each interval; None where nothing is charged.
    given
        What another simulator gives in place of the profiles; None where none does.
    """

    feeder: Feeder
    engine: AnyPowerFlow
    limits: Limits
    control: Control | None
    load_reactive: LoadReactive | None = None
    active: ActiveControl | None = None
    taps: TapChangers | None = None
    tap_state: TapState = NO_TAPS
    head: HeadOfCase | None = None
    terms: Terms | None = None
    given: GivenInputs | None = None

    def at(self, first: int, stop: int) -> Case:
        """The case with its head as it is in intervals first … stop-1; a limit there holds for one interval alone."""
        if self.head is None:
            return self
        limits = self.head.limits(self.limits, first) if stop == first + 1 else self.limits
        return replace(self.at_each(np.arange(first, stop)), limits=limits)

    def at_each(self, intervals: Places) -> Case:
        """The case with the voltages of its head in some intervals, (K,), which are solved together."""
        return self if self.head is None else replace(self, engine=self.head.engine(intervals))


def build_market(scenario: Scenario, given: Profiles | None = None) -> MarketCase:
    """Read the market's inputs of a scenario, whose profiles may be `given` already.

    Raises
    ------
    ScenarioError, data.errors.DataError, market.errors.MarketError
        If an input cannot be used.
    """
    market = find_mechanism(scenario.market.mechanism)
    scenario, understood = with_houses(scenario)  # first: some keys have an effect by what the table says
    check_idle_keys(scenario, market)
    check_envelopes(scenario)
    check_charges(scenario)
    rules = make_rules(scenario, market)
    scenario, said = follow_file(scenario)
    profiles, capacity_wh = read_inputs(scenario, given)
    said = (*understood, *said, *list_spread(scenario), *list_cut_events(scenario))
    said += tuple(list_idle_batteries(scenario, market))
    return make_market_case(scenario, with_notes(profiles, said), capacity_wh, market, rules)


def with_notes(profiles: Profiles, said: Sequence[str]) -> Profiles:
    """Profiles whose provenance has more notes on what was understood of the inputs."""
    if not said:
        return profiles
    notes = " | ".join(filter(None, [str(profiles.provenance.get("notes", "")), *said]))
    return replace(profiles, provenance={**profiles.provenance, "notes": notes})


def make_market_case(
    scenario: Scenario, profiles: Profiles, capacity_wh: Wh, market: Mechanism, rules: Rules
) -> MarketCase:
    """Market case of profiles and battery capacities, (N,) Wh, that are already at hand.

    Raises
    ------
    ScenarioError
        If a priority names nobody, or a device is to leave that is not there.
    """
    check_priorities(scenario, profiles.participants)
    n_houses = profiles.n_participants
    devices = list_devices(scenario, profiles.participants, capacity_wh)
    check_retirements(scenario, profiles, devices)
    timeline = make_timeline(scenario, profiles, devices)
    n_requests = sum(map(len, timeline.requests.values()))
    own = read_own_temperatures(scenario)
    profiles = with_notes(profiles, own.notes if own else ())
    flexible = make_flexible_devices(scenario, profiles, own)
    profiles = with_notes(profiles, list_idle_dimming(scenario, flexible.house.size))
    fleet = Fleet(devices, profiles, flexible)
    inputs = n_houses, profiles.n_intervals, profiles.interval_minutes, profiles.start, market.name
    logger.info("inputs: %d participants, %d intervals of %d minutes from %s UTC; market '%s'", *inputs)
    ahead = scenario.outage.dispatch == "ahead"
    network = make_opening_network(n_houses, len(timeline.outages), devices, n_requests, may_look_ahead=ahead)
    supply = fleet.make_inputs(network.standing)
    opening = make_opening(scenario, profiles.participants, capacity_wh, make_opening_rows(fleet.flexible))
    return MarketCase(scenario, profiles, supply, market, rules, opening, capacity_wh, fleet, timeline, network)


def make_opening(
    scenario: Scenario, participants: Sequence[str], capacity_wh: Wh, flexible: Rows = NO_FLEXIBLE
) -> State:
    """State before the first interval: batteries at their lower bound, wallets as scenario and table say.

    Parameters
    ----------
    scenario
        Kind of the batteries, and wallets.
    participants
        N names.
    capacity_wh
        Capacity of each participant's battery, (N,) Wh.
    flexible
        Cars and heat pumps as they are then.
    """
    ratings = make_ratings(scenario, capacity_wh, participants)
    of_all, rows = scenario.houses.wallet_eur, list_rows(scenario, participants)
    eur = [of_all if row is None or row.wallet_eur is None else row.wallet_eur for row in rows]
    wallets = np.array([round(each * NEUR_PER_EUR) for each in eur], np.int64)
    return make_opening_state(ratings.soc_min_wh, wallets, ratings, flexible)


def build_case(scenario: Scenario, given: Profiles | None = None) -> Case:
    """Read the inputs of a scenario, whose profiles may be `given` already, and build everything a run needs.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    market = build_market(scenario, given)
    scenario = market.scenario
    names = market.profiles.participants
    owners = {names[cell.house] for cell in market.fleet.fuel_cells.values()}
    named = scenario.houses.load_cos_phi, read_load_cos_phi(scenario)
    check_one_source(market.profiles, *named)
    panels_kw, battery_kw = rate_devices(market)
    feeder = connect(scenario, read_feeder(scenario, names, owners), panels_kw, battery_kw)
    return with_network(market, with_notes_on_reactive_power(feeder, market.profiles, *named))


def rate_devices(market: MarketCase) -> tuple[Floats, Floats]:
    """Largest power of each house's panels, with those that may join, and rated power of its battery, (N,) kW each."""
    largest_wh = market.fleet.pv_wh(np.full(len(market.fleet.devices), ADMITTED, np.int8)).max(axis=0)
    battery_wh = market.opening.ratings.max_discharge_wh
    return mean_kw(largest_wh, market.interval_minutes), mean_kw(battery_wh, market.interval_minutes)


def with_network(market: MarketCase, feeder: Feeder) -> Case:
    """Case of a market on a feeder, with the scenario's limits and the control of its inverters.

    Raises
    ------
    grid_models.errors.GridError
        If an outage names what the feeder has not, limits contradict one another, or the control is none.
    """
    scenario = market.scenario
    check_outages(scenario, feeder)
    check_islands(scenario, feeder)
    check_sources(scenario, feeder)
    check_characteristic(scenario.pv)
    check_voltage_control(scenario)
    panels_kw = rate_devices(market)[0]
    check_split(scenario, market.profiles, feeder, panels_kw)
    check_areas(scenario, feeder)
    feeder = with_tap_keys(scenario.tap_changer, feeder)
    net = feeder.net
    n_elements = len(net.bus) + len(net.line) + len(net.trafo)
    check_memory(market.profiles.n_participants, market.n_intervals, n_elements=n_elements)
    limits = Limits.from_feeder(feeder, **scenario.limits.asked())
    control = make_control(scenario.pv, panels_kw)
    engine = make_engine(feeder)
    network = feeder.name, len(net.bus), len(net.line), len(net.trafo), engine.refusal or "fast engine"
    logger.info("network '%s': %d buses, %d lines, %d transformers; %s", *network)
    reactive = make_load_reactive(feeder, market.profiles)
    taps = make_tap_changers(scenario.tap_changer, feeder)
    series = read_head(scenario, market.profiles)
    case = Case(
        **vars(market),
        feeder=feeder,
        engine=engine,
        limits=limits,
        control=control,
        load_reactive=reactive,
        active=make_active_control(scenario.pv, panels_kw),
        taps=taps,
        head=None if series is None else make_head_of_case(engine, series),
        terms=make_terms(scenario, market.profiles.time, market.interval_minutes),
    )
    if case.terms is not None:
        opening = case.opening_network._replace(period=begin_period(market.profiles.n_participants))
        case = replace(case, opening_network=opening)
    return case if taps is None else with_opening_taps(case, taps)


def with_opening_taps(case: Case, taps: TapChangers) -> Case:
    """The case whose tap changers stand as in the net before the first interval."""
    waited = np.zeros(taps.opening.size)
    network = case.opening_network._replace(tap_pos=taps.opening, tap_waited_s=waited)
    return replace(case, opening_network=network, tap_state=TapState(taps.opening, waited))


def make_rules(scenario: Scenario, market: Mechanism) -> Rules:
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
            feed_in_ueur_per_kwh=-1
            if section.feed_in_eur_per_kwh is None
            else round(section.feed_in_eur_per_kwh * UEUR_PER_EUR),
            feed_in=int(section.feed_in),
            fee_permille=round(section.fee * 1000) if market.charges_fee else 0,
            beta_permille=round(section.beta * 1000),
            selfish_beta_permille=round(section.selfish_beta * 1000),
            tau_intervals=section.tau_hours * intervals_per_hour,
            arrival=int(Arrival[section.arrival.upper()]),
            seed=scenario.seed,
            records_orders=int(scenario.ledger.facts),
        )
    )


def with_given(case: Case, given: GivenInputs) -> Case:
    """The case run with what another simulator gave, or will give."""
    inputs, reactive = given.series(case.inputs), given.reactive(case.load_reactive)
    return replace(case, given=given, inputs=inputs, load_reactive=reactive)
