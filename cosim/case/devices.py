"""Devices that a scenario names, and the schedule of its fuel cells while the grid is there.

A fuel cell is firm generation: it runs where the utility price covers its fuel, up to what the others lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.community import COMMUNITY
from cosim.errors import ScenarioError
from cosim.scenario.events import RegisterEvent, RetireEvent
from cosim.scenario.model import BatterySection, CommunitySection, OwnStackSection, Scenario
from grid_models.devices.battery import Battery
from grid_models.devices.fuel_cell import fit_stack
from grid_models.devices.fuel_cell_plant import (
    Dispatch,
    Plant,
    PlantState,
    dispatch,
    interval_capability,
    plant_preset,
    specific_cost_eur_per_kwh,
)
from market.exchanges import UEUR_PER_EUR
from market.storage import Wh


class Device(NamedTuple):
    """A fuel cell, panels or a battery that the scenario names beside the houses' own.

    Attributes
    ----------
    label
        As in tables and records.
    house
        Whose, 0 … N-1.
    plant
        Ratings of a fuel cell, None for panels.
    pv_kwp
        Panels, 0 for anything else.
    battery
        Ratings of a battery, None for anything else.
    charge_wh
        Energy that a battery comes with.
    from_the_start
        Whether it is a battery that the house has had from the first day.
    """

    label: str
    house: int
    plant: Plant | None = None
    pv_kwp: float = 0.0
    battery: Battery | None = None
    charge_wh: int = 0
    from_the_start: bool = False

    @property
    def kind(self) -> str:
        """`fuel_cell`, `battery` or `pv`."""
        if self.plant is not None:
            return "fuel_cell"
        return "pv" if self.battery is None else "battery"

    @property
    def rated_kw(self) -> float:
        """Largest power."""
        if self.plant is not None:
            return self.plant.nominal_kw
        return self.pv_kwp if self.battery is None else self.battery.rated_kw

    @property
    def battery_wh(self) -> int:
        """Capacity of a battery, 0 for anything else."""
        return 0 if self.battery is None else round(self.battery.capacity_kwh * 1000.0)


class FuelUse(NamedTuple):
    """A fuel cell's schedule over T intervals: energy delivered, Wh, and hydrogen used, kg."""

    delivered_wh: Wh
    fuel_kg: npt.NDArray[np.float64]


def battery_of(section: BatterySection, capacity_wh: int) -> Battery:
    """Battery of a capacity, of the scenario's kind."""
    ratings = section.model_dump(include={field.name for field in fields(Battery)})
    return Battery(capacity_kwh=capacity_wh / 1000.0, **ratings)


def devices_of(
    scenario: Scenario, participants: Sequence[str], capacity_wh: Wh | None = None
) -> tuple[Device, ...]:
    """The community's fuel cell, own batteries that will leave, then all that ask to be registered in the file's order.

    Parameters
    ----------
    scenario
        Events, and the kind of the batteries.
    participants
        N names.
    capacity_wh
        (N,) own batteries; none where left out.

    Raises
    ------
    ScenarioError
        If a device belongs to nobody.
    """
    section = scenario.community
    found = []
    if section.enabled and section.fuel_cell != "none":
        plant = plant_of(section.fuel_cell, section, scenario.own_stack)
        found.append(Device(f"{COMMUNITY} fuel cell", participants.index(COMMUNITY), plant))
    asking, leaving = [], dict[int, Device]()
    for number, event in enumerate(scenario.events):
        if isinstance(event, RegisterEvent):
            house = house_of(event.participant, participants, number)
            asking.append(_registered(event, house, scenario))
        elif isinstance(event, RetireEvent) and event.device == "battery" and capacity_wh is not None:
            house = house_of(event.participant, participants, number)
            battery = battery_of(scenario.battery, int(capacity_wh[house]))
            if battery.capacity_kwh:
                label = f"{event.participant} battery"
                leaving[house] = Device(label, house, battery=battery, from_the_start=True)
    return (*found, *leaving.values(), *asking)


def house_of(name: str, participants: Sequence[str], number: int) -> int:
    """Number of the participant that event `number` names.

    Raises
    ------
    ScenarioError
        If there is none of that name.
    """
    if name not in participants:
        raise ScenarioError(
            f"events, entry {number + 1}, participant: expected one of {', '.join(participants[:3])}, …, "
            f"{participants[-1]}, got '{name}'; correct it"
        )
    return list(participants).index(name)


def plant_of(name: str, supply: CommunitySection | RegisterEvent, own: OwnStackSection) -> Plant:
    """Fuel cell plant of a preset, or named own of the data sheet in the scenario.

    Parameters
    ----------
    name
        Preset, or `own`.
    supply
        Number of stacks, hydrogen and its price.
    own
        The data sheet.

    Raises
    ------
    grid_models.errors.GridError
        If the data sheet's points are not on a falling curve, or a number is outside its range.
    """
    if name != "own":
        return plant_preset(
            name, units=supply.units, tank_kg=supply.tank_kg, fuel_eur_per_kg=supply.fuel_eur_per_kg
        )
    stack = fit_stack(
        own.eoc_v,
        own.v1_v,
        (own.nominal_a, own.nominal_v),
        (own.max_a, own.max_v),
        cells=own.cells,
        nominal_efficiency=own.nominal_efficiency,
    )
    return Plant(
        stack,
        supply.units,
        supply.tank_kg,
        auxiliary_share=own.auxiliary_share,
        inverter_efficiency=own.inverter_efficiency,
        minimum_load=own.minimum_load,
        ramp_per_hour=own.ramp_per_hour,
        start_hours=own.start_hours,
        fuel_eur_per_kg=supply.fuel_eur_per_kg,
    )


def _registered(event: RegisterEvent, house: int, scenario: Scenario) -> Device:
    label = f"{event.participant} plugged-in {event.device.replace('_', ' ')}"
    if event.device == "pv":
        return Device(label, house, pv_kwp=event.pv_kwp)
    if event.device == "battery":
        capacity_wh = round(event.battery_kwh * 1000.0)
        battery = battery_of(scenario.battery, capacity_wh)
        return Device(label, house, battery=battery, charge_wh=round(event.soc * capacity_wh))
    return Device(label, house, plant_of(event.preset, event, scenario.own_stack))


def run_plant(plant: Plant, state: PlantState, wanted_wh: int, interval_minutes: int) -> tuple[int, Dispatch]:
    """Run a plant for an interval at `wanted_wh` or what it can in whole Wh; returns (Wh delivered, dispatch)."""
    hours = interval_minutes / 60.0
    run = dispatch(plant, state, wanted_wh / 1000.0 / hours, hours)
    return round(run.delivered_kw * hours * 1000.0), run


def schedule(plant: Plant, lacking_wh: Wh, utility_ueur_per_kwh: Wh, interval_minutes: int) -> FuelUse:
    """What a fuel cell delivers while the grid is there and its tank is kept full.

    Parameters
    ----------
    plant
        Its ratings.
    lacking_wh
        Demand that it may serve, (T,).
    utility_ueur_per_kwh
        What the others would pay else, (T,).
    interval_minutes
        Length of an interval.
    """
    hours = interval_minutes / 60.0
    delivered, fuel = np.zeros(lacking_wh.size, np.int64), np.zeros(lacking_wh.size)
    state = PlantState(plant.tank_kg)
    for t in range(lacking_wh.size):
        can = interval_capability(plant, state, interval_minutes)
        wanted = min(int(lacking_wh[t]), can.max_wh or int(plant.nominal_kw * hours * 1000.0))
        worth_it = wanted > 0 and _covers(plant, wanted / 1000.0 / hours, int(utility_ueur_per_kwh[t]))
        delivered[t], run = run_plant(plant, state, wanted if worth_it else 0, interval_minutes)
        fuel[t] = run.fuel_kg
        state = run.state._replace(hydrogen_kg=plant.tank_kg)
    return FuelUse(delivered, fuel)


def _covers(plant: Plant, p_kw: float, utility_ueur_per_kwh: int) -> bool:
    """Whether the utility price covers the fuel of a power that the plant can run at."""
    if not plant.minimum_kw <= p_kw * (1 + 1e-9):
        return False
    cost = float(specific_cost_eur_per_kwh(plant, min(p_kw, plant.nominal_kw)))
    return utility_ueur_per_kwh / UEUR_PER_EUR >= cost
