"""A folder of tables with four wires, seen as a balanced net: what the doctor looks at, never what is solved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandapower as pp

from grid_models.errors import GridError
from grid_models.phases.four_wire import FREQUENCY_HZ, Linecode, read_linecodes
from grid_models.phases.tables import Row, Tables


def view_folder(tables: Tables) -> Any:
    """Net with the buses, lines, transformers, sources and loads of a folder, indexed by the line of their file.

    A line has the mean self-impedance of its phases less their mean mutual one, a line of one phase the impedance of
    its loop. A load is the power of its port; one below zero, which is how a folder writes generation, is an `sgen`.

    Raises
    ------
    GridError
        If there is no bus, or a row names a bus or code that there is not.
    """
    if not tables.bus:
        raise GridError("bus.csv: expected at least one bus, got none")
    net = pp.create_empty_network(f_hz=FREQUENCY_HZ)
    at: dict[str, int] = {}
    for row in tables.bus:
        if at.setdefault(row["bus"], _number(row)) != _number(row):
            raise row.refuse("bus", "each bus once", "remove or rename one")
    kv, names = [row["vn_kv"] for row in tables.bus], [row["bus"] for row in tables.bus]
    pp.create_buses(net, len(names), kv, name=names, index=list(at.values()))
    _add_lines(net, tables, at)
    _add_trafos(net, tables.transformer, at)
    sources = dict.fromkeys(_find(row, "bus", at) for row in tables.source)
    for bus in sources:
        pp.create_ext_grid(net, bus)
    for create, sign in ((pp.create_loads, 1.0), (pp.create_sgens, -1.0)):
        rows = [row for row in tables.load if (row["p_kw"] < 0.0) == (sign < 0.0)]
        if rows:
            create(
                net,
                [_find(row, "bus", at) for row in rows],
                p_mw=[sign * row["p_kw"] / 1e3 for row in rows],
                q_mvar=[sign * row["q_kvar"] / 1e3 for row in rows],
                name=[row["load"] for row in rows],
                index=[_number(row) for row in rows],
            )
    return net


def _add_lines(net: Any, tables: Tables, at: dict[str, int]) -> None:
    codes = {name: find_positive(code) for name, code in read_linecodes(tables.linecode_matrix).items()}
    for row in tables.line:
        if row["code"] not in codes:
            raise row.refuse("code", "a code of linecode_matrix.csv", "add it there")
    if tables.line:
        z = np.array([codes[row["code"]] for row in tables.line])
        pp.create_lines_from_parameters(
            net,
            [_find(row, "from_bus", at) for row in tables.line],
            [_find(row, "to_bus", at) for row in tables.line],
            length_km=[row["length_km"] for row in tables.line],
            r_ohm_per_km=z.real,
            x_ohm_per_km=z.imag,
            c_nf_per_km=0.0,
            max_i_ka=[row["i_max_a"] / 1000.0 for row in tables.line],
            name=[row["line"] for row in tables.line],
            index=[_number(row) for row in tables.line],
        )


def _add_trafos(net: Any, rows: list[Row], at: dict[str, int]) -> None:
    if rows:
        pp.create_transformers_from_parameters(
            net,
            [_find(row, "hv_bus", at) for row in rows],
            [_find(row, "lv_bus", at) for row in rows],
            sn_mva=[row["sn_kva"] / 1000.0 for row in rows],
            vn_hv_kv=[row["vn_hv_kv"] for row in rows],
            vn_lv_kv=[row["vn_lv_kv"] for row in rows],
            vkr_percent=[row["r_percent"] for row in rows],
            vk_percent=[float(np.hypot(row["r_percent"], row["x_percent"])) for row in rows],
            pfe_kw=0.0,
            i0_percent=0.0,
            shift_degree=[30.0 * row["clock"] for row in rows],
            name=[row["trafo"] for row in rows],
            index=[_number(row) for row in rows],
        )


def _number(row: Row) -> int:
    """Line of a row in its file."""
    return int(row.place.rpartition(" ")[2])


def _find(row: Row, column: str, at: dict[str, int]) -> int:
    if row[column] not in at:
        raise row.refuse(column, "a bus of bus.csv", "add it there")
    return at[row[column]]


def find_positive(code: Linecode) -> complex:
    """Impedance of the positive sequence, ohm/km; of the loop with the neutral where there is one phase.

    Examples
    --------
    >>> z = np.array([[0.2 + 0.4j, 0.3j], [0.3j, 0.2 + 0.4j]])
    >>> find_positive(Linecode("ab", z, z)), find_positive(Linecode("an", z, z))
    ((0.2+0.1j), (0.4+0.2j))
    """
    z, n = code.impedance, len(code.conductors.rstrip("n"))
    own = z[:n, :n]
    if n > 1:
        found = np.diag(own).mean() - own[~np.eye(n, dtype=bool)].mean()
    else:
        found = z[0, 0] + z[1, 1] - 2 * z[0, 1] if len(code.conductors) > 1 else z[0, 0]
    return complex(np.round(found, 12))
