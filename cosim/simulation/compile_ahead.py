"""On a machine's first run, a second process compiles what the run needs last, while it compiles what it needs first.

Compiled functions are cached on disk: what one process has compiled the other only loads. The second one ends with the
run; what it has not come to, that of the next run goes on with: `cosim.simulation.warming`.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from grid_models.phases.kernel import solve_intervals
from grid_models.powerflow.readout import solve_all
from grid_models.response.linear_kernel import solve_linear
from grid_models.response.phase_kernel import solve_changes
from market.cores import count_usable_cores
from market.orders import make_orders

LOCK, LONGEST_S = "compiling.lock", 600.0
"""File in the cache's folder that is locked by who compiles, and how long others wait for it."""


def is_compiled(model: str) -> bool:
    """Whether the cache on disk holds what a second process compiles for a model of the network.

    An outdated one is compiled again on first use. True also where nothing can be cached.
    """
    flow = (solve_all, solve_linear) if model == "balanced" else (solve_intervals, solve_changes)
    return all(_is_cached(function) for function in (*flow, make_orders))  # by Python only an outage calls the last


def _is_cached(function: object) -> bool:
    path = function.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    return path is None or any(Path(path).glob(f"*.{function.__name__}-*.nbc"))  # type: ignore[attr-defined]


@contextmanager
def compile_meanwhile(model: str) -> Iterator[None]:
    """Compile what a first run needs in a process of its own while the context lasts, unless it is done.

    On one core nothing is started: the two would only take turns. If that process fails, what it leaves is compiled
    on first use.

    Parameters
    ----------
    model
        The model of the network decides; what a scenario has no need for is compiled too.
    """
    if is_compiled(model) or count_usable_cores() == 1:
        yield
        return
    second = subprocess.Popen(_make_command(model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        second.kill()
        second.wait()


@cache
def compile_once(model: str) -> None:
    """Have all that a run in a model needs compiled on this machine; wait where another process is at it.

    So of many processes that begin at the same time one compiles, and the others load. A process looks once.
    """
    path = solve_all.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    if path is None:
        return
    with suppress(OSError, sqlite3.Error), _lock(Path(path)):  # who cannot wait compiles what it needs itself
        if not is_compiled(model):
            subprocess.run(_make_command(model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold a lock that is free when its holder ends, however it does."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / LOCK, isolation_level=None, timeout=LONGEST_S)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _make_command(model: str) -> list[str]:
    """Command that compiles all that a run in a model needs."""
    return [sys.executable, "-m", "cosim.simulation.warming", model]
