"""The order in which a mechanism serves the houses: by index, rotating, or shuffled by a seeded hash."""

from __future__ import annotations

import numpy as np

from market.compiled import compiled
from market.exchanges import Ints
from market.rules import Arrival, Rules

_ROTATE = int(Arrival.ROTATE)
_SHUFFLE = int(Arrival.SHUFFLE)


@compiled
def random_bits(seed: int, interval: int, number: int) -> int:
    """62 pseudo-random bits, a pure function of the three arguments.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195) over a combination of the
    arguments, so that an interval's draw does not depend on how many intervals were computed before it.
    """
    x = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
    x ^= np.uint64(interval) * np.uint64(0xBF58476D1CE4E5B9)
    x += (np.uint64(number) + np.uint64(1)) * np.uint64(0x94D049BB133111EB)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return int(x >> np.uint64(2))


@compiled
def order_arrivals(n: int, interval: int, rules: Rules) -> Ints:
    """Permutation of 0 … n-1 in which participants arrive in `interval`, shape (n,).

    `index` serves 0 first (reference study); `rotate` starts one further each interval; `shuffle` is a
    Fisher-Yates shuffle seeded by (seed, interval).
    """
    order = np.arange(n)
    if rules.arrival == _ROTATE:
        for k in range(n):
            order[k] = (interval + k) % n
    elif rules.arrival == _SHUFFLE:
        for k in range(n - 1, 0, -1):
            j = random_bits(rules.seed, interval, k) % (k + 1)
            order[k], order[j] = order[j], order[k]
    return order
