"""The rule of sharing: in proportion to what each feeder contributes, and no feeder that helps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medium_voltage_nets import make_net, make_two

from cosim.portfolio.medium_voltage.exchange import solve_medium_voltage
from cosim.portfolio.medium_voltage.net import Placement, read_medium_voltage
from cosim.portfolio.medium_voltage.share import (
    BEYOND_PERCENT,
    find_keeps,
    find_slopes,
    limit_loading,
    list_shares,
    share,
)
from grid_models.powerflow.verdicts import Violation
from grid_models.response.sensitivity import sensitivity

powers = st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=6)


@given(powers=powers, excess=st.floats(0.01, 30.0), sign=st.sampled_from([-1.0, 1.0]))
def test_feeders_give_up_what_is_asked_in_proportion_to_what_they_push(
    powers: list[float], excess: float, sign: float
) -> None:
    p_kw, slopes = np.array(powers), np.full(len(powers), sign)
    pushes = -sign * p_kw
    keeps = find_keeps(slopes, p_kw, Violation("line", 0, "", "loading_percent", 100.0 + excess, 100.0))
    total = pushes[pushes > 0.0].sum()
    if keeps is None:
        assert excess + BEYOND_PERCENT > 0.99 * total
        return
    assert (keeps[pushes <= 0.0] == 1.0).all()
    assert ((1.0 - keeps) * pushes).sum() == pytest.approx(excess + BEYOND_PERCENT)
    assert np.ptp(keeps[pushes > 0.0]) == 0.0


def test_too_low_a_voltage_is_raised_by_those_that_lower_it() -> None:
    low, slopes = Violation("bus", 0, "", "vm_pu", 0.89, 0.90), np.full(2, 1e-4)
    keeps = find_keeps(slopes, np.array([400.0, -200.0]), low)
    assert keeps is not None
    assert keeps.tolist() == pytest.approx([1.0 - 0.01002 / 0.04, 1.0])
    assert find_keeps(slopes, np.array([-400.0, -200.0]), low) is None


def test_a_feeder_far_from_what_is_broken_is_left_alone() -> None:
    keeps = find_keeps(np.array([0.1, 0.0049]), np.array([-500.0, -500.0]), Violation("trafo", 0, "", "", 120.0, 100.0))
    assert keeps is not None
    assert keeps[0] < keeps[1] == 1.0


def test_reactive_power_is_left_where_it_is() -> None:
    limits = limit_loading(
        *(np.array(values) for values in ([50.0, 50.0, 0.0], [30.0, 30.0, 0.0], [0.0, 40.0, 0.0], [0.5] * 3))
    )
    assert limits.tolist() == pytest.approx([25.0, 50.0 * np.hypot(15.0, 40.0) / 50.0, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "element", "quantity"),
    [("bus", 3, "vm_pu"), ("line", 1, "loading_percent"), ("trafo", 0, "loading_percent")],
)
def test_slopes_are_those_of_the_net(table: str, element: int, quantity: str) -> None:
    mv, cases = make_two()
    p_kw, q_kvar = np.array([-900.0, 300.0]), np.array([50.0, 20.0])
    response = sensitivity(mv.engine, -p_kw, -q_kvar)
    assert response is not None
    slopes = find_slopes(mv, response, Violation(table, element, "", quantity, 2.0, 1.0))
    column = {"bus": "vm_pu", "line": "line_loading_percent", "trafo": "trafo_loading_percent"}[table]
    for k in range(2):
        more = np.zeros(2)
        more[k] = 1.0
        time = cases[0].profiles.time[:2]
        tried = solve_medium_voltage(mv, time, np.stack([p_kw - more, p_kw + more]), np.stack([q_kvar, q_kvar]))
        values = getattr(tried, column)[:, element]
        assert slopes[k] == pytest.approx((values[0] - values[1]) / 2.0, rel=1e-4)


def test_what_no_feeder_can_mend_is_passed_over_for_what_one_can() -> None:
    net = make_net(load_mw=5.0)
    net.line["max_loading_percent"] = [1.0, 90.0]  # the first breaks by the net's own load, and more
    mv = read_medium_voltage(net, [Placement("a", "end"), Placement("b", "end")])
    p_kw, q_kvar = np.array([[100.0, 50.0]]), np.zeros((1, 2))
    flow = solve_medium_voltage(mv, np.zeros(1, "datetime64[m]"), p_kw, q_kvar)
    found = list(list_shares(mv, flow, 0, p_kw[0], q_kvar[0]))
    assert [(each.violation.name, each.keeps is None) for each in found] == [("first", True), ("second", False)]
    shared = share(mv, flow, 0, p_kw[0], q_kvar[0])
    assert shared is not None
    assert shared.violation.name == "second"
    assert shared.keeps is not None
    assert (shared.keeps < 1.0).all()


@pytest.mark.slow
def test_what_is_within_its_limits_shares_nothing() -> None:
    mv, cases = make_two()
    p_kw = np.array([[-10.0, -10.0], [-200.0, -10.0]])
    flow = solve_medium_voltage(mv, cases[0].profiles.time[:2], p_kw, np.zeros_like(p_kw))
    assert share(mv, flow, 0, p_kw[0], p_kw[0]) is None
    shared = share(mv, flow, 1, p_kw[1], np.zeros(2))
    assert shared is not None
    assert shared.violation.value > shared.violation.limit
    assert shared.keeps is not None
    assert shared.keeps[0] == shared.keeps[1] < 1.0
