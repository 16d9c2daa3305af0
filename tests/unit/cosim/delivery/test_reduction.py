"""What P(V) takes of a house's generation: the house alone feeds in less, and every Wh has a row and a reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosim.delivery.volt_watt import is_reduced, reduced_by_house_wh, with_reduction
from market.exchanges import EXCHANGE, GRID, NOBODY, Kind, Reason, Rows, Status
from market.orders import Orders
from market.settlement import Delivery

N = 4
BUS = np.array([10, 11, 12, 13])
ORDERS = cast(Orders, SimpleNamespace(interval=7, utility_ueur_per_kwh=300_000))
NOTHING = np.zeros(N, np.int64)


def make_rows(given_rows: list[tuple[int, int, int, int, bool]]) -> Rows:
    """Rows of (kind, seller, buyer, delivered, whether a limit has cut it)."""
    rows = np.zeros(len(given_rows), EXCHANGE)
    for k, (kind, seller, buyer, wh, cut) in enumerate(given_rows):
        to = GRID if kind == Kind.GRID_EXPORT else buyer
        rows[k]["kind"], rows[k]["seller"], rows[k]["buyer"], rows[k]["host"] = kind, seller, to, NOBODY
        rows[k]["cleared_wh"], rows[k]["delivered_wh"] = wh + 5 * cut, wh
        if cut:
            rows[k]["status"], rows[k]["reason"] = Status.CURTAILED, Reason.LINE_OVERLOAD
    return rows


def injected_wh(rows: Rows) -> Any:
    """What the exchanges mean for each house's injection, (N,), beside what it spills."""
    wh = np.zeros(N, np.int64)
    for row in rows:
        if row["kind"] in (Kind.P2P, Kind.SHARE_USE, Kind.GRID_EXPORT):
            wh[row["seller"]] += row["delivered_wh"]
        if row["kind"] in (Kind.P2P, Kind.SHARE_USE, Kind.GRID_IMPORT):
            wh[row["buyer"]] -= row["delivered_wh"]
    return wh


EXCHANGES = st.lists(
    st.tuples(
        st.sampled_from([Kind.GRID_EXPORT, Kind.P2P, Kind.SHARE_USE]),
        st.integers(0, 1),
        st.integers(2, 3),
        st.integers(0, 50),
        st.booleans(),
    ),
    max_size=8,
)


@given(given_rows=EXCHANGES, taken=st.lists(st.integers(0, 120), min_size=N, max_size=N))
def test_each_house_injects_less_by_what_it_lost_and_by_nothing_else(
    given_rows: list[tuple[int, int, int, int, bool]], taken: list[int]
) -> None:
    rows, reduced = make_rows(given_rows), np.array(taken)
    made = with_reduction(Delivery(rows, NOTHING, NOTHING), reduced, ORDERS, BUS).rows
    assert np.array_equal(injected_wh(rows) - injected_wh(made), reduced)
    assert np.array_equal(reduced_by_house_wh(made, N), reduced)
    assert (made["delivered_wh"] >= 0).all()
    kept = made[: rows.size]
    assert np.array_equal(kept["cleared_wh"], rows["cleared_wh"])
    # What a limit has cut keeps its reason; all else that is not as cleared has that of P(V).
    changed = (kept["delivered_wh"] < rows["delivered_wh"]) & (rows["status"] == Status.ACCEPTED)
    assert np.array_equal(is_reduced(kept), changed)
    assert is_reduced(made[rows.size :]).all()


def test_exports_go_first_and_the_last_trade_before_the_first() -> None:
    rows = make_rows([(Kind.P2P, 0, 2, 10, False), (Kind.P2P, 0, 3, 10, False), (Kind.GRID_EXPORT, 0, 0, 10, False)])
    made = with_reduction(Delivery(rows, NOTHING, NOTHING), np.array([13, 0, 0, 0]), ORDERS, BUS).rows
    assert made["delivered_wh"][:3].tolist() == [10, 7, 0]
    assert made["status"][:3].tolist() == [Status.ACCEPTED, Status.CURTAILED, Status.REJECTED]
    assert [(row["kind"], row["buyer"], row["delivered_wh"]) for row in made[3:]] == [
        (Kind.SPILL, NOBODY, 13),
        (Kind.GRID_IMPORT, 3, 3),
    ]
    assert made["element"][1:].tolist() == [10, 10, 10, 10]
