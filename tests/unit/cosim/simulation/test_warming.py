"""What the second process of a first run compiles is what runs need."""

from __future__ import annotations

import pytest

from cosim import Scenario, run
from cosim.curtailment.feasible import Outcome
from cosim.delivery.window import settle_window
from cosim.simulation import compile_ahead, warming


def test_the_day_that_is_run_has_an_outage_and_curtailment() -> None:
    outcomes = run(Scenario().with_changes(**warming.DAY)).summary["network"]["outcomes"]
    assert outcomes["curtailed"] > 0
    assert outcomes["islanded"] >= 3
    assert compile_ahead.is_compiled("balanced")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["balanced", "three_phase"])
def test_what_is_needed_last_is_compiled_first(model: str) -> None:
    """It runs through in every model, curtails, and begins without a window of intervals: that is the run's task."""
    before = len(settle_window.stats.cache_hits) + len(settle_window.stats.cache_misses)
    noon = warming.compile_last_first(warming.make_noon(model))
    assert noon.feasible.outcome == Outcome.CURTAILED
    assert len(settle_window.stats.cache_hits) + len(settle_window.stats.cache_misses) == before
