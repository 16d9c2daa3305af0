"""What houses do by themselves loads the network where their devices are on different phases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosim.case.case import Case
from cosim.curtailment.feasible import Feasible, Outcome, make_feasible
from cosim.validation.trades import Trades, make_traded_interval
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.connection import A, B, make_connections
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.fill import FOUR_CORE, with_delta_star, with_zero_sequence
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement
from market.exchanges import Kind

NO_TRADES = Trades(*(np.zeros(0, np.int64) for _ in range(5)))


def _settle(load_wh: int, pv_wh: int, **limits: float) -> tuple[Case, Feasible]:
    """Two houses at the end of a street, loads on phase a, panels on phase b, nothing traded."""
    names = ("ann", "bob")
    feeder = make_radial_feeder(names, n_branches=1, spacing_m=200.0, rng=np.random.default_rng(0))
    feeder = with_zero_sequence(with_delta_star(feeder), FOUR_CORE)
    feeder = replace(feeder, connections=make_connections([A, A], pv=[B, B]), load_tan_phi=None)
    load, pv = np.full((1, 2), load_wh), np.full((1, 2), pv_wh)
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, names, load, pv, np.array([200_000]), {})
    case = make_case(feeder, profiles, "least_curtailment", {})
    case = replace(case, limits=Limits.from_feeder(feeder, **limits))
    interval = make_traded_interval(NO_TRADES, profiles, 0)
    return case, make_feasible(case, interval.orders, case.opening, interval.rows)


def test_own_use_across_phases_is_reduced_before_anything_is_switched_off() -> None:
    """Load and panels are alike, so that nothing is exchanged; the network sees 20 kW in on b and 20 kW out on a."""
    case, feasible = _settle(20_000, 20_000)
    assert feasible.before is not None
    assert feasible.verdicts.status[0] == Judgement.OK
    assert feasible.outcome in (Outcome.CURTAILED, Outcome.SHED)
    rows, meters = feasible.settlement.rows, feasible.settlement.meters
    assert rows["delivered_wh"][rows["kind"] == Kind.SPILL].sum() == meters["spilled_wh"].sum() > 0
    assert (meters["pv_wh"] - meters["spilled_wh"] > 0).any() or feasible.outcome == Outcome.SHED
    assert (feasible.flow.vuf_percent[0] <= case.limits.max_vuf_percent).all()


@pytest.mark.slow
def test_it_is_reduced_as_little_as_is_clean() -> None:
    spilled = [
        int(_settle(10_000, 10_000, max_vuf_percent=limit)[1].settlement.meters["spilled_wh"].sum())
        for limit in (0.2, 0.5, 1.0, 9.0)
    ]
    assert spilled == sorted(spilled, reverse=True)
    assert spilled[0] > spilled[-1] == 0


@pytest.mark.parametrize("wh", [20_000, 5_000])
def test_energy_balances_at_every_house(wh: int) -> None:
    m = _settle(wh, wh)[1].settlement.meters
    into = m["pv_wh"] + m["fuel_cell_wh"] + m["discharge_wh"] + m["bought_wh"] + m["imported_wh"]
    out = m["load_wh"] - m["shed_wh"] + m["charge_wh"] + m["sold_wh"] + m["exported_wh"] + m["spilled_wh"]
    assert (into == out).all()
