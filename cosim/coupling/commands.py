"""Commands that start gridsettle as a simulator of others, in a process of its own."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn


def run_mosaik() -> NoReturn:
    """The command `gridsettle-mosaik`: connect to mosaik, or wait for it, as its options say."""
    check_package("mosaik_api_v3", "mosaik")
    api, simulator = import_module("mosaik_api_v3"), import_module("cosim.coupling.mosaik").Simulator()
    sys.exit(api.start_simulation(simulator, "gridsettle as a simulator of mosaik"))


def check_package(module: str, extra: str) -> None:
    """End with one message where a package of an extra is not installed; exit code 2."""
    if find_spec(module) is None:
        end(f"expected the extra '{extra}', got no module {module}; pip install 'gridsettle[{extra}]'")


def end(message: str) -> NoReturn:
    """End with one message on stderr; exit code 2."""
    sys.stderr.write(f"gridsettle: {message}\n")
    sys.exit(2)
