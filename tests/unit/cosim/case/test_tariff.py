"""Tariffs: the utility price by hours, days and months, a fixed feed-in tariff, and what an audit makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_ledger import first_fault

from cosim import Scenario, ScenarioError, run, verify_ledger
from cosim.audit.audit import audit_ledger
from cosim.audit.recorded import OpenedBlock
from cosim.audit.rerun import rerun_ledger
from cosim.audit.tariff import find_wrong_prices
from cosim.case.case import build_market
from cosim.case.tariff import LAYOUT
from cosim.scenario.files import format_toml, parse_scenario
from data.errors import DataError
from data.tariffs import Band, find_bands, make_hours
from market.ledger.format.records import ORDER, RecordKind, read_parameters, view_as_bytes
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

PEAK = {"price_eur_per_kwh": 0.3712, "from_hour": 10, "to_hour": 14, "days": ["mon", "tue", "wed", "thu", "fri"]}
NIGHT = {"price_eur_per_kwh": 0.1, "from_hour": 22, "to_hour": 6, "months": [6]}
REST: dict[str, Any] = {"price_eur_per_kwh": 0.2}
TARIFF = {"timezone": "Europe/Madrid", "bands": [PEAK, NIGHT, REST]}
DAYS = Scenario().with_changes(
    horizon={"start": "2017-06-02T00:00:00Z", "hours": 48},
    houses={"n_houses": 5, "n_prosumers": 3},
    tariff=TARIFF,
    ledger={"facts": True},
)


def test_each_interval_has_the_price_of_the_first_band_that_fits() -> None:
    prices = build_market(DAYS).profiles.price_ueur_per_kwh
    assert prices[[0, 3, 4, 7, 8, 11, 12, 20]].tolist() == [
        100_000,
        100_000,
        200_000,
        200_000,
        371_200,
        371_200,
        200_000,
        100_000,
    ]
    assert prices[32] == 200_000, "a Saturday has no peak"
    assert set(
        build_market(DAYS.with_changes(horizon={"start": "2017-07-01T00:00:00Z"})).profiles.price_ueur_per_kwh.tolist()
    ) == {200_000}


@given(
    start=st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1)),
    begin=st.integers(0, 23),
    end=st.integers(1, 24),
    days=st.integers(0, 127),
    months=st.integers(0, 4095),
    zone=st.sampled_from(["UTC", "Europe/Madrid", "America/New_York", "Asia/Kolkata"]),
)
def test_bands_are_those_of_the_clock(start: datetime, begin: int, end: int, days: int, months: int, zone: str) -> None:
    times = [start.replace(minute=0, second=0, microsecond=0, tzinfo=UTC) + timedelta(hours=13 * k) for k in range(20)]
    found = find_bands(
        np.array([t.replace(tzinfo=None) for t in times], "datetime64[s]"),
        [Band(1, make_hours(begin, end), days, months)],
        zone,
    )
    for k, time in enumerate(times):
        local = time.astimezone(ZoneInfo(zone))
        inside = begin <= local.hour < end if begin < end else local.hour >= begin or local.hour < end
        assert (found[k] == 0) == (
            inside and bool(days >> local.weekday() & 1) and bool(months >> (local.month - 1) & 1)
        )


@pytest.mark.slow
def test_an_audit_computes_the_price_of_each_interval(tmp_path: Path) -> None:
    result = run(DAYS, tmp_path / "run")
    assert [band["intervals"] for band in result.summary["tariff"]["bands"]] == [4, 16, 28]
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "run").ok
    with Store.open_to_read(tmp_path / "run") as store:
        parameters = read_parameters(decode_records(store.block(0).records))
    assert parameters["tariff_zone"].rstrip(b"\0") == b"Europe/Madrid"
    assert LAYOUT.unpack(parameters["tariff.0"][: LAYOUT.size]) == (371_200, 0b1111 << 10, 31, 4095)
    assert LAYOUT.unpack(parameters["tariff.1"][: LAYOUT.size]) == (100_000, make_hours(22, 6), 127, 1 << 5)


def test_a_lie_about_a_price_is_found() -> None:
    orders = np.zeros(2, ORDER)
    orders["kind"], orders["utility_ueur_per_kwh"] = RecordKind.ORDER, [100_000, 100_001]
    start = int(datetime(2017, 6, 2, tzinfo=UTC).timestamp())
    block = OpenedBlock(1, 0, start, view_as_bytes(orders))
    assert find_wrong_prices(DAYS, block) == [
        "utility price of orders: expected 100000 µEUR/kWh as in the tariff, recorded 100001"
    ]
    orders["utility_ueur_per_kwh"] = 100_000
    assert find_wrong_prices(DAYS, block._replace(records=view_as_bytes(orders))) == []
    assert find_wrong_prices(Scenario(), block) == []


@pytest.mark.slow
def test_a_fixed_feed_in_tariff_is_never_above_the_utility_price(tmp_path: Path) -> None:
    fixed = DAYS.with_changes(market={"feed_in_eur_per_kwh": 0.15, "feed_in": True, "mechanism": "none"})
    table = run(fixed, tmp_path / "run").table("exchanges").to_pandas()
    export = table[table["kind"] == "grid_export"]
    prices = dict(
        zip(
            build_market(fixed).profiles.time.tolist(),
            build_market(fixed).profiles.price_ueur_per_kwh.tolist(),
            strict=True,
        )
    )
    assert len(export) > 0
    for time, price in zip(export["time"], export["price_ueur_per_kwh"], strict=True):
        assert price == min(150_000, prices[time.to_pydatetime().replace(tzinfo=None)])
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "run").ok
    assert verify_ledger(tmp_path / "run").ok
    assert first_fault(tmp_path / "run") is None


def test_tariffs_are_in_the_scenario_and_its_digest_where_they_are_used() -> None:
    assert parse_scenario(format_toml(DAYS), "text") == DAYS
    assert DAYS.digest() != DAYS.with_changes(tariff={"bands": [REST]}).digest()
    fixed = Scenario().with_changes(market={"feed_in_eur_per_kwh": 0.0})
    assert fixed.digest() != Scenario().digest()


BAD = {
    "gap": ({"bands": [PEAK]}, {}, "tariff.bands: expected a band for every interval, got none at 2017-06-02T00:00:00"),
    "clock": ({"timezone": "Madrid"}, {}, "tariff.timezone: expected a name like Europe/Madrid"),
    "no time": ({"bands": [{**REST, "from_hour": 5, "to_hour": 5}]}, {}, "to_hour: expected another hour"),
    "hour": ({"bands": [{**REST, "to_hour": 25}]}, {}, "to_hour: expected less than or equal to 24, got 25"),
    "day": ({"bands": [{**REST, "days": ["monday"]}]}, {}, "expected 'mon', 'tue'"),
    "month": ({"bands": [{**REST, "months": [13]}]}, {}, "expected less than or equal to 12, got 13"),
    "price": ({"bands": [{"price_eur_per_kwh": -0.1}]}, {}, "expected greater than or equal to 0, got -0.1"),
    "two prices": (
        {},
        {"profiles": {"price_eur_per_kwh": 0.3}},
        "price_eur_per_kwh: expected none beside tariff.bands",
    ),
    "idle clock": ({"bands": []}, {}, "tariff.timezone: expected its default UTC since it has no effect"),
    "two tariffs": (
        {},
        {"market": {"feed_in_eur_per_kwh": 0.1, "feed_in_ratio": 0.2}},
        "market.feed_in_ratio: expected its default",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_tariff_that_cannot_be_is_refused(name: str) -> None:
    tariff, others, message = BAD[name]
    with pytest.raises((ScenarioError, DataError), match=message):
        build_market(DAYS.with_changes(tariff=tariff, **others))
