"""Fuel cell plants as compiled code runs them through an outage, interval by interval: `fuel_cell_plant` once more.

Law: what a plant can deliver, in whole Wh, and its state after an interval are those of `fuel_cell_plant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats
from grid_models.compiled import compiled
from grid_models.devices.fuel_cell import MAX_NEWTON_STEPS, hydrogen_reacted_kg_per_h
from grid_models.devices.fuel_cell_plant import ROUNDING, Plant

_ROUNDING, _STEPS = float(ROUNDING), int(MAX_NEWTON_STEPS)
TANK_KG, ON, POWER_KW, WARM_HOURS = 0, 1, 2, 3
"""Columns of the states, (C, 4): hydrogen, kg; whether it runs; power, kW; hours it has been starting."""


class Cells(NamedTuple):
    """Ratings of C plants, (C,) each, as in `Stack` and `Plant`; `reacted_kg_per_ah` is of one stack."""

    eoc_v: Floats
    tafel_v: Floats
    exchange_a: Floats
    resistance_ohm: Floats
    peak_a: Floats
    peak_w: Floats
    nominal_a: Floats
    reacted_kg_per_ah: Floats
    fuel_utilisation: Floats
    units: Floats
    ac_share: Floats
    nominal_kw: Floats
    minimum_kw: Floats
    ramp_kw_per_h: Floats
    start_hours: Floats


def list_cells(plants: Sequence[Plant]) -> Cells:
    """Ratings of plants, side by side."""
    rows = [
        (
            *(one.stack.eoc_v, one.stack.tafel_v, one.stack.exchange_a, one.stack.resistance_ohm),
            *(one.stack.peak_a, one.stack.peak_w, one.stack.nominal_a),
            *(float(hydrogen_reacted_kg_per_h(one.stack, 1.0)), one.stack.fuel_utilisation),
            *(one.units, one.ac_share, one.nominal_kw, one.minimum_kw, one.ramp_kw_per_h, one.start_hours),
        )
        for one in plants
    ]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(Cells._fields)).T
    return Cells(*(np.ascontiguousarray(column) for column in columns))


@compiled
def find_voltage(cells: Cells, k: int, current_a: float) -> float:
    """Terminal voltage of a stack, V, at a current above 0."""
    curve = cells.eoc_v[k] - cells.tafel_v[k] * np.log(current_a / cells.exchange_a[k])
    return float(min(cells.eoc_v[k], curve - cells.resistance_ohm[k] * current_a))


@compiled
def find_current(cells: Cells, k: int, power_w: float) -> float:
    """Current of a stack, A, that delivers a power: `fuel_cell.stack_current`."""
    current, eoc = power_w / cells.eoc_v[k], cells.eoc_v[k]
    for _ in range(_STEPS):
        voltage = find_voltage(cells, k, current) if current > 0.0 else eoc
        slope = eoc
        if voltage < eoc:
            slope = voltage - cells.tafel_v[k] - cells.resistance_ohm[k] * current
        missing = power_w - voltage * current
        if missing <= 1e-15 * cells.peak_w[k] or slope <= 0.0:
            break
        current = min(current + missing / slope, cells.peak_a[k])
    return float(current)


@compiled
def supplied_kg_per_h(cells: Cells, k: int, current_a: float) -> float:
    """Hydrogen that all stacks of a plant take from its tank at a current of each."""
    return float(current_a * cells.reacted_kg_per_ah[k] / cells.fuel_utilisation[k] * cells.units[k])


@compiled
def find_powers(cells: Cells, k: int, state: Floats, hours: float) -> tuple[float, float, float]:
    """Lowest and highest power, kW, that a plant can run at, 0 if it cannot, and for how many hours of the interval."""
    on, p_kw = state[ON] != 0.0, state[POWER_KW]
    running = hours if on else hours - max(cells.start_hours[k] - state[WARM_HOURS], 0.0)
    if running <= 0.0:
        return 0.0, 0.0, 0.0
    reach = cells.ramp_kw_per_h[k] * running
    low = max(cells.minimum_kw[k], p_kw - reach) if on else cells.minimum_kw[k]
    high = min(cells.nominal_kw[k], max(cells.minimum_kw[k], p_kw + reach))
    current = state[TANK_KG] / running / supplied_kg_per_h(cells, k, 1.0)
    if current < cells.nominal_a[k]:
        watts = find_voltage(cells, k, current) * current if current > 0.0 else 0.0
        high = min(high, watts * cells.units[k] * cells.ac_share[k] / 1000.0)
    if high >= low and high > 0.0:
        return low, high, running
    return 0.0, 0.0, running


@compiled
def may_stop(cells: Cells, k: int, state: Floats, high_kw: float, hours: float) -> bool:
    """Whether a plant may be off in the interval."""
    reach = max(cells.minimum_kw[k], cells.ramp_kw_per_h[k] * hours) * (1.0 + _ROUNDING)
    return state[ON] == 0.0 or state[POWER_KW] <= reach or high_kw == 0.0


@compiled
def find_energies(cells: Cells, k: int, state: Floats, hours: float) -> tuple[int, int, bool]:
    """Least and most Wh that a plant can deliver in an interval, and whether it may be off: `interval_capability`."""
    low, high, running = find_powers(cells, k, state, hours)
    share = running / hours
    least = int(np.ceil(low * share * hours * 1000.0 * (1.0 - _ROUNDING)))
    most = int(np.floor(high * share * hours * 1000.0 * (1.0 + _ROUNDING)))
    if least > most:
        least, most = 0, 0
    return least, most, may_stop(cells, k, state, high, hours)


@compiled
def run_cell(cells: Cells, k: int, state: Floats, wanted_wh: int, hours: float) -> None:
    """Run a plant for an interval at an energy that it can deliver, and set its state, (4,): `dispatch`."""
    low, high, running = find_powers(cells, k, state, hours)
    wanted, share = wanted_wh / 1000.0 / hours, running / hours
    enough = wanted > 0.0 and wanted >= low * share * (1.0 - _ROUNDING)
    if high * share == 0.0 or (may_stop(cells, k, state, high, hours) and not enough):
        starting = wanted > 0.0 and running == 0.0
        state[WARM_HOURS] = state[WARM_HOURS] + hours if starting else 0.0
        state[ON], state[POWER_KW] = 0.0, 0.0
        return
    p_kw = min(max(wanted, low * share), high * share) * hours / running
    current = find_current(cells, k, p_kw * (1000.0 / (cells.units[k] * cells.ac_share[k])))
    state[TANK_KG] -= min(supplied_kg_per_h(cells, k, current) * running, state[TANK_KG])
    state[ON], state[POWER_KW], state[WARM_HOURS] = 1.0, p_kw, 0.0
