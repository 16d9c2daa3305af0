"""Laws of a market between microgrids: energy and money of every house and deal close, whatever the networks carry."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cosim.case.case import Case, build_case
from cosim.curtailment.feasible import RULES
from cosim.scenario.model import Scenario
from cosim.studies.microgrid_tables import MicrogridResult
from cosim.studies.microgrids import run_microgrids

pytestmark = pytest.mark.slow  # whole studies

HOURS = 4


@lru_cache(maxsize=64)
def _feeder(
    name: str,
    seed: int,
    n_prosumers: int,
    ratio: float,
    spacing_m: int,
    limits: tuple[tuple[str, float], ...],
    feed_in: bool,
    rule: str,
) -> Case:
    return build_case(
        Scenario().with_changes(
            name=name,
            horizon={"hours": HOURS, "start": "2017-06-20T10:00:00Z"},
            engine={"verify_sample": 0},
            seed=seed,
            houses={"n_houses": 4, "n_prosumers": n_prosumers, "production_ratio": ratio},
            battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 2.0},
            market={"feed_in": feed_in},
            network={"n_branches": 2, "spacing_m": float(spacing_m)},
            limits=dict(limits),
            curtailment={"rule": rule},
        )
    )


def _feeders(name: str) -> st.SearchStrategy[Case]:
    limits = [
        (),
        (("max_vm_pu", 1.002),),
        (("max_vm_pu", 1.004),),
        (("min_vm_pu", 0.9985),),
        (("min_vm_pu", 1.001),),
        (("max_loading_percent", 2.0),),
        (("max_loading_percent", 4.0),),
    ]
    return st.builds(
        _feeder,
        st.just(name),
        st.integers(0, 3),
        st.integers(1, 4),
        st.sampled_from([0.2, 3.0]),
        st.sampled_from([40, 400]),
        st.sampled_from(limits),
        st.booleans(),
        st.sampled_from(sorted(RULES)),
    )


def _sunny(limits: tuple[tuple[str, float], ...], rule: str) -> Case:
    """Feeder that sells; with limits on the voltage it delivers a part of the deals."""
    return _feeder("north", 1, 3, 3.0, 400, limits, feed_in=True, rule=rule)


def _shady(limits: tuple[tuple[str, float], ...], rule: str) -> Case:
    """Feeder that buys; with limits on the voltage it sheds load."""
    return _feeder("south", 2, 1, 0.2, 400, limits, feed_in=False, rule=rule)


def _assert_houses_balance(result: MicrogridResult) -> None:
    h = result.houses
    into = h.pv_wh + h.fuel_cell_wh + h.discharge_wh + h.bought_wh + h.imported_wh
    out = h.load_wh - h.shed_wh + h.charge_wh + h.sold_wh + h.exported_wh + h.spilled_wh
    assert (into == out).all()
    assert (h.deal_in_wh <= h.imported_wh).all()
    assert (h.deal_out_wh <= h.exported_wh).all()


def _assert_deals_close(result: MicrogridResult) -> None:
    deals = result.deals
    assert (deals.delivered_wh <= deals.matched_wh).all()
    assert (deals.amount_neur == deals.delivered_wh * deals.price_ueur_per_kwh).all()
    for side, energy, money in (
        ("buyer", "deal_in_wh", "deal_paid_neur"),
        ("seller", "deal_out_wh", "deal_earned_neur"),
    ):
        houses = result.houses.groupby(["interval", "feeder"])[[energy, money]].sum()
        traded = deals.groupby(["interval", side])[["delivered_wh", "amount_neur"]].sum()
        expected = traded.reindex(houses.index, fill_value=0)
        assert np.array_equal(houses.to_numpy(), expected.to_numpy())


@settings(max_examples=20)
@given(north=_feeders("north"), south=_feeders("south"), capacity_kw=st.sampled_from([0.3, 2.0, 50.0]))
@example(_sunny((("max_vm_pu", 1.004),), "least_curtailment"), _shady((), "least_curtailment"), 50.0)
@example(_sunny((("max_vm_pu", 1.002),), "pro_rata"), _shady((("min_vm_pu", 0.9985),), "lifo"), 50.0)
@example(_sunny((), "least_curtailment"), _shady((("min_vm_pu", 0.9985),), "least_curtailment"), 50.0)
def test_every_house_and_every_deal_closes_in_every_interval(north: Case, south: Case, capacity_kw: float) -> None:
    result = run_microgrids([north, south], capacity_kw)
    _assert_houses_balance(result)
    _assert_deals_close(result)
    flows = result.feeders
    from_grid_wh = flows.imported_wh - flows.exported_wh + flows.losses_wh
    assert np.abs(1000.0 * flows.p_grid_kw - from_grid_wh).max() <= 1.0 + 1e-6
    assert (flows.groupby("interval").size() == 2).all()
    for way in ("seller", "buyer"):
        assert (result.deals.groupby(["interval", way]).delivered_wh.sum() <= 1000.0 * capacity_kw).all()
