"""Unbalanced power flow of a circuit: many intervals at once, every conductor's voltage and current.

Law: an interval is converged, or not solved and NaN throughout; it never carries values of another one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.errors import GridError
from grid_models.phases.admittance import BASE_KVA, list_terminals, make_model
from grid_models.phases.circuit import Circuit
from grid_models.phases.kernel import solve_intervals
from grid_models.phases.sequence import PHASES, voltage_unbalance_percent

TOLERANCE_PU = 1e-12
"""Root of the summed squared changes of port voltages in the last iteration."""
MAX_ITERATIONS = 2000
"""Iterations after which there is no solution; near collapse hundreds are needed."""


class PhaseFlow(NamedTuple):
    """Solution of K intervals on n nodes and c terminals.

    Attributes
    ----------
    converged
        (K,) whether an interval is solved.
    v
        (K, n) complex voltages to earth, V.
    current_a
        (K, c) complex currents into the branches, by their terminals, A.
    iterations
        (K,) iterations, 0 where there is no solution.
    """

    converged: Mask
    v: Complex
    current_a: Complex
    iterations: Ints


class PhasePowerFlow:
    """Power flow engine of one circuit; immutable once made.

    Parameters
    ----------
    circuit
        The circuit.

    Attributes
    ----------
    circuit
        The circuit.
    model
        The same as the compiled functions take it, with what reads voltages and currents.
    terminals
        Branch, end and conductor of each of the c terminals.
    rated_a
        (c,) current at 100 % loading of each.

    Raises
    ------
    GridError
        If a node has no way to a source or to earth.

    Examples
    --------
    A one-phase load sees the resistance of the phase and of the neutral: 2·R·I.

    >>> import numpy as np
    >>> from grid_models.phases.circuit import EARTH, Branch, Circuit, Source
    >>> from grid_models.phases.sequence import TO_PHASES
    >>> z = 0.5 * np.eye(4)
    >>> y = np.kron(np.array([[1, -1], [-1, 1]]), np.linalg.inv(z)).astype(complex)
    >>> cable = Branch(
    ...     "cable", np.arange(8), ("from",) * 4 + ("to",) * 4, ("a", "b", "c", "n") * 2, y, np.full(8, 100.0),
    ...     tuple((k, k + 4) for k in range(4)),
    ... )
    >>> source = Source(np.arange(3), 230.0 * TO_PHASES[:, 1], np.zeros(3, complex))
    >>> circuit = Circuit(
    ...     ("near",) * 4 + ("far",) * 4, ("a", "b", "c", "n") * 2, np.full(8, 230.0), (cable,), (source,),
    ...     np.array([3]), np.array([1e9 + 0j]), np.array([4]), np.array([7]), np.array([2.2 + 0j]),
    ... )
    >>> flow = PhasePowerFlow(circuit).solve(circuit.power_kva[None])
    >>> v = flow.v[0, 4] - flow.v[0, 7]
    >>> float(v.real.round(6)), float((230.0 - 2 * 0.5 * 2200.0 / v).real.round(6))
    (220.0, 220.0)
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.model = make_model(circuit)
        self.terminals = list_terminals(circuit)
        self.rated_a: Floats = np.concatenate([branch.rated_a for branch in circuit.branches] or [np.zeros(0)])

    def solve(self, power_kva: Complex, tolerance_pu: float = TOLERANCE_PU) -> PhaseFlow:
        """Solve K intervals.

        Parameters
        ----------
        power_kva
            Complex power drawn at the ports, (K, m) kVA; generation is negative.
        tolerance_pu
            Root of the summed squared changes of port voltages in the last iteration.

        Raises
        ------
        GridError
            If the shape is not (K, m).
        """
        s = -np.asarray(power_kva, dtype=np.complex128) / BASE_KVA
        if s.ndim != 2 or s.shape[1] != self.circuit.port_from.size:
            raise GridError(f"power flow: expected powers of shape (K, {self.circuit.port_from.size}), got {s.shape}")
        p, q = np.ascontiguousarray(s.real), np.ascontiguousarray(s.imag)
        # Allocated by numpy, which asks for huge pages: touching small ones for the first time took half of the time.
        v, current_a = (np.empty((len(s), size), np.complex128) for size in (len(self.circuit.bus), self.rated_a.size))
        pairs = v.view(np.float64).reshape(*v.shape, 2), current_a.view(np.float64).reshape(*current_a.shape, 2)
        network, *readouts = self.model
        iterations = solve_intervals(network, p, q, tolerance_pu, MAX_ITERATIONS, (*readouts, *pairs))
        return PhaseFlow(iterations > 0, v, current_a, iterations)

    def unbalance_percent(self, v: Complex) -> tuple[list[str], Floats]:
        """Buses with three phases, U of them, and their voltage unbalance factors, (K, U), of voltages (K, n)."""
        place = {node: k for k, node in enumerate(zip(self.circuit.bus, self.circuit.conductor, strict=True))}
        buses = [bus for bus in dict.fromkeys(self.circuit.bus) if all((bus, phase) in place for phase in PHASES)]
        nodes = np.array([[place[bus, phase] for phase in PHASES] for bus in buses], dtype=np.int64).reshape(-1, 3)
        return buses, voltage_unbalance_percent(v[:, nodes])
