"""Events of a scenario: outages, devices that come and go, changes of load and production."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cosim.scenario.base import Moment, NotNegative, Positive, Ratio, Section


def _check_opens(event: Any) -> Any:
    """An outage that opens something."""
    if not (event.grid or event.switches or event.lines):
        raise ValueError("expected grid = true, or names in switches or lines")
    return event


class OutageEvent(Section):
    """The grid, switches or lines are open for some hours."""

    kind: Literal["outage"]
    start: Moment = Field(description="first interval of the outage begins, UTC")
    hours: Positive = Field(description="length, hours")
    grid: bool = Field(False, description="whether the connection to the grid opens")
    switches: tuple[str, ...] = Field((), description="names of switches that open")
    lines: tuple[str, ...] = Field((), description="names of lines that are out of service")
    _opens = model_validator(mode="after")(_check_opens)


class RandomOutagesEvent(Section):
    """Outages at random times, drawn by the seed."""

    kind: Literal["random_outages"]
    per_year: Positive = Field(1.0, le=8760, description="mean number of outages in a year with the grid")
    mean_hours: Positive = Field(12.0, le=8760, description="mean length, hours")
    lengths: Literal["exponential", "lognormal", "fixed"] = Field(
        "exponential", description="distribution of the lengths: exponential, lognormal or fixed"
    )
    spread: Positive = Field(1.0, le=3, description="standard deviation of the logarithm of lognormal lengths")
    longest_hours: Positive = Field(72.0, le=8760, description="no outage is longer, hours")
    grid: bool = Field(True, description="whether the connection to the grid opens")
    switches: tuple[str, ...] = Field((), description="names of switches that open")
    lines: tuple[str, ...] = Field((), description="names of lines that are out of service")
    _opens = model_validator(mode="after")(_check_opens)


class RegisterEvent(Section):
    """A device asks to be admitted; if it is, it takes part from the next interval on."""

    kind: Literal["register"]
    at: Moment = Field(description="interval of the request, UTC")
    participant: str = Field(description="whose connection it is plugged in at")
    device: Literal["fuel_cell", "pv", "battery"] = Field(description="fuel_cell, pv or battery")
    preset: Literal["pem-1.26kw", "pem-6kw", "pem-50kw", "sofc-3kw", "own"] = Field(
        "pem-6kw", description="fuel cell stack: a preset, or own as in [own_stack]"
    )
    units: int = Field(1, ge=1, le=1000, description="number of stacks")
    tank_kg: NotNegative = Field(10.0, le=1e6, description="hydrogen it comes with, kg")
    fuel_eur_per_kg: NotNegative = Field(5.3, le=1000, description="price of hydrogen, EUR/kg")
    pv_kwp: Positive = Field(4.0, le=1e6, description="panels, kWp")
    battery_kwh: Positive = Field(10.0, le=1e6, description="capacity of a battery, kWh; of the kind of [battery]")
    soc: Ratio = Field(0.5, description="state of charge a battery comes with")


class RetireEvent(Section):
    """A participant's panels, fuel cells or batteries leave."""

    kind: Literal["retire"]
    at: Moment = Field(description="first interval without them, UTC")
    participant: str = Field(description="whose")
    device: Literal["fuel_cell", "pv", "battery"] = Field(description="fuel_cell, pv or battery")


class LoadEvent(Section):
    """A participant uses or generates more or less for some hours."""

    kind: Literal["load"]
    start: Moment = Field(description="first interval of the change begins, UTC")
    hours: Positive = Field(description="length, hours")
    participant: str = Field(description="whose")
    factor: NotNegative = Field(le=1000, description="by which it is multiplied")
    quantity: Literal["load", "production"] = Field("load", description="load or production")


Event = Annotated[
    OutageEvent | RandomOutagesEvent | RegisterEvent | RetireEvent | LoadEvent, Field(discriminator="kind")
]
