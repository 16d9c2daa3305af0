"""Admittance matrix of a circuit's conductors, its factors, and what ports see of it.

A source without impedance in a sequence holds that sequence of its bus's voltage. There the unknowns are sequences
instead of phases, `V = T·x`, and `Tᴴ·Y·T` takes the place of the admittance matrix Y; T is the identity elsewhere.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU, splu

from grid_models.arrays import Complex, Ints
from grid_models.errors import GridError
from grid_models.phases.circuit import EARTH, Circuit, Source
from grid_models.phases.kernel import PhaseNetwork, Readout
from grid_models.phases.rows import (
    ONE,
    Places,
    arrange_places,
    join_matrices,
    make_current_readout,
    make_sweep,
    make_voltage_readout,
)
from grid_models.phases.sequence import TO_PHASES, TO_SEQUENCES, make_phase_matrix
from grid_models.phases.wires import find_wires
from grid_models.powerflow.admittance import as_pairs

BASE_KVA = 100.0
"""Power base; any would do, this one keeps numbers of low-voltage networks near one."""
LARGEST_NO_LOAD_PU = 10.0


class Model(NamedTuple):
    """A circuit in pu, factorised.

    Attributes
    ----------
    network
        As the compiled functions take it.
    voltages, currents
        Voltages of the nodes, V, and currents into the terminals, A.
    """

    network: PhaseNetwork
    voltages: Readout
    currents: Readout


def make_model(circuit: Circuit) -> Model:
    """Assemble and factorise the admittance matrix of a circuit.

    Raises
    ------
    GridError
        If a node has no way to a source or to earth, or the matrix is singular.
    """
    check_connections(circuit)
    transform, held, held_voltage = _find_held(circuit)
    admittance, current = _assemble(circuit)
    turned = (transform.conj().T @ admittance @ transform).tocsr()
    free = np.setdiff1d(np.arange(len(circuit.bus)), held)
    known = (transform.conj().T @ current)[free] - turned[free][:, held] @ held_voltage
    matrix = turned[free][:, free].tocsc()
    factors = _factorise(matrix)
    x = factors.solve(known) if free.size else np.zeros(0, np.complex128)
    no_load = transform[:, free] @ x + transform[:, held] @ held_voltage
    _check_no_load(circuit, no_load, matrix, x, known)
    order = np.argsort(factors.perm_c)  # unknown of each place of the factors' solution
    to_nodes = transform[:, free[order]].tocsr()
    incidence = _incidence(circuit)
    seen = (transform.conj().T @ incidence)[free].tocsc()
    wires = find_wires(circuit)
    sizes = np.array([branch.node.size for branch in circuit.branches], dtype=np.int64)
    places = arrange_places(circuit.port_from.size, to_nodes, wires.shared.size)
    return Model(
        _make_network(factors, seen, incidence.T @ no_load, places),
        make_voltage_readout(no_load * circuit.base_v, sparse.diags_array(circuit.base_v) @ to_nodes, places),
        make_current_readout(make_current_matrix(circuit), sizes, wires, places),
    )


def make_current_matrix(circuit: Circuit) -> Any:
    """Sparse (c, n) S: currents into all terminals, branch by branch, per voltage to earth."""
    n = len(circuit.bus)
    sizes = [branch.node.size for branch in circuit.branches]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    row = [np.repeat(np.arange(size) + k, size) for k, size in zip(first[:-1], sizes, strict=True)]
    column = [np.tile(branch.node, branch.node.size) for branch in circuit.branches]
    value = [branch.admittance.ravel() for branch in circuit.branches]
    if not sizes:
        return sparse.csr_array((0, n), dtype=np.complex128)
    entries = (np.concatenate(value), (np.concatenate(row), np.concatenate(column)))
    matrix = sparse.coo_array(entries, shape=(int(first[-1]), n)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def make_port_maps(circuit: Circuit) -> tuple[Complex, Complex, Complex]:
    """What a current of 1 A into each of m ports changes.

    Returns
    -------
    node, terminal, port
        (n, m) V, (c, m) A and (m, m) V.

    Raises
    ------
    GridError
        As `make_model`.
    """
    transform, held, _ = _find_held(circuit)
    admittance, _ = _assemble(circuit)
    free = np.setdiff1d(np.arange(len(circuit.bus)), held)
    turned = (transform.conj().T @ admittance @ transform).tocsr()
    factors = _factorise(turned[free][:, free].tocsc())
    incidence = _incidence(circuit)
    seen = (transform.conj().T @ sparse.diags_array(circuit.base_v) @ incidence).tocsr()[free].toarray()
    x = factors.solve(seen + 0j) / (BASE_KVA * 1000.0)
    node = circuit.base_v[:, None] * (transform[:, free] @ x)
    return node, np.asarray(make_current_matrix(circuit) @ node), np.asarray(incidence.T @ node)


def check_connections(circuit: Circuit) -> None:
    """Raise `GridError` where nodes have no way to a source, or no conducting way to earth."""
    n = len(circuit.bus)
    rows = [edge for branch in circuit.branches for edge in zip(branch.node[:-1], branch.node[1:], strict=True)]
    sourced = [(node, n) for source in circuit.sources for node in source.node]
    loose = _find_loose(n, [*rows, *sourced])
    if loose.size:
        raise GridError(
            f"network, {circuit.name_node(loose[0])}: expected lines or transformers from a source to every bus, found "
            "none; add them, or leave the bus out"
        )
    tied = [(branch.node[i], branch.node[j]) for branch in circuit.branches for i, j in branch.tied]
    charged = [(node, n) for branch in circuit.branches for node in branch.node[_find_charged(branch.admittance)]]
    loose = _find_loose(n, [*tied, *sourced, *charged, *((node, n) for node in circuit.earth_node)])
    if loose.size:
        raise GridError(
            f"network, {circuit.name_node(loose[0])}: expected a way to earth, found none, so that its voltage is "
            "anything; earth a star point or neutral (earthing.csv)"
        )


def _find_charged(admittance: Complex) -> Any:
    """Terminals of a branch from which current flows to earth, however little."""
    return np.abs(admittance.sum(axis=1)) > 1e-14 * np.abs(admittance).max(axis=1)


def _find_loose(n: int, edges: list[tuple[Any, Any]]) -> Ints:
    """Nodes 0 … n−1 that edges do not join with node n."""
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n + 1, n + 1))
    part = connected_components(graph, directed=False)[1]
    return np.flatnonzero(part[:n] != part[n])


def _find_held(circuit: Circuit) -> tuple[Any, Ints, Complex]:
    """Sparse T, (n, n), the places of unknowns that sources hold, and their values in pu."""
    n = len(circuit.bus)
    transform: Any = sparse.eye_array(n, dtype=np.complex128, format="lil")
    held, values = [], []
    for source in circuit.sources:
        stiff = np.flatnonzero(source.impedance == 0.0)
        if stiff.size:
            transform[np.ix_(source.node, source.node)] = TO_PHASES
            sequences = TO_SEQUENCES @ (source.voltage / circuit.base_v[source.node])
            held.append(source.node[stiff])
            values.append(sequences[stiff])
    places = np.concatenate([*held, np.zeros(0, np.int64)])
    return transform.tocsr(), places, np.concatenate([*values, np.zeros(0, np.complex128)])


def _assemble(circuit: Circuit) -> tuple[Any, Complex]:
    """Sparse admittance matrix, (n, n), and currents of the sources, (n,), in pu."""
    n = len(circuit.bus)
    primitives = [(branch.node, branch.admittance) for branch in circuit.branches]
    currents = np.zeros(n, np.complex128)
    for source in circuit.sources:
        matrix = _source_admittance(source)
        primitives.append((source.node, matrix))
        currents[source.node] += matrix @ source.voltage
    primitives += [
        (np.array([node]), np.array([[y]]))
        for node, y in zip(circuit.earth_node, circuit.earth_admittance, strict=True)
    ]
    row = np.concatenate([np.repeat(node, node.size) for node, _ in primitives])
    column = np.concatenate([np.tile(node, node.size) for node, _ in primitives])
    value = np.concatenate([matrix.ravel() for _, matrix in primitives])
    scaled = value * circuit.base_v[row] * circuit.base_v[column] / (BASE_KVA * 1000.0)
    admittance = sparse.coo_array((scaled, (row, column)), shape=(n, n)).tocsr()
    return admittance, currents * circuit.base_v / (BASE_KVA * 1000.0)


def _source_admittance(source: Source) -> Complex:
    """Admittance of a source, (3, 3) S; a sequence that it holds has none."""
    stiff = source.impedance == 0.0
    return make_phase_matrix(*np.where(stiff, 0.0, 1.0 / np.where(stiff, 1.0, source.impedance)))


def _factorise(matrix: Any) -> SuperLU:
    """Sparse LU factors; symmetric minimum degree leaves a radial feeder without fill-in."""
    try:
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError as reason:
        raise GridError(
            f"network: expected an admittance matrix that can be inverted, got {reason}; look for conductors joined by "
            "branches without impedance, and for parts without a way to earth"
        ) from reason


def _check_no_load(circuit: Circuit, no_load: Complex, matrix: Any, x: Complex, known: Complex) -> None:
    """Raise `GridError` if the matrix is as good as singular."""
    miss = np.abs(matrix @ x - known).max(initial=0.0) / max(np.abs(known).max(initial=0.0), 1e-300)
    worst = int(np.argmax(np.where(np.isfinite(no_load), np.abs(no_load), np.inf)))
    if not (np.abs(no_load[worst]) < LARGEST_NO_LOAD_PU and miss < 1e-6):
        raise GridError(
            f"network, {circuit.name_node(worst)}: expected a voltage near nominal without load, got "
            f"{np.abs(no_load[worst]):.3g} pu; look for a winding or neutral without a way to earth"
        )


def _incidence(circuit: Circuit) -> Any:
    """Sparse (n, m): +1 where a port begins, −1 where it ends."""
    m = circuit.port_from.size
    rows = np.concatenate([circuit.port_from, circuit.port_to])
    columns = np.tile(np.arange(m), 2)
    values = np.repeat([1.0, -1.0], m)
    live = rows != EARTH
    return sparse.coo_array((values[live], (rows[live], columns[live])), shape=(len(circuit.bus), m)).tocsc()


def _make_network(factors: SuperLU, seen: Any, no_load: Complex, places: Places) -> PhaseNetwork:
    """The compiled functions' view; `seen` is sparse (x, m), what ports inject into the unknowns.

    Few ports are iterated on alone, by their impedance matrix. Where that has more numbers than two sweeps through the
    factors, each iteration is a sweep.
    """
    n, m = seen.shape
    by_ports = m * m <= 2 * (factors.L.nnz + factors.U.nnz)
    of_row, of_place = (
        sparse.coo_array((np.ones(n), (order, np.arange(n))), shape=(n, n)).tocsr()
        for order in (factors.perm_r, factors.perm_c)
    )
    if by_ports:
        linear = places.current, seen.conj().T @ (factors.solve(seen.toarray()) if m else np.zeros((n, 0)))
    else:
        linear = places.unknown, (of_place @ seen).conj().T
    target = places.following + np.arange(m)
    return PhaseNetwork(
        no_load=as_pairs(no_load),
        size=places.size,
        by_ports=by_ports,
        iteration=join_matrices(target, [(ONE, no_load[:, None]), linear]),
        sweep=make_sweep(factors, of_row @ seen, places),
    )


def list_terminals(circuit: Circuit) -> list[tuple[str, str, str]]:
    """Branch, end and conductor of each of the c terminals."""
    return list(
        chain.from_iterable(
            zip([branch.name] * len(branch.end), branch.end, branch.conductor, strict=True)
            for branch in circuit.branches
        )
    )
