"""Windows: what they write of each interval."""

from __future__ import annotations

from cosim import Scenario, run


def test_the_price_of_an_interval_is_the_one_its_trades_were_made_at() -> None:
    """An auction makes a price of its own, between the bids and not by the pricing rule."""
    changes = {
        "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
        "market": {"mechanism": "double_auction"},
    }
    result = run(Scenario().with_changes(**changes))
    trades = result.exchanges[result.exchanges["kind"] == "p2p"]
    made = trades.groupby("time")["price_ueur_per_kwh"].agg(["min", "max"])
    told = result.intervals["price_ueur_per_kwh"].loc[made.index]
    assert len(made) > 3
    assert (made["min"] == told).all()
    assert (made["max"] == told).all()
