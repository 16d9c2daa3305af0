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
MAX_MOVES = 200


class PowerGridSolution(NamedTuple):
    """Complex voltages of all nodes, (n, 3) V, and currents of both ends of branches, (b, 2, 3) A."""

    v: Complex
    current_a: Floats


def solve_power_grid(pgm: Any, given: PowerGridInput) -> PowerGridSolution:
    """Solve by the module `power_grid_model`.

    Its sources hold a voltage behind an impedance, ours the positive sequence at the bus. So theirs are moved by what
    is missing there until nothing is.

    Raises
    ------
    GridError
        If there is no solution.
    """
    rows = {kind: _fill(pgm, kind, components) for kind, components in given.components.items()}
    rated = rows["node"]["u_rated"][[bus for bus, _ in given.held]] / np.sqrt(3.0)
    wanted = np.array([v for _, v in given.held])
    behind = wanted.copy()
    for _ in range(MAX_MOVES):
        rows["source"]["u_ref"], rows["source"]["u_ref_angle"] = np.abs(behind) / rated, np.angle(behind)
        found = _calculate(pgm, rows, given.frequency_hz)
        v = found["node"]["u"] * np.exp(1j * found["node"]["u_angle"])
        missing = wanted - np.array([(TO_SEQUENCES @ v[bus])[1] for bus, _ in given.held])
        if (np.abs(missing) < HELD_PU * rated).all():
            ends = [[found[kind][column][at] for kind, at, column in pair] for pair in given.ends]
            return PowerGridSolution(v, np.array(ends).reshape(-1, 2, 3))
        behind = behind + missing
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
