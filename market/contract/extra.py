"""What the extra `evm` brings, imported when it is needed."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from market.errors import ChainError


def import_extra(module: str) -> Any:
    """Import a module of the extra `evm`.

    Raises
    ------
    ChainError
        If it is not installed.
    """
    # A library below eth-account raises the limit of recursion a hundredfold: nested JSON would then end this process.
    limit = sys.getrecursionlimit()
    try:
        return importlib.import_module(module)
    except ImportError as reason:
        package = module.partition(".")[0].replace("_", "-")
        raise ChainError(
            f"expected the package {package}, found none; install it with: python -m pip install 'gridsettle[evm]'"
        ) from reason
    finally:
        sys.setrecursionlimit(limit)
