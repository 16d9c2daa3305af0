"""The houses of the scenario `rural`, as many as are wanted, for contracts that hold a market."""

from __future__ import annotations

import numpy as np

from cosim.case.case import build_market
from cosim.delivery.window import InputSeries
from cosim.scenario.files import load_scenario
from market.rules import Rules
from market.state import State
from market.storage import Ratings

MECHANISMS = ("trading", "trading_battery", "sharing_central", "sharing_p2p")
"""What the contracts know."""
FIRST_OF_JULY, N_HOURS = 24 * 181, 48


def rural_market(name: str) -> tuple[InputSeries, State, Rules]:
    """The scenario `rural` by a mechanism: 25 houses and their community."""
    case = build_market(load_scenario("rural").with_changes(market={"mechanism": name}))
    return InputSeries(*case.inputs[:4]), case.opening, case.rules


def with_houses(supply: InputSeries, state: State, n: int) -> tuple[InputSeries, State]:
    """The first n houses, over and over; every third has hardly any money, so that there is sharing."""
    houses = np.arange(n) % (state.own_wh.size - 1)
    wallets = np.where(np.arange(n) % 3 == 0, 10**8, state.wallet_neur[houses])
    series = InputSeries(*(column[:, houses] for column in supply[:3]), supply.utility_ueur_per_kwh)
    ratings = Ratings(*(column[houses] for column in state.ratings))
    return series, state._replace(
        own_wh=state.own_wh[houses], wallet_neur=wallets, account_neur=state.account_neur[houses], ratings=ratings
    )
