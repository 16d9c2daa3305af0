"""On the first run on a machine, compile the power flow in a second process while the market compiles in this one.

Compiled functions are cached on disk: what the other process has compiled is only loaded here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from cosim.case.case import Case
from cosim.interval.optimistic import settle_optimistically
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.readout import solve_all
from grid_models.powerflow.verdicts import judge
from market.ledger.crypto.sha256 import hash_rows
from market.rules import PLUGGED_IN


def is_compiled() -> bool:
    """Whether the cache on disk holds the power flow; an outdated one is compiled again on first use."""
    folder = _find_cache_folder()
    return folder is not None and any(folder.glob(f"*.{solve_all.__name__}-*.nbc"))


def _find_cache_folder() -> Path | None:
    """Folder of the power flow's cache; None where nothing can be cached."""
    path = solve_all.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    return None if path is None else Path(path)


def compile_ahead(case: Case) -> None:
    """Compile the market here and the power flow in a process of its own, unless both are or cannot be cached.

    If that process fails, the power flow is compiled here on first use.
    """
    if _find_cache_folder() is None or is_compiled() or case.mechanism.code == PLUGGED_IN:
        return
    second = subprocess.Popen(
        [sys.executable, "-m", "cosim.simulation.compile_ahead"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        settle_optimistically(case, case.opening, 0, 1)
        second.wait()
    except BaseException:
        second.kill()
        second.wait()
        raise


def compile_power_flow() -> None:
    """Solve and judge one interval of the smallest feeder and hash one record: that compiles all that takes long."""
    feeder = make_radial_feeder(["a", "b", "c"], rng=np.random.default_rng(0))
    flow = PowerFlow(feeder).solve(np.zeros((1, 3)))
    judge(flow, Limits.from_feeder(feeder))
    hash_rows(0, np.zeros((1, 1), np.uint8))


if __name__ == "__main__":
    compile_power_flow()
