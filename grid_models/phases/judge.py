"""Which other program solves a feeder's intervals again, and its answer as our own `Flow`.

Three phases are solved by `pandapower.runpp_3ph`. Four wires, which pandapower does not have, are solved by OpenDSS,
from a circuit that is written from the same data.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from grid_models.arrays import Complex, Floats
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.phases.connected import ConnectedCircuit, get_connections
from grid_models.phases.engine import PhaseFlow
from grid_models.phases.opendss import MAX_ITERATIONS, write_with_neutrals
from grid_models.phases.readout import make_phase_readout, read_phase_flow
from grid_models.phases.runpp_3ph import PhaseReference
from grid_models.powerflow.flow import Engine, Flow

TOLERANCES = (1e-12, 1e-10)
"""Of OpenDSS, the first that it reaches: the last digits of some intervals keep changing."""
STILL = 1e-10
"""Largest change of a voltage that stands still, relative to it, or to 1 V if it is less."""


def make_judge(feeder: Feeder, connected: ConnectedCircuit) -> PhaseReference | OpenDssReference:
    """The judge of a feeder's model.

    Parameters
    ----------
    feeder, connected
        The network, and its circuit.

    Raises
    ------
    GridError
        If it has four wires and OpenDSS is not installed.
    """
    if get_connections(feeder).wires is None:
        return PhaseReference(feeder, connected)
    return OpenDssReference(feeder, connected)


def name_judge(feeder: Feeder) -> str:
    """Name of the judge of a feeder's model."""
    return "pandapower.runpp_3ph" if get_connections(feeder).wires is None else "OpenDSS"


def load_opendss() -> Any:
    """The module of OpenDSS.

    Raises
    ------
    GridError
        If it is not installed.
    """
    try:
        return importlib.import_module("opendssdirect")
    except ImportError as reason:
        raise GridError(
            "four wires are judged by OpenDSS: expected the package OpenDSSDirect.py, found none; install it with "
            "pip install 'gridsettle[phases]'"
        ) from reason


class OpenDssReference:
    """A feeder prepared for OpenDSS, to be solved again and again.

    Parameters
    ----------
    feeder, connected
        The network, not changed, and its circuit.
    """

    def __init__(self, feeder: Feeder, connected: ConnectedCircuit) -> None:
        self._dss, self._connected = load_opendss(), connected
        self._readout = make_phase_readout(feeder.net, connected)
        self._script = write_with_neutrals(feeder.net, connected.net, connected.circuit)

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Flow of injections, (K, C) kW and kvar."""
        circuit, share = self._connected.circuit, self._connected.share
        drawn = circuit.power_kva - (share @ p_kw.T + 1j * (share @ q_kvar.T)).T
        for command in self._script.commands[:-1]:
            self._dss.Text.Command(command)
        solved = [self._solve_one(row) for row in drawn]
        v, current = (np.array(column).reshape(len(drawn), -1) for column in zip(*solved, strict=True))
        converged = np.isfinite(v).all(axis=1)
        found = PhaseFlow(converged, v, current, converged.astype(np.int64))
        return read_phase_flow(self._readout, found, drawn, Engine.RUNPP)

    def _solve_one(self, drawn_kva: Complex) -> tuple[Complex, Complex]:
        """Voltages of the nodes, V, and currents of the terminals, A; NaN without a solution."""
        dss, script = self._dss, self._script
        for k, power in enumerate(drawn_kva):
            dss.Text.Command(f"edit load.p{k} kw={float(power.real)!r} kvar={float(power.imag)!r}")
        if not (any(self._converges(tolerance) for tolerance in TOLERANCES) or self._stands_still()):
            return np.full(len(script.node), np.nan + 0j), np.full(len(script.terminals), np.nan + 0j)
        by_name = dict(zip((name.lower() for name in dss.Circuit.AllNodeNames()), self._read_voltages(), strict=True))
        currents = [self._read_current(element, place) for element, place in script.terminals]
        return np.array([by_name[name] for name in script.node]), np.array(currents)

    def _stands_still(self) -> bool:
        """Whether further iterations change no voltage beyond its last digits.

        OpenDSS takes changes relative to each voltage: where no current flows in a neutral, its voltage is noise, and
        never converges.
        """
        before = self._read_voltages()
        self._dss.Text.Command(f"set maxiterations={MAX_ITERATIONS + 1}")
        self._dss.Text.Command(self._script.commands[-1])
        self._dss.Text.Command(f"set maxiterations={MAX_ITERATIONS}")
        after = self._read_voltages()
        return bool(
            np.isfinite(after).all() and (np.abs(after - before) <= STILL * np.maximum(np.abs(after), 1.0)).all()
        )

    def _read_voltages(self) -> Complex:
        """Voltages of all nodes, V, in the order of OpenDSS."""
        return np.array(self._dss.Circuit.AllBusVolts()).view(np.complex128)

    def _converges(self, tolerance: float) -> bool:
        """Whether there is a solution to a tolerance, that of voltages in pu."""
        self._dss.Text.Command(f"set tolerance={tolerance!r}")
        self._dss.Text.Command(self._script.commands[-1])
        return bool(self._dss.Solution.Converged())

    def _read_current(self, element: str, place: int) -> complex:
        self._dss.Circuit.SetActiveElement(element)
        values = self._dss.CktElement.Currents()
        return complex(values[2 * place], values[2 * place + 1])
