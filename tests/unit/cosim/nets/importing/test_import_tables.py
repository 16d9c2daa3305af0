"""A folder of CSV tables: the network that a spreadsheet describes, and one clear message for what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandapower as pp
import pytest

from cosim.nets.importing import csv_tables
from cosim.nets.importing.csv_tables import import_tables
from data.errors import DataError
from grid_models.errors import GridError

SHEET = {
    "bus": "Name;vn_kV\nsub;20\nbar;0,4\nh1;0,4\nh2;0,4\n",
    "line": (
        "name;from_bus;to_bus;length_m;std_type;r_ohm_per_km;x_ohm_per_km;c_nf_per_km;max_i_a\n"
        "l1;bar;h1;120;NAYY 4x150 SE;;;;\nl2;h1;h2;80,5;;0,642;0,083;210;142\n"
    ),
    "trafo": "name;hv_bus;lv_bus;std_type\nt;sub;bar;0.25 MVA 20/0.4 kV\n",
    "load": "name;bus;p_kw;cos_phi\nann;h1;3,5;0,95\nbob;h2;2,25;\n",
    "sgen": "name;bus;p_kw\npv;h2;6,0\n",
    "participants": "participant;bus\nann;h1\nbob;h2\ncarl;h2\n",
}


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    folder = tmp_path / "sheet"
    folder.mkdir()
    for name, text in SHEET.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_semicolons_and_decimal_commas_make_the_network(sheet: Path) -> None:
    (sheet / "todo.txt").write_text("buy cables", encoding="utf-8")
    found = import_tables(sheet)
    net = found.net
    assert net.bus.vn_kv.tolist() == [20.0, 0.4, 0.4, 0.4]
    assert net.line.length_km.tolist() == pytest.approx([0.12, 0.0805])
    assert net.line.r_ohm_per_km.tolist() == pytest.approx([0.208, 0.642])
    assert net.line.max_i_ka.tolist() == pytest.approx([0.27, 0.142])
    assert net.load.p_mw.tolist() == pytest.approx([0.0035, 0.00225])
    assert net.load.q_mvar.tolist() == pytest.approx([0.0035 * np.tan(np.arccos(0.95)), 0.0])
    assert net.sgen.p_mw.tolist() == pytest.approx([0.006])
    assert net.ext_grid.bus.tolist() == [0]
    assert found.participants == (("ann", 2), ("bob", 3), ("carl", 3))
    assert found.elements == {"bus": 4, "line": 2, "trafo": 1, "load": 2, "sgen": 1, "participants": 3}
    assert [entry.element for entry in found.left_out] == ["todo.txt"]
    assert any("the source is at bus 'sub'" in note for note in found.notes)
    pp.runpp(net)
    assert net.res_bus.vm_pu.min() > 0.99


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("bus", None, "expected a table bus.csv, found none"),
        ("bus", "name,vn_kv\nsub,20\nsub,20\n", "row 3: expected a name that no other bus has, got 'sub'"),
        ("bus", "name,vn_kv\nsub,\n", "expected a finite number, got nothing"),
        ("bus", "name,vn_kv,colour\nsub,20,red\n", "column 'colour': expected one of"),
        ("load", "bus,p_kw\nh9,1\n", "expected the name of a bus, got 'h9'; see the table of buses"),
        ("load", "bus,p_kw,p_mw\nh1,1,1\n", "expected one of the columns p_mw, p_kw"),
        ("load", "bus,p_kw,q_kvar,cos_phi\nh1,1,1,0.9\n", "expected no power factor beside reactive power"),
        ("load", "bus,p_kw,cos_phi\nh1,1,0.01\n", "expected a power factor from 0.1 to 1"),
        ("line", "from_bus,to_bus,length_m,std_type\nbar,h1,1,NAY\n", "expected a standard type of pandapower such as"),
        ("line", "from_bus,to_bus,length_m\nbar,h1,1\n", "expected a number where no std_type is named"),
        (
            "line",
            "from_bus,to_bus,length_m,std_type,r_ohm_per_km\nbar,h1,1,NAYY 4x150 SE,1.5\n",
            "expected no number beside the std_type 'NAYY 4x150 SE', got '1.5'",
        ),
        (
            "line",
            "from_bus,to_bus,length_m,std_type,parallel\nbar,h1,1,NAYY 4x150 SE,1.5\n",
            "expected a whole number from 1 to 1000, got '1.5'",
        ),
        (
            "trafo",
            "hv_bus,lv_bus,sn_kva,vn_hv_kv,vn_lv_kv,vk_percent,vkr_percent,pfe_kw,i0_percent,tap_pos\n"
            "sub,bar,250,20,0.4,4,1,0.5,0.2,1\n",
            "expected no tap position without a std_type",
        ),
        ("participants", "participant,bus\nann,h1\nann,h2\n", "expected a name that no other participant has"),
    ],
)
def test_what_is_wrong_is_named(sheet: Path, table: str, text: str | None, said: str) -> None:
    path = sheet / f"{table}.csv"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises((DataError, GridError)) as caught:
        import_tables(sheet)
    assert said in str(caught.value)


def test_a_source_is_not_guessed(sheet: Path) -> None:
    (sheet / "trafo.csv").unlink()
    (sheet / "bus.csv").write_text("name,vn_kv\nbar,0.4\nh1,0.4\nh2,0.4\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected a table ext_grid.csv with the bus of the source, found none, and 3"):
        import_tables(sheet)
    (sheet / "ext_grid.csv").write_text("bus,vm_pu\nbar,1.02\n", encoding="utf-8")
    assert import_tables(sheet).net.ext_grid.vm_pu.tolist() == [1.02]


def test_a_link_that_leads_out_of_the_folder_is_not_followed(sheet: Path, tmp_path: Path) -> None:
    (sheet / "load.csv").rename(tmp_path / "load.csv")
    (sheet / "load.csv").symlink_to(tmp_path / "load.csv")
    with pytest.raises(DataError, match="expected a file, got a link"):
        import_tables(sheet)


def test_too_many_rows_are_refused(sheet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_tables, "MOST_ROWS", 3)
    with pytest.raises(DataError, match=r"bus\.csv: expected at most 3 rows, got 4; split the network"):
        import_tables(sheet)
    monkeypatch.setattr(csv_tables, "MOST_BYTES", 10)
    with pytest.raises(DataError, match=r"bus\.csv: expected at most 10 bytes"):
        import_tables(sheet)
