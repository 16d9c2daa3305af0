"""Italy: renewable energy communities (CER) by articles 31 and 32 of D.Lgs. 199/2021 and ARERA's TIAD.

Shared energy (energia elettrica condivisa; art. 31 and 32 D.Lgs. 199/2021, TIAD of ARERA's delibera 727/2022/R/eel):
in each hour the smaller one of what the community's members inject and what they withdraw, below one primary
substation. Energy itself goes on as without a community: members buy what they withdraw and sell what they inject. On
shared energy the GSE pays the incentive (D.M. 7 December 2023, no. 414) and returns network charges (TIAD). The
community splits that by its own rule: here shares for producers, in proportion to what each gave, for consumers, to
what each received, and for the community itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from market.community.accounts import (
    INCENTIVE_PAYER,
    POOL,
    SUPPLIER,
    Posting,
    Prices,
    Settlement,
    check_settlement,
    post_months,
)
from market.community.allocation import allocate_by_use, make_part
from market.community.energies import Metered, Part, check_metered, sum_months
from market.community.rounding import share_out
from market.exchanges import Ints


class Incentive(NamedTuple):
    """What shared energy is paid, and how the community splits it.

    Attributes
    ----------
    premium_ueur_per_kwh, network_ueur_per_kwh
        Incentive, and returned network charges, µEUR/kWh of shared energy.
    split
        Weights of producers, consumers and the community itself.
    """

    premium_ueur_per_kwh: int
    network_ueur_per_kwh: int
    split: tuple[int, int, int]


def settle_italy(
    metered: Metered,
    substations: Sequence[tuple[str, Ints]],
    names: Sequence[str],
    prices: Prices,
    incentive: Incentive,
    community: str,
) -> Settlement:
    """Settle hours of a community.

    Parameters
    ----------
    metered
        Hours, with the month of each.
    substations
        Name of each primary substation, and the places of the members below it; each member is below one.
    names, community
        Of the members, (N,), and of the community.
    prices
        Of suppliers.
    incentive
        Of shared energy.

    Raises
    ------
    MarketError
        If energies cannot be used.
    """
    check_metered(metered)
    parts = tuple(_share_below(name, places, metered) for name, places in substations)
    postings = list[Posting]()
    for energies_wh, price, purpose, to_members in (
        (metered.used_wh, prices.retail_ueur_per_kwh, "energy", False),
        (metered.generated_wh, prices.surplus_ueur_per_kwh, "sale", True),
    ):
        months, sums = sum_months(energies_wh, metered.month)
        postings += post_months(months, sums, price, names, SUPPLIER, purpose, to_members=to_members)
    postings += split_incentive(parts, metered.month, names, incentive, f"{POOL}{community}")
    settlement = Settlement(parts, tuple(postings))
    check_settlement(settlement)
    return settlement


def _share_below(name: str, places: Ints, metered: Metered) -> Part:
    """Shared energy below one substation; of all others' energies nothing counts there."""
    below = np.zeros(metered.used_wh.shape[1], np.int64)
    below[places] = 1
    own = Metered(metered.generated_wh * below, metered.used_wh * below, metered.month)
    return make_part(name, own, allocate_by_use(own))


def split_incentive(
    parts: Sequence[Part], month: Ints, names: Sequence[str], incentive: Incentive, pool: str
) -> list[Posting]:
    """Postings of each month: the GSE pays the community, which pays its producers and consumers."""
    months, received_wh = sum_months(sum_energies([part.received_wh for part in parts]), month)
    _, given_wh = sum_months(sum_energies([part.generated_wh - part.surplus_wh for part in parts]), month)
    price, postings = incentive.premium_ueur_per_kwh + incentive.network_ueur_per_kwh, list[Posting]()
    for k, when in enumerate(months.tolist()):
        shared_wh = int(received_wh[k].sum())
        if shared_wh == 0:
            continue
        postings.append(Posting(when, INCENTIVE_PAYER, pool, "incentive", shared_wh, shared_wh * price))
        to_producers, to_consumers, _ = share_out([shared_wh * price], incentive.split)[0].tolist()
        for whole, energies_wh, purpose in (
            (to_producers, given_wh[k], "incentive_producer"),
            (to_consumers, received_wh[k], "incentive_consumer"),
        ):
            amounts = share_out([whole], energies_wh)[0].tolist()
            postings += [
                Posting(when, pool, name, purpose, energy, amount)
                for name, energy, amount in zip(names, energies_wh.tolist(), amounts, strict=True)
                if energy
            ]
    return postings


def sum_energies(energies_wh: Sequence[Ints]) -> Ints:
    """Sum over parts, (T, N)."""
    sums: Ints = np.sum(np.array(energies_wh, np.int64), axis=0)
    return sums
