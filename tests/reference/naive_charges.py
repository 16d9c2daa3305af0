"""The rules of docs/ledger-format.md §8d, plain Python: network charges follow from exchanges and terms."""

from __future__ import annotations

from fractions import Fraction

from naive_fields import CHARGE, EXCHANGE, TERMS, demand


class NaiveCharges:
    """Keeps every interval of the period, and adds all of it up when the period ends."""

    def __init__(self, n: int, is_on: bool, minutes: int) -> None:
        self.n, self.is_on, self.minutes = n, is_on, minutes
        self.kept: list[tuple[list[bytes], tuple[int, ...]]] = []

    def interval(self, rows: list[bytes]) -> list[int]:
        """What a block takes from each house, nEUR."""
        terms = [row for row in rows if row[0] == 24]
        charges = [CHARGE.unpack(row[12:]) for row in rows if row[0] == 25]
        if not self.is_on:
            demand(not terms and not charges, "charges in a ledger without")
            return [0] * self.n
        demand(len(terms) == 1 and self.minutes > 0, "terms")
        self.kept.append(([row for row in rows if row[0] <= 12], TERMS.unpack(terms[0][12:])))
        demand(len(charges) == (self.n if terms[0][1] else 0), "number of charges")
        if not terms[0][1]:
            return [0] * self.n
        found = self.add_up(passes_on_losses=terms[0][2] == 1)
        demand([charge[:-1] for charge in charges] == found, "charges")
        self.kept = []
        return [sum(charge[2:7]) for charge in charges]

    def add_up(self, passes_on_losses: bool) -> list[tuple[int, ...]]:
        found, lost = [], 0
        for rows, _ in self.kept:
            lost += sum(EXCHANGE.unpack(row[12:])[8] for row in rows if row[0] == 9)
        for house in range(self.n):
            energies = [self.withdrawn(rows, house) for rows, _ in self.kept]
            peak = max(grid + local for grid, local in energies) * 60 // self.minutes
            grid_neur = sum(wh * said[0] for (wh, _), (_, said) in zip(energies, self.kept, strict=True))
            local_neur = sum(wh * said[1] for (_, wh), (_, said) in zip(energies, self.kept, strict=True))
            power = peak * sum(said[2] for _, said in self.kept)
            standing = sum(said[3] for _, said in self.kept)
            found.append([house, sum(map(sum, energies)), grid_neur, local_neur, power, standing, 0, peak])
        whole = sum(one[1] for one in found)
        if passes_on_losses and whole:
            shares = [Fraction(lost * one[1], whole) for one in found]
            for one, share in zip(found, shares, strict=True):
                one[6] = share.numerator // share.denominator
            left = lost - sum(one[6] for one in found)
            for house in sorted(range(self.n), key=lambda k: (-(shares[k] - found[k][6]), k))[:left]:
                found[house][6] += 1
        return [tuple(one) for one in found]

    def withdrawn(self, rows: list[bytes], house: int) -> tuple[int, int]:
        """Energy from the grid, and from below the transformer, that comes to a house for its own use."""
        grid = local = 0
        for row in rows:
            _, buyer, host, _, _, _, wh, *_ = EXCHANGE.unpack(row[12:])
            if buyer != house:
                continue
            grid += wh if row[0] == 5 else 0
            local += wh if row[0] in (1, 2, 11) or (row[0] == 4 and host != house) else 0
        return grid, local
