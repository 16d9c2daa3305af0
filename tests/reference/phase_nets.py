"""Nets for unbalanced power flow: zero-sequence data and one-phase loads added to nets that have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as pn

from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.tables import COLUMNS


def add_zero_sequence(net: Any, group: str = "Dyn") -> Any:
    """Zero sequence of lines, transformers and source, none of it equal to the positive one."""
    net.line["r0_ohm_per_km"] = 4.0 * net.line.r_ohm_per_km
    net.line["x0_ohm_per_km"] = 3.5 * net.line.x_ohm_per_km
    net.line["c0_nf_per_km"] = 0.6 * net.line.c_nf_per_km
    net.trafo["vector_group"] = group
    net.trafo["vk0_percent"] = 0.95 * net.trafo.vk_percent
    net.trafo["vkr0_percent"] = 1.1 * net.trafo.vkr_percent
    net.trafo["mag0_percent"], net.trafo["mag0_rx"], net.trafo["si0_hv_partial"] = 150.0, 0.3, 0.8
    net.ext_grid["s_sc_max_mva"], net.ext_grid["rx_max"] = 500.0, 0.2
    net.ext_grid["x0x_max"], net.ext_grid["r0x0_max"] = 1.2, 0.3
    return net


def add_one_phase_loads(net: Any, buses: Any, seed: int, kw: float = 4.0, delta: float = 0.3) -> Any:
    """Loads and PV of one or three phases, wye and delta, at buses."""
    rng = np.random.default_rng(seed)
    for bus in buses:
        powers = rng.uniform(0.0, kw / 1000.0, 3) * (rng.random(3) < 0.6)
        kind = "delta" if rng.random() < delta else "wye"
        q = dict(zip(("q_a_mvar", "q_b_mvar", "q_c_mvar"), 0.3 * powers, strict=True))
        p = dict(zip(("p_a_mw", "p_b_mw", "p_c_mw"), powers, strict=True))
        pp.create_asymmetric_load(net, int(bus), **p, **q, type=kind, scaling=0.9)
        if rng.random() < 0.4:
            pp.create_asymmetric_sgen(net, int(bus), p_b_mw=kw / 1000.0, q_b_mvar=-0.0003, type="wye")
    return net


def make_generated() -> Any:
    """Our own feeder of eight houses, with delta loads and an upstream of twice the rated voltage's taps."""
    net = make_radial_feeder([f"h{k}" for k in range(8)], rng=np.random.default_rng(1)).net
    net.trafo["tap_pos"] = net.trafo.tap_pos + 1
    return add_one_phase_loads(add_zero_sequence(net), net.bus.index[2:], 1)


def make_cigre() -> Any:
    """CIGRE LV with three transformers; its own loads become one-phase at every third bus."""
    net = add_zero_sequence(pn.create_cigre_network_lv())
    return add_one_phase_loads(net, net.load.bus.unique()[::3], 2, kw=8.0)


def make_kerber() -> Any:
    """A village of Kerber's."""
    net = add_zero_sequence(pn.create_kerber_landnetz_kabel_1())
    return add_one_phase_loads(net, net.load.bus, 3)


def make_european() -> Any:
    """IEEE European LV, the reactive power of phases B and C put right (pandapower issue 2218)."""
    net = pn.ieee_european_lv_asymmetric()
    for phase in "abc":
        net.asymmetric_load[f"q_{phase}_mvar"] = net.asymmetric_load[f"p_{phase}_mw"] * np.tan(np.arccos(0.95))
    return net


def make_meshed() -> Any:
    """The generated feeder with a ring, a line open at one end, and one-phase loads alone."""
    net = make_generated()
    lv = [int(bus) for bus in net.bus.index if net.bus.vn_kv[bus] < 1.0]
    rows = net.line.iloc[0]
    for a, b in ((lv[1], lv[-1]), (lv[2], lv[5])):
        k = pp.create_line_from_parameters(net, a, b, 0.08, rows.r_ohm_per_km, rows.x_ohm_per_km, 250.0, rows.max_i_ka)
    add_zero_sequence(net)
    pp.create_switch(net, lv[2], k, et="l", closed=False)
    return net


def make_two_stars() -> Any:
    """YNyn transformer behind a medium-voltage line, with iron losses, ordinary loads, a storage and joined buses."""
    net = pp.create_empty_network(sn_mva=0.4)
    hv, mv, lv, bar, end = (pp.create_bus(net, vn) for vn in (20.0, 20.0, 0.4, 0.4, 0.4))
    pp.create_ext_grid(net, hv, vm_pu=1.01, va_degree=12.0)
    pp.create_line_from_parameters(net, hv, mv, 5.0, 0.2, 0.35, 220.0, 0.3)
    pp.create_transformer_from_parameters(
        net, mv, lv, 0.4, 20.0, 0.4, 1.2, 4.0, 0.9, 0.4, tap_side="hv", tap_neutral=0, tap_pos=-1, tap_step_percent=2.5,
        tap_min=-2, tap_max=2, shift_degree=0, tap_changer_type="Ratio",
    )  # fmt: skip
    pp.create_switch(net, lv, bar, et="b")
    pp.create_line_from_parameters(net, bar, end, 0.2, 0.3, 0.08, 300.0, 0.2, parallel=2)
    pp.create_load(net, bar, 0.03, 0.01, type="delta")
    pp.create_sgen(net, end, 0.02, 0.0, type="PV")
    pp.create_storage(net, end, 0.01, 1.0)
    return add_one_phase_loads(add_zero_sequence(net, "YNyn"), [bar, end], 5, kw=15.0)


def make_drawn() -> Any:
    """Our own feeder of 25 houses, each on one phase drawn from a seed, some with PV of 4.6 kW on it."""
    rng = np.random.default_rng(3)
    net = add_zero_sequence(make_radial_feeder([f"h{k}" for k in range(25)], rng=rng).net)
    for bus in net.bus.index[-25:]:
        phase = "abc"[rng.integers(3)]
        p = {f"p_{phase}_mw": rng.uniform(0.0, 0.003)}
        pp.create_asymmetric_load(net, bus, **p, **{f"q_{phase}_mvar": 0.3 * p[f"p_{phase}_mw"]}, type="wye")
        if rng.random() < 0.3:
            pp.create_asymmetric_sgen(net, bus, **{f"p_{phase}_mw": 0.0046}, type="wye")
    return net


def make_laterals() -> Any:
    """A line of houses with two laterals, all of each on one phase."""
    net = pp.create_empty_network()
    mv, bar, *poles = (pp.create_bus(net, vn) for vn in (20.0, *(0.4,) * 9))
    pp.create_ext_grid(net, mv)
    pp.create_transformer(net, mv, bar, "0.25 MVA 20/0.4 kV")
    for a, b in ((bar, poles[0]), (poles[0], poles[1]), (poles[1], poles[2]), (poles[2], poles[3])):
        pp.create_line(net, a, b, 0.08, "NAYY 4x150 SE")
    for a, b in ((poles[1], poles[4]), (poles[4], poles[5]), (poles[2], poles[6]), (poles[6], poles[7])):
        pp.create_line(net, a, b, 0.05, "NAYY 4x50 SE")
    for pole, phase in zip(poles[4:], "aabb", strict=True):
        pp.create_asymmetric_load(net, pole, **{f"p_{phase}_mw": 0.006, f"q_{phase}_mvar": 0.001}, type="wye")
    return add_zero_sequence(net)


def make_two_sources() -> Any:
    """The feeder with laterals behind two transformers in parallel, between two grids that hold nearly the same."""
    net = make_laterals()
    other = pp.create_bus(net, 20.0)
    pp.create_ext_grid(net, other, vm_pu=1.002)
    pp.create_line_from_parameters(net, other, int(net.ext_grid.bus.iloc[0]), 0.05, 0.2, 0.35, 220.0, 0.3)
    net.trafo["parallel"] = 2
    return add_zero_sequence(net)


def make_delta() -> Any:
    """The feeder with laterals, every load between phases."""
    net = make_laterals()
    net.asymmetric_load["type"] = "delta"
    return net


def make_wye(name: str) -> Any:
    """A net of `NETS` with every load between phase and neutral: power-grid-model has no others."""
    net = NETS[name]()
    net.load["type"], net.asymmetric_load["type"] = "wye", "wye"
    return net


NETS: dict[str, Callable[[], Any]] = {
    "generated": make_generated,
    "cigre": make_cigre,
    "kerber": make_kerber,
    "european": make_european,
    "meshed": make_meshed,
    "two_stars": make_two_stars,
    "drawn": make_drawn,
    "laterals": make_laterals,
    "two_sources": make_two_sources,
    "delta": make_delta,
}


def write_european_four_wire(folder: Path) -> Path:
    """Folder of tables of the IEEE European LV net with a neutral of its own.

    Of each section it is z_n = (z0 − z1)/3; where the data gives no resistance for it, the neutral is as a phase.
    """
    net = make_european()
    line, trafo, grid = net.line, net.trafo.iloc[0], net.ext_grid.iloc[0]
    z = ["r_ohm_per_km", "x_ohm_per_km", "r0_ohm_per_km", "x0_ohm_per_km"]
    code = line.groupby(z).ngroup()
    codes = []
    for name, row in line.groupby(code).first().iterrows():
        of_neutral = (row.r0_ohm_per_km - row.r_ohm_per_km) / 3.0, (row.x0_ohm_per_km - row.x_ohm_per_km) / 3.0
        values = dict.fromkeys("abcn", (row.r_ohm_per_km, row.x_ohm_per_km))
        values |= {"n": of_neutral} if of_neutral[0] > 0.0 else {}
        codes += [(f"k{name}", i, j, *(values[i] if i == j else (0, 0)), 0) for i in "abcn" for j in "abcn"]
    e = grid.vm_pu * trafo.vn_hv_kv * 1000.0 / np.sqrt(3.0) * np.exp(-2j * np.pi / 3.0 * np.arange(3))
    tables = {
        "bus": [(b, vn, "abc" if b == trafo.hv_bus else "abcn") for b, vn in net.bus.vn_kv.items()],
        "line": [
            (f"l{k}", r.from_bus, r.to_bus, r.length_km, f"k{code[k]}", 1000.0 * r.max_i_ka) for k, r in line.iterrows()
        ],
        "linecode_matrix": codes,
        "transformer": [
            (
                *("t", trafo.hv_bus, trafo.lv_bus, 1000.0 * trafo.sn_mva, trafo.vn_hv_kv, trafo.vn_lv_kv, "Dyn"),
                *(1, trafo.vkr_percent, np.sqrt(trafo.vk_percent**2 - trafo.vkr_percent**2), 1, "n"),
            )
        ],
        "source": [(grid.bus, c, v.real, v.imag, 0.2, 2.0, 0.2, 2.0) for c, v in zip("abc", e, strict=True)],
        "earthing": [(trafo.lv_bus, "n", 1.0, 0)],
        "load": [
            (f"h{k}", r.bus, phase, "n", 1000.0 * r[f"p_{phase}_mw"], 1000.0 * r[f"q_{phase}_mvar"])
            for k, r in net.asymmetric_load.iterrows()
            for phase in "abc"
            if r[f"p_{phase}_mw"]
        ],
    }
    for name, rows in tables.items():
        lines = [",".join(COLUMNS[name]), *(",".join(str(cell) for cell in row) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
