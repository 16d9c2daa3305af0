"""Derivatives of conductors' voltages, currents and unbalance by each injection, at a solved unbalanced state.

Implicit differentiation of `v = v₀ + Z·conj(s/v)` at the ports: a small change obeys
`dv − Z·D·conj(dv) = Z·conj(ds)/conj(v)`, with `D = −conj(s)/conj(v)²`. Voltages and currents everywhere follow from the
ports' currents. A house can raise the voltage of one phase by what it draws from another: nothing here assumes a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from grid_models.arrays import Complex, Floats
from grid_models.phases.admittance import make_port_maps
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.readout import conductor_percent, phase_to_neutral
from grid_models.phases.sequence import TO_SEQUENCES
from grid_models.powerflow.limits import NEUTRAL_SCALE, UNBALANCE_SCALE
from grid_models.response.phase_kernel import multiply, solve_changes
from grid_models.response.response import ALL, Response, Rows


class PortMaps(NamedTuple):
    """What currents into the ports change, per A; n nodes, c terminals, m ports.

    Attributes
    ----------
    node
        (n, m) voltages to earth, V.
    terminal
        (c, m) currents into the branches, A.
    port
        (m, m) voltages of the ports, V.
    """

    node: Complex
    terminal: Complex
    port: Complex


@lru_cache(maxsize=4)
def make_maps(engine: FeederPhaseFlow) -> PortMaps:
    """Port maps of an engine; engines never change, so the latest four are kept."""
    return PortMaps(*map(np.ascontiguousarray, make_port_maps(engine.connected.circuit)))


def phase_sensitivity(engine: FeederPhaseFlow, p_kw: Floats, q_kvar: Floats | None = None) -> Response | None:
    """Linear response of an unbalanced network around one interval's solution, None where there is none.

    Parameters
    ----------
    engine
        Engine of the network.
    p_kw, q_kvar
        The C injections, (C,), positive into the network; no reactive power if left out.

    Returns
    -------
    Response
        Its buses are the phases of buses, its ends those of conductors, as the columns of the engine's `Flow`; behind
        them, one for each bus, the unbalance `V₂/|V₁|` times `UNBALANCE_SCALE` per cent, and the voltages of neutrals
        times `NEUTRAL_SCALE`, where they are conductors of their own.
    """
    drawn = engine.draw(p_kw[None], None if q_kvar is None else q_kvar[None])
    found = engine.engine.solve(drawn)
    if not found.converged[0]:
        return None
    state = PhaseState(engine, make_maps(engine), found.v[0], found.current_a[0], -drawn[0] * 1000.0)
    return Response(
        vm_pu=np.abs(state.of_rows(found.v[0])) / state.base_v,
        current_percent=state.quantities(found.v[0], found.current_a[0]),
        slack_kva=state.slack_kva(),
        by_p=PhaseChange(state, 1.0),
        by_q=PhaseChange(state, 1.0j),
    )


@dataclass(frozen=True, eq=False)
class PhaseState:
    """A solved state: voltages v of nodes, (n,) V, currents of terminals, (c,) A, powers s into ports, (m,) VA."""

    engine: FeederPhaseFlow
    maps: PortMaps
    v: Complex
    current_a: Complex
    s: Complex

    @cached_property
    def port_v(self) -> Complex:
        """Voltages of the ports, (m,) V."""
        readout = self.engine.readout
        other = np.where(readout.port_to >= 0, self.v[np.maximum(readout.port_to, 0)], 0.0)
        return np.asarray(self.v[readout.port_from] - other)

    @cached_property
    def d(self) -> Complex:
        """D of the ports, (m,)."""
        return np.asarray(-np.conj(self.s) / np.conj(self.port_v) ** 2)

    @cached_property
    def factors(self) -> Any:
        """LU factors of the real system for the ports' voltages, (2m, 2m), where the fixed point does not converge."""
        g, one = self.maps.port * self.d, np.eye(self.s.size)
        return lu_factor(np.block([[one - g.real, -g.imag], [-g.imag, one + g.real]]))

    @property
    def base_v(self) -> Floats:
        """Nominal voltage of each row of `vm_pu`, (3B,)."""
        return np.repeat(self.engine.readout.base_v, 3)

    def of_rows(self, v: Complex) -> Complex:
        """Voltages of the phases of buses to neutral, (3B, …), of those of nodes to earth, (n, …); NaN if dark."""
        readout = self.engine.readout
        rows = np.moveaxis(phase_to_neutral(readout, np.moveaxis(v, 0, -1)), (-2, -1), (0, 1)).astype(np.complex128)
        rows[readout.node < 0] = np.nan
        return rows.reshape(-1, *v.shape[1:])

    def quantities(self, v: Complex, current_a: Complex) -> Complex:
        """Currents of conductors at both ends, unbalance, neutrals: linear in v (n, …) and currents (c, …), per cent.

        The unbalance is that against the state's own positive sequence.
        """
        readout = self.engine.readout
        ends = np.moveaxis(conductor_percent(readout, np.moveaxis(current_a, 0, -1)), (-3, -2, -1), (0, 1, 2))
        lines, trafos = ends[: readout.n_lines], ends[readout.n_lines :, :, :3]
        parts = [part[:, end].reshape(-1, *v.shape[1:]) for end in (0, 1) for part in (lines, trafos)]
        return np.concatenate([*parts, self.unbalance(v), self.neutrals(v)])

    def neutrals(self, v: Complex) -> Complex:
        """Voltages of the neutrals to earth, scaled, (M, …); none where no neutral is a conductor of its own."""
        neutral = self.engine.readout.neutral
        if not self.engine.readout.four_wires:
            return np.zeros((0, *v.shape[1:]), np.complex128)
        taken = v[np.maximum(neutral, 0)].astype(np.complex128)
        taken[neutral < 0] = 0.0
        return NEUTRAL_SCALE * taken

    def sequence(self, v: Complex, number: int) -> Complex:
        """Sequence voltage of each bus, (B, …) V; NaN without supply."""
        rows = self.of_rows(v)
        return np.asarray(np.einsum("k,bk...->b...", TO_SEQUENCES[number], rows.reshape(-1, 3, *v.shape[1:])))

    def unbalance(self, v: Complex) -> Complex:
        """V₂ over the state's |V₁|, scaled, (B, …); 0 without supply."""
        positive = np.abs(self.sequence(self.v, 1)).reshape(-1, *(1,) * (v.ndim - 1))
        with np.errstate(invalid="ignore"):  # 0 over 0 where a switch cuts a bus off
            return np.nan_to_num(100.0 * UNBALANCE_SCALE * self.sequence(v, 2) / positive)

    def slack_kva(self) -> Complex:
        """P + jQ out of each source into the network, (G,)."""
        readout = self.engine.readout
        entering = self.v[readout.all_node] * np.conj(self.current_a) / 1000.0
        found = [
            entering[np.isin(readout.all_node, nodes)].sum() - self.s[np.isin(readout.port_from, nodes)].sum() / 1000.0
            for nodes in readout.slack_node
        ]
        return np.array(found, dtype=np.complex128)


@dataclass(frozen=True, eq=False)
class PhaseChange:
    """`InjectionChange` by active (`unit` 1) or reactive (1j) power, (…, C) per kW or kvar."""

    state: PhaseState
    unit: complex

    @cached_property
    def power(self) -> Complex:
        """Change of the ports' powers, (m, C) VA."""
        return np.asarray(self.state.engine.connected.share.toarray() * (1000.0 * self.unit), dtype=np.complex128)

    @cached_property
    def currents(self) -> Complex:
        """Change of the ports' currents, (m, C) A."""
        state = self.state
        direct = np.asarray(np.conj(self.power) / np.conj(state.port_v)[:, None], dtype=np.complex128)
        right = multiply(state.maps.port, direct)
        dv, converged = solve_changes(state.maps.port, state.d, right)
        if not converged:
            m, both = state.s.size, lu_solve(state.factors, np.concatenate([right.real, right.imag]))
            dv = both[:m] + 1j * both[m:]
        return np.asarray(direct + state.d[:, None] * np.conj(dv))

    @cached_property
    def voltages(self) -> Complex:
        """Change of the nodes' voltages, (n, C) V."""
        return multiply(self.state.maps.node, self.currents)

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """d|V| = Re(conj(V)·dV)/|V| of phases of buses, (b, C) pu."""
        state = self.state
        v = state.of_rows(state.v)[buses]
        dv = state.of_rows(self.voltages)[buses]
        return np.asarray((np.conj(v)[:, None] * dv).real / (np.abs(v) * state.base_v[buses])[:, None])

    @cached_property
    def _quantities(self) -> Complex:
        """All that `current_percent` may be asked for; the positive sequence changes beside the negative one."""
        state = self.state
        found = state.quantities(self.voltages, multiply(state.maps.terminal, self.currents))
        v1 = state.sequence(state.v, 1)
        of_v1 = (np.conj(v1)[:, None] * state.sequence(self.voltages, 1)).real / np.abs(v1)[:, None] ** 2
        unbalance = state.unbalance(state.v)
        first = found.shape[0] - unbalance.size - state.neutrals(state.v).size
        found[first : first + unbalance.size] -= unbalance[:, None] * np.nan_to_num(of_v1)
        return found

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Complex currents of conductors at their ends, then unbalance, (e, C) per cent."""
        return np.asarray(self._quantities[ends])

    def along(self, power: Floats) -> tuple[Floats, Complex]:
        """Voltages (B,) and currents (E,) by all injections together."""
        return self.vm_pu() @ power, np.asarray(self.current_percent() @ power)

    def slack_kva(self) -> Complex:
        """P + jQ out of each source, (G, C)."""
        state, readout = self.state, self.state.engine.readout
        di = multiply(state.maps.terminal, self.currents)
        node = readout.all_node
        change = (self.voltages[node] * np.conj(state.current_a)[:, None] + state.v[node, None] * np.conj(di)) / 1000.0
        rows = []
        for nodes in readout.slack_node:
            here = np.isin(readout.port_from, nodes)
            rows.append(change[np.isin(node, nodes)].sum(axis=0) - self.power[here].sum(axis=0) / 1000.0)
        return np.array(rows, dtype=np.complex128)
