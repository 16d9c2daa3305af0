"""How voltages, branch currents and the source's power answer to each participant's power, at a solved AC state.

Implicit differentiation of the fixed point `Y·V + Y_ref·V_ref = conj(S/V)`: a small change obeys
`Y·dV + D·conj(dV) = dI`, with `D = diag(conj(S)/conj(V)²)` and `dI = conj(dS)/conj(V)`. The system is solved for the
participants' currents, or from the side of the quantities asked for (adjoint) where these are fewer: in a large network
few are near a limit.
It says what to change, never whether the result is clean: only an AC solution says that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.powerflow.admittance import (
    Complex,
    Matrices,
    branch_admittances,
    find_bus_rows,
    loading_scales,
    pairs,
)
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.kernel import Network
from grid_models.response.differences import sensitivity_by_differences
from grid_models.response.linear_kernel import solve_linear
from grid_models.response.response import ALL, Response, Rows

__all__ = ["Response", "sensitivity"]


class Ends(NamedTuple):
    """How the current at each of E branch ends follows from the voltages at both ends of its branch.

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
        """Complex currents of internal voltages (i,)."""
        return np.asarray(self.by_f * v[self.f] + self.by_t * v[self.t])

    def weights(self, place: Ints, n: int, ends: Rows = ALL) -> Complex:
        """What each of n unknown voltages adds to the current at some ends, (e, n); `place` as in `Linear`."""
        by_f, by_t = self.by_f[ends], self.by_t[ends]
        found = np.zeros((by_f.size, n + 1), np.complex128)  # the last column is for sources, place -1
        end = np.arange(by_f.size)
        found[end, place[self.f[ends]]] += by_f
        found[end, place[self.t[ends]]] += by_t
        return found[:, :-1]


class Linear(NamedTuple):
    """What of a network's response is the same in every state; i internal buses, n of them of unknown voltage, pu.

    Attributes
    ----------
    network
        The kernel's view of it.
    home
        Internal bus of each participant, -1 without supply, (N,).
    place
        Place of each internal bus among those of unknown voltage, in the kernel's order, -1 at a source, (i,).
    node
        Internal buses with injections among them, in the kernel's order, (m,).
    column
        Place of each participant's bus among these, -1 at a source or without supply, (N,).
    ends
        From internal voltages to the complex currents at branch ends.
    slack_matrix
        To those out of the reference buses, (G, i).
    """

    network: Network
    home: Ints
    place: Ints
    node: Ints
    column: Ints
    ends: Ends
    slack_matrix: Complex

    @property
    def n_unknown(self) -> int:
        """Number n of unknown voltages."""
        return int(self.network.diagonal.shape[0])


@lru_cache(maxsize=4)
def linear_part(engine: PowerFlow) -> Linear:
    """State-independent part of an engine's response; engines never change, so the latest four are kept."""
    m, network = engine.matrices, engine.network
    assert network is not None
    home = m.bus[find_bus_rows(engine.feeder.net, engine.feeder.bus)]
    place = np.where(engine.position < network.diagonal.shape[0], engine.position, -1)
    node = np.argsort(engine.position)[network.node]
    column = np.where(network.participant < node.size, network.participant, -1)
    ends = branch_ends(m, loading_scales(engine.feeder.net, m))
    slack_matrix = m.y_bus[m.reference].toarray()
    return Linear(network, home, place, node, column, ends, slack_matrix)


def sensitivity(engine: PowerFlow, p_kw: Floats, q_kvar: Floats | None = None) -> Response | None:
    """Linear response of the network to the participants' injections around one interval's AC solution.

    Parameters
    ----------
    engine
        Engine of the network.
    p_kw, q_kvar
        Injections of the participants, (N,), positive into the network; no reactive power if left out.

    Returns
    -------
    Response
        Derivatives; None where neither engine solves the interval. Nets that the fast engine does not represent, and
        states that it does not reach, are differentiated by finite differences of `runpp`: 4·N power flows.

    Examples
    --------
    >>> from grid_models.feeder.generated import radial_feeder
    >>> engine = PowerFlow(radial_feeder(["near", "far"], n_branches=1, rng=np.random.default_rng(0)))
    >>> response = sensitivity(engine, np.array([-3.0, -3.0]))
    >>> bool((response.by_p.vm_pu()[2:] > 0.0).all())  # more generation raises every voltage behind the transformer
    True
    """
    q = np.zeros_like(p_kw) if q_kvar is None else q_kvar
    v = engine.voltages(p_kw, q)
    if v is None:
        return sensitivity_by_differences(engine.feeder, engine.matrices, p_kw, q)
    m, linear = engine.matrices, linear_part(engine)
    s = injections(m, linear.home, p_kw, q)
    around = Linearised(m, linear, v, s)
    return Response(
        vm_pu=np.where(m.bus >= 0, np.abs(v)[m.bus], np.nan),
        current_percent=linear.ends.percent(v),
        slack_kva=slack_power(m, linear, v, s),
        by_p=LinearChange(around, 1.0),
        by_q=LinearChange(around, 1.0j),
    )


def injections(m: Matrices, home: Ints, p_kw: Floats, q_kvar: Floats) -> Complex:
    """Constant and participants' injections of the internal buses, (i,) pu."""
    s = m.fixed.copy()
    supplied = home >= 0
    np.add.at(s, home[supplied], (p_kw + 1j * q_kvar)[supplied] / (1000.0 * m.base_mva))
    return s


class Pushed(NamedTuple):
    """Participants at unknown voltages, (k,), their buses' places among the nodes, and the current of each, pu."""

    participant: Ints
    node: Ints
    current: Complex


@dataclass(frozen=True, eq=False)
class Linearised:
    """A network at internal voltages `v` (i,) and injections `s` (i,), pu."""

    matrices: Matrices
    linear: Linear
    v: Complex
    s: Complex

    @cached_property
    def d(self) -> Floats:
        """Diagonal D at the nodes, (m, 2) as re, im."""
        node = self.linear.node
        return pairs(np.conj(self.s[node]) / np.conj(self.v[node]) ** 2)

    def pushed(self, push: complex) -> Pushed:
        """Currents that 1 kW, or 1 kvar, pushes into the network."""
        moving = np.flatnonzero(self.linear.column >= 0)
        per_kw = np.conj(push) / (np.conj(self.v[self.linear.home[moving]]) * 1000.0 * self.matrices.base_mva)
        return Pushed(moving, self.linear.column[moving], per_kw)


@dataclass(frozen=True, eq=False)
class LinearChange:
    """`Change` by active (`push` 1) or reactive (1j) power."""

    around: Linearised
    push: complex

    @cached_property
    def voltages(self) -> Floats:
        """Change of the unknown voltages by each participant's power, (n, 2, N) per kW."""
        a, network = self.around, self.around.linear.network
        participant, node, current = a.pushed(self.push)
        currents = np.zeros((a.linear.n_unknown, 2, a.linear.column.size))
        currents[network.into[node], :, participant] = pairs(current)
        return solve_linear(network, a.d, currents, False)

    def of_sums(self, weights: Floats) -> Floats:
        """Change of weighted sums of the unknown voltages' real and imaginary parts, (r, N); weights (r, n, 2).

        Weights · system⁻¹ · pushed currents, multiplied from the side with fewer columns to solve for.
        """
        a, network = self.around, self.around.linear.network
        change = np.zeros((weights.shape[0], a.linear.column.size))
        if weights.size == 0:
            return change
        if weights.shape[0] > change.shape[1]:
            return weights.reshape(change.shape[0], -1) @ self.voltages.reshape(-1, change.shape[1])
        participant, node, current = a.pushed(self.push)
        adjoint = solve_linear(network, a.d, np.ascontiguousarray(np.moveaxis(weights, 0, 2)), True)
        by_node = adjoint[network.into[node]]
        change[:, participant] = by_node[:, 0].T * current.real + by_node[:, 1].T * current.imag
        return change

    def of_complex_sums(self, weights: Complex) -> Complex:
        """The same of complex sums, (r, N); weights (r, n)."""
        both = self.of_sums(np.concatenate([pairs(np.conj(weights)), pairs(1j * np.conj(weights))]))
        return np.asarray(both[: len(weights)] + 1j * both[len(weights) :])

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """d|V| = Re(conj(V)·dV)/|V|."""
        a = self.around
        internal = a.matrices.bus[buses]
        place = np.where(internal >= 0, a.linear.place[internal], -1)
        at = np.flatnonzero(place >= 0)
        weights = np.zeros((internal.size, a.linear.n_unknown, 2))
        weights[at, place[at]] = pairs(a.v[internal[at]] / np.abs(a.v[internal[at]]))
        change = self.of_sums(weights)
        change[internal < 0] = np.nan
        return change

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Currents follow linearly from the voltages."""
        linear = self.around.linear
        return self.of_complex_sums(linear.ends.weights(linear.place, linear.n_unknown, ends))

    def slack_kva(self) -> Complex:
        """Power out of the reference buses, whose voltage stays."""
        a, m = self.around, self.around.matrices
        weights = np.zeros((m.reference.size, a.linear.n_unknown), np.complex128)
        unknown = np.flatnonzero(a.linear.place >= 0)
        weights[:, a.linear.place[unknown]] = a.linear.slack_matrix[:, unknown]
        di = self.of_complex_sums(weights)
        change = a.v[m.reference, None] * np.conj(di) * (1000.0 * m.base_mva)
        change -= self.push * (m.reference[:, None] == a.linear.home[None, :])
        return np.asarray(change)


def branch_ends(m: Matrices, scale: Floats) -> Ends:
    """Branch ends as in `Response.current_percent`; `scale` is (2, L + R) per cent of the rating per pu."""
    live, n = m.branch >= 0, m.branch.size
    f, t = np.zeros((2, n), np.int64)
    f[live], t[live] = m.ends[m.branch[live]].T
    y = branch_admittances(m)  # (L + R, 8): real and imaginary parts of ff, ft, tf, tt
    ff, ft, tf, tt = np.where(live, (y[:, 0::2] + 1j * y[:, 1::2]).T * scale[[0, 0, 1, 1]], 0.0)
    return Ends(np.tile(f, 2), np.tile(t, 2), np.concatenate([ff, tf]), np.concatenate([ft, tt]))


def slack_power(m: Matrices, linear: Linear, v: Complex, s: Complex) -> Complex:
    """P + jQ out of each reference bus into the network, (G,) kW, kvar."""
    power = v[m.reference] * np.conj(linear.slack_matrix @ v) - s[m.reference]
    return np.asarray(power * 1000.0 * m.base_mva)
