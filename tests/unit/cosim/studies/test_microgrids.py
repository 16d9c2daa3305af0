"""Market between microgrids: inside first, then between, bounded by capacity, seen at every transformer.

sunny (11 of 12 prosumers) ==== grid ==== shady (1 of 12 prosumers)
"""

from __future__ import annotations

import numpy as np
import pytest

from cosim.case.case import Case, build_case
from cosim.scenario.model import Scenario
from cosim.studies.microgrids import Deal, match_deals, run_microgrids


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
