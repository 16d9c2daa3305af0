"""Devices that join or leave between two intervals of a run that people take part in.

A device that joins is one of the `Fleet` from then on. One that leaves was plugged in before, or the house has had it
from the first interval. A battery leaves as one that an event retires (`cosim.case.batteries`): its share of the
charge goes with it; while it holds energy of others, it waits.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from cosim.case.batteries import find_departures, rate_batteries, rate_battery, with_batteries
from cosim.case.case import Case, rate_devices
from cosim.case.control import make_control
from cosim.case.devices import (
    HYDROGEN_WH_PER_KG,
    BatteryDevice,
    Device,
    FuelCellDevice,
    PvDevice,
    make_battery,
)
from cosim.case.state import ADMITTED, RETIRED, NetworkState
from cosim.errors import ScenarioError
from grid_models.devices.fuel_cell import STACKS
from grid_models.devices.fuel_cell_plant import make_preset_plant
from market.state import State

LARGEST = 10**9
"""Largest power, W, and energy, Wh, of a device."""
MOST_UNITS = 1000
"""Most stacks of a fuel cell."""
WORDS = {"pv": "panels", "battery": "a battery", "fuel_cell": "a fuel cell"}


class Joins(NamedTuple):
    """A device takes part from the begin of an interval on."""

    interval: int
    device: Device


class Leaves(NamedTuple):
    """A device leaves at the begin of an interval.

    Attributes
    ----------
    interval
        The first without it.
    house, kind
        Whose, and `pv`, `battery` or `fuel_cell`.
    device
        Its number in the fleet; None for what the house has had from the first interval and no event retires.
    """

    interval: int
    house: int
    kind: str
    device: int | None


class Stage(NamedTuple):
    """What a run goes on with: its case, the state of market and network, and devices that joined since an interval."""

    case: Case
    state: State
    network: NetworkState
    fresh: tuple[Device, ...] = ()


class StatedDevice(NamedTuple):
    """A device as its member states it: whose, its kind and ratings, the digest of its data sheet, and its number.

    `number` is that among the member's; None for what the house has had from the first interval.
    """

    house: int
    kind: str
    power_w: int
    energy_wh: int
    datasheet: bytes = bytes(32)
    number: int | None = 0


def name_cell(preset: str) -> str:
    """Description of a fuel cell of a preset; its SHA-256 stands on the ledger as that of its data sheet.

    Examples
    --------
    >>> name_cell("pem-6kw")
    'gridsettle fuel cell pem-6kw'
    """
    return f"gridsettle fuel cell {preset}"


def rate_cell_w(preset: str, units: int) -> int:
    """Power of so many stacks of a preset, W."""
    return round(make_preset_plant(preset, units=units).nominal_kw * 1000.0)


def rate_own(case: Case, house: int, kind: str) -> tuple[int, int]:
    """Power, W, and capacity, Wh, of the panels or the battery that a house has had from the first interval; else 0."""
    if kind == "pv":
        largest_wh = int(case.profiles.pv_wh[:, house].max(initial=0))
        return round(largest_wh * 60 / case.interval_minutes), 0
    wh = int(case.capacity_wh[house]) if kind == "battery" else 0
    return (round(make_battery(case.scenario.battery, wh).rated_kw * 1000.0), wh) if wh else (0, 0)


def make_joining(case: Case, stated: StatedDevice) -> Device:
    """The device that a person registers.

    Panels; a battery of the scenario's kind that comes at its lower bound; or a fuel cell, whose data sheet names a
    preset, with a full tank of hydrogen at the community's price.

    Raises
    ------
    ScenarioError
        If it is of another kind, or its ratings are not those of such a device.
    """
    check_house(case, stated.house)
    if stated.kind == "fuel_cell":
        return _make_cell(case, stated)
    return _make_battery(case, stated) if stated.kind == "battery" else _make_panels(case, stated)


def check_house(case: Case, house: int) -> None:
    """Raise ScenarioError if there is no such house."""
    if not 0 <= house < case.profiles.n_participants:
        raise ScenarioError(f"house: expected 0 to {case.profiles.n_participants - 1}, got {house}")


def _label(case: Case, stated: StatedDevice) -> str:
    return f"{case.profiles.participants[stated.house]} plugged-in {stated.kind.replace('_', ' ')}"


def _make_panels(case: Case, stated: StatedDevice) -> Device:
    power_w, energy_wh = stated.power_w, stated.energy_wh
    if energy_wh or not 0 < power_w <= LARGEST:
        raise ScenarioError(f"pv: expected 1 to {LARGEST} W and 0 Wh, got {power_w} W and {energy_wh} Wh")
    return PvDevice(_label(case, stated), stated.house, power_w / 1000.0, 0, number=stated.number)


def _make_battery(case: Case, stated: StatedDevice) -> Device:
    energy_wh = stated.energy_wh
    if not case.rules.battery:
        raise ScenarioError(f"battery: expected a market that uses batteries, got '{case.mechanism.name}'")
    if not 0 < energy_wh <= LARGEST:
        raise ScenarioError(f"battery: expected 1 to {LARGEST} Wh, got {energy_wh}")
    rated_kw = make_battery(case.scenario.battery, energy_wh).rated_kw
    if stated.power_w != round(rated_kw * 1000.0):
        raise ScenarioError(
            f"battery: expected the {round(rated_kw * 1000.0)} W that {energy_wh} Wh of the scenario's kind have, "
            f"got {stated.power_w} W"
        )
    charge_wh = rate_battery(case.scenario, energy_wh).soc_min_wh
    label = _label(case, stated)
    return BatteryDevice(label, stated.house, rated_kw, energy_wh, charge_wh, number=stated.number)


def _make_cell(case: Case, stated: StatedDevice) -> Device:
    presets = {sha256(name_cell(preset).encode()).digest(): preset for preset in STACKS}
    if stated.datasheet not in presets:
        raise ScenarioError(
            f"fuel cell, data sheet: expected the SHA-256 of '{name_cell('NAME')}', NAME one of {', '.join(STACKS)}, "
            "got another; others join by an event of the scenario"
        )
    preset = presets[stated.datasheet]
    units = max(round(stated.power_w / rate_cell_w(preset, 1)), 1)
    if units > MOST_UNITS or stated.power_w != rate_cell_w(preset, units):
        raise ScenarioError(
            f"fuel cell: expected the power of 1 to {MOST_UNITS} stacks {preset}, {rate_cell_w(preset, 1)} W each, "
            f"got {stated.power_w} W"
        )
    if not 0 < stated.energy_wh <= LARGEST:
        raise ScenarioError(f"fuel cell: expected a tank of 1 to {LARGEST} Wh, got {stated.energy_wh}")
    price, tank_kg = case.scenario.community.fuel_eur_per_kg, stated.energy_wh / HYDROGEN_WH_PER_KG
    plant = make_preset_plant(preset, units=units, tank_kg=tank_kg, fuel_eur_per_kg=price)
    label = _label(case, stated)
    return FuelCellDevice(label, stated.house, plant.nominal_kw, stated.energy_wh, plant, number=stated.number)


def find_device(stage: Stage, house: int, number: int) -> int | None:
    """Number in the fleet of a member's device that takes part; None if there is none."""
    for k, device in enumerate(stage.case.fleet.devices):
        known = k if device.number is None else device.number
        if device.house == house and known == number and stage.network.standing[k] == ADMITTED:
            return None if isinstance(device, BatteryDevice) and device.from_the_start else k
    return None


def make_leaving(stage: Stage, interval: int, stated: StatedDevice) -> Leaves:
    """What leaves by a member's statement, checked against what is there.

    Raises
    ------
    ScenarioError
        If it is not there, or another than stated.
    """
    check_house(stage.case, stated.house)
    if stated.number is None:
        return _make_own_leaving(stage, interval, stated)
    k = find_device(stage, stated.house, stated.number)
    if k is None:
        owner = stage.case.profiles.participants[stated.house]
        raise ScenarioError(f"device {stated.number}: expected one of {owner} that takes part, found none")
    device = stage.case.fleet.devices[k]
    _check_same(f"device {stated.number}", stated, device.kind, round(device.rated_kw * 1000.0), device.energy_wh)
    return Leaves(interval, stated.house, device.kind, k)


def _check_same(what: str, stated: StatedDevice, kind: str, power_w: int, energy_wh: int) -> None:
    named = stated.kind, stated.power_w, stated.energy_wh
    if named != (kind, power_w, energy_wh):
        raise ScenarioError(
            f"{what}: expected {kind}, {power_w} W and {energy_wh} Wh, as it is, got {named[0]}, {named[1]} W and "
            f"{named[2]} Wh"
        )


def _make_own_leaving(stage: Stage, interval: int, stated: StatedDevice) -> Leaves:
    case, house = stage.case, stated.house
    owner = case.profiles.participants[house]
    if stated.kind not in ("pv", "battery"):
        raise ScenarioError(f"device: expected pv or battery of the house, got {stated.kind}")
    if not has_own(stage, interval, house, stated.kind):
        rest = " that generate in what is left of the run" if stated.kind == "pv" else ""
        raise ScenarioError(
            f"{stated.kind}: expected {owner} to have {WORDS[stated.kind]} of its own{rest}, found none"
        )
    _check_same(
        f"{stated.kind} of {owner}",
        stated,
        stated.kind,
        *rate_own(case, house, stated.kind),
    )
    return Leaves(interval, house, stated.kind, _find_own_battery(case, house) if stated.kind == "battery" else None)


def has_own(stage: Stage, interval: int, house: int, kind: str) -> bool:
    """Whether a house still has the panels or the battery that it has had from the first interval.

    Panels that generate nothing any more are none: what an event retired is gone from the profiles.
    """
    case = stage.case
    if kind == "pv":
        return house not in case.fleet.withdrawn and bool(case.profiles.pv_wh[interval:, house].any())
    k = _find_own_battery(case, house)
    there = k is None or stage.network.standing[k] == ADMITTED
    return kind == "battery" and bool(case.rules.battery) and bool(case.capacity_wh[house] > 0) and bool(there)


def _find_own_battery(case: Case, house: int) -> int | None:
    """Number of a house's own battery in the fleet, which is there once it is to leave."""
    for k, device in case.fleet.batteries.items():
        if device.house == house and device.from_the_start:
            return k
    return None


def with_joined(stage: Stage, device: Device) -> Stage:
    """Stage in which a device takes part."""
    stage = _with_device(stage, device)
    case, state = stage.case, stage.state
    case = replace(case, control=make_control(case.scenario.pv, rate_devices(case)[0]))
    if isinstance(device, BatteryDevice):
        ratings = rate_batteries(case.opening.ratings, case.scenario, case.fleet.batteries, stage.network.standing)
        state = with_batteries(state, ratings, [(device.house, device.charge_wh)])
    return stage._replace(case=case, state=state, fresh=(*stage.fresh, device))


def _with_device(stage: Stage, device: Device) -> Stage:
    """Stage with one more device in the fleet, which is admitted."""
    case = stage.case
    fleet = case.fleet.with_devices((*case.fleet.devices, device))
    case = replace(case, fleet=fleet, opening_network=_with_standing(case.opening_network, device))
    return stage._replace(case=case, network=_with_standing(stage.network, device))


def _with_standing(network: NetworkState, device: Device) -> NetworkState:
    """The state of the network with one more device, which is admitted; a tank is full."""
    plant = np.zeros((1, network.plants.shape[1]))
    plant[0, 0] = device.plant.tank_kg if isinstance(device, FuelCellDevice) else 0.0
    standing = np.append(network.standing, np.int8(ADMITTED))
    return network._replace(standing=standing, plants=np.vstack([network.plants, plant]))


def with_left(stage: Stage, act: Leaves) -> Stage:
    """Stage without a device, or with a battery that waits to leave."""
    if act.kind == "pv" and act.device is None:
        case, fleet = stage.case, stage.case.fleet
        withdrawn = {**fleet.withdrawn, act.house: act.interval}
        return stage._replace(case=replace(case, fleet=fleet.with_devices(fleet.devices, withdrawn)))
    k = act.device
    if k is None:
        k, (power_w, wh) = len(stage.case.fleet.devices), rate_own(stage.case, act.house, "battery")
        label = f"{stage.case.profiles.participants[act.house]} battery"
        stage = _with_device(stage, BatteryDevice(label, act.house, power_w / 1000.0, wh, from_the_start=True))
    stage = _with_nothing_to_state(stage, k)
    gone = stage.case.fleet.devices[k]
    stage = stage._replace(fresh=tuple(device for device in stage.fresh if device is not gone))
    return _with_battery_left(stage, k) if act.kind == "battery" else _with_retired(stage, k)


def _with_nothing_to_state(stage: Stage, k: int) -> Stage:
    """Stage whose intervals state nothing of a device: its member has, when it left."""
    standing = stage.case.opening_network.standing.copy()
    standing[k] = ADMITTED
    return stage._replace(
        case=replace(stage.case, opening_network=stage.case.opening_network._replace(standing=standing))
    )


def _with_retired(stage: Stage, k: int, standing_of: int = RETIRED) -> Stage:
    standing = stage.network.standing.copy()
    standing[k] = standing_of
    return stage._replace(network=stage.network._replace(standing=standing))


def _with_battery_left(stage: Stage, k: int) -> Stage:
    case, state = stage.case, stage.state
    (gone,) = find_departures(case.scenario, {k: case.fleet.batteries[k]}, stage.network.standing, [k], state)
    stage = _with_retired(stage, k, gone.standing)
    ratings = rate_batteries(case.opening.ratings, case.scenario, case.fleet.batteries, stage.network.standing)
    house = case.fleet.devices[k].house
    return stage._replace(state=with_batteries(state, ratings, [(house, -gone.energy_wh)]))


def is_gone(stage: Stage, act: Leaves) -> bool:
    """Whether what was to leave is no longer there: a battery may have to wait."""
    k = _find_own_battery(stage.case, act.house) if act.kind == "battery" and act.device is None else act.device
    return k is None or bool(stage.network.standing[k] == RETIRED)
