"""How many cores this process may use: threads beyond them only take turns."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores this process may run on, at least 1; fewer than the machine's where it was pinned (`taskset`, cpusets)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
