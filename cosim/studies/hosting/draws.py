"""What is placed in a draw, one device after the other: where, which technology, how large, on which phase.

Every draw has a random stream of its own, so that it is the same whatever other draws are made beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from cosim.errors import ScenarioError
from cosim.scenario.houses_of_today import HeatPumpSection
from data.files import read_table
from grid_models.arrays import Floats, Ints
from grid_models.devices.ev import ONE_PHASE_KW
from grid_models.feeder.connection import ABC, LARGEST_ONE_PHASE_KVA, A, C

PV, EV, HEAT_PUMP = "pv", "ev", "heat_pump"
TECHNOLOGIES = (PV, EV, HEAT_PUMP)
"""Technologies, by their codes 0, 1, 2."""
MIX = "mix"

PV_MEDIAN_KW, PV_SIGMA, PV_RANGE_KW = 7.4, 0.329, (1.0, 30.0)
"""Median and sigma of lognormal roofs, and their range.

Median: residential systems of 2023, Barbose et al., Tracking the Sun, 2024 edition, LBNL. Sigma: of those installed in
Germany 82 % are at most 10 kWp (Fraunhofer ISE 2021, Photovoltaikzubau in Deutschland in Zahlen): ln(10/7.4)/0.915.
"""
WALL_BOXES_KW = (3.7, 7.4, 11.0)
"""Each with the same chance, an assumption: ratings of IEC 61851-1 up to the 12 kVA of § 19 NAV."""
MOST_KW, MOST_WALL_BOXES = 1000.0, 8
COLUMNS = ("technology", "kw", "weight")

Sizes = Callable[[Floats], Floats]
"""Rated powers, kW, of numbers that are uniform from 0 to 1."""


class Draws(NamedTuple):
    """D draws of M devices each, in the order in which they are placed; (D, M) each.

    Attributes
    ----------
    technology
        Code of its technology.
    house
        Number of the participant.
    code
        Code of its phases.
    kw
        Rated power.
    chance
        Number from 0 to 1 that chooses its profile.
    """

    technology: Ints
    house: Ints
    code: Ints
    kw: Floats
    chance: Floats

    def select(self, first: int, stop: int) -> Draws:
        """Draws first … stop-1."""
        return Draws._make(column[first:stop] for column in self)

    def select_one(self, draw: int) -> Draws:
        """One draw alone, D = 1."""
        return self.select(draw, draw + 1)


class Plan(NamedTuple):
    """What draws are made of.

    Attributes
    ----------
    technologies
        Codes of what is placed, each with the same chance.
    sites
        Participants at which it is placed, (S,): each gets its next device only when all have as many.
    per_site
        Most devices of a site.
    sizes
        Distribution of each technology.
    with_phases
        Whether small devices are on one phase, drawn at random; else all are on three.
    """

    technologies: tuple[int, ...]
    sites: Ints
    per_site: int
    sizes: Mapping[int, Sizes]
    with_phases: bool


def read_technologies(words: str) -> tuple[int, ...]:
    """Codes of technologies of a word such as `pv`, `ev,heat_pump` or `mix`, which is all of them.

    Raises
    ------
    ScenarioError
        If one is unknown.

    Examples
    --------
    >>> read_technologies("mix"), read_technologies("heat_pump, ev")
    ((0, 1, 2), (1, 2))
    """
    named = [word.strip() for word in words.split(",")]
    if named == [MIX]:
        return tuple(range(len(TECHNOLOGIES)))
    for word in named:
        if word not in TECHNOLOGIES:
            raise ScenarioError(
                f"technology: expected {', '.join(TECHNOLOGIES)}, several of them with commas between, or {MIX} for "
                f"all, got '{word}'; correct it"
            )
    return tuple(sorted({TECHNOLOGIES.index(word) for word in named}))


def make_sizes(heat_pump: HeatPumpSection, own: Mapping[int, tuple[Floats, Floats]] | None = None) -> dict[int, Sizes]:
    """Distributions of rated powers: published ones, the scenario's of heat pumps, and a user's own before them.

    Parameters
    ----------
    heat_pump
        Mean power of heat pumps, and how far they are from it.
    own
        Sizes, kW, and weights of some technologies.
    """

    def roofs(uniform: Floats) -> Floats:
        return np.asarray(np.clip(PV_MEDIAN_KW * np.exp(PV_SIGMA * ndtri(uniform)), *PV_RANGE_KW))

    def pumps(uniform: Floats) -> Floats:
        return np.asarray(heat_pump.power_kw * (1.0 + heat_pump.heat_spread * (2.0 * uniform - 1.0)))

    boxes = np.array(WALL_BOXES_KW)
    made = {0: roofs, 1: _make_discrete(boxes, np.ones_like(boxes)), 2: pumps}
    return {**made, **{code: _make_discrete(*table) for code, table in (own or {}).items()}}


def _make_discrete(kw: Floats, weight: Floats) -> Sizes:
    edges = np.cumsum(weight) / weight.sum()

    def sizes(uniform: Floats) -> Floats:
        return np.asarray(kw[np.minimum(np.searchsorted(edges, uniform, side="right"), kw.size - 1)])

    return sizes


def read_sizes(path: Path) -> dict[int, tuple[Floats, Floats]]:
    """Sizes and weights by technology of a table `technology,kw,weight`.

    Raises
    ------
    ScenarioError, data.errors.DataError
        If it cannot be used.
    """
    frame = read_table(path, what="a table " + ",".join(COLUMNS)).frame
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ScenarioError(f"{path}: expected columns {', '.join(COLUMNS)}, got none named {', '.join(missing)}")
    found: dict[int, tuple[Floats, Floats]] = {}
    for word, rows in frame.groupby(frame["technology"].astype(str).str.strip(), sort=False):
        code = read_technologies(str(word))
        numbers = [_read_numbers(path, rows[name].to_list(), name) for name in COLUMNS[1:]]
        if len(code) != 1 or not numbers[1].sum() > 0.0:
            raise ScenarioError(f"{path}, technology '{word}': expected one of {', '.join(TECHNOLOGIES)}, weights > 0")
        if code == (1,) and np.unique(numbers[0]).size > MOST_WALL_BOXES:
            raise ScenarioError(
                f"{path}, {EV}: expected at most {MOST_WALL_BOXES} ratings of wall boxes, got "
                f"{np.unique(numbers[0]).size}; leave some out"
            )
        found[code[0]] = (numbers[0], numbers[1])
    return found


def _read_numbers(path: Path, values: Sequence[object], name: str) -> Floats:
    """Numbers of a column; weights may be 0."""
    try:
        numbers = np.array([float(str(value)) for value in values], np.float64)
    except ValueError as reason:
        raise ScenarioError(f"{path}, column '{name}': expected numbers, got another text ({reason})") from reason
    good = (numbers >= 0.0) & (numbers <= MOST_KW) if name == "weight" else (numbers > 0.0) & (numbers <= MOST_KW)
    if not good.all():
        raise ScenarioError(
            f"{path}, column '{name}': expected numbers above 0 and up to {MOST_KW:g}, got {numbers[~good][0]:g}; "
            "correct it"
        )
    return numbers


def draw_devices(plan: Plan, seed: int, draws: range, stream: int = 0) -> Draws:
    """Draws of some numbers; each depends on plan, seed, stream and its number alone."""
    return Draws._make(np.stack(column) for column in zip(*(_draw(plan, seed, stream, d) for d in draws), strict=True))


def _draw(plan: Plan, seed: int, stream: int, draw: int) -> Draws:
    rng = np.random.default_rng([seed, stream, draw])
    house = np.concatenate([rng.permutation(plan.sites) for _ in range(plan.per_site)])
    technology = np.asarray(plan.technologies)[rng.integers(len(plan.technologies), size=house.size)]
    uniform, phase = rng.random(house.size), rng.integers(A, C, house.size, endpoint=True)
    kw = np.zeros(house.size)
    for kind in plan.technologies:
        chosen = technology == kind
        kw[chosen] = plan.sizes[kind](uniform[chosen])
    largest = np.where(technology == TECHNOLOGIES.index(EV), max(ONE_PHASE_KW), LARGEST_ONE_PHASE_KVA)
    phases = np.where((kw <= largest) & plan.with_phases, phase, ABC)
    return Draws(technology, house, phases, kw, rng.random(house.size))
