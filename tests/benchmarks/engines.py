"""Other engines on the injections of a feeder, each in its fastest mode and in the one that comes to mind first.

All read every voltage, and their voltages are compared. Each is timed in many short runs, of which the shortest counts:
on a machine that others use, that is the one in which nobody disturbed it. Processor time is that of all threads.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandas as pd

from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.admittance import RUNPP_OPTIONS
from grid_models.powerflow.runpp import with_injection_elements

SHORT, REPEAT = 500, 20
"""Intervals of a short run, and how many such runs."""
AGREES_PU = 5e-5
"""Largest difference between voltages; OpenDSS stops at changes of 1e-4, and has the iron elsewhere."""


class Taken(NamedTuple):
    """Seconds per power flow: on the wall clock, and of processors."""

    wall: float
    processor: float


Rows = list[tuple[str, Taken]]


def seconds(work: Callable[[], Any], n: int = 1, repeat: int = 3) -> Taken:
    """Shortest of a few runs, by n."""
    taken = []
    for _ in range(repeat):
        begin, processor = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - begin, time.process_time() - processor))
    return Taken(*(min(each) / n for each in zip(*taken, strict=True)))


def check_voltages(name: str, found: np.ndarray, lowest: np.ndarray) -> None:
    """Raise where the lowest voltage of an interval is not ours, (K,) pu each."""
    worst = float(np.abs(found - lowest).max())
    if not worst <= AGREES_PU:
        raise RuntimeError(f"{name}: expected voltages within {AGREES_PU} pu of ours, got {worst:.1e}")


def other_engines(feeder: Feeder, p_kw: np.ndarray, vm_pu: np.ndarray, n_slow: int) -> Rows:
    """Engines that are installed (extras `bench` and `opendss`); `vm_pu` are our voltages, (K, B)."""
    lowest = vm_pu.min(axis=1)
    net, index = with_injection_elements(feeder)
    found: Rows = [
        (f"pandapower `run_timeseries` ({n_slow} h)", time_run_timeseries(net, index, p_kw[:n_slow], lowest))
    ]
    for measure in (lightsim_rows, power_grid_model_rows, opendss_rows):
        with suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found += measure(deepcopy(net), index, p_kw[:SHORT], lowest[:SHORT])
    return found


def time_run_timeseries(net: Any, index: Any, p_kw: np.ndarray, lowest: np.ndarray) -> Taken:
    """pandapower's own loop, which recycles by itself; voltages and loadings are kept."""
    from pandapower.control import ConstControl
    from pandapower.timeseries import DFData, OutputWriter, run_timeseries

    net, steps = deepcopy(net), range(p_kw.shape[0])
    source = DFData(pd.DataFrame(p_kw / 1000.0))
    columns = list(range(p_kw.shape[1]))
    ConstControl(net, element="sgen", variable="p_mw", element_index=index, profile_name=columns, data_source=source)
    writer = OutputWriter(net, steps, output_path=None)
    for table in ("res_line", "res_trafo"):
        writer.log_variable(table, "loading_percent")
    taken = seconds(lambda: run_timeseries(net, steps, verbose=False, **RUNPP_OPTIONS), len(steps))
    found = writer.output["res_bus.vm_pu"].to_numpy(np.float64)
    check_voltages("run_timeseries", found.min(axis=1), lowest[: len(steps)])
    return taken


def lightsim_rows(net: Any, index: Any, p_kw: np.ndarray, lowest: np.ndarray) -> Rows:
    """lightsim2grid's Newton-Raphson, one power flow at a time and by `TimeSeriesCPP`."""
    from lightsim2grid.network import init_from_pandapower
    from lightsim2grid.timeSerie import TimeSeriesCPP

    pp.runpp(net, **RUNPP_OPTIONS)
    model = init_from_pandapower(net)
    start = (net.res_bus.vm_pu * np.exp(1j * np.deg2rad(net.res_bus.va_degree))).to_numpy(np.complex128)
    first, n = len(net.sgen) - len(index), p_kw.shape[0]

    def solve() -> None:
        for k in range(n):
            for i in range(len(index)):
                model.change_p_sgen(first + i, float(p_kw[k, i]) / 1000.0)
            if model.ac_pf(start, 20, 1e-9).shape[0] == 0:
                raise RuntimeError("lightsim2grid did not converge")

    constant = np.tile(net.sgen.p_mw.to_numpy(np.float64), (n, 1))
    constant[:, first:] = p_kw / 1000.0
    loads = [np.tile(net.load[column].to_numpy(np.float64), (n, 1)) for column in ("p_mw", "q_mvar")]
    gens = np.zeros((n, len(model.get_generators())))
    series = TimeSeriesCPP(model)

    def solve_series() -> None:
        if series.compute_Vs(gens, constant, *loads, start, 20, 1e-9) != 1:
            raise RuntimeError("lightsim2grid did not converge")
        series.compute_flows()

    found = [
        ("lightsim2grid, one at a time", seconds(solve, n)),
        ("lightsim2grid, `TimeSeriesCPP`", seconds(solve_series, n, REPEAT)),
    ]
    check_voltages("lightsim2grid", np.abs(series.get_voltages()[:, : len(net.bus)]).min(axis=1), lowest)
    return found


def power_grid_model_rows(net: Any, index: Any, p_kw: np.ndarray, _: np.ndarray) -> Rows:
    """power-grid-model's batch on the same cables without the transformer, on one thread and on two."""
    import power_grid_model as pgm

    lines, buses = net.line, net.bus
    node = pgm.initialize_array("input", "node", len(buses))
    node["id"], node["u_rated"] = np.arange(len(buses)), buses.vn_kv * 1000.0
    line = pgm.initialize_array("input", "line", len(lines))
    line["id"] = 1000 + np.arange(len(lines))
    line["from_node"], line["to_node"] = lines.from_bus, lines.to_bus
    line["from_status"] = line["to_status"] = 1
    line["r1"], line["x1"] = lines.r_ohm_per_km * lines.length_km, lines.x_ohm_per_km * lines.length_km
    line["c1"], line["tan1"] = lines.c_nf_per_km * lines.length_km * 1e-9, 0.0
    line["i_n"] = lines.max_i_ka * 1000.0
    source = pgm.initialize_array("input", "source", 1)
    low = int(net.trafo.lv_bus.iloc[0])
    source["id"], source["node"], source["status"], source["u_ref"] = 5000, low, 1, 1.0
    load = pgm.initialize_array("input", "sym_load", p_kw.shape[1])
    load["id"], load["node"] = 2000 + np.arange(p_kw.shape[1]), net.sgen.bus.loc[index]
    load["status"], load["type"] = 1, pgm.LoadGenType.const_power
    load["p_specified"] = load["q_specified"] = 0.0
    model = pgm.PowerGridModel({"node": node, "line": line, "source": source, "sym_load": load})
    update = pgm.initialize_array("update", "sym_load", p_kw.shape)
    update["id"] = load["id"]
    update["p_specified"], update["q_specified"] = -1000.0 * p_kw, 0.0
    options: dict[str, Any] = {"update_data": {"sym_load": update}, "calculation_method": "iterative_current"}
    found = []
    for threads, how in ((-1, "one thread"), (2, "two threads")):
        solve = partial(model.calculate_power_flow, threading=threads, **options)
        found.append((f"power-grid-model, batched, {how}", seconds(solve, p_kw.shape[0], REPEAT)))
    return found


def opendss_rows(net: Any, index: Any, p_kw: np.ndarray, lowest: np.ndarray) -> Rows:
    """OpenDSS at its default tolerance, the power of every load set, and all voltages read."""
    import opendssdirect as dss

    trafo = net.trafo.iloc[0]
    x_percent = float(np.sqrt(trafo.vk_percent**2 - trafo.vkr_percent**2))
    kva, half = 1000.0 * trafo.sn_mva, trafo.vkr_percent / 2.0
    iron = 100.0 * trafo.pfe_kw / kva
    commands = [
        "clear",
        f"new circuit.net bus1=b{trafo.hv_bus} phases=3 basekv={trafo.vn_hv_kv} pu=1 z1=[0 1e-8] z0=[0 1e-8]",
        f"new transformer.t phases=3 windings=2 buses=(b{trafo.hv_bus} b{trafo.lv_bus}) conns=(wye wye) "
        f"kvs=({trafo.vn_hv_kv} {trafo.vn_lv_kv}) kvas=({kva} {kva}) %rs=({half} {half}) xhl={x_percent} "
        f"%noloadloss={iron} %imag={float(np.sqrt(trafo.i0_percent**2 - iron**2))} ppm_antifloat=0",
    ]
    for k, line in enumerate(net.line.itertuples()):
        ohm = f"r1={line.r_ohm_per_km} x1={line.x_ohm_per_km} r0={line.r_ohm_per_km} x0={line.x_ohm_per_km}"
        commands.append(
            f"new line.l{k} bus1=b{line.from_bus} bus2=b{line.to_bus} length={line.length_km} units=km {ohm} "
            f"c1={line.c_nf_per_km} c0={line.c_nf_per_km}"
        )
    for k, bus in enumerate(net.sgen.bus.loc[index]):
        commands.append(f"new load.p{k} phases=3 bus1=b{bus} kv=0.4 kw=0 pf=1 model=1 vminpu=0.1 vmaxpu=2")
    for command in [*commands, "set controlmode=off", "solve mode=snap"]:
        dss.Text.Command(command)
    found = np.empty((p_kw.shape[0], len(dss.Circuit.AllBusVolts())))

    def solve() -> None:
        for each, volts in zip(-p_kw, found, strict=True):
            dss.Loads.First()
            for power in each.tolist():
                dss.Loads.kW(power)
                dss.Loads.Next()
            dss.Solution.Solve()
            volts[:] = dss.Circuit.AllBusVolts()

    taken = seconds(solve, p_kw.shape[0], REPEAT)
    phase_v = np.hypot(found[:, 6::2], found[:, 7::2])  # behind those of the first bus, the grid's
    check_voltages("OpenDSS", phase_v.min(axis=1) / (400.0 / np.sqrt(3.0)), lowest)
    return [("OpenDSS, every load set", taken)]
