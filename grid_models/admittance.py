"""Read pandapower's own admittance matrices of a net, and factorise them; the only module that reads `_ppc`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandapower as pp
from pandapower.pypower.idx_brch import F_BUS, T_BUS
from pandapower.pypower.idx_bus import BASE_KV, PD, QD
from scipy import sparse
from scipy.sparse.linalg import splu

from grid_models.errors import GridError
from grid_models.kernel import Floats, Ints, Network

RUNPP_OPTIONS: dict[str, Any] = {"calculate_voltage_angles": True, "trafo_loading": "current", "numba": True}
"""Options of every `runpp`, so that the fast engine and its judge solve the same model."""


class Matrices(NamedTuple):
    """pandapower's internal model of a net.

    Attributes
    ----------
    y_bus, y_from, y_to
        Admittance matrices over the supplied internal buses, pu.
    reference, voltage
        Reference buses, and complex voltages of the building solution.
    fixed
        Constant complex injection of each internal bus, pu.
    bus
        Internal bus of each bus of the net, -1 without supply.
    line, trafo
        Row of each line and transformer in `y_from`, -1 out of service.
    ends
        Internal from- and to-bus of every row of `y_from`, (n, 2).
    base_mva, base_kv
        Power base, and base voltage of each internal bus.
    """

    y_bus: sparse.csr_matrix
    y_from: sparse.csr_matrix
    y_to: sparse.csr_matrix
    reference: Ints
    voltage: npt.NDArray[np.complex128]
    fixed: npt.NDArray[np.complex128]
    bus: Ints
    line: Ints
    trafo: Ints
    ends: Ints
    base_mva: float
    base_kv: Floats


def read_matrices(net: Any) -> Matrices:
    """Solve the net once by pandapower and read its matrices.

    Raises
    ------
    GridError
        If pandapower cannot solve the net without participants' injections.
    """
    solved = deepcopy(net)
    try:
        pp.runpp(solved, tolerance_mva=1e-11, **RUNPP_OPTIONS)
    except Exception as reason:  # pandapower raises its own, UserWarning and numpy's errors
        raise GridError(
            f"network '{getattr(net, 'name', '')}': expected a net that pandapower.runpp solves without the "
            f"participants, got {type(reason).__name__}: {reason}"
        ) from reason
    internal = solved._ppc["internal"]
    n = internal["bus"].shape[0]
    lookup = solved._pd2ppc_lookups["bus"][solved.bus.index.to_numpy()]
    supplied = (lookup >= 0) & (lookup < n) & solved.bus.in_service.to_numpy()
    row = np.cumsum(internal["branch_is"]) - 1
    row[~internal["branch_is"]] = -1
    branches = solved._pd2ppc_lookups["branch"]
    none = (0, 0)
    return Matrices(
        internal["Ybus"].tocsr(),
        internal["Yf"].tocsr(),
        internal["Yt"].tocsr(),
        np.sort(internal["ref"]).astype(np.int64),
        internal["V"].astype(np.complex128),
        -(internal["bus"][:, PD] + 1j * internal["bus"][:, QD]) / internal["baseMVA"],
        np.where(supplied, lookup, -1).astype(np.int64),
        row[slice(*branches.get("line", none))].astype(np.int64),
        row[slice(*branches.get("trafo", none))].astype(np.int64),
        np.real(internal["branch"][:, [F_BUS, T_BUS]]).astype(np.int64),
        float(internal["baseMVA"]),
        np.real(internal["bus"][:, BASE_KV]).astype(np.float64),
    )


def branch_admittances(matrices: Matrices, rows: Ints) -> Floats:
    """Yff, Yft, Ytf, Ytt of branches by their row, (n, 8) as re, im; zero where out of service (row -1)."""
    y = np.zeros((rows.size, 8))
    live = np.flatnonzero(rows >= 0)
    f, t = matrices.ends[rows[live]].T
    for column, (part, bus) in enumerate(
        ((matrices.y_from, f), (matrices.y_from, t), (matrices.y_to, f), (matrices.y_to, t))
    ):
        values = np.asarray(part[rows[live], bus]).reshape(-1)
        y[live, 2 * column], y[live, 2 * column + 1] = values.real, values.imag
    return y


def factorise(matrices: Matrices) -> tuple[Ints, Any]:
    """Unknown internal buses and the sparse LU factors of their admittance matrix.

    Raises
    ------
    GridError
        If the matrix is singular.
    """
    n = matrices.y_bus.shape[0]
    unknown = np.setdiff1d(np.arange(n), matrices.reference)
    reduced = matrices.y_bus[unknown][:, unknown].tocsc()
    try:
        # Symmetric minimum degree leaves a radial feeder without fill-in.
        factors = splu(
            reduced, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError as reason:
        raise GridError(
            f"network: expected an admittance matrix that can be inverted, got {reason}; "
            "look for buses joined by branches without impedance"
        ) from reason
    return unknown, factors


def build_network(net: Any, participant_bus: Ints) -> tuple[Network, Matrices]:
    """The kernel's view of a net.

    Parameters
    ----------
    net
        pandapower net; it is copied, never changed.
    participant_bus
        Bus index of each participant, (N,).

    Raises
    ------
    GridError
        If pandapower cannot solve the net, or its matrix is singular.
    """
    matrices = read_matrices(net)
    unknown, factors = factorise(matrices)
    order = np.concatenate([unknown, matrices.reference])
    position = np.empty(order.size, np.int64)
    position[order] = np.arange(order.size)
    to_reference = matrices.y_bus[unknown][:, matrices.reference]
    source = -(to_reference @ matrices.voltage[matrices.reference])
    start = np.concatenate([factors.solve(source), matrices.voltage[matrices.reference]])
    reference_rows = matrices.y_bus[matrices.reference].tocsr()
    rows = np.concatenate([matrices.line, matrices.trafo])
    ends = np.where(rows[:, None] >= 0, position[matrices.ends[rows]], -1)
    scale = loading_scales(net, matrices)
    fixed = matrices.fixed[order]
    bus = np.where(matrices.bus >= 0, position[matrices.bus], -1)
    row_of_bus = {int(index): k for k, index in enumerate(net.bus.index)}
    participant = np.array([bus[row_of_bus[int(index)]] for index in participant_bus], np.int64)
    lower, upper = _strict(factors.L, lower=True), _strict(factors.U, lower=False)
    diagonal = 1.0 / factors.U.diagonal()
    network = Network(
        *lower,
        *upper,
        _real(diagonal.real),
        _real(diagonal.imag),
        factors.perm_r.astype(np.int64),
        factors.perm_c.astype(np.int64),
        _real(source.real),
        _real(source.imag),
        _real(start.real),
        _real(start.imag),
        _real(fixed.real),
        _real(fixed.imag),
        reference_rows.indptr.astype(np.int64),
        position[reference_rows.indices],
        _real(reference_rows.data.real),
        _real(reference_rows.data.imag),
        np.ascontiguousarray(ends[:, 0]),
        np.ascontiguousarray(ends[:, 1]),
        branch_admittances(matrices, rows),
        scale[0],
        scale[1],
        int(matrices.line.size),
        bus,
        participant,
        matrices.base_mva * 1000.0,
    )
    return network, matrices


def loading_scales(net: Any, matrices: Matrices) -> Floats:
    """Loading in per cent per pu of current, (2, L + R) at the from- and to-end of lines and transformers.

    Lines by their rated current (`max_i_ka`, derated, times parallel), transformers by the current at rated power at
    either side's rated voltage, as pandapower's defaults.
    """
    rows = np.concatenate([matrices.line, matrices.trafo])
    kv = np.where(rows[:, None] >= 0, matrices.base_kv[matrices.ends[rows]], 1.0).T
    ka_per_pu = matrices.base_mva / (np.sqrt(3.0) * kv)
    line, trafo = net.line, net.trafo
    rated_ka = (line.max_i_ka * line.df * line.parallel).to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        of_line = np.tile(100.0 / rated_ka, (2, 1))
    rated_kv = trafo[["vn_hv_kv", "vn_lv_kv"]].to_numpy(np.float64).T
    rated_mva = (trafo.sn_mva * trafo.parallel * trafo.df).to_numpy(np.float64)
    of_trafo = 100.0 * np.sqrt(3.0) * rated_kv / rated_mva
    return np.asarray(ka_per_pu * np.hstack([of_line, of_trafo]))


def _strict(factor: Any, *, lower: bool) -> tuple[Ints, Ints, Floats, Floats]:
    """Columns of a triangular factor without its diagonal."""
    part = (sparse.tril(factor, -1) if lower else sparse.triu(factor, 1)).tocsc()
    part.sort_indices()
    return (
        part.indptr.astype(np.int64),
        part.indices.astype(np.int64),
        _real(part.data.real),
        _real(part.data.imag),
    )


def _real(values: Any) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)
