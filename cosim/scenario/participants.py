"""What a table says of one participant: a row of `houses.table`, or `[[participants]]` in the scenario file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cosim.scenario.base import LEAST_COS_PHI, Ratio, Section
from grid_models.errors import GridError
from grid_models.feeder.connection import read_phase

FuelCellName = Literal["none", "pem-1.26kw", "pem-6kw", "pem-50kw", "sofc-3kw", "own"]
Efficiency = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


def _check_phase(word: str) -> str:
    try:
        read_phase(word, "phase")
    except GridError as reason:
        raise ValueError(str(reason).removeprefix("phase: ")) from reason
    return word


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_power_factor(value: float) -> float:
    if LEAST_COS_PHI <= abs(value) <= 1.0:
        return value
    raise ValueError(
        f"expected a power factor from {LEAST_COS_PHI} to 1, with a minus for a capacitive load, got {value:g}"
    )


def _check_participant(name: str) -> str:
    if name and name.isprintable() and name == name.strip():
        return name
    raise ValueError(f"expected a name without space at its ends, got {name!r}")


Phase = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_phase)]
Text = Annotated[str, BeforeValidator(_as_text)]


class ParticipantSection(Section):
    """A participant; what is left out is as the other sections say, or drawn."""

    participant: Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_participant)] = Field(
        description="name of a participant of the profiles, of a drawn house, or community"
    )
    bus: Text | None = Field(None, description='bus in a network of your own (network.source = "file")')
    load_cos_phi: Annotated[float, AfterValidator(_check_power_factor)] | None = Field(
        None, description="power factor of its load; negative: capacitive"
    )
    phase: Phase | None = Field(None, description="phases of all its devices: a, b, c or abc")
    phase_pv: Phase | None = Field(None, description="phases of its panels, where others")
    phase_battery: Phase | None = Field(None, description="phases of its battery, where others")
    phase_fuel_cell: Phase | None = Field(None, description="phases of its fuel cell, where others")
    phase_ev: Phase | None = Field(None, description="phases of its wall box: a, b, c; abc from 11 kW on")
    pv_kwp: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="its panels, kWp; 0: none"
    )
    pv_tilt_deg: Annotated[float, Field(ge=0, le=90, allow_inf_nan=False)] | None = Field(
        None, description="tilt of its roof, degrees; 0: flat"
    )
    pv_azimuth_deg: Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)] | None = Field(
        None, description="where its roof looks, degrees; 90: east, 180: south, 270: west"
    )
    battery_kwh: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="its battery, kWh; 0: none"
    )
    battery_kw: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="largest power of its battery, kW"
    )
    charge_efficiency: Efficiency | None = Field(None, description="stored over charged")
    discharge_efficiency: Efficiency | None = Field(None, description="delivered over drawn")
    soc_min: Ratio | None = Field(None, description="lowest state of charge")
    soc_max: Ratio | None = Field(None, description="highest state of charge")
    fuel_cell: FuelCellName | None = Field(None, description="its fuel cell: a preset, own as in [own_stack], or none")
    units: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="number of stacks")
    tank_kg: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="hydrogen in the full tank, kg"
    )
    fuel_eur_per_kg: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = Field(
        None, description="price of hydrogen, EUR/kg"
    )
    contract_power_kw: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="power that it has contracted, kW: judged in contract_power.csv, not enforced"
    )
    priority: Literal["low", "normal", "high"] | None = Field(
        None, description="of its load where load is shed: low, normal or high"
    )
    wallet_eur: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = Field(
        None, description="money in its wallet at the start, EUR"
    )
    ev: bool | None = Field(None, description="whether it has an electric car, of the kind of [ev]")
    heat_pump: bool | None = Field(None, description="whether it has a heat pump, of the kind of [heat_pump]")

    @model_validator(mode="after")
    def _fits_together(self) -> ParticipantSection:
        for key in ("units", "tank_kg", "fuel_eur_per_kg"):
            if getattr(self, key) is not None and self.fuel_cell in (None, "none") and self.participant != "community":
                raise ValueError(f"{key}: expected a fuel_cell that it belongs to, got none; name one or leave it out")
        if self.battery_kwh == 0:
            for key in ("battery_kw", "charge_efficiency", "discharge_efficiency", "soc_min", "soc_max"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key}: expected none where battery_kwh is 0, got one; leave it out")
        if self.soc_min is not None and self.soc_max is not None and self.soc_min > self.soc_max:
            raise ValueError(f"soc_min: expected at most soc_max, {self.soc_max:g}, got {self.soc_min:g}; correct it")
        return self

    def given(self) -> dict[str, Any]:
        """What the row says, without what it leaves out."""
        return self.model_dump(mode="json", exclude_none=True)


NUMBERS = (
    *("load_cos_phi", "pv_kwp", "pv_tilt_deg", "pv_azimuth_deg", "battery_kwh", "battery_kw", "charge_efficiency"),
    *("discharge_efficiency", "soc_min", "soc_max", "units", "tank_kg", "fuel_eur_per_kg", "contract_power_kw"),
    "wallet_eur",
)
"""Columns of a table that hold numbers."""
