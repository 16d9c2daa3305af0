"""Who holds an island: the order in which grid formers are tried."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cosim.islands.formers import rank_formers
from cosim.islands.island import Former
from cosim.islands.local_dispatch import FuelRange
from cosim.islands.phases import Phase
from market.storage import PPM


@dataclass(frozen=True)
class Scene:
    """Three houses with batteries of 10 kWh, lossless, 0-100 %, of which each can release up to 5 kWh."""

    own_wh: tuple[int, ...] = (6000, 8000, 4000)
    left_wh: tuple[int, ...] = (5000, 5000, 5000)
    inside: tuple[bool, ...] = (True, True, True)
    cells: tuple[FuelRange, ...] = ()
    held_before: tuple[bool, ...] = (False, False, False)
    phase: Phase = Phase.ISLANDED

    def ranked(self) -> list[Former]:
        n = len(self.own_wh)
        ratings: Any = SimpleNamespace(
            soc_min_wh=np.zeros(n, np.int64),
            soc_max_wh=np.full(n, 10_000),
            discharge_ppm=np.full(n, PPM),
        )
        part: Any = SimpleNamespace(
            case=SimpleNamespace(
                scenario=SimpleNamespace(battery=SimpleNamespace(soc_max=1.0), participants=()),
                profiles=SimpleNamespace(participants=[f"house_{k}" for k in range(n)]),
                feeder=SimpleNamespace(connections=None),
            ),
            inside=np.array(self.inside),
            orders=SimpleNamespace(discharge_left_wh=np.array(self.left_wh)),
            state=SimpleNamespace(ratings=ratings, own_wh=np.array(self.own_wh)),
            fuel_cells=self.cells,
        )
        network: Any = SimpleNamespace(phase=np.full(n, self.phase, np.int8), is_forming=np.array(self.held_before))
        return list(rank_formers(part, network))


BATTERIES = [Former(0, -1), Former(1, -1), Former(2, -1)]
CELL = FuelRange(2, 500, 9000, True)


def test_batteries_come_before_fuel_cells_and_those_with_most_headroom_first() -> None:
    """Headroom is what is stored, and no more than the inverter can still release: 5, 5 and 4 kWh."""
    assert Scene(cells=(CELL,)).ranked() == [*BATTERIES, Former(2, 0)]
    assert Scene(own_wh=(1000, 2000, 3000)).ranked() == BATTERIES[::-1]


def test_whoever_held_the_island_before_is_asked_first() -> None:
    assert Scene(held_before=(False, False, True)).ranked()[0] == Former(2, -1)
    held = Scene(cells=(CELL,), held_before=(False, False, True)).ranked()
    assert held == [Former(2, -1), Former(2, 0), Former(0, -1), Former(1, -1)]


def test_equal_headroom_keeps_the_order_of_the_houses() -> None:
    assert Scene(own_wh=(7000, 7000, 7000)).ranked() == BATTERIES


def test_only_the_part_itself_is_asked_and_only_what_has_energy() -> None:
    assert Scene(inside=(False, True, True)).ranked() == BATTERIES[1:]
    assert Scene(own_wh=(0, 1, 0)).ranked() == [Former(1, -1)]
    assert Scene(left_wh=(0, 0, 0), cells=(replace_high(CELL, 0),)).ranked() == []


@pytest.mark.parametrize(("own_wh", "starts"), [(1999, False), (2000, True)])
def test_a_dark_part_is_started_from_a_fifth_of_the_charge(own_wh: int, starts: bool) -> None:
    dark = replace(Scene(), own_wh=(own_wh, 0, 0), phase=Phase.DARK)
    assert dark.ranked() == ([Former(0, -1)] if starts else [])
    assert replace(dark, phase=Phase.ISLANDED).ranked() == [Former(0, -1)]


def replace_high(cell: FuelRange, high_wh: int) -> FuelRange:
    return cell._replace(high_wh=high_wh)
