"""AC power flow of a feeder whose participants are on phases; the same interface as `grid_models.powerflow.engine`.

Law: an interval is converged, or not solved and NaN throughout; it never carries values of another one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Complex, Floats, Ints
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.phases.connected import connect_feeder, get_connections
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.judge import make_judge, name_judge
from grid_models.phases.opendss import write_with_neutrals
from grid_models.phases.readout import Limited, make_phase_readout, read_limited, read_phase_flow, source_phase_powers
from grid_models.powerflow.engine import Agreement, compare_flows, find_slack_buses
from grid_models.powerflow.flow import Engine, Flow

VM_AGREEMENT_PU, LOADING_AGREEMENT_PERCENT = 1e-6, 1e-3
"""Between us and the judge; `runpp_3ph` stops at some 1e-8 pu."""
NEUTRAL_BASE_V = 230.0
SLICE = 512
"""Intervals that are solved before their voltages and currents become magnitudes: so memory is bounded."""


class FeederPhaseFlow:
    """Unbalanced power flow engine of one topology of a feeder; immutable once made.

    Parameters
    ----------
    feeder
        The network, with the connections of its participants.

    Attributes
    ----------
    feeder
        The network.
    connected
        Its circuit with the participants' ports.
    engine
        Power flow of that circuit.
    matrices
        pandapower's internal model of the net without loads.
    slack_bus
        (G,) bus index of each source, as in `PowerFlow`.
    refusal
        None: what cannot be represented is an error here.

    Raises
    ------
    GridError
        If the net cannot be represented in three phases, or a conductor has no way to a source or to earth.
    """

    refusal: str | None = None

    def __init__(self, feeder: Feeder) -> None:
        self.feeder = feeder
        self.connected = connect_feeder(feeder)
        if get_connections(feeder).wires is not None:  # what its judge cannot be given, no audit could confirm
            write_with_neutrals(feeder.net, self.connected.net, self.connected.circuit)
        self.engine = PhasePowerFlow(self.connected.circuit)
        self.matrices = self.connected.net.matrices
        self.slack_bus = find_slack_buses(feeder.net, self.matrices)
        self.readout = make_phase_readout(feeder.net, self.connected)

    def solve(self, p_kw: Floats, q_kvar: Floats | None = None) -> Flow:
        """Solve K intervals.

        Parameters
        ----------
        p_kw, q_kvar
            The C injections of the participants, (K, C), positive into the network; no reactive power if left out.

        Returns
        -------
        Flow
            Columns as in `grid_models.phases.readout`.

        Raises
        ------
        GridError
            If the shapes are not (K, C).
        """
        drawn = self.draw(p_kw, q_kvar)
        parts = [self._solve_slice(drawn[k : k + SLICE]) for k in range(0, max(len(drawn), 1), SLICE)]
        return parts[0] if len(parts) == 1 else Flow.concatenate(parts)

    def _solve_slice(self, drawn_kva: Complex) -> Flow:
        return read_phase_flow(self.readout, self.engine.solve(drawn_kva), drawn_kva, Engine.FAST)

    def solve_limited(self, p_kw: Floats, q_kvar: Floats, tolerance_pu: float) -> Limited:
        """What has limits in K intervals as in `solve`, all at once; without powers, in half of the time.

        The last change of all voltages together is below the tolerance; what is left to the solution is of its size.
        """
        return read_limited(self.readout, self.engine.solve(self.draw(p_kw, q_kvar), tolerance_pu))

    def solve_sources(self, p_kw: Floats, q_kvar: Floats | None = None) -> Complex:
        """P + jQ out of each phase of each source into the network, (K, G, 3) kVA, of K intervals as in `solve`."""
        drawn = self.draw(p_kw, q_kvar)
        found = self.engine.solve(drawn)
        return source_phase_powers(self.readout, found, drawn)

    def draw(self, p_kw: Floats, q_kvar: Floats | None) -> Complex:
        """What is drawn at the ports, (K, m) kVA, by injections, (K, C) kW and kvar, and by the net itself.

        Raises
        ------
        GridError
            If the shapes are not (K, C).
        """
        p = np.asarray(p_kw, dtype=np.float64)
        q = np.zeros_like(p) if q_kvar is None else np.asarray(q_kvar, dtype=np.float64)
        n = get_connections(self.feeder).house.size
        if p.ndim != 2 or p.shape[1] != n or q.shape != p.shape:
            raise GridError(f"power flow: expected injections of shape (K, {n}), got {p.shape} and {q.shape}")
        # Row by row in one order, so that an interval is the same to the bit whatever is solved beside it.
        injected = (self.connected.share @ p.T) + 1j * (self.connected.share @ q.T)
        return np.ascontiguousarray(self.connected.circuit.power_kva - injected.T)

    def verify(
        self,
        p_kw: Floats,
        q_kvar: Floats | None = None,
        sample: npt.ArrayLike | None = None,
        numbers: Ints | None = None,
    ) -> Agreement:
        """Compare with the judge of `grid_models.phases.judge` on the net as given; see `PowerFlow.verify`.

        Where the judge is not installed nothing is compared, and the answer says why.

        Raises
        ------
        EngineDisagreementError
            If they differ by more than 1e-6 pu or 1e-3 % loading, or one solves what the other does not.
        """
        chosen = np.arange(p_kw.shape[0]) if sample is None else np.asarray(sample, dtype=np.int64)
        p = p_kw[chosen]
        q = np.zeros_like(p) if q_kvar is None else q_kvar[chosen]
        try:
            reference = make_judge(self.feeder.as_given(), self.connected)
        except GridError as reason:
            return Agreement(0.0, 0.0, 0, str(reason))
        fast, judge = self.solve(p, q), reference.solve(p, q)
        named = ("engine of phases", _with_neutrals(fast)), (name_judge(self.feeder), _with_neutrals(judge))
        called = chosen if numbers is None else numbers[chosen]
        return compare_flows(self.feeder.name, *named, called, (VM_AGREEMENT_PU, LOADING_AGREEMENT_PERCENT))


def _with_neutrals(flow: Flow) -> Flow:
    """Flow whose voltages have those of the neutrals, in pu of 230 V, beside them: they are compared, too."""
    return flow._replace(vm_pu=np.hstack([flow.vm_pu, flow.neutral_v / NEUTRAL_BASE_V]))
