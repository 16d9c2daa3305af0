"""What every section of a scenario file is made of: numbers in a range, times in UTC, no unknown keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _convert_to_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_convert_to_utc)]


class Section(BaseModel):
    """A table of the scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="after")
    @classmethod
    def _without_negative_zero(cls, value: object) -> object:
        """Zero without a sign: `-0.0` is not below 0, but libraries take it for a negative number."""
        return value + 0.0 if isinstance(value, float) else value
