"""A market between microgrids: each feeder clears its own market first, then feeders trade what is left over.

Energy traded between feeders leaves one transformer and enters another. In each feeder's table it is a grid export or
a grid import at the price of the pair instead of the tariffs, and the utility passes the money on. The price of a pair
is the midpoint of the seller's feed-in tariff and the buyer's utility price. A capacity bounds the exchange of each
feeder, and its network judges its part: a buyer gets what the seller's network can deliver.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.case.case import Case
from cosim.curtailment.feasible import Feasible, make_feasible
from cosim.delivery.window import make_orders_at
from cosim.errors import ScenarioError
from cosim.results.directory import write_whole
from market.exchanges import EXCHANGE, GRID, NOBODY, Kind, Rows
from market.state import State

_LEFT_OVER = (Kind.SPILL, Kind.GRID_EXPORT)


class Deal(NamedTuple):
    """Energy that one feeder sells to another in an interval, at µEUR/kWh."""

    seller: int
    buyer: int
    wh: int
    price_ueur_per_kwh: int


def match_deals(
    surplus_wh: Sequence[int],
    need_wh: Sequence[int],
    feed_in: Sequence[int],
    utility: Sequence[int],
    capacity_wh: int,
) -> list[Deal]:
    """Match feeders' left-over surplus with left-over need, both in the order of the feeders.

    A feeder that sells in the interval does not buy; the grid covers its need. At most `capacity_wh` passes its
    transformer in either direction. Tariffs are in µEUR/kWh.

    Examples
    --------
    >>> match_deals([500, 0, 0], [0, 300, 900], [20, 20, 20], [60, 60, 60], 1000)
    [Deal(seller=0, buyer=1, wh=300, price_ueur_per_kwh=40), Deal(seller=0, buyer=2, wh=200, price_ueur_per_kwh=40)]
    """
    offered = [min(wh, capacity_wh) for wh in surplus_wh]
    wanted = [0 if offered[f] > 0 else min(wh, capacity_wh) for f, wh in enumerate(need_wh)]
    deals = []
    for seller, buyer in product(range(len(offered)), range(len(wanted))):
        wh = min(offered[seller], wanted[buyer])
        if wh > 0 and feed_in[seller] <= utility[buyer]:
            deals.append(Deal(seller, buyer, wh, (feed_in[seller] + utility[buyer]) // 2))
            offered[seller] -= wh
            wanted[buyer] -= wh
    return deals


def sum_left_over(rows: Rows) -> tuple[int, int]:
    """Energy that a feeder's clearing leaves to sell and to buy, Wh."""
    surplus = rows["cleared_wh"][np.isin(rows["kind"], [int(kind) for kind in _LEFT_OVER])]
    return int(surplus.sum()), int(rows["cleared_wh"][rows["kind"] == Kind.GRID_IMPORT].sum())


def with_deals(rows: Rows, deals: Sequence[Deal], *, selling: bool) -> Rows:
    """Rows in which deals replace left-over energy, taken from the rows in their order.

    Selling turns spill and export into export at the pair's price; buying turns import into import at that price.
    """
    kinds = _LEFT_OVER if selling else (Kind.GRID_IMPORT,)
    out = [row.copy() for row in rows]
    new = []
    for deal in deals:
        missing = deal.wh
        for row in out:
            wh = min(int(row["cleared_wh"]), missing) if row["kind"] in kinds else 0
            if wh == 0:
                continue
            row["cleared_wh"] -= wh
            missing -= wh
            sold = row.copy()
            sold["cleared_wh"], sold["price_ueur_per_kwh"], sold["host"] = wh, deal.price_ueur_per_kwh, NOBODY
            if selling:
                sold["kind"], sold["buyer"] = Kind.GRID_EXPORT, GRID
            new.append(sold)
    kept = [row for row in out if row["cleared_wh"] > 0]
    result = np.array([*kept, *new], dtype=EXCHANGE)
    result["delivered_wh"] = result["cleared_wh"]
    result["seq"] = np.arange(result.size)
    return result


class MicrogridInterval(NamedTuple):
    """One interval of all feeders: what each network admitted, and the deals as delivered."""

    feasible: list[Feasible]
    deals: list[Deal]


def run_step(cases: Sequence[Case], states: Sequence[State], t: int, capacity_kw: float) -> MicrogridInterval:
    """Clear interval `t` in each feeder, match what is left over, and let each network judge its part.

    Sellers are judged first: what a seller's network curtails of a deal, the buyer does not get.
    """
    prepared = [make_orders_at(case.inputs, t, t, state, case.rules) for case, state in zip(cases, states, strict=True)]
    cleared = [
        case.mechanism.clear(orders, before, case.rules).rows
        for case, (orders, before) in zip(cases, prepared, strict=True)
    ]
    surplus_wh, need_wh = zip(*map(sum_left_over, cleared), strict=True)
    capacity_wh = int(capacity_kw * 1000.0 * cases[0].interval_minutes / 60.0)
    deals = match_deals(
        surplus_wh,
        need_wh,
        [orders.feed_in_ueur_per_kwh for orders, _ in prepared],
        [orders.utility_ueur_per_kwh for orders, _ in prepared],
        capacity_wh,
    )
    judged: dict[int, Feasible] = {}
    delivered: list[Deal] = []
    for f in sorted({deal.seller for deal in deals}):
        mine = [deal for deal in deals if deal.seller == f]
        judged[f] = make_feasible(cases[f], *prepared[f], with_deals(cleared[f], mine, selling=True))
        delivered += _cut_deals(mine, judged[f])
    for f, case in enumerate(cases):
        if f not in judged:
            mine = [deal for deal in delivered if deal.buyer == f]
            judged[f] = make_feasible(case, *prepared[f], with_deals(cleared[f], mine, selling=False))
    return MicrogridInterval([judged[f] for f in range(len(cases))], delivered)


def _cut_deals(deals: Sequence[Deal], feasible: Feasible) -> list[Deal]:
    """Deals cut to what the seller's network delivered of the exports at their price, first deal first."""
    rows = feasible.settlement.rows
    exports = rows[rows["kind"] == Kind.GRID_EXPORT]
    result = []
    for price in dict.fromkeys(deal.price_ueur_per_kwh for deal in deals):
        available = int(exports["delivered_wh"][exports["price_ueur_per_kwh"] == price].sum())
        for deal in deals:
            if deal.price_ueur_per_kwh == price:
                wh = min(deal.wh, available)
                available -= wh
                if wh > 0:
                    result.append(deal._replace(wh=wh))
    return result


def check_alike(cases: Sequence[Case]) -> None:
    """Raise `ScenarioError` unless the feeders have different names and the same intervals."""
    names = [case.scenario.name for case in cases]
    if len(set(names)) < len(names):
        raise ScenarioError(f"microgrids: expected a name of its own for every scenario, got {', '.join(names)}")
    clocks = {(str(case.profiles.start), case.interval_minutes) for case in cases}
    if len(clocks) > 1:
        raise ScenarioError(
            f"microgrids: expected the same horizon.start and horizon.interval_minutes in all scenarios, got {clocks}"
        )


class MicrogridResult(NamedTuple):
    """Tables of a run of several feeders.

    Attributes
    ----------
    deals
        interval, seller, buyer, delivered_wh, price_ueur_per_kwh.
    feeders
        interval, feeder, p_grid_kw (from the grid at its transformer), imported, exported and spilled Wh, outcome.
    """

    deals: pd.DataFrame
    feeders: pd.DataFrame


def run_microgrids(cases: Sequence[Case], capacity_kw: float, n_intervals: int | None = None) -> MicrogridResult:
    """Run several feeders side by side with a market between them.

    Parameters
    ----------
    cases
        One case a feeder, all with intervals of the same begin and length.
    capacity_kw
        Largest exchange of a feeder with the others; 0 leaves each by itself.
    n_intervals
        Intervals to simulate; all that every feeder has if left out.
    """
    check_alike(cases)
    n = min(case.n_intervals for case in cases) if n_intervals is None else n_intervals
    states = [case.opening for case in cases]
    deals: list[dict[str, Any]] = []
    feeders: list[dict[str, Any]] = []
    for t in range(n):
        step = run_step(cases, states, t, capacity_kw)
        deals += [
            {
                "interval": t,
                "seller": cases[deal.seller].scenario.name,
                "buyer": cases[deal.buyer].scenario.name,
                "delivered_wh": deal.wh,
                "price_ueur_per_kwh": deal.price_ueur_per_kwh,
            }
            for deal in step.deals
        ]
        for case, found in zip(cases, step.feasible, strict=True):
            meters = found.settlement.meters
            feeders.append(
                {
                    "interval": t,
                    "feeder": case.scenario.name,
                    "p_grid_kw": float(found.flow.p_grid_kw[0]),
                    "imported_wh": int(meters["imported_wh"].sum()),
                    "exported_wh": int(meters["exported_wh"].sum()),
                    "spilled_wh": int(meters["spilled_wh"].sum()),
                    "outcome": found.outcome.name.lower(),
                }
            )
        states = [found.settlement.state for found in step.feasible]
    columns = ["interval", "seller", "buyer", "delivered_wh", "price_ueur_per_kwh"]
    return MicrogridResult(pd.DataFrame(deals, columns=columns), pd.DataFrame(feeders))


def write_microgrids(directory: Path, alone: MicrogridResult, together: MicrogridResult) -> str:
    """Write deals and feeders as CSV; returns a table of each feeder by itself and with the market between them."""
    write_whole(directory / "deals.csv", together.deals.to_csv(index=False))
    for name, result in (("alone", alone), ("together", together)):
        write_whole(directory / f"feeders_{name}.csv", result.feeders.to_csv(index=False))
    columns = ["imported_wh", "exported_wh", "spilled_wh"]
    parts = [
        (result.feeders.groupby("feeder")[columns].sum() / 1000.0).rename(
            columns={column: f"{column.removesuffix('_wh')} {label}, kWh" for column in columns}
        )
        for label, result in (("alone", alone), ("together", together))
    ]
    table = pd.concat(parts, axis=1)
    traded = together.deals.delivered_wh.sum() / 1000.0
    return f"{table.to_string(float_format='{:,.1f}'.format)}\n\ntraded between feeders: {traded:,.1f} kWh"
