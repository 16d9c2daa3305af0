"""AC power flow of a feeder: a fast engine per topology, pandapower as its judge and fall-back.

An interval is converged or not solved; what is not solved is NaN, never an old value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandapower as pp

from grid_models.admittance import RUNPP_OPTIONS, build_network
from grid_models.errors import EngineDisagreementError, GridError
from grid_models.feeder import Feeder
from grid_models.kernel import Floats, Ints, solve_all
from grid_models.pandapower_tables import with_injection_elements, write_injections

TOLERANCE_PU = 1e-11
MAX_ITERATIONS = 60
VM_AGREEMENT_PU, LOADING_AGREEMENT_PERCENT = 1e-6, 1e-4


class Engine(IntEnum):
    """Who solved an interval."""

    FAST = 0
    RUNPP = 1


@dataclass(frozen=True, eq=False)
class Flow:
    """AC solution of K intervals on B buses, L lines, R transformers, in the order of the net's tables.

    Attributes
    ----------
    converged
        (K,) whether an interval is solved; all its values are NaN where it is not.
    vm_pu
        (K, B) voltage magnitudes; NaN at buses without supply.
    line_loading_percent, trafo_loading_percent
        (K, L), (K, R); 0 where out of service.
    trafo_p_kw
        (K, R) active power entering each transformer at its high-voltage side.
    p_grid_kw, q_grid_kvar
        (K,) power from the external grid into the feeder.
    losses_kw
        (K,) active losses.
    iterations, engine
        (K,) iterations, and who solved it (`Engine`).
    """

    converged: npt.NDArray[np.bool_]
    vm_pu: Floats
    line_loading_percent: Floats
    trafo_loading_percent: Floats
    trafo_p_kw: Floats
    p_grid_kw: Floats
    q_grid_kvar: Floats
    losses_kw: Floats
    iterations: Ints
    engine: npt.NDArray[np.int8]

    def between(self, first: int, stop: int) -> Flow:
        """Intervals first … stop-1."""
        return Flow(*(getattr(self, name)[first:stop] for name in self.__dataclass_fields__))

    def at(self, k: int) -> Flow:
        """Interval k alone, K = 1."""
        return self.between(k, k + 1)

    def switched_off(self) -> Flow:
        """The same intervals with the feeder switched off: no voltage, no current, no losses."""
        values = {name: np.zeros_like(getattr(self, name)) for name in self.__dataclass_fields__}
        values["vm_pu"] = np.full_like(self.vm_pu, np.nan)
        values["converged"] = np.ones_like(self.converged)
        return Flow(**values)


class Agreement(NamedTuple):
    """Largest differences between the fast engine and pandapower over a sample."""

    max_vm_error_pu: float
    max_loading_error_percent: float
    n: int


class PowerFlow:
    """Engine of one topology; immutable once made.

    Parameters
    ----------
    feeder
        The network; whatever changes its admittances (switches, taps, lines in service) needs a new engine.
    tolerance_pu
        Largest voltage change of the last iteration.

    Raises
    ------
    GridError
        If pandapower cannot solve the net without the participants.

    Examples
    --------
    >>> from grid_models.generated import radial_feeder
    >>> engine = PowerFlow(radial_feeder(["a", "b", "c"], rng=np.random.default_rng(0)))
    >>> flow = engine.solve(np.array([[5.0, -2.0, -2.0]]))
    >>> bool(flow.converged[0]), round(float(flow.p_grid_kw[0]), 1)
    (True, 0.1)
    """

    def __init__(self, feeder: Feeder, *, tolerance_pu: float = TOLERANCE_PU) -> None:
        self.feeder = feeder
        self.refusal = refusal(feeder.net)
        self._tolerance_pu = tolerance_pu
        self._network, self._matrices = build_network(feeder.net, feeder.bus)

    @property
    def unsupplied(self) -> npt.NDArray[np.bool_]:
        """(N,) participants whose bus no source reaches; their injection has no effect."""
        return np.asarray(self._network.participant < 0)

    def solve(self, p_kw: Floats, q_kvar: Floats | None = None) -> Flow:
        """Solve K intervals.

        Parameters
        ----------
        p_kw, q_kvar
            Injections of the participants, (K, N), positive into the network; no reactive power if left out.

        Returns
        -------
        Flow
            Intervals that the fast engine does not solve are tried by `pandapower.runpp`; what that does not solve
            either is not converged.
        """
        p = np.ascontiguousarray(p_kw, dtype=np.float64)
        q = np.zeros_like(p) if q_kvar is None else np.ascontiguousarray(q_kvar, dtype=np.float64)
        if p.ndim != 2 or p.shape[1] != self.feeder.bus.size or q.shape != p.shape:
            raise GridError(
                f"power flow: expected injections of shape (K, {self.feeder.bus.size}), got {p.shape} and {q.shape}"
            )
        if self.refusal is not None:
            return reference_flow(self.feeder, p, q)
        found = solve_all(self._network, p, q, self._tolerance_pu, MAX_ITERATIONS)
        flow = Flow(
            found.iterations > 0,
            *found[3:7],
            *found[7:],
            found.iterations,
            np.zeros(p.shape[0], np.int8),
        )
        failed = np.flatnonzero(~flow.converged)
        return (
            flow
            if failed.size == 0
            else _filled(flow, failed, reference_flow(self.feeder, p[failed], q[failed]))
        )

    def verify(self, p_kw: Floats, q_kvar: Floats | None = None) -> Agreement:
        """`verify_against_pandapower` on this engine's feeder."""
        return verify_against_pandapower(self, p_kw, q_kvar)


def _filled(flow: Flow, rows: npt.NDArray[np.intp], other: Flow) -> Flow:
    columns = {}
    for name in Flow.__dataclass_fields__:
        column = getattr(flow, name).copy()
        column[rows] = getattr(other, name)
        columns[name] = column
    return Flow(**columns)


def refusal(net: Any) -> str | None:
    """Why the fast engine cannot represent a net, None if it can; such nets are solved by `runpp` throughout."""
    for table in ("load", "storage", "sgen"):
        for column in ("const_z_percent", "const_i_percent", "const_z_p_percent", "const_i_p_percent"):
            if column in net[table] and (net[table][column].fillna(0) != 0).any():
                return f"{table} with voltage-dependent power ({column})"
    for column in ("const_z_q_percent", "const_i_q_percent"):
        if column in net.load and (net.load[column].fillna(0) != 0).any():
            return f"load with voltage-dependent power ({column})"
    gen = net.gen[net.gen.in_service.astype(bool)] if len(net.gen) else net.gen
    if len(gen) and not gen.slack.astype(bool).all():
        return "generator that holds its voltage (gen without slack)"
    for table in ("xward", "ward", "dcline", "trafo3w", "motor", "svc", "ssc", "tcsc", "vsc", "impedance"):
        if table in net and len(net[table]):
            return f"element of type {table}"
    for table in ("asymmetric_load", "asymmetric_sgen"):
        if table in net and len(net[table]):
            return f"element of type {table}"
    return None


def reference_flow(feeder: Feeder, p_kw: Floats, q_kvar: Floats, *, tolerance_mva: float = 1e-11) -> Flow:
    """Solve every interval by `pandapower.runpp`, the model of record.

    Parameters
    ----------
    feeder
        The network.
    p_kw, q_kvar
        Injections of the participants, (K, N).
    tolerance_mva
        Newton-Raphson's tolerance.
    """
    net, index = with_injection_elements(feeder)
    n_intervals = p_kw.shape[0]
    flow = _not_solved(net, n_intervals)
    for k in range(n_intervals):
        write_injections(net, index, p_kw[k], q_kvar[k])
        try:
            pp.runpp(net, tolerance_mva=tolerance_mva, **RUNPP_OPTIONS)
        except pp.LoadflowNotConverged:
            continue
        if not net.converged or (net.res_ext_grid.p_mw.isna().all() and net.res_gen.p_mw.isna().all()):
            continue
        _read_results(net, flow, k)
    return flow


def _not_solved(net: Any, n_intervals: int) -> Flow:
    def nan(*shape: int) -> Floats:
        return np.full((n_intervals, *shape), np.nan)

    n_trafos = len(net.trafo)
    return Flow(
        np.zeros(n_intervals, dtype=bool),
        nan(len(net.bus)),
        nan(len(net.line)),
        nan(n_trafos),
        nan(n_trafos),
        nan(),
        nan(),
        nan(),
        np.zeros(n_intervals, np.int64),
        np.full(n_intervals, Engine.RUNPP, np.int8),
    )


def _read_results(net: Any, flow: Flow, k: int) -> None:
    """Copy pandapower's results of one interval; it writes NaN for branches out of service, the engine 0."""
    flow.converged[k] = True
    flow.vm_pu[k] = net.res_bus.vm_pu
    flow.line_loading_percent[k] = net.res_line.loading_percent.fillna(0.0)
    flow.trafo_loading_percent[k] = net.res_trafo.loading_percent.fillna(0.0)
    flow.trafo_p_kw[k] = net.res_trafo.p_hv_mw.fillna(0.0) * 1000.0
    flow.p_grid_kw[k] = (net.res_ext_grid.p_mw.sum() + net.res_gen.p_mw.sum()) * 1000.0
    flow.q_grid_kvar[k] = (net.res_ext_grid.q_mvar.sum() + net.res_gen.q_mvar.sum()) * 1000.0
    losses = sum(net[f"res_{table}"].pl_mw.sum() for table in ("line", "trafo"))
    flow.losses_kw[k] = losses * 1000.0
    flow.iterations[k] = net._ppc["iterations"]


def verify_against_pandapower(engine: PowerFlow, p_kw: Floats, q_kvar: Floats | None = None) -> Agreement:
    """Solve the given intervals by both engines and compare voltages and loadings.

    Parameters
    ----------
    engine
        The fast engine.
    p_kw, q_kvar
        Injections of the participants, (K, N).

    Raises
    ------
    EngineDisagreementError
        If they differ by more than 1e-6 pu or 1e-4 % loading, or one solves what the other does not.
    """
    q = np.zeros_like(p_kw) if q_kvar is None else q_kvar
    fast, judge = engine.solve(p_kw, q), reference_flow(engine.feeder, p_kw, q)
    if not np.array_equal(fast.converged, judge.converged):
        k = int(np.flatnonzero(fast.converged != judge.converged)[0])
        raise EngineDisagreementError(f"sample {k}: one of the engines solved it, the other did not")
    pairs = (
        (fast.line_loading_percent, judge.line_loading_percent),
        (fast.trafo_loading_percent, judge.trafo_loading_percent),
    )
    vm_error = _largest_difference(fast.vm_pu, judge.vm_pu)
    loading_error = max(_largest_difference(a, b) for a, b in pairs)
    if vm_error > VM_AGREEMENT_PU or loading_error > LOADING_AGREEMENT_PERCENT:
        raise EngineDisagreementError(
            f"expected at most {VM_AGREEMENT_PU} pu and {LOADING_AGREEMENT_PERCENT} % between the fast engine and "
            f"pandapower, got {vm_error:.2e} pu and {loading_error:.2e} %; please report the network"
        )
    return Agreement(vm_error, loading_error, int(p_kw.shape[0]))


def _largest_difference(a: Floats, b: Floats) -> float:
    """Largest |a - b|; infinite where only one of the two is a number."""
    if a.size == 0:
        return 0.0
    difference = np.abs(a - b)
    difference[np.isnan(a) & np.isnan(b)] = 0.0
    difference[np.isnan(a) != np.isnan(b)] = np.inf
    return float(difference.max())
