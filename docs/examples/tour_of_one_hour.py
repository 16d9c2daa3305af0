"""Write docs/tour.md: one hour of the default scenario, with that hour's numbers.

python docs/examples/tour_of_one_hour.py [FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cosim.case.case import Case, build_case
from cosim.delivery.setpoints import injection_wh
from cosim.interval.interval import IntervalResult, run_interval
from cosim.results.tables import make_exchanges_table
from cosim.scenario.model import Scenario
from grid_models.powerflow.verdicts import check_limits
from market.state import State

HOUR = 209
DAYS = Scenario().with_changes(
    horizon={"start": "2017-06-10T00:00:00Z", "hours": 240}, houses={"wallet_eur": 5.0, "load_cos_phi": 1}
)


def until(case: Case, hour: int) -> tuple[State, IntervalResult]:
    """State before the hour, and everything the hour decided."""
    state = case.opening
    for t in range(hour):
        state, _ = run_interval(case, state, t)
    return state, run_interval(case, state, hour)[1]


def count(rows: np.ndarray, kind: str, case: Case) -> tuple[int, float]:
    """Number and kWh of a kind of exchange."""
    table = make_exchanges_table(case, rows).to_pandas()
    chosen = table[table.kind == kind]
    return len(chosen), chosen.delivered_wh.sum() / 1000


def example(rows: np.ndarray, kind: str, case: Case) -> str:
    """First exchange of a kind in words."""
    table = make_exchanges_table(case, rows).to_pandas()
    chosen = table[table.kind == kind]
    if chosen.empty:
        return "none"
    row = chosen.iloc[0]
    return (
        f"{row.seller} to {row.buyer}, {row.delivered_wh:,} Wh × {row.price_ueur_per_kwh:,} µEUR/kWh = "
        f"{row.amount_neur:,} nEUR"
    )


def page() -> str:
    """The tour as Markdown."""
    case = build_case(DAYS)
    before, result = until(case, HOUR)
    orders, feasible = result.orders, result.feasible
    rows, meters, flow = feasible.settlement.rows, feasible.settlement.meters, feasible.flow
    verdict = check_limits(case.feeder, case.limits, flow)
    kinds = ("p2p", "lot_sale", "share_use", "share_store", "grid_import", "spill")
    table = "\n".join(
        f"| `{kind}` | {count(rows, kind, case)[0]} | {count(rows, kind, case)[1]:.3f} | {example(rows, kind, case)} |"
        for kind in kinds
    )
    house = int(np.argmax(meters["sold_wh"]))
    m = meters[house]
    name = case.profiles.participants[house]
    wallets = feasible.settlement.state.wallet_neur.sum() - before.wallet_neur.sum()
    accounts = feasible.settlement.state.account_neur.sum() - before.account_neur.sum()
    pools = feasible.settlement.state.pools_neur.sum() - before.pools_neur.sum()
    surplus, deficit = int((orders.offer_wh > 0).sum()), int((orders.need_wh > 0).sum())
    return f"""# A tour of one hour

The hour from {case.profiles.time[HOUR]} UTC, with 25 houses, 12 of them with panels. Wallets held 5 EUR nine days
before, so that some have run dry and sharing has begun. Every number below is computed by
`docs/examples/tour_of_one_hour.py`; a test compares this page with what it writes.

## 1. Profiles

The houses use {orders.load_wh.sum() / 1000:.3f} kWh and their panels give {orders.pv_wh.sum() / 1000:.3f} kWh. The utility
charges U = {orders.utility_ueur_per_kwh:,} µEUR/kWh and would pay F = {orders.feed_in_ueur_per_kwh:,}.

## 2. Own balance, then orders

Each house first uses its own generation and battery: {orders.charge_wh.sum() / 1000:.3f} kWh go into batteries,
{orders.discharge_wh.sum() / 1000:.3f} kWh come out. {surplus} houses have something left to offer
({orders.offer_wh.sum() / 1000:.3f} kWh). {deficit} still need {orders.need_wh.sum() / 1000:.3f} kWh: {int(orders.requests.sum())}
of them can pay for all of it and ask to trade, {int(orders.asks_share.sum())} cannot and ask for sharing.

The price of the hour is p = F + (U − F)·R/(R + O) = {orders.price_ueur_per_kwh:,} µEUR/kWh, with R = {int(orders.requests.sum())}
requests and O = {surplus} offers.

## 3. Clearing

| exchange | rows | kWh | the first of them |
|---|---:|---:|---|
{table}

A stored share becomes a lot of the prosumer in the consumer's battery: it may be sold from there for 12 hours.

## 4. Setpoints and power flow

What each house exchanges becomes its injection; the largest is
{injection_wh(meters[None, :])[0].max() / 1000:.3f} kW, the smallest {injection_wh(meters[None, :])[0].min() / 1000:.3f} kW. The AC
solution: {np.nanmin(flow.vm_pu):.4f} to {np.nanmax(flow.vm_pu):.4f} pu, the transformer at
{flow.trafo_loading_percent[0, 0]:.1f} %, {flow.p_grid_kw[0]:.3f} kW from the grid, {flow.losses_kw[0]:.3f} kW of losses.

## 5. Verdict

`{verdict.status.name.lower()}`; the tightest spot is {verdict.tightest}. Had a limit been broken, exchanges would have been
curtailed here, and the power flow solved again, until everything that settles is clean.

## 6. Settlement

{name}, the busiest seller, in Wh: {m["pv_wh"]:,} PV + {m["discharge_wh"]:,} discharged + {m["bought_wh"]:,} bought +
{m["imported_wh"]:,} imported = {m["load_wh"]:,} load + {m["charge_wh"]:,} charged + {m["sold_wh"]:,} sold +
{m["exported_wh"]:,} exported + {m["spilled_wh"]:,} spilled. Both sides are
{m["pv_wh"] + m["discharge_wh"] + m["bought_wh"] + m["imported_wh"]:,} Wh.

Money, in nEUR: wallets change by {wallets:,}, utility accounts by {accounts:,}, utility, contract and operator by {pools:,}. The
sum is {wallets + accounts + pools}.

## 7. Ledger

The hour becomes block {HOUR + 1}: {rows.size} exchanges, one row of losses, {meters.size} meters and one verdict, 72 bytes each,
under one RFC 6962 root, signed and linked to the block before.
"""


def write(target: Path) -> None:
    """Write the page."""
    target.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "tour.md")
