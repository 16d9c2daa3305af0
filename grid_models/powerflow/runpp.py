"""The model of record: every interval solved by `pandapower.runpp`, one after the other."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
from scipy.sparse.linalg import MatrixRankWarning

from grid_models.arrays import Floats, Ints
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.pandapower_tables import with_injection_elements, write_injections
from grid_models.powerflow.admittance import (
    RUNPP_OPTIONS,
    Complex,
    Matrices,
    find_bus_rows,
    find_voltage_sources,
    read_matrices,
)
from grid_models.powerflow.flow import Flow, not_solved

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
    feeder: Feeder,
    matrices: Matrices,
    p_kw: Floats,
    q_kvar: Floats,
    tolerance_mva: float = TOLERANCE_MVA,
    *,
    recycle: bool = False,
) -> Flow:
    """`reference_flow` for a net whose internal buses are known; see `Reference.solve`."""
    return Reference(feeder, matrices).solve(p_kw, q_kvar, tolerance_mva, recycle=recycle)


class Reference:
    """A net made ready for `runpp`, to be solved again and again.

    Parameters
    ----------
    feeder, matrices
        The network, not changed, and its internal buses.
    """

    def __init__(self, feeder: Feeder, matrices: Matrices) -> None:
        self._net, self._index = with_injection_elements(feeder)
        self.slacks = find_slacks(self._net, matrices)

    def solve(
        self, p_kw: Floats, q_kvar: Floats, tolerance_mva: float = TOLERANCE_MVA, *, recycle: bool = False
    ) -> Flow:
        """Flow of injections, (K, N) kW and kvar; non-finite ones are not solved.

        With `recycle`, `runpp` converts the net once and takes only the injections anew, a third of the work; what
        does not converge so is run again as a whole.
        """
        net, converted = self._net, False
        flow = not_solved(p_kw.shape[0], len(net.bus), len(net.line), len(net.trafo), self.slacks.n)
        for k in range(p_kw.shape[0]):
            if np.isfinite(p_kw[k]).all() and np.isfinite(q_kvar[k]).all():
                write_injections(net, self._index, p_kw[k], q_kvar[k])
                solved = (converted and runs(net, tolerance_mva, recycle=True)) or runs(net, tolerance_mva)
                converted = recycle and solved
                if solved:
                    _read_results(net, self.slacks, flow, k)
        return flow


_ONLY_INJECTIONS = {"bus_pq": True, "trafo": False, "gen": False}


def runs(net: Any, tolerance_mva: float = TOLERANCE_MVA, *, recycle: bool = False) -> bool:
    """Run `runpp` on the net; whether it converged.

    `recycle` keeps everything but the injections from the run before, which must have converged on this net.
    """
    options = {**RUNPP_OPTIONS, "recycle": _ONLY_INJECTIONS} if recycle else RUNPP_OPTIONS
    with warnings.catch_warnings():
        # On its way to a divergence Newton-Raphson overflows, and meets singular Jacobians.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", MatrixRankWarning)
        try:
            pp.runpp(net, tolerance_mva=tolerance_mva, max_iteration=30, **options)
        except (pp.LoadflowNotConverged, FloatingPointError, np.linalg.LinAlgError):
            return False
    return bool(net.converged)


class Slacks(NamedTuple):
    """The sources of a net and the reference bus, 0 … n-1, that each of them feeds.

    `grids` and `gens` are the external grids and slack generators in service, by their index in the net's tables.
    """

    grids: Ints
    grid_bus: Ints
    gens: Ints
    gen_bus: Ints
    n: int

    def powers(self, solved: Any) -> Complex:
        """P + jQ out of each reference bus into the network, (n,) kW and kvar, from pandapower's results."""
        total = np.zeros(self.n, np.complex128)
        for results, index, bus in (
            (solved.res_ext_grid, self.grids, self.grid_bus),
            (solved.res_gen, self.gens, self.gen_bus),
        ):
            of_source = results.loc[index, ["p_mw", "q_mvar"]].fillna(0.0).to_numpy(np.float64)
            np.add.at(total, bus, (of_source[:, 0] + 1j * of_source[:, 1]) * 1000.0)
        return total


def find_slacks(net: Any, matrices: Matrices) -> Slacks:
    """Sources of a net by pandapower's internal model of it."""
    grids, gens = find_voltage_sources(net)
    grid_bus, gen_bus = (
        np.searchsorted(matrices.reference, matrices.bus[find_bus_rows(net, table.bus)]).astype(np.int64)
        for table in (grids, gens)
    )
    n = int(matrices.reference.size)
    return Slacks(grids.index.to_numpy(np.int64), grid_bus, gens.index.to_numpy(np.int64), gen_bus, n)


def _read_results(net: Any, slacks: Slacks, flow: Flow, k: int) -> None:
    """Copy pandapower's results of one interval; a branch without supply, NaN there, carries no current."""
    flow.converged[k] = True
    flow.vm_pu[k] = net.res_bus.vm_pu
    flow.line_loading_percent[k] = net.res_line.loading_percent.fillna(0.0)
    flow.trafo_loading_percent[k] = net.res_trafo.loading_percent.fillna(0.0)
    flow.trafo_p_kw[k] = net.res_trafo.p_hv_mw.fillna(0.0) * 1000.0
    supplied = slacks.powers(net)
    from_grid = supplied[np.unique(slacks.grid_bus)].sum()
    flow.p_slack_kw[k], flow.q_slack_kvar[k] = supplied.real, supplied.imag
    flow.p_grid_kw[k], flow.q_grid_kvar[k] = from_grid.real, from_grid.imag
    # Buses count from the network and include shunts, which are no losses.
    flow.losses_kw[k] = (net.res_shunt.p_mw.sum() - net.res_bus.p_mw.sum()) * 1000.0
    flow.iterations[k] = net._ppc["iterations"]
