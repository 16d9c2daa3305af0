"""Sections about cars and heat pumps: how many houses have one, of which kind, and how it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cosim.scenario.base import NotNegative, Positive, Ratio, Section

StrategyName = Literal["uncontrolled", "at_departure", "surplus", "price"]

CHARGERS_KW = (3.7, 7.4, 11.0, 22.0)


class EvSection(Section):
    """Electric cars at wall boxes of the houses; which houses have one is drawn from the seed."""

    n_cars: int = Field(0, ge=0, le=100_000, description="number of houses with an electric car; 0: none")
    charger_kw: Positive = Field(
        11.0, description="power of the wall boxes, kW: 3.7 or 7.4 (one phase), 11 or 22 (three phases)"
    )
    battery_kwh: Annotated[float, Field(gt=0, le=1000)] = Field(55.0, description="battery of a car, kWh")
    efficiency: Annotated[float, Field(ge=0.5, le=1)] = Field(0.9, description="stored over charged")
    consumption_kwh_per_100km: Annotated[float, Field(gt=0, le=200)] = Field(
        18.0, description="what the battery gives for 100 km, kWh"
    )
    target: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="state of charge that a car is to leave with, share of its battery"
    )
    strategy: StrategyName = Field(
        "uncontrolled",
        description="uncontrolled: at once; at_departure: as late as can be; surplus: from the house's own surplus, "
        "the rest as late as can be; price: in the cheapest intervals of the stay",
    )
    v2g: bool = Field(False, description="true is refused: cars do not discharge into the house yet")

    @field_validator("charger_kw", mode="after")
    @classmethod
    def _is_a_rating(cls, value: float) -> float:
        if value not in CHARGERS_KW:
            raise ValueError(f"expected 3.7, 7.4, 11 or 22 kW, got {value:g}; choose the next rating of a wall box")
        return value

    @field_validator("v2g", mode="after")
    @classmethod
    def _does_not_discharge(cls, value: bool) -> bool:
        if value:
            raise ValueError("expected false, since cars do not discharge into the house or network yet; leave it out")
        return value


class HeatPumpSection(Section):
    """Heat pumps of the houses; which houses have one is drawn from the seed."""

    n_heat_pumps: int = Field(0, ge=0, le=100_000, description="number of houses with a heat pump; 0: none")
    heat_kwh_per_year: Annotated[float, Field(gt=0, le=1e6)] = Field(
        14_000.0, description="heat for rooms and water of a house in a year, kWh, on the average"
    )
    heat_spread: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="houses take (1 ± spread) times that, uniform"
    )
    power_kw: Annotated[float, Field(gt=0, le=60)] = Field(3.5, description="largest electrical power, kW")
    minimum_load: Ratio = Field(0.3, description="least power at which it runs, share of the largest")
    minimum_on_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        30, description="time for which it runs at least once it has started, minutes"
    )
    buffer_kwh: Annotated[float, Field(gt=0, le=1000)] = Field(12.0, description="heat that its buffer can hold, kWh")
    source: Literal["air", "ground"] = Field("air", description="source of heat: air outdoors, or the ground at 8 °C")
    flow_c: Annotated[float, Field(ge=25, le=65)] = Field(38.0, description="flow temperature, °C")
    cop: Literal["quadratic", "hplib"] = Field(
        "quadratic",
        description="coefficient of performance; quadratic: Staffell et al. 2012; hplib: a generic one of that library",
    )
    strategy: StrategyName = Field(
        "uncontrolled",
        description="uncontrolled: fills the buffer when it is low; at_departure: as late as can be; surplus: from the "
        "house's own surplus, the rest as late as can be; price: in the cheapest quarter of the next day",
    )
    temperature_file: Path | None = Field(
        None, description="CSV time,temperature_c, relative to this scenario; none: an average German year, drawn"
    )
    ground_c: NotNegative = Field(8.0, le=25, description="temperature of the ground, °C, where source = ground")

    @model_validator(mode="after")
    def _buffer_takes_the_least(self) -> HeatPumpSection:
        least = self.power_kw * self.minimum_load * 8.0  # no coefficient of performance is larger
        if self.buffer_kwh < least:
            raise ValueError(
                f"buffer_kwh: expected at least {least:g} kWh, the heat of an hour at the least power, got "
                f"{self.buffer_kwh:g}; take a larger buffer or a smaller minimum_load"
            )
        return self
