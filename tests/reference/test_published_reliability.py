"""Chance to survive an outage: the hand-worked cases of REopt.jl's reliability tests, and every path one by one.

Sources
-------
[REOPT] NREL, REopt.jl (test/runtests.jl, "Backup Generator Reliability"): two generators of 1 kW with a mean time to
        failure of 5 h, a battery of 4 kWh and 1 kW from 75 % charge and not below 50 %, loads of 1, 2 and 2 kW:
        0.557056, also with two kinds of one generator each and a battery of 2 kWh from 50 % down to 0 %; a flat load
        of 100 kW for 24 h, a generator of 100 kW (availability 0.98, failure to start 0.1, 100 h to failure) and a
        battery of 400 kWh: 0.99^20 · 0.9 · 0.98. Its numbers, none of its code.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models.devices.reliability import NO_STORAGE, Source, Storage, Units, survival_chance

LOADS_KW = np.array([[1.0, 2.0, 2.0]])
BATTERY = Storage(2.0, Units(1), 1.0)


@pytest.mark.parametrize(
    "generators",
    [
        [Source(Units(2, mean_hours_to_failure=5), 1.0)],
        [Source(Units(1, mean_hours_to_failure=5), 1.0), Source(Units(1, mean_hours_to_failure=5), 1.0)],
    ],
    ids=["one kind", "two kinds"],
)
def test_two_generators_and_a_battery_for_three_hours(generators: list[Source]) -> None:
    found = survival_chance(LOADS_KW, generators, BATTERY, start_kwh=1.0)
    for chance in found:
        assert chance[0] == pytest.approx([1.0, 0.8704, 0.557056], abs=1e-15)


def test_flat_load_for_a_day() -> None:
    generator = Source(Units(1, availability=0.98, start_chance=0.9, mean_hours_to_failure=100), 100.0)
    battery = Storage(400.0, Units(1), 100.0)
    found = survival_chance(np.full((1, 24), 100.0), [generator], battery, start_kwh=400.0, step_kwh=100.0)
    for chance in found:
        assert chance[0, 23] == pytest.approx(0.99**20 * 0.9 * 0.98, abs=1e-15)
        assert chance[0, 23] == pytest.approx(0.72139, abs=1e-5)
        assert chance[0, :4] == pytest.approx(1.0, abs=1e-15)


def walk_paths(
    load: list[int], kinds: list[tuple[int, Fraction, Fraction, int]], capacity: int, inverter_kw: int, start: int
) -> Fraction:
    """Chance that the whole load is served: every unit and every interval by itself, in fractions.

    A kind is (units, chance that one works at the start, chance that one survives an interval, kW); the last kind is
    the inverters, whose kW are not supply.
    """
    units = [
        (works, survives, kw, k == len(kinds) - 1) for k, (n, works, survives, kw) in enumerate(kinds) for _ in range(n)
    ]

    def walk(t: int, alive: tuple[bool, ...], charge: int) -> Fraction:
        if t == len(load):
            return Fraction(1)
        total = Fraction(0)
        for after in product(*((True, False) if works else (False,) for works in alive)):
            chance = Fraction(1)
            for before, now, unit in zip(alive, after, units, strict=True):
                chance *= (unit[1] if now else 1 - unit[1]) if before else 1
            supply = sum(unit[2] for unit, now in zip(units, after, strict=True) if now and not unit[3])
            power = inverter_kw * sum(now for unit, now in zip(units, after, strict=True) if unit[3])
            wanted = supply - load[t]
            if wanted < 0 and (-wanted > power or -wanted > charge):
                continue
            total += chance * walk(t + 1, after, min(charge + min(wanted, power), capacity))
        return total

    opening = Fraction(0)
    for alive in product((True, False), repeat=len(units)):
        chance = Fraction(1)
        for works, unit in zip(alive, units, strict=True):
            chance *= unit[0] if works else 1 - unit[0]
        opening += chance * walk(0, alive, start)
    return opening


tenths = st.integers(0, 10)


@settings(max_examples=60, deadline=None)
@given(
    load=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    kinds=st.lists(st.tuples(st.integers(0, 2), tenths, tenths, st.integers(0, 3)), min_size=1, max_size=2),
    inverters=st.tuples(st.integers(0, 1), tenths, tenths, st.just(0)),
    capacity=st.integers(0, 5),
    inverter_kw=st.integers(0, 3),
    charged=st.integers(0, 5),
)
def test_chain_is_the_sum_over_all_paths(
    load: list[int],
    kinds: list[tuple[int, int, int, int]],
    inverters: tuple[int, int, int, int],
    capacity: int,
    inverter_kw: int,
    charged: int,
) -> None:
    start = min(charged, capacity)
    every = [*kinds, inverters]
    paths = walk_paths(
        load,
        [(n, Fraction(works, 10), Fraction(survives, 10), kw) for n, works, survives, kw in every],
        capacity,
        inverter_kw,
        start,
    )
    parts = [
        Units(n, works / 10, 1.0, 1.0 / (1.0 - survives / 10) if survives < 10 else np.inf)
        for n, works, survives, _ in every
    ]
    sources = [Source(part, float(kind[3])) for part, kind in zip(parts, kinds, strict=False)]
    storage = Storage(float(capacity), parts[-1], float(inverter_kw))
    found = survival_chance(np.array([load], float), sources, storage, start_kwh=float(start))
    for chance in found:
        assert chance[0, -1] == pytest.approx(float(paths), abs=1e-12)


def test_without_storage_only_units_count() -> None:
    found = survival_chance(np.ones((1, 3)), [Source(Units(1, mean_hours_to_failure=2), 1.0)], NO_STORAGE)
    assert found.low[0] == pytest.approx([0.5, 0.25, 0.125], abs=1e-15)
