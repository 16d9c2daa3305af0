"""How voltages, branch currents and the source's power answer to each participant's power, at a solved AC state.

Implicit differentiation of the fixed point `Y·V + Y_ref·V_ref = conj(S/V)`: a small change obeys
`Y·dV + D·conj(dV) = conj(dS)/conj(V)` with `D = diag(conj(S)/conj(V)²)`. D is zero but at the buses with injections,
so with Z = Y⁻¹ the real linear system to be solved is of twice their number, and Z is made once per topology.
It says what to change, never whether the result is clean: only an AC solution says that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

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
from grid_models.response import Response

__all__ = ["Response", "sensitivity"]


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
    current
        The same of the complex currents at branch ends, in per cent of the rating, (E, m).
    slack
        The same of the current out of each reference bus, (G, m).
    current_matrix, slack_matrix
        From internal voltages to the complex currents at branch ends, (E, i), and out of the reference buses, (G, i),
        sparse.
    """

    home: Ints
    node: Ints
    column: Ints
    voltage: Complex
    current: Complex
    slack: Complex
    current_matrix: Any
    slack_matrix: Any


class Derivatives(NamedTuple):
    """Changes by each participant's P or Q, per kW or kvar: voltages (i, N), end (E, N), source currents (G, N)."""

    voltage: Complex
    current: Complex
    slack: Complex


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
    ends = current_matrix(m, loading_scales(engine.feeder.net, m))
    slack = m.y_bus[m.reference]
    return Linear(home, node, column[home], voltage, ends @ voltage, slack @ voltage, ends, slack)


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
    m, linear = engine.matrices, linear_part(engine)
    s = injections(m, linear.home, p_kw, q)
    by_p, by_q = derivatives(linear, v, s, 1000.0 * m.base_mva)
    return Response(
        vm_pu=np.where(m.bus >= 0, np.abs(v)[m.bus], np.nan),
        dvm_dp=magnitude_derivatives(m, v, by_p.voltage),
        dvm_dq=magnitude_derivatives(m, v, by_q.voltage),
        current_percent=linear.current_matrix @ v,
        dcurrent_dp=by_p.current,
        dcurrent_dq=by_q.current,
        slack_kva=slack_power(m, linear, v, s),
        dslack_dp=slack_derivatives(m, linear, v, by_p.slack, 1.0),
        dslack_dq=slack_derivatives(m, linear, v, by_q.slack, 1.0j),
    )


def injections(m: Matrices, home: Ints, p_kw: Floats, q_kvar: Floats) -> Complex:
    """Constant and participants' injections of the internal buses, (i,) pu."""
    s = m.fixed.copy()
    supplied = home >= 0
    np.add.at(s, home[supplied], (p_kw + 1j * q_kvar)[supplied] / (1000.0 * m.base_mva))
    return s


def derivatives(linear: Linear, v: Complex, s: Complex, base_kw: float) -> tuple[Derivatives, Derivatives]:
    """Changes with each participant's P, and with its Q.

    With z the rows of Z at the m nodes, their voltages obey `dV + z·D·conj(dV) = z·dI`, and the currents that all
    other changes follow from are `dI - D·conj(dV)`.
    """
    node, m = linear.node, linear.node.size
    d = np.conj(s[node]) / np.conj(v[node]) ** 2
    z = linear.voltage[node]
    a = z * d
    matrix = np.block([[np.eye(m) + a.real, a.imag], [a.imag, np.eye(m) - a.real]])
    pushed = np.diag(1.0 / (np.conj(v[node]) * base_kw))
    pushed = np.hstack([pushed, -1j * pushed])  # conj(dS) of 1 kW, of 1 kvar
    moved = z @ pushed
    solved = np.linalg.solve(matrix, np.concatenate([moved.real, moved.imag]))
    current = pushed - d[:, None] * (solved[:m] - 1j * solved[m:])
    supplied = linear.column >= 0
    by_p, by_q = (
        np.where(supplied, part[:, linear.column], 0.0) if m else np.zeros((0, supplied.size), np.complex128)
        for part in (current[:, :m], current[:, m:])
    )
    return _all_changes(linear, by_p), _all_changes(linear, by_q)


def _all_changes(linear: Linear, current: Complex) -> Derivatives:
    return Derivatives(linear.voltage @ current, linear.current @ current, linear.slack @ current)


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


def slack_power(m: Matrices, linear: Linear, v: Complex, s: Complex) -> Complex:
    """P + jQ out of each reference bus into the network, (G,) kW, kvar."""
    power = v[m.reference] * np.conj(linear.slack_matrix @ v) - s[m.reference]
    return np.asarray(power * 1000.0 * m.base_mva)


def slack_derivatives(m: Matrices, linear: Linear, v: Complex, di: Complex, push: complex) -> Complex:
    """Its derivative by each participant's P (`push` 1) or Q (1j), (G, N)."""
    change = v[m.reference, None] * np.conj(di) * (1000.0 * m.base_mva)
    change -= push * (m.reference[:, None] == linear.home[None, :])
    return np.asarray(change)
