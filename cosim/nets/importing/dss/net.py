"""A pandapower net in three phases of imported tables, where one can say the same.

That is so where there is no neutral conductor, lines are transposed (or of single conductors without capacitance),
and transformers are Dyn with clock 1 or 11. Whether it is exact is measured by who calls this, not assumed here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandapower as pp

from cosim.nets.importing.dss.process import Element
from grid_models.arrays import Complex
from grid_models.phases.four_wire import Linecode, read_linecodes
from grid_models.phases.sequence import TO_PHASES, TO_SEQUENCES
from grid_models.phases.tables import Row, Tables

CLOCKS = {30: 1, -30: 11}
NO_MAGNETISING_PERCENT = 1e9
STIFF_MVA = 1e9
SLACK = 1e-5
"""Of an admittance: what OpenDSS adds to transformers so that windings do not float is below."""
DELTA = {"ab": "a", "bc": "b", "ac": "c"}
"""Phase under which pandapower has the power between two."""


def make_net(tables: Tables, elements: tuple[Element, ...]) -> Any:
    """Net of tables; None where a net cannot say what they say."""
    codes = read_linecodes(tables.linecode_matrix)
    lines = {name: found for name, code in codes.items() if (found := _find_sequences(code)) is not None}
    given = [element for element in elements if element.kind == "transformer"]
    trafos = [values for element in given if (values := _find_trafo(element)) is not None]
    passive = {row["branch"] for row in tables.terminal}
    if (
        any("n" in row["conductors"] for row in tables.bus)
        or tables.earthing
        or len(passive) != len(trafos)
        or len(trafos) < len(given)
        or len(lines) < len(codes)
    ):
        return None
    net = pp.create_empty_network(f_hz=float(tables.network[0]["frequency_hz"]))
    for row in tables.bus:
        pp.create_bus(net, float(row["vn_kv"]), name=row["bus"])
    bus = {name: index for index, name in net.bus["name"].items()}
    for row in tables.line:
        ends = bus[row["from_bus"]], bus[row["to_bus"]]
        _add_line(net, row["line"], ends, row["length_km"], lines[row["code"]], row["i_max_a"])
    for trafo in trafos:
        _add_trafo(net, bus, trafo)
    for row in tables.source[::3]:
        _add_source(net, bus[row["bus"]], [each for each in tables.source if each["bus"] == row["bus"]])
    _add_loads(net, bus, tables.load)
    return net


def _find_sequences(code: Linecode) -> Complex | None:
    """Z₁, Z₀ in ohm/km and C₁, C₀ in nF/km; None where a line has none."""
    z, c = code.impedance, code.capacitance
    if "n" in code.conductors:
        return None
    if len(code.conductors) < 3:
        coupled = np.abs(z - np.diag(z.diagonal())).max() > 0.0 or np.abs(z.diagonal() - z[0, 0]).max() > 0.0
        return None if coupled or np.abs(c).max() > 0.0 else np.array([z[0, 0], z[0, 0], 0.0, 0.0])
    found = [TO_SEQUENCES @ matrix @ TO_PHASES for matrix in (z, c)]
    if any(np.abs(each - np.diag(each.diagonal())).max() > 1e-9 * np.abs(each).max() for each in found):
        return None
    return np.array([found[0][1, 1], found[0][0, 0], found[1][1, 1], found[1][0, 0]])


def _add_line(net: Any, name: str, ends: tuple[int, int], km: float, values: Complex, i_max_a: float) -> None:
    z1, z0, c1, c0 = values
    pp.create_line_from_parameters(
        net, *ends, km, float(z1.real), float(z1.imag), float(c1.real), i_max_a / 1000.0, name=name,
        r0_ohm_per_km=float(z0.real), x0_ohm_per_km=float(z0.imag), c0_nf_per_km=float(c0.real),
    )  # fmt: skip


def _find_trafo(element: Element) -> dict[str, Any] | None:
    """Values of a transformer from a delta to an earthed star; None of any other."""
    nodes = [node for _, node, _ in element.nodes]
    if len(nodes) != 8 or nodes != [1, 2, 3, 0, 1, 2, 3, 0]:
        return None
    keep = [0, 1, 2, 4, 5, 6]
    y = element.y[np.ix_(keep, keep)].reshape(2, 3, 2, 3).transpose(0, 2, 1, 3)
    of_sequence = TO_SEQUENCES @ y @ TO_PHASES
    one, zero = of_sequence[:, :, 1, 1], of_sequence[:, :, 0, 0]
    (_, lv), (kva, _) = element.numbers("kvs"), element.numbers("kvas")
    turn = round(float(np.degrees(np.angle(-one[0, 1] / one[1, 1]))))
    ratio = abs(one[1, 1] / one[0, 1])
    balanced = abs(one[0, 0] * ratio**2 / one[1, 1] - 1.0) < SLACK
    if turn not in CLOCKS or not balanced or abs(zero[0]).max() > SLACK * abs(one[0, 0]):
        return None
    base = lv**2 * 1000.0 / kva
    z1, z0 = (100.0 / y / base for y in (one[1, 1], zero[1, 1]))
    buses = element.nodes[0][0], element.nodes[4][0]
    return {
        "name": element.full, "buses": buses, "sn_mva": kva / 1000.0, "vn_hv_kv": lv * ratio, "vn_lv_kv": lv,
        "shift_degree": CLOCKS[turn] * 30.0, "vk_percent": abs(z1), "vkr_percent": max(z1.real, 0.0),
        "vk0_percent": abs(z0), "vkr0_percent": max(z0.real, 0.0),
    }  # fmt: skip


def _add_trafo(net: Any, bus: dict[str, int], values: dict[str, Any]) -> None:
    near, far = (bus[name] for name in values["buses"])
    said = {name: value for name, value in values.items() if name != "buses"}
    pp.create_transformer_from_parameters(
        net, near, far, **said, pfe_kw=0.0, i0_percent=0.0, vector_group="Dyn",
        mag0_percent=NO_MAGNETISING_PERCENT, mag0_rx=0.0, si0_hv_partial=0.9,
    )  # fmt: skip


def _add_source(net: Any, bus: int, rows: list[Row]) -> None:
    """A stiff external grid behind a line with the source's impedance: a net has none in its positive sequence."""
    kv = float(net.bus.at[bus, "vn_kv"])
    behind = pp.create_bus(net, kv, name=f"source of {net.bus.at[bus, 'name']}")
    e = complex(rows[0]["e_re_v"], rows[0]["e_im_v"])
    e *= {"a": 1.0, "b": np.exp(2j * np.pi / 3.0), "c": np.exp(-2j * np.pi / 3.0)}[rows[0]["conductor"]]
    pp.create_ext_grid(
        net, behind, vm_pu=abs(e) * 3.0**0.5 / kv / 1000.0, va_degree=float(np.degrees(np.angle(e))),
        s_sc_max_mva=STIFF_MVA, rx_max=0.1, x0x_max=1.0, r0x0_max=0.1,
    )  # fmt: skip
    first = rows[0]
    z = np.array([first["r1_ohm"] + 1j * first["x1_ohm"], first["r0_ohm"] + 1j * first["x0_ohm"], 0.0, 0.0])
    rated_a = float(net.trafo.sn_mva.sum()) * 1e6 / (3.0**0.5 * kv * 1000.0) if len(net.trafo) else 1e5
    _add_line(net, "source", (behind, bus), 1.0, z, rated_a)


def _add_loads(net: Any, bus: dict[str, int], rows: list[Row]) -> None:
    """Asymmetric loads, generation as asymmetric generators, ports of one element together."""
    drawn: dict[tuple[str, str, str, bool], dict[str, complex]] = {}
    for row in rows:
        start, end = row["from_conductor"], row["to_conductor"]
        phase = start if end == "earth" else DELTA["".join(sorted(start + end))]
        kind, name = row["load"].split(".")[:2]
        at = (f"{kind}.{name}", row["bus"], "wye" if end == "earth" else "delta", row["p_kw"] < 0.0)
        drawn.setdefault(at, {})[phase] = row["p_kw"] + 1j * row["q_kvar"]
    for (name, place, shape, feeds), powers in drawn.items():
        create, sign = (pp.create_asymmetric_sgen, -1.0) if feeds else (pp.create_asymmetric_load, 1.0)
        values = {}
        for phase, power in powers.items():
            values[f"p_{phase}_mw"], values[f"q_{phase}_mvar"] = sign * power.real / 1e3, sign * power.imag / 1e3
        create(net, bus[place], type=shape, name=name, **values)
