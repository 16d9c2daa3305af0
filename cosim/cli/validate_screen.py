"""What validation and hosting capacity show on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from cosim.validation.hosting import Hosting
    from cosim.validation.validate import Validation

MOST_ROWS = 40
"""Trades shown on the terminal; those that were not accepted come first."""

STYLES = {"accepted": "", "curtailed": "yellow", "rejected": "red"}


def show_validation(found: Validation, out: Path | None = None, file: Any = None) -> None:
    """Print every trade's answer, up to 40 of them, and the extremes before and after."""
    console = Console(file=file or sys.stdout)
    trades = found.trades.assign(touched=found.trades["status"] != "accepted")
    shown = trades.sort_values("touched", ascending=False, kind="stable").head(MOST_ROWS)
    table = Table(title="gridsettle: trades judged by AC power flow", title_justify="left")
    for name in ("row", "time (UTC)", "seller", "buyer"):
        table.add_column(name, no_wrap=name == "time (UTC)")
    for name in ("kWh", "delivered"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    for row, trade in shown.sort_index().iterrows():
        table.add_row(
            str(row),
            f"{trade['time']:%Y-%m-%d %H:%M}",
            trade["seller"],
            trade["buyer"],
            f"{trade['energy_wh'] / 1000:.3f}",
            f"{trade['delivered_wh'] / 1000:.3f}",
            f"[{STYLES[trade['status']]}]{trade['status']}[/]" if trade["touched"] else trade["status"],
        )
    console.print(table)
    for row, trade in shown[shown["touched"]].sort_index().iterrows():
        console.print(
            f"row {row} {trade['status']}: {because(trade)}", soft_wrap=True, highlight=False, markup=False
        )
    if len(trades) > len(shown):
        console.print(f"… and {len(trades) - len(shown):,} more")
    for line in _lines(found):
        console.print(line, soft_wrap=True, highlight=False)
    if out is not None:
        console.print(f"tables in {out}", soft_wrap=True)


def because(trade: pd.Series[Any]) -> str:
    """The binding limit in words, empty for an accepted trade."""
    if trade["status"] == "accepted":
        return ""
    if not trade["element_type"]:
        return str(trade["reason"]).replace("_", " ")
    unit, digits = ("pu", 4) if trade["quantity"] == "vm_pu" else ("%", 1)
    kind, name = trade["element_type"], str(trade["element_name"] or trade["element"])
    label = name if name.lower().startswith(kind) else f"{kind} {name}"
    reason = str(trade["reason"]).replace("_", " ")
    return f"{reason}, {label} at {trade['value']:.{digits}f} {unit}, limit {trade['limit']:g} {unit}"


def _lines(found: Validation) -> list[str]:
    summary, voltage, loading = found.summary, found.bus_voltage, found.branch_loading
    counts, energy = summary["trades"], summary["energy_kwh"]
    lines = [
        f"{counts['accepted']} accepted, {counts['curtailed']} curtailed, {counts['rejected']} rejected by "
        f"{summary['rule']}; {energy['delivered']:.3f} of {energy['traded']:.3f} kWh delivered",
        f"voltages {_range(voltage['before_vm_pu'], 4)} pu before, {_range(voltage['after_vm_pu'], 4)} pu after",
        f"highest loading {loading['before_loading_percent'].max():.1f} % before, "
        f"{loading['after_loading_percent'].max():.1f} % after",
    ]
    off = summary["intervals"]["de_energised"]
    if off:
        lines.append(f"{off} intervals could not be made clean: nothing of them is delivered")
    return lines + [f"note: {note}" for note in summary["network"]["notes"]]


def _range(values: pd.Series[Any], digits: int) -> str:
    return f"{values.min():.{digits}f} … {values.max():.{digits}f}"


def show_hosting(capacity: Hosting, name: str, file: Any = None) -> None:
    """Print how much PV the feeder holds, at every house alike and at each by itself."""
    console = Console(file=file or sys.stdout)
    table = Table(title=f"gridsettle: hosting capacity of '{name}'", title_justify="left")
    for heading in ("house", "bus"):
        table.add_column(heading)
    table.add_column("largest PV, kW", justify="right")
    table.add_column("bound by")
    for _, row in capacity.houses.iterrows():
        table.add_row(row["house"], row["bus"], f"{row['largest_kw']:,.1f}", row["bound_by"])
    console.print(table)
    console.print(
        f"all PV scaled alike: {capacity.scaling:.3f} times as much as now, bound by {capacity.bound_by}; "
        f"{capacity.n_intervals} intervals kept clean",
        soft_wrap=True,
        highlight=False,
    )
