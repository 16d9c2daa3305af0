"""Envelopes of intervals as they are recorded: what houses would have done, what they might, and what was taken off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Ints, Mask
from market.clipping import NO_LIMIT_WH, Rooms
from market.storage import Wh


class Envelope(NamedTuple):
    """Envelope of an interval.

    Attributes
    ----------
    limit
        Rooms of the houses, (N,) Wh; `NO_LIMIT_WH` where the network does not stop a house.
    stops
        What stops each, (5, N): number of a limit as in `grid_models.envelopes.excess`; -1 where nothing does.
    exists
        Whether there is one: not where what houses do anyway breaks a limit. Then nothing is clipped.
    """

    limit: Rooms
    stops: Ints
    exists: bool = True

    @property
    def binds(self) -> bool:
        """Whether anybody is kept from something."""
        return any((limit != NO_LIMIT_WH).any() for limit in self.limit)


def make_no_limits(n: int, *, exists: bool = True) -> Envelope:
    """Envelope that keeps nobody from anything."""
    return Envelope(Rooms(*(np.full(n, NO_LIMIT_WH) for _ in Rooms._fields)), np.full((5, n), -1), exists)


class Bounds(NamedTuple):
    """Envelopes of K intervals and N houses.

    Attributes
    ----------
    asked, limit
        What the orders would have had each house do at most, and what it might, (K, N) Wh.
    stops
        Number of the limit of the network that stops each room, (K, 5, N), -1 where none does.
    exists
        (K,) False where what houses do anyway breaks a limit: nothing is clipped there.
    spilled_wh, not_taken_wh
        (K, N) what was taken off offers and not stored, and off what devices asked for.
    instead_wh
        (K,) how much more would have been carried if the market had cleared first and been curtailed then, from the
        same state; below zero where it would have been less.
    """

    asked: Rooms
    limit: Rooms
    stops: Ints
    exists: Mask
    spilled_wh: Wh
    not_taken_wh: Wh
    instead_wh: Wh

    def binds(self) -> Mask:
        """(K,) whether the envelope keeps anybody from something."""
        return np.asarray(np.any([(limit != NO_LIMIT_WH).any(axis=1) for limit in self.limit], axis=0))


def make_bounds(asked: Rooms, envelopes: Sequence[Envelope]) -> Bounds:
    """Bounds of K intervals in which nothing was taken off."""
    limit = Rooms._make(map(np.stack, zip(*(envelope.limit for envelope in envelopes), strict=True)))
    none, k = np.zeros_like(asked.surplus_wh), len(envelopes)
    stops, exists = (np.array([getattr(each, name) for each in envelopes]) for name in ("stops", "exists"))
    return Bounds(asked, limit, stops, exists, none, none, np.zeros(k, np.int64))


def join_bounds(parts: Sequence[Bounds | None]) -> Bounds | None:
    """Those of consecutive stretches, of which all have some or none has."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    asked, limit = (
        Rooms._make(map(np.concatenate, zip(*(getattr(part, name) for part in known), strict=True)))
        for name in ("asked", "limit")
    )
    return Bounds(asked, limit, *map(np.concatenate, zip(*(part[2:] for part in known), strict=True)))
