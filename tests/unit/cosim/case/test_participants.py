"""The table of participants: phases of houses and of their devices, whose word counts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_power_factors import write_case

from cosim import ScenarioError
from cosim.case.case import build_case
from cosim.case.participants import PHASE_COLUMNS, list_left_out, read_participants
from cosim.validation.files import read_placement
from grid_models.feeder.connection import DEVICES, NAMES

WORDS = {
    "abc": ("", "abc", "ABC", "123", "L1L2L3"),
    "a": ("a", "A", "1", "L1", "l1"),
    "b": ("b", "B", "2", "L2"),
    "c": ("c", "3", "L3", " C "),
}


def read(folder: Path, text: str) -> dict[str, list[str]]:
    (folder / "participants.csv").write_text(text)
    found = read_participants(folder / "participants.csv").connections
    assert found is not None
    return {device: [NAMES[code] for code in getattr(found, device)] for device in DEVICES}


def test_the_phase_of_a_house_counts_for_all_its_devices_that_name_none(tmp_path: Path) -> None:
    text = "participant,bus,phase,phase_pv,phase_battery\nann,1,L2,,abc\nbob,2,,c,\ncat,3,a,b,c\n"
    assert read(tmp_path, text) == {
        "load": ["b", "abc", "a"],
        "pv": ["b", "c", "b"],
        "battery": ["abc", "abc", "c"],
        "fuel_cell": ["b", "abc", "a"],
    }


@pytest.mark.parametrize(
    "cells", [("1", "2", "3"), ("1", "", "3"), ("1.0", "", "3.0"), ("L1", "2.0", "c"), ("1", "a", ""), ("", "", "")]
)
def test_phases_by_number_are_read_whatever_else_is_in_the_column(cells: tuple[str, ...], tmp_path: Path) -> None:
    rows = "".join(f"{name},{k},{cell}\n" for k, (name, cell) in enumerate(zip("xyz", cells, strict=True)))
    expected = [next(name for name, words in WORDS.items() if cell.removesuffix(".0") in words) for cell in cells]
    assert read(tmp_path, f"participant,bus,phase\n{rows}")["load"] == expected


@given(data=st.data())
def test_every_spelling_of_every_phase_is_read_and_no_other(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("words")
    names = data.draw(st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=6))
    cells = [data.draw(st.sampled_from(WORDS[name])) for name in names]
    rows = [f"house {k},{k},{cell}\n" for k, cell in enumerate(cells)]
    path = folder / "participants.csv"
    assert read(folder, "participant,bus,phase\n" + "".join(rows))["pv"] == names
    row = data.draw(st.integers(0, len(rows) - 1))
    wrong = data.draw(st.sampled_from(["d", "ab", "4", "0", "1.5", "L4", "phase a", "none", "-1"]))
    rows[row] = f"house {row},{row},{wrong}\n"
    path.write_text("participant,bus,phase\n" + "".join(rows))
    with pytest.raises(ScenarioError) as caught:
        read_participants(path)
    begin = (
        f"participants.csv, column 'phase', row {row + 2}: expected a phase: a, b, c or abc (or 1, 2, 3, L1, L2, L3)"
    )
    assert str(caught.value) == f"{begin}, got '{wrong}'; correct the row"


def test_rows_are_put_in_the_order_of_the_profiles_with_their_phases(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("participant,bus,phase,phase_pv\nx,1,a,b\ny,2,b,c\nz,3,c,a\n")
    table = read_participants(tmp_path / "p.csv").in_order(["z", "x", "y"])
    assert table.rows == [("z", "3"), ("x", "1"), ("y", "2")]
    assert table.connections is not None
    assert table.connections.load.tolist() == [3, 1, 2]
    assert table.connections.pv.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("participant,bus,phase_ev", r"column 'phase_ev': expected none, since participants have no electric vehicles"),
        ("participant,bus,phases", "expected the columns participant,bus and perhaps load_cos_phi, phase, phase_pv, "),
        ("participant,phase", "expected the columns participant,bus and perhaps .*, got participant,phase; correct"),
    ],
)
def test_other_columns_are_refused_by_name(header: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"{header}\n{','.join(['x', '1', 'a'][: header.count(',') + 1])}\n")
    with pytest.raises(ScenarioError, match=message):
        read_participants(tmp_path / "p.csv")


def test_a_table_without_phases_says_nothing_of_them(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("participant,bus\nx,1\n")
    table = read_participants(tmp_path / "p.csv")
    assert table.connections is None
    assert list_left_out(table) == ()


@pytest.mark.slow
@pytest.mark.parametrize("column", ["phase", *PHASE_COLUMNS.values()])
def test_a_balanced_run_names_the_phases_that_it_leaves_out(column: str, tmp_path: Path) -> None:
    case = build_case(write_case(tmp_path, f"participant,bus,{column}\na,a,\nb,b,L3\nc,c,a\n"))
    note = (
        "phases of 2 participants are left out, such as 'b' on c: the balanced model takes every device as connected "
        'to three; network.model = "three_phase" follows them'
    )
    assert note in case.feeder.notes
    asked = note.replace('network.model = "three_phase"', "--model three_phase")
    assert asked in read_placement(tmp_path / "bus.csv").notes
    assert case.feeder.connections is None
    even = build_case(write_case(tmp_path, f"participant,bus,{column}\na,a,\nb,b,abc\nc,c,123\n"))
    assert not any("phases" in note for note in even.feeder.notes)
    assert even.feeder.digest() == case.feeder.digest()
