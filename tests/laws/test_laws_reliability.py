"""Laws of units that fail: chances, monotone in everything that is better, certain units give the plain answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models.devices.reliability import Bracket, Source, Storage, Units, survival_chance

TINY = 1e-9
shares = st.floats(0.0, 1.0)


@st.composite
def units(draw: st.DrawFn) -> Units:
    return Units(draw(st.integers(0, 2)), draw(shares), draw(shares), draw(st.floats(1.0, 50.0)))


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, object]:
    """Loads, kinds of units and a storage of like size, so that charge, power and units all come to be short."""
    n, length = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sources = [Source(draw(units()), rng.uniform(0.0, 3.0, length)) for _ in range(draw(st.integers(0, 2)))]
    capacity, power, *efficiencies = rng.uniform([0.0, 0.0, 0.5, 0.5], [8.0, 3.0, 1.0, 1.0]).tolist()
    storage = Storage(capacity, draw(units()), power, *efficiencies)
    return {
        "load_kw": rng.uniform(-2.0, 4.0, (n, length)),
        "sources": sources,
        "storage": storage,
        "start_kwh": rng.uniform(0.0, capacity, n),
        "step_kwh": draw(st.sampled_from([0.25, 0.5, 1.0])),
        "hours": draw(st.sampled_from([0.25, 1.0])),
    }


def survive(world: dict[str, object]) -> Bracket:
    return survival_chance(**world)  # type: ignore[arg-type]


def better(draw: st.DataObject, part: Units) -> Units:
    """The same units, one of their numbers nearer to certainty."""
    name = draw.draw(st.sampled_from(["availability", "start_chance", "mean_hours_to_failure"]))
    now = getattr(part, name)
    top = 1e6 if name == "mean_hours_to_failure" else 1.0
    return replace(part, **{name: draw.draw(st.floats(now, top))})


@given(world=worlds())
def test_chances_are_chances_that_fall_with_the_length_and_the_bracket_is_one(world: dict[str, object]) -> None:
    low, high = survive(world)
    for chance in (low, high):
        assert ((chance >= 0.0) & (chance <= 1.0 + TINY)).all()
        assert (np.diff(chance, axis=1) <= TINY).all()
    assert (low <= high + TINY).all()


@given(world=worlds(), data=st.data())
def test_better_units_never_survive_less(world: dict[str, object], data: st.DataObject) -> None:
    sources, storage = world["sources"], world["storage"]
    assert isinstance(sources, list)
    assert isinstance(storage, Storage)
    k = data.draw(st.integers(0, len(sources)))
    if k < len(sources):
        changed = [*sources[:k], sources[k]._replace(units=better(data, sources[k].units)), *sources[k + 1 :]]
        improved = {**world, "sources": changed}
    else:
        improved = {**world, "storage": replace(storage, inverters=better(data, storage.inverters))}
    for before, after in zip(survive(world), survive(improved), strict=True):
        assert (after >= before - TINY).all()


@given(world=worlds(), less=st.floats(0.0, 1.0), more_kwh=st.floats(0.0, 3.0))
def test_less_load_more_charge_and_more_capacity_never_survive_less(
    world: dict[str, object], less: float, more_kwh: float
) -> None:
    storage, load, start = world["storage"], world["load_kw"], world["start_kwh"]
    assert isinstance(storage, Storage)
    assert isinstance(load, np.ndarray)
    assert isinstance(start, np.ndarray)
    larger = replace(storage, capacity_kwh=storage.capacity_kwh + more_kwh)
    for change in ({"load_kw": load - less}, {"storage": larger}, {"storage": larger, "start_kwh": start + more_kwh}):
        for before, after in zip(survive(world), survive({**world, **change}), strict=True):
            assert (after >= before - TINY).all()


@given(world=worlds())
def test_half_a_step_never_widens_the_bracket(world: dict[str, object]) -> None:
    coarse, fine = survive(world), survive({**world, "step_kwh": float(world["step_kwh"]) / 2})  # type: ignore[arg-type]
    assert (fine.low >= coarse.low - TINY).all()
    assert (fine.high <= coarse.high + TINY).all()


@given(world=worlds())
def test_certain_units_give_the_plain_answer(world: dict[str, object]) -> None:
    """Nothing fails: 1 as long as the plain sum of energies covers the load, 0 after that; each bound on its side."""
    sources, storage = world["sources"], world["storage"]
    assert isinstance(sources, list)
    assert isinstance(storage, Storage)
    certain = [source._replace(units=Units(source.units.units)) for source in sources]
    sure = replace(storage, inverters=Units(2))
    low, high = survive({**world, "sources": certain, "storage": sure})
    hours, load = float(world["hours"]), np.asarray(world["load_kw"])  # type: ignore[arg-type]
    power = sure.inverters.units * sure.inverter_kw
    for s in range(load.shape[0]):
        charge, alive = float(np.asarray(world["start_kwh"])[s]), True
        for t in range(load.shape[1]):
            surplus = sum(float(np.asarray(one.unit_kw)[t]) * one.units.units for one in certain) - load[s, t]
            taken = max(-surplus, 0.0) * hours / sure.discharge_efficiency
            alive = alive and -surplus <= power + TINY and taken <= charge + TINY
            charge = min(
                charge - taken + min(max(surplus, 0.0), power) * hours * sure.charge_efficiency, sure.capacity_kwh
            )
            assert low[s, t] in (pytest.approx(0.0), pytest.approx(1.0))
            assert low[s, t] <= alive + TINY
            assert high[s, t] >= alive - 1e-6
