"""Imbalances house by house, in fractions of EUR: what each party gets."""

from __future__ import annotations

from fractions import Fraction


def naive_imbalances(
    committed_wh: list[list[int]], delivered_wh: list[list[int]], short_eur: Fraction, long_eur: Fraction
) -> list[list[Fraction]]:
    """EUR that each house gets in each interval."""
    found = []
    for committed, delivered in zip(committed_wh, delivered_wh, strict=True):
        row = []
        for promised, came in zip(committed, delivered, strict=True):
            lacking_kwh, over_kwh = Fraction(promised - came, 1000), Fraction(came - promised, 1000)
            row.append(-lacking_kwh * short_eur if came < promised else over_kwh * long_eur)
        found.append(row)
    return found
