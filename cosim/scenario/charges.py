"""Network charges: what houses pay the network operator for energy, power and standing, and who pays for losses."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from cosim.scenario.base import NotNegative, Ratio, Section, Zone
from cosim.scenario.tariff import TariffBand


class ChargeBand(TariffBand):
    """An energy part and when it holds; what is left out holds always."""

    price_eur_per_kwh: NotNegative = Field(le=10, description="energy part, EUR/kWh")


class ChargesSection(Section):
    """Network charges, by calendar month; without any price and with losses left to the operator there are none."""

    timezone: Zone = Field("UTC", description="clock of days, months and bands, such as Europe/Vienna")
    energy_eur_per_kwh: NotNegative = Field(0.0, le=10, description="energy part, EUR/kWh withdrawn, at all times")
    bands: tuple[ChargeBand, ...] = Field(
        (), max_length=24, description="energy part by time of use, in place of it: the first that fits counts"
    )
    local_share: Ratio = Field(
        1.0, description="share of the energy part that is paid for energy that stays below the transformer"
    )
    power_eur_per_kw_month: NotNegative = Field(
        0.0, le=1000, description="power part, EUR a month for each kW of the month's peak"
    )
    standing_eur_per_day: NotNegative = Field(0.0, le=1000, description="standing part, EUR a day and house")
    standing_eur_per_month: NotNegative = Field(0.0, le=10_000, description="standing part, EUR a month and house")
    losses: Literal["operator", "pro_rata"] = Field(
        "operator", description="who pays for losses: the operator, or houses in proportion to the month's withdrawals"
    )

    @field_validator("losses", mode="before")
    @classmethod
    def _is_known(cls, value: object) -> object:
        if value == "marginal":
            raise ValueError(
                "expected 'operator' or 'pro_rata', got 'marginal': marginal losses are not charged yet; choose "
                "pro_rata"
            )
        return value

    @property
    def is_on(self) -> bool:
        """Whether anything is charged."""
        parts = self.energy_eur_per_kwh, self.power_eur_per_kw_month
        standing = self.standing_eur_per_day, self.standing_eur_per_month
        return bool(self.bands or any((*parts, *standing)) or self.losses != "operator")
