"""Imports on demand: a module of this project is executed when one of its names is first used, not before.

pandapower, pandas and numba take seconds to load. Command modules import whatever they need at their top, as modules
(`from cosim.simulation import simulate`), and `app` imports them within `import_on_demand()`. So help, completion and
messages about bad input stay quick. Outside the command line imports are ordinary ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

PACKAGES = ("cosim", "data", "grid_models", "market")


class _OnDemand:
    """Finds the modules of this project and puts off their execution."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module of this project is; None for all others, which the next finder finds."""
        found = PathFinder.find_spec(name, path, target) if name.partition(".")[0] in PACKAGES else None
        if found is not None and found.loader is not None:
            found.loader = LazyLoader(found.loader)
        return found


@contextmanager
def import_on_demand() -> Iterator[None]:
    """Put off the execution of modules imported meanwhile; `from module import name` still executes its module."""
    finder = _OnDemand()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
