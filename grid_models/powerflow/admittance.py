"""Read pandapower's internal model of a net and factorise its admittance matrix.

The only module that reads pandapower's private `_ppc`.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
from pandapower.pypower.idx_brch import F_BUS, T_BUS
from pandapower.pypower.idx_bus import BASE_KV, GS, PD, QD
from scipy import sparse
from scipy.sparse.linalg import MatrixRankWarning, SuperLU, splu

from grid_models.arrays import Complex, Floats, Ints
from grid_models.errors import GridError, NothingToSolveError
from grid_models.feeder.connection import ABC
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.net_tables import find_flaw
from grid_models.powerflow.kernel import Network

# Without numba: pandapower would compile for about 3 s in every process, more than a run's few calls can win back.
# Without lightsim2grid: whether a net is solved must not depend on what else is installed.
RUNPP_OPTIONS: dict[str, Any] = {
    "calculate_voltage_angles": True,
    "trafo_loading": "current",
    "numba": False,
    "lightsim2grid": False,
}
"""Options of every `runpp`, so that the fast engine and pandapower solve the same model.

The first two are pandapower's defaults, and `runpp` takes a net's own `user_pf_options` before them.
"""
MAX_ITERATIONS = 30
"""Newton iterations: pandapower's default of 10 is made for a tolerance a thousand times as large."""
LEAST_VM_PU = 0.01
"""Where nothing draws power, 0 V solves the equations of power too, and Newton's method may end there."""


class Matrices(NamedTuple):
    """pandapower's internal model of a net over its i supplied internal buses, in pu.

    Attributes
    ----------
    y_bus, y_from, y_to
        Admittance matrices; the rows of the latter two are branches in service.
    reference
        Internal buses of fixed voltage, ascending.
    voltage
        Complex voltages of the solution without participants, (i,).
    fixed
        Constant complex injections, (i,).
    conductance
        Conductance to earth of shunts and wards, (i,); those of lines and transformers belong to the branches.
    bus
        Internal bus of each bus of the net, -1 without supply, (B,).
    branch
        Row in `y_from` of each line, then of each transformer, -1 where no current flows, (L + R,).
    ends
        Internal from- and to-bus of every row of `y_from`.
    base_mva, base_kv
        Power base, MVA, and base voltage of each internal bus, kV (i,).
    """

    y_bus: Any
    y_from: Any
    y_to: Any
    reference: Ints
    voltage: Complex
    fixed: Complex
    conductance: Floats
    bus: Ints
    branch: Ints
    ends: Ints
    base_mva: float
    base_kv: Floats


def read_matrices(net: Any, name: str = "") -> Matrices:
    """Solve a copy of the net once by pandapower and read its matrices; `name` is for messages.

    Raises
    ------
    GridError
        If pandapower cannot solve the net as it is, without the participants' injections.
    NothingToSolveError
        If there are no buses beside those of its sources.
    """
    solved = deepcopy(net)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of tables that older versions wrote
            warnings.simplefilter("error", MatrixRankWarning)  # what follows it is not a number
            pp.runpp(solved, tolerance_mva=1e-11, max_iteration=MAX_ITERATIONS, **RUNPP_OPTIONS)
    except Exception as reason:  # pandapower raises its own, UserWarning and numpy's errors
        flaw = find_flaw(net)
        raise GridError(
            f"{_name_net(net, name)}: expected a net that pandapower.runpp solves without the "
            f"participants, got {flaw or f'{type(reason).__name__}: {reason}'}"
        ) from reason
    lowest = solved.res_bus["vm_pu"].min()  # of the buses with supply: others have none
    if lowest < LEAST_VM_PU:
        raise GridError(
            f"{_name_net(net, name)}: expected a net that pandapower.runpp solves without the participants, got "
            f"{lowest:.3f} pu at bus {solved.res_bus['vm_pu'].idxmin()}, where nothing draws power; check the lengths "
            "and impedances of the lines"
        )
    internal = solved._ppc["internal"]
    if "Ybus" not in internal or internal["Ybus"].shape[0] == 0:
        raise NothingToSolveError(f"{_name_net(net, name)}: expected buses beside the source's, got none")
    row = np.where(internal["branch_is"], np.cumsum(internal["branch_is"]) - 1, -1)
    part = solved._pd2ppc_lookups["branch"]
    branch = [row[slice(*part.get(table, (0, 0)))] for table in ("line", "trafo")]
    return Matrices(
        internal["Ybus"].tocsr(),
        internal["Yf"].tocsr(),
        internal["Yt"].tocsr(),
        np.sort(internal["ref"]).astype(np.int64),
        internal["V"].astype(np.complex128),
        -(internal["bus"][:, PD] + 1j * internal["bus"][:, QD]) / internal["baseMVA"],
        np.real(internal["bus"][:, GS]).astype(np.float64) / float(internal["baseMVA"]),
        find_internal_buses(solved),
        np.concatenate(branch).astype(np.int64),
        np.real(internal["branch"][:, [F_BUS, T_BUS]]).astype(np.int64),
        float(internal["baseMVA"]),
        np.real(internal["bus"][:, BASE_KV]).astype(np.float64),
    )


def _name_net(net: Any, name: str = "") -> str:
    """What messages call a net: a name that is given, else its own, else its size."""
    known = name or str(getattr(net, "name", "") or "")
    return f"network '{known}'" if known else f"network without a name ({len(net.bus)} buses)"


def find_internal_buses(solved: Any) -> Ints:
    """Internal bus of each bus of a net that pandapower has solved, -1 without supply, (B,).

    Buses joined by a closed switch share one.
    """
    lookup = solved._pd2ppc_lookups["bus"][solved.bus.index.to_numpy()]
    n_supplied = solved._ppc["internal"]["bus"].shape[0]
    supplied = (lookup >= 0) & (lookup < n_supplied) & solved.bus.in_service.to_numpy(bool)
    return np.where(supplied, lookup, -1).astype(np.int64)


def find_bus_rows(net: Any, buses: Any) -> Ints:
    """Row in `net.bus` of each bus index."""
    return np.asarray(net.bus.index.get_indexer(np.asarray(buses, dtype=np.int64)), dtype=np.int64)


def find_injection_rows(feeder: Feeder) -> Ints:
    """Columns of `Flow.vm_pu` that each injection's voltage is the mean of, (C, 1), or (C, 3) in an unbalanced model.

    One phase has the same column three times.
    """
    rows = find_bus_rows(feeder.net, feeder.injection_bus)[:, None]
    if feeder.connections is None:
        return rows
    code = feeder.connections.code[:, None]
    return np.asarray(len(feeder.conductors("bus")) * rows + np.where(code == ABC, np.arange(3), code - 1))


def find_voltage_sources(net: Any) -> tuple[Any, Any]:
    """Rows of `net.ext_grid` and of `net.gen` that hold a voltage and angle: in service, generators with `slack`."""
    grids = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    return grids, net.gen[net.gen.in_service.astype(bool) & net.gen.slack.astype(bool)]


def factorise(matrices: Matrices) -> tuple[Ints, SuperLU]:
    """Internal buses of unknown voltage, (n,), and the sparse LU factors of their admittance matrix.

    Raises
    ------
    GridError
        If the matrix is singular.
    """
    unknown = np.setdiff1d(np.arange(matrices.y_bus.shape[0]), matrices.reference)
    reduced = matrices.y_bus[unknown][:, unknown].tocsc()
    try:
        # Symmetric minimum degree leaves a radial feeder without fill-in.
        factors = splu(reduced, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError as reason:
        raise GridError(
            f"network: expected an admittance matrix that can be inverted, got {reason}; "
            "look for buses joined by branches without impedance"
        ) from reason
    return unknown, factors


def find_positions(matrices: Matrices, unknown: Ints, factors: SuperLU) -> Ints:
    """Position of each internal bus, (i,): unknowns in the order of the factors' solution, then references."""
    position = np.empty(matrices.y_bus.shape[0], np.int64)
    position[unknown] = factors.perm_c
    position[matrices.reference] = unknown.size + np.arange(matrices.reference.size)
    return position


def build_network(net: Any, matrices: Matrices, participant_bus: Ints) -> tuple[Network, Ints]:
    """The kernel's view of a net, and the position of each internal bus in it.

    Parameters
    ----------
    net
        pandapower net that the matrices were read from.
    matrices
        Its internal model.
    participant_bus
        Bus index of each participant, (N,).

    Raises
    ------
    GridError
        If the admittance matrix is singular.
    """
    unknown, factors = factorise(matrices)
    position = find_positions(matrices, unknown, factors)
    reference = matrices.reference
    no_load = np.concatenate([_solve_no_load(matrices, unknown, factors), matrices.voltage[reference]])
    home = matrices.bus[find_bus_rows(net, participant_bus)]
    node = np.intersect1d(np.concatenate([home, np.flatnonzero(matrices.fixed)]), unknown)
    injecting = np.concatenate([node, reference])
    place = np.full(position.size, -1)
    place[injecting] = np.arange(injecting.size)
    rhs_row = np.empty(position.size, np.int64)
    rhs_row[unknown] = factors.perm_r
    slack = matrices.y_bus[reference].tocsr()
    live = (matrices.branch >= 0)[:, None]
    ends = np.where(live, position[matrices.ends[matrices.branch]], 0)
    scale = np.where(live.T, loading_scales(net, matrices), 0.0)
    grids, _ = find_voltage_sources(net)
    network = Network(
        *read_columns(sparse.tril(factors.L, -1)),
        *read_columns(sparse.triu(factors.U, 1)),
        inverse_diagonal=as_pairs(1.0 / factors.U.diagonal()),
        node=position[node],
        rhs_row=rhs_row[node],
        no_load=as_pairs(no_load),
        fixed=as_pairs(matrices.fixed[injecting]),
        participant=np.where(home >= 0, place[home], -1),
        slack_start=slack.indptr.astype(np.int64),
        slack_column=position[slack.indices],
        slack=as_pairs(slack.data),
        is_grid=np.isin(reference, matrices.bus[find_bus_rows(net, grids.bus)]).astype(np.int64),
        branch_from=np.ascontiguousarray(ends[:, 0]),
        branch_to=np.ascontiguousarray(ends[:, 1]),
        branch_y=branch_admittances(matrices),
        scale_from=np.ascontiguousarray(scale[0]),
        scale_to=np.ascontiguousarray(scale[1]),
        n_lines=len(net.line),
        bus=np.where(matrices.bus >= 0, position[matrices.bus], -1),
        base_kw=matrices.base_mva * 1000.0,
        shunt=position[np.flatnonzero(matrices.conductance)],
        shunt_kw=matrices.conductance[matrices.conductance != 0.0] * matrices.base_mva * 1000.0,
    )
    return network, position


def _solve_no_load(matrices: Matrices, unknown: Ints, factors: SuperLU) -> Complex:
    """Voltages of the unknown buses without injections, in the order of the factors' solution, (n,)."""
    to_reference = matrices.y_bus[unknown][:, matrices.reference]
    voltage = np.empty(unknown.size, np.complex128)
    voltage[factors.perm_c] = factors.solve(-(to_reference @ matrices.voltage[matrices.reference]))
    return voltage


def branch_admittances(matrices: Matrices) -> Floats:
    """Yff, Yft, Ytf, Ytt of lines and transformers, (L + R, 8) as re, im; zero where no current flows."""
    y = np.zeros((matrices.branch.size, 8))
    live = np.flatnonzero(matrices.branch >= 0)
    rows = matrices.branch[live]
    f, t = matrices.ends[rows].T
    for column, (part, bus) in enumerate(
        ((matrices.y_from, f), (matrices.y_from, t), (matrices.y_to, f), (matrices.y_to, t))
    ):
        values = np.asarray(part[rows, bus]).reshape(-1)
        y[live, 2 * column], y[live, 2 * column + 1] = values.real, values.imag
    # Both ends on one bus: the matrix holds the sum of both entries, so the second one must not be added again.
    loop = live[f == t]
    y[loop, 2:4] = 0.0
    y[loop, 6:8] = 0.0
    return y


def branch_ratings(net: Any) -> tuple[Floats, Floats]:
    """Rated currents of lines, kA (L,), and rated powers of transformers, MVA (R,): derated, all parallel systems."""
    line, trafo = net.line, net.trafo
    rated_ka = (line.max_i_ka * line.df * line.parallel).to_numpy(np.float64)
    return rated_ka, (trafo.sn_mva * trafo.parallel * trafo.df).to_numpy(np.float64)


def loading_scales(net: Any, matrices: Matrices) -> Floats:
    """Loading in per cent per pu of current, (2, L + R) at the from- and to-end of lines and transformers.

    Lines are rated by their current, transformers by the current at rated power and at either side's rated voltage:
    pandapower's defaults.

    Raises
    ------
    GridError
        If a line or transformer in service has no rating, so that its loading could not be judged.
    """
    kv = np.where(matrices.branch[:, None] >= 0, matrices.base_kv[matrices.ends[matrices.branch]], 1.0).T
    ka_per_pu = matrices.base_mva / (np.sqrt(3.0) * kv)
    rated_ka, rated_mva = branch_ratings(net)
    rated_kv = net.trafo[["vn_hv_kv", "vn_lv_kv"]].to_numpy(np.float64).T
    for table, rating, column in (("line", rated_ka, "max_i_ka"), ("trafo", rated_mva, "sn_mva")):
        for position in np.flatnonzero(~(rating > 0.0) & net[table].in_service.to_numpy(bool)):
            raise GridError(
                f"{_name_net(net)}, {table} {net[table].index[position]} "
                f"'{net[table]['name'].iloc[position]}': expected {column} (times df and parallel) > 0, got "
                f"{rating[position]}; set it in the net, for lines also through network.line_ratings_ka"
            )
    with np.errstate(divide="ignore"):  # lines out of service may have no rating; their scale is not used
        of_line = np.tile(100.0 / rated_ka, (2, 1))
    of_trafo = 100.0 * np.sqrt(3.0) * rated_kv / rated_mva
    return np.asarray(ka_per_pu * np.hstack([of_line, of_trafo]))


def read_columns(triangle: Any) -> tuple[Ints, Ints, Floats]:
    """Start of each column, rows and values of a sparse triangular matrix."""
    columns = triangle.tocsc()
    columns.sort_indices()
    return columns.indptr.astype(np.int64), columns.indices.astype(np.int64), as_pairs(columns.data)


def as_pairs(values: Any) -> Floats:
    """Complex numbers as pairs (re, im) in a further, last axis."""
    return np.stack([values.real, values.imag], axis=-1)
