"""Draw the houses of the reference study: which have panels, how large these are, how much each house uses.

Each property is drawn from a child generator of its own, so changing one option never changes the other draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.errors import DataError
from data.profiles import Profiles
from data.series import Hourly, Integers, Series

UEUR_PER_KWH_PER_EUR_PER_MWH = 1000.0


@dataclass(frozen=True, slots=True)
class HouseholdSpec:
    """From what the houses are drawn; the defaults are those of the reference study.

    Attributes
    ----------
    n_houses
        Number of houses N.
    prosumer_probability
        Probability that a house has panels, if `n_prosumers` is None.
    n_prosumers
        Exact number of prosumers (houses with panels), chosen at random; None leaves it to chance.
    panels_min, panels_max
        Panels per prosumer, uniform, both included.
    panel_w_min, panel_w_max
        Rating of each panel, W, uniform, both included.
    battery_kwh_min, battery_kwh_max
        Battery capacity of every house, kWh, uniform.
    mean_load_w
        Mean load of a house, W: 865 MWh over 25 houses and 35,064 h.
    load_level_spread
        A house's mean load lies between (1 − spread) and (1 + spread) times the mean, uniform; 0 … 1.
    load_noise
        Standard deviation of the logarithm of the noise of each hour, at least 0.
    production_ratio
        Total generation over total load; all panels are scaled by one factor to reach it. None keeps them as drawn.

    Raises
    ------
    DataError
        If a value is out of range.
    """

    n_houses: int = 25
    prosumer_probability: float = 0.5
    n_prosumers: int | None = None
    panels_min: int = 17
    panels_max: int = 21
    panel_w_min: int = 170
    panel_w_max: int = 350
    battery_kwh_min: float = 5.0
    battery_kwh_max: float = 15.0
    mean_load_w: float = 987.0
    load_level_spread: float = 0.4
    load_noise: float = 0.2
    production_ratio: float | None = 0.58

    def __post_init__(self) -> None:
        _check_range("n_houses", self.n_houses, 1, 1_000_000)
        _check_range("prosumer_probability", self.prosumer_probability, 0, 1)
        _check_range("panels_min", self.panels_min, 1, 10_000)
        _check_range("panels_max", self.panels_max, self.panels_min, 10_000)
        _check_range("panel_w_min", self.panel_w_min, 1, 10_000)
        _check_range("panel_w_max", self.panel_w_max, self.panel_w_min, 10_000)
        _check_range("battery_kwh_min", self.battery_kwh_min, 0, 10_000)
        _check_range("battery_kwh_max", self.battery_kwh_max, self.battery_kwh_min, 10_000)
        _check_range("mean_load_w", self.mean_load_w, 1, 1_000_000)
        _check_range("load_level_spread", self.load_level_spread, 0, 1)
        _check_range("load_noise", self.load_noise, 0, 2)
        if self.n_prosumers is not None:
            _check_range("n_prosumers", self.n_prosumers, 0, self.n_houses)
        if self.production_ratio is not None:
            _check_range("production_ratio", self.production_ratio, 0, 100)


@dataclass(frozen=True, slots=True, eq=False)
class Households:
    """Houses as drawn.

    Attributes
    ----------
    names
        house_01, house_02, …
    nameplate_w
        Sum of the ratings of a house's panels, W, (N,); 0 for consumers.
    battery_wh
        Battery capacity, Wh, (N,).
    load_level
        Mean load over that of all houses, (N,), mean 1.
    """

    names: tuple[str, ...]
    nameplate_w: Integers
    battery_wh: Integers
    load_level: Hourly


def draw_households(spec: HouseholdSpec, rng: np.random.Generator) -> Households:
    """Draw the houses of a specification.

    The prosumers of a smaller `n_prosumers` are among those of a larger one, and those houses' panels are the same.

    Examples
    --------
    >>> houses = draw_households(HouseholdSpec(n_prosumers=12), np.random.default_rng(1))
    >>> houses.names[0], int((houses.nameplate_w > 0).sum())
    ('house_01', 12)
    """
    who_rng, panel_rng, battery_rng, level_rng = rng.spawn(4)
    n = spec.n_houses
    nameplate_w = _draw_nameplates_w(spec, panel_rng)
    battery_kwh = battery_rng.uniform(spec.battery_kwh_min, spec.battery_kwh_max, n)
    level = 1.0 + spec.load_level_spread * level_rng.uniform(-1.0, 1.0, n)
    return Households(
        names=name_houses(n),
        nameplate_w=np.where(_draw_prosumers(spec, who_rng), nameplate_w, 0),
        battery_wh=np.rint(battery_kwh * 1000.0).astype(np.int64),
        load_level=level / level.mean(),
    )


def make_reference_profiles(
    series: Series, households: Households, spec: HouseholdSpec, rng: np.random.Generator
) -> Profiles:
    """Make the profiles of houses in a country with these hourly series.

    Parameters
    ----------
    series
        Solar, load and price of T hours.
    households
        The N houses.
    spec
        Mean load, noise and production ratio.
    rng
        Generator of the noise; each house draws from a child of its own.

    Returns
    -------
    Profiles
        60-minute profiles (T, N). Generation pv_i(t) = nameplate_i · S(t) / max S · scale; load_i(t) = mean load ·
        level_i · L(t) / mean L · noise_i(t), where the noise is log-normal with mean 1 and independent from hour to
        hour; the price is the market price of the hour. All are rounded to whole Wh and µEUR/kWh. The provenance has
        the scale as `panel_scale`.

    Raises
    ------
    DataError
        If the production ratio is above 0 and there are no panels or no sun.
    """
    load_wh = _draw_loads_wh(series, households, spec, rng)
    scale = _find_panel_scale(series, households, spec, int(load_wh.sum()))
    pv_w = households.nameplate_w * scale
    price = np.rint(series.price_eur_per_mwh * UEUR_PER_KWH_PER_EUR_PER_MWH).astype(np.int64)
    return Profiles(
        start=series.start,
        interval_minutes=60,
        participants=households.names,
        load_wh=load_wh,
        pv_wh=np.rint(series.solar_cf[:, None] * pv_w).astype(np.int64),
        price_ueur_per_kwh=price,
        provenance={**series.provenance, "houses": len(households.names), "panel_scale": scale},
    )


def name_houses(n: int) -> tuple[str, ...]:
    """Names of n drawn houses.

    Examples
    --------
    >>> name_houses(2)
    ('house_01', 'house_02')
    """
    width = max(2, len(str(n)))
    return tuple(f"house_{k + 1:0{width}d}" for k in range(n))


def _draw_prosumers(spec: HouseholdSpec, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which houses have panels: those with the lowest draws, by threshold or by number."""
    draw = rng.random(spec.n_houses)
    if spec.n_prosumers is None:
        return draw < spec.prosumer_probability
    rank = np.argsort(np.argsort(draw, kind="stable"), kind="stable")
    return np.asarray(rank < spec.n_prosumers)


def _draw_nameplates_w(spec: HouseholdSpec, rng: np.random.Generator) -> Integers:
    """Sum of the panels of each house, W, also for those that turn out to have none."""
    count = rng.integers(spec.panels_min, spec.panels_max, spec.n_houses, endpoint=True)
    shape = (spec.n_houses, spec.panels_max)
    panel_w = rng.integers(spec.panel_w_min, spec.panel_w_max, shape, endpoint=True)
    mounted = np.arange(spec.panels_max) < count[:, None]
    return np.asarray((panel_w * mounted).sum(axis=1))


def _draw_loads_wh(series: Series, households: Households, spec: HouseholdSpec, rng: np.random.Generator) -> Integers:
    n = len(households.names)
    load_wh = np.empty((series.n_hours, n), dtype=np.int64)
    for house, house_rng in enumerate(rng.spawn(n)):
        noise = np.exp(house_rng.normal(-0.5 * spec.load_noise**2, spec.load_noise, series.n_hours))
        mean_w = spec.mean_load_w * households.load_level[house]
        load_wh[:, house] = np.rint(mean_w * series.load_shape * noise)
    return load_wh


def _find_panel_scale(series: Series, households: Households, spec: HouseholdSpec, load_wh: int) -> float:
    """Factor on all panels that makes generation `production_ratio` times load over the horizon."""
    if spec.production_ratio is None:
        return 1.0
    as_drawn_wh = float(households.nameplate_w.sum()) * float(series.solar_cf.sum())
    if spec.production_ratio > 0.0 and as_drawn_wh <= 0.0:
        raise DataError(
            f"houses, production_ratio: expected panels and sun to reach {spec.production_ratio}, "
            f"got {int((households.nameplate_w > 0).sum())} prosumers and no generation; "
            "add prosumers or set the ratio to 0"
        )
    return spec.production_ratio * load_wh / as_drawn_wh if as_drawn_wh > 0.0 else 1.0


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise DataError(f"houses, {name}: expected {low:g} to {high:g}, got {value}; correct it")
