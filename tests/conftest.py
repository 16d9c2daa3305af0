"""Settings for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Compiled functions take seconds on their first call; that is no sign of a slow test.
settings.register_profile("gridsettle", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gridsettle")
