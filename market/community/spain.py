"""Spain: collective self-consumption by Real Decreto 244/2019, with coefficients fixed or by the hour.

Anexo I (in the wording of Orden TED/1247/2021): of the hour's net generation each consumer i is assigned
ENG_h,i = β_h,i · ENG_h, with coefficients that sum to 1 in every hour. Its self-consumed energy is the smaller one of
ENG_h,i and its use in the hour (art. 3, energía horaria autoconsumida individualizada); what it is assigned beyond its
use is its surplus, what it uses beyond is bought. Art. 14.3, simplified compensation: surplus is valued at the agreed
price, at most the value of the energy that the consumer took from the network in the billing period, a month at most.
What is beyond that cap is not paid and not carried over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from market.community.accounts import SUPPLIER, Posting, Prices, Settlement, check_settlement, post_months
from market.community.allocation import allocate_by_coefficients
from market.community.energies import Metered, Part, check_metered, sum_months
from market.exchanges import Ints


def settle_spain(metered: Metered, weights: Ints, names: Sequence[str], prices: Prices, community: str) -> Settlement:
    """Settle hours by RD 244/2019.

    Parameters
    ----------
    metered
        Hours, with the month of each.
    weights
        Coefficients β over one denominator, (N,) or (T, N).
    names
        Of the members, (N,).
    prices
        Of suppliers; what members pay one another is not part of the decree.
    community
        Its name.

    Raises
    ------
    MarketError
        If energies cannot be used.
    """
    check_metered(metered)
    assigned_wh = allocate_by_coefficients(metered, weights)
    received_wh = np.minimum(assigned_wh, metered.used_wh)
    part = Part(community, metered.generated_wh, metered.used_wh, received_wh, assigned_wh - received_wh)
    months, bought_wh = sum_months(part.bought_wh, metered.month)
    _, surplus_wh = sum_months(part.surplus_wh, metered.month)
    postings = post_months(months, bought_wh, prices.retail_ueur_per_kwh, names, SUPPLIER, "energy", to_members=False)
    paid, unpaid = compensate(months, bought_wh, surplus_wh, names, prices)
    settlement = Settlement((part,), (*postings, *paid), unpaid)
    check_settlement(settlement)
    return settlement


def compensate(
    months: Ints, bought_wh: Ints, surplus_wh: Ints, names: Sequence[str], prices: Prices
) -> tuple[list[Posting], int]:
    """Simplified compensation (art. 14.3), capped at each month's energy bill; and the value that the cap cuts, nEUR.

    The energies are those of months, (M, N).
    """
    postings, unpaid = [], 0
    for k, month in enumerate(months.tolist()):
        for i, name in enumerate(names):
            bill = int(bought_wh[k, i]) * prices.retail_ueur_per_kwh
            value = int(surplus_wh[k, i]) * prices.surplus_ueur_per_kwh
            unpaid += max(value - bill, 0)
            if surplus_wh[k, i]:
                paid = min(value, bill)
                postings.append(Posting(month, SUPPLIER, name, "compensation", int(surplus_wh[k, i]), paid))
    return postings, unpaid
