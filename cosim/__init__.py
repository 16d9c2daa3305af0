"""The story of an interval: market, setpoints, power flow, verdict, settlement, ledger.

>>> from cosim import Scenario, run
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.results.result import Result
    from cosim.scenario.model import Scenario
    from cosim.simulation.simulate import run

__all__ = ["Result", "Scenario", "run"]

_HOME = {
    "Scenario": "cosim.scenario.model",
    "Result": "cosim.results.result",
    "run": "cosim.simulation.simulate",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import cosim` stays quick."""
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'cosim' has no attribute '{name}'")
