"""Percentiles and chances of a sample, with intervals that hold them with a given confidence.

Percentiles: order statistics, whose ranks follow from the binomial distribution (W. J. Conover 1999, Practical
Nonparametric Statistics, 3rd ed., section 3.2). Chances: C. J. Clopper and E. S. Pearson 1934, "The use of confidence
or fiducial limits illustrated in the case of the binomial", Biometrika 26, 404–413. Both are exact: they hold at least
as often as they say.
"""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr, betaincinv

from grid_models.arrays import Floats, Ints

CONFIDENCE = 0.95


def percentile_ranks(n: int, share: float, confidence: float = CONFIDENCE) -> tuple[int, int, int]:
    """Ranks, 1 … n, of a percentile of n values and of the ends of its interval; 0 or n + 1 where there is no end.

    Parameters
    ----------
    n
        Number of values.
    share
        Percentile, in (0, 1).
    confidence
        With which the interval holds the percentile of the distribution, at least.

    Notes
    -----
    The number of values below the percentile is binomial, B(n, share). The lower end is the largest rank l with
    P(B < l) <= α/2, the upper the smallest u with P(B >= u) <= α/2.

    Examples
    --------
    >>> percentile_ranks(1000, 0.5), percentile_ranks(20, 0.05)
    ((500, 469, 532), (1, 0, 4))
    """
    below = bdtr(np.arange(n + 1.0), n, share)  # P(B <= k)
    tail = (1.0 - confidence) / 2.0
    lower = int(np.searchsorted(below, tail, side="right"))
    upper = int(np.searchsorted(below, 1.0 - tail, side="left")) + 1
    return max(1, int(np.ceil(n * share - 1e-9))), lower, upper


def chance_interval(count: Ints, n: int, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Interval of Clopper and Pearson of the chance of what happened `count` times of n.

    Examples
    --------
    >>> [round(float(end), 4) for end in chance_interval(np.array(0), 100)]
    [0.0, 0.0362]
    """
    k, tail = np.asarray(count, np.float64), (1.0 - confidence) / 2.0
    low = np.where(k > 0, betaincinv(np.maximum(k, 1.0), n - k + 1.0, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1.0, np.maximum(n - k, 1.0), 1.0 - tail), 1.0)
    return np.asarray(low), np.asarray(high)
