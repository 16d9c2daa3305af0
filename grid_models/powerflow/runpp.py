"""The reference model: every interval solved by `pandapower.runpp`, one after the other.

The participants' injections are static generators: pandapower counts these into the network, as everywhere else here.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
from pandapower.pypower.idx_bus import CID_P, CID_Q, CZD_P, CZD_Q, GS
from scipy.sparse.linalg import MatrixRankWarning

from grid_models.arrays import Complex, Floats, Ints
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.admittance import (
    MAX_ITERATIONS,
    RUNPP_OPTIONS,
    Matrices,
    find_bus_rows,
    find_voltage_sources,
    read_matrices,
)
from grid_models.powerflow.flow import Flow, make_unsolved_flow
from grid_models.powerflow.voltages import Readout, make_readout, read_flow

TOLERANCE_MVA = 1e-11
HELD_KW = 1e-7
"""By what an injection beside voltage-dependent loads may differ from the metered one."""
MAX_CORRECTIONS = 30
COMPILE_AFTER = 400
"""Intervals of series after which pandapower compiles what it takes from numba: they took as long as compiling does."""


def solve_by_runpp(
    feeder: Feeder,
    p_kw: Floats,
    q_kvar: Floats | None = None,
    *,
    matrices: Matrices | None = None,
    recycle: bool = False,
) -> Flow:
    """Solve every interval by `pandapower.runpp`.

    Parameters
    ----------
    feeder
        The network.
    p_kw, q_kvar
        Injections of the participants, (K, N), positive into the network; no reactive power if left out.
    matrices
        pandapower's internal model of the net; read from it if left out.
    recycle
        See `Reference.solve`.

    Raises
    ------
    GridError
        If pandapower cannot solve the net without the participants.
    """
    q = np.zeros_like(p_kw) if q_kvar is None else q_kvar
    return Reference(feeder, matrices or read_matrices(feeder.net, feeder.name)).solve(p_kw, q, recycle=recycle)


class Reference:
    """A net prepared for `runpp`, to be solved again and again.

    Parameters
    ----------
    feeder, matrices
        The network, not changed, and its internal buses.

    Attributes
    ----------
    net
        The net that is solved, with its latest results.
    slacks
        Its sources.
    """

    def __init__(self, feeder: Feeder, matrices: Matrices) -> None:
        self.net, self._index = with_injection_elements(feeder)
        self._feeder, self._matrices = feeder, matrices
        self.slacks = find_slacks(self.net, matrices)
        self._home = matrices.bus[find_bus_rows(self.net, feeder.bus)]
        self._may_recycle = len(self.net.dcline) == 0  # pandapower adds generators for these in every run
        self._n_of_series = 0

    def solve(self, p_kw: Floats, q_kvar: Floats, *, recycle: bool = False) -> Flow:
        """Flow of injections, (K, N) kW and kvar; non-finite ones are not solved.

        With `recycle`, `runpp` converts the net once and then updates only the injections, which takes a third of the
        time; an interval that does not converge so is run again from the start.
        """
        net, converted = self.net, False
        flow = make_unsolved_flow(p_kw.shape[0], len(net.bus), len(net.line), len(net.trafo), self.slacks.n)
        for k in range(p_kw.shape[0]):
            if np.isfinite(p_kw[k]).all() and np.isfinite(q_kvar[k]).all():
                solved = self.solve_one(p_kw[k], q_kvar[k], recycle=converted)
                converted = recycle and solved and self._may_recycle
                if solved:
                    _read_results(net, self.slacks, flow, k)
        return flow

    def solve_one(self, p_kw: Floats, q_kvar: Floats, *, recycle: bool = False) -> bool:
        """Solve one interval of injections, (N,) each; returns whether `net` has its results."""
        write_injections(self.net, self._index, p_kw, q_kvar)
        solved = (recycle and run_net(self.net, recycle=True)) or run_net(self.net)
        return solved and self._hold_power(p_kw, q_kvar)

    def _hold_power(self, p_kw: Floats, q_kvar: Floats) -> bool:
        """Make the injections of a solved interval, (N,) each, constant; returns whether it is solved so.

        At a bus with loads whose power depends on the voltage, pandapower lets all power of the bus depend on it. What
        participants inject is metered, so it is written larger by as much as pandapower makes it smaller.
        """
        written = p_kw + 1j * q_kvar
        for _ in range(MAX_CORRECTIONS):
            p_factor, q_factor = find_voltage_factors(self.net, self._home)
            wanted = p_kw / p_factor + 1j * q_kvar / q_factor
            if np.abs(wanted - written).max(initial=0.0) <= HELD_KW:
                return True
            write_injections(self.net, self._index, wanted.real, wanted.imag)
            written = wanted
            if not run_net(self.net):
                return False
        return False

    def solve_series(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Flow of many injections, (K, N) kW and kvar, all finite, by `runpp` without its result tables.

        Every interval starts from the solution before. The first has its tables, and what they hold must follow from
        its voltages; where it does not, and where an interval does not converge, tables are written as in `solve`.
        """
        flow = self.solve(p_kw[:1], q_kvar[:1])
        readout = make_readout(self.net, self._matrices, self._feeder.bus)
        if not flow.converged.all() or not self._follows(readout, flow, p_kw[:1], q_kvar[:1]):
            return self.solve(p_kw, q_kvar, recycle=True)
        voltage, iterations = self._find_voltages(p_kw, q_kvar)
        solved = np.flatnonzero(iterations > 0)
        whole = self.solve(np.full_like(p_kw, np.nan), q_kvar)
        read = read_flow(readout, voltage[solved], p_kw[solved], q_kvar[solved], iterations[solved])
        failed = np.flatnonzero(iterations == 0)
        return whole.with_intervals(solved, read).with_intervals(failed, self.solve(p_kw[failed], q_kvar[failed]))

    def _follows(self, readout: Readout, flow: Flow, p_kw: Floats, q_kvar: Floats) -> bool:
        """Whether what the result tables of the interval just solved hold follows from its voltages."""
        voltage = self.net._ppc["internal"]["V"][None]
        read = read_flow(readout, voltage, p_kw, q_kvar, flow.iterations)
        pairs = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in zip(flow, read, strict=True)]
        return all(np.allclose(a, b, rtol=1e-9, atol=1e-6, equal_nan=True) for a, b in pairs)

    def _find_voltages(self, p_kw: Floats, q_kvar: Floats) -> tuple[Complex, Ints]:
        """Voltages of the internal buses, (K, i) pu, and iterations, (K,); 0 where `runpp` does not converge."""
        net, converted = self.net, False
        voltage = np.zeros((len(p_kw), self._matrices.y_bus.shape[0]), np.complex128)
        iterations = np.zeros(len(p_kw), np.int64)
        for k in range(len(p_kw)):
            write_injections(net, self._index, p_kw[k], q_kvar[k])
            again = converted and self._may_recycle and self._n_of_series != COMPILE_AFTER
            converted = run_net(net, recycle=again, only_voltages=True, numba=self._n_of_series >= COMPILE_AFTER)
            self._n_of_series += 1
            if converted:
                voltage[k], iterations[k] = net._ppc["internal"]["V"], net._ppc["iterations"]
        return voltage, iterations


def find_voltage_factors(solved: Any, home: Ints) -> tuple[Floats, Floats]:
    """By what pandapower multiplies active and reactive power at some internal buses of a solved net, (N,) each.

    c_P + c_I·|V| + c_Z·|V|², where constant power, current and impedance have the shares c of the bus's loads.
    """
    internal = solved._ppc["internal"]
    shares, vm = internal["bus"][home], np.abs(internal["V"])[home]
    supplied = home >= 0

    def factor(current: Any, impedance: Any) -> Floats:
        found = 1.0 + current * (vm - 1.0) + impedance * (vm**2 - 1.0)
        return np.where(supplied, np.real(found), 1.0)

    return factor(shares[:, CID_P], shares[:, CZD_P]), factor(shares[:, CID_Q], shares[:, CZD_Q])


def with_injection_elements(feeder: Feeder) -> tuple[Any, Ints]:
    """Copy of the net with one further `sgen` per participant; returns (net, their indices).

    The participants' own loads, generators and storages stay at zero: an injection is their sum.
    """
    net = deepcopy(feeder.net)
    index = pp.create_sgens(
        net,
        buses=feeder.bus.tolist(),
        p_mw=np.zeros(feeder.bus.size),
        q_mvar=np.zeros(feeder.bus.size),
        name=[f"injection of {participant}" for participant in feeder.participants],
    )
    return net, np.asarray(index, dtype=np.int64)


def write_injections(net: Any, index: Ints, p_kw: Floats, q_kvar: Floats) -> None:
    """Set the injections made by `with_injection_elements`, (N,) each."""
    net.sgen.loc[index, "p_mw"] = p_kw / 1000.0
    net.sgen.loc[index, "q_mvar"] = q_kvar / 1000.0


_ONLY_INJECTIONS = {"bus_pq": True, "trafo": False, "gen": False}


def run_net(net: Any, *, recycle: bool = False, only_voltages: bool = False, numba: bool = False) -> bool:
    """Run `runpp` on the net; returns whether it converged.

    `recycle` keeps everything but the injections from the run before, which must have converged on this net.
    After `only_voltages` the result tables hold nothing of this run. With `numba` pandapower compiles in each process.
    """
    options = {**RUNPP_OPTIONS, "numba": numba, **({"recycle": _ONLY_INJECTIONS} if recycle else {})}
    with warnings.catch_warnings():
        # A Newton-Raphson that diverges overflows and meets singular Jacobians first.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", MatrixRankWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # of tables that older versions wrote
        try:
            pp.runpp(
                net, tolerance_mva=TOLERANCE_MVA, max_iteration=MAX_ITERATIONS, only_v_results=only_voltages, **options
            )
        except (pp.LoadflowNotConverged, FloatingPointError, np.linalg.LinAlgError):
            return False
    return bool(net._ppc["success"] if only_voltages else net.converged)  # `converged` is of the last result tables


class Slacks(NamedTuple):
    """External grids and slack generators in service, by index in the net's tables, and the reference bus of each.

    Reference buses are numbered 0 … n-1 in the order of `Matrices.reference`.
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
    """Find the sources of a net in pandapower's internal model of it."""
    grids, gens = find_voltage_sources(net)
    grid_bus, gen_bus = (
        np.searchsorted(matrices.reference, matrices.bus[find_bus_rows(net, table.bus)]).astype(np.int64)
        for table in (grids, gens)
    )
    n = int(matrices.reference.size)
    return Slacks(grids.index.to_numpy(np.int64), grid_bus, gens.index.to_numpy(np.int64), gen_bus, n)


def _read_results(net: Any, slacks: Slacks, flow: Flow, k: int) -> None:
    """Copy pandapower's results into interval k; a branch without supply, which has NaN there, carries no current."""
    flow.converged[k] = True
    flow.vm_pu[k] = net.res_bus.vm_pu
    flow.line_loading_percent[k] = net.res_line.loading_percent.fillna(0.0)
    flow.trafo_loading_percent[k] = net.res_trafo.loading_percent.fillna(0.0)
    flow.trafo_p_kw[k] = net.res_trafo.p_hv_mw.fillna(0.0) * 1000.0
    supplied = slacks.powers(net)
    from_grid = supplied[np.unique(slacks.grid_bus)].sum()
    flow.p_slack_kw[k], flow.q_slack_kvar[k] = supplied.real, supplied.imag
    flow.p_grid_kw[k], flow.q_grid_kvar[k] = from_grid.real, from_grid.imag
    flow.losses_kw[k] = measure_losses_kw(net._ppc["internal"])
    flow.iterations[k] = net._ppc["iterations"]


def measure_losses_kw(internal: Any) -> float:
    """Losses of the branches of a solved net: what enters them at all buses, less what conductances to earth take.

    `res_bus` would not do: it books loads that depend on the voltage one by one, pandapower solves them by their mean.
    """
    voltage = internal["V"]
    entering = (voltage * np.conj(internal["Ybus"] @ voltage)).real.sum() * internal["baseMVA"]
    return float(entering - (np.real(internal["bus"][:, GS]) * np.abs(voltage) ** 2).sum()) * 1000.0
