"""Options of a validation that something else decides: refused, so that none is passed over in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.errors import DataError
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder


def check_options(
    net: Any, profiles: Profiles | None, decided: Mapping[str, Any], *, model: str, interval_minutes: int | None
) -> None:
    """Refuse what a feeder or profiles have of their own; parameters are those of `validate`.

    `decided` are options that a feeder decides, by name; None where they were left out.

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
    for name, given in decided.items():
        if given is not None:
            raise DataError(
                f"{name}: expected none beside a Feeder, whose participants and elements are decided, got some; "
                "leave it out, or give the pandapower net"
            )
    if model != "balanced" and net.connections is None:
        raise DataError(
            f"model: expected balanced beside a Feeder without connections, got {model}; give it the phases of its "
            "participants, or give the pandapower net"
        )
