"""The index of a portfolio: what is wrong with the whole is refused, with one feeder is said by its entry."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import ScenarioError
from cosim.portfolio import index as indexes
from cosim.portfolio.entry import Entry
from cosim.portfolio.index import check_name, read_index
from cosim.scenario.model import Scenario
from market.ledger.durable import write_durably

BASE = Scenario().with_changes(horizon={"hours": 24})


def read_text(folder: Path, text: str) -> list[Entry]:
    path = folder / "index.csv"
    path.write_text(text, encoding="utf-8")
    return read_index(path, BASE)


def test_a_row_changes_what_it_says_and_the_rest_is_the_base(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text("{}")
    text = "feeder,network,seed,limits.max_vm_pu,houses.production_ratio\nb,net.json,7,1.05,\na,,,,as_drawn\n"
    a, b = read_text(tmp_path, text)
    assert (a.name, b.name) == ("a", "b")
    assert a.scenario is not None
    assert b.scenario is not None
    assert a.scenario == BASE.with_changes(name="a", houses={"production_ratio": "as_drawn"})
    assert (b.scenario.seed, b.scenario.limits.max_vm_pu) == (7, 1.05)
    assert b.scenario.network.file == tmp_path / "net.json"
    assert [(each.key, each.shown) for each in b.sources] == [("network.file", "net.json")]
    assert (a.houses_at_loads, b.houses_at_loads) == (False, True)


def test_a_parquet_index_is_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"feeder": ["a", "b"], "seed": [3, None], "limits.min_vm_pu": [None, 0.95]})
    frame.to_parquet(tmp_path / "index.parquet")
    text = "feeder,seed,limits.min_vm_pu\na,3,\nb,,0.95\n"
    assert read_index(tmp_path / "index.parquet", BASE) == read_text(tmp_path, text)


def test_cells_of_parquet_may_be_lists(tmp_path: Path) -> None:
    frame = pd.DataFrame({"feeder": ["a", "b"], "pv.q_v_vm_pu": [[0.9, 0.95, 1.0, 1.05], None], "seed": [[1], None]})
    frame.to_parquet(tmp_path / "index.parquet")
    a, b = read_index(tmp_path / "index.parquet", BASE)
    assert a.refused.startswith("feeder 'a', seed: expected a valid integer, got [1]")
    assert b.scenario == BASE.with_changes(name="b")


def test_keys_that_only_the_network_before_needed_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text("{}")
    path = tmp_path / "index.csv"
    path.write_text("feeder,network\na,net.json\n")
    (found,) = read_index(path, BASE.with_changes(network={"n_branches": 5}))
    assert found.scenario is not None
    assert found.scenario.network.n_branches == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feeder,limits.max_vmpu\na,1\n", r"column 'limits\.max_vmpu': .*did you mean 'limits\.max_vm_pu'"),
        ("feeder,ledger.operator_key\na,x\n", "column 'ledger.operator_key': expected a column of an index"),
        ("name\na\n", "column 'name': expected a column of an index"),
        ("seed\n1\n", "expected a column 'feeder', got seed; add it"),
        ("feeder,network,network.file\na,b,c\n", "column 'network.file': expected it once, got 'network' too"),
        ("feeder,seed\nb,1\nB,2\n", "expected each name once, .* got 'B' and 'b'; rename one"),
        ("feeder,seed\na,1\na,2\n", "expected each name once, .* got 'a' and 'a'; rename one"),
        ("feeder,seed\n,1\n", "column 'feeder', row 2: expected a name .* got nothing; rename the feeder"),
        ("feeder\n../x\n", r"row 2: expected a name .* got '\.\./x'"),
        ("feeder\n=cmd\n", "row 2: expected a name .* got '=cmd'"),
        ("feeder\na.checkpoint\n", "row 2: expected a name .* got 'a.checkpoint'"),
        ("feeder\n" + 200 * "a" + "\n", "row 2: expected a name of up to 100 letters"),
        ('feeder\n"a\0b"\n', "row 2: expected a name|expected"),
        ("", "expected a header and rows, got an empty file"),
    ],
)
def test_a_wrong_index_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        read_text(tmp_path, text)


def test_too_many_rows_and_too_large_a_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "MOST_FEEDERS", 2)
    with pytest.raises(ScenarioError, match="expected at most 2 feeders, got 3; split the index"):
        read_text(tmp_path, "feeder\na\nb\nc\n")
    monkeypatch.setattr(indexes, "MOST_INDEX_BYTES", 10)
    with pytest.raises(ScenarioError, match="expected at most 10 bytes, got 13; split the index"):
        read_text(tmp_path, "feeder\na\nb\nc\n")


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("network", "../net.json", "network: expected a file in the folder of the index, got '../net.json'"),
        (
            "network",
            "link.json",
            "network: expected a file in the folder of the index, got 'link.json', which leads out",
        ),
        ("profiles", "a/../../x.csv", "profiles: expected a file in the folder of the index"),
        ("scenario", "net.json", "scenario: expected a TOML file, got 'net.json'"),
        ("scenario", "own.toml", "network.file: expected a file in the folder of the index"),
        ("seed", "minus one", "feeder 'a', seed: expected a valid integer"),
        ("limits.max_vm_pu", "high", "limits.max_vm_pu: expected a limit above 0"),
        ("limits.max_vm_pu", "1e999", "limits.max_vm_pu"),
        ("pv.q_v_vm_pu", '"[0.9, [["', "pv.q_v_vm_pu: expected a list or table as in TOML"),
        ("pv.q_v_vm_pu", '"' + 50_000 * "[" + '"', "pv.q_v_vm_pu: expected a list or table as in TOML"),
    ],
)
def test_a_wrong_cell_is_the_word_of_its_feeder_alone(tmp_path: Path, column: str, cell: str, message: str) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "net.json").write_text("{}")
    (folder / "link.json").symlink_to(outside)
    (folder / "own.toml").write_text('[network]\nsource = "file"\nfile = "../outside.json"\n')
    wrong, right = read_text(folder, f"feeder,{column}\na,{cell}\nb,\n")
    assert wrong.scenario is None
    assert len(wrong.refused) <= 601
    assert re.search(message, wrong.refused), wrong.refused
    assert right.scenario is not None


def test_an_absolute_path_of_a_cell_may_lead_anywhere(tmp_path: Path) -> None:
    net = tmp_path / "net.json"
    net.write_text("{}")
    (tmp_path / "folder").mkdir()
    (found,) = read_text(tmp_path / "folder", f"feeder,network\na,{net}\n")
    assert [source.path for source in found.sources] == [net]


def test_keys_of_owners_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[ledger]\noperator_key = "key.pem"\n')
    (found,) = read_text(tmp_path, "feeder,scenario\na,own.toml\n")
    assert "ledger.operator_key: expected none in a portfolio" in found.refused


def test_a_folder_has_a_feeder_for_each_scenario_and_each_network_of_nobody(tmp_path: Path) -> None:
    for name in ("of_b.json", "c.json", "c-participants.csv", "d.json", ".hidden.json", "readme.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "b.toml").write_text('seed = 5\n[network]\nsource = "file"\nfile = "of_b.json"\n')
    b, c, d = read_index(tmp_path, BASE)
    assert [each.name for each in (b, c, d)] == ["b", "c", "d"]
    assert b.scenario is not None
    assert b.scenario.seed == 5
    assert [each.key for each in c.sources] == ["network.file", "network.participants"]
    assert (c.houses_at_loads, d.houses_at_loads) == (False, True)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="expected at least one feeder, got none"):
        read_index(tmp_path, BASE)


@given(st.text(max_size=120))
def test_a_name_that_is_taken_is_one_part_of_a_path(text: str) -> None:
    with suppress(ScenarioError):
        name = check_name(text, "here")
        assert Path("runs", name).parent == Path("runs")
        assert name[0] not in "=+-@. '"
        assert name.isprintable()
        assert name == name.strip(" .")


@pytest.mark.parametrize(("letter", "most"), [("a", 100), ("я", 100), ("東", 66), ("𝐀", 50)])
def test_a_name_is_short_enough_for_files_beside_the_run_too(tmp_path: Path, letter: str, most: int) -> None:
    name = check_name(letter * most, "here")
    write_durably(tmp_path / f"{name}.checkpoint", "")
    with pytest.raises(ScenarioError, match=r"here: expected a name of (up to 100 letters|at most 200 bytes in UTF-8)"):
        check_name(letter * (most + 1), "here")
