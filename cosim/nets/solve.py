"""Solve a network as given, in one of three models."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from pandapower.powerflow import LoadflowNotConverged

from cosim.nets.models import Model
from cosim.nets.solution import NetSolution
from grid_models.arrays import Complex, Floats, Ints
from grid_models.errors import GridError, shorten
from grid_models.feeder.elements import complete_taps, drop_solver_options
from grid_models.feeder.feeder import check_net
from grid_models.feeder.net_file import LEFT_OUT, read_net
from grid_models.phases.engine import PhaseFlow, PhasePowerFlow
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.net_loads import remove_loads, sum_net_powers
from grid_models.phases.sequence import PHASES, TO_PHASES
from grid_models.phases.tables import Tables, read_tables
from grid_models.phases.three_phase import ThreePhaseNet, make_three_phase, rated_currents_a
from grid_models.powerflow.admittance import Matrices, branch_admittances, build_network, read_matrices
from grid_models.powerflow.engine import MAX_ITERATIONS, TOLERANCE_PU, find_refusal
from grid_models.powerflow.readout import solve_voltages

NEUTRAL_NOTE = "conductor n of a branch is the return current through neutral and earth together"


def choose_model(word: str, path: Path) -> Model:
    """The model of a word; without one that which a folder or file has.

    Raises
    ------
    GridError
        If there is no such model.
    """
    if not word:
        return Model.FOUR_WIRE if path.is_dir() else Model.BALANCED
    if word not in set(Model):
        raise GridError(f"--model: expected {', '.join(Model)}, got '{shorten(word)}'")
    return Model(word)


def read_network(path: Path, model: Model) -> Any:
    """Pandapower net of a file, or tables of a folder, as the model needs it.

    Raises
    ------
    GridError
        If it cannot be read, or the model does not fit the kind of file.
    """
    if model is Model.FOUR_WIRE:
        if path.is_file():
            raise GridError(
                f"{path}: expected a folder of tables for four_wire, since a net has no neutral, got a file; "
                "see docs/how-to/phases.md, or use --model three_phase"
            )
        return read_tables(path)
    if path.is_dir():
        raise GridError(
            f"{path}: expected a pandapower JSON file for {model}, got a folder; a folder of tables is solved by "
            "--model four_wire"
        )
    net = read_net(path)
    check_net(str(path), net)
    drop_solver_options(net)
    complete_taps(net)
    return net


def solve_network(network: Any, model: Model, where: str = "network") -> NetSolution:
    """Solve what `read_network` returned; `where` begins messages.

    Raises
    ------
    GridError
        If the model cannot represent the network.
    """
    try:
        return _solve(network, model)
    except GridError as error:
        said = str(error)
        raise GridError(where + said.removeprefix("network") if said.startswith("network, ") else said) from error


def _solve(network: Any, model: Model) -> NetSolution:
    if model is Model.FOUR_WIRE:
        return solve_four_wire(network)
    found = solve_three_phase(network) if model is Model.THREE_PHASE else solve_balanced(network)
    return found._replace(notes=(*network.get(LEFT_OUT, ()), *found.notes))


def solve_four_wire(tables: Tables) -> NetSolution:
    """Solve a folder of tables with four wires."""
    circuit = make_four_wire(tables)
    engine = PhasePowerFlow(circuit)
    flow = engine.solve(circuit.power_kva[None])
    places = list(zip(circuit.bus, circuit.conductor, strict=True))
    buses, unbalance = engine.unbalance_percent(flow.v)
    return NetSolution(
        Model.FOUR_WIRE,
        bool(flow.converged[0]),
        dict(zip(places, flow.v[0], strict=True)),
        dict(zip(places, circuit.base_v, strict=True)),
        dict(zip(engine.terminals, flow.current_a[0], strict=True)),
        dict(zip(engine.terminals, engine.rated_a, strict=True)),
        dict(zip(buses, unbalance[0], strict=True)),
        (),
    )


def solve_three_phase(net: Any) -> NetSolution:
    """Solve a pandapower net in three phases, its neutral earthed everywhere."""
    made = make_three_phase(net)
    engine = PhasePowerFlow(made.circuit)
    flow = engine.solve(made.circuit.power_kva[None])
    v = np.append(flow.v[0].reshape(-1, 3), np.full((1, 3), np.nan + 0j), axis=0)[made.matrices.bus]
    unbalance = np.append(_unbalance(made, engine, flow), np.nan)[made.matrices.bus]
    current, rated = _with_neutral(engine, flow, net)
    return NetSolution(
        Model.THREE_PHASE,
        bool(flow.converged[0]),
        _by_place(net, v),
        _base_voltages(net),
        current,
        rated,
        {str(bus): float(value) for bus, value in zip(net.bus.index, unbalance, strict=True)},
        (*made.notes, NEUTRAL_NOTE),
    )


def _unbalance(made: ThreePhaseNet, engine: PhasePowerFlow, flow: PhaseFlow) -> Floats:
    """Unbalance of each internal bus."""
    buses, values = engine.unbalance_percent(flow.v)
    by_name = dict(zip(buses, values[0], strict=True))
    return np.array([by_name[name] for name in made.circuit.bus[::3]])


def _with_neutral(engine: PhasePowerFlow, flow: PhaseFlow, net: Any) -> tuple[dict[Any, complex], dict[Any, float]]:
    """Currents and ratings of all lines and transformers, with what returns as conductor n; 0 where none flows."""
    known = dict(zip(engine.terminals, flow.current_a[0], strict=True))
    missing = 0.0 if flow.converged[0] else np.nan
    current: dict[Any, complex] = {}
    rated: dict[Any, float] = {}
    for (branch, end), limit in _list_ends(net):
        of_phases = [known.get((branch, end, phase), missing) for phase in PHASES]
        for conductor, value in zip((*PHASES, "n"), (*of_phases, -sum(of_phases)), strict=True):
            current[branch, end, conductor], rated[branch, end, conductor] = value, limit
    return current, rated


def _list_ends(net: Any) -> list[tuple[tuple[str, str], float]]:
    """Branch, end and rated current of both ends of lines, then of transformers."""
    names = [(f"line {i}", ("from", "to")) for i in net.line.index] + [
        (f"trafo {i}", ("hv", "lv")) for i in net.trafo.index
    ]
    return [
        ((name, end), float(limit))
        for (name, ends), limits in zip(names, rated_currents_a(net), strict=True)
        for end, limit in zip(ends, limits, strict=True)
    ]


def solve_balanced(net: Any) -> NetSolution:
    """Solve a pandapower net with all phases alike, by the engine of the market's runs, or else by `runpp`."""
    matrices, voltage, by = _find_balanced(net)
    v = np.append(voltage, np.nan)[matrices.bus][:, None] * TO_PHASES[:, 1]
    current: dict[Any, complex] = {}
    rated: dict[Any, float] = {}
    values = _balanced_currents(matrices, voltage).ravel()
    for ((branch, end), limit), value in zip(_list_ends(net), values, strict=True):
        for phase, turn in zip(PHASES, TO_PHASES[:, 1], strict=True):
            current[branch, end, phase], rated[branch, end, phase] = value * turn, limit
    return NetSolution(
        Model.BALANCED,
        bool(np.isfinite(voltage).all()),
        _by_place(net, v * net.bus.vn_kv.to_numpy(np.float64)[:, None] * 1000.0 / np.sqrt(3.0)),
        _base_voltages(net),
        current,
        rated,
        {},
        by,
    )


def _find_balanced(net: Any) -> tuple[Matrices, Complex, tuple[str, ...]]:
    """Internal model, voltages of its buses in pu, NaN without a solution, and a note on who solved it."""
    bare = deepcopy(net)
    remove_loads(bare)
    refusal = find_refusal(net)
    if refusal is None:
        matrices = read_matrices(bare)
        bus, power_kva = sum_net_powers(net)
        network, position = build_network(bare, matrices, bus)
        p, q = -power_kva.real[None], -power_kva.imag[None]
        iterations, pairs = solve_voltages(network, p, q, TOLERANCE_PU, MAX_ITERATIONS)
        if iterations:
            return matrices, (pairs[:, 0] + 1j * pairs[:, 1])[position], ()
    try:
        solved = read_matrices(net)
    except GridError as error:
        if not isinstance(error.__cause__, LoadflowNotConverged):
            raise
        matrices = read_matrices(bare)
        return matrices, np.full(matrices.base_kv.size, np.nan + 0j), ()
    return solved, solved.voltage, (f"solved by pandapower.runpp: {refusal or 'the fast engine found no solution'}",)


def _balanced_currents(matrices: Matrices, voltage: Complex) -> Complex:
    """Current into both ends of lines and transformers, (L + R, 2) A; 0 where none flows."""
    pairs = branch_admittances(matrices)
    y = (pairs[:, 0::2] + 1j * pairs[:, 1::2]).reshape(-1, 2, 2)
    ends: Ints = np.where(matrices.branch[:, None] >= 0, matrices.ends[matrices.branch], 0)
    base_a = matrices.base_mva * 1e3 / (np.sqrt(3.0) * matrices.base_kv[ends])
    return np.asarray(np.einsum("bij,bj->bi", y, voltage[ends]) * base_a)


def _by_place(net: Any, v: Complex) -> dict[tuple[str, str], complex]:
    """Voltages (B, 3) by bus and phase."""
    return {
        (str(bus), phase): complex(value)
        for bus, row in zip(net.bus.index, v, strict=True)
        for phase, value in zip(PHASES, row, strict=True)
    }


def _base_voltages(net: Any) -> dict[tuple[str, str], float]:
    base = net.bus.vn_kv.to_numpy(np.float64) * 1000.0 / np.sqrt(3.0)
    return {(str(bus), phase): float(v) for bus, v in zip(net.bus.index, base, strict=True) for phase in PHASES}
