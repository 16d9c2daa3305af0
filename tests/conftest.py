"""Settings for all tests."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings

# As the command line does: BLAS threads on small matrices cost more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Workers and the commands that tests start share what is compiled, and keep it from one run of tests to the next.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "numba"))

# Compiled functions take seconds on their first call; that is no sign of a slow test. Where a change is judged (CI is
# set) laws draw the same examples every time; everywhere else new ones in every run.
settings.register_profile(
    "gridsettle",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    max_examples=60 if os.environ.get("CI") else 100,
)
settings.load_profile("gridsettle")

# A library below eth-account raises the limit of recursion when it is first imported; the product takes that back.
_LIMIT = sys.getrecursionlimit()
with suppress(ImportError):
    import eth_account  # noqa: F401
sys.setrecursionlimit(_LIMIT)


def pytest_configure() -> None:
    """Keep what other libraries compile as ours is kept: two processes at once may mix up numba's own index of it."""
    from numba.core import caching

    from market.compiled import CodeFiles

    caching.IndexDataCacheFile = CodeFiles
