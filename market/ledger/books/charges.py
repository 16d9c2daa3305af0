"""Network charges on a ledger: computed again from delivered energies and recorded terms, and posted to the accounts.

It shares no code with the market's charges, so that it finds their errors. It is plain Python: its integers are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from market.exchanges import CHARGED, Ints, Kind, LossRule
from market.ledger.books.replay import LARGEST_BALANCE, Books
from market.ledger.format.records import (
    CHARGES_PARAMETER,
    RecordBytes,
    RecordKind,
    read_integer_parameter,
    select_exchanges,
    select_rows,
)

_USED_HERE = (int(Kind.P2P), int(Kind.SHARE_USE), int(Kind.BACKGROUND))
_LOT_SALE, _IMPORT, _LOSS = int(Kind.LOT_SALE), int(Kind.GRID_IMPORT), int(Kind.LOSS)
_OF_CHARGES = bytes([RecordKind.TERMS, RecordKind.CHARGE])


def holds_charges(kinds: bytes) -> bool:
    """Whether a block, by the kinds of its records, has terms or charges."""
    return len(kinds.translate(None, _OF_CHARGES)) < len(kinds)


class ChargeBooks:
    """Adds up what houses are charged for, and compares what a ledger charges.

    Parameters
    ----------
    parameters
        Of the genesis block.
    n_houses
        Number of houses.
    """

    def __init__(self, parameters: Mapping[str, bytes], n_houses: int) -> None:
        self.is_on = bool(read_integer_parameter(parameters, CHARGES_PARAMETER))
        self.interval_minutes = read_integer_parameter(parameters, "interval_minutes")
        self.n_houses = n_houses
        self._begin()

    def _begin(self) -> None:
        n = self.n_houses
        self.withdrawn, self.peak, self.grid, self.local = ([0] * n for _ in range(4))
        self.power_price = self.standing = self.losses = 0

    def follow(self, records: RecordBytes) -> list[int] | str:
        """What a block with an interval charges, nEUR of each house, empty where no period ends; or what is wrong.

        Exchanges and meters of the block must be right.
        """
        terms, charges = select_rows(records, RecordKind.TERMS), select_rows(records, RecordKind.CHARGE)
        if not self.is_on:
            return "a network charge in a ledger that was begun without" if terms.size or charges.size else []
        if terms.size != 1:
            return f"expected the terms of the network charges once, found them {terms.size} times"
        if self.interval_minutes <= 0:
            return "network charges in a ledger whose intervals have no length"
        (said,) = terms
        if charges.size != self.n_houses * int(said["status"]):
            return f"expected {self.n_houses * int(said['status'])} network charges, found {charges.size}"
        self._add(said, records)
        if not said["status"]:
            return []
        lost = self._share_losses(LossRule(int(said["reason"])))
        for k, charge in enumerate(charges):
            if (wrong := self._compare(k, charge, lost[k])) is not None:
                return f"house {k}: {wrong} of its network charge does not follow from meters and terms"
        self._begin()
        return [sum(int(charge[name]) for name in CHARGED) for charge in charges]

    def _add(self, terms: Any, records: RecordBytes) -> None:
        """Take up what an interval adds to the period."""
        grid, local = [0] * self.n_houses, [0] * self.n_houses
        for row in select_exchanges(records):
            kind, buyer, wh = int(row["kind"]), int(row["buyer"]), int(row["delivered_wh"])
            if kind == _IMPORT:
                grid[buyer] += wh
            elif (kind in _USED_HERE and buyer >= 0) or (kind == _LOT_SALE and buyer != int(row["host"])):
                local[buyer] += wh
            elif kind == _LOSS:
                self.losses += int(row["amount_neur"])
        for k in range(self.n_houses):
            self.withdrawn[k] += grid[k] + local[k]
            self.peak[k] = max(self.peak[k], grid[k] + local[k])
            self.grid[k] += grid[k] * int(terms["grid_ueur_per_kwh"])
            self.local[k] += local[k] * int(terms["local_ueur_per_kwh"])
        self.power_price += int(terms["power_ueur_per_kw"])
        self.standing += int(terms["standing_neur"])

    def _share_losses(self, rule: LossRule) -> list[int]:
        """What each house pays for losses: its share of the energy, by largest remainder."""
        whole = sum(self.withdrawn)
        if rule == LossRule.OPERATOR or whole == 0:
            return [0] * self.n_houses
        split = [divmod(self.losses * wh, whole) for wh in self.withdrawn]
        left = self.losses - sum(part for part, _ in split)
        largest = sorted(range(self.n_houses), key=lambda k: -split[k][1])[:left]
        return [part + (k in largest) for k, (part, _) in enumerate(split)]

    def _compare(self, k: int, charge: Any, lost: int) -> str | None:
        """Name of the first field of a house's charge that is not what follows, if there is one."""
        peak_w = self.peak[k] * 60 // self.interval_minutes
        follows = {
            "house": k,
            "withdrawn_wh": self.withdrawn[k],
            "peak_w": peak_w,
            "grid_neur": self.grid[k],
            "local_neur": self.local[k],
            "power_neur": peak_w * self.power_price,
            "standing_neur": self.standing,
            "loss_neur": lost,
        }
        return next((name for name, value in follows.items() if int(charge[name]) != value), None)


def post_due(books: Books, due: Sequence[int]) -> Books | str:
    """Books with what a block charges its houses, (N,) nEUR, paid to the operator; or that a balance is too large."""
    if not due:
        return books
    accounts = [int(had) - neur for had, neur in zip(books.account_neur, due, strict=True)]
    earned = int(books.pools_neur[2]) + sum(due)
    if max(map(abs, (earned, *accounts))) >= LARGEST_BALANCE:
        return "network charges that make a balance too large"
    pools = np.array([*books.pools_neur[:2], earned])
    return books._replace(account_neur=np.array(accounts, np.int64), pools_neur=pools)


def find_changes(due: Sequence[Sequence[int]], n: int) -> Ints:
    """What charges of K blocks change in the accounts after each of them, (K, 4N + 3)."""
    changes = np.zeros((len(due), 4 * n + 3), np.int64)
    for k, neur in enumerate(due):
        if neur:
            changes[k, n : 2 * n], changes[k, 2 * n + 2] = -np.array(neur), sum(neur)
    return np.asarray(changes.cumsum(axis=0))
