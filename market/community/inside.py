"""Money of a community whose members pay one another: consumers its price, producers get it, suppliers do the rest."""

from __future__ import annotations

from collections.abc import Sequence

from market.community.accounts import POOL, SUPPLIER, Posting, Prices, post_months
from market.community.energies import Part, sum_months
from market.exchanges import Ints


def post_inside(part: Part, month: Ints, names: Sequence[str], prices: Prices) -> list[Posting]:
    """Postings of a part: what is received and given at the community's price, the rest at the suppliers'."""
    given_wh = part.generated_wh - part.surplus_wh
    of_community, retail, surplus = (
        prices.community_ueur_per_kwh,
        prices.retail_ueur_per_kwh,
        prices.surplus_ueur_per_kwh,
    )
    pool = f"{POOL}{part.name}"
    found = []
    for energies_wh, price, other, purpose, to_members in (
        (part.received_wh, of_community, pool, "received", False),
        (given_wh, of_community, pool, "given", True),
        (part.bought_wh, retail, SUPPLIER, "energy", False),
        (part.surplus_wh, surplus, SUPPLIER, "surplus", True),
    ):
        months, sums = sum_months(energies_wh, month)
        found += post_months(months, sums, price, names, other, purpose, to_members=to_members)
    return found
