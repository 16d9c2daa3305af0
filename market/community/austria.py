"""Austria: energy communities by § 79 EAG and §§ 16b to 16e ElWOG 2010, allocated statically or dynamically.

§ 16e (3) ElWOG: allocation is by the quarter of an hour and within the use of each participant in it (no. 1); a static
share that is not used counts as fed into the network (no. 2); the dynamic allocation is in relation to use (no. 3).
Since 2024 a metering point may take part in up to five communities, each with a participation factor in per cent;
that part of its use and of its feed-in counts there. What is left of 100 per cent is outside of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from market.community.accounts import Prices, Settlement, check_settlement
from market.community.allocation import allocate_by_coefficients, allocate_by_use, make_part
from market.community.energies import Metered, Part, check_metered
from market.community.inside import post_inside
from market.community.rounding import share_out
from market.errors import MarketError
from market.exchanges import Ints

OUTSIDE = "outside"
"""Name of the part that takes part in no community."""
MOST_COMMUNITIES = 5
"""Of one metering point."""


class Community(NamedTuple):
    """A community of Austria.

    Attributes
    ----------
    name
        Its name.
    factor_percent
        Participation factor of each member, (N,), whole per cent, 0 of who is none.
    weights
        Static shares over one denominator, (N,); None: dynamic.
    """

    name: str
    factor_percent: Ints
    weights: Ints | None


def settle_austria(
    metered: Metered, communities: Sequence[Community], names: Sequence[str], prices: Prices
) -> Settlement:
    """Settle periods by § 16e ElWOG.

    Raises
    ------
    MarketError
        If energies or factors cannot be used.
    """
    check_metered(metered)
    check_factors(communities, names)
    *inside, outside = split_metered(metered, communities)
    parts = [_allocate(community, own) for community, own in zip(communities, inside, strict=True)]
    if (outside.generated_wh.any() or outside.used_wh.any()) or not parts:
        nothing = np.zeros_like(outside.used_wh)
        parts.append(Part(OUTSIDE, outside.generated_wh, outside.used_wh, nothing, outside.generated_wh))
    postings = [posting for part in parts for posting in post_inside(part, metered.month, names, prices)]
    settlement = Settlement(tuple(parts), tuple(postings))
    check_settlement(settlement)
    return settlement


def _allocate(community: Community, own: Metered) -> Part:
    if community.weights is None:
        return make_part(community.name, own, allocate_by_use(own))
    assigned_wh = allocate_by_coefficients(own, community.weights)
    return make_part(community.name, own, np.minimum(assigned_wh, own.used_wh))


def split_metered(metered: Metered, communities: Sequence[Community]) -> list[Metered]:
    """What of the members' energies takes part in each community, and last what is outside of all.

    Each member's Wh of a period are shared out by its factors, to the Wh.
    """
    factors = np.array([community.factor_percent for community in communities], np.int64).reshape(len(communities), -1)
    shape = (len(communities) + 1, *metered.used_wh.shape)
    generated, used = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i in range(metered.used_wh.shape[1]):
        own = factors[:, i] if communities else np.zeros(0, np.int64)
        weights = np.append(own, 100 - own.sum())
        generated[:, :, i] = share_out(metered.generated_wh[:, i], weights).T
        used[:, :, i] = share_out(metered.used_wh[:, i], weights).T
    return [Metered(generated[k], used[k], metered.month) for k in range(len(communities) + 1)]


def check_factors(communities: Sequence[Community], names: Sequence[str]) -> None:
    """Check participation factors.

    Raises
    ------
    MarketError
        If a member has more than 100 per cent in all, one below 0, or takes part in more than five communities.
    """
    factors = np.array([community.factor_percent for community in communities], np.int64).reshape(len(communities), -1)
    for i, name in enumerate(names if communities else ()):
        own = factors[:, i]
        if (own < 0).any() or own.sum() > 100:
            raise MarketError(
                f"participation of {name}: expected factors from 0 to 100 per cent that sum to at most 100, got "
                f"{', '.join(map(str, own.tolist()))}; correct them"
            )
        if (own > 0).sum() > MOST_COMMUNITIES:
            raise MarketError(
                f"participation of {name}: expected at most {MOST_COMMUNITIES} communities, got {(own > 0).sum()}"
            )
