"""Solve the same network by a program of others, and say the largest difference."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from copy import deepcopy
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp

from cosim.nets.models import Model
from cosim.nets.opendss import write_opendss
from cosim.nets.power_grid import solve_power_grid
from cosim.nets.solution import NetSolution
from grid_models.errors import GridError, shorten
from grid_models.feeder.net_file import LEFT_OUT
from grid_models.phases.admittance import list_terminals
from grid_models.phases.power_grid import write_power_grid
from grid_models.phases.runpp_3ph import count_every_load
from grid_models.phases.sequence import PHASES, TO_PHASES
from grid_models.phases.three_phase import ThreePhaseNet, make_three_phase
from grid_models.powerflow.admittance import MAX_ITERATIONS, RUNPP_OPTIONS

ENDS = (("line", "from"), ("line", "to"), ("trafo", "hv"), ("trafo", "lv"))
"""Tables of branches of a pandapower net, and their ends."""


class Judge(StrEnum):
    """Programs that can be asked."""

    RUNPP = "runpp"
    RUNPP_3PH = "runpp_3ph"
    OPENDSS = "opendss"
    PGM = "pgm"


class Answer(NamedTuple):
    """What a judge found, by the same places as a solution: complex voltages, V, and currents, A."""

    v: dict[tuple[str, str], complex]
    current_a: dict[tuple[str, str, str], float]


class Difference(NamedTuple):
    """Largest differences between a solution and a judge, and where they are."""

    voltage_pu: float
    place: str
    current_a: float
    terminal: str


def choose_judge(word: str, model: Model) -> Judge:
    """The judge of a word, if it knows the model and is installed.

    Raises
    ------
    GridError
        If there is none.
    """
    fitting = [judge.value for judge, models in MODELS.items() if model in models]
    if word not in fitting:
        raise GridError(f"--judge: expected a judge of the model {model} ({', '.join(fitting)}), got '{shorten(word)}'")
    if word in EXTRAS:
        load_extra(*EXTRAS[Judge(word)])
    return Judge(word)


def compare(found: NetSolution, network: Any, judge: Judge) -> Difference:
    """Ask a judge and compare.

    Raises
    ------
    GridError
        If the judge finds no solution.
    """
    answer = ASK[judge](network)
    v, place = _largest({at: (found.v[at] / found.base_v[at], answer.v[at] / found.base_v[at]) for at in answer.v})
    i, terminal = _largest({at: (abs(found.current_a[at]), answer.current_a[at]) for at in answer.current_a})
    return Difference(v, place, i, terminal)


def _largest(pairs: dict[Any, tuple[complex, complex]]) -> tuple[float, str]:
    """Largest |a − b| and its place; infinite where only one of the two is a number."""
    worst, where = 0.0, ""
    for place, (a, b) in pairs.items():
        lacking = np.isnan(a), np.isnan(b)
        difference = 0.0 if all(lacking) else np.inf if any(lacking) else float(abs(a - b))
        if difference >= worst:
            worst, where = difference, ", ".join(place)
    return worst, where


def ask_runpp(net: Any) -> Answer:
    """Balanced solution of `pandapower.runpp`."""
    solved = _solve(pp.runpp, net, tolerance_mva=1e-11, max_iteration=MAX_ITERATIONS, **RUNPP_OPTIONS)
    vm = solved.res_bus.vm_pu.to_numpy() * solved.bus.vn_kv.to_numpy() * 1000.0 / np.sqrt(3.0)
    v = vm * np.exp(1j * np.radians(solved.res_bus.va_degree.to_numpy()))
    voltages = {
        (str(bus), phase): complex(value * turn)
        for bus, value in zip(solved.bus.index, v, strict=True)
        for phase, turn in zip(PHASES, TO_PHASES[:, 1], strict=True)
    }
    currents = {
        (f"{table} {index}", end, phase): 1000.0 * float(value)
        for table, end in ENDS
        for index, value in solved[f"res_{table}"][f"i_{end}_ka"].items()
        for phase in PHASES
    }
    return Answer(voltages, currents)


def ask_runpp_3ph(net: Any) -> Answer:
    """Solution of `pandapower.runpp_3ph`, tightened as far as it can be.

    It leaves out storages, and loads whose type is not exactly wye or delta, without a word; here they are balanced
    loads between phases and earth, as in our own model.
    """
    given = count_every_load(net)
    solved = _solve(pp.runpp_3ph, given, max_iteration=100, numba=False)
    voltages = {}
    for phase in PHASES:
        base = solved.bus.vn_kv * 1000.0 / np.sqrt(3.0)
        angle = np.radians(solved.res_bus_3ph[f"va_{phase}_degree"])
        v = (solved.res_bus_3ph[f"vm_{phase}_pu"] * base).to_numpy() * np.exp(1j * angle.to_numpy())
        voltages.update({(str(bus), phase): complex(value) for bus, value in zip(solved.bus.index, v, strict=True)})
    currents = {
        (f"{table} {index}", end, phase): 1000.0 * float(value)
        for table, end in ENDS
        for phase in PHASES
        for index, value in solved[f"res_{table}_3ph"][f"i_{phase}_{end}_ka"].items()
    }
    return Answer(voltages, currents)


def _solve(run: Callable[..., None], net: Any, **options: Any) -> Any:
    """A solved copy of a net; what pandapower raises becomes a message."""
    solved = deepcopy(net)
    solved.pop(LEFT_OUT, None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(solved, **options)
    except Exception as reason:  # pandapower raises its own, UserWarning, KeyError and numpy's errors
        name = getattr(run, "__name__", "judge")
        raise GridError(
            f"--judge {name}: expected a solution of pandapower, got {type(reason).__name__}: {reason}"
        ) from reason
    return solved


def ask_opendss(network: Any) -> Answer:
    """Solution of OpenDSS for a circuit that is written from the same data."""
    dss = load_extra(*EXTRAS[Judge.OPENDSS])
    script, circuit, made = write_opendss(network)
    places = list(zip(circuit.bus, circuit.conductor, strict=True))
    for command in script.commands:
        dss.Text.Command(command)
    if not dss.Solution.Converged():
        raise GridError("--judge opendss: expected a solution of OpenDSS, got none")
    pairs = np.array(dss.Circuit.AllBusVolts()).view(np.complex128)
    by_name = dict(zip((name.lower() for name in dss.Circuit.AllNodeNames()), pairs, strict=True))
    v = np.array([by_name[name] for name in script.node])
    voltages = dict(zip(places, v, strict=True)) if made is None else _by_bus(network, made, v.reshape(-1, 3))
    currents = [abs(_read_current(dss, element, k)) for element, k in script.terminals]
    return Answer(voltages, dict(zip(list_terminals(circuit), currents, strict=True)))


def ask_power_grid_model(net: Any) -> Answer:
    """Solution of power-grid-model for components that are written from the same data."""
    made = make_three_phase(net)
    written = write_power_grid(net, made)
    found = solve_power_grid(load_extra(*EXTRAS[Judge.PGM]), written)
    voltages = _by_bus(net, made, found.v[: made.matrices.base_kv.size])
    return Answer(voltages, dict(zip(list_terminals(made.circuit), found.current_a.ravel(), strict=True)))


def _by_bus(net: Any, made: ThreePhaseNet, v: Any) -> dict[tuple[str, str], complex]:
    """Voltages of internal buses, (i, 3), by the net's buses; NaN without supply."""
    of_bus = np.append(v, np.full((1, 3), np.nan + 0j), axis=0)[made.matrices.bus]
    places = [(str(bus), phase) for bus in net.bus.index for phase in PHASES]
    return dict(zip(places, of_bus.ravel(), strict=True))


def _read_current(dss: Any, element: str, k: int) -> complex:
    dss.Circuit.SetActiveElement(element)
    values = dss.CktElement.Currents()
    return complex(values[2 * k], values[2 * k + 1])


def load_extra(module: str, package: str) -> Any:
    """A module of an optional package; raises `GridError` with how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as reason:
        raise GridError(
            f"--judge: expected the package {package}, found none; install it with pip install 'gridsettle[phases]'"
        ) from reason


EXTRAS = {
    Judge.OPENDSS: ("opendssdirect", "OpenDSSDirect.py"),
    Judge.PGM: ("power_grid_model", "power-grid-model"),
}
"""Module and package of judges that are not installed with us."""
MODELS: dict[Judge, tuple[Model, ...]] = {
    Judge.RUNPP: (Model.BALANCED,),
    Judge.RUNPP_3PH: (Model.THREE_PHASE,),
    Judge.OPENDSS: (Model.THREE_PHASE, Model.FOUR_WIRE),
    Judge.PGM: (Model.THREE_PHASE,),
}
ASK: dict[Judge, Callable[[Any], Answer]] = {
    Judge.RUNPP: ask_runpp,
    Judge.RUNPP_3PH: ask_runpp_3ph,
    Judge.OPENDSS: ask_opendss,
    Judge.PGM: ask_power_grid_model,
}
