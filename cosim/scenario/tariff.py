"""The tariff by time of use: what the utility charges, in bands of hours, days of the week and months."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.base import NotNegative, Section, Zone

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Month = Annotated[int, Field(ge=1, le=12)]


class TariffBand(Section):
    """A price and when it holds; what is left out holds always."""

    price_eur_per_kwh: NotNegative = Field(le=10, description="utility price, EUR/kWh")
    from_hour: int = Field(0, ge=0, le=23, description="first hour of the day, local clock")
    to_hour: int = Field(24, ge=1, le=24, description="hour at which it ends; before from_hour: over midnight")
    days: tuple[Day, ...] = Field((), description="days of the week, such as mon; none: all")
    months: tuple[Month, ...] = Field((), description="months 1 … 12; none: all")

    @model_validator(mode="after")
    def _is_some_time(self) -> TariffBand:
        if self.from_hour == self.to_hour:
            raise ValueError(
                f"to_hour: expected another hour than from_hour, got {self.to_hour} for both; leave both out"
            )
        return self


class TariffSection(Section):
    """Utility price by time of use, in place of that of the profiles."""

    timezone: Zone = Field("UTC", description="clock of hours, days and months, such as Europe/Madrid")
    bands: tuple[TariffBand, ...] = Field(
        (), max_length=24, description="bands in order: the first that fits counts; none: the price of the profiles"
    )
