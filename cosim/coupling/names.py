"""What other simulators call our quantities: names in the style of mosaik-pandapower-2, and how they become integers.

Power is in MW; `P[MW]` is drawn from the network where it is positive, as in the tables
of pandapower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from cosim.coupling.inputs import IntervalInputs
from cosim.errors import ScenarioError

P_LOAD, Q_LOAD, P_GEN = "P_load[MW]", "Q_load[MVar]", "P_gen[MW]"
LIMIT_PRICE, UTILITY_PRICE = "limit_price[EUR/kWh]", "utility_price[EUR/kWh]"
OUTAGE, PLUG = "outage", "plug"
POWER, TRADED, CURTAILED, SHED = "P[MW]", "traded[kWh]", "curtailed[kWh]", "shed[kWh]"
PRICE, BLOCK_HASH, OUTCOME, PLUGGED = "price[EUR/kWh]", "block_hash", "outcome", "plugged"
LOADING = "loading[%]"
VOLTAGE = "Vm[pu]"
OF_PHASES = ("Vm_a[pu]", "Vm_b[pu]", "Vm_c[pu]")
HOUSE_INPUTS = (P_LOAD, Q_LOAD, P_GEN, LIMIT_PRICE)
"""What a house takes: powers of several sources are added, of limit prices there is one."""
UEUR_PER_EUR = 1_000_000


class Plugged(NamedTuple):
    """A device to plug in: a name by which it comes once only, `pv` or `battery`, its power and capacity."""

    name: str
    kind: str
    power_w: int
    energy_wh: int


def read_number(value: Any, where: str) -> float:
    """A finite number that another simulator gave.

    Raises
    ------
    ScenarioError
        If it is none.
    """
    if isinstance(value, bool) or (not isinstance(value, (int, float)) and not hasattr(value, "__float__")):
        raise ScenarioError(f"{where}: expected a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ScenarioError(f"{where}: expected a finite number, got {number}")
    return number


def read_one(values: Iterable[Any], where: str) -> float:
    """The one number that was given.

    Raises
    ------
    ScenarioError
        If there are several: none of them is chosen in silence.
    """
    listed = list(values)
    if len(listed) != 1:
        raise ScenarioError(f"{where}: expected one source, got {len(listed)}; connect one")
    return read_number(listed[0], where)


def to_wh(p_mw: float, interval_minutes: int) -> int:
    """Energy of a mean power over an interval, in the nearest whole Wh.

    Examples
    --------
    >>> to_wh(0.0015, 60), to_wh(0.0015, 15)
    (1500, 375)
    """
    return round(p_mw * 1e6 * interval_minutes / 60.0)


def to_mw(energy_wh: int, interval_minutes: int) -> float:
    """Mean power of an energy over an interval; `to_wh` gives the energy back."""
    return energy_wh * 60.0 / interval_minutes / 1e6


def make_inputs(
    given: Mapping[str, Mapping[str, Iterable[Any]]], community: Mapping[str, Iterable[Any]], interval_minutes: int
) -> IntervalInputs:
    """Inputs of an interval from what other simulators gave.

    Parameters
    ----------
    given
        For houses by their names, values of the attributes `HOUSE_INPUTS`, each from one or more sources.
    community
        The same for the community: `UTILITY_PRICE`.
    interval_minutes
        Length of the interval.

    Raises
    ------
    ScenarioError
        If a value is no finite number, or there are several prices.
    """

    def energies(attribute: str) -> dict[str, int]:
        return _collect(given, attribute, lambda values, where: to_wh(_add(values, where), interval_minutes))

    price = community.get(UTILITY_PRICE)
    return IntervalInputs(
        energies(P_LOAD),
        energies(P_GEN),
        energies(Q_LOAD),
        _collect(given, LIMIT_PRICE, lambda values, where: round(read_one(values, where) * UEUR_PER_EUR)),
        None if price is None else round(read_one(price, UTILITY_PRICE) * UEUR_PER_EUR),
    )


def _collect(
    given: Mapping[str, Mapping[str, Iterable[Any]]], attribute: str, read: Callable[[Iterable[Any], str], int]
) -> dict[str, int]:
    found = {house: values[attribute] for house, values in given.items() if attribute in values}
    return {house: read(values, f"{house}, {attribute}") for house, values in found.items()}


def _add(values: Iterable[Any], where: str) -> float:
    return math.fsum(read_number(value, where) for value in values)


def read_plug(value: Any, where: str) -> Plugged:
    """A device to plug in: `{"name": …, "kind": "pv", "power_kW": 3.0}`, with `"energy_kWh"` for a battery.

    Raises
    ------
    ScenarioError
        If it is no such thing.
    """
    keys = {"name", "kind", "power_kW", "energy_kWh"}
    if not isinstance(value, Mapping) or not {"name", "kind", "power_kW"} <= set(value) <= keys:
        raise ScenarioError(f"{where}: expected name, kind, power_kW and perhaps energy_kWh, got {value!r}")
    power, energy = (read_number(value.get(key, 0.0), f"{where}, {key}") for key in ("power_kW", "energy_kWh"))
    return Plugged(str(value["name"]), str(value["kind"]), round(power * 1000.0), round(energy * 1000.0))


def read_switch(value: Any, where: str) -> bool:
    """Whether something is out of service.

    Raises
    ------
    ScenarioError
        If it is neither true nor false.
    """
    if not isinstance(value, bool) and value not in (0, 1):
        raise ScenarioError(f"{where}: expected true or false, got {value!r}")
    return bool(value)
