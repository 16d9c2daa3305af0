"""Derivatives of voltages, branch currents and source powers by each participant's power, at a solved AC state.

Implicit differentiation of the power flow `Y·V + Y_ref·V_ref = conj(S/V)`: a small change obeys
`Y·dV + D·conj(dV) = dI`, with `D = diag(conj(S)/conj(V)²)` and `dI = conj(dS)/conj(V)`. The system is solved for the
participants' currents, or transposed (adjoint) for the quantities asked for, whichever are fewer: in a large network
few quantities are near a limit.

A derivative says what to change, never whether the result is within limits: only an AC solution says that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints
from grid_models.feeder.feeder import Feeder
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.powerflow.admittance import (
    Matrices,
    as_pairs,
    branch_admittances,
    find_bus_rows,
    loading_scales,
)
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.kernel import Network
from grid_models.response.differences import sensitivity_by_differences
from grid_models.response.linear_kernel import Columns, Factors, factorise, multiply_factors, solve_linear
from grid_models.response.phase_sensitivity import phase_sensitivity
from grid_models.response.response import ALL, Response, Rows

AnyPowerFlow = PowerFlow | FeederPhaseFlow
"""Engine of a balanced or of an unbalanced model."""


def make_engine(feeder: Feeder) -> AnyPowerFlow:
    """Engine of a feeder, unbalanced where the phases of its participants are known.

    Raises
    ------
    GridError
        If the network cannot be solved or represented.
    """
    return PowerFlow(feeder) if feeder.connections is None else FeederPhaseFlow(feeder)


class Ends(NamedTuple):
    """Coefficients of the current at each of E branch ends by the voltages at both ends of its branch.

    Attributes
    ----------
    f, t
        Internal buses, (E,).
    by_f, by_t
        Complex per cent of the rating per pu, (E,); zero where a branch is out of service.
    """

    f: Ints
    t: Ints
    by_f: Complex
    by_t: Complex

    def percent(self, v: Complex) -> Complex:
        """Complex currents at internal voltages `v` (i,)."""
        return np.asarray(self.by_f * v[self.f] + self.by_t * v[self.t])

    def weights(self, place: Ints, n: int, ends: Rows = ALL) -> Complex:
        """Coefficients of the current at some ends by each of n unknown voltages, (e, n); `place` as in `FixedPart`."""
        by_f, by_t = self.by_f[ends], self.by_t[ends]
        weights = np.zeros((by_f.size, n + 1), np.complex128)  # the last column is for sources, place -1
        end = np.arange(by_f.size)
        weights[end, place[self.f[ends]]] += by_f
        weights[end, place[self.t[ends]]] += by_t
        return weights[:, :-1]


class FixedPart(NamedTuple):
    """The part of a network's response that no state changes; i internal buses, n of them of unknown voltage, pu.

    Attributes
    ----------
    matrices, network
        pandapower's internal model of the network, and the network as the compiled functions take it.
    columns
        Admittance matrix of the unknown voltages, in the order of the network's factors.
    home
        Internal bus of each participant, -1 without supply, (N,).
    place
        Place of each internal bus among those of unknown voltage, in the kernel's order, -1 at a source, (i,).
    node
        Internal buses with injections among them, in the kernel's order, (m,).
    column
        Place of each participant's bus among these, -1 at a source or without supply, (N,).
    ends
        Complex currents at branch ends by internal voltages.
    slack_matrix
        Complex currents out of the reference buses by internal voltages, (G, i).
    """

    matrices: Matrices
    network: Network
    columns: Columns
    home: Ints
    place: Ints
    node: Ints
    column: Ints
    ends: Ends
    slack_matrix: Complex

    @property
    def n_unknown(self) -> int:
        """Number n of unknown voltages."""
        return int(self.network.inverse_diagonal.shape[0])


@lru_cache(maxsize=4)
def make_fixed_part(engine: PowerFlow) -> FixedPart:
    """State-independent part of an engine's response; engines never change, so the latest four are kept."""
    m, network = engine.matrices, engine.network
    assert network is not None
    home = m.bus[find_bus_rows(engine.feeder.net, engine.feeder.bus)]
    place = np.where(engine.position < network.inverse_diagonal.shape[0], engine.position, -1)
    node = np.argsort(engine.position)[network.node]
    column = np.where(network.participant < node.size, network.participant, -1)
    ends = make_branch_ends(m, loading_scales(engine.feeder.net, m))
    slack_matrix = m.y_bus[m.reference].toarray()
    return FixedPart(m, network, multiply_factors(network), home, place, node, column, ends, slack_matrix)


def sensitivity(engine: AnyPowerFlow, p_kw: Floats, q_kvar: Floats | None = None) -> Response | None:
    """Linear response of the network to the participants' injections around one interval's AC solution.

    Parameters
    ----------
    engine
        Engine of the network; `phase_sensitivity` answers for one of three phases.
    p_kw, q_kvar
        Injections of the participants, (N,), positive into the network; no reactive power if left out.

    Returns
    -------
    Response
        Derivatives; None where neither engine solves the interval. Nets that the fast engine does not represent, and
        states that it does not reach, are differentiated by finite differences of `runpp`: 4·N power flows.

    Examples
    --------
    >>> from grid_models.feeder.generated import make_radial_feeder
    >>> engine = PowerFlow(make_radial_feeder(["near", "far"], n_branches=1, rng=np.random.default_rng(0)))
    >>> response = sensitivity(engine, np.array([-3.0, -3.0]))
    >>> bool((response.by_p.vm_pu()[2:] > 0.0).all())  # more generation raises every voltage behind the transformer
    True
    """
    q = np.zeros_like(p_kw) if q_kvar is None else q_kvar
    if isinstance(engine, FeederPhaseFlow):
        return phase_sensitivity(engine, p_kw, q)
    v = engine.voltages(p_kw, q)
    if v is None:
        return sensitivity_by_differences(engine.judged_feeder(), engine.matrices, p_kw, q)
    bus, fixed = engine.matrices.bus, make_fixed_part(engine.origin)
    state = State(fixed, v, sum_internal_injections(engine.matrices, fixed.home, p_kw, q))
    return Response(
        vm_pu=np.where(bus >= 0, np.abs(v)[bus], np.nan),
        current_percent=fixed.ends.percent(v),
        slack_kva=state.slack_kva(),
        by_p=LinearChange(state, 1.0),
        by_q=LinearChange(state, 1.0j),
    )


def sum_internal_injections(m: Matrices, home: Ints, p_kw: Floats, q_kvar: Floats) -> Complex:
    """Constant and participants' injections of the internal buses, (i,) pu."""
    s = m.fixed.copy()
    supplied = home >= 0
    np.add.at(s, home[supplied], (p_kw + 1j * q_kvar)[supplied] / (1000.0 * m.base_mva))
    return s


class InjectedCurrents(NamedTuple):
    """k participants at buses of unknown voltage, the places of their buses among the nodes, and currents in pu."""

    participant: Ints
    node: Ints
    current: Complex


@dataclass(frozen=True, eq=False)
class State:
    """A network at internal voltages `v` (i,) and injections `s` (i,), pu."""

    fixed: FixedPart
    v: Complex
    s: Complex

    @cached_property
    def factors(self) -> Factors:
        """Factors of the system; its D has conj(S)/conj(V)² at the nodes."""
        fixed, node = self.fixed, self.fixed.node
        d = as_pairs(np.conj(self.s[node]) / np.conj(self.v[node]) ** 2)
        return factorise(fixed.network, fixed.columns, d)

    def inject(self, unit: complex) -> InjectedCurrents:
        """Currents that 1 kW (`unit` 1) or 1 kvar (1j) of each participant injects."""
        fixed = self.fixed
        moving = np.flatnonzero(fixed.column >= 0)
        per_kw = np.conj(unit) / (np.conj(self.v[fixed.home[moving]]) * 1000.0 * fixed.matrices.base_mva)
        return InjectedCurrents(moving, fixed.column[moving], per_kw)

    def slack_kva(self) -> Complex:
        """P + jQ out of each reference bus into the network, (G,)."""
        m = self.fixed.matrices
        power = self.v[m.reference] * np.conj(self.fixed.slack_matrix @ self.v) - self.s[m.reference]
        return np.asarray(power * 1000.0 * m.base_mva)


@dataclass(frozen=True, eq=False)
class LinearChange:
    """`InjectionChange` by active (`unit` 1) or reactive (1j) power."""

    state: State
    unit: complex

    @cached_property
    def voltages(self) -> Floats:
        """Change of the unknown voltages by each participant's power, (n, 2, N) per kW."""
        fixed = self.state.fixed
        participant, node, current = self.state.inject(self.unit)
        currents = np.zeros((fixed.n_unknown, 2, fixed.column.size))
        currents[fixed.network.rhs_row[node], :, participant] = as_pairs(current)
        return solve_linear(fixed.network, self.state.factors, currents, False)

    def change_of_sums(self, weights: Floats) -> Floats:
        """Change of weighted sums of the unknown voltages' real and imaginary parts, (r, N); weights (r, n, 2).

        Weights · system⁻¹ · injected currents, multiplied from the side with fewer columns to solve for.
        """
        fixed = self.state.fixed
        change = np.zeros((weights.shape[0], fixed.column.size))
        if weights.size == 0:
            return change
        if weights.shape[0] > change.shape[1]:
            return weights.reshape(change.shape[0], -1) @ self.voltages.reshape(-1, change.shape[1])
        participant, node, current = self.state.inject(self.unit)
        columns = np.ascontiguousarray(np.moveaxis(weights, 0, 2))
        by_node = solve_linear(fixed.network, self.state.factors, columns, True)[fixed.network.rhs_row[node]]
        change[:, participant] = by_node[:, 0].T * current.real + by_node[:, 1].T * current.imag
        return change

    def change_of_complex_sums(self, weights: Complex) -> Complex:
        """The same of complex sums, (r, N); weights (r, n)."""
        both = self.change_of_sums(np.concatenate([as_pairs(np.conj(weights)), as_pairs(1j * np.conj(weights))]))
        return np.asarray(both[: len(weights)] + 1j * both[len(weights) :])

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """d|V| = Re(conj(V)·dV)/|V|."""
        fixed, v = self.state.fixed, self.state.v
        internal = fixed.matrices.bus[buses]
        place = np.where(internal >= 0, fixed.place[internal], -1)
        at = np.flatnonzero(place >= 0)
        direction = as_pairs(v[internal[at]] / np.abs(v[internal[at]]))
        if internal.size > fixed.column.size:  # fewer columns to solve for than rows
            change = np.zeros((internal.size, fixed.column.size))
            moved = self.voltages[place[at]]
            change[at] = direction[:, :1] * moved[:, 0] + direction[:, 1:] * moved[:, 1]
        else:
            weights = np.zeros((internal.size, fixed.n_unknown, 2))
            weights[at, place[at]] = direction
            change = self.change_of_sums(weights)
        change[internal < 0] = np.nan
        return change

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Currents are linear in the voltages."""
        fixed = self.state.fixed
        return self.change_of_complex_sums(fixed.ends.weights(fixed.place, fixed.n_unknown, ends))

    def along(self, power: Floats) -> tuple[Floats, Complex]:
        """Voltages (B,) and currents (E,) by all injections together: one system."""
        fixed, v = self.state.fixed, self.state.v
        participant, node, current = self.state.inject(self.unit)
        currents = np.zeros((fixed.n_unknown, 2, 1))
        np.add.at(currents[:, :, 0], fixed.network.rhs_row[node], as_pairs(current * power[participant]))
        dv = np.zeros(v.size, np.complex128)
        moved = solve_linear(fixed.network, self.state.factors, currents, False)[:, :, 0]
        unknown = np.flatnonzero(fixed.place >= 0)
        dv[unknown] = (moved[:, 0] + 1j * moved[:, 1])[fixed.place[unknown]]
        internal = fixed.matrices.bus
        dvm = (np.conj(v) * dv).real / np.abs(v)
        return np.where(internal >= 0, dvm[internal], np.nan), fixed.ends.percent(dv)

    def slack_kva(self) -> Complex:
        """Power out of the reference buses, whose voltage is constant."""
        fixed, m = self.state.fixed, self.state.fixed.matrices
        weights = np.zeros((m.reference.size, fixed.n_unknown), np.complex128)
        unknown = np.flatnonzero(fixed.place >= 0)
        weights[:, fixed.place[unknown]] = fixed.slack_matrix[:, unknown]
        di = self.change_of_complex_sums(weights)
        change = self.state.v[m.reference, None] * np.conj(di) * (1000.0 * m.base_mva)
        change -= self.unit * (m.reference[:, None] == fixed.home[None, :])
        return np.asarray(change)


def make_branch_ends(m: Matrices, scale: Floats) -> Ends:
    """Branch ends as in `Response.current_percent`; `scale` is (2, L + R) per cent of the rating per pu."""
    live, n = m.branch >= 0, m.branch.size
    f, t = np.zeros((2, n), np.int64)
    f[live], t[live] = m.ends[m.branch[live]].T
    y = branch_admittances(m)  # (L + R, 8): real and imaginary parts of ff, ft, tf, tt
    ff, ft, tf, tt = np.where(live, (y[:, 0::2] + 1j * y[:, 1::2]).T * scale[[0, 0, 1, 1]], 0.0)
    return Ends(np.tile(f, 2), np.tile(t, 2), np.concatenate([ff, tf]), np.concatenate([ft, tt]))
