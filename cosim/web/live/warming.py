"""On a machine's first served run, compile in the background what only outages and curtailment need.

The first outage would otherwise stop the clock for half a minute. What this process has compiled is only loaded there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosim.delivery.redispatch import deliver
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run

DAY = {
    "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
    "houses": {"n_houses": 4, "n_prosumers": 3, "production_ratio": 2.0},
    "network": {"n_branches": 1, "spacing_m": 200.0},
    "market": {"feed_in": True},
    "limits": {"max_vm_pu": 1.005},
    "ledger": {"facts": True},
    "events": [{"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 3, "grid": True}],
}
"""A day with curtailment at noon and an outage."""


def is_compiled() -> bool:
    """Whether the cache on disk holds what curtailment needs; also where nothing can be cached."""
    path = deliver.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    return path is None or any(Path(path).glob(f"*.{deliver.__name__}-*.nbi"))


@contextmanager
def compile_meanwhile() -> Iterator[None]:
    """Compile in a process of its own while the context lasts, unless it is done."""
    if is_compiled():
        yield
        return
    second = subprocess.Popen(
        [sys.executable, "-m", "cosim.web.live.warming"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        second.kill()
        second.wait()


if __name__ == "__main__":
    run(Scenario().with_changes(**DAY))
