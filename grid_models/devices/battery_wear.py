"""Capacity that a battery loses by use and by time, and its cost; a column of the results.

Wear does not act back on the ratings: a worn battery is simulated as a new one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid_models.arrays import Numeric
from grid_models.devices.battery import Battery
from grid_models.ranges import check_field

GAS_CONSTANT = 8.314462618  # J/(mol K), CODATA 2018


@dataclass(frozen=True)
class Wear:
    """Ageing of a LiFePO4 cell: a calendar part with the root of time, a cyclic part with the root of cycles.

    Defaults: Sony US26650FTC1. Calendar: M. Naumann, M. Schimpe, P. Keil, H. C. Hesse, A. Jossen 2018, "Analysis and
    modeling of calendar aging of a commercial LiFePO4/graphite cell", J. Energy Storage 17, 153-169,
    doi:10.1016/j.est.2018.01.019. Cycles: M. Naumann, F. Spingler, A. Jossen 2020, "Analysis and modeling of cycle
    aging of a commercial LiFePO4/graphite cell", J. Power Sources 451, 227666, doi:10.1016/j.jpowsour.2019.227666.

    Attributes
    ----------
    calendar_per_root_second
        Capacity loss per root of a second at 25 °C, before the factor of the state of charge.
    activation_j_per_mol
        Arrhenius activation energy of the calendar part.
    soc_cubic, soc_constant
        Factor of the state of charge: `soc_cubic (soc - 0.5)³ + soc_constant`.
    rate_slope, rate_constant
        Loss in per cent per root of an equivalent full cycle: `rate_slope · C-rate + rate_constant`.
    depth_cubic, depth_constant
        Factor of the depth of a cycle: `depth_cubic (depth - 0.6)³ + depth_constant`.
    end_of_life
        Remaining share of the capacity at which a battery is replaced.
    """

    calendar_per_root_second: float = 1.2571e-5
    activation_j_per_mol: float = 17_126.0
    soc_cubic: float = 2.8575
    soc_constant: float = 0.60225
    rate_slope: float = 0.0630
    rate_constant: float = 0.0971
    depth_cubic: float = 4.0253
    depth_constant: float = 1.0923
    end_of_life: float = 0.8

    def __post_init__(self) -> None:
        check_field("battery wear", self, "end_of_life", 0, 1, below=True, remedy="give a share such as 0.8")


LFP = Wear()
"""The cell of the sources above, a common one in home storage."""


def equivalent_full_cycles(battery: Battery, charged_kwh: Numeric, discharged_kwh: Numeric) -> Numeric:
    """Throughput of stored energy over twice the capacity; 0 without a battery.

    Parameters
    ----------
    battery
        Its ratings.
    charged_kwh, discharged_kwh
        Energy charged and delivered so far, at the terminals.
    """
    stored = charged_kwh * battery.charge_efficiency + discharged_kwh / battery.discharge_efficiency
    return stored / (2.0 * battery.capacity_kwh) if battery.capacity_kwh else 0.0 * stored


def capacity_fade(
    battery: Battery,
    hours: Numeric,
    full_cycles: Numeric,
    *,
    mean_soc: Numeric = 0.5,
    temperature_c: Numeric = 25.0,
    wear: Wear = LFP,
) -> Numeric:
    """Share of the capacity lost since new: calendar plus cyclic part, each by the source's square root law.

    Every cycle counts as deep as the range of the state of charge and as fast as the rating (at most 1 C), so this is
    an upper estimate.

    Parameters
    ----------
    battery
        Its ratings.
    hours
        Age.
    full_cycles
        `equivalent_full_cycles` so far.
    mean_soc, temperature_c
        Mean state of charge (share) and cell temperature, °C.
    wear
        Ageing of its cells.

    Examples
    --------
    >>> round(float(capacity_fade(Battery(10.0), 87_600.0, 2_500.0)), 3)
    0.207
    """
    inverse_kelvin = 1.0 / (np.asarray(temperature_c) + 273.15) - 1.0 / 298.15
    arrhenius = np.exp(-wear.activation_j_per_mol / GAS_CONSTANT * inverse_kelvin)
    soc_factor = wear.soc_cubic * (np.asarray(mean_soc) - 0.5) ** 3 + wear.soc_constant
    calendar = wear.calendar_per_root_second * arrhenius * soc_factor * np.sqrt(np.asarray(hours) * 3600.0)
    rate = wear.rate_slope * min(battery.c_rate, 1.0) + wear.rate_constant
    depth = wear.depth_cubic * (battery.soc_max - battery.soc_min - 0.6) ** 3 + wear.depth_constant
    return calendar + rate * depth * np.sqrt(full_cycles) / 100.0


def wear_cost_eur(battery: Battery, fade: Numeric, replacement_eur_per_kwh: float, *, wear: Wear = LFP) -> Numeric:
    """Cost of the capacity lost, EUR: the price of a new battery, spread evenly over the fade to its end of life.

    Examples
    --------
    >>> round(wear_cost_eur(Battery(10.0), 0.05, 500.0), 6)
    1250.0
    """
    return fade / (1.0 - wear.end_of_life) * battery.capacity_kwh * replacement_eur_per_kwh
