"""Facts of a ledger: the verifier and its naive twin, written from docs/ledger-format.md §8a, agree on every lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import naive_ledger
import numpy as np
import pytest
from dishonest import Books, put_together, take_apart

from cosim import Scenario, run
from market.exchanges import EXCHANGE, ORDER
from market.ledger.check.verify import verify_ledger
from market.rules import Rules

pytestmark = pytest.mark.slow  # whole ledgers, verified twice

GRID_OUT = {"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 5, "grid": True}
DAY = Scenario().with_changes(
    horizon={"hours": 20, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3, "production_ratio": 2.0, "wallet_eur": 0.15},
    market={"feed_in": True},
    ledger={"facts": True},
    engine={"verify_sample": 0},
)
MARKETS: dict[str, dict[str, Any]] = {
    "requests and offers": {},
    "mid-market": {"market": {"pricing": "mid_market", "mechanism": "trading"}},
    "supply-demand ratio": {"market": {"pricing": "supply_demand_ratio", "mechanism": "sharing_selfish"}},
    "fixed": {"market": {"pricing": "fixed", "fixed_price_eur_per_kwh": 0.05, "mechanism": "trading_battery"}},
    "auction": {"market": {"mechanism": "double_auction"}},
    "contract": {"market": {"mechanism": "sharing_central"}},
    "hybrid": {"market": {"mechanism": "sharing_hybrid"}},
    "none": {"market": {"mechanism": "none"}},
    "island": {"events": [GRID_OUT], "community": {"enabled": True}, "market": {"mechanism": "sharing_hybrid"}},
    "island with an auction": {"events": [GRID_OUT], "market": {"mechanism": "double_auction"}},
    "signed": {"ledger": {"members_sign": True}},
    "curtailed": {
        "limits": {"max_vm_pu": 1.002},
        "market": {"mechanism": "sharing_central"},
        "curtailment": {"compensation_eur_per_kwh": 0.05},
    },
}


def both(directory: Path) -> str:
    """What is wrong, empty if nothing; both verifiers name the same block."""
    report, naive = verify_ledger(directory), naive_ledger.first_fault(directory)
    assert report.ok == (naive is None), (report, naive)
    assert naive is None or report.height == naive[0], (report, naive)
    return report.reason


@pytest.fixture(scope="module", params=MARKETS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("facts") / "run"
    run(DAY.with_changes(**MARKETS[request.param]), directory)
    return directory


def test_both_accept_what_a_run_records(recorded: Path) -> None:
    assert both(recorded) == ""


def forge(layout: np.dtype[Any], which: str, rng: np.random.Generator) -> Callable[[Books], str]:
    """Change a random field of a random record; returns what was done."""
    numbers = [name for name in layout.names or () if name not in ("kind", "interval", "seq", "reserved")]

    def tell(books: Books) -> str:
        t, name = int(rng.integers(len(books.pages))), str(rng.choice(numbers))
        rows = getattr(books.pages[t], which)
        k, add = int(rng.integers(rows.size)), int(rng.choice([-1, 1, 7, 1000]))
        rows[name][k] = (int(rows[name][k]) + add) % 100 if name in ("status", "reason") else rows[name][k] + add
        return f"{which} {k} of interval {t}, {name} {add:+d}"

    return tell


@pytest.mark.parametrize("seed", range(25))
def test_both_find_the_same_block_whatever_is_changed(seed: int, recorded: Path, tmp_path: Path) -> None:
    """One field of an order or of an exchange, with hashes, signatures and state roots made right again."""
    rng = np.random.default_rng(seed)
    books = take_apart(recorded)
    layout, which = [(ORDER, "orders"), (EXCHANGE, "exchanges")][seed % 2]
    forge(layout, which, rng)(books)
    both(put_together(books, recorded, tmp_path / "run"))


def test_every_field_of_an_order_that_no_audit_needs_is_checked(recorded: Path, tmp_path: Path) -> None:
    """What a battery could still do, and which houses are connected, depends on what only an audit looks at."""
    left = ("charge_left_wh", "discharge_left_wh", "part")
    for k, name in enumerate(ORDER.names or ()):
        if name not in ("kind", "interval", "seq", "reserved", *left):
            books = take_apart(recorded)
            books.pages[3].orders[name][1] += 1
            assert both(put_together(books, recorded, tmp_path / f"run{k}")), name


@pytest.mark.parametrize("name", ["feed_in_denominator", "fee_permille", "pricing", "beta_permille", "arrival"])
def test_both_refuse_rules_beyond_their_range(name: str, tmp_path: Path) -> None:
    run(DAY, tmp_path / "honest")
    for k, value in enumerate((-1, 0 if name == "feed_in_denominator" else 10**7)):
        books = take_apart(tmp_path / "honest")
        books.set_parameter(name, value)
        assert "the first block: rules, " in both(put_together(books, tmp_path / "honest", tmp_path / f"run{k}"))


def test_orders_are_all_there_or_none(tmp_path: Path) -> None:
    run(DAY, tmp_path / "honest")
    books = take_apart(tmp_path / "honest")
    books.pages[4].orders = books.pages[4].orders[:-1]
    assert "expected 5 meters and 5 orders, found 5 and 4" in both(
        put_together(books, tmp_path / "honest", tmp_path / "short")
    )
    books = take_apart(tmp_path / "honest")
    books.set_parameter("facts", 0)
    assert "expected 5 meters and 0 orders" in both(put_together(books, tmp_path / "honest", tmp_path / "without"))


def test_no_rule_is_left_out_of_the_first_block(tmp_path: Path) -> None:
    run(DAY.with_changes(market={"feed_in_eur_per_kwh": 0.08}), tmp_path / "run")
    books = take_apart(tmp_path / "run")
    names = {bytes(row["name"]).rstrip(b"\0").decode() for row in books.parameters}
    renamed = {"mechanism": "mechanism_code", "records_orders": "facts", "selfish_beta_permille": "selfish_permille"}
    renamed |= {"fixed_price_ueur_per_kwh": "fixed_price", "feed_in_ueur_per_kwh": "feed_in_fixed"}
    assert {renamed.get(name, name) for name in Rules._fields} <= names
    assert {"compensation", "limits_sha256", "curtailment", "rules_sha256", "min_vm_upu", "max_vm_upu"} <= names
