"""What the commands `gridsettle community …` print."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cosim.cli.errors import make_printable
from market.exchanges import NEUR_PER_EUR

if TYPE_CHECKING:
    from cosim.community.sharing import Sharing

LAWS = {
    "spain": "RD 244/2019",
    "austria": "§ 79 EAG, § 16e ElWOG 2010",
    "italy": "D.Lgs. 199/2021",
    "france": "art. D. 315-4 and D. 315-6 Code de l'énergie",
}


def format_eur(amount_neur: int | Fraction) -> str:
    """Money in EUR to the cent, half a cent to the even one.

    Examples
    --------
    >>> format_eur(1_234_565_000_000), format_eur(-5_000_000)
    ('1,234.56', '0.00')
    """
    exact = Fraction(amount_neur)
    cents = round(exact * 100 / NEUR_PER_EUR)
    return f"{Decimal(cents) / 100:,.2f}"


def tell_settlement(summary: Mapping[str, Any], out: Path) -> None:
    """Print energies of each part and balances of each party."""
    community = make_printable(summary["community"])
    typer.echo(
        f"{community} by {LAWS[summary['law']]}: {summary['n_members']:,} members, "
        f"{summary['n_periods']:,} periods of {summary['period_minutes']} minutes"
    )
    if summary["houses_outside"]:
        typer.echo(f"{summary['houses_outside']:,} houses of the run are no members and not settled.")
    for name, energy in summary["energy_wh"].items():
        shown = ", ".join(f"{key.removesuffix('_wh')} {wh / 1000:,.3f}" for key, wh in energy.items())
        typer.echo(make_printable(f"{name}, kWh: {shown}"))
    for party, balance in summary["balances_neur"].items():
        typer.echo(make_printable(f"  {party:<24} {format_eur(balance):>14} EUR"))
    typer.echo(f"All balances sum to {sum(summary['balances_neur'].values())} nEUR.")
    if unpaid := summary["surplus_value_not_paid_neur"]:
        typer.echo(f"Surplus worth {format_eur(unpaid)} EUR is not paid: it is above the month's energy bill.")
    for line in summary.get("left_out", ()):
        typer.echo(f"Left out: {line}.")
    typer.echo(f"wrote {make_printable(str(out))}")


def tell_sharing(found: Sharing, out: Path | None) -> None:
    """Print each member's share, and whether all are in the core."""
    typer.echo(f"{found.rule}: {format_eur(found.worth_neur)} EUR among {len(found.names)} members")
    for k, (name, share) in enumerate(zip(found.names, found.shares, strict=True)):
        width = f" ± {format_eur(round(found.half_width_neur[k]))}" if found.half_width_neur else ""
        typer.echo(make_printable(f"  {name:<24} {format_eur(share):>14}{width} EUR"))
    if found.half_width_neur:
        typer.echo(
            f"From {found.n_orders:,} orders; each interval by itself holds with {100 * found.confidence:g} % "
            "confidence. Whether the shares are in the core is not known from a sample."
        )
    elif found.blocking:
        names = ", ".join(found.blocking)
        typer.echo(
            make_printable(f"Not in the core: {names} would have {format_eur(found.excess_neur)} EUR more alone.")
        )
    else:
        typer.echo("In the core: no coalition would do better alone.")
    if out is not None:
        typer.echo(f"wrote {make_printable(str(out))}")
