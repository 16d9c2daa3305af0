"""Compensation: who pays, for what, and that every account still adds up, on the ledger too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.interval.fold import run_intervals
from market.exchanges import OPERATOR, Kind
from market.ledger.check.verify import verify_ledger
from market.state import POOL_OPERATOR

PRICE_UEUR = 70_000


def _scenario(**curtailment: object) -> Scenario:
    return Scenario().with_changes(
        horizon={"hours": 24, "start": "2017-06-20T00:00:00Z"},
        houses={"n_houses": 6, "n_prosumers": 5, "production_ratio": 3.0},
        battery={"capacity_kwh_min": 1.0, "capacity_kwh_max": 4.0},
        market={"feed_in": True},
        network={"n_branches": 1, "spacing_m": 400.0},
        limits={"max_vm_pu": 1.02},
        curtailment=curtailment,
    )


@pytest.mark.parametrize("rule", ["least_curtailment", "pro_rata"])
def test_the_operator_pays_for_what_curtailment_spills_and_for_nothing_else(rule: str) -> None:
    case = build_case(_scenario(rule=rule, compensation_eur_per_kwh=0.07))
    paid, losses, last = 0, 0, None
    for chunk in run_intervals(case, case.opening):
        rows = chunk.window.rows
        compensation, spill = rows[rows["kind"] == Kind.COMPENSATION], rows[rows["kind"] == Kind.SPILL]
        lost = np.maximum(spill["delivered_wh"] - spill["cleared_wh"], 0)
        assert compensation["delivered_wh"].sum() == lost.sum()
        assert (compensation["buyer"] == OPERATOR).all()
        assert (compensation["amount_neur"] == compensation["delivered_wh"] * PRICE_UEUR).all()
        paid += int(compensation["amount_neur"].sum())
        losses += int(rows[rows["kind"] == Kind.LOSS]["amount_neur"].sum())
        last = chunk.window.state
    assert paid > 0
    assert last is not None
    assert last.pools_neur[POOL_OPERATOR] == -(paid + losses)
    opened = case.opening.wallet_neur.sum()
    assert last.wallet_neur.sum() + last.account_neur.sum() + last.pools_neur.sum() == opened


def test_compensation_changes_money_and_no_energy_and_is_zero_unless_asked_for() -> None:
    without, paid = run(_scenario()), run(_scenario(compensation_eur_per_kwh=0.07))
    assert without.summary["money_eur"]["compensation"] == 0
    assert paid.summary["energy_kwh"] == without.summary["energy_kwh"]
    by_house = paid.curtailed_by_house
    assert by_house["compensation_neur"].sum() == round(paid.summary["money_eur"]["compensation"] * 1e9)
    assert set(by_house["rule"]) == {"least_curtailment"}
    money = [column for column in paid.houses if column.endswith("_neur")]
    energies = paid.houses.drop(columns=money)
    assert energies.equals(without.houses.drop(columns=money))
    assert paid.houses["account_neur"].sum() > without.houses["account_neur"].sum()


def test_a_ledger_with_compensation_verifies_and_its_table_is_written(tmp_path: Path) -> None:
    result = run(_scenario(compensation_eur_per_kwh=0.07), tmp_path / "run")
    assert verify_ledger(tmp_path / "run").ok
    assert result.table("curtailed_by_house").column("compensation_neur").to_numpy().sum() > 0
