"""gridsettle as a value federate of HELICS: the names are those of mosaik, behind the name of the federate.

One second into an interval the federate takes what was published until then, runs the interval and publishes what
became of it. So who publishes at the begin of an interval is heard in it, and hears of it at the begin of the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import helics

from cosim.coupling import names
from cosim.coupling.entities import COMMUNITY, READ, list_network, read_voltage
from cosim.coupling.stepped import SteppedInterval, SteppedRun
from cosim.errors import ScenarioError
from cosim.results.result import Result
from cosim.scenario.model import Scenario
from data.errors import DataError
from grid_models.errors import GridError
from market.errors import MarketError

BAD_INPUT = (ScenarioError, DataError, GridError, MarketError)
OFFSET_S = 1.0
"""When in an interval it is run."""
_OF_HOUSE = (names.POWER, names.TRADED, names.CURTAILED, names.SHED)
_OF_COMMUNITY = (names.PRICE, *_OF_HOUSE)
_ERROR_CODE = 2


def run_federate(
    scenario: Scenario, out: str | Path, *, name: str = "gridsettle", core: str = "zmq", init: str = ""
) -> Result:
    """Run a scenario as a federate, from its first interval to its last.

    Parameters
    ----------
    scenario, out
        What is run, and a new or empty directory.
    name
        Of the federate; inputs and publications are `NAME/House-0/P_load[MW]` and the like.
    core, init
        Type of the HELICS core, and its options, such as `--brokerport=23404`.

    Returns
    -------
    Result
        The finished run.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used, or the federation ends before the run. The whole federation is told.
    """
    with SteppedRun.open(scenario, out) as stepped:
        with _join(name, core, init) as federate:
            ports = _Ports(federate, name, stepped)
            try:
                helics.helicsFederateEnterExecutingMode(federate)
                ports.check()
                while not stepped.is_over:
                    _wait(federate, stepped)
                    inputs = names.make_inputs(*ports.read(), stepped.case.interval_minutes)
                    ports.publish(stepped.run_interval(inputs, durable=False), stepped.head())
            except BAD_INPUT as reason:
                helics.helicsFederateGlobalError(federate, _ERROR_CODE, f"{name}: {reason}")
                raise
            except helics.HelicsException as reason:
                helics.helicsFederateGlobalError(federate, _ERROR_CODE, f"{name}: {reason}")
                t = stepped.next_interval
                raise ScenarioError(f"interval {t}: expected a federation that goes on, got: {reason}") from None
        return stepped.finish()


@contextmanager
def _join(name: str, core: str, init: str) -> Iterator[Any]:
    """A federate of HELICS, disconnected at the end."""
    info = helics.helicsCreateFederateInfo()
    try:
        helics.helicsFederateInfoSetCoreTypeFromString(info, core)
        helics.helicsFederateInfoSetCoreInitString(info, f"--federates=1 {init}")
        helics.helicsFederateInfoSetFlagOption(info, helics.HELICS_FLAG_UNINTERRUPTIBLE, True)
        federate = helics.helicsCreateValueFederate(name, info)
    except helics.HelicsException as reason:
        raise ScenarioError(
            f"HELICS: expected a broker that takes {name}, got: {reason}; start helics_broker first, see --core, --init"
        ) from None
    try:
        yield federate
    finally:
        helics.helicsFederateDisconnect(federate)
        helics.helicsFederateFree(federate)


def _wait(federate: Any, stepped: SteppedRun) -> None:
    """Wait for the time at which the next interval is run."""
    t = stepped.next_interval
    wanted = t * stepped.case.interval_minutes * 60 + OFFSET_S
    granted = helics.helicsFederateRequestTime(federate, wanted)
    if granted != wanted:
        raise ScenarioError(f"interval {t}: expected time {wanted:g} s, got {granted:g} s; the federation has ended")


class _Ports:
    """Inputs and publications of the federate."""

    def __init__(self, federate: Any, name: str, stepped: SteppedRun) -> None:
        self._houses = {f"House-{k}": house for k, house in enumerate(stepped.houses)}
        network = [child["eid"] for child in list_network(stepped)]
        self._place_of_bus = {eid: k for k, eid in enumerate(each for each in network if each.startswith("Bus-"))}
        self._is_given: set[tuple[str, str]] = set()

        def publish(key: tuple[str, str], kind: Any) -> Any:
            return helics.helicsFederateRegisterGlobalPublication(federate, f"{name}/{'/'.join(key)}", kind, "")

        def take(key: tuple[str, str]) -> Any:
            kind = helics.HELICS_DATA_TYPE_DOUBLE
            return helics.helicsFederateRegisterGlobalInput(federate, f"{name}/{'/'.join(key)}", kind, "")

        taken = [(eid, attribute) for eid in self._houses for attribute in names.HOUSE_INPUTS]
        told = [(eid, attribute) for eid in self._houses for attribute in _OF_HOUSE]
        told += [(COMMUNITY, attribute) for attribute in _OF_COMMUNITY]
        told += [(eid, names.VOLTAGE if eid in self._place_of_bus else names.LOADING) for eid in network]
        self._inputs = {key: take(key) for key in [*taken, (COMMUNITY, names.UTILITY_PRICE)]}
        self._numbers = {key: publish(key, helics.HELICS_DATA_TYPE_DOUBLE) for key in told}
        texts = [(COMMUNITY, names.OUTCOME), (COMMUNITY, names.BLOCK_HASH)]
        self._outcome, self._hash = (publish(key, helics.HELICS_DATA_TYPE_STRING) for key in texts)

    def check(self) -> None:
        """Check that no input has several sources: HELICS would take one of them in silence."""
        for key, port in self._inputs.items():
            n = helics.helicsInputGetOption(port, helics.HELICS_HANDLE_OPTION_CONNECTIONS)
            if n > 1:
                raise ScenarioError(f"{'/'.join(key)}: expected one source, got {n}; connect one")

    def read(self) -> tuple[dict[str, dict[str, list[float]]], dict[str, list[float]]]:
        """Values of the houses by their names, and those of the whole, as far as they were ever given."""
        found: dict[str, dict[str, list[float]]] = {}
        for key, port in self._inputs.items():
            if helics.helicsInputIsUpdated(port):
                self._is_given.add(key)
            if key in self._is_given:
                found.setdefault(key[0], {})[key[1]] = [helics.helicsInputGetDouble(port)]
        whole = found.pop(COMMUNITY, {})
        return {self._houses[eid]: values for eid, values in found.items()}, whole

    def publish(self, last: SteppedInterval, block_hash: str) -> None:
        """Publish what became of an interval."""
        for (eid, attribute), port in self._numbers.items():
            model, _, number = eid.partition("-")
            if model == "Bus":
                value = read_voltage(last.vm_pu[self._place_of_bus[eid]], attribute)
            else:
                value = READ[model, attribute](last, int(number or 0))
            helics.helicsPublicationPublishDouble(port, value)
        helics.helicsPublicationPublishString(self._outcome, last.outcome)
        helics.helicsPublicationPublishString(self._hash, block_hash)
