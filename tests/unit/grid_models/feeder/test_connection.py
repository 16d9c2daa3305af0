"""Phases of participants' devices: words, injections, and what a network operator lets onto one phase."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models.errors import GridError
from grid_models.feeder.connection import (
    ABC,
    DEVICES,
    LARGEST_ONE_PHASE_KVA,
    A,
    B,
    C,
    Connections,
    connect_houses,
    draw_connections,
    make_connections,
    read_phase,
)

POWERS = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=40)
SEEDS = st.integers(0, 2**31 - 1)


def draw(seed: int, powers: list[tuple[float, float]]) -> Connections:
    pv, battery = np.array(powers).T
    return draw_connections(np.random.default_rng(seed), pv, battery)


@pytest.mark.parametrize("word", ["", "d", "ab", "4", "L4", "a,b", "phase a", "1.0"])
def test_a_word_that_is_no_phase_is_refused(word: str) -> None:
    with pytest.raises(GridError, match=r"row 7: expected a phase: a, b, c or abc \(or 1, 2, 3, L1, L2, L3\), got '"):
        read_phase(word, "row 7")


@given(seed=SEEDS, powers=POWERS)
def test_drawn_houses_are_on_one_phase_and_only_what_is_large_on_three(
    seed: int, powers: list[tuple[float, float]]
) -> None:
    drawn = draw(seed, powers)
    assert set(drawn.load.tolist()) <= {A, B, C}
    for kw, codes in zip(np.array(powers).T, (drawn.pv, drawn.battery), strict=True):
        large = kw > LARGEST_ONE_PHASE_KVA
        assert (codes[large] == ABC).all()
        assert (codes[~large] == drawn.load[~large]).all()
    assert (drawn.fuel_cell == ABC).all()


@given(seed=SEEDS, powers=POWERS, more=POWERS)
def test_the_phase_of_a_house_depends_neither_on_later_houses_nor_on_devices(
    seed: int, powers: list[tuple[float, float]], more: list[tuple[float, float]]
) -> None:
    n = len(powers)
    drawn = draw(seed, powers)
    assert draw(seed, powers + more).load[:n].tolist() == drawn.load.tolist()
    assert draw(seed, [(0.0, 0.0)] * n).load.tolist() == drawn.load.tolist()


@given(phases=st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=20), turn=st.permutations([A, B, C]))
def test_permuting_the_phases_of_houses_permutes_those_of_their_devices(phases: list[int], turn: list[int]) -> None:
    turned = np.array([ABC, *turn])
    kw = np.linspace(0.0, 9.0, len(phases))
    before, after = connect_houses(phases, kw, kw[::-1]), connect_houses(turned[phases], kw, kw[::-1])
    for device in DEVICES:
        assert turned[getattr(before, device)].tolist() == getattr(after, device).tolist()


def test_drawn_phases_are_even_over_many_houses() -> None:
    counts = np.bincount(draw(1, [(0.0, 0.0)] * 3000).load, minlength=4)
    assert counts[ABC] == 0
    assert (np.abs(counts[1:] - 1000) < 100).all()


@given(codes=st.lists(st.tuples(*[st.sampled_from([ABC, A, B, C])] * 4), min_size=1, max_size=12))
def test_every_device_has_the_injection_of_its_house_and_phases_and_none_is_left_over(
    codes: list[tuple[int, int, int, int]],
) -> None:
    load, *others = np.array(codes, np.int8).T
    made = make_connections(load, **dict(zip(DEVICES[1:], others, strict=True)))
    used = set()
    for device in DEVICES:
        column = made.column(device)
        assert made.house[column].tolist() == list(range(load.size))
        assert made.code[column].tolist() == getattr(made, device).tolist()
        used |= set(column.tolist())
    assert used == set(range(made.house.size))
