"""The check of the power flow at a run's end: which interval it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grid_models.powerflow.engine
from cosim import Scenario, run
from grid_models.errors import EngineDisagreementError
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.runpp import solve_by_runpp


@pytest.mark.slow
def test_an_interval_that_engines_disagree_on_has_its_number_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of 24 hours are compared, 0, 11 and 23; pandapower is made to fail in the second."""

    def fail_in_second(*of_net: Any, **words: Any) -> Flow:
        flow = solve_by_runpp(*of_net, **words)
        return flow._replace(converged=np.array([True, False, True]))

    monkeypatch.setattr(grid_models.powerflow.engine, "solve_by_runpp", fail_in_second)
    balanced = Scenario().with_changes(
        horizon={"hours": 24},
        houses={"n_houses": 4, "n_prosumers": 2},
        engine={"verify_sample": 3},
        network={"model": "balanced"},
    )
    with pytest.raises(EngineDisagreementError, match="interval 11: the fast engine solved it, the runpp did not"):
        run(balanced)
