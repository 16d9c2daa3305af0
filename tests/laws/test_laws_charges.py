"""Law of money with network charges: of every euro that changes hands both ends are known, to the nEUR."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import build_case
from cosim.interval.chunk import Chunk
from cosim.interval.fold import run_intervals
from market.charges import sum_charges
from market.exchanges import CONTRACT, GRID, OPERATOR, Kind

N = 4
STREET = Scenario().with_changes(
    horizon={"hours": 14, "start": "2017-05-31T12:00:00Z"},
    houses={"n_houses": N, "n_prosumers": 2, "production_ratio": 3.0},
    network={"n_branches": 1},
    limits={"max_vm_pu": 1.003},
    market={"feed_in": True},
    engine={"verify_sample": 0},
)
CHARGES = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(["UTC", "Europe/Vienna", "America/New_York"]),
        "energy_eur_per_kwh": st.floats(0.001, 1),
        "local_share": st.floats(0, 1),
        "power_eur_per_kw_month": st.floats(0, 20),
        "standing_eur_per_day": st.floats(0.01, 5),
        "losses": st.sampled_from(["operator", "pro_rata"]),
    }
)


def post(chunk: Chunk, has: dict[int, int]) -> None:
    """Post all exchanges of a chunk, then its charges: each from one party to others."""
    for row in chunk.window.rows[: chunk.window.offsets[-1]]:
        kind, amount, fee = int(row["kind"]), int(row["amount_neur"]), int(row["fee_neur"])
        has[CONTRACT if kind in (Kind.SHARE_USE, Kind.SHARE_STORE) else int(row["buyer"])] -= amount
        has[int(row["seller"])] += amount - fee
        has[CONTRACT] += fee
    assert chunk.charges is not None
    for row, neur in zip(chunk.charges.rows, sum_charges(chunk.charges.rows).tolist(), strict=True):
        has[int(row["house"])] -= neur
        has[OPERATOR] += neur


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(
    charges=CHARGES,
    mechanism=st.sampled_from(["trading_battery", "sharing_hybrid", "sharing_p2p", "sharing_selfish"]),
    compensation=st.sampled_from([0.0, 0.1]),
    seed=st.integers(1, 6),
)
def test_every_euro_of_charges_losses_compensation_and_fees_has_two_ends(
    charges: dict[str, object], mechanism: str, compensation: float, seed: int
) -> None:
    case = build_case(
        STREET.with_changes(
            seed=seed,
            charges=charges,
            market={"mechanism": mechanism},
            curtailment={"compensation_eur_per_kwh": compensation},
        )
    )
    opening, has, kinds = case.opening.wallet_neur, defaultdict[int, int](int), set[int]()
    for chunk in run_intervals(case, case.opening):
        post(chunk, has)
        kinds |= set(chunk.window.rows["kind"][: chunk.window.offsets[-1]].tolist())
        accounts = chunk.window.accounts[-1]
    houses = accounts[:N] + accounts[N : 2 * N] - opening
    assert houses.tolist() == [has[house] for house in range(N)]
    pools = accounts[2 * N : 2 * N + 3].tolist()
    assert pools == [has[party] for party in (GRID, CONTRACT, OPERATOR)]
    assert int(houses.sum()) + sum(pools) == 0
    assert {Kind.P2P, Kind.LOSS, *([Kind.COMPENSATION] if compensation else [])} <= kinds
