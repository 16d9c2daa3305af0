"""Power flow of a feeder whose head, the bus of its external grid, has another voltage in each interval.

Where all injections are constant powers, nothing is solved anew. Let a·V be the voltages with the head at a times its
own voltage. Then `a·V = a·V₀ + Y⁻¹·conj(S/(a·V))`, so that V solves `V = V₀ + Y⁻¹·conj((S/a²)/V)`: the feeder at its
own voltage with all injections divided by a². Voltages and currents are then a times, powers a² times as large; shunts
and no-load losses follow the square of the voltage by themselves.

Law: an interval's result is the same to the bit whatever other intervals are solved beside it.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Complex, Floats, Ints
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder, Given
from grid_models.powerflow.engine import (
    LOADING_AGREEMENT_PERCENT,
    MAX_ITERATIONS,
    TOLERANCE_PU,
    VM_AGREEMENT_PU,
    Agreement,
    PowerFlow,
    compare_flows,
)
from grid_models.powerflow.flow import Flow, make_no_phases
from grid_models.powerflow.kernel import Network
from grid_models.powerflow.readout import solve_all, solve_voltages
from grid_models.powerflow.runpp import solve_by_runpp
from grid_models.ranges import check_range

LOWEST_HEAD_PU, HIGHEST_HEAD_PU = 0.5, 1.5


class Head(NamedTuple):
    """The head of a feeder, prepared for voltages of its own.

    Attributes
    ----------
    engine
        The feeder's engine at the voltage of its net.
    network
        As the compiled functions take it, with the net's constant injections as X further participants.
    fixed_kva
        These injections, complex (X,).
    vm_pu
        Voltage of the head in the net.
    """

    engine: PowerFlow
    network: Network
    fixed_kva: Complex
    vm_pu: float


def make_head(engine: PowerFlow) -> Head:
    """Prepare the head of a feeder.

    Raises
    ------
    GridError
        If the fast engine cannot represent the feeder, or it has not exactly one source, an external grid.
    """
    where = f"network '{engine.feeder.name}'"
    if engine.network is None:
        raise GridError(
            f"{where}: expected a net of constant powers, whose head can have any voltage, got {engine.refusal}; take "
            "these out"
        )
    n_sources, n_grids = engine.matrices.reference.size, int(engine.network.is_grid.sum())
    if (n_sources, n_grids) != (1, 1):
        raise GridError(
            f"{where}: expected one source, an external grid at the bus that is the feeder's head, got {n_sources} "
            f"buses of fixed voltage, {n_grids} of them with an external grid; keep one"
        )
    network, own = engine.network, np.flatnonzero(engine.network.fixed.any(axis=1))
    return Head(
        engine,
        network._replace(fixed=np.zeros_like(network.fixed), participant=np.concatenate([network.participant, own])),
        (network.fixed[own, 0] + 1j * network.fixed[own, 1]) * network.base_kw,
        float(np.abs(engine.matrices.voltage[engine.matrices.reference[0]])),
    )


class HeadPowerFlow(PowerFlow):
    """Engine of a feeder at a voltage of its head for each interval, or at one for all of them.

    Parameters
    ----------
    head
        Of `make_head`.
    vm_pu
        Voltages of the head, (K,) for the K intervals that are solved, or (1,).

    Raises
    ------
    GridError
        If a voltage is not from 0.5 to 1.5 pu.

    Examples
    --------
    >>> from grid_models.feeder.generated import make_radial_feeder
    >>> engine = PowerFlow(make_radial_feeder(["a", "b"], n_branches=1, rng=np.random.default_rng(0)))
    >>> flow = HeadPowerFlow(make_head(engine), np.array([0.98, 1.03])).solve(np.zeros((2, 2)))
    >>> flow.vm_pu[:, 0].round(3).tolist()
    [0.98, 1.03]
    """

    def __init__(self, head: Head, vm_pu: Floats) -> None:
        check_range("voltage of the head", vm_pu.tolist(), LOWEST_HEAD_PU, HIGHEST_HEAD_PU, remedy="give it in pu")
        vars(self).update(vars(head.engine))
        self.head, self.vm_pu = head, np.ascontiguousarray(vm_pu, np.float64)

    @property
    def origin(self) -> PowerFlow:
        """Engine of the same topology at the voltage of its net."""
        return self.head.engine

    def solve(self, p_kw: Floats, q_kvar: Floats | None = None) -> Flow:
        """`PowerFlow.solve` with the head at its voltages.

        Raises
        ------
        GridError
            If the shapes are not (K, N), or there are other than K or one voltage.
        """
        p, q = self._checked(p_kw, q_kvar)
        n = len(p)
        factor = self._factors(n)
        found = solve_all(self.head.network, *self._scale(p, q, factor), TOLERANCE_PU, MAX_ITERATIONS)
        flow = Flow(found.iterations > 0, *found, np.zeros(n, np.int8), *make_no_phases(n))
        flow = _scale_flow(flow, factor)
        failed = np.flatnonzero(~flow.converged)
        return flow.with_intervals(failed, self._solve_by_runpp(p, q, failed)) if failed.size else flow

    def voltages(self, p_kw: Floats, q_kvar: Floats | None = None) -> Complex | None:
        """`PowerFlow.voltages` with the head at its one voltage."""
        p, q = self._checked(p_kw[None], None if q_kvar is None else q_kvar[None])
        factor = self._factors(1)
        network = self.head.network
        iterations, pairs = solve_voltages(network, *self._scale(p, q, factor), TOLERANCE_PU, MAX_ITERATIONS)
        return factor[0] * (pairs[:, 0] + 1j * pairs[:, 1])[self.position] if iterations else None

    def verify(
        self,
        p_kw: Floats,
        q_kvar: Floats | None = None,
        sample: npt.ArrayLike | None = None,
        numbers: Ints | None = None,
    ) -> Agreement:
        """`PowerFlow.verify` with the head at its voltages."""
        chosen = np.arange(len(p_kw)) if sample is None else np.asarray(sample, dtype=np.int64)
        p, q = self._checked(p_kw, q_kvar)
        theirs = self._solve_by_runpp(p, q, chosen, given=True)
        ours = self.solve(p, q)
        ours = Flow._make(column[chosen] for column in ours)
        allowed = VM_AGREEMENT_PU, LOADING_AGREEMENT_PERCENT
        called = chosen if numbers is None else numbers[chosen]
        return compare_flows(self.feeder.name, ("fast engine", ours), ("runpp", theirs), called, allowed)

    def judged_feeder(self) -> Feeder:
        """The feeder with the one voltage of its head in the net, as whoever asks pandapower needs it."""
        return with_head_voltage(self.feeder, float(self._factors(1)[0] * self.head.vm_pu))

    def _factors(self, n_intervals: int) -> Floats:
        """The head's voltages over that of the net, (K,)."""
        if self.vm_pu.size not in (1, n_intervals):
            raise GridError(
                f"power flow: expected a voltage of the head for each of {n_intervals} intervals, got {self.vm_pu.size}"
            )
        return np.array(np.broadcast_to(self.vm_pu / self.head.vm_pu, n_intervals))

    def _scale(self, p_kw: Floats, q_kvar: Floats, factor: Floats) -> tuple[Floats, Floats]:
        """Injections of participants and net, (K, N + X), over the squares of the factors."""
        square, fixed = (factor**2)[:, None], self.head.fixed_kva
        shape = len(p_kw), fixed.size
        p, q = (np.broadcast_to(part, shape) for part in (fixed.real, fixed.imag))
        return np.hstack([p_kw, p]) / square, np.hstack([q_kvar, q]) / square

    def _solve_by_runpp(self, p: Floats, q: Floats, intervals: npt.NDArray[np.int64], *, given: bool = False) -> Flow:
        """These intervals by pandapower, each with the head's voltage in the net, or in the net as it was given."""
        feeder = self.feeder.as_given() if given else self.feeder
        vm_pu = self._factors(len(p)) * self.head.vm_pu
        flows = [
            solve_by_runpp(
                with_head_voltage(feeder, float(vm_pu[k])), p[k : k + 1], q[k : k + 1], matrices=self.matrices
            )
            for k in intervals
        ]
        return Flow.concatenate(flows)


def _scale_flow(flow: Flow, factor: Floats) -> Flow:
    """A flow at the net's own voltage as that of injections that are the squares of the factors, (K,), as large."""
    linear = ("vm_pu", "line_loading_percent", "trafo_loading_percent")
    square = ("trafo_p_kw", "p_slack_kw", "q_slack_kvar", "p_grid_kw", "q_grid_kvar", "losses_kw")
    changed = {name: (factor * getattr(flow, name).T).T for name in linear}
    changed |= {name: (factor**2 * getattr(flow, name).T).T for name in square}
    return flow._replace(**changed)


def with_head_voltage(feeder: Feeder, vm_pu: float) -> Feeder:
    """The feeder with this voltage of its external grids, pu, in its net and in the one that was given."""
    net = deepcopy(feeder.net)
    net.ext_grid["vm_pu"] = vm_pu
    if feeder.given is None or feeder.given.attached is not feeder.net:
        return replace(feeder, net=net, given=None)
    given = deepcopy(feeder.given.net)
    given.ext_grid["vm_pu"] = vm_pu
    return replace(feeder, net=net, given=Given(given, net))
