"""Tables with four wires of a circuit that OpenDSS has compiled.

A line with the same conductors at both ends is one of line.csv; every other passive element is the admittance matrix
that OpenDSS has for it, taps, magnetising branch and all. Loads and generators are constant powers; where OpenDSS would
take them for something else at the voltages of its solution, they are refused by name.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from cosim.nets.importing.dss.process import Compiled, Element
from cosim.nets.importing.imported import LeftOut
from grid_models.arrays import Complex
from grid_models.errors import GridError
from grid_models.phases.tables import COLUMNS, CONDUCTORS, Row, Tables, format_tables, parse_table

KM = {"mi": 1.609344, "kft": 0.3048, "km": 1.0, "m": 0.001, "ft": 0.0003048, "in": 0.0000254, "cm": 0.00001, "mm": 1e-6}
"""Units of length, as OpenDSS has them."""
DIGITS = 11
"""Significant ones of powers and impedances that are written; the engine's last ones are noise."""
NO_RATING_A = 1e9
LEAST_S = 1e-10
"""What is less joins nothing: the admittance of an open switch."""
VOLTAGES_NOTE = (
    "vminpu, vmaxpu",
    "loads and generators keep constant power at any voltage; in the solution of OpenDSS all lie within their limits",
)
CONSTANT_POWER, CONSTANT_IMPEDANCE = "1", "2"


class Circuit(NamedTuple):
    """Tables of a circuit, what was left out, and the rows of each load and generator by its class and name."""

    tables: Tables
    left_out: tuple[LeftOut, ...]
    ports: dict[str, tuple[tuple[str, str, str], ...]]


def make_tables(compiled: Compiled, where: str) -> Circuit:
    """Tables of a compiled circuit; `where` begins messages.

    Raises
    ------
    GridError
        If it has an element, or a property of one, that has no counterpart.
    """
    writer = _Writer(compiled, where)
    for bus, base_kv in compiled.base_kv.items():
        writer.add_bus(bus, base_kv)
    writer.add("network", frequency_hz=compiled.frequency_hz)
    for element in compiled.elements:
        WRITE[element.kind](writer, element)
    tables = Tables(**writer.rows)
    texts = format_tables(tables)
    checked = {name: parse_table(texts[name], name, f"{where}, {name}") if name in texts else [] for name in COLUMNS}
    notes = [LeftOut(name, why) for name, why in writer.left_out.items()]
    return Circuit(Tables(**checked), tuple(notes), writer.ports)


def _round(value: float, scale: float = 0.0) -> float:
    """A number to some significant digits of itself, or of a scale."""
    largest = max(abs(value), scale)
    return round(float(value), DIGITS - 1 - math.floor(math.log10(largest))) if largest > 0.0 else 0.0


class _Writer:
    """Collects rows of tables."""

    def __init__(self, compiled: Compiled, where: str) -> None:
        self.compiled, self.where = compiled, where
        self.rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
        self.left_out: dict[str, str] = {}
        self.ports: dict[str, tuple[tuple[str, str, str], ...]] = {}
        self.codes: dict[Any, str] = {}
        self.nodes: dict[str, list[int]] = {}
        for bus, node in compiled.voltage:
            self.nodes.setdefault(bus, []).append(node)

    def add(self, table: str, **cells: Any) -> None:
        """Add a row."""
        self.rows[table].append(Row({name: cells[name] for name in COLUMNS[table]}, f"{self.where}, {table}"))

    def refuse(self, element: Element, expected: str, remedy: str) -> GridError:
        """Error about an element."""
        return GridError(f"{self.where}, {element.full}: expected {expected}; {remedy}")

    def add_bus(self, bus: str, base_kv: float) -> None:
        """A bus with its conductors."""
        nodes = sorted(self.nodes.get(bus, []))
        if nodes and not (1 <= nodes[0] <= 3 and nodes[-1] <= len(CONDUCTORS)):
            raise GridError(
                f"{self.where}, bus {bus}: expected nodes 1, 2, 3 for phases and 4 for the neutral, got "
                f"{', '.join(map(str, nodes))}; number its nodes so"
            )
        if not base_kv > 0.0:
            raise GridError(
                f"{self.where}, bus {bus}: expected a voltage base, found none; add 'set voltagebases=[…]' and "
                "'calcvoltagebases' to the script"
            )
        if nodes:
            conductors = "".join(CONDUCTORS[node - 1] for node in nodes)
            self.add("bus", bus=bus, vn_kv=_round(base_kv * math.sqrt(3.0)), conductors=conductors)

    def add_line(self, element: Element) -> None:
        """A line as one of line.csv where it can be, else as a matrix."""
        plain = None if any(element.opened) else _find_plain(element)
        if plain is None:
            self.add_passive(element)
            return
        conductors, impedance, shunt = plain
        km = self._find_length(element)
        farad = shunt.imag / (2.0 * np.pi * self.compiled.frequency_hz)
        (near, _, _), (far, _, _) = element.nodes[0], element.nodes[-1]
        self.add(
            "line",
            line=element.full,
            from_bus=near,
            to_bus=far,
            length_km=km,
            code=self._find_code(conductors, impedance / km, farad * 1e9 / km),
            i_max_a=self._find_rating(element),
        )

    def _find_length(self, element: Element) -> float:
        unit, length = element.properties["units"].lower(), element.number("length")
        if unit in KM and length > 0.0:
            return length * KM[unit]
        self.left_out.setdefault(
            f"length of {element.full}", "without a unit; its whole impedance is written as that of 1 km"
        )
        return 1.0

    def _find_code(self, conductors: str, impedance: Complex, nanofarad: Any) -> str:
        """Name of a linecode, which is added where none is alike."""
        scales = np.abs(impedance).max(), np.abs(nanofarad).max()
        values = [
            (i, j, _round(z.real, scales[0]), _round(z.imag, scales[0]), _round(c, scales[1]))
            for i, z_row, c_row in zip(conductors, impedance, nanofarad, strict=True)
            for j, z, c in zip(conductors, z_row, c_row, strict=True)
        ]
        key = tuple(sorted(values))
        if key not in self.codes:
            self.codes[key] = name = f"code{len(self.codes) + 1}"
            for i, j, r, x, c in key:
                self.add("linecode_matrix", code=name, i=i, j=j, r_ohm_per_km=r, x_ohm_per_km=x, c_nf_per_km=c)
        return self.codes[key]

    def _find_rating(self, element: Element) -> float:
        rated = element.number("normamps")
        if rated > 0.0:
            return rated
        self.left_out[f"rating of {element.full}"] = "none is given; no current reaches what is written"
        return NO_RATING_A

    def add_passive(self, element: Element) -> None:
        """An element by its admittance matrix; conductors at earth fall out, those at one node are joined."""
        largest = float(np.abs(element.y).max(initial=0.0))
        if any(element.opened) and largest < LEAST_S:
            self.left_out[element.full] = "open: no current flows"
            return
        places = list(dict.fromkeys((bus, node) for bus, node, _ in element.nodes if node))
        if not places or not largest > 0.0:
            self.left_out[element.full] = "all of its conductors are earthed, or nothing joins them"
            return
        joining = np.array([[float((bus, node) == place) for place in places] for bus, node, _ in element.nodes])
        y = joining.T @ element.y @ joining
        end = {(bus, node): terminal for bus, node, terminal in reversed(element.nodes)}
        rated = self._list_ratings(element)
        for bus, node in places:
            self.add(
                "terminal",
                branch=element.full,
                terminal=f"{bus}.{node}",
                bus=bus,
                conductor=CONDUCTORS[node - 1],
                end=_name_end(element, end[bus, node]),
                i_max_a=rated[end[bus, node]],
            )
        for i, j in zip(*np.nonzero(y), strict=True):
            names = (f"{bus}.{node}" for bus, node in (places[i], places[j]))
            value = complex(y[i, j] + y[j, i]) / 2.0
            self.add(
                "admittance", branch=element.full, **dict(zip("ij", names, strict=True)), g_s=value.real, b_s=value.imag
            )

    def _list_ratings(self, element: Element) -> list[float]:
        """Rated current of each terminal."""
        if element.kind == "load":
            return [NO_RATING_A] * len(element.opened)
        if element.kind != "transformer":
            return [self._find_rating(element)] * len(element.opened)
        phases = element.number("phases")
        return [
            kva / phases / (kv / (math.sqrt(3.0) if phases > 1 else 1.0))
            for kva, kv in zip(element.numbers("kvas"), element.numbers("kvs"), strict=True)
        ]

    def add_reactor(self, element: Element) -> None:
        """A reactor between one conductor and earth is an earthing; any other a matrix."""
        live = [(bus, node, k) for k, (bus, node, _) in enumerate(element.nodes) if node]
        z = 1.0 / element.y[live[0][2], live[0][2]] if len(live) == 1 and element.y.any() else complex(-1.0)
        if min(z.real, z.imag) < 0.0 or any(element.opened):
            self.add_passive(element)
            return
        bus, node, _ = live[0]
        self.add(
            "earthing",
            bus=bus,
            conductor=CONDUCTORS[node - 1],
            r_ohm=_round(z.real, abs(z)),
            x_ohm=_round(z.imag, abs(z)),
        )

    def add_source(self, element: Element) -> None:
        """A three-phase source between phases and earth."""
        nodes = [node for _, node, terminal in element.nodes if terminal == 0]
        if sorted(nodes) != [1, 2, 3] or any(node for _, node, terminal in element.nodes if terminal == 1):
            raise self.refuse(element, "a source of phases 1, 2, 3 to earth", "make it one of three phases")
        z = np.linalg.inv(element.y[:3, :3])
        own, mutual = z.diagonal().mean(), (z.sum() - z.trace()) / 6.0
        if not np.allclose(z, mutual + (own - mutual) * np.eye(3), rtol=0.0, atol=1e-9 * abs(own)):
            raise self.refuse(element, "one impedance in the positive and negative sequence", "set Z2 to Z1")
        if abs(element.number("frequency") - self.compiled.frequency_hz) > 1e-9:
            raise self.refuse(element, f"a source of {self.compiled.frequency_hz:g} Hz", "set its frequency so")
        volt = element.number("pu") * element.number("basekv") * 1000.0 / math.sqrt(3.0)
        positive, zero = own - mutual, own + 2.0 * mutual
        for k, node in enumerate(nodes):
            e = volt * np.exp(1j * np.radians(element.number("angle") - 120.0 * k))
            self.add(
                "source",
                bus=element.nodes[0][0],
                conductor=CONDUCTORS[node - 1],
                e_re_v=float(e.real),
                e_im_v=float(e.imag),
                r1_ohm=_round(positive.real),
                x1_ohm=_round(positive.imag),
                r0_ohm=_round(zero.real),
                x0_ohm=_round(zero.imag),
            )

    def add_power(self, element: Element) -> None:
        """A load or generator of constant power between its conductors; a load of constant impedance as a matrix."""
        model = element.properties["model"]
        if element.kind == "load" and model == CONSTANT_IMPEDANCE:
            self.add_passive(element)
            return
        if model != CONSTANT_POWER:
            raise self.refuse(
                element, f"constant power (model=1), got model={model}, which changes with the voltage", "set model=1"
            )
        ports = self._find_ports(element)
        self._check_voltages(element, ports)
        self.left_out.setdefault(*VOLTAGES_NOTE)
        power = element.power_kva / len(ports)
        rows = []
        for (bus, near), (_, far) in ports:
            start, end = CONDUCTORS[near - 1], CONDUCTORS[far - 1] if far else "earth"
            name = element.full if len(ports) == 1 else f"{element.full}.{start}"
            rows.append((name, start, end))
            self.add(
                "load",
                load=name,
                bus=bus,
                from_conductor=start,
                to_conductor=end,
                p_kw=_round(power.real, abs(power)),
                q_kvar=_round(power.imag, abs(power)),
            )
        self.ports[element.full] = tuple(rows)

    def _find_ports(self, element: Element) -> list[tuple[tuple[str, int], tuple[str, int]]]:
        """Pairs of nodes between which an element draws equal powers, a phase first."""
        nodes = [(bus, node) for bus, node, _ in element.nodes]
        phases = int(element.number("phases"))
        delta = element.properties["conn"].lower() in ("delta", "ll")
        if delta and phases == 3:
            pairs = list(zip(nodes, (*nodes[1:], nodes[0]), strict=True))
        elif delta and phases > 1:
            raise self.refuse(element, "one or three phases in delta, got two", "make it loads of one phase")
        else:
            pairs = [(node, nodes[-1]) for node in nodes[:phases]]
        pairs = [(b, a) if a[1] == 0 else (a, b) for a, b in pairs]
        if any(a == b for a, b in pairs) or any(a[1] == 0 for a, _ in pairs):
            raise self.refuse(element, "two different conductors at its ends", "correct the nodes behind its bus")
        return pairs

    def _check_voltages(self, element: Element, ports: list[tuple[tuple[str, int], tuple[str, int]]]) -> None:
        """Raise `GridError` where a voltage is outside the limits of constant power."""
        wye = len(ports) > 1 and element.properties["conn"].lower() not in ("delta", "ll")
        base = element.number("kv") * 1000.0 / (math.sqrt(3.0) if wye else 1.0)
        low, high = element.number("vminpu"), element.number("vmaxpu")
        for a, b in ports:
            v = abs(self.compiled.voltage[a] - self.compiled.voltage.get(b, 0.0)) / base
            if not low < v < high:
                raise self.refuse(
                    element,
                    f"a voltage of {low:g} to {high:g} pu of its kv in the solution of OpenDSS, got {v:.4f}, where its "
                    "power is no longer constant",
                    "set its vminpu and vmaxpu further apart, or mend the circuit",
                )


def _name_end(element: Element, terminal: int) -> str:
    return f"w{terminal + 1}" if element.kind == "transformer" else ("from", "to")[terminal]


def _find_plain(element: Element) -> tuple[str, Complex, Complex] | None:
    """Conductors, impedance and shunt admittance of a line that line.csv can have; None of any other."""
    k = len(element.nodes) // 2
    near, far = element.nodes[:k], element.nodes[k:]
    nodes = [node for _, node, _ in near]
    series, shunt = -element.y[:k, k:], element.y[:k, :k] + element.y[:k, k:]
    largest = float(np.abs(element.y).max())
    plain = (
        len(element.opened) == 2
        and nodes == [node for _, node, _ in far]
        and 0 not in nodes
        and len(set(nodes)) == k
        and near[0][0] != far[0][0]
        and np.allclose(element.y[:k, :k], element.y[k:, k:], rtol=0.0, atol=1e-12 * largest)
        and np.abs(shunt.real).max() <= 1e-12 * largest
        and np.linalg.cond(series) < 1e12
    )
    if not plain:
        return None
    impedance: Complex = np.asarray(np.linalg.inv(series), dtype=np.complex128)
    impedance = np.asarray((impedance + impedance.T) / 2.0)
    if not np.linalg.eigvalsh(impedance.real).min() > 1e-9 * np.abs(impedance).max():
        return None
    kept: Complex = np.where(np.abs(shunt) > 1e-14 * largest, (shunt + shunt.T) / 2.0, 0.0 + 0.0j)
    return "".join(CONDUCTORS[node - 1] for node in nodes), impedance, 2.0 * kept


WRITE = {
    "line": _Writer.add_line,
    "transformer": _Writer.add_passive,
    "capacitor": _Writer.add_passive,
    "reactor": _Writer.add_reactor,
    "vsource": _Writer.add_source,
    "load": _Writer.add_power,
    "generator": _Writer.add_power,
    "pvsystem": _Writer.add_power,
}
"""How elements of each class are written."""
