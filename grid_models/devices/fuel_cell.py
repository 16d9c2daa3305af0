"""A fuel cell stack: a polarisation curve through datasheet points, and its hydrogen by Faraday's law.

`V(i) = Eoc - NA ln(i / i0) - R i` (the generic model without its dynamics: S. Njoya Motapon, O. Tremblay, L.-A.
Dessaint 2009, "A generic fuel cell model for the simulation of fuel cell vehicles", IEEE Vehicle Power and Propulsion
Conference, 1722-1729, doi:10.1109/VPPC.2009.5289692). Powers are DC; auxiliaries, inverter, tank and operation belong
in `grid_models.devices.fuel_cell_plant`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import wrightomega

from grid_models.arrays import Numeric
from grid_models.errors import GridError, suggest_name
from grid_models.ranges import check_range

FARADAY_C_PER_MOL = 96_485.33212  # CODATA 2018
ELECTRONS_PER_H2 = 2
H2_KG_PER_MOL = 2.016e-3
LHV_J_PER_MOL = 241_830.0  # hydrogen to steam, as the source
MAX_NEWTON_STEPS = 60


@dataclass(frozen=True)
class Stack:
    """Polarisation curve and fuel utilisation of a stack; made by `fit_stack` or taken from `STACKS`.

    Attributes
    ----------
    name
        For messages.
    eoc_v
        Open-circuit voltage.
    tafel_v
        `NA`: Tafel slope of all cells in series, V per e-fold of current.
    exchange_a
        `i0`: exchange current.
    resistance_ohm
        `R`.
    nominal_a, nominal_v, max_a
        Nominal operating point, and the largest current of the datasheet.
    cells
        Cells in series.
    fuel_utilisation
        Share of the supplied hydrogen that reacts.
    """

    name: str
    eoc_v: float
    tafel_v: float
    exchange_a: float
    resistance_ohm: float
    nominal_a: float
    nominal_v: float
    max_a: float
    cells: int
    fuel_utilisation: float

    @property
    def nominal_w(self) -> float:
        """Power at the nominal point."""
        return self.nominal_a * self.nominal_v

    @cached_property
    def peak_a(self) -> float:
        """Current of the power peak, where `dP/di = Eoc - NA (1 + ln(i / i0)) - 2 R i = 0`.

        In closed form `i = NA/(2R) ω((Eoc - NA)/NA + ln i0 + ln(2R/NA))`, ω being the Wright omega function.
        """
        per_ampere = 2.0 * self.resistance_ohm / self.tafel_v
        constant = self.eoc_v / self.tafel_v - 1.0 + math.log(self.exchange_a)
        return float(wrightomega(constant + math.log(per_ampere))) / per_ampere

    @cached_property
    def peak_w(self) -> float:
        """Largest power that any current delivers."""
        return float(self.peak_a * stack_voltage(self, self.peak_a))


def fit_stack(
    eoc_v: float,
    v1_v: float,
    nominal: tuple[float, float],
    maximum: tuple[float, float],
    *,
    cells: int,
    nominal_efficiency: float,
    name: str = "own",
) -> Stack:
    """Fit a stack's curve through the datasheet's points at 1 A, nominal and maximum current.

    Parameters
    ----------
    eoc_v, v1_v
        Voltage without current and at 1 A.
    nominal, maximum
        (current in A, voltage in V).
    cells
        Cells in series.
    nominal_efficiency
        Electrical power over the lower heating value of the hydrogen supplied, at the nominal point. It gives the
        utilisation: `U_f = η ΔH N / (z F V_nominal)`, the source's equation.
    name
        For messages.

    Raises
    ------
    GridError
        If the points are not on a falling curve of this form, or the efficiency is more than the voltage allows.

    Examples
    --------
    >>> stack = fit_stack(65, 63, (133.3, 45), (225, 37), cells=65, nominal_efficiency=0.55)
    >>> round(stack.tafel_v, 4), round(stack.resistance_ohm, 5), round(stack.exchange_a, 4)
    (1.5609, 0.07833, 0.292)
    """
    where = f"fuel cell '{name}'"
    (i_nom, v_nom), (i_max, v_max) = nominal, maximum
    if not (1.0 < i_nom < i_max < math.inf and math.inf > eoc_v >= v1_v > v_nom > v_max > 0.0):
        raise GridError(
            f"{where}, datasheet points: expected a falling curve, Eoc >= V at 1 A > nominal > maximum point's voltage "
            f"> 0 V at 1 A < nominal < maximum current, got {eoc_v:g} V, {v1_v:g} V, {v_nom:g} V at {i_nom:g} A and "
            f"{v_max:g} V at {i_max:g} A; check the order of the points"
        )
    check_range(f"{where}, cells", cells, 1, below=True, remedy="give the number of cells in series")
    efficiency, share = f"{where}, nominal_efficiency", "give a share of the lower heating value"
    check_range(efficiency, nominal_efficiency, 0, 1, above=True, remedy=share)
    ln_nom, ln_max = math.log(i_nom), math.log(i_max)
    tafel_v = ((v1_v - v_nom) * (i_max - 1) - (v1_v - v_max) * (i_nom - 1)) / (
        ln_nom * (i_max - 1) - ln_max * (i_nom - 1)
    )
    resistance_ohm = (v1_v - v_nom - tafel_v * ln_nom) / (i_nom - 1)
    if not (tafel_v > 0 and resistance_ohm > 0):
        raise GridError(
            f"{where}, datasheet points: expected a curve that is steep at first and then falls at a steady rate, got "
            f"NA = {tafel_v:.4g} V and R = {resistance_ohm:.4g} Ω, both of which must be positive; read the points "
            "from the curve again"
        )
    utilisation = nominal_efficiency * LHV_J_PER_MOL * cells / (ELECTRONS_PER_H2 * FARADAY_C_PER_MOL * v_nom)
    bound = nominal_efficiency / utilisation
    check_range(efficiency, nominal_efficiency, 0, bound, remedy="no more fuel can react than is supplied")
    exchange_a = math.exp((v1_v - eoc_v + resistance_ohm) / tafel_v)
    stack = Stack(name, eoc_v, tafel_v, exchange_a, resistance_ohm, i_nom, v_nom, i_max, int(cells), utilisation)
    peaks = "the curve's power peaks before it; read the points from the curve again"
    check_range(f"{where}, nominal current in A", i_nom, 0, stack.peak_a, remedy=peaks)
    return stack


def stack_voltage(stack: Stack, i_a: Numeric) -> Numeric:
    """Terminal voltage, V, at a current; never above the open-circuit voltage.

    Parameters
    ----------
    stack
        Its curve.
    i_a
        Current >= 0, number or array.
    """
    with np.errstate(divide="ignore"):
        curve = stack.eoc_v - stack.tafel_v * np.log(np.asarray(i_a) / stack.exchange_a)
    voltage: Numeric = np.minimum(stack.eoc_v, curve - stack.resistance_ohm * np.asarray(i_a))
    return voltage


def stack_current(stack: Stack, p_w: Numeric) -> Numeric:
    """Current, A, that delivers a power; of the two solutions the one below the power peak.

    Parameters
    ----------
    stack
        Its curve.
    p_w
        Power, W, number or array.

    Raises
    ------
    GridError
        If a power is negative or above the peak.

    Examples
    --------
    >>> round(float(stack_current(STACKS["pem-6kw"], 5998.5)), 6)
    133.3
    """
    bound = stack.peak_w * (1.0 + 1e-12)
    where = f"fuel cell '{stack.name}', power in W"
    check_range(where, p_w, 0, bound, remedy="limit the power to the stack's peak")
    if isinstance(p_w, np.ndarray):
        currents = [_solve_current_a(stack, float(power)) for power in p_w.flat]
        return np.array(currents, dtype=np.float64).reshape(p_w.shape)
    return _solve_current_a(stack, float(p_w))


def _solve_current_a(stack: Stack, power: float) -> float:
    """Newton's method from `P / Eoc`, which is below the solution.

    Power is a concave function of current: each step ends below the solution again, so none overshoots.
    """
    current = power / stack.eoc_v
    for _ in range(MAX_NEWTON_STEPS):
        curve = stack.eoc_v - stack.resistance_ohm * current
        curve -= stack.tafel_v * math.log(current / stack.exchange_a) if current > 0.0 else -math.inf
        if curve < stack.eoc_v:
            voltage, slope = curve, curve - stack.tafel_v - stack.resistance_ohm * current
        else:
            voltage, slope = stack.eoc_v, stack.eoc_v
        missing = power - voltage * current
        if missing <= 1e-15 * stack.peak_w or slope <= 0.0:
            break
        current = min(current + missing / slope, stack.peak_a)
    return current


def hydrogen_reacted_kg_per_h(stack: Stack, i_a: Numeric) -> Numeric:
    """Hydrogen that reacts at a current, A: `i N / (z F)` mol/s (Faraday's law)."""
    return i_a * (stack.cells / (ELECTRONS_PER_H2 * FARADAY_C_PER_MOL) * H2_KG_PER_MOL * 3600.0)


def hydrogen_supplied_kg_per_h(stack: Stack, i_a: Numeric) -> Numeric:
    """Hydrogen taken from the tank at a current, A: reacted hydrogen over a constant utilisation."""
    return hydrogen_reacted_kg_per_h(stack, i_a) / stack.fuel_utilisation


_DATASHEETS = {
    "pem-1.26kw": (42, 35, (52, 24.23), (100, 20), 42, 0.46),
    "pem-6kw": (65, 63, (133.3, 45), (225, 37), 65, 0.55),
    "pem-50kw": (900, 895, (80, 625), (280, 430), 900, 0.55),
    "sofc-3kw": (141.34, 133, (30, 106.5), (33.2, 104.86), 119, 0.52),
}
STACKS: dict[str, Stack] = {
    name: fit_stack(eoc_v, v1_v, nominal, maximum, cells=cells, nominal_efficiency=efficiency, name=name)
    for name, (eoc_v, v1_v, nominal, maximum, cells, efficiency) in _DATASHEETS.items()
}
"""Presets at 55, 65, 65 and 600 °C; points and efficiencies of the Fuel Cell Stack block of Simscape Electrical."""


def find_stack(name: str) -> Stack:
    """Preset stack of a name.

    Raises
    ------
    GridError
        If there is none of that name.
    """
    if name in STACKS:
        return STACKS[name]
    hint = suggest_name(name, STACKS, "or give three datasheet points", cutoff=0.4)
    raise GridError(f"fuel cell, preset: expected one of {', '.join(STACKS)}, got '{name}'; {hint}")
