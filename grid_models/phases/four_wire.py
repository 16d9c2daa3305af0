"""Circuit of a folder of tables: four wires, with the neutral and its earths explicit.

A line section is `inv(Z)` of its conductors with half of its capacitance at either end (Kersting 2012, "Distribution
System Modeling and Analysis", ch. 6). A transformer is three single-phase ones, their impedance on the low-voltage side
and no magnetising branch. Any other passive element (a transformer of another connection, a capacitor, a reactor) is
the admittance matrix between its terminals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Complex, Ints
from grid_models.errors import GridError, suggest_name
from grid_models.phases.circuit import EARTH, Branch, Circuit, Source
from grid_models.phases.sequence import PHASES
from grid_models.phases.tables import Row, Tables

FREQUENCY_HZ = 50.0
"""Of a folder that does not say another in network.csv."""
THROUGH = ("from", "to")
"""Ends between which a conductor goes on, unlike those of windings."""
WINDINGS = {
    ("dyn", 1): ((0, 2), (1, 0), (2, 1)),
    ("dyn", 5): ((1, 0), (2, 1), (0, 2)),
    ("dyn", 7): ((2, 0), (0, 1), (1, 2)),
    ("dyn", 11): ((0, 1), (1, 2), (2, 0)),
    ("ynyn", 0): ((0, None), (1, None), (2, None)),
}
"""Phases of the high-voltage side between which each low-voltage phase's winding has its partner."""


NAMES_OF_BRANCHES = ("line", "trafo", "branch")
"""Columns that name a branch."""


class Linecode(NamedTuple):
    """A type of line: its conductors, impedance in ohm/km and capacitance in nF/km."""

    conductors: str
    impedance: Complex
    capacitance: Complex


class Nodes(NamedTuple):
    """Buses of a folder: rows, and the node of each of their conductors."""

    rows: dict[str, Row]
    node: dict[tuple[str, str], int]

    def find(self, row: Row, column: str, conductors: str) -> Ints:
        """Nodes of conductors of the bus in a cell; raises `GridError` where there is no such bus or conductor."""
        bus = row[column]
        if bus not in self.rows:
            raise row.refuse(column, "a bus of bus.csv", suggest_name(bus, self.rows, "add it there"))
        missing = [c for c in conductors if (bus, c) not in self.node]
        if missing:
            raise row.refuse(
                column, f"a bus with conductor {missing[0]}", f"bus '{bus}' has {self.rows[bus]['conductors']}"
            )
        return np.array([self.node[bus, c] for c in conductors], dtype=np.int64)


def make_four_wire(tables: Tables) -> Circuit:
    """Circuit of checked tables.

    Raises
    ------
    GridError
        If the tables do not fit together.
    """
    nodes = _make_nodes(tables.bus)
    codes = read_linecodes(tables.linecode_matrix)
    frequency_hz = read_frequency(tables)
    named = _group(tables.terminal, "branch")
    _check_unique([*tables.line, *tables.transformer, *(rows[0] for rows in named.values())], NAMES_OF_BRANCHES)
    _check_unique(tables.load, ("load",))
    branches = [_make_line(row, nodes, codes, frequency_hz) for row in tables.line]
    branches += [_make_transformer(row, nodes) for row in tables.transformer]
    branches += _make_passive(named, tables.admittance, nodes)
    earth = [(nodes.find(row, "bus", row["conductor"])[0], _earth_admittance(row)) for row in tables.earthing]
    ports = np.array([_find_port(row, nodes) for row in tables.load], dtype=np.int64).reshape(-1, 2)
    vn_kv = np.array([nodes.rows[bus]["vn_kv"] for bus, _ in nodes.node])
    return Circuit(
        bus=tuple(bus for bus, _ in nodes.node),
        conductor=tuple(conductor for _, conductor in nodes.node),
        base_v=vn_kv * 1000.0 / np.sqrt(3.0),
        branches=tuple(branches),
        sources=tuple(_make_sources(tables.source, nodes)),
        earth_node=np.array([node for node, _ in earth], dtype=np.int64),
        earth_admittance=np.array([y for _, y in earth], dtype=np.complex128),
        port_from=ports[:, 0],
        port_to=ports[:, 1],
        power_kva=np.array([row["p_kw"] + 1j * row["q_kvar"] for row in tables.load], dtype=np.complex128),
    )


def read_frequency(tables: Tables) -> float:
    """Frequency of a folder, Hz; raises `GridError` where it has several."""
    if len(tables.network) > 1:
        raise tables.network[1].refuse(
            "frequency_hz", "one row, since a network has one frequency", "remove the others"
        )
    return float(tables.network[0]["frequency_hz"]) if tables.network else FREQUENCY_HZ


def _group(rows: list[Row], column: str) -> dict[str, list[Row]]:
    """Rows by the word in a column, in the order of the first of each."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row[column], []).append(row)
    return grouped


def _make_nodes(rows: list[Row]) -> Nodes:
    _check_unique(rows, ("bus",))
    if not rows:
        raise GridError("bus.csv: expected buses, got none")
    names = [(row["bus"], conductor) for row in rows for conductor in row["conductors"]]
    return Nodes({row["bus"]: row for row in rows}, {name: k for k, name in enumerate(names)})


def _check_unique(rows: list[Row], columns: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for row in rows:
        column = next(name for name in columns if name in row.cells)
        if row[column] in seen:
            raise row.refuse(column, "each name once", "rename one of them")
        seen.add(row[column])


def read_linecodes(rows: list[Row]) -> dict[str, Linecode]:
    """Types of lines by their names.

    Raises
    ------
    GridError
        If a matrix is incomplete, not symmetric or has no positive resistance.
    """
    codes: dict[str, dict[tuple[str, str], Row]] = {}
    for row in rows:
        entries = codes.setdefault(row["code"], {})
        if (row["i"], row["j"]) in entries:
            raise row.refuse("j", f"each pair i, j of code '{row['code']}' once")
        entries[row["i"], row["j"]] = row
    return {name: _make_linecode(name, entries) for name, entries in codes.items()}


def _make_linecode(name: str, entries: dict[tuple[str, str], Row]) -> Linecode:
    conductors = "".join(c for c in "abcn" if any(c in pair for pair in entries))
    place = next(iter(entries.values())).place
    for i in conductors:
        for j in conductors:
            if (i, j) not in entries:
                raise GridError(f"{place}: expected a full matrix of code '{name}', found no row {i},{j}; add it")
    cells = [[entries[i, j] for j in conductors] for i in conductors]
    impedance = np.array([[row["r_ohm_per_km"] + 1j * row["x_ohm_per_km"] for row in line] for line in cells])
    capacitance = np.array([[row["c_nf_per_km"] + 0j for row in line] for line in cells])
    for matrix, column in ((impedance, "r_ohm_per_km and x_ohm_per_km"), (capacitance, "c_nf_per_km")):
        if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=0.0):
            raise GridError(f"{place}: expected {column} of code '{name}' to be the same for i,j and j,i")
    if not np.linalg.eigvalsh(impedance.real).min() > 0.0:
        raise GridError(
            f"{place}: expected r_ohm_per_km of code '{name}' to be positive definite, as that of any line that "
            "has losses; check its diagonal"
        )
    return Linecode(conductors, impedance, capacitance)


def _make_line(row: Row, nodes: Nodes, codes: dict[str, Linecode], frequency_hz: float) -> Branch:
    if row["code"] not in codes:
        raise row.refuse("code", "a code of linecode_matrix.csv", suggest_name(row["code"], codes, "add it there"))
    code = codes[row["code"]]
    k = len(code.conductors)
    node = np.concatenate([nodes.find(row, column, code.conductors) for column in ("from_bus", "to_bus")])
    if row["from_bus"] == row["to_bus"]:
        raise row.refuse("to_bus", "another bus than from_bus")
    near, far = (nodes.rows[row[column]]["vn_kv"] for column in ("from_bus", "to_bus"))
    if near != far:
        raise row.refuse("to_bus", f"a bus of {near} kV like from_bus", f"it has {far} kV; put a transformer between")
    series = np.linalg.inv(code.impedance * row["length_km"])
    half = 1j * np.pi * frequency_hz * code.capacitance * 1e-9 * row["length_km"]
    admittance = np.block([[series + half, -series], [-series, series + half]])
    ends = ("from",) * k + ("to",) * k
    tied = tuple((i, i + k) for i in range(k))
    return Branch(row["line"], node, ends, tuple(code.conductors) * 2, admittance, np.full(2 * k, row["i_max_a"]), tied)


def _make_transformer(row: Row, nodes: Nodes) -> Branch:
    partners = WINDINGS.get((row["vector_group"].lower(), row["clock"]))
    if partners is None:
        raise row.refuse(
            "vector_group",
            "Dyn with clock 1, 5, 7 or 11, or YNyn with clock 0",
            f"its clock is {row['clock']:g}; a four-wire network needs a star point, and others a zero sequence that "
            "these tables do not have",
        )
    star = row["star_conductor"]
    if star != "n":
        raise row.refuse("star_conductor", "n, the neutral of the low-voltage bus")
    node = np.concatenate([nodes.find(row, "hv_bus", "abc"), nodes.find(row, "lv_bus", "abcn")])
    delta = row["vector_group"].lower() == "dyn"
    hv_v = row["vn_hv_kv"] * row["tap_hv_pu"] * 1000.0 / (1.0 if delta else np.sqrt(3.0))
    lv_v = row["vn_lv_kv"] * 1000.0 / np.sqrt(3.0)
    z = (row["r_percent"] + 1j * row["x_percent"]) / 100.0 * row["vn_lv_kv"] ** 2 * 1000.0 / row["sn_kva"]
    windings = np.zeros((3, 7))  # voltage across each winding's impedance, per terminal voltage
    for phase, (plus, minus) in enumerate(partners):
        windings[phase, 3 + phase] += 1.0
        windings[phase, 6] -= 1.0
        windings[phase, plus] -= lv_v / hv_v
        if minus is not None:
            windings[phase, minus] += lv_v / hv_v
    rated = row["sn_kva"] / np.sqrt(3.0) / np.array([row["vn_hv_kv"]] * 3 + [row["vn_lv_kv"]] * 4)
    tied = ((3, 4), (4, 5), (5, 6), *(((0, 1), (1, 2)) if delta else ()))
    ends = ("hv",) * 3 + ("lv",) * 4
    return Branch(row["trafo"], node, ends, tuple("abcabcn"), windings.T @ windings / z, rated, tied)


def _make_passive(named: dict[str, list[Row]], rows: list[Row], nodes: Nodes) -> Iterator[Branch]:
    """Branches of terminals and the admittances between them; pairs that are not named have none."""
    entries = _group(rows, "branch")
    for name, of_branch in entries.items():
        if name not in named:
            raise of_branch[0].refuse("branch", "a branch of terminal.csv", suggest_name(name, named, "add it there"))
    for name, terminals in named.items():
        _check_unique(terminals, ("terminal",))
        place = {row["terminal"]: k for k, row in enumerate(terminals)}
        matrix = np.zeros((len(place), len(place)), np.complex128)
        seen: set[tuple[str, str]] = set()
        for row in entries.get(name, []):
            for column in ("i", "j"):
                if row[column] not in place:
                    raise row.refuse(column, f"a terminal of '{name}' ({', '.join(place)})")
            if (row["i"], row["j"]) in seen:
                raise row.refuse("j", f"each pair i, j of branch '{name}' once")
            seen.add((row["i"], row["j"]))
            matrix[place[row["i"]], place[row["j"]]] = row["g_s"] + 1j * row["b_s"]
        _check_passive(terminals[0], matrix)
        node = np.array([nodes.find(row, "bus", row["conductor"])[0] for row in terminals], dtype=np.int64)
        yield Branch(
            name,
            node,
            tuple(row["end"] for row in terminals),
            tuple(row["conductor"] for row in terminals),
            matrix,
            np.array([row["i_max_a"] for row in terminals]),
            tuple(_find_tied(terminals, matrix)),
        )


def _check_passive(first: Row, matrix: Complex) -> None:
    """Raise `GridError` where a matrix has nothing in it, or is none of an element that only takes power."""
    largest = np.abs(matrix).max()
    if not largest > 0.0:
        raise first.refuse("branch", "rows of admittance.csv with admittances of this branch", "add them")
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-9 * largest):
        raise first.refuse("branch", "g_s and b_s in admittance.csv to be the same for i,j and j,i")
    if np.linalg.eigvalsh(matrix.real).min() < -1e-6 * largest:
        raise first.refuse("branch", "g_s in admittance.csv of an element that generates nothing", "check its signs")


def _find_tied(terminals: list[Row], matrix: Complex) -> Iterator[tuple[int, int]]:
    """Pairs that conduct: those of one winding, or of the two ends of a conductor; windings are apart from another."""
    ends = [row["end"] for row in terminals]
    for i, j in zip(*np.nonzero(np.triu(matrix, 1)), strict=True):
        if ends[i] == ends[j] or (ends[i] in THROUGH and ends[j] in THROUGH):
            yield int(i), int(j)


def _earth_admittance(row: Row) -> complex:
    z = complex(row["r_ohm"], row["x_ohm"])
    if z == 0.0:
        raise row.refuse("r_ohm", "a resistance above 0 where x_ohm is 0", "an ideal earth is 0.000001")
    return 1.0 / z


def _make_sources(rows: list[Row], nodes: Nodes) -> Iterator[Source]:
    if not rows:
        raise GridError("source.csv: expected the rows a, b, c of a source, got none")
    grouped: dict[str, dict[str, Row]] = {}
    for row in rows:
        of_bus = grouped.setdefault(row["bus"], {})
        if row["conductor"] in of_bus or row["conductor"] == "n":
            raise row.refuse("conductor", "a, b and c of each source once")
        of_bus[row["conductor"]] = row
    for of_bus in grouped.values():
        first = next(iter(of_bus.values()))
        if set(of_bus) != set(PHASES):
            raise first.refuse("conductor", "rows for a, b and c of the source", "add the others")
        values: Any = [[row[c] for c in ("r0_ohm", "x0_ohm", "r1_ohm", "x1_ohm")] for row in of_bus.values()]
        if any(value != values[0] for value in values):
            raise first.refuse("r1_ohm", "the same impedances for a, b and c of a source")
        r0, x0, r1, x1 = values[0]
        voltage = np.array([of_bus[phase]["e_re_v"] + 1j * of_bus[phase]["e_im_v"] for phase in PHASES])
        impedance = np.array([r0 + 1j * x0, r1 + 1j * x1, r1 + 1j * x1])
        yield Source(nodes.find(first, "bus", "abc"), voltage, impedance)


def _find_port(row: Row, nodes: Nodes) -> tuple[int, int]:
    if row["from_conductor"] == row["to_conductor"]:
        raise row.refuse("to_conductor", "another conductor than from_conductor")
    (start,) = nodes.find(row, "bus", row["from_conductor"])
    if row["to_conductor"] == "earth":
        return int(start), EARTH
    (end,) = nodes.find(row, "bus", row["to_conductor"])
    return int(start), int(end)
