"""Section `[charges]` in integers: prices, days and months of its own calendar, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import build_market
from cosim.case.charges import check_areas, find_areas, make_terms, share_of_month
from cosim.coupling.market import SteppedMarket
from cosim.errors import ScenarioError
from cosim.studies.charges import MARKETS, list_charge_tasks
from cosim.studies.survival import list_survival_tasks
from market.exchanges import LossRule

PRIVATE = {"private": True, "operator_key": "operator.key", "member_keys": "keys"}
TIME = np.datetime64("2017-03-01T00:00", "s") + 3600 * np.arange(24 * 61)


def charged(**charges: object) -> Scenario:
    return Scenario().with_changes(charges=charges)


def test_nothing_is_charged_by_default_and_the_digest_is_as_before() -> None:
    assert make_terms(Scenario(), TIME, 60) is None
    assert charged(local_share=1.0, timezone="Europe/Vienna").digest() == Scenario().digest()
    assert charged(losses="pro_rata").digest() != Scenario().digest()


def test_prices_by_band_and_the_share_of_what_stays_below_the_transformer() -> None:
    bands = [{"price_eur_per_kwh": 0.04, "from_hour": 22, "to_hour": 6}, {"price_eur_per_kwh": 0.09}]
    terms = make_terms(charged(bands=bands, local_share=0.43, timezone="Europe/Vienna"), TIME, 60)
    assert terms is not None
    assert terms.grid_ueur_per_kwh[[0, 4, 5, 6]].tolist() == [40_000, 40_000, 90_000, 90_000]  # Vienna is UTC + 1
    assert terms.local_ueur_per_kwh[[0, 5]].tolist() == [17_200, 38_700]
    assert not terms.power_ueur_per_kw.any()
    assert terms.loss_rule == LossRule.OPERATOR


def test_a_whole_month_is_charged_exactly_and_begins_by_the_local_clock() -> None:
    terms = make_terms(
        charged(power_eur_per_kw_month=3.1, standing_eur_per_month=2.0, timezone="Europe/Vienna"), TIME, 60
    )
    assert terms is not None
    ends = np.flatnonzero(terms.ends)
    assert TIME[ends[0] + 1] == np.datetime64("2017-03-31T22:00")  # summer time since the 26th
    assert ends[-1] == TIME.size - 1
    march, april = slice(0, ends[0] + 1), slice(ends[0] + 1, ends[1] + 1)
    assert terms.standing_neur[april].sum() == 2_000_000_000
    assert terms.power_ueur_per_kw[april].sum() == 3_100_000
    assert terms.standing_neur[march].sum() == 2_000_000_000  # its first hour is missing, but none of its days
    assert np.count_nonzero(terms.standing_neur[march]) == 31
    assert terms.standing_neur[ends[1] + 1 :].sum() == 2_000_000_000 // 31


@given(st.integers(0, 10**13), st.integers(1, 12))
def test_days_of_a_month_sum_to_its_price(price: int, month: int) -> None:
    days = pd.date_range(f"2020-{month:02}-01", periods=pd.Timestamp(f"2020-{month:02}-01").days_in_month)
    shares = share_of_month(price, days)
    assert shares.sum() == price
    assert shares.max() - shares.min() <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"charges": {"losses": "marginal"}}, "'marginal': marginal losses are not charged yet; choose pro_rata"),
        (
            {"charges": {"energy_eur_per_kwh": 0.1, "bands": [{"price_eur_per_kwh": 0.1}]}},
            "beside charges.bands, got 0.1",
        ),
        ({"charges": {"losses": "pro_rata"}, "ledger": PRIVATE}, "expected none beside ledger.private = true"),
        ({"charges": {"timezone": "Europe/Vienna"}}, r"charges.timezone: .* without a price of \[charges\]"),
        ({"charges": {"losses": "pro_rata", "local_share": 0.4}}, "local_share: .* without charges.energy_eur_per_kwh"),
        ({"charges": {"energy_eur": 0.1}}, "energy_eur"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build_market(Scenario().with_changes(horizon={"hours": 2}, **changes))


class TwoAreas:
    """Two low-voltage buses below transformers of their own, of one medium-voltage bus."""

    def __init__(self) -> None:
        self.net = pp.create_empty_network()
        mv, *low = (pp.create_bus(self.net, kv) for kv in (20.0, 0.4, 0.4, 0.4))
        for bus in low[:2]:
            pp.create_transformer(self.net, mv, bus, "0.25 MVA 20/0.4 kV")
        pp.create_line(self.net, low[1], low[2], 0.1, "NAYY 4x50 SE")
        self.bus, self.participants = np.array(low), ("a", "b", "c")


def test_houses_below_two_transformers_are_not_local_to_one_another() -> None:
    feeder = TwoAreas()
    area = find_areas(feeder.net)
    assert area[1] != area[2] == area[3]
    check_areas(charged(energy_eur_per_kwh=0.1), feeder)
    with pytest.raises(ScenarioError, match="all houses below one transformer, got 'a' and 'b'"):
        check_areas(charged(energy_eur_per_kwh=0.1, local_share=0.4), feeder)


@pytest.mark.parametrize(
    ("what", "begin"),
    [
        ("a market without a network", SteppedMarket),
        ("study survival", lambda scenario: list_survival_tasks(scenario, 1, 1, 1)),
    ],
)
def test_what_knows_no_network_charges_refuses_them_by_name(what: str, begin: Callable[[Scenario], object]) -> None:
    scenario = Scenario().with_changes(charges={"energy_eur_per_kwh": 0.1})
    with pytest.raises(ScenarioError, match=f"charges: expected none for {what}, .* leave the section out"):
        begin(scenario)


def test_a_study_of_charges_needs_some() -> None:
    with pytest.raises(ScenarioError, match=r"expected a section \[charges\] with prices"):
        list_charge_tasks(Scenario(), 1)
    tasks = list_charge_tasks(Scenario().with_changes(charges={"losses": "pro_rata"}), 2)
    assert len(tasks) == 2 * len(MARKETS)
