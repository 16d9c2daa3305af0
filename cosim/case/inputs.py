"""Read what a scenario names: profiles with their houses, and the feeder with its participants."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from cosim.case.community import COMMUNITY, with_community
from cosim.case.devices import devices_of
from cosim.case.timeline import with_changes
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.households import HouseholdSpec, draw_households, reference_profiles
from data.profiles import Profiles
from data.series import Series
from data.synthetic import synthetic_series
from grid_models.feeder.feeder import Feeder, with_ratings
from grid_models.feeder.generated import radial_feeder
from grid_models.feeder.named_nets import feeder_from_json, named_feeder
from market.storage import Wh

HOURS_PER_YEAR = 8760
ELEMENTS = ("load", "pv", "battery")


def read_inputs(scenario: Scenario) -> tuple[Profiles, Wh]:
    """Profiles over the scenario's horizon, and the capacity of each participant's battery, Wh (N,).

    Raises
    ------
    ScenarioError
        If a file is needed and not named, or the profiles are shorter than the horizon.
    data.errors.DataError
        If a file cannot be used.
    """
    streams = np.random.default_rng(scenario.seed).spawn(3)
    if scenario.profiles.source == "table":
        profiles = _own_table(scenario)
        capacity_wh = _draw_capacities(scenario, profiles.n_participants, streams[2])
        profiles, capacity_wh = with_community(profiles, capacity_wh, scenario.community)
        return with_changes(_fit(profiles, scenario), scenario), capacity_wh
    spec = household_spec(scenario)
    houses = draw_households(spec, streams[0])
    series = _series(scenario, streams[1])
    profiles = reference_profiles(series, houses, spec, streams[2])
    profiles, capacity_wh = with_community(profiles, houses.battery_wh, scenario.community)
    return with_changes(_fit(profiles, scenario), scenario), capacity_wh


def household_spec(scenario: Scenario) -> HouseholdSpec:
    """The houses section as `data.households` takes it."""
    section = scenario.houses.model_dump(exclude={"wallet_eur"})
    if section["n_prosumers"] == "by_chance":
        section["n_prosumers"] = None
    if section["production_ratio"] == "as_drawn":
        section["production_ratio"] = None
    return HouseholdSpec(
        **section,
        battery_kwh_min=scenario.battery.capacity_kwh_min,
        battery_kwh_max=scenario.battery.capacity_kwh_max,
    )


def _series(scenario: Scenario, rng: np.random.Generator) -> Series:
    if scenario.profiles.source == "spain":
        from data.spain import read_energy

        return read_energy(_needed(scenario.profiles.file, scenario, "profiles.file"))
    # A whole year at least: the panels are scaled to the production of the series, not to that of a few days.
    start = np.datetime64(scenario.horizon.start.replace(tzinfo=None), "s")
    hours = max(scenario.horizon.hours, HOURS_PER_YEAR)
    return synthetic_series(start, hours, rng, scenario.profiles.load_shape)


def _own_table(scenario: Scenario) -> Profiles:
    from data.tables import read_profiles as read_table

    section = scenario.profiles
    path = _needed(section.file, scenario, "profiles.file")
    return read_table(
        path,
        interval_minutes=scenario.horizon.interval_minutes,
        timezone=section.timezone,
        price_eur_per_kwh=section.price_eur_per_kwh,
    )


def _fit(profiles: Profiles, scenario: Scenario) -> Profiles:
    """Profiles at the scenario's interval, from its start, for its length."""
    horizon = scenario.horizon
    if profiles.interval_minutes != horizon.interval_minutes:
        profiles = profiles.resample(horizon.interval_minutes)
    start = np.datetime64(horizon.start.replace(tzinfo=None), "s")
    seconds = int((start - profiles.start).astype(np.int64))
    offset, rest = divmod(seconds, 60 * horizon.interval_minutes)
    if rest:
        raise ScenarioError(
            f"scenario '{scenario.name}', horizon.start: expected a whole number of {horizon.interval_minutes}-minute "
            f"intervals after the profiles' start {profiles.start} UTC, got {start}; move the start"
        )
    stop = offset + horizon.n_intervals
    if offset < 0 or stop > profiles.n_intervals:
        last = profiles.start + profiles.n_intervals * np.timedelta64(60 * horizon.interval_minutes, "s")
        raise ScenarioError(
            f"scenario '{scenario.name}', horizon: expected profiles from {start} UTC for {horizon.hours} h, "
            f"got {profiles.start} to {last} UTC; change horizon.start or horizon.hours"
        )
    return profiles.window(offset, stop)


def _draw_capacities(scenario: Scenario, n: int, rng: np.random.Generator) -> Wh:
    low, high = scenario.battery.capacity_kwh_min, scenario.battery.capacity_kwh_max
    return np.rint(rng.uniform(low, high, n) * 1000.0).astype(np.int64)


def _needed(path: Path | None, scenario: Scenario, key: str) -> Path:
    if path is None:
        section, name = key.split(".")
        source = getattr(getattr(scenario, section), "source")  # noqa: B009
        raise ScenarioError(
            f"scenario '{scenario.name}', {key}: expected a file for {section}.source = \"{source}\", got none; "
            f'add {name} = "…"'
        )
    return path


def read_feeder(scenario: Scenario, participants: tuple[str, ...]) -> Feeder:
    """The scenario's feeder with the participants at their buses.

    Raises
    ------
    ScenarioError
        If a file or name is needed and not given.
    grid_models.errors.GridError
        If the net or the placement cannot be used.
    """
    section = scenario.network
    devices = elements_of(scenario, participants)
    if section.source == "generated":
        rng = np.random.default_rng(scenario.seed).spawn(4)[3]
        feeder = radial_feeder(
            participants,
            n_branches=section.n_branches,
            trafo_std_type=section.trafo_std_type,
            main_cable=section.main_cable,
            service_cable=section.service_cable,
            spacing_m=section.spacing_m,
            rng=rng,
            devices=devices,
        )
    elif section.source == "named":
        if section.name is None:
            raise ScenarioError(
                f"scenario '{scenario.name}', network.name: expected the name of a pandapower net, got none; "
                'add e.g. name = "cigre_lv"'
            )
        feeder = named_feeder(
            section.name,
            participants,
            seed=scenario.seed,
            keep_elements=section.keep_elements,
            devices=devices,
            at_busbar=(COMMUNITY,) if scenario.community.enabled else (),
        )
    else:
        table = read_participants(_needed(section.participants, scenario, "network.participants"))
        feeder = feeder_from_json(
            _needed(section.file, scenario, "network.file"),
            _placed(table, participants, section.participants),
            keep_elements=section.keep_elements,
            shared_bus=section.shared_bus,
            devices=devices,
        )
    return with_ratings(feeder, section.line_ratings_ka) if section.line_ratings_ka else feeder


def elements_of(scenario: Scenario, participants: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Elements of each participant in the network: load, panels and battery, and a fuel cell for whoever has one."""
    cells = {
        participants[device.house]
        for device in devices_of(scenario, participants)
        if device.plant is not None
    }
    return {name: (*ELEMENTS, "fuel_cell") if name in cells else ELEMENTS for name in participants}


def read_participants(path: Path) -> list[tuple[str, str]]:
    """Rows (participant, bus) of a CSV with these two columns.

    Raises
    ------
    ScenarioError
        If the file cannot be read or has other columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if sorted(columns) != ["bus", "participant"]:
                raise ScenarioError(
                    f"{path}: expected the columns participant,bus, got {','.join(columns) or 'nothing'}"
                )
            return [(row["participant"], row["bus"]) for row in reader]
    except (OSError, UnicodeDecodeError) as reason:
        raise ScenarioError(f"{path}: expected a readable CSV participant,bus, got {reason}") from reason


def _placed(
    table: list[tuple[str, str]], participants: tuple[str, ...], path: Path | None
) -> list[tuple[str, str]]:
    """The table in the order of the profiles; every participant must be in both."""
    listed = {name for name, _ in table}
    for missing in [name for name in participants if name not in listed]:
        raise ScenarioError(
            f"{path}: expected a bus for participant '{missing}' of the profiles, found none; add the row"
        )
    for extra in [name for name, _ in table if name not in participants]:
        raise ScenarioError(
            f"{path}: expected participants of the profiles only, got '{extra}'; remove the row or add profiles"
        )
    order = {name: k for k, name in enumerate(participants)}
    return sorted(table, key=lambda row: order[row[0]])
