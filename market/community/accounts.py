"""Money of a community: postings from one party to another, and balances that sum to zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from market.community.energies import Part, find_imbalance
from market.errors import MarketError
from market.exchanges import Ints

SUPPLIER = "supplier"
"""All suppliers, who sell what members lack and buy their surplus."""
INCENTIVE_PAYER = "gse"
"""Gestore dei Servizi Energetici, who pays the incentives of Italy's communities."""
POOL = "community:"
"""What the name of a community's own account begins with."""
RESERVED = (SUPPLIER, INCENTIVE_PAYER)


class Prices(NamedTuple):
    """Prices of energy, µEUR/kWh: what suppliers take, what they give for surplus, what members pay one another."""

    retail_ueur_per_kwh: int
    surplus_ueur_per_kwh: int
    community_ueur_per_kwh: int = 0


class Posting(NamedTuple):
    """Money that one party owes another for a month: Wh x µEUR/kWh = nEUR, never rounded but where shares are."""

    month: int
    payer: str
    payee: str
    purpose: str
    energy_wh: int
    amount_neur: int


class Settlement(NamedTuple):
    """What a law makes of a community: its parts, who owes whom, and value that the law leaves unpaid, nEUR."""

    parts: tuple[Part, ...]
    postings: tuple[Posting, ...]
    unpaid_neur: int = 0


def post_months(
    months: Ints,
    energies_wh: Ints,
    price_ueur_per_kwh: int,
    names: Sequence[str],
    other: str,
    purpose: str,
    *,
    to_members: bool,
) -> list[Posting]:
    """Postings of members' monthly energies, (M, N) Wh, at a price: `other` pays the members, or they pay it."""
    found = []
    for k, month in enumerate(months.tolist()):
        for name, energy in zip(names, energies_wh[k].tolist(), strict=True):
            if energy:
                payer, payee = (other, name) if to_members else (name, other)
                found.append(Posting(month, payer, payee, purpose, energy, energy * price_ueur_per_kwh))
    return found


def sum_balances(postings: Iterable[Posting], parties: Sequence[str] = ()) -> dict[str, int]:
    """What each party has after all postings, nEUR; below zero where it owes.

    Examples
    --------
    >>> sum_balances([Posting(0, "ann", "bob", "energy", 10, 1200)])
    {'ann': -1200, 'bob': 1200}
    """
    balances = dict.fromkeys(parties, 0)
    for posting in postings:
        balances[posting.payer] = balances.get(posting.payer, 0) - posting.amount_neur
        balances[posting.payee] = balances.get(posting.payee, 0) + posting.amount_neur
    return balances


def check_settlement(settlement: Settlement) -> None:
    """Check at run time what must hold of every settlement.

    Energies of each part balance in each period; no amount is below zero; all balances sum to zero; a community
    never pays out more than it got.

    Raises
    ------
    MarketError
        If one does not: a defect of the program, never of the input.
    """
    for part in settlement.parts:
        if (period := find_imbalance(part)) is not None:
            raise MarketError(f"settlement of {part.name}: energies of period {period} do not balance to the Wh")
    balances = sum_balances(settlement.postings)
    owing = [name for name, balance in balances.items() if name.startswith(POOL) and balance < 0]
    if sum(balances.values()) or owing or any(posting.amount_neur < 0 for posting in settlement.postings):
        raise MarketError("settlement: money does not balance to the nEUR")
