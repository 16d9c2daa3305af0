"""What is carried from one interval to the next, and what changes at the begin of an interval."""

from __future__ import annotations

import numpy as np
from market_scenes import batteries

from market.exchanges import CONTRACT
from market.state import Lots, State, begin_interval, flatten_accounts, hosted_wh, make_opening_state


def a_state() -> State:
    """Three houses; house 2 hosts a lot of house 0 (until 5) and one of the contract (until 7), house 1 one of 0."""
    state = make_opening_state([100, 200, 300], [10, 20, 30], batteries(1000, 1000, 1000))
    lots = Lots(
        np.array([4, 6, 7]),
        np.array([0, 0, CONTRACT]),
        np.array([2, 1, 2]),
        np.array([50, 60, 70]),
        np.array([5, 6, 7]),
    )
    return state._replace(lots=lots, pools_neur=np.array([1, 2, 3]))


def test_opening_state_owes_nothing_and_hosts_nothing() -> None:
    state = make_opening_state([100, 0], [7, 8], batteries(1000, 1000))
    assert state.wallet_neur.tolist() == [7, 8]
    assert state.account_neur.tolist() == [0, 0]
    assert state.pools_neur.tolist() == [0, 0, 0]
    assert state.lots.lot.size == 0
    assert state.tally.tolist() == [0, 0, 0]


def test_hosted_energy_is_summed_by_host() -> None:
    assert hosted_wh(a_state().lots, 3).tolist() == [0, 60, 120]


def test_lot_lives_until_the_interval_before_its_expiry() -> None:
    assert begin_interval(a_state(), 4).lots.lot.tolist() == [4, 6, 7]
    assert begin_interval(a_state(), 5).lots.lot.tolist() == [6, 7]


def test_lot_that_falls_due_becomes_its_hosts_own() -> None:
    after = begin_interval(a_state(), 6)
    assert after.own_wh.tolist() == [100, 260, 350]
    assert after.lots.lot.tolist() == [7]


def test_lots_overdue_fall_due_too() -> None:
    after = begin_interval(a_state(), 100)
    assert after.own_wh.tolist() == [100, 260, 420]
    assert after.lots.lot.size == 0


def test_state_of_charge_is_the_same_before_and_after() -> None:
    before, after = a_state(), begin_interval(a_state(), 6)
    assert (before.own_wh + hosted_wh(before.lots, 3) == after.own_wh + hosted_wh(after.lots, 3)).all()


def test_self_discharge_takes_of_the_hosts_own_energy_only_rounded_down() -> None:
    state = a_state()
    leaky = state._replace(ratings=state.ratings._replace(self_discharge_ppm=np.array([0, 10_000, 9_999])))
    after = begin_interval(leaky, 0)
    assert after.own_wh.tolist() == [100, 198, 298]
    assert hosted_wh(after.lots, 3).tolist() == [0, 60, 120]


def test_state_before_is_never_changed() -> None:
    state = a_state()
    begin_interval(state, 100)
    assert state.own_wh.tolist() == [100, 200, 300]
    assert state.lots.stored_wh.tolist() == [50, 60, 70]


def test_account_table_holds_all_that_a_block_commits_to() -> None:
    assert flatten_accounts(a_state()).tolist() == [10, 20, 30, 0, 0, 0, 1, 2, 3, 100, 200, 300, 0, 60, 120]
