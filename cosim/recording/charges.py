"""Network charges as records: what an interval costs behind all else of its block, and what a period charges there."""

from __future__ import annotations

import numpy as np

from market.charges import Charges, make_terms_rows
from market.exchanges import Ints
from market.ledger.format.records import SIZE, RecordBytes, view_as_bytes


def append_charges(
    charges: Charges, first: int, n_houses: int, records: RecordBytes, counts: Ints
) -> tuple[RecordBytes, Ints]:
    """Records of K blocks, and how many each has, with terms and charges at the end of each.

    Parameters
    ----------
    charges
        Of the K intervals.
    first, n_houses
        Number of the first interval, and of houses.
    records, counts
        Records of the blocks without them, (M, 72), and how many each has, (K,).
    """
    more = 1 + n_houses * charges.terms.ends
    begin, old = np.cumsum([0, *(counts + more)]), np.cumsum([0, *counts])
    joined = np.empty((int(begin[-1]), SIZE), np.uint8)
    owner = np.repeat(np.arange(counts.size), counts)
    joined[np.arange(owner.size) - old[owner] + begin[owner]] = records
    terms, rows = make_terms_rows(charges.terms, first), charges.rows.copy()
    terms["seq"] = counts
    at = np.flatnonzero(charges.terms.ends)
    rows["seq"] = ((counts[at] + 1)[:, None] + np.arange(n_houses)).reshape(-1)
    joined[begin[:-1] + counts] = view_as_bytes(terms)
    joined[((begin[at] + counts[at] + 1)[:, None] + np.arange(n_houses)).reshape(-1)] = view_as_bytes(rows)
    return joined, counts + more
