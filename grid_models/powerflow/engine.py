"""AC power flow of a feeder: a fast engine per topology, `pandapower.runpp` to verify it and as fall-back.

Law: an interval is converged, or not solved and NaN throughout; it never carries values of another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Complex, Floats, Ints
from grid_models.errors import EngineDisagreementError, GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.voltage_dependence import has_dependence
from grid_models.powerflow.admittance import (
    Matrices,
    build_network,
    find_bus_rows,
    find_voltage_sources,
    read_matrices,
)
from grid_models.powerflow.batch import solve_batch
from grid_models.powerflow.flow import Flow, make_no_phases
from grid_models.powerflow.kernel import Network
from grid_models.powerflow.readout import solve_voltages
from grid_models.powerflow.runpp import solve_by_runpp

TOLERANCE_PU = 1e-11
"""Root of the summed squared voltage changes of the last iteration."""
MAX_ITERATIONS = 100
"""Iterations after which an interval goes to `runpp`."""
VM_AGREEMENT_PU, LOADING_AGREEMENT_PERCENT = 1e-6, 1e-4


class Agreement(NamedTuple):
    """Largest differences between the fast engine and pandapower over a sample of n intervals.

    `why_not` says why none was compared, where the judge could not be asked.
    """

    max_vm_error_pu: float
    max_loading_error_percent: float
    n: int
    why_not: str = ""


def join_agreements(parts: Sequence[Agreement]) -> Agreement:
    """Largest differences over several samples."""
    why_not = next((part.why_not for part in parts if part.why_not), "")
    vm_pu, percent = (max(column) for column in list(zip(*parts, strict=True))[:2])
    return Agreement(vm_pu, percent, sum(part.n for part in parts), why_not)


class PowerFlow:
    """Power flow engine of one topology; immutable once made.

    Parameters
    ----------
    feeder
        The network. Whatever changes its admittances (switches, taps, lines in service) needs a new engine;
        `feeder.digest()` can serve as the key of a cache of engines.

    Attributes
    ----------
    feeder
        The network.
    refusal
        Why the fast engine cannot represent it, so that `runpp` solves everything; None if it can.
    slack_bus
        (G,) bus index of each source of fixed voltage; one of them where several buses are joined.
    matrices
        pandapower's internal model of the net.
    network
        The same as the compiled functions take it; None if refused.
    position
        Position of each internal bus in the order of the compiled functions, (i,).

    Raises
    ------
    GridError
        If pandapower cannot solve the net without the participants, or a line or transformer has no rating.

    Examples
    --------
    >>> from grid_models.feeder.generated import make_radial_feeder
    >>> engine = PowerFlow(make_radial_feeder(["a", "b", "c"], rng=np.random.default_rng(0)))
    >>> flow = engine.solve(np.array([[5.0, -2.0, -2.0]]))
    >>> bool(flow.converged[0]), flow.vm_pu.shape
    (True, (1, 8))
    """

    def __init__(self, feeder: Feeder) -> None:
        self.feeder = feeder
        self.refusal = find_refusal(feeder.net)
        self.matrices = read_matrices(feeder.net, feeder.name)
        self.slack_bus = find_slack_buses(feeder.net, self.matrices)
        self.network: Network | None = None
        self.position = np.empty(0, np.int64)
        if self.refusal is None:
            self.network, self.position = build_network(feeder.net, self.matrices, feeder.bus)

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

        Raises
        ------
        GridError
            If the shapes are not (K, N).
        """
        p, q = self._checked(p_kw, q_kvar)
        if self.network is None:
            return solve_by_runpp(self.feeder, p, q, matrices=self.matrices)
        found = solve_batch(self.network, p, q, TOLERANCE_PU, MAX_ITERATIONS)
        flow = Flow(found.iterations > 0, *found, np.zeros(p.shape[0], np.int8), *make_no_phases(p.shape[0]))
        if flow.converged.all():
            return flow
        failed = np.flatnonzero(~flow.converged)
        by_runpp = solve_by_runpp(self.feeder, p[failed], q[failed], matrices=self.matrices)
        return flow.with_intervals(failed, by_runpp)

    def voltages(self, p_kw: Floats, q_kvar: Floats | None = None) -> Complex | None:
        """Complex voltages, pu, of pandapower's internal buses for one interval of injections, (N,) each.

        None where the fast engine has no solution.
        """
        if self.network is None:
            return None
        p, q = self._checked(p_kw[None], None if q_kvar is None else q_kvar[None])
        iterations, pairs = solve_voltages(self.network, p, q, TOLERANCE_PU, MAX_ITERATIONS)
        return (pairs[:, 0] + 1j * pairs[:, 1])[self.position] if iterations else None

    @property
    def origin(self) -> PowerFlow:
        """Engine of the same topology at the voltages of its net: this one."""
        return self

    def judged_feeder(self) -> Feeder:
        """The feeder as whoever asks pandapower about a state of this engine needs it."""
        return self.feeder

    def verify(
        self,
        p_kw: Floats,
        q_kvar: Floats | None = None,
        sample: npt.ArrayLike | None = None,
        numbers: Ints | None = None,
    ) -> Agreement:
        """`verify_against_pandapower` on this engine."""
        return verify_against_pandapower(self, p_kw, q_kvar, sample, numbers)

    def _checked(self, p_kw: Floats, q_kvar: Floats | None) -> tuple[Floats, Floats]:
        p = np.ascontiguousarray(p_kw, dtype=np.float64)
        q = np.zeros_like(p) if q_kvar is None else np.ascontiguousarray(q_kvar, dtype=np.float64)
        if p.ndim != 2 or p.shape[1] != self.feeder.bus.size or q.shape != p.shape:
            raise GridError(
                f"power flow: expected injections of shape (K, {self.feeder.bus.size}), got {p.shape} and {q.shape}"
            )
        return p, q


def find_slack_buses(net: Any, matrices: Matrices) -> Ints:
    """Bus index of each reference bus: that of its first external grid, else of its first slack generator, (G,)."""
    index = np.empty(matrices.reference.size, np.int64)
    grids, gens = find_voltage_sources(net)
    for table in (gens, grids):
        column = np.searchsorted(matrices.reference, matrices.bus[find_bus_rows(net, table.bus)])
        index[column[::-1]] = table.bus.to_numpy(np.int64)[::-1]
    return index


def find_refusal(net: Any) -> str | None:
    """Why the fast engine cannot represent a net, None if it can; such nets are solved by `runpp` throughout."""
    if has_dependence(net):
        return "loads with voltage-dependent power (const_z_percent, const_i_percent)"
    gens = net.gen[net.gen.in_service.astype(bool)]
    if not gens.slack.astype(bool).all():
        return "generators that hold their voltage (gen without slack)"
    for table in ("ward", "xward", "dcline", "svc", "ssc", "tcsc", "vsc", "vsc_stacked", "vsc_bipolar"):
        if table in net and len(net[table]):
            return f"elements of type {table}"
    if net.get("user_pf_options"):
        return f"options of its own for runpp ({', '.join(sorted(net.user_pf_options))})"
    return None


def verify_against_pandapower(
    engine: PowerFlow,
    p_kw: Floats,
    q_kvar: Floats | None = None,
    sample: npt.ArrayLike | None = None,
    numbers: Ints | None = None,
) -> Agreement:
    """Solve intervals by the engine and by `pandapower.runpp` on the net as given, and compare voltages and loadings.

    So an error in attaching the participants is found, too.
    `runpp` converts the net at the first interval and takes only the injections anew at the others (its `recycle`).

    Parameters
    ----------
    engine
        The engine to verify.
    p_kw, q_kvar
        Injections of the participants, (K, N).
    sample
        Intervals to compare; all if left out.
    numbers
        What messages call the K intervals, (K,); their places if left out.

    Raises
    ------
    EngineDisagreementError
        If they differ by more than 1e-6 pu or 1e-4 % loading, or one solves what the other does not.
    """
    chosen = np.arange(p_kw.shape[0]) if sample is None else np.asarray(sample, dtype=np.int64)
    p = p_kw[chosen]
    q = np.zeros_like(p) if q_kvar is None else q_kvar[chosen]
    recycle = engine.network is not None
    judge = solve_by_runpp(engine.feeder.as_given(), p, q, matrices=engine.matrices, recycle=recycle)
    allowed, named = (VM_AGREEMENT_PU, LOADING_AGREEMENT_PERCENT), chosen if numbers is None else numbers[chosen]
    return compare_flows(engine.feeder.name, ("fast engine", engine.solve(p, q)), ("runpp", judge), named, allowed)


def compare_flows(
    network: str, ours: tuple[str, Flow], theirs: tuple[str, Flow], intervals: Ints, allowed: tuple[float, float]
) -> Agreement:
    """Largest differences between two solutions of the same K intervals.

    Parameters
    ----------
    network
        Its name, for messages.
    ours, theirs
        Names of the two programs, and what they found.
    intervals
        Numbers of the intervals, (K,), for messages.
    allowed
        Largest difference of a voltage, pu, and of a loading, %.

    Raises
    ------
    EngineDisagreementError
        If they differ by more, or one solves what the other does not.
    """
    (our_name, fast), (their_name, judge) = ours, theirs
    for k in np.flatnonzero(fast.converged != judge.converged):
        solved, failed = (our_name, their_name) if fast.converged[k] else (their_name, our_name)
        raise EngineDisagreementError(f"interval {intervals[k]}: the {solved} solved it, the {failed} did not")
    vm_error = largest_difference(fast.vm_pu, judge.vm_pu)
    loading_error = max(
        largest_difference(fast.line_loading_percent, judge.line_loading_percent),
        largest_difference(fast.trafo_loading_percent, judge.trafo_loading_percent),
    )
    if vm_error > allowed[0] or loading_error > allowed[1]:
        raise EngineDisagreementError(
            f"network '{network}': expected at most {allowed[0]} pu and {allowed[1]} % between the {our_name} and "
            f"{their_name}, got {vm_error:.2e} pu and {loading_error:.2e} %; please report the network"
        )
    return Agreement(vm_error, loading_error, int(intervals.size))


def largest_difference(a: Floats, b: Floats) -> float:
    """Largest |a - b|; infinite where only one of the two is a number."""
    difference = np.abs(a - b)
    difference[np.isnan(a) & np.isnan(b)] = 0.0
    difference[np.isnan(a) != np.isnan(b)] = np.inf
    return float(difference.max(initial=0.0))
