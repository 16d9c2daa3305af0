"""Compile the power flow's float functions: strict IEEE arithmetic, so NaN stays NaN and order stays order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` to machine code on first use, cached on disk, keeping its type for mypy.

    `fastmath` stays off: it assumes finite numbers and would let a diverged interval pass. Division by zero
    gives inf or NaN, as in numpy, and is caught by the convergence test. Where numba finds no folder that can be
    written to, it is compiled in every process.
    """
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:
        return cast(F, numba.njit(error_model="numpy")(function))
