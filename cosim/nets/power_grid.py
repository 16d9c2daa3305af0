"""Ask power-grid-model for the solution of a pandapower net in three phases."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats
from grid_models.errors import GridError
from grid_models.phases.power_grid import PowerGridInput
from grid_models.phases.sequence import TO_SEQUENCES

TOLERANCES_PU = (1e-12, 1e-10, 1e-8)
"""Of power-grid-model's Newton-Raphson, the first it reaches: rounding on long feeders stays above the tightest."""
HELD_PU = 1e-11
"""To what the sources' voltages are held."""
MAX_ITERATIONS = 30
MAX_MOVES = 50
FIRST_MOVE = 1e-4
"""Of the voltage behind the impedance of each source."""


class PowerGridSolution(NamedTuple):
    """Complex voltages of all nodes, (n, 3) V, and currents of both ends of branches, (b, 2, 3) A."""

    v: Complex
    current_a: Floats


def solve_power_grid(pgm: Any, given: PowerGridInput) -> PowerGridSolution:
    """Solve by the module `power_grid_model`.

    Its sources hold a voltage behind an impedance, ours the positive sequence at the bus. So theirs are moved until
    nothing is missing there, by how the buses answer to a first move of each.

    Raises
    ------
    GridError
        If there is no solution.
    """
    rows = {kind: _fill(pgm, kind, components) for kind, components in given.components.items()}
    buses = [bus for bus, _ in given.held]
    rated = rows["node"]["u_rated"][buses] / np.sqrt(3.0)

    def find(behind: Complex) -> tuple[Any, Complex, Complex]:
        """Results, voltages of all nodes and positive sequences of the buses, for voltages behind the impedances."""
        rows["source"]["u_ref"], rows["source"]["u_ref_angle"] = np.abs(behind) / rated, np.angle(behind)
        found = _calculate(pgm, rows, given.frequency_hz)
        v = found["node"]["u"] * np.exp(1j * found["node"]["u_angle"])
        return found, v, (v @ TO_SEQUENCES.T)[buses, 1]

    wanted = np.array([v for _, v in given.held])
    first, steps = find(wanted)[2], np.diag(FIRST_MOVE * wanted)
    answers = np.stack([(find(wanted + step)[2] - first) / step.sum() for step in steps], axis=1)
    behind = wanted
    for _ in range(MAX_MOVES):
        found, v, held = find(behind)
        if (np.abs(wanted - held) < HELD_PU * rated).all():
            ends = [[found[kind][column][at] for kind, at, column in pair] for pair in given.ends]
            return PowerGridSolution(v, np.array(ends).reshape(-1, 2, 3))
        behind = behind + np.linalg.solve(answers, wanted - held)
    raise GridError("--judge pgm: expected sources of power-grid-model to hold their voltage, got one that does not")


def _fill(pgm: Any, kind: str, components: list[dict[str, Any]]) -> Any:
    """Input array of components."""
    rows = pgm.initialize_array("input", kind, len(components))
    for column in components[0]:
        rows[column] = [component[column] for component in components]
    return rows


def _calculate(pgm: Any, rows: dict[str, Any], frequency_hz: float) -> Any:
    """Results of power-grid-model; what it raises becomes a message."""
    said = ""
    for tolerance in TOLERANCES_PU:
        try:
            model = pgm.PowerGridModel(rows, system_frequency=frequency_hz)
            return model.calculate_power_flow(symmetric=False, error_tolerance=tolerance, max_iterations=MAX_ITERATIONS)
        except Exception as reason:  # of classes of its own, which are not known before it is imported
            said = " ".join(str(reason).split())
    raise GridError(f"--judge pgm: expected a solution of power-grid-model, got {said}")
