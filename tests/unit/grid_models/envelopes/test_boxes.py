from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from grid_models.envelopes.corners import Background
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.robust import Robust
from grid_models.envelopes.rules import RULES
from grid_models.envelopes.solve import FOLLOWERS, Envelopes, Part, find_envelopes
from grid_models.envelopes.wires import Wires, make_wires
from grid_models.errors import GridError
from grid_models.feeder.connection import A, B, C, make_connections
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.fill import FOUR_CORE, with_delta_star, with_zero_sequence
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, judge

BOTH = np.array([0, 1])


@lru_cache(maxsize=1)
def _feeder() -> Feeder:
    names = ["near", "far"]
    return make_radial_feeder(names, n_branches=1, spacing_m=300.0, rng=np.random.default_rng(0))


def _wires(*head_vm_pu: float, **limits: float) -> Wires:
    return make_wires(_feeder(), Limits.from_feeder(_feeder(), **limits), head_vm_pu)


def _find(wires: Wires, rule: str = "equal", most_kw: float = 500.0, p_kw: float = 0.0) -> Envelopes:
    customers = Customers(BOTH, BOTH, np.full(2, most_kw), np.full(2, most_kw))
    p = np.full((1, 2), p_kw)
    return find_envelopes(wires, customers, Background(p, np.zeros_like(p)), rule)


@pytest.mark.parametrize("rule", list(RULES))
def test_the_edge_of_a_box_is_at_a_limit(rule: str) -> None:
    wires = _wires()
    found = _find(wires, rule)
    for edge in (found.export_kw, found.import_kw):
        inside, beyond = (judge(wires.engines[0].solve(share * edge), wires.limits) for share in (1.0, 1.001))
        assert (inside.status[0], beyond.status[0]) == (Judgement.OK, Judgement.VIOLATED)


def test_what_stops_a_customer_is_named() -> None:
    wires = _wires(max_vm_pu=1.02)
    n_buses = len(_feeder().net.bus)
    found = _find(wires)
    assert set(found.export_limit[0].tolist()) == {int(_feeder().net.bus.index.get_loc(_feeder().bus[1]))}
    assert (found.import_limit >= n_buses).all()
    assert (_find(wires, most_kw=0.5).export_limit == -1).all()


def test_nobody_gets_more_than_the_connection_can_do() -> None:
    found = _find(_wires(), "max_total", most_kw=0.5)
    assert found.export_kw.tolist() == [[0.5, 0.5]]
    assert found.import_kw.tolist() == [[-0.5, -0.5]]


def test_where_others_alone_break_a_limit_the_answer_says_which() -> None:
    wires = _wires(min_vm_pu=0.99)
    found = _find(wires, p_kw=-40.0)
    assert not found.robust[0]
    assert not found.export_kw.any()
    assert not found.import_kw.any()
    far = int(_feeder().net.bus.index.get_loc(_feeder().bus[1]))
    assert found.failing_limit[0] == len(_feeder().net.bus) + far
    assert found.failing_engine[0] == 0


def test_where_ac_has_no_solution_there_is_no_box() -> None:
    found = _find(_wires(), p_kw=-5000.0)
    assert not found.robust[0]
    assert found.failing_limit[0] == -1


def test_intervals_that_are_not_robust_leave_the_others_alone() -> None:
    wires, customers = _wires(min_vm_pu=0.95), Customers(BOTH, BOTH, np.full(2, 90.0), np.full(2, 90.0))
    p = np.array([[-200.0, -200.0], [0.0, 0.0], [-1.0, -1.0]])
    found = find_envelopes(wires, customers, Background(p, 0.0 * p), "max_min")
    assert found.robust.tolist() == [False, True, True]
    assert (found.export_kw[1:] > 1.0).all()


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["max_total", "max_min"])
def test_parts_that_are_solved_elsewhere_are_the_same_to_the_bit(rule: str) -> None:
    wires, customers = _wires(max_vm_pu=1.03), Customers(BOTH, BOTH, np.full(2, 60.0), np.full(2, 90.0))
    p = np.random.default_rng(0).uniform(-20.0, 20.0, (2 * FOLLOWERS + 1, 2))
    seen = list[int]()

    def solve_elsewhere(solve: Callable[[Part], Robust], parts: Sequence[Part]) -> list[Robust]:
        """As processes do it: the last part first, and all of them pickled."""
        seen.append(len(parts))
        return [pickle.loads(pickle.dumps(solve(pickle.loads(pickle.dumps(part))))) for part in parts[::-1]][::-1]

    here = find_envelopes(wires, customers, Background(p, 0.1 * p), rule)
    there = find_envelopes(wires, customers, Background(p, 0.1 * p), rule, each=solve_elsewhere)
    assert seen == [3]
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one, other)


def test_a_range_of_the_head_is_as_narrow_as_each_of_its_ends() -> None:
    both, low, high = (_find(_wires(*heads, min_vm_pu=0.95)) for heads in ((0.98, 1.03), (0.98,), (1.03,)))
    assert both.export_kw == pytest.approx(np.minimum(low.export_kw, high.export_kw), abs=2e-3)
    assert both.import_kw == pytest.approx(np.maximum(low.import_kw, high.import_kw), abs=2e-3)


def test_a_head_in_volts_is_refused() -> None:
    with pytest.raises(GridError, match=r"expected 0\.5 <= value <= 1\.5, got 230; give it in pu"):
        _wires(230.0)


@pytest.mark.slow
def test_who_is_alone_on_a_phase_is_stopped_by_what_the_others_draw_on_theirs() -> None:
    feeder = make_radial_feeder(["a", "b", "c"], n_branches=1, spacing_m=200.0, rng=np.random.default_rng(0))
    feeder = with_zero_sequence(with_delta_star(feeder), FOUR_CORE)
    feeder = replace(feeder, connections=make_connections([A, B, C]))
    wires, places = make_wires(feeder, Limits.from_feeder(feeder)), np.arange(3)
    background = Background(np.zeros((1, 3)), np.zeros((1, 3)))

    def find(most_import_kw: float) -> float:
        customers = Customers(places, places, np.full(3, 60.0), np.full(3, most_import_kw))
        return float(find_envelopes(wires, customers, background, "equal").export_kw[0, 0])

    assert find(20.0) < 0.95 * find(0.0)  # mixed corners: exports of one phase beside imports of the others
