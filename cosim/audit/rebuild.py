"""Build the case of a run again from its directory, to run it once more: nothing outside the directory is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from cosim.audit.recorded import Recorded, connect_as_asked
from cosim.case.case import (
    Case,
    MarketCase,
    build_market,
    make_market_case,
    make_opening,
    make_rules,
    rate_devices,
    with_network,
)
from cosim.case.checks import check_events
from cosim.case.community import rate_community_wh
from cosim.case.connections import connect
from cosim.case.devices import Device, FuelCellDevice, list_devices
from cosim.case.flexible import make_flexible_devices, make_opening_rows
from cosim.case.frames import PROFILES_FILE
from cosim.case.head import HeadOfCase, make_head_of_case, read_head
from cosim.case.heat_pumps import read_own_temperatures
from cosim.case.inputs import draw_capacities, read_feeder
from cosim.case.kept import is_made_again, read_kept_profiles, with_kept_network
from cosim.case.tariff import with_tariff
from cosim.case.voltage_control import with_tap_keys
from cosim.delivery.reactive import IN_PROFILES, PPM
from cosim.errors import ScenarioError
from cosim.recording.blocks import make_first_records, name_devices, name_digests, name_head, name_network
from cosim.scenario.model import Scenario
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits
from grid_models.response.sensitivity import make_engine
from market.ledger.format.records import RecordBytes, read_parameters
from market.mechanisms import BUILT_IN, Mechanism, find_mechanism
from market.storage import Wh


class Origin(Enum):
    """Where the profiles of a rebuilt case come from, and what follows for an audit."""

    SCENARIO = "made again from the scenario and its seed"
    KEPT = f"as {PROFILES_FILE} holds them: that they are true is not proven"
    LEDGER = "taken from the ledger's own meters and prices: that these are true is not proven"


def rebuild_case(recorded: Recorded, read_metered: Callable[[], Profiles]) -> tuple[Case, Origin]:
    """Case of a recorded run, and where its profiles come from.

    The network is that of `rebuild_feeder`.

    Parameters
    ----------
    recorded
        The run.
    read_metered
        Makes the profiles of what the ledger metered; called where there is nothing else.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    scenario = recorded.scenario
    if is_made_again(scenario):
        market, origin = build_market(scenario), Origin.SCENARIO
    elif (recorded.directory / PROFILES_FILE).exists():
        sha256 = read_parameters(recorded.genesis)["profiles_sha256"][:32]
        kept = read_kept_profiles(recorded.directory, scenario.horizon.interval_minutes, sha256)
        market, origin = _make_market(scenario, kept), Origin.KEPT
    else:
        market, origin = _make_market(scenario, read_metered()), Origin.LEDGER
    return with_network(market, rebuild_feeder(recorded, market.profiles.participants, market)), origin


def _make_market(scenario: Scenario, profiles: Profiles) -> MarketCase:
    """Market of profiles that hold the scenario's community and changes already."""
    if profiles.n_intervals != scenario.horizon.n_intervals:
        n = scenario.horizon.n_intervals
        raise ScenarioError(f"profiles: expected the {n} intervals of the scenario, got {profiles.n_intervals}")
    check_events(scenario, profiles)
    profiles = with_tariff(scenario, profiles)  # whatever prices were kept or recorded
    capacity_wh = _list_capacities(scenario, profiles.participants)
    mechanism = find_mechanism(scenario.market.mechanism)
    return make_market_case(scenario, profiles, capacity_wh, mechanism, make_rules(scenario, mechanism))


def rebuild_feeder(recorded: Recorded, names: tuple[str, ...], market: MarketCase | None = None) -> Feeder:
    """Feeder of a run's participants as its scenario makes it; one from a file as the run directory keeps it.

    What was kept is used if it is the recorded network, and else that: the user's file may have changed since. Phases
    are those of the scenario or of the kept table all the same; with the market all of them follow. Where nothing was
    kept, power factors of loads are those that the ledger states.
    """
    devices = list_devices(recorded.scenario, names, _list_capacities(recorded.scenario, names))
    owners = {names[device.house] for device in devices if isinstance(device, FuelCellDevice)}
    if recorded.scenario.network.source != "file":
        return _with_phases(recorded, recorded.scenario, read_feeder(recorded.scenario, names, owners), market)
    kept = with_kept_network(recorded.scenario, recorded.directory)
    if kept is None:
        return _with_stated_reactive(recorded)
    feeder = _with_phases(recorded, kept, read_feeder(kept, names, owners), market)
    if feeder.digest() == recorded.feeder.digest():
        return feeder
    return replace(recorded.feeder, connections=feeder.connections, load_tan_phi=feeder.load_tan_phi)


def _with_stated_reactive(recorded: Recorded) -> Feeder:
    """The recorded feeder with the power factors that the first block states."""
    ppm = recorded.houses["load_tan_phi_ppm"].astype(np.int64)
    return replace(recorded.feeder, load_tan_phi=np.where(ppm == IN_PROFILES, np.nan, ppm / PPM))


def _with_phases(recorded: Recorded, scenario: Scenario, feeder: Feeder, market: MarketCase | None) -> Feeder:
    feeder = with_tap_keys(scenario.tap_changer, feeder)
    if market is None:
        return connect_as_asked(recorded.directory, recorded.scenario, feeder, recorded.houses, recorded.devices)
    return connect(scenario, feeder, *rate_devices(market))


def make_bare_case(recorded: Recorded) -> Case:
    """Market and network of a recorded run, to clear and judge with; its profiles are zero."""
    scenario, names = recorded.scenario, recorded.feeder.participants
    profiles = _make_empty_profiles(scenario, names)
    feeder = rebuild_feeder(recorded, names)
    same = feeder.digest() == recorded.feeder.digest()
    return with_network(_make_market(scenario, profiles), feeder if same else recorded.feeder)


def rebuild_head(recorded: Recorded) -> HeadOfCase | None:
    """The head of a recorded run's feeder, as the run directory keeps it; None where it is that of the net."""
    series = read_head(recorded.scenario, _make_empty_profiles(recorded.scenario, recorded.feeder.participants))
    return None if series is None else make_head_of_case(make_engine(recorded.feeder), series)


def _make_empty_profiles(scenario: Scenario, names: tuple[str, ...]) -> Profiles:
    """Profiles of a scenario's horizon and participants in which nothing is drawn, generated or paid."""
    start, n = np.datetime64(scenario.horizon.start.replace(tzinfo=None), "s"), scenario.horizon.n_intervals
    zero = np.zeros((n, len(names)), np.int64)
    return Profiles(start, scenario.horizon.interval_minutes, names, zero, zero, zero[:, 0], {"source": "none"})


def make_recorded_genesis(recorded: Recorded) -> RecordBytes:
    """Records of the first block as scenario and network give them, (M, 72); the profiles are taken at their digest."""
    scenario = recorded.scenario
    feeder = rebuild_feeder(recorded, recorded.feeder.participants)
    profiles, own = _make_empty_profiles(scenario, feeder.participants), read_own_temperatures(scenario)
    devices = make_flexible_devices(scenario, profiles, own)
    capacity_wh = _list_capacities(scenario, feeder.participants)
    opening = make_opening(scenario, feeder.participants, capacity_wh, make_opening_rows(devices))
    limits = Limits.from_feeder(feeder, **scenario.limits.asked())
    parameters = read_parameters(recorded.genesis)
    digests = name_digests(scenario, parameters.get("profiles_sha256", b"")[:32], recorded.inputs_salt)
    digests |= (
        name_network(feeder, recorded.inputs_salt) | name_devices(devices) | name_head(read_head(scenario, profiles))
    )
    if recorded.inputs_salt:
        digests["profiles_hmac"] = parameters.get("profiles_hmac", b"")[:32]
    return np.concatenate(
        make_first_records(scenario, _name_mechanism(scenario), opening, feeder, limits, digests, recorded.form)
    )


def _name_mechanism(scenario: Scenario) -> Mechanism:
    """The scenario's mechanism; physics can be audited even where the package that it comes from is not installed."""
    name = scenario.market.mechanism
    if name in BUILT_IN or scenario.ledger.facts:
        return find_mechanism(name)
    return BUILT_IN["none"]._replace(name=name)


def list_scenario_devices(recorded: Recorded) -> tuple[Device, ...]:
    """Devices that the scenario of a run names, without the profiles."""
    scenario, names = recorded.scenario, recorded.feeder.participants
    return list_devices(scenario, names, _list_capacities(scenario, names))


def _list_capacities(scenario: Scenario, participants: Sequence[str]) -> Wh:
    """Capacity of each participant's battery, the community's last, (N,) Wh."""
    community = scenario.community
    houses = participants[: len(participants) - community.enabled]
    capacity_wh = draw_capacities(scenario, houses)
    if community.enabled:
        capacity_wh = np.append(capacity_wh, rate_community_wh(community))
    if capacity_wh.size != len(participants):
        raise ScenarioError(f"participants: expected {capacity_wh.size} as in the scenario, got {len(participants)}")
    return capacity_wh
