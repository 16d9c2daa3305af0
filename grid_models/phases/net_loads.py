"""Loads and generators of a pandapower net by their phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from grid_models.arrays import Complex, Ints
from grid_models.errors import GridError
from grid_models.feeder.voltage_dependence import has_dependence
from grid_models.phases.circuit import EARTH
from grid_models.powerflow.admittance import Matrices, find_bus_rows

BALANCED = {"load": 1.0, "sgen": -1.0, "storage": 1.0}
"""Tables of elements that know no phases, and the sign of what they draw."""
BY_PHASE = {"asymmetric_load": 1.0, "asymmetric_sgen": -1.0}


def remove_loads(net: Any) -> None:
    """Remove all loads, generators of constant power and storages."""
    for table in (*BALANCED, *BY_PHASE):
        net[table].drop(net[table].index, inplace=True)


def find_ports(net: Any, matrices: Matrices) -> tuple[Complex, Ints, tuple[str, ...]]:
    """What a net draws between its conductors; node 3·i + k is phase k of internal bus i.

    Returns
    -------
    power_kva, ports, notes
        (m,) drawn at each port, (m, 2) nodes it lies between, and what was carried on three phases.

    Raises
    ------
    GridError
        If a load depends on the voltage, or it is not said how an unbalanced element is connected.
    """
    if has_dependence(net):
        raise GridError(
            "network, load: expected loads of constant power in three phases, got const_z_percent or const_i_percent "
            "other than 0; set them to 0"
        )
    drawn: dict[tuple[int, int], complex] = {}
    notes = []
    for table, sign in BALANCED.items():
        rows = _list_live(net, table)
        for index, row in rows.iterrows():
            third = _power(table, index, row, "p_mw", "q_mvar") * sign / 3.0
            _add(drawn, _internal(net, matrices, row.bus), [third] * 3, delta=row.get("type") == "delta")
        if len(rows):
            notes.append(f"{len(rows)} rows of the table '{table}' know no phases; a third of each is on every phase")
    for table, sign in BY_PHASE.items():
        for index, row in _list_live(net, table).iterrows():
            if row["type"] not in ("wye", "delta"):
                raise GridError(
                    f"network, {table} {index}: expected type wye or delta, got '{row['type']}'; write "
                    "how it is connected"
                )
            powers = [_power(table, index, row, f"p_{phase}_mw", f"q_{phase}_mvar") * sign for phase in "abc"]
            _add(drawn, _internal(net, matrices, row.bus), powers, delta=row["type"] == "delta")
    ports = np.array(list(drawn), dtype=np.int64).reshape(-1, 2)
    return np.array(list(drawn.values()), dtype=np.complex128), ports, tuple(notes)


def _list_live(net: Any, table: str) -> Any:
    return net[table][net[table].in_service.astype(bool)]


def _internal(net: Any, matrices: Matrices, bus: int) -> int:
    """Internal bus, -1 without supply."""
    return int(matrices.bus[find_bus_rows(net, [bus])[0]])


def _power(table: str, index: Any, row: Any, p: str, q: str) -> complex:
    """Power of an element, kVA."""
    s = complex(float(row[p]), float(row[q])) * float(row["scaling"]) * 1000.0
    if not np.isfinite(s):
        raise GridError(f"network, {table} {index}: expected numbers in {p}, {q} and scaling, got {s}")
    return s


def _add(drawn: dict[tuple[int, int], complex], bus: int, powers: list[complex], *, delta: bool) -> None:
    """Add powers of three phases, or of a–b, b–c, c–a, to the ports of a bus."""
    if bus < 0:
        return
    for phase, power in enumerate(powers):
        if power:
            other = 3 * bus + (phase + 1) % 3 if delta else EARTH
            port = (3 * bus + phase, other)
            drawn[port] = drawn.get(port, 0.0) + power


def sum_net_powers(net: Any) -> tuple[Ints, Complex]:
    """Bus and complex power drawn, kVA, of each element of constant power in service, (E,), its phases summed."""
    bus: list[int] = []
    power: list[complex] = []
    for table, sign in (*BALANCED.items(), *BY_PHASE.items()):
        phases = ("",) if table in BALANCED else ("_a", "_b", "_c")
        for index, row in _list_live(net, table).iterrows():
            drawn = sum(_power(table, index, row, f"p{phase}_mw", f"q{phase}_mvar") for phase in phases)
            bus.append(int(row.bus))
            power.append(drawn * sign)
    return np.array(bus, dtype=np.int64), np.array(power, dtype=np.complex128)
