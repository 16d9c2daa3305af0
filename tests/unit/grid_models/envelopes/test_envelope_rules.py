from __future__ import annotations

import numpy as np
import pytest

from grid_models.envelopes.rules import CLOSE, RULES, STRONG, Packing

# Two customers: exports of both, then imports. The first row is one transformer for both exports, the second one cable
# of the second customer's import.
SLOPE = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])
MOST = np.array([4.0, 20.0, 7.0, 9.0])


def _share(name: str, bound: list[float], slope: np.ndarray = SLOPE, most: np.ndarray = MOST) -> list[float]:  # type: ignore[type-arg]
    room: list[float] = RULES[name](Packing(slope, np.array(bound), most, most, 0.0 * most, 1.0)).tolist()
    return room


def test_equal_gives_all_the_same_and_no_more_than_a_connection_can_do() -> None:
    assert _share("equal", [14.0, 6.0]) == [4.0, 10.0, 3.0, 3.0]


def test_max_min_lets_those_go_on_who_load_no_full_row() -> None:
    assert _share("max_min", [14.0, 6.0]) == [4.0, 10.0, 7.0, 3.0]


def test_proportional_gives_the_same_share_of_what_connections_can_do() -> None:
    assert _share("proportional", [12.0, 6.0]) == pytest.approx([2.0, 10.0, 7.0 / 3.0, 3.0])


def test_max_total_prefers_whoever_loads_the_network_least() -> None:
    slope = np.array([[1.0, 3.0, 0.0, 0.0]])
    assert _share("max_total", [10.0], slope) == pytest.approx([4.0, 2.0, 7.0, 9.0])


@pytest.mark.parametrize("name", list(RULES))
def test_without_rows_everybody_gets_all(name: str) -> None:
    assert _share(name, [], np.zeros((0, 4))) == pytest.approx(MOST)


@pytest.mark.parametrize("name", list(RULES))
def test_a_row_that_not_even_an_empty_box_keeps_leaves_nothing_to_whom_it_concerns(name: str) -> None:
    room = _share(name, [-1.0, 6.0])
    assert room[:2] == [0.0, 0.0]
    assert room[3] == pytest.approx(3.0)


@pytest.mark.parametrize("name", ["equal", "max_min"])
def test_rows_are_kept_where_some_go_on_who_hardly_load_them(name: str) -> None:
    slope = np.array([[1.0, 1.0, 0.5 * STRONG, 0.0]])
    room = np.array(_share(name, [6.0], slope, np.array([90.0, 90.0, 900.0, 0.0])))
    assert float(slope[0] @ room) <= 6.0 + 1e-6
    assert room[2] == pytest.approx(900.0)


def test_rules_keep_random_rows_and_leave_nobody_room_to_grow() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        slope, bound = rng.random((5, 8)), rng.uniform(0.5, 5.0, 5)
        for name, rule in RULES.items():
            room = rule(Packing(slope, bound, np.full(8, 3.0), rng.uniform(1.0, 2.0, 8), np.zeros(8), 1.0))
            assert (slope @ room <= bound + 1e-6).all(), name
            assert ((room >= 0.0) & (room <= 3.0)).all(), name
            assert (slope @ room >= bound - 1e-6).any() or (room == 3.0).all(), name


def test_max_total_is_never_beaten() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        packing = Packing(rng.random((5, 8)), rng.uniform(0.5, 5.0, 5), np.full(8, 3.0), np.ones(8), np.zeros(8), 1.0)
        totals = {name: float(rule(packing).sum()) for name, rule in RULES.items()}
        assert totals["max_total"] >= max(totals.values()) - 1e-6


def test_max_min_has_the_largest_least_room() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        packing = Packing(rng.random((5, 8)), rng.uniform(0.5, 5.0, 5), np.full(8, 3.0), np.ones(8), np.zeros(8), 1.0)
        least = {name: float(rule(packing).min()) for name, rule in RULES.items()}
        assert least["max_min"] >= max(least.values()) - 1e-6


def test_max_total_stays_near_and_gives_up_what_breaks_a_row() -> None:
    slope, most, now = np.array([[1.0, 1.1, 0.0, 0.0]]), np.full(4, 10.0), np.array([5.0, 5.0, 5.0, 0.0])
    near = RULES["max_total"](Packing(slope, np.array([11.5]), most, most, now, 0.1))
    assert near == pytest.approx([6.0, 5.0, 6.0, 1.0])
    less = RULES["max_total"](Packing(slope, np.array([1.0]), most, most, now, 0.1))
    assert less == pytest.approx([1.0, 0.0, 6.0, 1.0])


def test_max_total_of_those_who_follow_stays_within_its_rows_and_stops_earlier() -> None:
    slope, most = np.array([[1.0, 0.0]]), np.full(2, 10.0)
    far = RULES["max_total"](Packing(slope, np.array([5.0]), most, most, np.array([0.0, 10.0]), 1.0, CLOSE))
    assert far == pytest.approx([5.0 - CLOSE.aim_pu, 10.0], abs=1e-9)
    now = np.array([5.0 - 0.01, 10.0])
    assert (RULES["max_total"](Packing(slope, np.array([5.0]), most, most, now, 1.0, CLOSE)) == now).all()
    assert RULES["max_total"](Packing(slope, np.array([5.0]), most, most, 0.99 * now, 1.0))[0] == pytest.approx(5.0)
