"""How much memory a run needs at its peak, and how much this process may still take.

The estimate is a sum of five parts, measured on generated feeders of 25 to 5,000 houses and 24 to 35,064 hours
(docs/decisions/0098). Measured peaks lie between estimate / 1.5 and estimate × 1.5.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

resource = import_module("resource") if find_spec("resource") else None  # Windows has none

MIB = 2**20
LIBRARIES = 430 * MIB
"""Interpreter, pandapower, numba, pyarrow and what they load; a first run, which compiles, takes 230 MiB more."""
PER_HOUSE = 276 * 1024
"""The net's rows and matrices, and the year that synthetic profiles are drawn for however short a run is, bytes."""
PER_HOUSE_INTERVAL = 60
"""Profiles, inputs of the market and what is summed up of its tables, bytes."""
PER_WINDOW_ELEMENT = 175
"""Flows, records and tables of the intervals in flight, bytes an interval and element."""
ELEMENTS_A_HOUSE = 4
"""Buses and branches of a generated feeder: a house has a service cable of its own and a piece of the main one."""
WINDOW, FEW_HOUSES = 4096, 32
"""Intervals in flight; fewer by as much as there are more houses than a few."""

CGROUP_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
CGROUP_2 = ("memory.max", "memory.current", "inactive_file")
"""Files of a control group with its limit and what it uses, and the line of its statistics with what is only cached."""


class Keeps(Enum):
    """What is in memory of all intervals at once: bytes a house and interval, and bytes an element and interval."""

    PARTS = (0, 0)
    REPORT = (0, 28)
    REPORT_OF_PHASES = (0, 64)
    TABLES = (240, 20)


def estimate_bytes(n_houses: int, n_intervals: int, n_elements: int | None = None, keeps: Keeps = Keeps.PARTS) -> int:
    """Memory that a run needs at its peak, bytes.

    Parameters
    ----------
    n_houses, n_intervals
        Participants and intervals.
    n_elements
        Buses and branches of the network; as many as a generated feeder has if left out.
    keeps
        What of all intervals is in memory at once: nothing, as in a run that writes its tables; what the report shows;
        or all tables, as in a run without a directory.

    Examples
    --------
    >>> round(estimate_bytes(25, 8760) / MIB)
    518
    """
    elements = max(n_elements or 0, ELEMENTS_A_HOUSE * n_houses)
    window = min(n_intervals, max(1, WINDOW * FEW_HOUSES // max(n_houses, FEW_HOUSES)))
    per_house, per_element = keeps.value
    return (
        LIBRARIES
        + PER_HOUSE * n_houses
        + PER_WINDOW_ELEMENT * elements * window
        + (PER_HOUSE_INTERVAL + per_house) * n_houses * n_intervals
        + per_element * elements * n_intervals
    )


def find_available_bytes() -> int | None:
    """Memory that this process may have in all, bytes: what it has, and what is left; None where nothing tells."""
    left = [*_read_meminfo(), *_read_cgroups(), *_read_address_space()]
    return min(left) + _read_resident() if left else None


def _read_meminfo() -> Iterator[int]:
    """What the machine has left, on Linux."""
    with suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        yield sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree")) * 1024


def _read_cgroups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """What is left of the limits of the process's control groups and of those above them, versions 1 and 2."""
    with suppress(OSError, ValueError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            names = CGROUP_1 if controllers else CGROUP_2
            group = root / controllers / path.lstrip("/")
            for folder in (group, *group.parents):
                yield from _read_limit(folder, *names)
                if folder == root:
                    break


def _read_limit(folder: Path, limit: str, usage: str, cached: str) -> Iterator[int]:
    """What is left of one group's limit; copies of files that the system would drop are not counted as used."""
    with suppress(OSError, ValueError, KeyError):  # no limit is "max", or no such file
        largest, used = (int((folder / name).read_text(encoding="ascii")) for name in (limit, usage))
        stat = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        yield max(0, largest - used + int(stat[cached]))


def _read_address_space() -> Iterator[int]:
    """What is left of the limit that `ulimit -v` sets."""
    if resource is None:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield max(0, limit - _read_statm(0))


def _read_resident() -> int:
    return _read_statm(1)


def _read_statm(field: int) -> int:
    """Memory of this process, bytes: its address space (field 0) or what is resident of it (1)."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[field]) * os.sysconf("SC_PAGE_SIZE")
    return 0
