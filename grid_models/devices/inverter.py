"""Reactive power of an inverter by a rule of power or voltage.

Law: `|Q| <= √(S² - P²)`; active power comes first. Injection into the network is positive: an underexcited generator
(inductive, lowering the voltage) absorbs reactive power, Q < 0; an overexcited one (capacitive, raising it) injects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from grid_models.arrays import Numeric
from grid_models.errors import GridError
from grid_models.ranges import check_field

Rule = Literal["none", "cos_phi", "q_v"]
RULES: tuple[Rule, ...] = ("none", "cos_phi", "q_v")


@dataclass(frozen=True)
class Characteristic:
    """Q(V): reactive power over rated apparent power by voltage, linear between points, constant outside.

    Attributes
    ----------
    vm_pu
        Voltages, ascending.
    q_pu
        Reactive power over rated apparent power at each, positive = injection, not ascending.

    Raises
    ------
    GridError
        If the lists do not match, voltages do not rise, or reactive power rises with voltage or passes the rating.

    Examples
    --------
    >>> round(float(VDE_AR_N_4105.q_at(1.05)), 3)
    -0.218
    """

    vm_pu: tuple[float, ...]
    q_pu: tuple[float, ...]

    def __post_init__(self) -> None:
        where = "inverter, Q(V) characteristic"
        if len(self.vm_pu) != len(self.q_pu) or len(self.vm_pu) < 2:
            raise GridError(
                f"{where}: expected two or more points and a value for each, got {len(self.vm_pu)} voltages and "
                f"{len(self.q_pu)} values; give vm_pu and q_pu of equal length"
            )
        check_field(where, self, "vm_pu", 0, 2, above=True, remedy="give voltages in pu")
        check_field(where, self, "q_pu", -1, 1, remedy="give shares of the rated apparent power")
        if np.any(np.diff(self.vm_pu) <= 0.0):
            raise GridError(f"{where}, vm_pu: expected rising voltages, got {list(self.vm_pu)}; sort the points")
        if np.any(np.diff(self.q_pu) > 0.0):
            raise GridError(
                f"{where}, q_pu: expected values that do not rise with voltage, got {list(self.q_pu)}; absorption is "
                "negative, so a high voltage takes the smaller value"
            )

    def q_at(self, vm_pu: Numeric) -> Numeric:
        """Reactive power over rated apparent power at a voltage, number or array."""
        value: Numeric = np.interp(vm_pu, self.vm_pu, self.q_pu)
        return value


VDE_AR_N_4105 = Characteristic((0.93, 0.97, 1.03, 1.07), (0.436, 0.0, 0.0, -0.436))
"""Standard Q(V) characteristic of low-voltage generators above 4.6 kVA, cos φ 0.90 at its ends (VDE-AR-N
4105:2018-11)."""


@dataclass(frozen=True)
class Inverter:
    """Rating of an inverter, and its rule for reactive power.

    Attributes
    ----------
    s_kva
        Rated apparent power.
    rule
        `none`: Q = 0; `cos_phi`: fixed power factor; `q_v`: characteristic of the voltage.
    cos_phi, underexcited
        Power factor of the rule `cos_phi`, and whether it absorbs (True) or injects reactive power.
    characteristic
        Of the rule `q_v`.

    Raises
    ------
    GridError
        If a rating is outside its range or the rule unknown.
    """

    s_kva: float
    rule: Rule = "none"
    cos_phi: float = 0.95
    underexcited: bool = True
    characteristic: Characteristic = VDE_AR_N_4105

    def __post_init__(self) -> None:
        check = partial(check_field, "inverter", self)
        check("s_kva", 0, below=True, remedy="give the rated apparent power")
        check("cos_phi", 0, 1, above=True, remedy="give a power factor such as 0.95")
        if self.rule not in RULES:
            raise GridError(f"inverter, rule: expected one of {', '.join(RULES)}, got '{self.rule}'")


def reactive_limit_kvar(s_kva: Numeric, p_kw: Numeric) -> Numeric:
    """Reactive power that the rating allows at an active power, `√(S² - P²)`; 0 where P exceeds the rating.

    Examples
    --------
    >>> float(reactive_limit_kvar(5.0, -4.0))
    3.0
    """
    apparent, active = np.asarray(s_kva), np.asarray(p_kw)
    limit: Numeric = np.sqrt(np.maximum(apparent**2 - active**2, 0.0))
    return limit


def reactive_power_kvar(inverter: Inverter, p_kw: Numeric, vm_pu: Numeric = 1.0) -> Numeric:
    """Reactive power of an inverter by its rule, within its rating.

    Parameters
    ----------
    inverter
        Its rating and rule.
    p_kw
        Active power, positive = injection; a battery's may be negative. Number or array.
    vm_pu
        Voltage at its terminals; broadcasts with `p_kw`. Where it is NaN the bus is without supply and Q is 0.

    Returns
    -------
    float or array
        Reactive power in kvar, positive = injection.

    Examples
    --------
    >>> round(float(reactive_power_kvar(Inverter(5.0, "cos_phi", cos_phi=0.9), 4.0)), 4)
    -1.9373
    >>> float(reactive_power_kvar(Inverter(5.0, "q_v"), 4.8, 1.10).round(3))
    -1.4
    """
    limit = reactive_limit_kvar(inverter.s_kva, p_kw)
    wanted: Numeric = np.zeros(np.broadcast_shapes(np.shape(p_kw), np.shape(vm_pu)))
    if inverter.rule == "cos_phi":
        ratio = np.tan(np.arccos(inverter.cos_phi))
        wanted = wanted + (-ratio if inverter.underexcited else ratio) * np.abs(p_kw)
    elif inverter.rule == "q_v":
        wanted = wanted + inverter.characteristic.q_at(vm_pu) * inverter.s_kva
    clipped: Numeric = np.where(np.isnan(vm_pu), 0.0, np.clip(wanted, -limit, limit))
    return clipped
