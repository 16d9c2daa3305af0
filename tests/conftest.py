"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# As the command line does: BLAS threads on small matrices cost more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Compiled functions take seconds on their first call; that is no sign of a slow test.
settings.register_profile("gridsettle", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gridsettle")
