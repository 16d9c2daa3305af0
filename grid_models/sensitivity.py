"""How voltages, branch currents and the source's power answer to each participant's power, at a solved AC state.

Implicit differentiation of the fixed point `Y·V + Y_ref·V_ref = conj(S/V)`: a small change obeys
`Y·dV + D·conj(dV) = conj(dS)/conj(V)` with `D = diag(conj(S)/conj(V)²)`, a real linear system of twice the size.
It says what to change, never whether the result is clean: only an AC solution says that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from grid_models.admittance import Complex, Matrices, branch_admittances, loading_scales, rows_of
from grid_models.differences import sensitivity_by_differences
from grid_models.kernel import Floats, Ints
from grid_models.powerflow import PowerFlow
from grid_models.response import Response

__all__ = ["Response", "sensitivity"]


class State(NamedTuple):
    """A solved interval on pandapower's i internal buses, pu.

    `v`, `s` are complex voltages and injections, `home` is the internal bus of each participant (-1 without supply).
    """

    v: Complex
    s: Complex
    home: Ints


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
    >>> bool((response.dvm_dp[2:] > 0.0).all())  # more generation raises every voltage behind the transformer
    True
    """
    q = np.zeros_like(p_kw) if q_kvar is None else q_kvar
    v = engine.voltages(p_kw, q)
    if v is None:
        return sensitivity_by_differences(engine.feeder, engine.matrices, p_kw, q)
    m = engine.matrices
    home = m.bus[rows_of(engine.feeder.net, engine.feeder.bus)]
    state = State(v, injections(m, home, p_kw, q), home)
    by_p, by_q = voltage_derivatives(m, state)
    current = current_matrix(m, loading_scales(engine.feeder.net, m))
    return Response(
        vm_pu=np.where(m.bus >= 0, np.abs(v)[m.bus], np.nan),
        dvm_dp=magnitude_derivatives(m, v, by_p),
        dvm_dq=magnitude_derivatives(m, v, by_q),
        current_percent=current @ v,
        dcurrent_dp=current @ by_p,
        dcurrent_dq=current @ by_q,
        slack_kva=slack_power(m, state),
        dslack_dp=slack_derivatives(m, state, by_p, 1.0),
        dslack_dq=slack_derivatives(m, state, by_q, 1.0j),
    )


def injections(m: Matrices, home: Ints, p_kw: Floats, q_kvar: Floats) -> Complex:
    """Constant and participants' injections of the internal buses, (i,) pu."""
    s = m.fixed.copy()
    supplied = home >= 0
    np.add.at(s, home[supplied], (p_kw + 1j * q_kvar)[supplied] / (1000.0 * m.base_mva))
    return s


def jacobian(m: Matrices, state: State, unknown: Ints) -> Any:
    """Matrix of `Y·dV + D·conj(dV)` over the real and imaginary parts of dV, (2n, 2n) sparse."""
    y = m.y_bus[unknown][:, unknown]
    d = sparse.diags(np.conj(state.s[unknown]) / np.conj(state.v[unknown]) ** 2)
    return sparse.bmat([[y.real + d.real, d.imag - y.imag], [y.imag + d.imag, y.real - d.real]], format="csc")


def voltage_derivatives(m: Matrices, state: State) -> tuple[Complex, Complex]:
    """Change of the internal buses' voltages with each participant's P and Q, (i, N), pu per kW and per kvar."""
    n_internal, n_participants = state.v.size, state.home.size
    by_p, by_q = np.zeros((2, n_internal, n_participants), np.complex128)
    unknown = np.setdiff1d(np.arange(n_internal), m.reference)
    houses = np.flatnonzero(np.isin(state.home, unknown))
    if houses.size == 0:
        return by_p, by_q
    nodes, which = np.unique(state.home[houses], return_inverse=True)
    n, width = unknown.size, nodes.size
    row, column = np.searchsorted(unknown, nodes), np.arange(width)
    current = 1.0 / (np.conj(state.v[nodes]) * 1000.0 * m.base_mva)
    pushed = np.zeros((n, 2 * width), np.complex128)
    pushed[row, column], pushed[row, width + column] = current, -1j * current  # conj(dS) of 1 kW, of 1 kvar
    solved = splu(jacobian(m, state, unknown)).solve(np.concatenate([pushed.real, pushed.imag]))
    dv = solved[:n] + 1j * solved[n:]
    by_p[np.ix_(unknown, houses)] = dv[:, which]
    by_q[np.ix_(unknown, houses)] = dv[:, width + which]
    return by_p, by_q


def magnitude_derivatives(m: Matrices, v: Complex, dv: Complex) -> Floats:
    """d|V| = Re(conj(V)·dV)/|V| of the net's buses, (B, N); NaN without supply."""
    change = np.real((np.conj(v) / np.abs(v))[:, None] * dv)[m.bus]
    change[m.bus < 0] = np.nan
    return np.asarray(change, dtype=np.float64)


def current_matrix(m: Matrices, scale: Floats) -> Any:
    """Matrix from internal voltages to the complex currents at branch ends in per cent of the rating, (E, i) sparse."""
    live = np.flatnonzero(m.branch >= 0)
    y = branch_admittances(m)[live]
    values = y[:, 0::2] + 1j * y[:, 1::2]
    values *= scale[[0, 0, 1, 1]].T[live]
    n, (f, t) = m.branch.size, m.ends[m.branch[live]].T
    rows, columns = np.stack([live, live, live + n, live + n], axis=1), np.stack([f, t, f, t], axis=1)
    entries = (values.ravel(), (rows.ravel(), columns.ravel()))
    return sparse.coo_array(entries, shape=(2 * n, m.y_bus.shape[0])).tocsr()


def slack_power(m: Matrices, state: State) -> Complex:
    """P + jQ out of each reference bus into the network, (G,) kW, kvar."""
    v, s, _ = state
    power = v[m.reference] * np.conj(m.y_bus[m.reference] @ v) - s[m.reference]
    return np.asarray(power * 1000.0 * m.base_mva)


def slack_derivatives(m: Matrices, state: State, dv: Complex, push: complex) -> Complex:
    """Its derivative by each participant's P (`push` 1) or Q (1j), (G, N)."""
    change = state.v[m.reference, None] * np.conj(m.y_bus[m.reference] @ dv) * (1000.0 * m.base_mva)
    change -= push * (m.reference[:, None] == state.home[None, :])
    return np.asarray(change)
