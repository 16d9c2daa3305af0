"""A three-phase circuit with its neutral as a conductor of its own, behind the transformers.

The zero sequence of a line is a loop of its phases and its neutral, so that `zₙ = (Z₀ − Z₁)/3` per section and each
phase keeps Z₁ (Kersting, Distribution System Modeling and Analysis, ch. 4, read backwards). Capacitances and windings
that led to earth lead to the neutral of their bus. Where the neutral is earthed at the transformer only, voltages
between phase and neutral are those of the model with the neutral earthed everywhere.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Complex, Ints
from grid_models.errors import GridError
from grid_models.feeder.connection import FourWires
from grid_models.phases.circuit import EARTH, Branch, Circuit
from grid_models.phases.three_phase import ThreePhaseNet

TO_NEUTRAL: Complex = np.hstack([np.eye(3), -np.ones((3, 1))]).astype(np.complex128)
"""Voltages of phases to the neutral by voltages of a, b, c, n to earth."""


class Neutral(NamedTuple):
    """A circuit with neutrals.

    Attributes
    ----------
    circuit
        As given, with further nodes behind those of the phases.
    node
        (i,) node of the neutral of each internal bus, -1 without one.
    """

    circuit: Circuit
    node: Ints


def check_transformers(net: Any) -> None:
    """Raise `GridError` where a transformer in service is none that OpenDSS, the judge of four wires, can have."""
    for index, row in net.trafo[net.trafo.in_service.astype(bool)].iterrows():
        clock = float(row.shift_degree) % 360.0 / 30.0
        if str(row.vector_group).lower() != "dyn" or clock % 2.0 != 1.0:
            raise GridError(
                f"network, trafo {index}: expected Dyn with an odd clock in four wires, got {row.vector_group} and "
                f"{row.shift_degree:g} degrees, which OpenDSS cannot judge; use model = three_phase"
            )


def add_neutrals(net: Any, made: ThreePhaseNet, house_bus: Ints, wires: FourWires) -> Neutral:
    """Circuit of a net with neutrals behind its transformers.

    Parameters
    ----------
    net, made
        pandapower net, and its circuit in three phases.
    house_bus
        Internal buses of the participants, (N,), -1 without supply.
    wires
        How the neutral is earthed.

    Raises
    ------
    GridError
        If the zero sequence of a line is less than its positive sequence, so that nothing is left for a neutral, or two
        networks with star points are joined by a transformer.
    """
    check_transformers(net)
    circuit, n_buses = made.circuit, made.matrices.y_bus.shape[0]
    ends = [_find_ends(branch) for branch in circuit.branches]
    starred = {far for branch, (_, far) in zip(circuit.branches, ends, strict=True) if branch.end[0] == "hv"}
    has = _reach(starred, circuit.branches, ends)
    node = np.full(n_buses, -1, np.int64)
    with_neutral = np.array(sorted(has), dtype=np.int64)
    node[with_neutral] = len(circuit.bus) + np.arange(with_neutral.size)
    branches = tuple(
        _with_neutral(branch, near, far, node) for branch, (near, far) in zip(circuit.branches, ends, strict=True)
    )
    earth_node, earth_ohm = node[sorted(starred)], np.full(len(starred), wires.star_ohm)
    if wires.house_ohm is not None:
        at_houses = np.setdiff1d(node[house_bus[house_bus >= 0]], [-1])
        earth_node = np.concatenate([earth_node, at_houses])
        earth_ohm = np.concatenate([earth_ohm, np.full(at_houses.size, wires.house_ohm)])
    return Neutral(
        circuit._replace(
            bus=(*circuit.bus, *(circuit.bus[3 * k] for k in with_neutral.tolist())),
            conductor=(*circuit.conductor, *("n" * with_neutral.size)),
            base_v=np.concatenate([circuit.base_v, circuit.base_v[3 * with_neutral]]),
            branches=branches,
            earth_node=earth_node,
            earth_admittance=(1.0 / earth_ohm).astype(np.complex128),
            port_to=_lead_to_neutral(circuit, node),
        ),
        node,
    )


def _find_ends(branch: Branch) -> tuple[int, int]:
    """Internal buses of a branch between three phases each."""
    return int(branch.node[0]) // 3, int(branch.node[3]) // 3


def _reach(starred: set[int], branches: tuple[Branch, ...], ends: list[tuple[int, int]]) -> set[int]:
    """Buses that lines join with a star point."""
    beside: dict[int, list[int]] = {}
    for branch, (near, far) in zip(branches, ends, strict=True):
        if branch.end[0] != "hv":
            beside.setdefault(near, []).append(far)
            beside.setdefault(far, []).append(near)
    found, queue = set(starred), deque(starred)
    while queue:
        for bus in beside.get(queue.popleft(), []):
            if bus not in found:
                found.add(bus)
                queue.append(bus)
    return found


def _lead_to_neutral(circuit: Circuit, node: Ints) -> Ints:
    """Ends of the ports, (m,): those to earth lead to the neutral of their bus where it has one."""
    return np.where(circuit.port_to == EARTH, node[circuit.port_from // 3], circuit.port_to)


def _with_neutral(branch: Branch, near: int, far: int, node: Ints) -> Branch:
    """A line or transformer with the neutrals of its ends."""
    if branch.end[0] == "hv":
        if node[near] >= 0:
            raise GridError(
                f"network, {branch.name}: expected no neutral at its high-voltage side in four wires, got one from "
                "another transformer; use model = three_phase"
            )
        return _star_to_neutral(branch, int(node[far]))
    return branch if node[near] < 0 else _line_with_neutral(branch, int(node[near]), int(node[far]))


def _star_to_neutral(branch: Branch, neutral: int) -> Branch:
    """A transformer whose low-voltage windings end at the neutral instead of earth."""
    turn = np.eye(6, 7, dtype=np.complex128)
    turn[3:, 6] = -1.0
    return branch._replace(
        node=np.append(branch.node, neutral),
        end=(*branch.end, "lv"),
        conductor=(*branch.conductor, "n"),
        admittance=turn.T @ branch.admittance @ turn,
        rated_a=np.append(branch.rated_a, branch.rated_a[-1]),
        tied=(*branch.tied, (3, 6), (4, 6), (5, 6)),
    )


def _line_with_neutral(branch: Branch, near: int, far: int) -> Branch:
    """A line of four conductors, its capacitances between phases and neutral."""
    series, half = -branch.admittance[:3, 3:], branch.admittance[:3, :3] + branch.admittance[:3, 3:]
    z = np.linalg.inv(series)
    z_first = z[0, 0] - z[0, 1]
    z_neutral = (z.sum() / 3.0 - z_first) / 3.0
    if not z_neutral.real > 0.0:
        raise GridError(
            f"network, {branch.name}: expected r0_ohm_per_km above r_ohm_per_km, so that a neutral is left of it in "
            "four wires, got less; use model = three_phase, or give the zero sequence of the cable"
        )
    joined = np.diag([1.0 / z_first] * 3 + [1.0 / z_neutral])
    to_neutral = TO_NEUTRAL.conj().T @ half @ TO_NEUTRAL
    admittance = np.block([[joined + to_neutral, -joined], [-joined, joined + to_neutral]])
    nodes = [*branch.node[:3], near, *branch.node[3:], far]
    return Branch(
        branch.name,
        np.array(nodes, dtype=np.int64),
        (branch.end[0],) * 4 + (branch.end[3],) * 4,
        tuple("abcn" * 2),
        admittance,
        np.insert(branch.rated_a, [3, 6], branch.rated_a[[0, 3]]),
        tuple((k, k + 4) for k in range(4)),
    )
