"""How evenly curtailment falls: what each house could deliver of what it sold, and Jain's index over the shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import is_named

CURTAILED_KINDS = ("p2p", "share_use", "share_store", "lot_sale", "grid_export")
"""Kinds of exchange that the network may curtail: their sellers lose what is not delivered."""


def jain_index(shares: npt.ArrayLike) -> float:
    """Jain's index of fairness, (Σx)² / (n·Σx²): 1 where all are equal, 1/n where one has everything.

    Parameters
    ----------
    shares
        One number >= 0 a house, (n,); 1.0 where there are none or all are zero.

    References
    ----------
    Jain, Chiu & Hawe (1984), A quantitative measure of fairness and discrimination for resource allocation in shared
    computer systems, DEC-TR-301.

    Examples
    --------
    >>> jain_index([1.0, 1.0, 1.0, 1.0]), jain_index([1.0, 0.0, 0.0, 0.0])
    (1.0, 0.25)
    """
    x = np.asarray(shares, dtype=np.float64)
    squares = float(x @ x)
    return float(x.sum() ** 2 / (x.size * squares)) if squares > 0.0 else 1.0


def make_curtailed_by_house_table(exchange_sums: pa.Table, rule: str = "") -> pa.Table:
    """What each house sold, delivered and was cut, kWh.

    A lot, energy that a house stored in another house's battery, counts for the house whose battery delivers it.

    Parameters
    ----------
    exchange_sums
        Exchanges of a run summed over time, of `cosim.results.sums.sum_exchanges`.
    rule
        Name of the rule that cut, copied into a column so that runs can be stacked.

    Returns
    -------
    pyarrow.Table
        Columns house, rule, cleared_kwh, delivered_kwh, curtailed_kwh, share, compensation_neur, ordered by house;
        houses that sold nothing are left out.
    """
    kind = exchange_sums["kind"]
    seller, host = (exchange_sums[name].cast(pa.string()) for name in ("seller", "host"))
    plain = pa.table(
        {
            "house": pc.if_else(is_named(kind, "lot_sale"), host, seller),
            "cleared": exchange_sums["cleared_wh"],
            "delivered": exchange_sums["delivered_wh"],
        }
    )
    sold = pc.and_(is_named(kind, *CURTAILED_KINDS), pc.greater(plain["cleared"], 0))
    total = (
        plain.filter(sold).group_by("house", use_threads=False).aggregate([("cleared", "sum"), ("delivered", "sum")])
    )
    total = total.sort_by("house")
    cleared, delivered = (total[f"{name}_sum"].to_numpy() / 1000.0 for name in ("cleared", "delivered"))
    return pa.table(
        {
            "house": total["house"],
            "rule": pa.array([rule] * len(total), pa.string()),
            "cleared_kwh": cleared,
            "delivered_kwh": delivered,
            "curtailed_kwh": cleared - delivered,
            "share": delivered / cleared,
            "compensation_neur": _compensation_neur(exchange_sums, total["house"].to_pylist()),
        }
    )


def _compensation_neur(exchange_sums: pa.Table, houses: list[str]) -> pa.Array:
    paid = exchange_sums.filter(is_named(exchange_sums["kind"], "compensation"))
    total = paid.group_by("seller", use_threads=False).aggregate([("amount_neur", "sum")])
    by_house = dict(zip(total["seller"].to_pylist(), total["amount_neur_sum"].to_pylist(), strict=True))
    return pa.array([by_house.get(house, 0) for house in houses], pa.int64())


def measure_fairness(houses: pa.Table) -> dict[str, Any]:
    """Jain's index over the houses' delivered shares, the smallest share, and who was cut most; JSON-ready.

    Parameters
    ----------
    houses
        As from `make_curtailed_by_house_table`.
    """
    share, cut = houses["share"].to_numpy(), houses["curtailed_kwh"].to_numpy()
    result: dict[str, Any] = {"jain_index": jain_index(share), "houses_that_sold": len(houses)}
    if cut.size and cut.max() > 0.0:
        most = int(np.argmax(cut))
        result["smallest_share"] = float(share.min())
        result["most_curtailed"] = {"house": houses["house"][most].as_py(), "curtailed_kwh": float(cut[most])}
    return result


def share_of_offered(houses: pa.Table, spilled_kwh: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """What each house delivered and what it offered, kWh, by its name; houses that offered nothing are left out.

    Parameters
    ----------
    houses
        As from `make_curtailed_by_house_table`.
    spilled_kwh
        What was taken off each house's offers before the market cleared them.
    """
    columns = (houses[name].to_pylist() for name in ("house", "delivered_kwh", "cleared_kwh"))
    found = {name: (delivered, cleared) for name, delivered, cleared in zip(*columns, strict=True)}
    for name, spilled in spilled_kwh.items():
        delivered, cleared = found.get(name, (0.0, 0.0))
        found[name] = delivered, cleared + spilled
    return {name: (delivered, offered) for name, (delivered, offered) in sorted(found.items()) if offered > 0.0}


def measure_offered(houses: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Jain's index, the lowest and the total of the shares that houses delivered of what they offered; shares in %.

    Examples
    --------
    >>> measure_offered({"a": (1.0, 2.0), "b": (3.0, 6.0)})
    {'offered_jain': 1.0, 'offered_lowest': 50.0, 'offered_total': 50.0}
    """
    shares = [delivered / offered for delivered, offered in houses.values()]
    delivered, offered = (sum(column) for column in zip(*houses.values(), strict=True)) if houses else (1.0, 1.0)
    return {
        "offered_jain": jain_index(shares),
        "offered_lowest": 100.0 * min(shares, default=1.0),
        "offered_total": 100.0 * delivered / offered,
    }
