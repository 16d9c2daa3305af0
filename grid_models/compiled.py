"""The decorator of compiled float functions: strict IEEE arithmetic, so NaN propagates and sums keep their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` on first use, cache the machine code on disk, and keep the function's type for mypy.

    `fastmath` stays off: it assumes finite numbers and would let a diverged interval pass. Division by zero
    gives inf or NaN, as in numpy, and the convergence test catches it. Where numba has no folder to write its
    cache to, every process compiles anew.
    """
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:
        return cast(F, numba.njit(error_model="numpy")(function))
