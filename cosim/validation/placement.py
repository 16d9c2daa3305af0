"""Where the participants of a validation are in a network, and by which power factors their loads draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cosim.case.power_factors import check_one_source, with_notes_on_reactive_power, with_power_factors
from cosim.scenario.base import AS_IN_NET
from cosim.scenario.model import Scenario
from data.errors import DataError
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.named_nets import find_bus
from grid_models.feeder.own_loads import find_load_tan_phi


def place_participants(
    net: Any, names: tuple[str, ...], participants: Mapping[str, str | int] | None, *, keep_elements: bool
) -> Feeder:
    """Feeder of a net that is not changed, with the participants where the table, their load or their name says."""
    name = str(net.name or "feeder")
    if not isinstance(participants, Mapping | None):
        raise DataError(
            f"participants: expected a mapping from participant to bus, got a {type(participants).__name__}; "
            "of a table make dict(zip(table.participant, table.bus))"
        )
    table = _find_loads(net, names) if participants is None else participants
    missing = [who for who in names if participants is not None and who not in participants]
    if missing:
        raise DataError(f"participants: expected a bus for '{missing[0]}', which has profiles, got none; add the row")
    buses = [find_bus(net, table.get(who, who), f"network '{name}', participant '{who}'") for who in names]
    feeder = make_feeder(name, net, names, buses, shared_bus=True, keep_elements=keep_elements)
    return replace(feeder, load_tan_phi=find_load_tan_phi(net, buses))


def with_load_cos_phi(feeder: Feeder, profiles: Profiles, load_cos_phi: float | str | Mapping[str, float]) -> Feeder:
    """Feeder with the power factor of every load.

    Raises
    ------
    DataError, ScenarioError
        If a name is no participant's, a value no power factor, or the profiles have reactive power.
    """
    of_some = load_cos_phi if isinstance(load_cos_phi, Mapping) else {}
    for name in of_some:
        if name not in feeder.participants:
            raise DataError(f"load_cos_phi: expected participants, got '{name}'; correct the name")
    for value in of_some.values() if isinstance(load_cos_phi, Mapping) else (load_cos_phi,):
        Scenario("options", houses={"load_cos_phi": value})
    of_all = AS_IN_NET if isinstance(load_cos_phi, Mapping) else load_cos_phi
    check_one_source(profiles, of_all, of_some)
    rated = with_power_factors(feeder, of_all, of_some)
    return with_notes_on_reactive_power(rated, profiles, of_all, of_some)


def _find_loads(net: Any, names: tuple[str, ...]) -> dict[str, str | int]:
    """Participants whose name is that of loads at one bus, with that bus.

    Raises
    ------
    DataError
        If loads of that name are at several buses, or another bus has that name.
    """
    found: dict[str, str | int] = {}
    for name in names:
        at = set(net.load.loc[net.load["name"].astype(str) == name, "bus"].astype(int))
        named = set(net.bus.index[net.bus["name"].astype(str) == name].astype(int)) if at else set()
        if len(at | named) > 1:
            raise DataError(
                f"participant '{name}': expected a name of one bus, got loads at {_list_buses(at)} and buses "
                f"{_list_buses(named)} of that name; say which by a table of participants (--participants)"
            )
        if at:
            found[name] = at.pop()
    return found


def _list_buses(buses: set[int]) -> str:
    return ", ".join(map(str, sorted(buses))) or "none"
