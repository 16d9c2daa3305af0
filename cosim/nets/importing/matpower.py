"""A MATPOWER case: a function of MATLAB whose statements are numbers, read without running any of it.

Cases of distribution networks often end with statements that compute, such as ohms made per unit. A reader that skips
them is wrong by orders of magnitude; here they are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp

from cosim.nets.importing.checked import finish_import
from cosim.nets.importing.imported import Imported, LeftOut
from grid_models.arrays import Floats
from grid_models.errors import GridError, shorten
from grid_models.feeder.net_file import MAX_ROWS, read_regular_text

COLUMNS = {"bus": 13, "gen": 10, "branch": 11}
"""Matrices of a power flow, and the columns that each must have (MATPOWER User's Manual, appendix B)."""
WHAT = {"gencost": "costs of generators", "bus_name": "names of buses", "areas": "areas", "gentype": "kinds of plants"}
"""Other fields that say nothing to a power flow; what is not here is refused."""
F_HZ = 50.0

_ASSIGNED = re.compile(r"mpc\.(\w+)\s*=\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:Inf|inf)|NaN")


class Statement(NamedTuple):
    """A statement, and the line of the file on which it begins."""

    text: str
    line: int


class Case(NamedTuple):
    """What a case assigns: base power, matrices of numbers, and other fields that are left out."""

    base_mva: float
    matrix: dict[str, Floats]
    others: tuple[str, ...]


def import_matpower(path: Path) -> Imported:
    """Network of a MATPOWER case of version 2 at 50 Hz, by `pandapower.converter`.

    Raises
    ------
    GridError
        If it is no such case, computes something, or makes no network that can be run.
    """
    from pandapower.converter.pypower.from_ppc import from_ppc

    where = str(path)
    case = parse_case(read_regular_text(path, "a MATPOWER case"), where)
    matrix = {name: values.copy() for name, values in case.matrix.items()}
    for name, columns in (("bus", [0]), ("gen", [0]), ("branch", [0, 1])):
        matrix[name][:, columns] -= 1  # MATLAB counts from 1
    n_charged = _move_charging(matrix, case.base_mva)
    matrix["branch"][matrix["branch"][:, 8] == 0.0, 8] = 1.0  # a ratio of 0 is that of a line
    try:
        net = from_ppc({"version": 2, "baseMVA": case.base_mva, **matrix}, f_hz=F_HZ)
    except Exception as reason:  # pandapower lets its own, numpy's and pandas' errors through
        raise GridError(
            f"{where}: expected a case that pandapower converts, got {type(reason).__name__}: {shorten(reason)}"
        ) from reason
    pp.set_user_pf_options(net, trafo_model="pi", calculate_voltage_angles=True)  # as MATPOWER's own branches
    net.bus["name"] = [f"bus {number:.0f}" for number in case.matrix["bus"][:, 0]]
    return finish_import(
        net,
        where,
        elements={name: len(values) for name, values in case.matrix.items()},
        left_out=tuple(LeftOut(f"mpc.{name}", WHAT[name]) for name in case.others),
        notes=(f"a case has no frequency: {F_HZ:g} Hz", *_note_ratings(case), *_note_charging(n_charged)),
    )


def _move_charging(matrix: dict[str, Floats], base_mva: float) -> int:
    """Move the charging of transformers to shunts of the buses at their ends; returns how many have some.

    pandapower's converter takes charging of a transformer for its magnetising current, with the other sign. Behind an
    ideal ratio half of it is a shunt of b/2/ratio² at the one end and of b/2 at the other, which is the same circuit.
    """
    bus, branch = matrix["bus"], matrix["branch"]
    row = {number: k for k, number in enumerate(bus[:, 0].tolist())}
    ends = np.array([[row[end] for end in pair] for pair in branch[:, :2].tolist()])
    is_trafo = (branch[:, 8] != 0.0) | (branch[:, 9] != 0.0) | (bus[ends[:, 0], 9] != bus[ends[:, 1], 9])
    charged = np.flatnonzero(is_trafo & (branch[:, 4] != 0.0))
    for k in charged:
        ratio = branch[k, 8] or 1.0
        half_mvar = branch[k, 4] / 2.0 * base_mva * (branch[k, 10] > 0)
        bus[ends[k, 0], 5] += half_mvar / ratio**2
        bus[ends[k, 1], 5] += half_mvar
    branch[charged, 4] = 0.0
    return int(charged.size)


def _note_charging(n_charged: int) -> tuple[str, ...]:
    said = "transformers have charging: it is carried by shunts at their ends, which is the same circuit"
    return (f"{n_charged} {said}",) if n_charged else ()


def _note_ratings(case: Case) -> tuple[str, ...]:
    lacking = int((case.matrix["branch"][:, 5] == 0.0).sum())
    return (f"{lacking} branches have no rating (rateA = 0): they are never overloaded",) if lacking else ()


def parse_case(text: str, where: str) -> Case:
    """What the statements of a case assign; `where` begins messages.

    Raises
    ------
    GridError
        If a statement is anything but an assignment of numbers or words, or what a power flow needs is missing.
    """
    fields: dict[str, Any] = {}
    others: list[str] = []
    for statement in _split(text):
        place = f"{where}, line {statement.line}"
        if statement.text.startswith("function") or statement.text == "end":
            continue
        found = _ASSIGNED.fullmatch(statement.text)
        if found is None:
            raise GridError(
                f"{place}: expected an assignment of numbers such as mpc.bus = […], since nothing of a file is run, "
                f"got '{shorten(statement.text)}'; write the numbers that MATLAB computes with savecase"
            )
        name, value = found.groups()
        if name in fields or name in others:
            raise GridError(f"{place}: expected mpc.{name} once, got it twice; remove one")
        if name == "version":
            if value.strip("'\" ") != "2":
                raise GridError(
                    f"{place}: expected a case of version 2, got {shorten(value)}; convert it with MATPOWER"
                )
            fields[name] = 2
        elif name == "baseMVA":
            fields[name] = _parse_matrix(f"[{value}]", place)
        elif name in COLUMNS:
            fields[name] = _parse_matrix(value, place)
        elif name in WHAT:
            others.append(name)
        else:
            raise GridError(
                f"{place}: expected fields that a power flow reads ({', '.join(('baseMVA', *COLUMNS))}) or that say "
                f"nothing to it ({', '.join(WHAT)}), got mpc.{shorten(name)}; remove it if it changes nothing"
            )
    return _check_case(fields, tuple(others), where)


def _split(text: str) -> Iterator[Statement]:
    """Statements of a file without comments; line ends within brackets separate rows."""
    held: list[str] = []
    depth, begin = 0, 1
    for number, full in enumerate(text.splitlines(), 1):
        line = _without_comment(full)
        if not held and not line.strip():
            continue
        if not held:
            begin = number
        depth += sum(line.count(c) for c in "[{") - sum(line.count(c) for c in "]}")
        held.append(line)
        if depth <= 0:
            for part in _split_at_semicolons("\n".join(held)):
                yield Statement(part, begin)
            held, depth = [], 0
    if held:
        yield Statement("\n".join(held).strip(), begin)


def _without_comment(line: str) -> str:
    """A line before its first % that is in no quotes."""
    quoted = False
    for at, c in enumerate(line):
        if c == "'":
            quoted = not quoted
        elif c == "%" and not quoted:
            return line[:at]
    return line


def _split_at_semicolons(text: str) -> Iterator[str]:
    """Statements between semicolons that are in no brackets."""
    depth, begin = 0, 0
    for at, c in enumerate(text + ";"):
        depth += (c in "[{") - (c in "]}")
        if c == ";" and depth <= 0:
            if part := text[begin:at].strip():
                yield part
            begin = at + 1


def _parse_matrix(text: str, place: str) -> Floats:
    """Rows of numbers between brackets."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise GridError(f"{place}: expected numbers in brackets, got '{shorten(text)}'; write them with savecase")
    rows = [row.replace(",", " ").split() for row in re.split(r"[;\n]", text[1:-1].replace("...\n", " "))]
    rows = [row for row in rows if row]
    if len(rows) > MAX_ROWS:
        raise GridError(f"{place}: expected at most {MAX_ROWS:,} rows, got {len(rows):,}")
    for row in rows:
        if len(row) != len(rows[0]):
            raise GridError(f"{place}: expected {len(rows[0])} numbers in every row, got {len(row)}; correct the row")
        for cell in row:
            if not _NUMBER.fullmatch(cell):
                raise GridError(f"{place}: expected a number, got '{shorten(cell)}'; write it with savecase")
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def _check_case(fields: dict[str, Any], others: tuple[str, ...], where: str) -> Case:
    for name in ("version", "baseMVA", *COLUMNS):
        if name not in fields:
            raise GridError(f"{where}: expected a MATPOWER case of version 2 with mpc.{name}, found none")
    base, matrix = fields["baseMVA"], {name: fields[name] for name in COLUMNS}
    if base.shape != (1, 1) or not 0.0 < base[0, 0] < 1e9:
        raise GridError(f"{where}, mpc.baseMVA: expected a number above 0, got another")
    for name, least in COLUMNS.items():
        if matrix[name].shape[1] < least or not len(matrix[name]):
            raise GridError(
                f"{where}, mpc.{name}: expected rows of at least {least} numbers, got {len(matrix[name])} of "
                f"{matrix[name].shape[1]}"
            )
        if not np.isfinite(matrix[name][:, : min(least, 9)][:, _used(name)]).all():
            raise GridError(f"{where}, mpc.{name}: expected finite numbers where a power flow reads, got others")
    known = matrix["bus"][:, 0]
    if len(set(known.tolist())) < len(known) or (known != np.round(known)).any() or (known < 1).any():
        raise GridError(f"{where}, mpc.bus: expected different whole numbers of buses from 1, got others")
    for name, columns in (("gen", [0]), ("branch", [0, 1])):
        lost = np.setdiff1d(matrix[name][:, columns], known)
        if lost.size:
            raise GridError(f"{where}, mpc.{name}: expected numbers of buses in mpc.bus, got {lost[0]:g}; correct it")
    return Case(float(base[0, 0]), matrix, others)


def _used(name: str) -> list[int]:
    """Columns that a power flow reads, without limits, which may be infinite."""
    return {"bus": [0, 1, 2, 3, 4, 5, 7, 8], "gen": [0, 1, 2, 5, 7], "branch": [0, 1, 2, 3, 4, 8]}[name]
