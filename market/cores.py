"""How many cores this process may use; more threads than cores would only take turns."""

from __future__ import annotations

import os


def count_usable_cores() -> int:
    """Cores that this process may run on, at least 1; fewer than the machine has if it is pinned (`taskset`)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
