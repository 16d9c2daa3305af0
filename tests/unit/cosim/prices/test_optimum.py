"""The AC optimum: what gives way, and what has no price."""

from __future__ import annotations

import numpy as np
import pytest
from naive_prices import make_congested, make_sought, make_street

from cosim.prices.optimum import NO_SOLUTION, NOT_ADMISSIBLE, NotPriced, Optimum, find_gradient, find_optimum
from grid_models.powerflow.verdicts import Judgement, judge
from grid_models.response.sensitivity import sensitivity

pytestmark = pytest.mark.slow  # engines of several feeders


@pytest.mark.parametrize("name", ["noon: highest voltage", "evening: ring"])
def test_the_optimum_is_within_all_limits_and_at_one(name: str) -> None:
    sought = make_congested()[name]
    found = find_optimum(sought)
    assert isinstance(found, Optimum)
    p_kw, q_kvar = sought.resources.at(found.x)
    verdicts = judge(sought.engine.solve(p_kw[None], q_kvar[None]), sought.limits)
    assert verdicts.status[0] == Judgement.OK
    assert min(verdicts.voltage_margin_pu[0], verdicts.loading_margin_percent[0] / 100.0) < 1e-5
    assert found.multipliers.max() > 0.0


def test_nothing_gives_way_where_nothing_binds() -> None:
    found = find_optimum(make_sought(make_street(3, 1, spacing_m=30.0), [5.0] * 3, [2.0] * 3))
    assert isinstance(found, Optimum)
    assert not found.x.any()
    assert not found.multipliers.any()


def test_limits_that_are_broken_whatever_gives_way_have_no_price() -> None:
    sought = make_sought(make_street(3, 1, spacing_m=30.0), [0.0] * 3, [2.0] * 3, min_vm_pu=1.2)
    assert find_optimum(sought) == NotPriced(NOT_ADMISSIBLE)


def test_neither_has_what_nobody_can_change() -> None:
    sought = make_sought(make_street(3, 1, spacing_m=150.0), [0.0] * 3, [40.0] * 3, min_vm_pu=0.99)
    none = sought.resources
    fixed = none._replace(effect=none.effect[:, :0], cost_eur_per_kwh=np.zeros(0), upper_kw=np.zeros(0))
    assert find_optimum(sought._replace(resources=fixed)) == NotPriced(NOT_ADMISSIBLE)
    beyond = fixed._replace(p_kw=np.full(3, -1e5))
    assert find_optimum(sought._replace(resources=beyond)) == NotPriced(NO_SOLUTION)


def test_generation_is_given_up_where_energy_is_worth_less_than_nothing() -> None:
    sought = make_sought(make_street(3, 1, spacing_m=30.0), [5.0] * 3, [2.0] * 3)
    cheap = sought._replace(head_eur_per_kwh=-0.5)
    found = find_optimum(cheap)
    assert isinstance(found, Optimum)
    assert found.x[:3] == pytest.approx([5.0] * 3)


def test_the_gradient_is_the_difference_quotient_of_the_cost() -> None:
    """Reactive power of load that is shed included."""
    sought = make_sought(make_street(3, 1, spacing_m=150.0), [0.0] * 3, [30.0, 20.0, 25.0])
    resources = sought.resources

    def cost(x: np.ndarray) -> float:
        flow = sought.engine.solve(*(part[None] for part in resources.at(x)))
        return float(sought.head_eur_per_kwh * flow.p_slack_kw.sum() + resources.cost_eur_per_kwh @ x)

    x, step = 0.3 * resources.upper_kw, 1e-2
    response = sensitivity(sought.engine, *resources.at(x))
    assert response is not None
    expected = [(cost(x + by) - cost(x - by)) / (2.0 * step) for by in step * np.eye(x.size)]
    # What the power at the head has in it, without the cost of what is shed.
    found = find_gradient(sought, response) - resources.cost_eur_per_kwh
    np.testing.assert_allclose(found, np.array(expected) - resources.cost_eur_per_kwh, rtol=1e-5)
