"""Compile the market's integer functions; the compiled function *is* the readable one.

Integer arithmetic only: a division by zero raises, nothing is reordered, results are equal on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` to machine code on first use, cached on disk, keeping its type for mypy.

    Where numba finds no folder that can be written to, it is compiled in every process.
    """
    try:
        return cast(F, numba.njit(cache=True)(function))
    except RuntimeError:
        return cast(F, numba.njit(function))


def integer(value: int) -> int:
    """`value` as the one integer type of compiled code.

    The compiler takes a plain Python constant for a type of its own and compiles whoever it is passed to again for
    every constant; an int64 is compiled once.
    """
    return cast(int, np.int64(value))


ZERO = integer(0)
