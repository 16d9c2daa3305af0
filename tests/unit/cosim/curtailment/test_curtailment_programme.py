"""Boxes of the programmes, and what their prices say of a state that AC found."""

from __future__ import annotations

import numpy as np

from cosim.curtailment.programme import (
    CLOSER,
    LEAST_MOVE_KW,
    MARGIN_PERCENT,
    MARGIN_VM_PU,
    WIDER,
    ProgrammeSolution,
    Reach,
    anywhere,
    back_off,
    excess,
    next_reach,
    no_distance,
    possible_gain,
    within,
)
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response


def _limits() -> Limits:
    return Limits(np.full(2, 0.95), np.full(2, 1.05), np.array([80.0]), np.array([100.0]))


def _response(vm_pu: list[float], percent: list[complex]) -> Response:
    nothing = None
    return Response(np.array(vm_pu), np.array(percent), np.zeros(1, complex), nothing, nothing)  # type: ignore[arg-type]


def test_a_lever_that_turns_round_may_go_half_as_far_and_one_that_goes_on_further() -> None:
    most = np.array([np.inf, 10.0, 10.0, np.inf, 8.0])
    step, last_step = np.array([-4.0, -4.0, 3.0, 2.0, 0.0]), np.array([6.0, 30.0, 1.0, 1.0, -5.0])
    reach = next_reach(Reach(most, last_step), step)
    assert reach.most.tolist() == [CLOSER * 4.0, CLOSER * 4.0, WIDER * 10.0, np.inf, 8.0]
    assert reach.step is step


def test_no_reach_becomes_too_small_for_whole_wh() -> None:
    reach = Reach(np.array([1.0]), np.array([1e-3]))
    assert next_reach(reach, np.array([-1e-3])).most.tolist() == [LEAST_MOVE_KW]
    assert within(1e-3, 2).most.tolist() == [LEAST_MOVE_KW] * 2


def test_inside_and_anywhere() -> None:
    assert anywhere(2).is_anywhere()
    assert anywhere(2).is_inside(np.array([1e9, -1e9]))
    reach = Reach(np.array([np.inf, 2.0]), np.zeros(2))
    assert not reach.is_anywhere()
    assert reach.is_inside(np.array([9.0, -1.9]))
    assert not reach.is_inside(np.array([0.0, -2.0]))


def test_excess_is_counted_limit_by_limit_and_only_a_little_of_it_is_backed_off() -> None:
    response = _response([1.0501, 0.94], [80.1j, 90.0, 70.0, 100.2])
    beyond = excess(response, _limits())
    assert np.allclose(beyond, [1e-4, 0.0, 0.0, 0.01, 0.1, 0.0, 0.0, 0.2])
    assert np.allclose(back_off(beyond, _limits()), [1.5e-4, 0.0, 0.0, 0.0, 0.15, 0.0, 0.0, 0.3])
    assert no_distance(_limits()).shape == beyond.shape


def test_the_gain_is_the_room_at_the_prices_of_its_limits() -> None:
    response = _response([1.04, 0.96], [78.0j, 90.0, 70.0, 60.0])
    prices = {0: 10.0, 3: 100.0, 4: 1000.0, 4 + 3 * 4: 1000.0}  # the last two are two facets of one current
    room_pu = 10.0 * (0.01 - MARGIN_VM_PU) + 100.0 * (0.01 - MARGIN_VM_PU)
    room_percent = 2 * 1000.0 * (2.0 - MARGIN_PERCENT) / 100.0
    found = possible_gain(ProgrammeSolution(np.zeros(1), prices, keeps=True), response, _limits())
    assert np.isclose(found, room_pu + room_percent)
    assert possible_gain(ProgrammeSolution(np.zeros(1), {}, keeps=True), response, _limits()) == 0.0
