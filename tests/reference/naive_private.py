"""Private records without their stores, docs/ledger-format.md §10, one plain step after another."""

from __future__ import annotations

from collections.abc import Callable

from naive_fields import AGGREGATE, HOUSE, METER, VERDICT, demand

NO_VALUE = -(2**31)
Money = Callable[[list[bytes]], list[int]]
"""What exchanges in clear change over wallets, utility accounts and the three pools; demands that they are right."""


class NaiveSums:
    """Sums over all houses of a ledger with private records."""

    def __init__(self, genesis: list[bytes], parameter: Callable[[str], int]) -> None:
        self.covered = parameter("verdict_private") != 0
        self.m, self.s = parameter("private_records"), parameter("sum_intervals")
        houses = [row for row in genesis if row[0] in (64, 48)]
        clear = [(k, HOUSE.unpack(row[12:])) for k, row in enumerate(houses) if row[0] == 64]
        demand(all(house[10] == k for k, house in clear), "houses")
        demand(all(house[7] >= 0 for _, house in clear), "opening energy")
        self.n_houses = len(houses)
        self.sums = [sum(house[8] for _, house in clear), 0, 0, 0, 0]
        self.n_private = 0
        stated, n_private = self.aggregates(genesis), sum(row[0] == 48 for row in genesis)
        if not self.covered:
            demand(not stated and not n_private, "private record in the genesis block")
            return
        demand(0 < self.m < 2**31 and 0 < self.s < 2**31, "cover")
        demand(len(stated) == (n_private > 0), "aggregate of the genesis block")
        for number, wallets, *rest in stated:
            demand(number == n_private and wallets >= 0 and not any(rest), "aggregate of the genesis block")
            self.sums[0] += wallets

    def aggregates(self, rows: list[bytes]) -> list[tuple[int, ...]]:
        return [AGGREGATE.unpack(row[12:]) for row in rows if row[0] == 49]

    def interval(self, rows: list[bytes], t: int, money: Money) -> None:
        n_private = sum(row[0] == 48 for row in rows)
        ends = (t + 1) % self.s == 0 if self.covered else n_private > 0
        if self.covered:
            demand(n_private > 0 and n_private % self.m == 0, "number of private records")
            self.verdict(next(row for row in rows if row[0] == 17), ends)
        self.n_private += n_private
        stated = self.aggregates(rows)
        demand(len(stated) == ends, "aggregate")
        for row in rows:
            if row[0] == 16:
                _, load, pv, fc, c, d, bought, sold, imported, exported, spilled, shed, *_ = METER.unpack(row[12:])
                demand(pv + fc + d + bought + imported == load - shed + c + sold + exported + spilled, "balance")
        self.sums = [a + b for a, b in zip(self.sums, money(rows), strict=True)]
        for number, *moved, into, out in stated:
            demand(number == self.n_private and sum(moved) == 0 and into == out, "aggregate")
            self.sums = [a + b for a, b in zip(self.sums, moved, strict=True)]
            self.n_private = 0
        if ends or not self.covered:
            demand(self.sums[0] >= 0 and self.sums[3] >= 0, "below zero")

    def verdict(self, row: bytes, ends: bool) -> None:
        lowest, low_bus, highest, high_bus, loading, branch, *rest = VERDICT.unpack(row[12:])
        demand(not any(rest) and (low_bus, high_bus, branch) == (NO_VALUE,) * 3 and row[2:4] == b"\0\0", "verdict")
        if not ends:
            demand((lowest, highest, loading, row[1]) == (NO_VALUE, NO_VALUE, NO_VALUE, 0), "verdict within a period")
        demand(all(v == NO_VALUE or v % 10**4 == 0 for v in (lowest, highest)), "voltages")
        demand(loading == NO_VALUE or loading % 10**5 == 0, "loading")
