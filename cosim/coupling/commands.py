"""Commands that start gridsettle as a simulator of others, in a process of its own."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

from cosim.errors import ScenarioError
from cosim.scenario.files import load_scenario
from data.errors import DataError
from grid_models.errors import GridError
from market.errors import MarketError


def run_mosaik() -> NoReturn:
    """The command `gridsettle-mosaik`: connect to mosaik, or wait for it, as its options say."""
    check_package("mosaik_api_v3", "mosaik")
    api, simulator = import_module("mosaik_api_v3"), import_module("cosim.coupling.mosaik").Simulator()
    sys.exit(api.start_simulation(simulator, "gridsettle as a simulator of mosaik"))


def run_helics() -> None:
    """The command `gridsettle-helics`: run a scenario as a federate of a HELICS federation."""
    parser = argparse.ArgumentParser("gridsettle-helics", description="gridsettle as a value federate of HELICS")
    parser.add_argument("scenario", help="a scenario's file or the name of a bundled one")
    parser.add_argument("--out", required=True, help="a new or empty directory for ledger and results")
    parser.add_argument("--name", default="gridsettle", help="name of the federate")
    parser.add_argument("--core", default="zmq", help="type of the HELICS core")
    parser.add_argument("--init", default="", help="options of the core, --init=--brokerport=23404")
    asked = parser.parse_args()
    check_package("helics", "helics")
    run_federate = import_module("cosim.coupling.helics").run_federate
    try:
        scenario = load_scenario(asked.scenario)
        run_federate(scenario, asked.out, name=asked.name, core=asked.core, init=asked.init)
    except (ScenarioError, DataError, GridError, MarketError) as reason:
        end(str(reason))


def check_package(module: str, extra: str) -> None:
    """End with one message where a package of an extra is not installed; exit code 2."""
    if find_spec(module) is None:
        end(f"expected the extra '{extra}', got no module {module}; pip install 'gridsettle[{extra}]'")


def end(message: str) -> NoReturn:
    """End with one message on stderr; exit code 2."""
    sys.stderr.write(f"gridsettle: {message}\n")
    sys.exit(2)
