"""What P(V) and tap changers did in a run, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_voltage_control(found: Mapping[str, Any]) -> list[str]:
    """The section `voltage_control` of a summary in words, the worst first.

    Examples
    --------
    >>> taps = {"tap_pos_0": {"steps": 4, "lowest": -1, "highest": 1, "last": 0}}
    >>> describe_voltage_control({"hunting": 2, "taps": taps})
    ['hunting: in 2 intervals controls found no state to rest in', 'tap_pos_0: 4 steps, between -1 and 1']
    """
    said = []
    if found["hunting"]:
        said.append(f"hunting: in {found['hunting']:,} intervals controls found no state to rest in")
    if "volt_watt_kwh" in found:
        houses, intervals = found["volt_watt_houses"], found["volt_watt_intervals"]
        said.append(f"P(V): {found['volt_watt_kwh']:,.1f} kWh reduced at {houses} houses in {intervals:,} intervals")
    for name, taps in found.get("taps", {}).items():
        said.append(f"{name}: {taps['steps']:,} steps, between {taps['lowest']} and {taps['highest']}")
    return said
