"""Write a net in three phases as input of power-grid-model, from the data that our own model is made of.

Its lines have a zero sequence of their own, its transformers only that of their leakage, and its sources one impedance
for the positive and the negative sequence. So a transformer is written as one with the leakage of the high-voltage
side, a shunt for what magnetises it, and a line for the rest, which also sets the zero sequence right. An external grid
becomes a source and a line behind which the positive sequence is to be held: see `PowerGridInput.held`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Complex, Ints
from grid_models.errors import GridError
from grid_models.phases.circuit import EARTH, Circuit
from grid_models.phases.sequence import TO_SEQUENCES
from grid_models.phases.tee import find_tee, turn_back
from grid_models.phases.three_phase import ThreePhaseNet, check_conductance
from grid_models.powerflow.taps import find_rated_kv

NAME = "power-grid-model"
WINDINGS = {"dyn": (2, 1), "yzn": (2, 1), "yyn": (0, 1), "ynyn": (1, 1)}
"""Codes of star, earthed star and delta: 0, 1, 2. In the zero sequence Yzn is open at one side, as Dyn is."""
Ends = tuple[str, int, str]
"""Component, its place among its kind, and the output of power-grid-model that is the current into it."""


class PowerGridInput(NamedTuple):
    """Components of power-grid-model by their columns, and where its results are.

    Attributes
    ----------
    components
        Rows of each component, as dictionaries; the first nodes are the internal buses of the net.
    held
        Node and positive sequence of the voltage, V, that each source is to hold there by its `u_ref`, to which the
        voltage behind its impedance belongs.
    ends
        Where the currents of both ends of each branch of the circuit are.
    frequency_hz
        Frequency of the system.
    """

    components: dict[str, list[dict[str, Any]]]
    held: tuple[tuple[int, complex], ...]
    ends: tuple[tuple[Ends, Ends], ...]
    frequency_hz: float


class _Writer:
    """Components so far; each gets a number of its own."""

    def __init__(self) -> None:
        self.components: dict[str, list[dict[str, Any]]] = {}
        self.count = 0

    def add(self, kind: str, **columns: Any) -> tuple[int, int]:
        """Add a component; its number, and its place among its kind."""
        rows = self.components.setdefault(kind, [])
        rows.append({"id": self.count, **columns})
        self.count += 1
        return self.count - 1, len(rows) - 1

    def add_node(self, kv: float) -> int:
        """Add a node; its number."""
        return self.add("node", u_rated=1000.0 * kv)[0]

    def add_series(self, near: int, far: int, positive: complex, zero: complex) -> int:
        """Add a line of impedances in ohm; its place among the lines."""
        return self.add(
            "line", from_node=near, to_node=far, from_status=1, to_status=1, i_n=1.0,
            r1=positive.real, x1=positive.imag, c1=0.0, tan1=0.0, r0=zero.real, x0=zero.imag, c0=0.0, tan0=0.0,
        )[1]  # fmt: skip


def write_power_grid(net: Any, made: ThreePhaseNet) -> PowerGridInput:
    """Input of power-grid-model for a pandapower net in three phases; `made` is its circuit.

    Raises
    ------
    GridError
        If there is a load between phases, a line with a conductance, or a transformer whose clock and vector group
        power-grid-model does not have.
    """
    writer, matrices = _Writer(), made.matrices
    for kv in matrices.base_kv:
        writer.add_node(float(kv))
    ends = []
    for k in np.flatnonzero(matrices.branch >= 0):
        of_trafo = int(k) - len(net.line)
        ends.append(_add_line(writer, net, made, int(k)) if of_trafo < 0 else _add_trafo(writer, net, made, of_trafo))
    held = tuple(_add_source(writer, made.circuit, matrices.base_kv, k) for k in range(len(made.circuit.sources)))
    _add_loads(writer, made.circuit)
    return PowerGridInput(writer.components, held, tuple(ends), float(net.f_hz))


def _add_line(writer: _Writer, net: Any, made: ThreePhaseNet, k: int) -> tuple[Ends, Ends]:
    check_conductance(NAME, net, k)
    row = net.line.iloc[k]
    near, far = made.matrices.ends[made.matrices.branch[k]]
    n, length = float(row.parallel), float(row.length_km)
    positive, zero = (complex(row[f"r{s}_ohm_per_km"], row[f"x{s}_ohm_per_km"]) * length / n for s in ("", "0"))
    at = writer.add_series(int(near), int(far), positive, zero)
    farad = 1e-9 * length * n
    writer.components["line"][at].update(c1=row.c_nf_per_km * farad, c0=row.c0_nf_per_km * farad)
    return ("line", at, "i_from"), ("line", at, "i_to")


def _add_trafo(writer: _Writer, net: Any, made: ThreePhaseNet, k: int) -> tuple[Ends, Ends]:
    """Add a transformer between its buses, by a node of its own and, with two star points, a second one."""
    row, kv = net.trafo.iloc[k], find_rated_kv(net)[k]
    group, clock = row.vector_group.lower(), _find_clock(net, k)
    near, far = (int(end) for end in made.matrices.ends[made.matrices.branch[len(net.line) + k]])
    turn, ratio = np.exp(1j * np.pi / 6.0 * clock), kv[0] / kv[1]
    tee = find_tee(turn_back(f"{NAME}, trafo {net.trafo.index[k]}", made.trafo_positive[k], turn), ratio)
    share, zero, shunt = tee.hv, made.trafo_zero[k], 0.0 + 0.0j
    inner, high = writer.add_node(made.matrices.base_kv[far]), near
    hv: Ends = ("transformer", len(writer.components.get("transformer", [])), "i_from")
    if group == "ynyn":
        of_zero = find_tee(zero * np.array([[1.0, turn], [turn, 1.0]]), ratio)
        share, shunt, rest = tee.hv / 2.0, of_zero.magnetising, of_zero.lv
        high = writer.add_node(made.matrices.base_kv[near])
        at = writer.add_series(near, high, (tee.hv - share) * ratio**2, (of_zero.hv - share) * ratio**2)
        hv = "line", at, "i_from"
    elif group == "yyn":
        rest = tee.lv
        shunt = 1.0 / (1.0 / zero[1, 1] - rest)
    else:
        rest = 1.0 / zero[1, 1] - share
    _add_windings(writer, high, inner, kv, share, (*WINDINGS[group], clock))
    if tee.magnetising or shunt:
        one, none = complex(tee.magnetising), complex(shunt)
        writer.add("shunt", node=inner, status=1, g1=one.real, b1=one.imag, g0=none.real, b0=none.imag)
    return hv, ("line", writer.add_series(inner, far, complex(tee.lv), complex(rest)), "i_to")


def _find_clock(net: Any, k: int) -> int:
    """Clock of a transformer."""
    group, shift = str(net.trafo.vector_group.iloc[k]), float(net.trafo.shift_degree.iloc[k]) % 360.0
    odd = group.lower() in ("dyn", "yzn")
    if shift % 30.0 or (shift / 30.0) % 2 != odd:
        raise GridError(
            f"{NAME}, trafo {net.trafo.index[k]}: expected {'an odd' if odd else 'an even'} clock of {group}, got "
            f"shift_degree {shift:g}; correct vector_group or shift_degree"
        )
    return int(shift / 30.0)


def _add_windings(writer: _Writer, near: int, far: int, kv: Any, ohm: complex, code: tuple[int, int, int]) -> None:
    """Add a transformer of a leakage in ohm at its low-voltage side, rated at 1 MVA."""
    base_ohm, (start, end, clock) = kv[1] ** 2, code
    writer.add(
        "transformer", from_node=near, to_node=far, from_status=1, to_status=1,
        u1=1000.0 * kv[0], u2=1000.0 * kv[1], sn=1e6, uk=abs(ohm) / base_ohm, pk=1e6 * ohm.real / base_ohm,
        i0=0.0, p0=0.0, winding_from=start, winding_to=end, clock=clock,
        tap_side=0, tap_pos=0, tap_min=0, tap_max=0, tap_nom=0, tap_size=0.0,
    )  # fmt: skip


def _add_source(writer: _Writer, circuit: Circuit, base_kv: Any, k: int) -> tuple[int, complex]:
    """Add a source with half of the negative sequence's impedance, and a line with the rest; what it is to hold."""
    source = circuit.sources[k]
    bus = int(source.node[0]) // 3
    zero, _, negative = (complex(z) for z in source.impedance)
    own, kv = writer.add_node(float(base_kv[bus])), float(base_kv[bus])
    writer.add_series(own, bus, negative / 2.0, zero - negative / 2.0)
    positive = complex((TO_SEQUENCES @ source.voltage)[1])
    sk = 1e6 * kv**2 / abs(negative / 2.0)
    volts = abs(positive) / (1000.0 * kv / np.sqrt(3.0))
    writer.add(
        "source", node=own, status=1, u_ref=volts, u_ref_angle=float(np.angle(positive)), sk=sk,
        rx_ratio=negative.real / negative.imag, z01_ratio=1.0,
    )  # fmt: skip
    return bus, positive


def _add_loads(writer: _Writer, circuit: Circuit) -> None:
    """Add what is drawn at each bus, by its phases."""
    between = np.flatnonzero(circuit.port_to != EARTH)
    if between.size:
        where = circuit.name_node(circuit.port_from[between[0]])
        raise GridError(
            f"{NAME}: expected loads of type wye, got one of type delta at {where}; ask --judge runpp_3ph or opendss"
        )
    drawn: Complex = np.zeros(len(circuit.bus), np.complex128)
    np.add.at(drawn, circuit.port_from, 1000.0 * circuit.power_kva)
    by_bus = drawn.reshape(-1, 3)
    buses: Ints = np.flatnonzero(by_bus.any(axis=1))
    for bus in buses:
        s = by_bus[bus]
        writer.add("asym_load", node=int(bus), status=1, type=0, p_specified=s.real, q_specified=s.imag)
