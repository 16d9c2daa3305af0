"""Market between microgrids: inside first, then between, bounded by capacity, seen at every transformer.

sunny (11 of 12 prosumers) ==== grid ==== shady (1 of 12 prosumers)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosim.case.case import Case, build_case
from cosim.curtailment.feasible import make_feasible
from cosim.delivery.window import make_orders_at
from cosim.errors import ConservationError
from cosim.scenario.model import Scenario
from cosim.studies.deals import Deal, check_deals, match_deals, with_deals
from cosim.studies.microgrids import run_microgrids
from grid_models.powerflow.verdicts import Judgement, judge
from market.exchanges import EXCHANGE, GRID, NOBODY, Kind, Rows

pytestmark = pytest.mark.slow  # pairs of feeders, run together


def _feeder(name: str, n_prosumers: int, **changes: dict[str, object]) -> Case:
    return build_case(
        Scenario().with_changes(
            name=name,
            horizon={"hours": 18, "start": "2017-06-20T00:00:00Z"},
            engine={"verify_sample": 0},
            houses={"n_houses": 12, "n_prosumers": n_prosumers, "production_ratio": "as_drawn"},
            **changes,
        )
    )


@pytest.fixture(scope="module")
def feeders() -> list[Case]:
    return [_feeder("sunny", 11), _feeder("shady", 1)]


def test_a_feeder_that_sells_does_not_buy_and_capacity_bounds_both() -> None:
    deals = match_deals([900, 0], [400, 700], [20, 20], [60, 60], 500)
    assert deals == [Deal(0, 1, 500, 40)]
    assert match_deals([0, 0], [400, 700], [20, 20], [60, 60], 500) == []


def test_exchange_replaces_spill_and_grid_energy_and_is_seen_at_the_transformers(feeders: list[Case]) -> None:
    alone = run_microgrids(feeders, 0.0)
    together = run_microgrids(feeders, 1000.0)
    assert alone.deals.empty
    sold = together.deals.delivered_wh.sum()
    assert sold > 0
    assert set(together.deals.seller) == {"sunny"}
    before, after = (result.feeders.groupby("feeder").sum(numeric_only=True) for result in (alone, together))
    assert before.spilled_wh["sunny"] - after.spilled_wh["sunny"] == sold
    assert after.exported_wh["sunny"] == sold
    assert after.imported_wh["shady"] == before.imported_wh["shady"]
    flows = together.feeders.set_index(["interval", "feeder"]).p_grid_kw.unstack()
    hours = together.deals.groupby("interval").delivered_wh.sum()
    busiest = int(hours.idxmax())
    assert flows["sunny"][busiest] < 0 < flows["shady"][busiest]


def test_capacity_is_never_passed(feeders: list[Case]) -> None:
    result = run_microgrids(feeders, 5.0)
    assert result.deals.groupby(["interval", "seller"]).delivered_wh.sum().max() <= 5000
    assert result.deals.groupby(["interval", "buyer"]).delivered_wh.sum().max() <= 5000


def test_a_curtailed_seller_delivers_less_and_the_buyer_gets_less() -> None:
    free = [_feeder("sunny", 11), _feeder("shady", 1)]
    tight = [_feeder("sunny", 11, limits={"max_vm_pu": 1.004}), free[1]]
    sold = run_microgrids(free, 1000.0, 16).deals.delivered_wh.sum()
    curtailed = run_microgrids(tight, 1000.0, 16)
    assert 0 < curtailed.deals.delivered_wh.sum() < sold
    assert "curtailed" in set(curtailed.feeders.outcome)
    by_interval = curtailed.feeders.pivot(index="interval", columns="feeder", values="exported_wh")
    deals = curtailed.deals.groupby("interval").delivered_wh.sum().reindex(by_interval.index, fill_value=0)
    assert np.array_equal(by_interval["sunny"], deals)


def _two_branches(name: str, load_wh: list[int], pv_wh: list[int], **changes: dict[str, object]) -> Case:
    """Houses a and b, each on a cable of its own behind one transformer, in three equal hours."""
    scenario = Scenario().with_changes(
        name=name,
        horizon={"hours": 3, "start": "2017-06-01T10:00:00Z"},
        houses={"n_houses": 2, "n_prosumers": 1},
        network={"n_branches": 2, **changes.pop("network", {})},
        battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        community={"enabled": False},
        market={"mechanism": "trading", "feed_in": True},
        **changes,
    )
    case = build_case(scenario)
    profiles = replace(
        case.profiles,
        load_wh=np.tile(np.array(load_wh), (3, 1)),
        pv_wh=np.tile(np.array(pv_wh), (3, 1)),
        price_ueur_per_kwh=np.full(3, 300_000),
    )
    inputs = case.inputs._replace(
        load_wh=profiles.load_wh, pv_wh=profiles.pv_wh, utility_ueur_per_kwh=profiles.price_ueur_per_kwh
    )
    return replace(case, profiles=profiles, inputs=inputs)


def _with_weak_cable(case: Case, house: int, percent: float) -> Case:
    """Case in which the service cable of a house may be loaded only so far."""
    allowed = case.limits.max_line_loading_percent.copy()
    allowed[(case.feeder.net.line.to_bus == case.feeder.bus[house]).to_numpy()] = percent
    return replace(case, limits=replace(case.limits, max_line_loading_percent=allowed))


def test_an_import_beside_a_deal_is_counted_once_where_the_buying_feeder_is_not_clean() -> None:
    """a's cable cannot carry what it sells to b, who then imports more, beside 20 kWh of a deal."""
    selling = _two_branches("selling", [0, 10_000], [60_000, 0])
    buying = _with_weak_cable(_two_branches("buying", [0, 60_000], [30_000, 0]), house=0, percent=10.0)
    alone, together = (run_microgrids([selling, buying], kw) for kw in (0.0, 20.0))
    before, after = (result.feeders.set_index(["feeder", "interval"]).loc["buying"] for result in (alone, together))
    assert set(after.outcome) == {"curtailed"}
    assert (after.imported_wh == before.imported_wh).all()
    assert (after.p_grid_kw == before.p_grid_kw).all()
    assert (together.deals.delivered_wh == 20_000).all()
    buyer = together.houses[(together.houses.feeder == "buying") & (together.houses.load_wh > 0)]
    assert (buyer.imported_wh + buyer.bought_wh == 60_000).all()
    assert (buyer.deal_in_wh == 20_000).all()


def test_a_deal_is_no_more_than_what_a_buyer_who_is_shed_gets() -> None:
    selling = _two_branches("selling", [0, 10_000], [60_000, 0])
    buying = _two_branches("buying", [0, 80_000], [0, 0], limits={"min_vm_pu": 0.99})
    result = run_microgrids([selling, buying], 50.0)
    feeders = result.feeders.set_index(["feeder", "interval"])
    assert set(feeders.loc["buying"].outcome) == {"shed"}
    got = feeders.loc["buying"].imported_wh
    assert 0 < got.max() < 50_000
    deals = result.deals.set_index("interval")
    assert (deals.matched_wh == 50_000).all()
    assert (deals.delivered_wh == got).all()
    assert (deals.amount_neur == got * deals.price_ueur_per_kwh).all()
    sold = result.houses[result.houses.feeder == "selling"].groupby("interval")[["deal_out_wh", "exported_wh"]].sum()
    assert (sold.deal_out_wh == got).all()
    assert (sold.exported_wh == 50_000).all()  # the rest at the feed-in tariff


def test_deals_that_do_not_agree_on_both_sides_are_a_defect() -> None:
    rows = with_deals(_imports(70), [Deal(0, 1, 50, 40)], 1)
    with pytest.raises(ConservationError, match="deal 0: delivered_wh is 50 of the deal but 0 at the seller's"):
        check_deals([Deal(0, 1, 50, 40)], [rows[:0], rows], 3)


def _imports(wh: int) -> Rows:
    rows = np.zeros(1, EXCHANGE)
    rows["kind"], rows["seller"], rows["cleared_wh"], rows["lot"] = Kind.GRID_IMPORT, GRID, wh, NOBODY
    return rows


def test_a_congested_seller_exports_less_at_the_feed_in_tariff_before_a_deal_is_cut() -> None:
    selling = _with_weak_cable(_two_branches("selling", [0, 1_000], [60_000, 0]), house=0, percent=30.0)
    buying = _two_branches("buying", [0, 20_000], [0, 0])
    result = run_microgrids([selling, buying], 50.0)
    feeders = result.feeders.set_index(["feeder", "interval"]).loc["selling"]
    assert set(feeders.outcome) == {"curtailed"}
    assert (result.deals.delivered_wh == 20_000).all()
    assert (feeders.exported_wh > 20_000).all()


@pytest.mark.parametrize("band", [0.006, 0.012])
def test_a_congested_seller_loses_the_least_money_that_any_cut_of_its_houses_loses(band: float) -> None:
    """Three prices on one cable, against all cuts of two houses in steps of 1 % of what they sell."""
    case = _two_branches("selling", [0, 0], [30_000, 30_000], network={"n_branches": 1, "spacing_m": 200.0})
    case = replace(case, limits=replace(case.limits, max_vm_pu=1.0 + band + 0 * case.limits.max_vm_pu))
    rows = np.zeros(4, EXCHANGE)
    rows["kind"], rows["seller"], rows["buyer"] = Kind.GRID_EXPORT, [0, 0, 1, 1], GRID
    rows["cleared_wh"] = rows["delivered_wh"] = [10_000, 20_000, 15_000, 15_000]
    for name in ("host", "element", "lot"):
        rows[name] = NOBODY
    orders, before = make_orders_at(case.inputs, 0, 0, case.opening, case.rules)
    lost = np.array([300, 100, 200, 100])
    found = make_feasible(case, orders, before, rows, lost_ueur_per_kwh=lost)
    settled = found.settlement.rows[:4]
    cost = float(lost @ (settled["cleared_wh"] - settled["delivered_wh"]))
    cuts = np.stack(np.meshgrid(*[np.linspace(0.0, 30.0, 101)] * 2), axis=-1).reshape(-1, 2)
    flow = case.engine.solve(30.0 - cuts)
    clean = judge(flow, case.limits).status == Judgement.OK
    of_0 = 100 * np.minimum(cuts[:, 0], 20.0) + 300 * np.maximum(cuts[:, 0] - 20.0, 0.0)
    of_1 = 100 * np.minimum(cuts[:, 1], 15.0) + 200 * np.maximum(cuts[:, 1] - 15.0, 0.0)
    least = 1000.0 * float((of_0 + of_1)[clean].min())
    assert 0.0 < cost <= least * 1.002
    assert cost >= least * 0.97  # the search is no finer than its steps
