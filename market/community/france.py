"""France: collective self-consumption by articles L. 315-2 and D. 315-4 to D. 315-6 of the Code de l'énergie.

D. 315-4: in each measuring step a consumer is assigned the production times its coefficient, never more than its
measured use; all that is self-consumed is at most the production, and at most all use. D. 315-5: what a storage unit
takes is use, what it gives is production. D. 315-6: coefficients, or how they are computed, are told by the
operation's legal person for each step; if it tells none, production is allocated in relation to use, within use.
Network operators call the keys static, dynamic by default and full dynamic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from market.community.accounts import Prices, Settlement, check_settlement
from market.community.allocation import allocate_by_coefficients, allocate_by_use, make_part
from market.community.energies import Metered, check_metered
from market.community.inside import post_inside
from market.exchanges import Ints


def settle_france(
    metered: Metered, weights: Ints | None, names: Sequence[str], prices: Prices, community: str
) -> Settlement:
    """Settle half-hours by D. 315-4 and D. 315-6.

    Parameters
    ----------
    metered, names, community
        Half-hours with the month of each; names of the members (N,) and of the operation.
    weights
        Coefficients over one denominator, (N,) for the static key, (T, N) for the full dynamic one; None: in relation
        to use.
    prices
        Of suppliers, and what members pay one another.

    Raises
    ------
    MarketError
        If energies cannot be used.
    """
    check_metered(metered)
    if weights is None:
        received_wh = allocate_by_use(metered)
    else:
        received_wh = np.minimum(allocate_by_coefficients(metered, weights), metered.used_wh)
    part = make_part(community, metered, received_wh)
    settlement = Settlement((part,), tuple(post_inside(part, metered.month, names, prices)))
    check_settlement(settlement)
    return settlement
