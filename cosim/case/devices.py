"""Devices that a scenario names beside the houses' own: fuel cells, panels and batteries, each a type of its own.

What they deliver is the matter of `cosim.case.fleet`, which of them are there that of `NetworkState.standing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, assert_never

from cosim.case.community import COMMUNITY
from cosim.case.houses import index_rows
from cosim.errors import ScenarioError
from cosim.scenario.events import RegisterEvent, RetireEvent
from cosim.scenario.model import Scenario
from cosim.scenario.participants import ParticipantSection
from cosim.scenario.sections import BatterySection, CommunitySection, OwnStackSection
from grid_models.devices.battery import Battery
from grid_models.devices.fuel_cell import fit_stack
from grid_models.devices.fuel_cell_plant import Plant, make_preset_plant
from market.storage import Wh

HYDROGEN_WH_PER_KG = 33_330
"""Lower heating value of hydrogen."""


@dataclass(frozen=True)
class Device:
    """What all devices have in common.

    Attributes
    ----------
    kind
        `fuel_cell`, `pv` or `battery`, as in the scenario's events.
    label
        Name in tables and records.
    house
        Number of its owner, 0 … N-1.
    rated_kw
        Largest power, kW.
    energy_wh
        Energy that it can store, Wh: capacity of a battery, hydrogen in a full tank.
    number
        Number that its member has given it on the ledger; None where it is that in the fleet.
    """

    kind: ClassVar[str]
    label: str
    house: int
    rated_kw: float
    energy_wh: int
    number: int | None = field(default=None, kw_only=True)

    @property
    def trial_kw(self) -> tuple[float, ...]:
        """Injections by which the network is tried out before the device is admitted, kW."""
        return 0.0, self.rated_kw


@dataclass(frozen=True)
class PvDevice(Device):
    """Panels."""

    kind = "pv"


@dataclass(frozen=True)
class FuelCellDevice(Device):
    """A fuel cell with its tank."""

    kind = "fuel_cell"
    plant: Plant

    @classmethod
    def of(cls, label: str, house: int, plant: Plant) -> FuelCellDevice:
        """Fuel cell of a house, rated as the plant is."""
        return cls(label, house, plant.nominal_kw, round(plant.tank_kg * HYDROGEN_WH_PER_KG), plant)


@dataclass(frozen=True)
class BatteryDevice(Device):
    """A battery: energy it comes with, Wh; whether it is there from the start; its kind, None for the scenario's."""

    kind = "battery"
    charge_wh: int = 0
    from_the_start: bool = False
    section: BatterySection | None = None

    @property
    def trial_kw(self) -> tuple[float, ...]:
        """Idle, discharging and charging, kW."""
        return 0.0, self.rated_kw, -self.rated_kw


def find_kind(section: BatterySection, row: ParticipantSection | None, capacity_wh: int) -> BatterySection:
    """Kind of a participant's own battery: the scenario's, with what its row in the table says.

    Raises
    ------
    ScenarioError
        If the range of its state of charge is empty.
    """
    if row is None or capacity_wh == 0:
        return section
    keys = ("charge_efficiency", "discharge_efficiency", "soc_min", "soc_max")
    given = {key: getattr(row, key) for key in keys if getattr(row, key) is not None}
    if row.battery_kw is not None:
        given["c_rate"] = row.battery_kw * 1000.0 / capacity_wh
    kind = section.model_copy(update=given)
    if kind.soc_min > kind.soc_max:
        raise ScenarioError(
            f"table of participants, '{row.participant}', soc_min, soc_max: expected the lowest at most the highest, "
            f"with what [battery] says of the other, got {kind.soc_min:g} and {kind.soc_max:g}; name both"
        )
    return kind


def make_battery(section: BatterySection, capacity_wh: int) -> Battery:
    """Battery of a capacity, of the scenario's kind."""
    ratings = section.model_dump(include={each.name for each in fields(Battery)})
    return Battery(capacity_kwh=capacity_wh / 1000.0, **ratings)


def list_devices(scenario: Scenario, participants: Sequence[str], capacity_wh: Wh) -> tuple[Device, ...]:
    """The community's fuel cell, own batteries that will leave, then all that ask to be registered in the file's order.

    Parameters
    ----------
    scenario
        Events, checked by `cosim.case.checks.check_events`, and the kind of the batteries.
    participants
        N names.
    capacity_wh
        (N,) capacities of the participants' own batteries.
    """
    section, names, rows = scenario.community, list(participants), index_rows(scenario)
    found: list[Device] = []
    if section.enabled and section.fuel_cell != "none":
        plant = make_plant(section.fuel_cell, section, scenario.own_stack)
        found.append(FuelCellDevice.of(f"{COMMUNITY} fuel cell", names.index(COMMUNITY), plant))
    found += _list_own_cells(scenario, names)
    requested, leaving = list[Device](), dict[int, Device]()
    for event in scenario.events:
        if isinstance(event, RegisterEvent):
            requested.append(_make_requested(event, names.index(event.participant), scenario))
        elif isinstance(event, RetireEvent) and event.device == "battery":
            house = names.index(event.participant)
            wh, label = int(capacity_wh[house]), f"{event.participant} battery"
            if wh:
                kind = find_kind(scenario.battery, rows.get(event.participant), wh)
                rated_kw = make_battery(kind, wh).rated_kw
                leaving[house] = BatteryDevice(label, house, rated_kw, wh, from_the_start=True, section=kind)
    return (*found, *leaving.values(), *requested)


def _list_own_cells(scenario: Scenario, names: Sequence[str]) -> list[Device]:
    """Fuel cells that the table of participants gives to houses."""
    found: list[Device] = []
    for row in scenario.participants:
        if row.fuel_cell not in (None, "none") and row.participant != COMMUNITY:
            given = row.model_dump(include={"units", "tank_kg", "fuel_eur_per_kg"}, exclude_none=True)
            plant = make_plant(str(row.fuel_cell), CommunitySection(**given), scenario.own_stack)
            found.append(FuelCellDevice.of(f"{row.participant} fuel cell", names.index(row.participant), plant))
    return found


def make_plant(name: str, supply: CommunitySection | RegisterEvent, own: OwnStackSection) -> Plant:
    """Fuel cell plant of a preset, or of the data sheet in the scenario.

    Parameters
    ----------
    name
        Preset, or `own` for the data sheet.
    supply
        Number of stacks, hydrogen and its price.
    own
        The data sheet.

    Raises
    ------
    grid_models.errors.GridError
        If the data sheet's points are not on a falling curve, or a number is outside its range.
    """
    fuel = supply.model_dump(include={"units", "tank_kg", "fuel_eur_per_kg"})
    if name != "own":
        return make_preset_plant(name, **fuel)
    stack = fit_stack(
        own.eoc_v,
        own.v1_v,
        (own.nominal_a, own.nominal_v),
        (own.max_a, own.max_v),
        cells=own.cells,
        nominal_efficiency=own.nominal_efficiency,
    )
    return Plant(stack, **fuel, **own.model_dump(include={each.name for each in fields(Plant)}))


def _make_requested(event: RegisterEvent, house: int, scenario: Scenario) -> Device:
    label = f"{event.participant} plugged-in {event.device.replace('_', ' ')}"
    if event.device == "pv":
        return PvDevice(label, house, event.pv_kwp, 0)
    if event.device == "battery":
        capacity_wh = round(event.battery_kwh * 1000.0)
        rated_kw = make_battery(scenario.battery, capacity_wh).rated_kw
        return BatteryDevice(label, house, rated_kw, capacity_wh, round(event.soc * capacity_wh))
    if event.device == "fuel_cell":
        return FuelCellDevice.of(label, house, make_plant(event.preset, event, scenario.own_stack))
    assert_never(event.device)
