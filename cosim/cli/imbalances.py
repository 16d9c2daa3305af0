"""The commands `gridsettle imbalance …`: what meters say beside what a run committed to, settled and checked again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.cli import community_answers as answers
from cosim.cli import progress
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail, make_printable
from cosim.cli.options import Directory, SummaryAsJson
from cosim.community import files
from cosim.imbalances import settled
from cosim.results import folders
from market import exchanges, imbalances

Meters = Annotated[Path, typer.Argument(metavar="METERS", help="Table of what houses used and generated: profiles.")]
Price = Annotated[str, typer.Option("--price", help="One price of imbalances, EUR/kWh.")]
Short = Annotated[str, typer.Option("--short-price", help="Paid for energy that a house is short of, EUR/kWh.")]
Long = Annotated[str, typer.Option("--long-price", help="Paid to a house for energy it is long of, EUR/kWh.")]
Zone = Annotated[str, typer.Option(help="Clock of times without an offset.")]
DayFirst = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="What comes first in dates like 03/04/2017, if none decides."),
]

imbalance_app = typer.Typer(
    help="What meters say beside what a run committed to: judged, settled, checked again.", no_args_is_help=True
)


@imbalance_app.command("settle")
def settle(
    directory: Directory,
    meters: Meters,
    out: Annotated[Path, typer.Option(help="Folder for tables and settlement.json, new or empty.")],
    price: Price = "",
    short_price: Short = "",
    long_price: Long = "",
    timezone: Zone = "UTC",
    day_first: DayFirst = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Settle what meters say beside what a run, made on forecasts, committed its houses to.

    The ledger is verified first, and the network judges what meters say. Deviations are settled with the utility.
    """
    with progress.tell_compiling(), bad_input_ends():
        prices = read_prices(price, short_price, long_price)
        folders.check_empty(out)
        found = settled.settle_run(directory, meters, prices, settled.Clock(timezone, day_first))
        files.write_settlement(found, out)
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        tell_imbalances(found, out)


@imbalance_app.command("check")
def check(
    settlement: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that settle wrote.")],
    directory: Directory,
    meters: Meters,
    price: Price = "",
    short_price: Short = "",
    long_price: Long = "",
    timezone: Zone = "UTC",
    day_first: DayFirst = None,
) -> None:
    """Settle again from ledger and meters and compare every file exactly; exit code 1 names what differs."""
    with progress.tell_compiling(), bad_input_ends():
        prices = read_prices(price, short_price, long_price)
        again = settled.settle_run(directory, meters, prices, settled.Clock(timezone, day_first))
        different = files.find_difference(settlement, again)
    if different is not None:
        typer.echo(f"{settlement}: NOT WHAT LEDGER AND METERS GIVE: {different}")
        raise typer.Exit(ANSWER_IS_NO)
    typer.echo(f"{settlement}: ok, every file is what these meters and the ledger with its head give")


def read_prices(price: str, short_price: str, long_price: str) -> imbalances.ImbalancePrices:
    """Prices of the options: one for both, or one for each."""
    if bool(price) == bool(short_price or long_price) or bool(short_price) != bool(long_price):
        fail("prices: expected --price, or --short-price with --long-price; give one of the two")
    short, long = (price, price) if price else (short_price, long_price)
    return imbalances.ImbalancePrices(_read_price(short), _read_price(long))


def _read_price(text: str) -> int:
    """A price in whole µEUR/kWh."""
    try:
        exact = Decimal(text) * exchanges.UEUR_PER_EUR
        if exact.is_finite() and abs(exact) < 10**12 and exact == int(exact):
            return int(exact)
    except ArithmeticError:
        pass
    return fail(f"price: expected EUR/kWh with at most six decimals, such as 0.25, got {text}; correct it")


def tell_imbalances(found: files.Settled, out: Path) -> None:
    """Print forecast errors, the second verdict and what each party gets."""
    summary: Mapping[str, Any] = found.summary
    typer.echo(
        f"{summary['n_houses']:,} houses, {summary['n_intervals']:,} intervals of {summary['interval_minutes']} minutes"
    )
    total = found.tables["errors"].to_pylist()[-1]
    for what in ("load", "pv"):
        mae, rmse, bias = (total[f"{what}_{name}_kwh"] for name in ("mae", "rmse", "bias"))
        typer.echo(f"Forecast of all {what}: MAE {mae:,.3f}, RMSE {rmse:,.3f}, bias {bias:+,.3f} kWh an interval")
    typer.echo(f"Short {summary['short_wh'] / 1000:,.3f} kWh, long {summary['long_wh'] / 1000:,.3f} kWh")
    said = summary["verdicts"]
    typer.echo(
        f"What meters say is within limits in {said['ok']:,} intervals, beyond them in {said['violated']:,}, "
        f"without a solution in {said['not_solved']:,}."
    )
    for party, balance in summary["balances_neur"].items():
        typer.echo(make_printable(f"  {party:<24} {answers.format_eur(balance):>14} EUR"))
    typer.echo(f"All balances sum to {sum(summary['balances_neur'].values())} nEUR.")
    typer.echo(f"wrote {make_printable(str(out))}")
