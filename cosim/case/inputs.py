"""Read what a scenario names: profiles with their houses, and the feeder with its participants."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

import numpy as np

from cosim.case.checks import (
    check_community,
    check_events,
    check_given,
    check_horizon,
    check_memory,
    check_placement,
)
from cosim.case.community import COMMUNITY, with_community
from cosim.case.event_checks import check_changes
from cosim.case.houses import check_rows, list_rows, name_drawn
from cosim.case.panels import with_own_panels
from cosim.case.participants import Participants, list_left_out, read_participants, read_placement
from cosim.case.power_factors import with_power_factors
from cosim.case.roofs import FOLLOWS_WEATHER, with_roofs
from cosim.case.tariff import with_tariff
from cosim.case.timeline import find_interval, with_changes
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import HOURS_PER_YEAR
from data.households import HouseholdSpec, draw_households, make_reference_profiles
from data.profiles import SPREAD, Profiles
from data.series import Series
from data.spain import read_energy
from data.synthetic import make_synthetic_series
from data.tables import read_profiles
from grid_models.feeder.feeder import Feeder, with_ratings
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder, read_feeder_json
from grid_models.phases.fill import FOUR_CORE, Ratios, with_delta_star, with_zero_sequence
from grid_models.phases.notes import with_phase_notes
from market.exchanges import UEUR_PER_EUR
from market.storage import Wh

ELEMENTS = ("load", "pv", "battery")
"""Elements of every participant in the network."""


def read_inputs(scenario: Scenario, given: Profiles | None = None) -> tuple[Profiles, Wh]:
    """Profiles over the scenario's horizon, and the capacity of each participant's battery, Wh (N,).

    Parameters
    ----------
    scenario
        What to read.
    given
        Profiles of its table, if they are at hand.

    Raises
    ------
    ScenarioError
        If a file is needed and not named, the profiles are shorter than the horizon, or an event is not possible.
    data.errors.DataError
        If a file cannot be used.
    """
    streams, drawn_kwp = _spawn_streams(scenario), dict[str, float]()
    if scenario.profiles.source == "table":
        profiles = with_own_panels(scenario, read_profile_table(scenario) if given is None else given)
        check_memory(profiles.n_participants, scenario.horizon.n_intervals)
    else:
        check_memory(scenario.houses.n_houses, scenario.horizon.n_intervals)
        spec = make_household_spec(scenario)
        houses = replace(draw_households(spec, streams[0]), names=name_drawn(scenario))
        drawn_kwp = dict(zip(houses.names, (houses.nameplate_w / 1000.0).tolist(), strict=True))
        series = _read_series(scenario, streams[1])
        profiles = make_reference_profiles(series, houses, spec, streams[2])
        profiles = with_own_panels(scenario, profiles, series.solar_cf)
        profiles = _with_constant_price(profiles, scenario.profiles.price_eur_per_kwh)
    check_community(scenario, profiles.participants)
    capacity_wh = draw_capacities(scenario, profiles.participants)
    profiles, capacity_wh = with_community(profiles, capacity_wh, scenario.community)
    check_rows(scenario, profiles.participants)
    profiles = with_tariff(scenario, with_roofs(scenario, _fit_to_horizon(profiles, scenario), drawn_kwp))
    check_events(scenario, profiles)
    check_changes(scenario, profiles)
    return with_changes(profiles, scenario), capacity_wh


def _with_constant_price(profiles: Profiles, price_eur_per_kwh: float | None) -> Profiles:
    """Profiles with a constant utility price, EUR/kWh, in place of that of their series, if one is given."""
    if price_eur_per_kwh is None:
        return profiles
    price = round(price_eur_per_kwh * UEUR_PER_EUR)
    return replace(profiles, price_ueur_per_kwh=np.full(profiles.n_intervals, price, np.int64))


def draw_capacities(scenario: Scenario, houses: Sequence[str]) -> Wh:
    """Capacity of each house's battery, (N,) Wh, drawn where the table of participants names none.

    It does not depend on the profiles.
    """
    streams = _spawn_streams(scenario)
    if scenario.profiles.source != "table":
        drawn = draw_households(make_household_spec(scenario), streams[0]).battery_wh
    else:
        low, high = scenario.battery.capacity_kwh_min, scenario.battery.capacity_kwh_max
        drawn = np.rint(streams[2].uniform(low, high, len(houses)) * 1000.0).astype(np.int64)
    capacity_wh = drawn.copy()
    for k, row in enumerate(list_rows(scenario, houses) if capacity_wh.size == len(houses) else []):
        if row is not None and row.battery_kwh is not None:
            capacity_wh[k] = round(row.battery_kwh * 1000.0)
    return capacity_wh


def _spawn_streams(scenario: Scenario) -> list[np.random.Generator]:
    """Random streams of the houses, of synthetic series, and of noise on profiles or capacities beside a table."""
    return np.random.default_rng(scenario.seed).spawn(3)


def follow_file(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with the horizon of the Spanish file where it names none, and a sentence that says so.

    A begin or length that the scenario names stays; without both, all hours of the file are simulated.
    """
    named = scenario.horizon.model_fields_set & {"start", "hours"}
    if scenario.profiles.source != "spain" or len(named) == 2:
        return scenario, ()
    series = read_energy(check_given(scenario, "profiles", "file"))
    begin = series.start.astype(object).replace(tzinfo=UTC)
    start = scenario.horizon.start if "start" in named else begin
    left = series.n_hours - int((start - begin).total_seconds()) // 3600
    hours = scenario.horizon.hours if "hours" in named else max(left, 1)
    said = f"horizon from the file: {hours:,} h from {start:%Y-%m-%dT%H:%M} UTC"
    return scenario.with_changes("horizon of the file", horizon={"start": start, "hours": hours}), (said,)


def make_household_spec(scenario: Scenario) -> HouseholdSpec:
    """The houses section as `data.households` takes it."""
    section = scenario.houses.model_dump(exclude={"wallet_eur", "load_cos_phi", "table"})
    chosen: dict[str, Any] = {
        key: None if value in ("by_chance", "as_drawn") else value for key, value in section.items()
    }
    if scenario.pv.source == FOLLOWS_WEATHER:  # panels as drawn: how much they generate is the weather's affair
        chosen["production_ratio"] = None
    low, high = scenario.battery.capacity_kwh_min, scenario.battery.capacity_kwh_max
    return HouseholdSpec(**chosen, battery_kwh_min=low, battery_kwh_max=high)


def _read_series(scenario: Scenario, rng: np.random.Generator) -> Series:
    if scenario.profiles.source == "spain":
        return read_energy(check_given(scenario, "profiles", "file"))
    # A whole year at least: the panels are scaled to the production of the series, not to that of a few days.
    start = np.datetime64(scenario.horizon.start.replace(tzinfo=None), "s")
    hours = max(math.ceil(scenario.horizon.hours), HOURS_PER_YEAR)
    return make_synthetic_series(start, hours, rng, scenario.profiles.load_shape)


def read_profile_table(scenario: Scenario) -> Profiles:
    """Profiles of the table that a scenario names, all of them."""
    return read_profiles(
        check_given(scenario, "profiles", "file"),
        interval_minutes=scenario.horizon.interval_minutes,
        timezone=scenario.profiles.timezone,
        day_first=scenario.profiles.day_first,
        price_eur_per_kwh=0.0 if scenario.tariff.bands else scenario.profiles.price_eur_per_kwh,
    )


def _fit_to_horizon(profiles: Profiles, scenario: Scenario) -> Profiles:
    """Profiles at the scenario's interval, from its start, for its length."""
    horizon = scenario.horizon
    if profiles.interval_minutes != horizon.interval_minutes:
        profiles = profiles.resample(horizon.interval_minutes)
    check_horizon(scenario, profiles)
    first, _ = find_interval(profiles, horizon.start)
    return profiles.window(first, first + horizon.n_intervals)


def list_spread(scenario: Scenario) -> list[str]:
    """A sentence where intervals are shorter than the hours of a series; a table says it by itself."""
    minutes = scenario.horizon.interval_minutes
    if scenario.profiles.source == "table" or minutes == 60:
        return []
    length = f"{minutes} minute{'s' * (minutes != 1)}"
    return [f"series of hours {SPREAD} {length}: peaks within an hour are not seen"]


def read_feeder(scenario: Scenario, participants: tuple[str, ...], fuel_cell_owners: Collection[str]) -> Feeder:
    """The scenario's feeder with the participants' elements at their buses.

    Parameters
    ----------
    scenario
        Which network.
    participants
        N names.
    fuel_cell_owners
        Participants with a fuel cell beside load, panels and battery.

    Raises
    ------
    ScenarioError
        If a file or name is needed and not given.
    grid_models.errors.GridError
        If the net or the placement cannot be used.
    """
    section = scenario.network
    devices = {name: (*ELEMENTS, "fuel_cell") if name in fuel_cell_owners else ELEMENTS for name in participants}
    if section.source == "generated":
        layout = {"n_branches", "trafo_std_type", "main_cable", "service_cable", "spacing_m"}
        rng = np.random.default_rng(scenario.seed).spawn(4)[3]
        feeder = make_radial_feeder(participants, **section.model_dump(include=layout), rng=rng, devices=devices)
    elif section.source == "named":
        feeder = make_named_feeder(
            check_given(scenario, "network", "name"),
            participants,
            seed=scenario.seed,
            keep_elements=section.keep_elements,
            devices=devices,
            at_busbar=(COMMUNITY,) if scenario.community.enabled else (),
        )
    else:
        table = _read_placement(scenario, participants)
        feeder = read_feeder_json(
            check_given(scenario, "network", "file"),
            table.rows,
            keep_elements=section.keep_elements,
            shared_bus=section.shared_bus,
            devices=devices,
        )
        notes = (*table.notes, *(list_left_out(table) if section.model == "balanced" else ()))
        feeder = replace(feeder, notes=(*feeder.notes, *notes))
    if section.model != "balanced":
        feeder = with_delta_star(feeder) if section.source == "generated" else feeder
        feeder = with_phase_notes(with_zero_sequence(feeder, _choose_ratios(scenario)), section.model)
    feeder = with_power_factors(feeder, scenario.houses.load_cos_phi, read_load_cos_phi(scenario))
    return with_ratings(feeder, section.line_ratings_ka) if section.line_ratings_ka else feeder


def _choose_ratios(scenario: Scenario) -> Ratios | None:
    """Ratios of lines without a zero sequence; None where nobody named any, and the net must have one itself."""
    if scenario.network.zero_sequence:
        return Ratios(**scenario.network.zero_sequence)
    return FOUR_CORE if scenario.network.source == "generated" else None


def read_load_cos_phi(scenario: Scenario) -> dict[str, float]:
    """Power factors that a table of participants names for their loads; none for other networks.

    Raises
    ------
    ScenarioError
        If the table cannot be used.
    """
    named = {row.participant: row.load_cos_phi for row in scenario.participants if row.load_cos_phi is not None}
    section = scenario.network
    if named or section.source != "file" or section.participants is None:
        return named
    return read_participants(section.participants, has_cars=scenario.ev.n_cars > 0).load_cos_phi


def _read_placement(scenario: Scenario, participants: tuple[str, ...]) -> Participants:
    """The scenario's table of participants, in the order of the profiles."""
    if scenario.participants:
        placed = [(row.participant, row.bus) for row in scenario.participants if row.bus is not None]
        check_placement(placed, participants, "table of participants")
        return read_placement(scenario).in_order(participants)
    path = check_given(scenario, "network", "participants")
    table = read_participants(path, has_cars=scenario.ev.n_cars > 0)
    check_placement(table.rows, participants, path)
    return table.in_order(participants)
