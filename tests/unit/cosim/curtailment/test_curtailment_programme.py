"""Trust regions of the programmes, and what their multipliers say of a state that AC found."""

from __future__ import annotations

import weakref

import numpy as np

from cosim.curtailment.decision_variables import DecisionVariables
from cosim.curtailment.programme import (
    GROW,
    LEAST_RADIUS_KW,
    MARGIN_PERCENT,
    MARGIN_VM_PU,
    SHRINK,
    GrowingProgramme,
    ProgrammeSolution,
    TrustRegion,
    back_off,
    limit_excess,
    make_no_tightening,
    make_region,
    possible_saving,
    update_region,
)
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response


def _limits() -> Limits:
    return Limits(np.full(2, 0.95), np.full(2, 1.05), np.array([80.0]), np.array([100.0]))


def _response(vm_pu: list[float], percent: list[complex]) -> Response:
    nothing = None
    return Response(np.array(vm_pu), np.array(percent), np.zeros(1, complex), nothing, nothing)  # type: ignore[arg-type]


def test_a_variable_that_turns_round_gets_half_its_step_as_radius_and_one_that_goes_on_a_larger_one() -> None:
    radius = np.array([np.inf, 10.0, 10.0, np.inf, 8.0])
    step, last_step = np.array([-4.0, -4.0, 3.0, 2.0, 0.0]), np.array([6.0, 30.0, 1.0, 1.0, -5.0])
    region = update_region(TrustRegion(radius, last_step), step)
    assert region.radius.tolist() == [SHRINK * 4.0, SHRINK * 4.0, GROW * 10.0, np.inf, 8.0]
    assert region.step is step


def test_no_radius_becomes_too_small_for_whole_wh() -> None:
    region = TrustRegion(np.array([1.0]), np.array([1e-3]))
    assert update_region(region, np.array([-1e-3])).radius.tolist() == [LEAST_RADIUS_KW]
    assert make_region(2, 1e-3).radius.tolist() == [LEAST_RADIUS_KW] * 2


def test_interior_and_unbounded() -> None:
    assert make_region(2).is_unbounded()
    assert make_region(2).contains(np.array([1e9, -1e9]))
    region = TrustRegion(np.array([np.inf, 2.0]), np.zeros(2))
    assert not region.is_unbounded()
    assert region.contains(np.array([9.0, -1.9]))
    assert not region.contains(np.array([0.0, -2.0]))


def test_excess_is_counted_limit_by_limit_and_only_a_little_of_it_is_backed_off() -> None:
    response = _response([1.0501, 0.94], [80.1j, 90.0, 70.0, 100.2])
    beyond = np.fmax(limit_excess(response, _limits()), 0.0)
    assert np.allclose(beyond, [1e-4, 0.0, 0.0, 0.01, 0.1, 0.0, 0.0, 0.2])
    assert np.allclose(back_off(response, _limits()), [1.5e-4, 0.0, 0.0, 0.0, 0.15, 0.0, 0.0, 0.3])
    assert make_no_tightening(_limits()).shape == beyond.shape


def test_the_possible_saving_is_the_room_times_the_multipliers_of_its_limits() -> None:
    response = _response([1.04, 0.96], [78.0j, 90.0, 70.0, 60.0])
    multipliers = {
        0: 10.0,
        3: 100.0,
        4: 1000.0,
        4 + 3 * 4: 1000.0,
    }  # the last two are two facets of one current
    room_pu = 10.0 * (0.01 - MARGIN_VM_PU) + 100.0 * (0.01 - MARGIN_VM_PU)
    room_percent = 2 * 1000.0 * (2.0 - MARGIN_PERCENT) / 100.0
    found = possible_saving(ProgrammeSolution(np.zeros(1), multipliers, feasible=True), response, _limits())
    assert np.isclose(found, room_pu + room_percent)
    assert possible_saving(ProgrammeSolution(np.zeros(1), {}, feasible=True), response, _limits()) == 0.0


def test_a_programme_is_freed_as_soon_as_nobody_has_it() -> None:
    """Its rows are megabytes; a cycle of references would keep them until all garbage is collected."""
    nothing = np.zeros(0)
    variables = DecisionVariables(np.zeros(0, np.int64), None, nothing, nothing, nothing, nothing, nothing)  # type: ignore[arg-type]
    programme = GrowingProgramme(variables, nothing, make_region(0))
    assert programme.solve() is None
    alive = weakref.ref(programme)
    del programme
    assert alive() is None
