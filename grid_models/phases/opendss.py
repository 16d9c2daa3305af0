"""Write a network as a circuit of OpenDSS, from the data that our own model is made of.

Names in the script are numbers, so that no name of a file is ever a command. Loads keep constant power at any voltage
(OpenDSS changes them outside 0.95 … 1.05 pu unless told), windings get the resistance that is given (the default is
0.2 %), and no capacitance is added to windings (`ppm_antifloat`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Floats
from grid_models.errors import GridError
from grid_models.phases.circuit import EARTH, Branch, Circuit, Source
from grid_models.phases.four_wire import Linecode, read_frequency, read_linecodes
from grid_models.phases.sequence import TO_SEQUENCES
from grid_models.phases.tables import Tables
from grid_models.phases.tee import find_tee, turn_back
from grid_models.phases.three_phase import ThreePhaseNet, check_conductance
from grid_models.powerflow.admittance import Matrices
from grid_models.powerflow.taps import find_rated_kv

NODES = {"a": 1, "b": 2, "c": 3, "n": 4}
STIFF_OHM = 1e-8
"""In place of no impedance, which OpenDSS cannot have."""
OPEN_OHM = 1e12
ROTATIONS = {
    ("dyn", 1): ("lag", "1.2.3"),
    ("dyn", 5): ("lag", "3.1.2"),
    ("dyn", 9): ("lag", "2.3.1"),
    ("dyn", 11): ("lead", "1.2.3"),
    ("dyn", 3): ("lead", "3.1.2"),
    ("dyn", 7): ("lead", "2.3.1"),
    ("ynyn", 0): ("lag", "1.2.3"),
}
"""Vector groups by clock: which way the delta lags, and the order of the low-voltage phases."""

MAX_ITERATIONS = 1000


class Script(NamedTuple):
    """Commands of OpenDSS, and where its results are.

    Attributes
    ----------
    commands
        One per line; the last one solves.
    node
        Name of each node of the circuit, (n,).
    terminals
        Element and place among its currents of each branch's terminals, (c,).
    """

    commands: tuple[str, ...]
    node: tuple[str, ...]
    terminals: tuple[tuple[str, int], ...]


def write_four_wire(tables: Tables, circuit: Circuit) -> Script:
    """Script of a folder of tables; `circuit` is made of them.

    Raises
    ------
    GridError
        If a source is not balanced, or there are branches of admittance.csv.
    """
    if tables.terminal:
        raise tables.terminal[0].refuse("branch", "no branch of terminal.csv, which is not written for OpenDSS yet")
    number = {row["bus"]: f"b{k}" for k, row in enumerate(tables.bus)}
    codes = read_linecodes(tables.linecode_matrix)
    ids = {name: f"c{k}" for k, name in enumerate(codes)}
    commands = [*_begin(read_frequency(tables))]
    commands += _write_sources(circuit, [number[circuit.bus[source.node[0]]] for source in circuit.sources])
    commands += [_write_linecode(ids[name], code) for name, code in codes.items()]
    terminals: list[tuple[str, int]] = []
    for k, row in enumerate(tables.line):
        dots = "".join(f".{NODES[c]}" for c in codes[row["code"]].conductors)
        commands.append(
            f"new line.l{k} bus1={number[row['from_bus']]}{dots} bus2={number[row['to_bus']]}{dots} "
            f"linecode={ids[row['code']]} length={row['length_km']!r} units=km"
        )
        terminals += [(f"line.l{k}", i) for i in range(2 * len(codes[row["code"]].conductors))]
    for k, row in enumerate(tables.transformer):
        group = row["vector_group"].lower()
        lag, order = ROTATIONS[group, int(row["clock"])]
        base = row["r_percent"] / 2.0
        high = f"{number[row['hv_bus']]}.1.2.3{'' if group == 'dyn' else '.0'}"
        commands.append(
            f"new transformer.t{k} phases=3 windings=2 buses=({high} {number[row['lv_bus']]}.{order}.4) "
            f"conns=({'delta' if group == 'dyn' else 'wye'} wye) kvs=({row['vn_hv_kv']!r} {row['vn_lv_kv']!r}) "
            f"kvas=({row['sn_kva']!r} {row['sn_kva']!r}) %rs=({base!r} {base!r}) xhl={row['x_percent']!r} "
            f"taps=({row['tap_hv_pu']!r} 1) leadlag={lag} %noloadloss=0 %imag=0 ppm_antifloat=0"
        )
        places = [order.split(".").index(str(phase)) for phase in (1, 2, 3)]
        terminals += [(f"transformer.t{k}", i) for i in (0, 1, 2, *(4 + place for place in places), 7)]
    for k, row in enumerate(tables.earthing):
        node = f"{number[row['bus']]}.{NODES[row['conductor']]}"
        commands.append(
            f"new reactor.e{k} phases=1 bus1={node} bus2={number[row['bus']]}.0 r={row['r_ohm']!r} x={row['x_ohm']!r}"
        )
    nodes = tuple(f"{number[bus]}.{NODES[c]}" for bus, c in zip(circuit.bus, circuit.conductor, strict=True))
    return Script((*commands, *_write_loads(circuit, nodes), *_end()), nodes, tuple(terminals))


def _begin(frequency_hz: float) -> tuple[str, str]:
    return "clear", f"set defaultbasefrequency={frequency_hz!r}"


def _end() -> tuple[str, ...]:
    return "set tolerance=1e-12", f"set maxiterations={MAX_ITERATIONS}", "set controlmode=off", "solve mode=snap"


def _write_sources(circuit: Circuit, buses: list[str]) -> Iterator[str]:
    for k, (source, bus) in enumerate(zip(circuit.sources, buses, strict=True)):
        yield _write_source("circuit.net" if k == 0 else f"vsource.s{k}", source, bus)


def _write_source(name: str, source: Source, bus: str) -> str:
    zero, positive, negative = TO_SEQUENCES @ source.voltage
    if max(abs(zero), abs(negative)) > 1e-9 * abs(positive):
        raise GridError("OpenDSS: expected a balanced source, got different voltages of its phases")
    z = [_pair(value or 1j * STIFF_OHM) for value in source.impedance]
    return (
        f"new {name} bus1={bus}.1.2.3 phases=3 basekv={float(abs(positive)) * 3.0**0.5 / 1000.0!r} pu=1 "
        f"angle={float(np.degrees(np.angle(positive)))!r} z1={z[1]} z2={z[2]} z0={z[0]}"
    )


def _pair(z: complex) -> str:
    """Resistance and reactance as OpenDSS takes them."""
    return f"[{float(np.real(z))!r} {float(np.imag(z))!r}]"


def _write_linecode(name: str, code: Linecode) -> str:
    def matrix(values: Floats) -> str:
        return "[" + " | ".join(" ".join(repr(float(value)) for value in row) for row in values) + "]"

    return (
        f"new linecode.{name} nphases={len(code.conductors)} units=km rmatrix={matrix(code.impedance.real)} "
        f"xmatrix={matrix(code.impedance.imag)} cmatrix={matrix(code.capacitance.real)} rg=0 xg=0"
    )


def _write_loads(circuit: Circuit, nodes: tuple[str, ...]) -> Iterator[str]:
    for k, power in enumerate(circuit.power_kva):
        start, end = int(circuit.port_from[k]), int(circuit.port_to[k])
        other = ".0" if end == EARTH else "." + nodes[end].split(".")[1]
        delta = end != EARTH and circuit.conductor[start] != "n" and circuit.conductor[end] != "n"
        kv = float(circuit.base_v[start]) / 1000.0 * (3.0**0.5 if delta else 1.0)
        yield (
            f"new load.p{k} phases=1 bus1={nodes[start]}{other} kv={kv!r} kw={float(power.real)!r} "
            f"kvar={float(power.imag)!r} model=1 vlowpu=0.01 vminpu=0.02 vmaxpu=10 conn={'delta' if delta else 'wye'}"
        )


def write_three_phase(net: Any, made: ThreePhaseNet) -> Script:
    """Script of a pandapower net in three phases; `made` is its circuit.

    A transformer becomes one of OpenDSS with the leakage of the high-voltage side, a reactor to earth for what
    magnetises it, and a reactor with the leakage of the low-voltage side, which also sets the zero sequence right.

    Raises
    ------
    GridError
        If a transformer's vector group and angle are none that OpenDSS has, or a line has a conductance.
    """
    return write_with_neutrals(net, made, made.circuit)


def write_with_neutrals(net: Any, made: ThreePhaseNet, circuit: Circuit) -> Script:
    """`write_three_phase` of the same net with neutrals, as `grid_models.phases.neutral` adds them to its circuit.

    Raises
    ------
    GridError
        As there, and if a network with neutrals has another transformer than Dyn.
    """
    matrices = made.matrices
    n_phases = len(made.circuit.bus)
    bus_of_neutral = _find_neutral_buses(circuit, n_phases)
    nodes = tuple(f"b{k // 3}.{k % 3 + 1}" for k in range(n_phases)) + tuple(f"b{b}.4" for b in bus_of_neutral)
    commands = [*_begin(float(net.f_hz))]
    commands += _write_sources(circuit, [f"b{source.node[0] // 3}" for source in circuit.sources])
    terminals: list[tuple[str, int]] = []
    branches = iter(circuit.branches)
    for k in np.flatnonzero(matrices.branch[: len(net.line)] >= 0).tolist():
        branch = next(branches)
        written = _write_line(net, matrices, k)
        commands += [written] if branch.node.size == 6 else _write_four_cores(net, branch, nodes, k)
        terminals += [(f"line.l{k}", i) for i in range(branch.node.size)]
    for k in np.flatnonzero(matrices.branch[len(net.line) :] >= 0).tolist():
        branch, group = next(branches), net.trafo.vector_group.iloc[k].lower()
        star = int(branch.node[6]) if branch.node.size > 6 else EARTH
        commands += _write_trafo(net, made, k, "0" if star == EARTH else "4")
        near = "reactor.h" if group == "ynyn" else "transformer.t"
        terminals += [(f"{near}{k}", i) for i in range(3)] + [(f"reactor.z{k}", i) for i in (3, 4, 5)]
        if star != EARTH:
            if group != "dyn":
                raise GridError(f"OpenDSS, trafo {net.trafo.index[k]}: expected Dyn with four wires, got {group}")
            commands.append(f"new reactor.n{k} phases=1 bus1=m{k}.4 bus2={nodes[star]} r={STIFF_OHM!r} x=0")
            terminals.append((f"reactor.n{k}", 1))
    for k, (node, y) in enumerate(zip(circuit.earth_node.tolist(), circuit.earth_admittance, strict=True)):
        ohm = 1.0 / complex(y)
        commands.append(
            f"new reactor.e{k} phases=1 bus1={nodes[node]} bus2={nodes[node].split('.')[0]}.0 r={ohm.real!r} "
            f"x={ohm.imag!r}"
        )
    return Script((*commands, *_write_loads(circuit, nodes), *_end()), nodes, tuple(terminals))


def _find_neutral_buses(circuit: Circuit, n_phases: int) -> list[int]:
    """Internal bus of each node behind those of the phases: the one whose phases meet it in a branch."""
    found: dict[int, int] = {}
    for branch in circuit.branches:
        for place, node in enumerate(branch.node):
            if node >= n_phases:
                found[int(node)] = int(branch.node[place - 3]) // 3
    return [found[node] for node in range(n_phases, len(circuit.bus))]


def _write_four_cores(net: Any, branch: Branch, nodes: tuple[str, ...], k: int) -> Iterator[str]:
    """Commands of a line of four cores: its impedances, and capacitances between phases and neutral."""
    series = -branch.admittance[:4, 4:]
    shunt = branch.admittance[:4, :4] + branch.admittance[:4, 4:]
    z, farad = np.linalg.inv(series), 2.0 * shunt.imag / (2.0 * np.pi * float(net.f_hz))
    yield _write_linecode(f"l{k}", Linecode("abcn", np.asarray(z), np.asarray(farad * 1e9 + 0j)))
    near, far = (nodes[branch.node[first]].split(".")[0] for first in (0, 4))
    yield f"new line.l{k} bus1={near}.1.2.3.4 bus2={far}.1.2.3.4 linecode=l{k} length=1 units=km"


def _write_line(net: Any, matrices: Matrices, k: int) -> str:
    row = net.line.iloc[k]
    check_conductance("OpenDSS", net, k)
    near, far = matrices.ends[matrices.branch[k]]
    n = float(row.parallel)
    values = {
        "r1": row.r_ohm_per_km / n,
        "x1": row.x_ohm_per_km / n,
        "c1": row.c_nf_per_km * n,
        "r0": row.r0_ohm_per_km / n,
        "x0": row.x0_ohm_per_km / n,
        "c0": row.c0_nf_per_km * n,
    }
    said = " ".join(f"{name}={float(value)!r}" for name, value in values.items())
    length = float(row.length_km)
    return f"new line.l{k} phases=3 bus1=b{near} bus2=b{far} {said} length={length!r} units=km rg=0 xg=0"


def _write_trafo(net: Any, made: ThreePhaseNet, k: int, star: str) -> Iterator[str]:
    """Commands of a transformer between its buses, a bus m and, with two star points, a bus h of its own.

    The low-voltage star point is the conductor `star` of m.
    """
    row, where = net.trafo.iloc[k], f"OpenDSS, trafo {net.trafo.index[k]}"
    group, shift = row.vector_group.lower(), float(row.shift_degree) % 360.0
    if (group, shift / 30.0) not in ROTATIONS:
        raise GridError(
            f"{where}: expected Dyn with an odd clock or YNyn0, got {row.vector_group} and {shift:g} degrees"
        )
    lag, order = ROTATIONS[group, int(shift / 30.0)]
    near, far = made.matrices.ends[made.matrices.branch[len(net.line) + k]]
    kv = find_rated_kv(net)[k]
    positive, zero = made.trafo_positive[k], made.trafo_zero[k]
    turn = np.exp(1j * np.radians(shift))
    tee = find_tee(turn_back(where, positive, turn), kv[0] / kv[1])
    if group == "ynyn":
        of_zero = find_tee(zero, kv[0] / kv[1])
        share, shunt = tee.hv / 2.0, of_zero.magnetising
        far_zero, high = of_zero.lv, f"h{k}.1.2.3.0"
        square = (kv[0] / kv[1]) ** 2
        ohm = _pair((tee.hv - share) * square), _pair((of_zero.hv - share) * square)
        yield f"new reactor.h{k} phases=3 bus1=b{near} bus2=h{k} z1={ohm[0]} z2={ohm[0]} z0={ohm[1]}"
    else:
        share, shunt, high = tee.hv, 0.0, f"b{near}.1.2.3"
        far_zero = 1.0 / zero[1, 1] - share
    kva = float(row.sn_mva * row.parallel) * 1000.0
    percent = share / (kv[1] ** 2 * 1000.0 / kva) * 100.0
    yield (
        f"new transformer.t{k} phases=3 windings=2 buses=({high} m{k}.{order}.{star}) "
        f"conns=({'delta' if group == 'dyn' else 'wye'} wye) kvs=({float(kv[0])!r} {float(kv[1])!r}) "
        f"kvas=({kva!r} {kva!r}) %rs=({float(percent.real) / 2.0!r} {float(percent.real) / 2.0!r}) "
        f"xhl={float(percent.imag)!r} leadlag={lag} %noloadloss=0 %imag=0 ppm_antifloat=0"
    )
    if tee.magnetising or shunt:
        magnetising = [1.0 / y if y else complex(0.0, OPEN_OHM) for y in (tee.magnetising, shunt)]
        yield (
            f"new reactor.g{k} phases=3 bus1=m{k}.1.2.3 z1={_pair(magnetising[0])} z2={_pair(magnetising[0])} "
            f"z0={_pair(magnetising[1])}"
        )
    yield (
        f"new reactor.z{k} phases=3 bus1=m{k}.1.2.3 bus2=b{far}.1.2.3 z1={_pair(tee.lv)} z2={_pair(tee.lv)} "
        f"z0={_pair(far_zero)}"
    )
