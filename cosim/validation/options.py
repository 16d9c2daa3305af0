"""Options of a validation that something else decides: refused, so that none is passed over in silence."""

from __future__ import annotations

from typing import Any

from data.errors import DataError
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder


def check_options(
    net: Any, profiles: Profiles | None, *, participants: Any, keep_elements: bool, interval_minutes: int | None
) -> None:
    """Refuse what a feeder or profiles have of their own; parameters are those of `validate`.

    Raises
    ------
    DataError
        Naming the option, and what decides instead.
    """
    if profiles is not None and interval_minutes not in (None, profiles.interval_minutes):
        raise DataError(
            f"interval_minutes: expected {profiles.interval_minutes}, as in the profiles, got {interval_minutes}; "
            "leave it out, or resample the profiles"
        )
    if not isinstance(net, Feeder):
        return
    for name, given in (("participants", participants is not None), ("keep_elements", keep_elements)):
        if given:
            raise DataError(
                f"{name}: expected none beside a Feeder, whose participants and elements are decided, got some; "
                "leave it out, or give the pandapower net"
            )
