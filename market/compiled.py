"""Compile the market's integer functions with numba; there is no second, slow version of them.

Integer arithmetic only: a division by zero raises, nothing is reordered, results are equal on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` to machine code on first use and cache it on disk; its type stays the same for mypy.

    Where numba finds no folder that it can write to, every process compiles it anew.
    """
    try:
        return cast(F, numba.njit(cache=True)(function))
    except RuntimeError:
        return cast(F, numba.njit(function))


def integer(value: int) -> int:
    """`value` as an int64, for constants that are passed to compiled functions.

    To numba every plain Python constant has a type of its own, for which it compiles the function again.
    """
    return cast(int, np.int64(value))


ZERO = integer(0)
