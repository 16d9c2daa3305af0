"""A folder of CSV tables, as a spreadsheet writes them: bus, line, trafo, load, sgen, ext_grid, participants.

Elements name buses by the buses' names. Cables and transformers are described by their numbers or by the name of a
standard type of pandapower. Separators, decimal marks and encodings are those of `data.dialect`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp

from cosim.nets.importing.checked import finish_import
from cosim.nets.importing.imported import Imported, LeftOut
from data.columns import Numbers, Table
from data.errors import DataError
from data.files import read_table
from grid_models.errors import suggest_name

LARGEST = 1e9
MOST_BYTES = 8 * 2**20
MOST_ROWS = 50_000
NEEDED = ("bus",)
LINE = ("r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "max_i_ka")
TRAFO = ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent")
NUMBERS: dict[str, dict[str, float | None]] = {
    "bus": {"vn_kv": None, "min_vm_pu": math.nan, "max_vm_pu": math.nan},
    "line": {"length_km": None, **dict.fromkeys(LINE, math.nan), "parallel": 1.0},
    "trafo": {**dict.fromkeys(TRAFO, math.nan), "shift_degree": math.nan, "tap_pos": math.nan, "parallel": 1.0},
    "load": {"p_mw": None, "q_mvar": math.nan, "cos_phi": math.nan},
    "sgen": {"p_mw": None, "q_mvar": 0.0},
    "ext_grid": {"vm_pu": 1.0, "va_degree": 0.0},
}
"""Columns of numbers of each table, and what an empty cell means; None: it is refused."""
THOUSANDTHS = {"p_mw": "p_kw", "q_mvar": "q_kvar", "length_km": "length_m", "max_i_ka": "max_i_a", "sn_mva": "sn_kva"}
"""Columns that may be given in a thousandth of their unit."""
BUSES = {
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "load": ("bus",),
    "sgen": ("bus",),
    "ext_grid": ("bus",),
}
TYPED = ("line", "trafo")
"""Tables whose rows may name a standard type instead of numbers."""
PARTICIPANTS = ("participant", "bus")


class Columns(NamedTuple):
    """A table as its columns: texts, numbers with NaN where a cell is empty, and the row of each in messages."""

    table: Table
    texts: dict[str, list[str]]
    numbers: dict[str, Numbers]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.table.frame)

    def refuse(self, row: int, column: str, expected: str, remedy: str) -> DataError:
        """Error about a row."""
        got = self.texts[column][row] if column in self.texts else f"{self.numbers[column][row]:g}"
        return DataError(
            f"{self.table.source}, column '{column}', row {self.table.frame.index[row]}: expected {expected}, got "
            f"'{got}'; {remedy}"
        )


def import_tables(folder: Path) -> Imported:
    """Network of a folder of tables.

    Raises
    ------
    data.errors.DataError
        If a table is missing or has another column, a cell is not what its column is for, or a bus or standard type is
        not known.
    GridError
        If they make no network that can be run.
    """
    names = (*NUMBERS, "participants")
    found = {name: _find_file(folder, name) for name in names}
    for name in NEEDED:
        if found[name] is None:
            raise DataError(f"{folder}: expected a table {name}.csv, found none; add it")
    read = {name: _read(path, name) for name, path in found.items() if path is not None}
    net, notes = pp.create_empty_network(), [note for each in read.values() for note in each.table.notes]
    at = _add_buses(net, read["bus"])
    for name, add in _ADD.items():
        if name in read:
            add(net, read[name], at)
    if "ext_grid" not in read:
        notes.append(_add_source(net, folder))
    participants = tuple(_list_participants(read["participants"], at)) if "participants" in read else ()
    taken = {path.name for path in found.values() if path is not None}
    others = sorted(path.name for path in folder.iterdir() if path.name not in taken)
    return finish_import(
        net,
        str(folder),
        elements={name: each.n_rows for name, each in read.items()},
        left_out=tuple(LeftOut(name, "no table of a network") for name in others),
        participants=participants,
        notes=tuple(notes),
    )


def _find_file(folder: Path, name: str) -> Path | None:
    path = folder / f"{name}.csv"
    if path.is_symlink():
        raise DataError(f"{path}: expected a file, got a link, which may lead elsewhere; put the file in its place")
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_BYTES:
        raise DataError(
            f"{path}: expected at most {MOST_BYTES:,} bytes, got {path.stat().st_size:,}; split the network"
        )
    return path


def _read(path: Path, name: str) -> Columns:
    """Columns of a table; units are pandapower's."""
    table = read_table(path, what=f"a table {name}.csv")
    if len(table.frame) > MOST_ROWS:
        raise DataError(f"{path}: expected at most {MOST_ROWS:,} rows, got {len(table.frame):,}; split the network")
    table = table._replace(source=str(path), frame=table.frame.rename(columns=lambda each: str(each).strip().lower()))
    if name == "participants":
        table.check_columns(PARTICIPANTS, ())
        return _with_texts(table, PARTICIPANTS, {})
    texts = ("name", *BUSES.get(name, ()), *(("std_type",) if name in TYPED else ()))
    numbers = NUMBERS[name]
    small = [THOUSANDTHS[column] for column in numbers if column in THOUSANDTHS]
    required = [column for column, empty in numbers.items() if empty is None and column not in THOUSANDTHS]
    table.check_columns([*BUSES.get(name, ("name",)), *required], [*texts, *numbers, *small])
    table = table.with_numbers([*numbers, *small])
    return _with_texts(table, texts, {column: _read_column(table, column, empty) for column, empty in numbers.items()})


def _with_texts(table: Table, texts: tuple[str, ...], numbers: dict[str, Numbers]) -> Columns:
    frame = table.frame
    cells = {
        name: frame[name].fillna("").astype(str).str.strip().tolist() if name in frame else [""] * len(frame)
        for name in texts
    }
    return Columns(table, cells, numbers)


def _read_column(table: Table, column: str, empty: float | None) -> Numbers:
    """A column of numbers, in whichever of its units it is given; `empty` where a cell or the column is."""
    possible = (column, THOUSANDTHS[column]) if column in THOUSANDTHS else (column,)
    given = table.find_column(possible, required=empty is None)
    if not given:
        return np.full(len(table.frame), empty)
    missing = table.frame[given].isna().to_numpy()
    values = table.column(given).to_float()
    wrong = ~(np.abs(values) <= LARGEST) & ~(missing if empty is not None else np.zeros(len(missing), bool))
    table.column(given).check(wrong, "a finite number", "fill, correct or remove the row")
    values = values / 1000.0 if given != column else values
    return np.where(missing, math.nan if empty is None else empty, values)


def _add_buses(net: Any, bus: Columns) -> dict[str, int]:
    """Add the buses; returns their indices by name."""
    at: dict[str, int] = {}
    for row, name in enumerate(bus.texts["name"]):
        if not name or name in at:
            raise bus.refuse(row, "name", "a name that no other bus has", "rename it")
        limits = {side: bus.numbers[side][row] for side in ("min_vm_pu", "max_vm_pu")}
        given = {side: float(value) for side, value in limits.items() if value == value}
        at[name] = int(pp.create_bus(net, vn_kv=float(bus.numbers["vn_kv"][row]), name=name, **given))
    return at


def _find_bus(columns: Columns, row: int, column: str, at: dict[str, int]) -> int:
    name = columns.texts[column][row]
    if name not in at:
        raise columns.refuse(row, column, "the name of a bus", suggest_name(name, list(at), "see the table of buses"))
    return at[name]


def _add_lines(net: Any, line: Columns, at: dict[str, int]) -> None:
    for row in range(line.n_rows):
        ends = [_find_bus(line, row, column, at) for column in BUSES["line"]]
        common = {
            "length_km": float(line.numbers["length_km"][row]),
            "parallel": _read_count(line, row, "parallel"),
            "name": line.texts["name"][row] or None,
        }
        if (std_type := _read_type(net, line, row, "line", LINE)) is not None:
            rating = line.numbers["max_i_ka"][row]
            index = pp.create_line(net, *ends, std_type=std_type, **common)
            net.line.loc[index, "max_i_ka"] = rating if rating == rating else net.line.at[index, "max_i_ka"]
        else:
            values = {column: float(line.numbers[column][row]) for column in LINE}
            pp.create_line_from_parameters(net, *ends, **values, **common)


def _add_trafos(net: Any, trafo: Columns, at: dict[str, int]) -> None:
    for row in range(trafo.n_rows):
        ends = [_find_bus(trafo, row, column, at) for column in BUSES["trafo"]]
        common = {"parallel": _read_count(trafo, row, "parallel"), "name": trafo.texts["name"][row] or None}
        tap_pos, shift = trafo.numbers["tap_pos"][row], trafo.numbers["shift_degree"][row]
        if (std_type := _read_type(net, trafo, row, "trafo", TRAFO)) is not None:
            tap = {} if tap_pos != tap_pos else {"tap_pos": _read_count(trafo, row, "tap_pos", least=-1000)}
            index = pp.create_transformer(net, *ends, std_type=std_type, **common, **tap)
            net.trafo.loc[index, "shift_degree"] = shift if shift == shift else net.trafo.at[index, "shift_degree"]
        else:
            if tap_pos == tap_pos:
                raise trafo.refuse(row, "tap_pos", "no tap position without a std_type, which has its step", "empty it")
            values = {column: float(trafo.numbers[column][row]) for column in TRAFO}
            values["shift_degree"] = float(shift) if shift == shift else 0.0
            pp.create_transformer_from_parameters(net, *ends, **values, **common)


def _read_count(columns: Columns, row: int, column: str, least: int = 1) -> int:
    value = columns.numbers[column][row]
    if not (value == round(value) and least <= value <= 1000):
        raise columns.refuse(row, column, f"a whole number from {least} to 1000", "correct it")
    return int(value)


def _read_type(net: Any, columns: Columns, row: int, kind: str, numbers: tuple[str, ...]) -> str | None:
    """Standard type of a row; None where its numbers are given instead."""
    name = columns.texts["std_type"][row]
    given = [column for column in numbers if columns.numbers[column][row] == columns.numbers[column][row]]
    if not name:
        lacking = [column for column in numbers if column not in given]
        if lacking:
            raise columns.refuse(row, lacking[0], "a number where no std_type is named", "fill it, or name a type")
        return None
    beside = [column for column in given if column != "max_i_ka"]
    if beside:
        raise columns.refuse(row, beside[0], f"no number beside the std_type '{name}'", "empty one of the two")
    if name not in net.std_types[kind]:
        known = list(net.std_types[kind])
        raise columns.refuse(
            row,
            "std_type",
            f"a standard type of pandapower such as '{known[0]}'",
            suggest_name(name, known, "or give its numbers"),
        )
    return name


def _add_loads(net: Any, load: Columns, at: dict[str, int]) -> None:
    for row in range(load.n_rows):
        p_mw, q_mvar, cos_phi = (float(load.numbers[column][row]) for column in ("p_mw", "q_mvar", "cos_phi"))
        if q_mvar == q_mvar and cos_phi == cos_phi:
            raise load.refuse(row, "cos_phi", "no power factor beside reactive power", "empty one of the two")
        if cos_phi == cos_phi:
            if not 0.1 <= abs(cos_phi) <= 1.0:
                raise load.refuse(
                    row, "cos_phi", "a power factor from 0.1 to 1, or with a minus (capacitive)", "correct it"
                )
            q_mvar = p_mw * math.copysign(math.sqrt(1.0 - cos_phi**2) / abs(cos_phi), cos_phi)
        pp.create_load(
            net,
            _find_bus(load, row, "bus", at),
            p_mw,
            0.0 if q_mvar != q_mvar else q_mvar,
            name=load.texts["name"][row] or None,
        )


def _add_sgens(net: Any, sgen: Columns, at: dict[str, int]) -> None:
    for row in range(sgen.n_rows):
        p_mw, q_mvar = (float(sgen.numbers[column][row]) for column in ("p_mw", "q_mvar"))
        pp.create_sgen(net, _find_bus(sgen, row, "bus", at), p_mw, q_mvar, name=sgen.texts["name"][row] or None)


def _add_sources(net: Any, source: Columns, at: dict[str, int]) -> None:
    for row in range(source.n_rows):
        vm_pu, va_degree = (float(source.numbers[column][row]) for column in ("vm_pu", "va_degree"))
        pp.create_ext_grid(
            net, _find_bus(source, row, "bus", at), vm_pu, va_degree, name=source.texts["name"][row] or None
        )


_ADD = {
    "line": _add_lines,
    "trafo": _add_trafos,
    "load": _add_loads,
    "sgen": _add_sgens,
    "ext_grid": _add_sources,
}


def _add_source(net: Any, folder: Path) -> str:
    """Add a source where no table names one: at the only bus of the highest voltage; returns a note on it."""
    highest = net.bus.index[net.bus["vn_kv"] == net.bus["vn_kv"].max()]
    if len(highest) != 1:
        raise DataError(
            f"{folder}: expected a table ext_grid.csv with the bus of the source, found none, and {len(highest)} buses "
            "of the highest voltage; add it"
        )
    pp.create_ext_grid(net, int(highest[0]))
    return f"no ext_grid.csv: the source is at bus '{net.bus.name.at[highest[0]]}', the only one of the highest voltage"


def _list_participants(rows: Columns, at: dict[str, int]) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for row, name in enumerate(rows.texts["participant"]):
        if not name or name in seen:
            raise rows.refuse(row, "participant", "a name that no other participant has", "rename it")
        seen.add(name)
        yield name, _find_bus(rows, row, "bus", at)
