"""gridsettle: local energy trades that settle only if the wires can carry them.

This module is the public API: what `__all__` names, documented in docs/api.md. Everything else may change. A name is
imported when it is first used, so that `import cosim` is quick.

>>> from cosim import Scenario, run
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.audit.audit import audit_ledger
    from cosim.audit.rerun import rerun_ledger
    from cosim.coupling.inputs import IntervalInputs
    from cosim.coupling.stepped import SteppedInterval, SteppedRun
    from cosim.errors import ScenarioError
    from cosim.portfolio.portfolio import Portfolio, run_portfolio
    from cosim.prices.local_prices import LocalPrices, find_local_prices
    from cosim.report.comparison import compare_runs
    from cosim.results.result import Result
    from cosim.scenario.model import Scenario
    from cosim.simulation.simulate import run
    from cosim.studies.hosting.compared import ComparedHosting, compare_stochastic_hosting
    from cosim.studies.hosting.study import StochasticHosting, find_stochastic_hosting
    from cosim.validation.envelopes import OperatingEnvelopes, find_operating_envelopes
    from cosim.validation.hosting import Hosting, find_hosting
    from cosim.validation.validate import Validation, validate
    from data.errors import DataError
    from grid_models.errors import GridError
    from market.errors import MarketError
    from market.ledger.check.verify import verify_ledger

    __version__: str

__all__ = [
    "ComparedHosting",
    "DataError",
    "GridError",
    "Hosting",
    "IntervalInputs",
    "LocalPrices",
    "MarketError",
    "OperatingEnvelopes",
    "Portfolio",
    "Result",
    "Scenario",
    "ScenarioError",
    "SteppedInterval",
    "SteppedRun",
    "StochasticHosting",
    "Validation",
    "audit_ledger",
    "compare_runs",
    "compare_stochastic_hosting",
    "find_hosting",
    "find_local_prices",
    "find_operating_envelopes",
    "find_stochastic_hosting",
    "rerun_ledger",
    "run",
    "run_portfolio",
    "validate",
    "verify_ledger",
]

_HOME = {
    "ComparedHosting": "cosim.studies.hosting.compared",
    "DataError": "data.errors",
    "GridError": "grid_models.errors",
    "Hosting": "cosim.validation.hosting",
    "IntervalInputs": "cosim.coupling.inputs",
    "LocalPrices": "cosim.prices.local_prices",
    "MarketError": "market.errors",
    "OperatingEnvelopes": "cosim.validation.envelopes",
    "Portfolio": "cosim.portfolio.portfolio",
    "Result": "cosim.results.result",
    "Scenario": "cosim.scenario.model",
    "ScenarioError": "cosim.errors",
    "SteppedInterval": "cosim.coupling.stepped",
    "SteppedRun": "cosim.coupling.stepped",
    "StochasticHosting": "cosim.studies.hosting.study",
    "Validation": "cosim.validation.validate",
    "audit_ledger": "cosim.audit.audit",
    "compare_runs": "cosim.report.comparison",
    "compare_stochastic_hosting": "cosim.studies.hosting.compared",
    "find_hosting": "cosim.validation.hosting",
    "find_local_prices": "cosim.prices.local_prices",
    "find_operating_envelopes": "cosim.validation.envelopes",
    "find_stochastic_hosting": "cosim.studies.hosting.study",
    "rerun_ledger": "cosim.audit.rerun",
    "run": "cosim.simulation.simulate",
    "run_portfolio": "cosim.portfolio.portfolio",
    "validate": "cosim.validation.validate",
    "verify_ledger": "market.ledger.check.verify",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name == "__version__":
        value = import_module("cosim.simulation.version").find_version("gridsettle")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'cosim' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, used or not, for completion."""
    return [*globals(), *__all__]
