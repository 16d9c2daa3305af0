"""Fairness: shares by who physically delivers, and Jain's index over them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cosim.results.fairness import jain_index, make_curtailed_by_house_table, measure_fairness


def _exchanges(rows: list[tuple[str, str, str, int, int]], amount_neur: int = 0) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    names = ("kind", "seller", "host")
    table = {name: pa.array(columns[k]).dictionary_encode() for k, name in enumerate(names)}
    return pa.table(
        {
            **table,
            "cleared_wh": columns[3],
            "delivered_wh": columns[4],
            "amount_neur": [amount_neur] * len(rows),
        }
    )


ROWS = [
    ("p2p", "ann", "", 3000, 1500),
    ("grid_export", "ann", "", 1000, 500),
    ("p2p", "bob", "", 2000, 2000),
    ("lot_sale", "contract", "bob", 2000, 0),
    ("grid_import", "grid", "", 9000, 9500),
    ("spill", "ann", "", 0, 2000),
]


def test_a_house_counts_by_what_leaves_it() -> None:
    table = make_curtailed_by_house_table(_exchanges(ROWS), "lifo").to_pydict()
    assert table == {
        "house": ["ann", "bob"],
        "rule": ["lifo", "lifo"],
        "cleared_kwh": [4.0, 4.0],
        "delivered_kwh": [2.0, 2.0],
        "curtailed_kwh": [2.0, 2.0],
        "share": [0.5, 0.5],
        "compensation_neur": [0, 0],
    }
    assert measure_fairness(make_curtailed_by_house_table(_exchanges(ROWS)))["jain_index"] == 1.0


def test_compensation_stands_beside_what_was_cut() -> None:
    rows = [*ROWS, ("compensation", "ann", "", 2000, 2000)]
    assert make_curtailed_by_house_table(_exchanges(rows, 7)).to_pydict()["compensation_neur"] == [7, 0]


def test_uneven_cuts_lower_the_index() -> None:
    found = measure_fairness(
        make_curtailed_by_house_table(_exchanges([("p2p", "ann", "", 1000, 1000), ("p2p", "bob", "", 1000, 0)]))
    )
    assert found["jain_index"] == pytest.approx(0.5)
    assert found["smallest_share"] == 0.0
    assert found["most_curtailed"] == {"house": "bob", "curtailed_kwh": 1.0}


def test_nothing_sold_is_fair() -> None:
    assert measure_fairness(make_curtailed_by_house_table(_exchanges([("grid_import", "grid", "", 10, 10)]))) == {
        "jain_index": 1.0,
        "houses_that_sold": 0,
    }


def test_index_does_not_depend_on_scale() -> None:
    assert jain_index([0.2, 0.4, 0.6]) == pytest.approx(jain_index([1.0, 2.0, 3.0]))
