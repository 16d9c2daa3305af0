"""What another simulator gives of one interval, checked and laid over the profiles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case, MarketCase, rate_devices
from cosim.case.given import GivenInputs, GivenRow, check_row
from cosim.delivery.setpoints import mean_kw
from cosim.errors import ScenarioError
from market.storage import Wh

_NONE: Mapping[str, int] = MappingProxyType({})
LARGEST_LIMIT = 2**31 - 1


class IntervalInputs(NamedTuple):
    """What an interval is run with; a house that is left out follows its profile.

    Attributes
    ----------
    load_wh
        Load of houses by their names, Wh, without cars and heat pumps that the scenario runs.
    pv_wh
        Generation of houses' own panels, Wh.
    load_varh
        Reactive energy that loads draw, varh. Where it is left out it keeps its ratio to the load in the profile.
    limit_ueur_per_kwh
        Highest price at which a house buys from others, and in a double auction the lowest at which it sells.
    price_ueur_per_kwh
        Price of the utility; that of the profiles if None.
    """

    load_wh: Mapping[str, int] = _NONE
    pv_wh: Mapping[str, int] = _NONE
    load_varh: Mapping[str, int] = _NONE
    limit_ueur_per_kwh: Mapping[str, int] = _NONE
    price_ueur_per_kwh: int | None = None


def make_row(case: MarketCase, given: GivenInputs, t: int, inputs: IntervalInputs) -> GivenRow:
    """All inputs of interval `t`: those given, the rest as the profiles have them.

    Raises
    ------
    ScenarioError
        If there is no such house, or a value is none that profiles may have: nothing is cut to what would fit.
    """
    usual = given.profile(t)
    load = spread(case, t, "load", inputs.load_wh, usual.load_wh)
    pv = spread(case, t, "pv", inputs.pv_wh, usual.pv_wh)
    varh = _spread_varh(case, t, inputs, load, usual)
    price = usual.price_ueur_per_kwh if inputs.price_ueur_per_kwh is None else inputs.price_ueur_per_kwh
    if price != usual.price_ueur_per_kwh and case.scenario.tariff.bands:
        raise ScenarioError(f"interval {t}, price: expected none beside the bands of tariff, got {price} µEUR/kWh")
    row = GivenRow(load, pv, varh, price)
    check_row(row, case.profiles.participants, t)
    return row


def spread(case: MarketCase, t: int, what: str, values: Mapping[str, int], usual: Wh) -> Wh:
    """The values of all houses, (N,): those given by their names, the others as usual."""
    if not values:
        return usual
    row = usual.copy()
    for name, value in values.items():
        row[find_house(case, t, what, name)] = value
    return row


def find_house(case: MarketCase, t: int, what: str, name: str) -> int:
    """Number of a participant.

    Raises
    ------
    ScenarioError
        If there is none of that name.
    """
    names = case.profiles.participants
    if name not in names:
        raise ScenarioError(f"interval {t}, {what}: expected names of participants, got '{name}'")
    return names.index(name)


def _spread_varh(case: MarketCase, t: int, inputs: IntervalInputs, load: Wh, usual: GivenRow) -> Wh:
    """Reactive energies: given, else in the profile's ratio to the load."""
    in_profiles = case.profiles.load_varh is not None
    if inputs.load_varh and not in_profiles:
        raise ScenarioError(
            f"interval {t}, reactive energy: expected profiles that have it (see docs/how-to/reactive-power.md), got "
            "some without; leave it out, the power factors of the loads say it"
        )
    if not in_profiles:
        return usual.load_varh
    scaled = usual.load_varh * (load / np.where(usual.load_wh > 0, usual.load_wh, 1))
    row = np.where(load == usual.load_wh, usual.load_varh, np.rint(scaled)).astype(np.int64)
    return spread(case, t, "reactive energy", inputs.load_varh, row)


def check_rating(case: Case, t: int, pv_wh: Wh, usual_wh: Wh) -> None:
    """Check that panels generate no more than what their inverters and phases were chosen by: the profile's most.

    Raises
    ------
    ScenarioError
        If some do, and the inverters are under control or the model has phases.
    """
    if case.control is None and case.feeder.connections is None:
        return
    rated_kw, kw = rate_devices(case)[0], mean_kw(pv_wh, case.interval_minutes)
    for house in np.flatnonzero((pv_wh != usual_wh) & (kw > rated_kw * (1 + 1e-9))).tolist():
        raise ScenarioError(
            f"interval {t}, pv of {case.profiles.participants[house]}: expected at most the {rated_kw[house]:g} kW of "
            f"its profile, by which its inverter is rated, got {kw[house]:g} kW"
        )


def number_limits(case: MarketCase, t: int, inputs: IntervalInputs) -> dict[int, int]:
    """Limit prices by the numbers of houses.

    Raises
    ------
    ScenarioError
        If there is no such house, or a price is none.
    """
    limits = inputs.limit_ueur_per_kwh
    for name, limit in limits.items():
        if not 0 <= limit <= LARGEST_LIMIT:
            raise ScenarioError(
                f"interval {t}, limit price of {name}: expected 0 to {LARGEST_LIMIT} µEUR/kWh, got {limit}"
            )
    return {find_house(case, t, "limit price", name): limit for name, limit in limits.items()}
