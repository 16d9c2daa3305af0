"""What every section of a scenario file is made of: numbers in a range, times in UTC, no unknown keys."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from data.zones import find_zone

Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LEAST_COS_PHI = 0.1
AS_IN_NET = "as_in_net"


def _check_cos_phi(value: float | str) -> float | str:
    if value == AS_IN_NET or (not isinstance(value, str) and LEAST_COS_PHI <= abs(value) <= 1.0):
        return value
    raise ValueError(
        f"expected a power factor from {LEAST_COS_PHI} to 1, with a minus for a capacitive load, or "
        f"'{AS_IN_NET}', got {value!r}"
    )


CosPhi = Annotated[float | str, AfterValidator(_check_cos_phi)]
"""Power factor of a load: positive where it draws reactive power (inductive), negative where it supplies it."""


def _without_point(value: float) -> Any:
    """A whole number as an integer: files, digests and messages say 24, not 24.0."""
    return int(value) if value == int(value) else value


Hours = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_without_point), PlainSerializer(_without_point)]
"""A length in hours, an integer where it is whole."""


def is_whole(hours: float, interval_minutes: int) -> bool:
    """Whether a length is one or more whole intervals, to half a second: ten minutes are 0.1667 hours.

    Examples
    --------
    >>> [is_whole(hours, 10) for hours in (1 / 6, 0.1667, 0.167, 0.0)]
    [True, True, False, False]
    """
    seconds = round(hours * 3600.0)
    return seconds > 0 and seconds % (60 * interval_minutes) == 0


def _check_name(name: str) -> str:
    if name.isprintable() and name == name.strip() and not set(name) & set("/\\") and name.strip("."):
        return name
    raise ValueError(
        f"expected a name that can be that of a folder: printable, without / and \\, no blank at its ends, got {name!r}"
    )


ScenarioName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_name)]
"""Name of a scenario; a run is written into `runs/NAME-001` if nobody says where."""


def _check_limit(most: float, unit: str) -> AfterValidator:
    def check(value: float | str) -> float | str:
        if value == AS_IN_NET or (not isinstance(value, str) and 0.0 < value < most):
            return value
        raise ValueError(f"expected a limit above 0{unit}, or '{AS_IN_NET}', got {value!r}")

    return AfterValidator(check)


VoltageLimit = Annotated[float | str, _check_limit(2.0, " and below 2 pu")]
LoadingLimit = Annotated[float | str, _check_limit(math.inf, " %")]
"""A limit, or `as_in_net`."""


def _convert_to_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_convert_to_utc)]


def _check_zone(name: str) -> str:
    return find_zone(name).key


Zone = Annotated[str, AfterValidator(_check_zone)]
"""Name of a time zone of the IANA data base."""


_TWO_WAYS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
"""A number in quotes whose mark may be decimal or between thousands."""


def takes_number(annotation: Any) -> bool:
    """Whether a key is for a number, perhaps for text beside."""
    return bool(set(_list_kinds(annotation)) & {int, float})


def _is_number(annotation: Any) -> bool:
    """Whether a key is for a number, and for no text beside."""
    return takes_number(annotation) and str not in set(_list_kinds(annotation))


def _list_kinds(annotation: Any) -> Iterator[Any]:
    """What an annotation is made of, to the innermost."""
    yield type(annotation) if isinstance(annotation, str) else annotation  # a word of a Literal is text
    for part in get_args(annotation):
        yield from _list_kinds(part)


class Section(BaseModel):
    """A table of the scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _says_each_number_in_one_way(cls, given: Any) -> Any:
        for key, text in given.items() if isinstance(given, dict) else ():
            field = cls.model_fields.get(key)
            if field is None or not isinstance(text, str) or not _TWO_WAYS.fullmatch(text.strip()):
                continue
            if _is_number(field.annotation):
                whole, decimal = re.sub("[.,]", "", text.strip()), float(text.replace(",", "."))
                raise ValueError(
                    f"{key}: expected a number that can be read in one way only, got {text!r}; write {whole} or "
                    f"{decimal:g}, without quotes"
                )
        return given

    @field_validator("*", mode="after")
    @classmethod
    def _without_negative_zero(cls, value: object) -> object:
        """Zero without a sign: `-0.0` is not below 0, but libraries take it for a negative number."""
        return value + 0.0 if isinstance(value, float) else value
