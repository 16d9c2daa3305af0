"""How voltages, branch currents and the source's power answer to each participant's power, at a solved AC state.

Implicit differentiation of the fixed point `Y·V + Y_ref·V_ref = conj(S/V)`: a small change obeys
`Y·dV + D·conj(dV) = conj(dS)/conj(V)` with `D = diag(conj(S)/conj(V)²)`. D is zero but at the buses with injections,
so with Z = Y⁻¹ the real linear system to be solved is of twice their number, and Z is made once per topology. It is
solved from the side of the quantities asked for (adjoint), of which only a few are near a limit.
It says what to change, never whether the result is clean: only an AC solution says that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from grid_models.admittance import (
    Complex,
    Matrices,
    branch_admittances,
    factorise,
    loading_scales,
    rows_of,
)
from grid_models.differences import sensitivity_by_differences
from grid_models.kernel import Floats, Ints
from grid_models.powerflow import PowerFlow
from grid_models.response import ALL, Response, Rows

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

    def percent(self, v: Complex, ends: Rows = ALL) -> Complex:
        """Complex currents at some ends, (e,) or (e, m), of internal voltages (i,) or (i, m)."""
        from_f = self.by_f[ends] * v[self.f[ends]].T
        return np.asarray((from_f + self.by_t[ends] * v[self.t[ends]].T).T)


class Linear(NamedTuple):
    """What of a network's response is the same in every state; i internal buses, m of them with injections, pu.

    Attributes
    ----------
    home
        Internal bus of each participant, -1 without supply, (N,).
    node
        Internal buses of unknown voltage with injections, (m,).
    column
        Place of each participant's bus among them, -1 at a source or without supply, (N,).
    voltage
        Change of the internal buses' voltages by a current at each of them, (i, m); zero at sources.
    ends
        From internal voltages to the complex currents at branch ends.
    slack_matrix
        To those out of the reference buses, (G, i), sparse.
    """

    home: Ints
    node: Ints
    column: Ints
    voltage: Complex
    ends: Ends
    slack_matrix: Any


@lru_cache(maxsize=4)
def linear_part(engine: PowerFlow) -> Linear:
    """State-independent part of an engine's response; engines never change, so the latest four are kept."""
    m = engine.matrices
    home = m.bus[rows_of(engine.feeder.net, engine.feeder.bus)]
    unknown, factors = factorise(m)
    node = np.intersect1d(np.concatenate([home, np.flatnonzero(m.fixed)]), unknown)
    column = np.full(m.y_bus.shape[0] + 1, -1)  # its last entry is for participants without supply, home -1
    column[node] = np.arange(node.size)
    pushed = np.zeros((unknown.size, node.size), np.complex128)
    pushed[np.searchsorted(unknown, node), np.arange(node.size)] = 1.0
    voltage = np.zeros((m.y_bus.shape[0], node.size), np.complex128)
    voltage[unknown] = factors.solve(pushed)
    ends = branch_ends(m, loading_scales(engine.feeder.net, m))
    return Linear(home, node, column[home], voltage, ends, m.y_bus[m.reference])


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
    >>> from grid_models.generated import radial_feeder
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


@dataclass(frozen=True, eq=False)
class Linearised:
    """A network at internal voltages `v` (i,) and injections `s` (i,), pu."""

    matrices: Matrices
    linear: Linear
    v: Complex
    s: Complex

    @cached_property
    def d(self) -> Complex:
        """Diagonal of D at the nodes, (m,)."""
        node = self.linear.node
        return np.asarray(np.conj(self.s[node]) / np.conj(self.v[node]) ** 2)

    @cached_property
    def factors(self) -> Any:
        """LU factors of the real system for the nodes' voltages: `dV + z·D·conj(dV) = z·dI`, z the nodes' rows of Z."""
        a = self.linear.voltage[self.linear.node] * self.d
        m = self.linear.node.size
        matrix = np.eye(2 * m)
        matrix[:m, :m] += a.real
        matrix[m:, m:] -= a.real
        matrix[:m, m:] = matrix[m:, :m] = a.imag
        return lu_factor(matrix, overwrite_a=True, check_finite=False)

    def by_power(self, by_current: Complex, push: complex) -> Complex:
        """Derivatives by each participant's power of quantities that follow from the nodes' currents, (r, N) per kW.

        Parameters
        ----------
        by_current
            Their derivatives by the currents pushed into the nodes while D is held at zero, (r, m).
        push
            1 for active power, 1j for reactive.
        """
        linear, m = self.linear, self.linear.node.size
        if m == 0:
            return np.zeros((by_current.shape[0], linear.home.size), np.complex128)
        per_kw = np.conj(push) / (np.conj(self.v[linear.node]) * 1000.0 * self.matrices.base_mva)
        z = linear.voltage[linear.node] * per_kw
        # The currents are dI - D·conj(dV); conj(dV) = [1, -j]·(real system)⁻¹·[Re z·dI; Im z·dI].
        held = by_current * self.d
        sides = np.hstack([held, -1j * held])
        solved = lu_solve(self.factors, np.vstack([sides.real, sides.imag]).T, trans=1, check_finite=False).T
        adjoint = solved[: len(held)] + 1j * solved[len(held) :]
        change = by_current * per_kw - adjoint[:, :m] @ z.real - adjoint[:, m:] @ z.imag
        return np.where(linear.column >= 0, change[:, linear.column], 0.0)


@dataclass(frozen=True, eq=False)
class LinearChange:
    """`Change` by active (`push` 1) or reactive (1j) power."""

    around: Linearised
    push: complex

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """d|V| = Re(conj(V)·dV)/|V|."""
        a = self.around
        internal = a.matrices.bus[buses]
        turned = (np.conj(a.v) / np.abs(a.v))[internal, None] * a.linear.voltage[internal]
        change = np.real(a.by_power(turned, self.push))
        change[internal < 0] = np.nan
        return np.asarray(change, dtype=np.float64)

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Currents follow linearly from the voltages."""
        a = self.around
        return a.by_power(a.linear.ends.percent(a.linear.voltage, ends), self.push)

    def slack_kva(self) -> Complex:
        """Power out of the reference buses, whose voltage stays."""
        a, m = self.around, self.around.matrices
        di = a.by_power(a.linear.slack_matrix @ a.linear.voltage, self.push)
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
