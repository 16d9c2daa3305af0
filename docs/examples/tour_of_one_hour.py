"""Write docs/tour.md: one hour of the default scenario in which the wires say no, with that hour's numbers.

python docs/examples/tour_of_one_hour.py [FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.curtailment.search import Found, try_deliveries
from cosim.delivery.setpoints import injection_wh
from cosim.interval.fold import run_intervals
from cosim.interval.interval import IntervalResult, run_interval
from cosim.recording.blocks import make_block_records
from cosim.results.flexible import make_flexible_tables
from cosim.results.local_time import find_zone, show_time
from cosim.results.phases import make_phases_table
from cosim.results.tables import make_exchanges_table
from cosim.scenario.model import Scenario
from grid_models.powerflow.verdicts import Verdict, check_limits
from market.ledger.crypto.merkle import group_roots
from market.settlement import deliver_all
from market.state import State

TIME = "2017-06-14T13:00:00"
KINDS = ("p2p", "lot_sale", "share_use", "share_store", "grid_import", "grid_export")
WORST = 4
"""Violations that are listed."""


class Hour(NamedTuple):
    """Everything about the hour that the page tells."""

    case: Case
    number: int
    before: State
    result: IntervalResult
    as_cleared: Found
    exchanges: pd.DataFrame
    cars: pd.DataFrame
    pumps: pd.DataFrame


def reach_hour() -> Hour:
    """Run the default scenario up to the hour, and that hour step by step."""
    case = build_case(Scenario.load("default"))
    number = [str(time) for time in case.profiles.time].index(TIME)
    *_, last = run_intervals(case, case.opening, stop=number)
    _, result = run_interval(case, last.window.state, number)
    deliveries = [deliver_all(result.cleared, result.orders.need_wh.size)]
    as_cleared = try_deliveries(case, result.orders, result.before, deliveries).at(0)
    exchanges = make_exchanges_table(case, result.feasible.settlement.rows).to_pandas()
    devices = make_flexible_tables(case, result.final, with_outages=False)
    cars, pumps = devices["ev"].to_pandas(), devices["heat_pumps"].to_pandas()
    return Hour(case, number, last.window.state, result, as_cleared, exchanges, cars, pumps)


def list_kinds(hour: Hour) -> Iterable[str]:
    """A row for each kind of exchange as cleared: how many, how much, and the largest in words."""
    for kind in KINDS:
        chosen = hour.exchanges[hour.exchanges.kind == kind].sort_values("cleared_wh", ascending=False, kind="stable")
        largest = "none" if chosen.empty else say_exchange(chosen.iloc[0])
        yield f"| `{kind}` | {len(chosen)} | {chosen.cleared_wh.sum() / 1000:.3f} | {largest} |"


def say_exchange(row: Any) -> str:
    """An exchange as cleared in words."""
    amount = row.cleared_wh * row.price_ueur_per_kwh
    return f"{row.seller} to {row.buyer}, {row.cleared_wh:,} Wh × {row.price_ueur_per_kwh:,} µEUR/kWh = {amount:,} nEUR"


def list_violations(hour: Hour, verdict: Verdict) -> Iterable[str]:
    """A row for each of the worst violations: as cleared, as settled, and the limit."""
    conductors = hour.case.feeder.conductors("bus")
    settled = hour.result.feasible.flow.vm_pu[0].reshape(-1, len(conductors))
    for v in verdict.violations[:WORST]:
        then = settled[hour.case.feeder.net.bus.index.get_loc(v.element), conductors.index(v.phase)]
        yield f"| {v.name.removeprefix('bus ')} | {v.phase} | {v.value:.4f} | {then:.4f} | {v.limit:g} |"


def list_cuts(cut: pd.DataFrame, phases: pd.DataFrame) -> Iterable[str]:
    """A row for each exchange that was cut: whose, what, how much, at which phases."""
    for row in cut.itertuples():
        at = phases.loc[row.seller, "phase_pv"]
        lost = row.cleared_wh - row.delivered_wh
        yield f"| {row.seller} | `{row.kind}` | {row.cleared_wh:,} | {row.delivered_wh:,} | {lost:,} | {at} |"


def tell_orders(hour: Hour) -> str:
    """Sections on profiles and orders."""
    orders, cars, pumps = hour.result.orders, hour.cars, hour.pumps
    charging = cars[cars.given_wh > 0]
    surplus, deficit = int((orders.offer_wh > 0).sum()), int((orders.need_wh > 0).sum())
    asking, sharing = int(orders.requests.sum()), int(orders.asks_share.sum())
    return f"""## 1. Profiles and devices

The houses want {orders.load_wh.sum() / 1000:.3f} kWh and their panels give {orders.pv_wh.sum() / 1000:.3f} kWh. In what they want are
{charging.given_wh.sum() / 1000:.3f} kWh of cars ({len(charging)} of {len(cars)} charges, that of {", ".join(charging.house)}) and {pumps.given_wh.sum() / 1000:.3f} kWh of {len(pumps)} heat pumps. The
utility charges U = {orders.utility_ueur_per_kwh:,} µEUR/kWh and pays F = {orders.feed_in_ueur_per_kwh:,} for what is fed in.

## 2. Own balance, then orders

Each house first uses its own generation and battery: {orders.charge_wh.sum() / 1000:.3f} kWh go into batteries,
{orders.discharge_wh.sum() / 1000:.3f} kWh come out. {surplus} houses, the community among them, have something left to offer ({orders.offer_wh.sum() / 1000:.3f} kWh).
{deficit} still need {orders.need_wh.sum() / 1000:.3f} kWh: {asking} of them can pay for all of it and ask to trade, {sharing} cannot and ask for sharing.

The price of the hour is p = F + (U − F)·R/(R + O) = {orders.price_ueur_per_kwh:,} µEUR/kWh, with R = {asking} requests and O = {surplus}
offers.
"""


def tell_clearing(hour: Hour) -> str:
    """Sections on clearing and on the power flow of what was cleared."""
    meters, flow = hour.as_cleared.settlement.meters, hour.as_cleared.flow
    injected = injection_wh(meters[None, :])[0] / 1000
    table = "\n".join(list_kinds(hour))
    return f"""## 3. Clearing

| exchange | rows | kWh | the largest of them |
|---|---:|---:|---|
{table}

A stored share becomes a lot of the prosumer in the consumer's battery: it may be sold from there for 12 hours. Most of the sun is
wanted by nobody in the street, and goes to the grid.

## 4. Setpoints and power flow

What each house exchanges becomes its injection at the phases of its devices; the largest is {injected.max():.3f} kW, the smallest
{injected.min():.3f} kW. The AC solution: {np.nanmin(flow.vm_pu):.4f} to {np.nanmax(flow.vm_pu):.4f} pu, the transformer at {np.nanmax(flow.trafo_loading_percent):.1f} % in its most
loaded phase, {-flow.p_grid_kw[0]:.3f} kW to the grid, {flow.losses_kw[0]:.3f} kW of losses.
"""


def tell_verdict(hour: Hour) -> str:
    """Sections on what binds, on what is cut for it, and on the verdict then."""
    case, feasible = hour.case, hour.result.feasible
    verdict = check_limits(case.feeder, case.limits, hour.as_cleared.flow)
    then = check_limits(case.feeder, case.limits, feasible.flow)
    cut = hour.exchanges[hour.exchanges.status == "curtailed"]
    lost = cut.cleared_wh.sum() - cut.delivered_wh.sum()
    phases = make_phases_table(case).to_pandas().set_index("house")
    (reason, phase), element = cut.iloc[0][["reason", "phase"]], case.feeder.net.bus.name[cut.iloc[0].element]
    assert set(cut.kind) == {"grid_export"}  # so that all trades are whole, as the page says
    return f"""## 5. Verdict on what was cleared

`{verdict.status.name.lower()}`: {len(verdict.violations)} voltages are above their limit, in phase {", ".join(sorted({v.phase for v in verdict.violations}))}. The highest:

| place | phase | as cleared, pu | as settled, pu | limit, pu |
|---|---|---:|---:|---:|
{chr(10).join(list_violations(hour, verdict))}

## 6. What is cut, and whose

| house | exchange | cleared, Wh | delivered, Wh | cut, Wh | phases of its panels |
|---|---|---:|---:|---:|---|
{chr(10).join(list_cuts(cut, phases))}

The rule `{case.scenario.curtailment.rule}` looks for the smallest cut, {lost:,} Wh of {hour.exchanges.cleared_wh.sum():,} that were cleared: where a kWh less lowers the
voltage most. That is next to the place that binds, {element}, phase {phase} (`{reason}`). It took {feasible.power_flows} power flows: the one of section 4,
and one for each try. Trades, shares and the car are delivered in full.

## 7. Verdict on what settles

`{then.status.name.lower()}`; the tightest spot is {then.tightest}. The transformer carries {np.nanmax(feasible.flow.trafo_loading_percent):.1f} %, {-feasible.flow.p_grid_kw[0]:.3f} kW go to the grid.
"""


def tell_meter(m: Any) -> str:
    """Both sides of a house's meter, in Wh."""
    got = {"PV": m["pv_wh"], "discharged": m["discharge_wh"], "bought": m["bought_wh"], "imported": m["imported_wh"]}
    gave = {"load": m["load_wh"], "charged": m["charge_wh"], "sold": m["sold_wh"], "exported": m["exported_wh"]}
    gave["spilled"] = m["spilled_wh"]
    assert sum(got.values()) == sum(gave.values())
    return " = ".join(" + ".join(f"{wh:,} {word}" for word, wh in side.items() if wh) for side in (got, gave))


def tell_settlement(hour: Hour) -> str:
    """Section on settlement: the house that lost most, the one whose car charged, and the sums of money."""
    settlement, names = hour.result.feasible.settlement, hour.case.profiles.participants
    meters, after, before = settlement.meters, settlement.state, hour.before
    cut = hour.exchanges[hour.exchanges.status == "curtailed"]
    most = cut.loc[(cut.cleared_wh - cut.delivered_wh).idxmax()]
    driver = hour.cars.loc[hour.cars.given_wh.idxmax()]
    bought = hour.exchanges[(hour.exchanges.buyer == driver.house) & hour.exchanges.kind.isin(["p2p", "lot_sale"])]
    sellers = ", ".join(f"{row.seller} {row.delivered_wh:,}" for row in bought.sort_values("seq").itertuples())
    wallets, accounts = (
        int(getattr(after, f).sum() - getattr(before, f).sum()) for f in ("wallet_neur", "account_neur")
    )
    pools = int(after.pools_neur.sum() - before.pools_neur.sum())
    return f"""## 8. Settlement, with the cut

Only what was delivered is paid. {most.seller}, which lost most, in Wh: {tell_meter(meters[names.index(most.seller)])}. For its
{most.delivered_wh:,} Wh the utility pays {most.amount_neur:,} nEUR; for the {most.cleared_wh:,} Wh that were cleared it would have been {most.cleared_wh * most.price_ueur_per_kwh:,}.

{driver.house}, whose car takes {driver.given_wh:,} Wh, in Wh: {tell_meter(meters[names.index(driver.house)])}. It buys them at {hour.result.orders.price_ueur_per_kwh:,} µEUR/kWh from
its neighbours: {sellers} Wh. The utility would have charged {hour.result.orders.utility_ueur_per_kwh:,}.

Money, in nEUR: wallets change by {wallets:,}, utility accounts by {accounts:,}, utility, contract and operator by {pools:,}. The
sum is {wallets + accounts + pools}.
"""


def tell_ledger(hour: Hour) -> str:
    """Section on the block of the ledger."""
    final = hour.result.final
    records, _ = make_block_records(hour.case, final)
    root = bytes(group_roots(records, np.array([0, len(records)]))[0]).hex()
    window = final.window
    return f"""## 9. Ledger

The hour becomes block {hour.number + 1}: {window.rows.size} exchanges, spilled energy and losses among them, {window.meters.shape[1]} meters, {window.devices.shape[1]} cars and heat pumps, a
verdict and its phases: {len(records)} records of {records.shape[1]} bytes, under one RFC 6962 root, signed and linked to the block before. After `gridsettle run`
`gridsettle ledger show runs/default-001 {hour.number + 1}` prints them, with `record_root` {root[:16]}….
"""


def page() -> str:
    """The tour as Markdown."""
    hour = reach_hour()
    time = show_time(pd.Timestamp(TIME, tz="UTC"), find_zone(hour.case.scenario))
    houses = hour.case.scenario.houses
    start = f"""# A tour of one hour

The hour from {time} of the default scenario: {houses.n_houses} houses of a village street, {houses.n_prosumers} of them with panels, and their community.
The sun is high, and the wires cannot carry all that the market clears. It is the same hour that `gridsettle run` records. Every
number below is computed by `docs/examples/tour_of_one_hour.py`; a test compares this page with what it writes.
"""
    told = (tell_orders, tell_clearing, tell_verdict, tell_settlement, tell_ledger)
    return "\n".join([start, *(tell(hour) for tell in told)])


def write(target: Path) -> None:
    """Write the page."""
    target.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "tour.md")
