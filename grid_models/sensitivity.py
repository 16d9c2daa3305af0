"""How voltages, branch currents and the source's power answer to each participant's power, at a solved AC state.

Implicit differentiation of the fixed point `Y·V + Y_ref·V_ref = conj(S/V)`: a small change obeys
`Y·dV + D·conj(dV) = dI`, with `D = diag(conj(S)/conj(V)²)` and `dI = conj(dS)/conj(V)`. In real and imaginary parts
that is one linear system, as sparse as the network is. It is solved for the participants' currents, or from the side of
the quantities asked for (adjoint) where these are fewer: in a large network few are near a limit.
It says what to change, never whether the result is clean: only an AC solution says that.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from grid_models.admittance import Complex, Matrices, branch_admittances, loading_scales, rows_of
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


class RealSystem(NamedTuple):
    """The system `[[G + Dr, Di - B], [Di + B, G - Dr]]·[dVr; dVi] = [dIr; dIi]` of n unknown voltages while D is zero.

    Attributes
    ----------
    matrix
        (2n, 2n), sparse, by columns.
    diagonal
        Where the diagonals of its four blocks stand among its values, (2, 2, n).
    """

    matrix: Any
    diagonal: Ints

    def factors(self, d: Complex) -> SuperLU:
        """Sparse LU factors with the diagonal D, (n,)."""
        matrix, ((rr, ri), (ir, ii)) = copy(self.matrix), self.diagonal
        matrix.data = matrix.data.copy()
        matrix.data[rr] += d.real
        matrix.data[ri] += d.imag
        matrix.data[ir] += d.imag
        matrix.data[ii] -= d.real
        return splu(matrix, permc_spec="MMD_AT_PLUS_A")  # leaves a radial feeder almost without fill-in


class Linear(NamedTuple):
    """What of a network's response is the same in every state; i internal buses, n of them of unknown voltage, pu.

    Attributes
    ----------
    home
        Internal bus of each participant, -1 without supply, (N,).
    unknown
        Internal buses of unknown voltage, (n,).
    place
        Place of each internal bus among them, -1 at a source, (i,).
    column
        Place of each participant's bus among them, -1 at a source or without supply, (N,).
    system
        The linear system for their voltages.
    ends
        From internal voltages to the complex currents at branch ends.
    slack_matrix
        To those out of the reference buses, (G, i).
    """

    home: Ints
    unknown: Ints
    place: Ints
    column: Ints
    system: RealSystem
    ends: Ends
    slack_matrix: Complex


@lru_cache(maxsize=4)
def linear_part(engine: PowerFlow) -> Linear:
    """State-independent part of an engine's response; engines never change, so the latest four are kept."""
    m = engine.matrices
    home = m.bus[rows_of(engine.feeder.net, engine.feeder.bus)]
    n_internal = m.y_bus.shape[0]
    unknown = np.setdiff1d(np.arange(n_internal), m.reference)
    place = np.full(n_internal + 1, -1)  # its last entry is for participants without supply, home -1
    place[unknown] = np.arange(unknown.size)
    system = real_system(m.y_bus[unknown][:, unknown])
    ends = branch_ends(m, loading_scales(engine.feeder.net, m))
    slack_matrix = m.y_bus[m.reference].toarray()
    return Linear(home, unknown, place[:-1], place[home], system, ends, slack_matrix)


def real_system(y: Any) -> RealSystem:
    """The real system of an admittance matrix, (n, n) sparse, with room for D."""
    n, entries = y.shape[0], y.tocoo()
    off = entries.row != entries.col
    row = np.concatenate([entries.row[off], np.arange(n)])
    column = np.concatenate([entries.col[off], np.arange(n)])
    value = np.concatenate([entries.data[off], y.diagonal()])
    rows, columns = np.concatenate([row, row, row + n, row + n]), np.concatenate([column, column + n] * 2)
    values = np.concatenate([value.real, -value.imag, value.imag, value.real])
    order = np.lexsort((rows, columns))
    at = np.empty(order.size, np.int64)
    at[order] = np.arange(order.size)
    starts = np.searchsorted(columns[order], np.arange(2 * n + 1))
    diagonal = at.reshape(2, 2, row.size)[:, :, row.size - n :]
    by_columns = (values[order], rows[order].astype(np.int32), starts.astype(np.int32))
    return RealSystem(sparse.csc_array(by_columns, shape=(2 * n, 2 * n)), diagonal)


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


class Pushed(NamedTuple):
    """Participants at unknown voltages, (k,), the places of their buses among these, and the current of each, pu."""

    participant: Ints
    place: Ints
    current: Complex


@dataclass(frozen=True, eq=False)
class Linearised:
    """A network at internal voltages `v` (i,) and injections `s` (i,), pu."""

    matrices: Matrices
    linear: Linear
    v: Complex
    s: Complex

    @cached_property
    def factors(self) -> SuperLU:
        """Factors of the real system at this state."""
        unknown = self.linear.unknown
        return self.linear.system.factors(np.conj(self.s[unknown]) / np.conj(self.v[unknown]) ** 2)

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
        """Change of the unknown voltages by each participant's power, (2n, N) per kW."""
        a, n = self.around, self.around.linear.unknown.size
        participant, place, current = a.pushed(self.push)
        currents = np.zeros((2 * n, a.linear.column.size), order="F")
        currents[place, participant], currents[n + place, participant] = current.real, current.imag
        return np.asarray(a.factors.solve(currents))

    def of_sums(self, weights: Floats) -> Floats:
        """Change of weighted sums of the unknown voltages' real, then imaginary parts, (r, N); weights (r, 2n).

        Weights · system⁻¹ · pushed currents, multiplied from the side with fewer columns to solve for.
        """
        a, linear, n = self.around, self.around.linear, self.around.linear.unknown.size
        change = np.zeros((weights.shape[0], linear.column.size))
        if weights.size == 0:
            return change
        if weights.shape[0] > change.shape[1]:
            return weights @ self.voltages
        adjoint = a.factors.solve(np.asfortranarray(weights.T), "T")  # type: ignore[call-overload] # not in its stubs
        participant, place, current = a.pushed(self.push)
        change[:, participant] = adjoint[place].T * current.real + adjoint[n + place].T * current.imag
        return change

    def of_complex_sums(self, weights: Complex) -> Complex:
        """The same of complex sums, (r, N); weights (r, n)."""
        real, imag = np.hstack([weights.real, -weights.imag]), np.hstack([weights.imag, weights.real])
        both = self.of_sums(np.vstack([real, imag]))
        return np.asarray(both[: len(weights)] + 1j * both[len(weights) :])

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """d|V| = Re(conj(V)·dV)/|V|."""
        a, n = self.around, self.around.linear.unknown.size
        internal = a.matrices.bus[buses]
        place = np.where(internal >= 0, a.linear.place[internal], -1)
        at = np.flatnonzero(place >= 0)
        along = a.v[internal[at]] / np.abs(a.v[internal[at]])
        weights = np.zeros((internal.size, 2 * n))
        weights[at, place[at]], weights[at, n + place[at]] = along.real, along.imag
        change = self.of_sums(weights)
        change[internal < 0] = np.nan
        return change

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Currents follow linearly from the voltages."""
        a = self.around
        return self.of_complex_sums(a.linear.ends.weights(a.linear.place, a.linear.unknown.size, ends))

    def slack_kva(self) -> Complex:
        """Power out of the reference buses, whose voltage stays."""
        a, m = self.around, self.around.matrices
        di = self.of_complex_sums(a.linear.slack_matrix[:, a.linear.unknown])
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
