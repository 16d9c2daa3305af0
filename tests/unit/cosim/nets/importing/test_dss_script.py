"""What of a script reaches the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from dss_circuits import write_circuit

from cosim.nets.importing.dss.script import read_script
from cosim.nets.importing.dss.tokens import split_line, strip_blocks
from grid_models.errors import GridError


def commands(tmp_path: Path, text: str) -> list[str]:
    return [command.text for command in read_script(write_circuit(tmp_path, text)).commands]


def test_files_give_way_to_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "Lines.txt").write_text("new line.l bus1=a bus2=b\n~ length=3 ! metres\n", encoding="utf-8")
    (tmp_path / "s.csv").write_text("t;p\n0;0.5\n1;2\n", encoding="utf-8")
    text = """// a street
/* new load.none
*/
New object=Circuit.street basekv=11
Redirect sub\\lines.TXT
new loadshape.s npts=2 interval=1 mult=(file=s.csv, col=2, header=yes)
load.x.kw=5
Set VoltageBases=[11, 0.4] mode=daily
solve mode=daily number=24
new Monitor.m element=line.l ~ x
more terminal=2
"""
    assert commands(tmp_path, text) == [
        "new Circuit.street basekv=11",
        "new line.l bus1=a bus2=b",
        "more length=3",
        "new loadshape.s npts=2 interval=1 mult=[0.5 2.0]",
        "edit load.x kw=5",
        "set voltagebases=[11, 0.4]",
    ]
    script = read_script(tmp_path / "Master.dss")
    assert script.skipped == {"monitor": 1}
    assert {left.element for left in script.left_out} == {"monitor.m", "solve", "set mode", "set number"}


def test_clear_forgets_the_circuit_before(tmp_path: Path) -> None:
    assert commands(tmp_path, "new circuit.a\nnew load.l\nclear\nnew circuit.b\n") == ["new circuit.b"]
    with pytest.raises(GridError, match="expected one circuit"):
        commands(tmp_path, "new circuit.a\nnew circuit.b\n")
    with pytest.raises(GridError, match="expected a circuit"):
        commands(tmp_path, "new load.l\n")


@pytest.mark.parametrize(("cell", "wanted"), [("x", "column 2"), ("", "column 2")])
def test_numbers_of_a_file_are_numbers(tmp_path: Path, cell: str, wanted: str) -> None:
    (tmp_path / "s.csv").write_text(f"0;0.5\n1;{cell}\n", encoding="utf-8")
    with pytest.raises(GridError, match=rf"s\.csv, row 2, named in .*line 2: expected a number in {wanted}"):
        commands(tmp_path, "new circuit.a\nnew loadshape.s mult=(file=s.csv, column=2)\n")


def test_a_file_of_pairs_is_no_csvfile(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("0,0.5\n", encoding="utf-8")
    with pytest.raises(GridError, match=r"expected one number, got '0 0\.5'"):
        commands(tmp_path, "new circuit.a\nnew loadshape.s csvfile=s.csv\n")


def test_a_comment_ends_a_line_but_not_a_quoted_value() -> None:
    assert [token.value for token in split_line('new "load.a!b" kw = 3 // more')] == ["new", "load.a!b", "3"]
    assert strip_blocks(["a ! */", "/* b", "c", "*/ d", "e"]) == ["a ! */", "", "", "", "e"]
