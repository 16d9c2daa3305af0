"""A market without a network that another program steps: the grid is another simulator's, and so is what it carries.

Everything is delivered as cleared, and nothing is recorded: a ledger states verdicts, which are not ours here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cosim.case.case import MarketCase, build_market
from cosim.case.charges import check_no_charges
from cosim.case.checks import check_no_envelopes
from cosim.case.given import GivenInputs
from cosim.case.head import check_no_head
from cosim.coupling.inputs import IntervalInputs, make_row, number_limits
from cosim.delivery.setpoints import injection_wh, mean_kw
from cosim.errors import ScenarioError
from cosim.interval.chunk import check_conserved
from cosim.interval.optimistic import settle_optimistically, slice_inputs
from cosim.scenario.model import Scenario
from grid_models.arrays import Floats
from market.exchanges import AUTOMATIC, STATED, SUBMISSION, SUBMISSION_KIND
from market.storage import Wh


class ClearedInterval(NamedTuple):
    """What a market without a network cleared; arrays are in the order of participants, (N,).

    Attributes
    ----------
    interval
        Its number.
    p_kw
        Mean power that each house injects at its bus; negative where it draws.
    price_ueur_per_kwh, utility_ueur_per_kwh
        Price of trades among the houses, and of the utility.
    bought_wh, sold_wh
        What each house bought from others and sold to them.
    """

    interval: int
    p_kw: Floats
    price_ueur_per_kwh: int
    utility_ueur_per_kwh: int
    bought_wh: Wh
    sold_wh: Wh


class SteppedMarket:
    """The market of a scenario, stepped from outside.

    Parameters
    ----------
    scenario
        Houses and market; of its network nothing is used.

    Raises
    ------
    ScenarioError, data.errors.DataError, market.errors.MarketError
        If an input cannot be used, or the scenario asks for what a market alone cannot do.
    """

    def __init__(self, scenario: Scenario) -> None:
        check_no_envelopes(scenario, "a market without a network")
        check_no_head(scenario, "a market without a network")
        check_no_charges(scenario, "a market without a network")
        if scenario.events or scenario.ledger.private:
            what = "events" if scenario.events else "ledger.private"
            raise ScenarioError(
                f"scenario '{scenario.name}', {what}: expected none for a market without a network, which has no "
                "outages and no ledger; leave it out, or couple the whole community"
            )
        self.case: MarketCase = build_market(scenario)
        self._given = GivenInputs(self.case.profiles)
        self._state, self.next_interval = self.case.opening, 0

    @property
    def is_over(self) -> bool:
        """Whether all intervals are cleared."""
        return self.next_interval >= self.case.n_intervals

    def run_interval(self, inputs: IntervalInputs) -> ClearedInterval:
        """Clear and settle the next interval.

        Raises
        ------
        ScenarioError
            If the market is over, or an input is none that it can be run with.
        """
        t, case = self.next_interval, self.case
        if self.is_over:
            raise ScenarioError(f"interval {t}: expected one of 0 to {t - 1}, the run is over")
        row, limits = make_row(case, self._given, t, inputs), number_limits(case, t, inputs)
        usual, made = self._given.profile(t), slice_inputs(case.inputs, t, t + 1)
        made = made._replace(
            load_wh=row.load_wh[None].copy(),
            pv_wh=made.pv_wh + row.pv_wh - usual.pv_wh,
            utility_ueur_per_kwh=np.array([row.price_ueur_per_kwh]),
        )
        if limits:
            rows = np.zeros((1, row.load_wh.size), SUBMISSION)
            for house, limit in limits.items():
                rows[0, house] = _make_limit(house, t, limit)
            made = made._replace(submissions=rows)
        window = check_conserved(settle_optimistically(case, self._state, t, 1, made), t)
        self._state, self.next_interval = window.state, t + 1
        return ClearedInterval(
            t,
            mean_kw(injection_wh(window.meters)[0], case.interval_minutes),
            int(window.price_ueur_per_kwh[0]),
            row.price_ueur_per_kwh,
            window.meters["bought_wh"][0].astype(np.int64),
            window.meters["sold_wh"][0].astype(np.int64),
        )


def _make_limit(house: int, interval: int, limit_ueur_per_kwh: int) -> Any:
    row = np.zeros(1, SUBMISSION)[0]
    row["kind"], row["status"], row["house"], row["net_wh"] = SUBMISSION_KIND, STATED, house, AUTOMATIC
    row["limit_ueur_per_kwh"], row["first"], row["last"] = limit_ueur_per_kwh, interval, interval
    return row
