"""The reference model of three phases: every interval solved by `pandapower.runpp_3ph`, one after the other.

It drops storages, and loads whose type is not exactly wye or delta, without a word, and knows no generators that hold
a voltage; a copy of the net has other elements in their place.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandapower as pp

from grid_models.arrays import Complex, Floats, Ints
from grid_models.feeder.connection import ABC
from grid_models.feeder.feeder import Feeder
from grid_models.phases.connected import ConnectedCircuit, get_connections
from grid_models.phases.readout import N_BUS, N_LINE, N_TRAFO, make_phase_readout
from grid_models.phases.sequence import PHASES, voltage_unbalance_percent
from grid_models.powerflow.admittance import find_bus_rows
from grid_models.powerflow.flow import Flow, make_unsolved_flow

JUDGE_SN_MVA = 1e-3
"""runpp_3ph stops at a mismatch of 3e-8 pu, whatever is asked for; with a small base that is 3e-11 MVA."""
STIFF_MVA = 1e9
"""Short-circuit power of the source in place of a generator that holds three balanced voltages."""
NO_MAGNETISING = 1e9
"""mag0_percent of a transformer without a magnetising branch."""
MAX_ITERATIONS = 100


def count_every_load(net: Any) -> Any:
    """Copy of a net in which `runpp_3ph` counts the loads and storages that it would leave out, as tight as it can."""
    given = deepcopy(net)
    given.sn_mva = JUDGE_SN_MVA
    for table in ("load", "sgen"):
        given[table]["type"] = np.where(given[table]["type"] == "delta", "delta", "wye")
    for _, row in given.storage[given.storage.in_service.astype(bool)].iterrows():
        pp.create_load(given, row.bus, row.p_mw, row.q_mvar, scaling=row.scaling, type="wye")
    return given


def prepare_for_3ph(net: Any) -> Any:
    """Copy of a net in which `runpp_3ph` counts every element, and has sources and transformers that it can solve."""
    given = count_every_load(net)
    for _, row in given.gen[given.gen.in_service.astype(bool) & given.gen.slack.astype(bool)].iterrows():
        pp.create_ext_grid(given, row.bus, row.vm_pu, s_sc_max_mva=STIFF_MVA, rx_max=0.1, x0x_max=1.0, r0x0_max=0.1)
    given.gen.drop(given.gen.index, inplace=True)
    _replace_star_groups(given.trafo)
    return given


def _replace_star_groups(trafo: Any) -> None:
    """Put Dyn transformers of the same zero-sequence impedance in place of Yzn and Yyn ones.

    runpp_3ph solves no Yyn, and its Yzn depends on the base power. All three are open on the medium-voltage side in the
    zero sequence, and what they have on the other is one impedance (`grid_models.phases.zero_sequence`): of Yzn that of
    the leakage, of Yyn the low-voltage part of it and the magnetising branch.
    """
    group = trafo["vector_group"].astype(str).str.lower()
    turn = (trafo["mag0_rx"] + 1j) / np.hypot(trafo["mag0_rx"], 1.0)
    leakage = trafo["vkr0_percent"] + 1j * np.sqrt(trafo["vk0_percent"] ** 2 - trafo["vkr0_percent"] ** 2)
    magnetised = leakage * (1.0 - trafo["si0_hv_partial"]) + turn * trafo["vk0_percent"] * trafo["mag0_percent"] / 100.0
    for name, percent in (("yzn", leakage), ("yyn", magnetised)):
        at = (group == name).to_numpy()
        values = percent[at].to_numpy(np.complex128)
        trafo.loc[at, "vector_group"], trafo.loc[at, "mag0_percent"] = "Dyn", NO_MAGNETISING
        trafo.loc[at, "vk0_percent"], trafo.loc[at, "vkr0_percent"] = np.abs(values), values.real


def run_3ph(net: Any) -> bool:
    """Run `runpp_3ph` on a prepared net; returns whether it converged to finite voltages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pp.runpp_3ph(net, max_iteration=MAX_ITERATIONS, numba=False)
        except (pp.LoadflowNotConverged, FloatingPointError, np.linalg.LinAlgError, ValueError, UserWarning):
            return False
    vm = net.res_bus_3ph[[f"vm_{phase}_pu" for phase in PHASES]].to_numpy(np.float64)
    return bool(np.isfinite(vm).any() and np.nanmax(vm) < 10.0)


class PhaseReference:
    """A feeder prepared for `runpp_3ph`, to be solved again and again.

    Parameters
    ----------
    feeder, connected
        The network, not changed, and its circuit, by which sources and dead branches are known.
    """

    def __init__(self, feeder: Feeder, connected: ConnectedCircuit) -> None:
        self._feeder, self._readout = feeder, make_phase_readout(feeder.net, connected)
        self.net = prepare_for_3ph(feeder.net)
        connections = get_connections(feeder)
        self._code = connections.code
        bus = feeder.bus[connections.house]
        zero = {f"{what}_{phase}_{unit}": 0.0 for what, unit in (("p", "mw"), ("q", "mvar")) for phase in PHASES}
        self._index: Ints = np.array(
            [pp.create_asymmetric_sgen(self.net, int(b), type="wye", **zero) for b in bus], np.int64
        )
        self._connected = connected
        internal = connected.net.matrices.bus
        self._ends = [
            (f"res_{table}_3ph", end, internal[find_bus_rows(self.net, self.net[table][f"{end}_bus"])])
            for table, ends in (("line", ("from", "to")), ("trafo", ("hv", "lv")))
            for end in ends
        ]

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Flow of injections, (K, C) kW and kvar; non-finite ones are not solved."""
        readout, n_buses = self._readout, len(self.net.bus)
        flow = make_unsolved_flow(
            len(p_kw),
            N_BUS * n_buses,
            N_LINE * readout.n_lines,
            N_TRAFO * readout.n_trafos,
            readout.is_grid.size,
            n_power=readout.n_trafos,
            n_unbalance=n_buses,
            n_neutral=n_buses if readout.four_wires else 0,
        )
        circuit, share = self._connected.circuit, self._connected.share
        drawn = circuit.power_kva - (share @ p_kw.T + 1j * (share @ q_kvar.T)).T
        for k in range(len(p_kw)):
            if np.isfinite(p_kw[k]).all() and np.isfinite(q_kvar[k]).all():
                self._write(p_kw[k], q_kvar[k])
                if run_3ph(self.net):
                    self._read(flow, k, drawn[k])
        return flow

    def _write(self, p_kw: Floats, q_kvar: Floats) -> None:
        for phase, name in enumerate(PHASES, start=1):
            share = np.where(self._code == ABC, 1.0 / 3.0, self._code == phase)
            self.net.asymmetric_sgen.loc[self._index, f"p_{name}_mw"] = p_kw * share / 1000.0
            self.net.asymmetric_sgen.loc[self._index, f"q_{name}_mvar"] = q_kvar * share / 1000.0

    def _source_powers(self, drawn_kva: Complex) -> Complex:
        """P + jQ out of each source, (G,) kVA: what enters branches at its bus, and what is drawn there, (m,) kVA.

        With several sources, those of islands, pandapower's results of external grids are not theirs.
        """
        reference = self._connected.net.matrices.reference
        at_ports = self._connected.circuit.port_from // 3
        power = np.array([drawn_kva[at_ports == bus].sum() for bus in reference], dtype=np.complex128)
        for table, end, internal in self._ends:
            p, q = (
                np.nansum(_columns(self.net[table], f"{w}_{{}}_{end}_{u}"), axis=1)
                for w, u in (("p", "mw"), ("q", "mvar"))
            )
            entering = 1000.0 * (p + 1j * q)
            power += np.array([entering[internal == bus].sum() for bus in reference])
        return power

    def _read(self, flow: Flow, k: int, drawn_kva: Complex) -> None:
        """Copy pandapower's results into interval k; a branch without supply, which has NaN there, has no current."""
        net, readout = self.net, self._readout
        vm = _columns(net.res_bus_3ph, "vm_{}_pu")
        angle = np.radians(_columns(net.res_bus_3ph, "va_{}_degree"))
        flow.converged[k], flow.iterations[k] = True, 1
        flow.vm_pu[k] = vm.ravel()
        flow.vuf_percent[k] = voltage_unbalance_percent(vm * np.exp(1j * angle))
        lines, trafos = readout.percent_per_a[: readout.n_lines], readout.percent_per_a[readout.n_lines :]
        flow.line_loading_percent[k] = _load(net.res_line_3ph, lines, "i_{}_%s_ka", ("from", "to"), "abcn").ravel()
        flow.trafo_loading_percent[k] = _load(net.res_trafo_3ph, trafos, "i_{}_%s_ka", ("hv", "lv"), "abc").ravel()
        flow.trafo_p_kw[k] = 1000.0 * np.nansum(_columns(net.res_trafo_3ph, "p_{}_hv_mw"), axis=1)
        lost = [np.nansum(_columns(table, "pl_{}_mw")) for table in (net.res_line_3ph, net.res_trafo_3ph)]
        flow.losses_kw[k] = 1000.0 * sum(lost)
        power = self._source_powers(drawn_kva)
        flow.p_slack_kw[k], flow.q_slack_kvar[k] = power.real, power.imag
        flow.p_grid_kw[k] = flow.p_slack_kw[k][readout.is_grid].sum()
        flow.q_grid_kvar[k] = flow.q_slack_kvar[k][readout.is_grid].sum()


def _columns(table: Any, pattern: str, names: Sequence[str] = PHASES) -> Floats:
    """Columns of a result table by phase, (n, phases)."""
    return np.asarray(table[[pattern.format(name) for name in names]].to_numpy(np.float64))


def _load(table: Any, percent_per_a: Floats, pattern: str, ends: tuple[str, str], conductors: str) -> Floats:
    """Loading of some conductors of each branch, (n, conductors) %: the larger of both ends."""
    of_ends = [
        np.nan_to_num(_columns(table, pattern % end, conductors)) * 1000.0 * percent_per_a[:, k, None]
        for k, end in enumerate(ends)
    ]
    return np.maximum(*of_ends)
