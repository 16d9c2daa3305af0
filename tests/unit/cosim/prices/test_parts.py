"""Parts of prices: the utility's alone without losses and limits, and their sum."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from naive_prices import HEAD_EUR_PER_KWH, make_congested, make_sought, make_street, nodes_of

from cosim.errors import ConservationError
from cosim.prices.binding import name_limit
from cosim.prices.optimum import Optimum, Sought, find_optimum
from cosim.prices.parts import NodePrices, check_sum, find_node_prices


def _price(sought: Sought) -> NodePrices:
    optimum = find_optimum(sought)
    assert isinstance(optimum, Optimum)
    return find_node_prices(sought, optimum, nodes_of(sought))


@pytest.mark.slow
def test_without_losses_and_limits_all_prices_are_the_utilitys_exactly() -> None:
    feeder = make_street(3, 1, spacing_m=60.0)
    net = deepcopy(feeder.net)
    net.line["r_ohm_per_km"] = 0.0
    net.trafo[["vkr_percent", "pfe_kw", "i0_percent"]] = 0.0
    prices = _price(make_sought(replace(feeder, net=net, given=None), [5.0, 0.0, 9.0], [2.0, 8.0, 1.0]))
    assert (prices.price == round(HEAD_EUR_PER_KWH * 1e6)).all()
    assert not prices.loss.any()
    assert not prices.congestion.any()
    assert prices.limit.size == 0


@pytest.mark.slow
def test_losses_add_to_the_price_of_load_and_take_off_where_houses_feed_in() -> None:
    feeder = make_street(3, 1, spacing_m=60.0)
    evening = _price(make_sought(feeder, [0.0] * 3, [8.0] * 3))
    noon = _price(make_sought(feeder, [8.0] * 3, [0.0] * 3))
    assert evening.loss[0] == noon.loss[0] == 0  # the head
    assert (evening.loss[2:] > 0).all()
    assert (noon.loss[2:] < 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "binding"),
    [
        ("noon: highest voltage", {"max_vm_pu"}),
        ("evening: lowest voltage", {"min_vm_pu"}),
        ("noon: voltage and line", {"max_vm_pu", "max_loading_percent"}),
        ("evening: transformer", {"max_loading_percent"}),
    ],
)
def test_limits_that_bind_are_named(name: str, binding: set[str]) -> None:
    sought = make_congested()[name]
    prices = _price(sought)
    named = [name_limit(sought.engine.feeder, sought.limits, int(number)) for number in prices.limit]
    assert {limit.quantity for limit in named} == binding
    assert (prices.multiplier > 0.0).all()
    if name == "evening: transformer":
        assert [str(limit) for limit in named] == ["trafo transformer: loading 40 %"]


def test_parts_that_do_not_sum_to_the_whole_are_a_defect() -> None:
    check_sum(np.array([100, 200]), np.array([101.2, 199.0]))
    with pytest.raises(ConservationError, match="energy, loss and congestion"):
        check_sum(np.array([100, 200]), np.array([100.0, 203.0]))
    with pytest.raises(ConservationError):
        check_sum(np.array([100]), np.array([np.nan]))
