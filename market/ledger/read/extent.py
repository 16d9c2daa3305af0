"""How far a ledger goes: the intervals that it holds, and those that its first block announces."""

from __future__ import annotations

from typing import NamedTuple

from market.ledger.format.records import read_integer_parameter, read_next_interval, read_parameters
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records


class Extent(NamedTuple):
    """Intervals that a ledger holds, and those that its run has."""

    held: int
    wanted: int


def read_extent(store: Store) -> Extent:
    """Extent of a ledger; one that announces nothing has what it holds.

    Raises
    ------
    LedgerError
        If its first or last block cannot be read.
    """
    first, last = (decode_records(store.block(height).records) for height in (0, store.size() - 1))
    held = read_next_interval(last)
    return Extent(held, read_integer_parameter(read_parameters(first), "n_intervals") or held)
