"""Ask OpenDSS about a checked script, in a second process with a deadline, in an empty folder of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cosim.nets.importing.dss import engine
from cosim.nets.importing.dss.script import Command
from grid_models.arrays import Complex
from grid_models.errors import GridError, shorten

DEADLINE_S = 120
MOST_ELEMENTS = 100_000


class Element(NamedTuple):
    """An element as the engine tells it.

    Attributes
    ----------
    kind, name
        Class and name.
    properties
        What `PROPERTIES` of the engine's process names.
    nodes
        Bus, node and terminal of each of its k conductors; node 0 is earth.
    y
        (k, k) S: currents into the conductors per voltage to earth.
    power_kva
        Into all of its conductors together.
    opened
        Whether each of its terminals is open.
    """

    kind: str
    name: str
    properties: dict[str, str]
    nodes: tuple[tuple[str, int, int], ...]
    y: Complex
    power_kva: complex
    opened: tuple[bool, ...]

    @property
    def full(self) -> str:
        """Class and name, as scripts spell it."""
        return f"{self.kind}.{self.name}"

    def number(self, name: str) -> float:
        """Property that is a number."""
        return float(self.properties[name])

    def numbers(self, name: str) -> list[float]:
        """Property that is a list of numbers."""
        return [float(word) for word in self.properties[name].strip("[]() ").replace(",", " ").split()]


class Shape(NamedTuple):
    """Multipliers of a load shape; `actual` where they are kW. `q` is empty where it follows `p`."""

    minutes: float
    p: tuple[float, ...]
    q: tuple[float, ...]
    actual: bool


class Compiled(NamedTuple):
    """A circuit that OpenDSS has compiled and solved.

    Attributes
    ----------
    frequency_hz
        Of the solution.
    voltage
        V to earth of each node, by bus and node.
    base_kv
        Phase-to-earth base of each bus; 0 where none was set.
    elements
        Those with conductors that are enabled.
    controls, disabled
        Class and name of the others that are enabled, and of all that are not.
    shapes
        Load shapes that elements name.
    """

    frequency_hz: float
    voltage: dict[tuple[str, int], complex]
    base_kv: dict[str, float]
    elements: tuple[Element, ...]
    controls: tuple[str, ...]
    disabled: tuple[str, ...]
    shapes: dict[str, Shape]


def compile_script(commands: tuple[Command, ...], where: str, deadline_s: int = DEADLINE_S) -> Compiled:
    """Have commands compiled and the circuit solved.

    Raises
    ------
    GridError
        If OpenDSS is not installed, refuses a command, finds no solution, or does not end in time.
    """
    told = _ask(commands, where, deadline_s)
    if "failed" in told:
        place, words = told["failed"]
        at = commands[place].place if place >= 0 else where
        raise GridError(f"{at}: expected a command that OpenDSS takes, got '{shorten(words)}'")
    if not told["converged"]:
        said = f" ({shorten(told['words'])})" if told["words"] else ""
        raise GridError(
            f"{where}: expected a circuit that OpenDSS solves, got no solution{said}; mend the circuit there"
        )
    if len(told["elements"]) > MOST_ELEMENTS:
        raise GridError(f"{where}: expected at most {MOST_ELEMENTS:,} elements, got {len(told['elements']):,}")
    v = np.array(told["voltages"]).view(np.complex128)
    places = [(name.rpartition(".")[0], int(name.rpartition(".")[2])) for name in told["nodes"]]
    return Compiled(
        float(told["frequency_hz"]),
        dict(zip(places, v.tolist(), strict=True)),
        told["base_kv"],
        tuple(_read_element(one) for one in told["elements"] if one["enabled"] and "nodes" in one),
        tuple(f"{one['kind']}.{one['name']}" for one in told["elements"] if one["enabled"] and "nodes" not in one),
        tuple(f"{one['kind']}.{one['name']}" for one in told["elements"] if not one["enabled"]),
        {
            name: Shape(one["minutes"], tuple(one["p"]), tuple(one["q"]), one["actual"])
            for name, one in told["shapes"].items()
        },
    )


def _read_element(one: dict[str, Any]) -> Element:
    k = len(one["nodes"])
    y = np.array(one["yprim"]).view(np.complex128)
    return Element(
        one["kind"],
        one["name"],
        one["properties"],
        tuple((bus, node, terminal) for bus, node, terminal in one["nodes"]),
        y.reshape(k, k) if y.size else np.zeros((k, k), np.complex128),
        complex(np.array(one["powers"]).view(np.complex128).sum()),
        tuple(one["open"]),
    )


def _ask(commands: tuple[Command, ...], where: str, deadline_s: int) -> Any:
    if importlib.util.find_spec("opendssdirect") is None:
        raise GridError(
            f"{where}: expected the package OpenDSSDirect.py, found none; install it with "
            "pip install 'gridsettle[phases]'"
        )
    asked = json.dumps({"commands": [command.text for command in commands], "seconds": deadline_s})
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-P", str(Path(engine.__file__).resolve())],
                input=asked.encode(),
                capture_output=True,
                cwd=folder,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GridError(
                f"{where}: expected a circuit that OpenDSS compiles and solves in {deadline_s} s, got none; make it "
                "smaller"
            ) from None
    if done.returncode or not done.stdout:
        raise GridError(
            f"{where}: expected a circuit that OpenDSS compiles and solves, got an end of its process (exit code "
            f"{done.returncode}); make the circuit smaller or mend it there"
        )
    return json.loads(done.stdout)
