"""Laws of operating envelopes: any combination of powers inside is clean in AC, and an unclean box says so."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_envelopes import are_clean, draw_points, draw_setting

from grid_models.envelopes.corners import Background, Setting, judge_critical, list_critical
from grid_models.envelopes.pattern import choose, make_pattern, solve_bases
from grid_models.envelopes.rows import make_no_rows
from grid_models.envelopes.rules import RULES
from grid_models.envelopes.solve import find_envelopes

NAMES = tuple(RULES)


def _check(seed: int, n_points: int, *, phases: bool, most_kw: float = 40.0) -> bool:
    """Check the box of a random setting; returns whether there is one."""
    drawn = draw_setting(seed, phases=phases, most_kw=most_kw)
    found = find_envelopes(*drawn, NAMES[seed % len(NAMES)])
    nobody = are_clean(drawn, np.zeros((1, found.export_kw.shape[1])))[0]
    assert found.robust[0] == nobody  # an empty box is clean wherever the network is
    if nobody:
        assert are_clean(drawn, draw_points(found, n_points, np.random.default_rng(seed))).all(), seed
    else:
        assert not found.export_kw.any()
        assert not found.import_kw.any()
        assert found.failing_limit[0] >= 0
    return bool(nobody)


def test_any_combination_inside_is_clean() -> None:
    assert sum(_check(seed, 300, phases=False) for seed in range(5)) > 3


@pytest.mark.slow
def test_any_combination_inside_is_clean_by_phases() -> None:
    assert sum(_check(seed, 100, phases=True) for seed in range(10)) > 6


@pytest.mark.slow
def test_the_worse_side_of_a_customer_who_is_worse_either_way_is_found() -> None:
    """One whose panels are on three phases and whose load is on one raises a third phase by exporting and importing."""
    assert _check(1150, 1000, phases=True)


def _check_many(seed: int, n_points: int, *, phases: bool) -> int:
    """Check the boxes of intervals in which others generate, or draw much; returns how many there are."""
    drawn, rng = draw_setting(seed, phases=phases), np.random.default_rng(seed)
    scale = rng.uniform(-2.0, 2.0, (6, 1))
    background = Background(*(scale * values for values in drawn.background))
    found = find_envelopes(drawn.wires, drawn.customers, background, NAMES[seed % len(NAMES)])
    for k in np.flatnonzero(found.robust):
        alone = drawn._replace(background=background.select(np.array([k])))
        assert are_clean(alone, draw_points(found, n_points, rng, k)).all(), (seed, k)
    return int(found.robust.sum())


def test_any_combination_inside_is_clean_in_each_of_many_intervals() -> None:
    """Intervals follow one of them."""
    assert sum(_check_many(seed, 100, phases=False) for seed in range(3000, 3005)) > 15


@pytest.mark.slow
def test_any_combination_inside_is_clean_in_each_of_many_intervals_by_phases() -> None:
    """In 3089 nothing stops anybody in the one that the others follow; unbalance would be at 109 % in another."""
    assert sum(_check_many(seed, 100, phases=True) for seed in (*range(3000, 3006), *range(3085, 3090))) > 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3001, 3003, 3089])
def test_what_followers_do_not_judge_is_far_from_its_limit(seed: int) -> None:
    """Every limit at every corner where it may be largest, in boxes of intervals very unlike the one they follow."""
    drawn, rng = draw_setting(seed, phases=True), np.random.default_rng(seed)
    scale = rng.uniform(-2.0, 2.0, (6, 1))
    setting = Setting(drawn.wires, drawn.customers, Background(*(scale * values for values in drawn.background)))
    found = find_envelopes(*setting, "max_min")
    setting, room = (
        setting.select(np.flatnonzero(found.robust)),
        np.hstack([found.export_kw, -found.import_kw])[found.robust],
    )
    pattern = make_pattern(setting.select(np.array([0])), make_no_rows(room.shape[1]), room[:1])
    near = pattern.find_near(solve_bases(setting), room)
    every = choose(list_critical(pattern.rows), np.arange(len(room)), np.ones_like(near))
    excess = judge_critical(setting, every, room).excess.reshape(near.shape)
    assert not near.all()
    assert (excess[~near] < 0.0).all()
    assert (excess <= 0.0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("phases", "n"), [(False, 40), (True, 30)])
def test_of_many_boxes_none_is_unclean(phases: bool, n: int) -> None:
    """`tests/benchmarks/envelopes.py` tries 200."""
    assert sum(_check(seed, 1000, phases=phases, most_kw=60.0) for seed in range(1000, 1000 + n)) > 0.7 * n


@pytest.mark.parametrize(
    ("name", "phases"),
    [pytest.param(name, phases, marks=[pytest.mark.slow] * phases) for phases in (False, True) for name in NAMES],
)
def test_intervals_do_not_depend_on_one_another(name: str, phases: bool) -> None:
    drawn = draw_setting(4, phases=phases)
    scale = np.array([[0.0], [0.5], [1.0]])
    background = Background(*(scale * values for values in drawn.background))
    together = find_envelopes(drawn.wires, drawn.customers, background, name)
    for k in range(3):
        alone = find_envelopes(drawn.wires, drawn.customers, background.select(np.array([k])), name)
        total = (alone.export_kw - alone.import_kw).sum()
        assert (together.export_kw[k] - together.import_kw[k]).sum() == pytest.approx(total, rel=0.005)
