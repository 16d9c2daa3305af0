"""The model of record: every interval solved by `pandapower.runpp`, one after the other."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandapower as pp
from scipy.sparse.linalg import MatrixRankWarning

from grid_models.admittance import RUNPP_OPTIONS, Matrices, read_matrices, rows_of, sources
from grid_models.feeder import Feeder
from grid_models.flow import Flow, not_solved
from grid_models.kernel import Floats, Ints
from grid_models.pandapower_tables import with_injection_elements, write_injections

TOLERANCE_MVA = 1e-11


def reference_flow(
    feeder: Feeder, p_kw: Floats, q_kvar: Floats | None = None, *, tolerance_mva: float = TOLERANCE_MVA
) -> Flow:
    """Solve every interval by `pandapower.runpp`.

    Parameters
    ----------
    feeder
        The network.
    p_kw, q_kvar
        Injections of the participants, (K, N), positive into the network; no reactive power if left out.
    tolerance_mva
        Newton-Raphson's tolerance.

    Raises
    ------
    GridError
        If pandapower cannot solve the net without the participants.
    """
    q = np.zeros_like(p_kw) if q_kvar is None else q_kvar
    return solve_by_runpp(feeder, read_matrices(feeder.net), p_kw, q, tolerance_mva)


def solve_by_runpp(
    feeder: Feeder, matrices: Matrices, p_kw: Floats, q_kvar: Floats, tolerance_mva: float = TOLERANCE_MVA
) -> Flow:
    """`reference_flow` for a net whose internal buses are known; non-finite injections are not solved."""
    net, index = with_injection_elements(feeder)
    grid_column, gen_column = slack_columns(net, matrices)
    shape = (len(net.bus), len(net.line), len(net.trafo), matrices.reference.size)
    flow = not_solved(p_kw.shape[0], *shape)
    for k in range(p_kw.shape[0]):
        if np.isfinite(p_kw[k]).all() and np.isfinite(q_kvar[k]).all():
            write_injections(net, index, p_kw[k], q_kvar[k])
            if runs(net, tolerance_mva):
                _read_results(net, flow, k, grid_column, gen_column)
    return flow


def runs(net: Any, tolerance_mva: float = TOLERANCE_MVA) -> bool:
    """Run `runpp` on the net; whether it converged."""
    with warnings.catch_warnings():
        # On its way to a divergence Newton-Raphson overflows, and meets singular Jacobians.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", MatrixRankWarning)
        try:
            pp.runpp(net, tolerance_mva=tolerance_mva, max_iteration=30, **RUNPP_OPTIONS)
        except (pp.LoadflowNotConverged, FloatingPointError, np.linalg.LinAlgError):
            return False
    return bool(net.converged)


def slack_columns(net: Any, matrices: Matrices) -> tuple[Ints, Ints]:
    """Which reference bus each external grid and each slack generator in service feeds."""
    grids, gens = sources(net)
    grid, gen = (
        np.searchsorted(matrices.reference, matrices.bus[rows_of(net, table.bus)]) for table in (grids, gens)
    )
    return np.asarray(grid, np.int64), np.asarray(gen, np.int64)


def _read_results(net: Any, flow: Flow, k: int, grid_column: Ints, gen_column: Ints) -> None:
    """Copy pandapower's results of one interval; a branch without supply, NaN there, carries no current."""
    grids, gens = sources(net)
    flow.converged[k] = True
    flow.vm_pu[k] = net.res_bus.vm_pu
    flow.line_loading_percent[k] = net.res_line.loading_percent.fillna(0.0)
    flow.trafo_loading_percent[k] = net.res_trafo.loading_percent.fillna(0.0)
    flow.trafo_p_kw[k] = net.res_trafo.p_hv_mw.fillna(0.0) * 1000.0
    for column, total, power in (
        ("p_mw", flow.p_slack_kw, flow.p_grid_kw),
        ("q_mvar", flow.q_slack_kvar, flow.q_grid_kvar),
    ):
        from_grid = net.res_ext_grid.loc[grids.index, column].fillna(0.0).to_numpy() * 1000.0
        from_gen = net.res_gen.loc[gens.index, column].fillna(0.0).to_numpy() * 1000.0
        total[k] = 0.0
        np.add.at(total[k], grid_column, from_grid)
        np.add.at(total[k], gen_column, from_gen)
        power[k] = total[k, np.unique(grid_column)].sum()
    # Buses count from the network and include shunts, which are no losses.
    flow.losses_kw[k] = (net.res_shunt.p_mw.sum() - net.res_bus.p_mw.sum()) * 1000.0
    flow.iterations[k] = net._ppc["iterations"]
