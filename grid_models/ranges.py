"""Check that numbers are within their range; all such errors read alike: where, expected, got, what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from grid_models.errors import GridError

SHARE = "give a share, not per cent"


def check_range(
    where: str,
    value: Any,
    low: float,
    high: float = np.inf,
    *,
    above: bool = False,
    below: bool = False,
    remedy: str,
) -> None:
    """Raise `GridError` unless all of `value` lies in low … high.

    Parameters
    ----------
    where
        What the number is, for the message: device and key with its unit.
    value
        Number or array of any shape; NaN is outside every range.
    low, high
        Bounds, both allowed.
    above, below
        Whether the value must be above `low`, below `high`, instead of at least and at most.
    remedy
        What to do about it.

    Examples
    --------
    >>> check_range("battery, soc_min", 10.0, 0.0, 1.0, remedy="give a share, not per cent")
    Traceback (most recent call last):
        ...
    grid_models.errors.GridError: battery, soc_min: expected 0 <= value <= 1, got 10; give a share, not per cent
    """
    numbers = np.asarray(value, dtype=np.float64)
    inside = (numbers > low if above else numbers >= low) & (numbers < high if below else numbers <= high)
    if inside.all():
        return
    got = numbers[~inside].flat[0] if numbers.ndim else float(numbers)
    bounds = f"{low:g} {'<' if above else '<='} value"
    if high < np.inf or below:
        bounds += f" {'<' if below else '<='} {high:g}"
    raise GridError(f"{where}: expected {bounds}, got {got:g}; {remedy}")


def check_field(
    where: str,
    device: object,
    key: str,
    low: float,
    high: float = np.inf,
    *,
    remedy: str = SHARE,
    **ends: bool,
) -> None:
    """`check_range` of the field `key` of a device, which `where` names; `ends` are `above` and `below`."""
    check_range(f"{where}, {key}", getattr(device, key), low, high, remedy=remedy, **ends)
