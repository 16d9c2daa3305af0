"""Folders of tables that are refused: file, line, what was expected and got."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from grid_models.errors import GridError
from grid_models.phases import tables
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.tables import COLUMNS, OPTIONAL, parse_table, read_tables

REFERENCE = Path(__file__).parents[3] / "reference" / "four_wire"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (path.stem for path in REFERENCE.glob("*.csv") if path.stem in COLUMNS):
        shutil.copy(REFERENCE / f"{name}.csv", tmp_path / f"{name}.csv")
    return tmp_path


def change(folder: Path, table: str, old: str, new: str) -> None:
    path = folder / f"{table}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("bus", "b1,0.4", "b1,-0.4", r"bus\.csv, line 3, column vn_kv: expected a number above 0, got '-0\.4'"),
        ("bus", "b1,0.4,abcn", "b1,0.4,nab", "expected conductors such as abcn, abc or an"),
        ("bus", "b2,", "b1,", "line 4, column bus: expected each name once"),
        ("bus", "vn_kv", "vn", r"expected the column vn_kv once, got 'bus,vn,conductors'"),
        ("bus", "bus,vn_kv,conductors", "bus,vn_kv,conductors,colour", "got 'colour'; remove it"),
        ("bus", "hv,20,abc", "hv,20", "line 2: expected 3 cells, got 2"),
        ("bus", "b1,", "b\x1b,", "expected a name of 1 to 200 printable characters"),
        ("line", "0.08", "nan", "column length_km: expected a finite number with a point"),
        ("line", "0.08", "0", "column length_km: expected a number above 0, got '0'"),
        ("line", "0.08", "1e99", "column length_km: expected a finite number"),
        ("line", "b1,b2", "b1,b22", r"column to_bus: expected a bus of bus\.csv, got 'b22'; did you mean 'b2'\?"),
        ("line", "b1,b2", "b1,b1", "expected another bus than from_bus"),
        ("line", "b1,b2", "hv,b2", "column from_bus: expected a bus with conductor n, got 'hv'; bus 'hv' has abc"),
        ("line", "nayy150", "nayy151", r"a code of linecode_matrix\.csv, got 'nayy151'; did you mean 'nayy150'\?"),
        ("line", "l1,", "l0,", "expected each name once"),
        ("linecode_matrix", "nayy150,a,b", "nayy150,a,a", "expected each pair i, j of code 'nayy150' once"),
        ("linecode_matrix", "nayy150,a,b,0,0.3,0\n", "", "found no row a,b; add it"),
        ("linecode_matrix", "nayy150,a,b,0,0.3", "nayy150,a,b,0,0.2", "to be the same for i,j and j,i"),
        ("linecode_matrix", "nayy150,a,a,0.206", "nayy150,a,a,0", "to be positive definite"),
        ("transformer", "Dyn,5", "Dd,0", "column vector_group: expected Dyn with clock 1, 5, 7 or 11, or YNyn"),
        ("transformer", "Dyn,5", "Dyn,2", "its clock is 2"),
        ("transformer", ",n", ",a", "expected n, the neutral of the low-voltage bus"),
        ("source", "hv,c", "hv,b", "expected a, b and c of each source once"),
        ("source", "2.65343250722664\n", "2.7\n", "expected the same impedances for a, b and c"),
        ("earthing", "b1,n,2,0", "b1,n,0,0", "expected a resistance above 0 where x_ohm is 0"),
        ("load", "h1_a,h1,a,n", "h1_a,h1,a,a", "expected another conductor than from_conductor"),
        ("load", "h1_a,h1,a,n", "h1_a,h1,a,x", "column to_conductor: expected a, b, c, n or earth, got 'x'"),
        ("load", "h1_a,h1,a,n", "h1_a,hv,a,n", "expected a bus with conductor n"),
        ("load", "3.2", "inf", "column p_kw: expected a finite number"),
    ],
)
def test_what_does_not_fit_is_named(folder: Path, table: str, old: str, new: str, message: str) -> None:
    change(folder, table, old, new)
    with pytest.raises(GridError, match=message) as refused:
        make_four_wire(read_tables(folder))
    assert "\n" not in str(refused.value)


RATED = (
    *(("bus", "vn_kv"), ("line", "i_max_a"), ("line", "length_km"), ("transformer", "sn_kva")),
    *(("transformer", column) for column in ("vn_hv_kv", "vn_lv_kv", "tap_hv_pu", "x_percent")),
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("table", "column"), RATED)
@pytest.mark.parametrize("value", ["1e-320", "1e-300", "1e-30", "1e12", "9e11"])
def test_ratings_no_device_has_are_refused_without_warnings(folder: Path, table: str, column: str, value: str) -> None:
    path = folder / f"{table}.csv"
    header, first, *rest = path.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    cells[header.split(",").index(column)] = value
    path.write_text("\n".join([header, ",".join(cells), *rest]), encoding="utf-8")
    with pytest.raises(GridError, match=rf"line 2, column {column}: expected a number from .* to .*, got '{value}'"):
        make_four_wire(read_tables(folder))


def test_lines_join_buses_of_one_voltage(folder: Path) -> None:
    change(folder, "bus", "b2,0.4", "b2,0.69")
    with pytest.raises(GridError, match=r"a bus of 0\.4 kV like from_bus"):
        make_four_wire(read_tables(folder))


@pytest.mark.parametrize("table", [name for name in COLUMNS if name not in OPTIONAL])
def test_a_table_that_is_missing_is_named(folder: Path, table: str) -> None:
    (folder / f"{table}.csv").unlink()
    with pytest.raises(GridError, match=rf"{table}\.csv: expected a table with the columns {','.join(COLUMNS[table])}"):
        read_tables(folder)


def test_pipes_and_other_bytes_are_refused(folder: Path) -> None:
    (folder / "load.csv").unlink()
    os.mkfifo(folder / "load.csv")
    with pytest.raises(GridError, match="expected a regular file"):
        read_tables(folder)
    (folder / "load.csv").unlink()
    (folder / "load.csv").write_bytes(b"load,\xff\xfe")
    with pytest.raises(GridError, match="expected UTF-8 text"):
        read_tables(folder)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 10)
    text = "bus,vn_kv,conductors\n" + "b,1,abc\n" * 11
    assert len(parse_table(text[:-8], "bus", "bus.csv")) == 10
    with pytest.raises(GridError, match="expected at most 10 rows, got more"):
        parse_table(text, "bus", "bus.csv")


def test_without_earths_the_neutral_is_refused(folder: Path) -> None:
    (folder / "earthing.csv").unlink()
    with pytest.raises(GridError, match=r"conductor [abcn]: expected a way to earth, found none"):
        PhasePowerFlow(make_four_wire(read_tables(folder)))


@pytest.mark.parametrize("clock", [1, 5, 7, 11])
def test_the_clock_turns_the_low_voltage(folder: Path, clock: int) -> None:
    change(folder, "transformer", "Dyn,5", f"Dyn,{clock}")
    circuit = make_four_wire(read_tables(folder))
    flow = PhasePowerFlow(circuit).solve(np.zeros((1, circuit.port_from.size)))
    place = {node: k for k, node in enumerate(zip(circuit.bus, circuit.conductor, strict=True))}
    for phase in "abc":
        turned = flow.v[0, place["b1", phase]] / flow.v[0, place["hv", phase]]
        assert np.degrees(np.angle(turned)) % 360.0 == pytest.approx(-30.0 * clock % 360.0, abs=1e-3)
