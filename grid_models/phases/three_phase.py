"""Circuit of a pandapower net in three phases, its neutral earthed everywhere (Kron-reduced).

The positive sequence is that of the balanced power flow, the negative one is its mirror image (`Yft` and `Ytf` change
places), and the zero sequence is built from the net's own columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp

from grid_models.arrays import Complex, Floats
from grid_models.errors import GridError
from grid_models.phases.circuit import Branch, Circuit, Source
from grid_models.phases.net_loads import find_ports, remove_loads
from grid_models.phases.sequence import PHASES, TO_PHASES, make_phase_matrix
from grid_models.phases.zero_sequence import (
    check_sources,
    find_line_zero,
    find_source_impedance,
    find_trafo_zero,
    star_ohm,
)
from grid_models.powerflow.admittance import (
    Matrices,
    branch_admittances,
    branch_ratings,
    find_bus_rows,
    read_matrices,
)

READ_VERSION = "3.5."
"""Of pandapower: its reading of mag0_percent, in per cent of vk0, is followed; other versions take a ratio."""
REFUSED = {
    "trafo3w": "a three-winding transformer",
    "impedance": "an impedance",
    "shunt": "a shunt",
    "ward": "a ward",
    "xward": "an extended ward",
    "motor": "a motor",
    "dcline": "a DC line",
    "svc": "a static var compensator",
    "ssc": "a static synchronous compensator",
    "tcsc": "a thyristor-controlled series capacitor",
    "vsc": "a voltage source converter",
}
"""Elements whose zero or negative sequence a net does not say."""


class ThreePhaseNet(NamedTuple):
    """A net in three phases.

    Attributes
    ----------
    circuit
        Its conductors; node 3·i + k is phase k of internal bus i.
    matrices
        pandapower's internal model of the net without loads; its `bus` is the internal bus of each of the net's.
    trafo_positive, trafo_zero
        Admittances of the transformers between their sides, (R, 2, 2) S, in the positive and zero sequence.
    notes
        What a reader of its results must know.
    """

    circuit: Circuit
    matrices: Matrices
    trafo_positive: Complex
    trafo_zero: Complex
    notes: tuple[str, ...]


def make_three_phase(net: Any) -> ThreePhaseNet:
    """Circuit of a pandapower net with its own loads and generators.

    Parameters
    ----------
    net
        pandapower net; it is not changed.

    Raises
    ------
    GridError
        If zero-sequence data is missing, or there is an element or vector group that three phases cannot represent.
    """
    check_elements(net)
    bare = deepcopy(net)
    remove_loads(bare)
    check_sources(bare)
    line_zero, trafo_zero = find_line_zero(bare), find_trafo_zero(bare)
    matrices = read_matrices(bare)
    _check_branches(matrices)
    power_kva, ports, notes = find_ports(net, matrices)
    positive = find_positive_admittances(matrices)
    n = matrices.y_bus.shape[0]
    circuit = Circuit(
        bus=tuple(_name_buses(bare, matrices)),
        conductor=PHASES * n,
        base_v=np.repeat(matrices.base_kv * 1000.0 / np.sqrt(3.0), 3),
        branches=tuple(_make_branches(bare, matrices, positive, _stack_zero(line_zero, trafo_zero))),
        sources=tuple(_make_sources(bare, matrices)),
        earth_node=np.zeros(0, np.int64),
        earth_admittance=np.zeros(0, np.complex128),
        port_from=ports[:, 0],
        port_to=ports[:, 1],
        power_kva=power_kva,
    )
    return ThreePhaseNet(circuit, matrices, positive[len(bare.line) :], trafo_zero, (*_read_notes(bare), *notes))


def check_elements(net: Any) -> None:
    """Raise `GridError` if a net has elements in service that three phases cannot represent."""
    if not str(pp.__version__).startswith(READ_VERSION):
        raise GridError(
            f"three phases: expected pandapower {READ_VERSION}x, whose reading of mag0_percent is known, got "
            f"{pp.__version__}; install pandapower>=3.5,<3.6"
        )
    for table, words in REFUSED.items():
        rows = net[table] if table in net and len(net[table]) else None
        live = [] if rows is None else rows.index[rows.in_service.astype(bool)]
        if len(live):
            raise GridError(
                f"network, {table} {live[0]}: expected no {words.split(' ', 1)[1]} in service, since "
                "the net does not say its zero and negative sequence; take it out of service"
            )
    holding = net.gen.index[net.gen.in_service.astype(bool) & ~net.gen.slack.astype(bool)]
    if len(holding):
        raise GridError(
            f"network, gen {holding[0]}: expected no generator that holds its voltage in service, since the net does "
            "not say its zero and negative sequence; take it out of service"
        )
    if net.get("user_pf_options"):
        raise GridError(
            "network: expected no options for runpp stored in the net (user_pf_options) in three phases, got "
            f"{', '.join(sorted(net.user_pf_options))}; clear them"
        )


def check_conductance(program: str, net: Any, k: int) -> None:
    """Raise `GridError` if a line has a conductance to earth, which a program does not take."""
    value = net.line.iloc[k].get("g_us_per_km")
    if value:
        raise GridError(f"{program}, line {net.line.index[k]}: expected no conductance (g_us_per_km), got {value}")


def _check_branches(matrices: Matrices) -> None:
    """Raise `GridError` if current flows through anything but lines and transformers."""
    if np.unique(matrices.branch[matrices.branch >= 0]).size != matrices.y_from.shape[0]:
        raise GridError(
            "network, switch: expected closed switches without impedance (z_ohm = 0) in three phases, got others; set "
            "z_ohm to 0, or put a line in their place"
        )


def _name_buses(net: Any, matrices: Matrices) -> Iterator[str]:
    """Name of the bus of each node: the first bus of the net that an internal one stands for."""
    first: dict[int, str] = {}
    for index, internal in zip(net.bus.index, matrices.bus, strict=True):
        first.setdefault(int(internal), str(index))
    for k in range(matrices.y_bus.shape[0]):
        yield from [first.get(k, f"open end {k}")] * 3


def _stack_zero(line: tuple[Complex, Complex], trafo: Complex) -> Complex:
    """Zero-sequence admittances of lines, then of transformers, (L + R, 2, 2) S."""
    series, half = line
    of_line = np.stack([[series + half, -series], [-series, series + half]]).transpose(2, 0, 1)
    return np.concatenate([of_line, trafo])


def find_positive_admittances(matrices: Matrices) -> Complex:
    """Positive-sequence admittance of lines, then of transformers, between their ends, (L + R, 2, 2) S."""
    pairs = branch_admittances(matrices)
    per_unit = (pairs[:, 0::2] + 1j * pairs[:, 1::2]).reshape(-1, 2, 2)
    kv = matrices.base_kv[np.where(matrices.branch[:, None] >= 0, matrices.ends[matrices.branch], 0)]
    return np.asarray(per_unit * matrices.base_mva / (kv[:, :, None] * kv[:, None, :]))


def _make_branches(net: Any, matrices: Matrices, positive: Complex, zero: Complex) -> Iterator[Branch]:
    """Lines, then transformers, through which current flows."""
    rated_a = rated_currents_a(net)
    names = [(table, index) for table in ("line", "trafo") for index in net[table].index]
    for k in np.flatnonzero(matrices.branch >= 0):
        near, far = matrices.ends[matrices.branch[k]]
        blocks = make_phase_matrix(zero[k], positive[k], positive[k].T)
        table, index = names[k]
        node = np.concatenate([3 * near + np.arange(3), 3 * far + np.arange(3)])
        sides = ("from", "to") if table == "line" else ("hv", "lv")
        joined = ((0, 3), (1, 4), (2, 5)) if zero[k, 0, 1] else ()
        yield Branch(
            f"{table} {index}",
            node,
            (sides[0],) * 3 + (sides[1],) * 3,
            PHASES * 2,
            blocks.transpose(0, 2, 1, 3).reshape(6, 6),
            np.repeat(rated_a[k], 3),
            joined,
        )


def rated_currents_a(net: Any) -> Floats:
    """Rated current of lines and transformers at either end, (L + R, 2) A."""
    rated_ka, rated_mva = branch_ratings(net)
    kv = net.trafo[["vn_hv_kv", "vn_lv_kv"]].to_numpy(np.float64)
    of_trafo = rated_mva[:, None] * 1000.0 / (np.sqrt(3.0) * kv)
    return np.concatenate([np.repeat(rated_ka[:, None] * 1000.0, 2, axis=1), of_trafo])


def _make_sources(net: Any, matrices: Matrices) -> Iterator[Source]:
    """External grids in service, and generators that are slacks: these hold three balanced voltages."""
    taken: dict[int, Any] = {}
    for index, grid in net.ext_grid[net.ext_grid.in_service.astype(bool)].iterrows():
        internal = int(matrices.bus[find_bus_rows(net, [grid.bus])[0]])
        if internal in taken:
            raise GridError(
                f"network, ext_grid {index}: expected one external grid at a bus, got a second one beside "
                f"ext_grid {taken[internal]}; take one out of service"
            )
        taken[internal] = index
        voltage = matrices.voltage[internal] * matrices.base_kv[internal] * 1000.0 / np.sqrt(3.0)
        node = 3 * internal + np.arange(3)
        yield Source(node, voltage * TO_PHASES[:, 1], find_source_impedance(net, grid))
    for bus in net.gen.bus[net.gen.in_service.astype(bool) & net.gen.slack.astype(bool)]:
        internal = int(matrices.bus[find_bus_rows(net, [bus])[0]])
        if internal not in taken:
            voltage = matrices.voltage[internal] * matrices.base_kv[internal] * 1000.0 / np.sqrt(3.0)
            yield Source(3 * internal + np.arange(3), voltage * TO_PHASES[:, 1], np.zeros(3, np.complex128))
            taken[internal] = bus


def _read_notes(net: Any) -> Iterator[str]:
    """How columns are read where pandapower's own reading is known to be another, or to have changed."""
    live = net.trafo[net.trafo.in_service.astype(bool)]
    groups = live.vector_group.str.lower() if len(live) else []
    for index, percent in live.mag0_percent.items() if len(live) else ():
        yield f"trafo {index}: mag0_percent = {percent:g} is read as per cent of vk0, as in pandapower {READ_VERSION}x"
    for index, group in zip(live.index, groups, strict=True):
        if group == "yzn":
            yield f"trafo {index}: vk0_percent of Yzn is that seen from the low voltage; runpp_3ph scales it by sn_mva"
        if star_ohm(live.loc[index]):
            yield f"trafo {index}: the star point's impedance acts threefold in the zero sequence; in runpp_3ph once"
