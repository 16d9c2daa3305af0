"""Files of an imported network appear together or not at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandapower as pp
import pandapower.networks as pn
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cosim import Scenario
from cosim.case.case import build_case
from cosim.cli.app import app
from cosim.cli.net_import import name_scenario
from cosim.errors import ScenarioError
from cosim.nets.importing.checked import finish_import
from cosim.nets.importing.formats import FORMATS, choose_format, import_network
from cosim.nets.importing.written import Prepared, prepare_files, write_files
from grid_models.errors import GridError
from grid_models.feeder.net_file import read_net


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["net", "import", *map(str, arguments)])


@pytest.mark.slow
def test_a_pandapower_net_becomes_a_scenario_that_runs(tmp_path: Path) -> None:
    net = pn.create_cigre_network_lv()
    pp.to_json(net, str(tmp_path / "given.json"))
    out = tmp_path / "street" / "feeder.json"
    done = call(tmp_path / "given.json", "--out", out)
    assert done.exit_code == 0, done.output
    assert "15 load" in done.stdout
    assert f"run it with: gridsettle run {out.parent / 'scenario.toml'}" in done.stdout.replace("\n", "")
    written = read_net(out)
    assert written.line.equals(read_net(tmp_path / "given.json").line)
    case = build_case(Scenario.load(out.parent / "scenario.toml"))
    assert case.profiles.load_wh[0].sum() == pytest.approx(net.load.p_mw.sum() * 1e6, abs=len(net.load))
    assert case.feeder.net.bus.name[case.feeder.bus].tolist() == list(case.profiles.participants)


@pytest.mark.slow
def test_no_file_is_overwritten_and_nothing_is_left(tmp_path: Path) -> None:
    pp.to_json(pn.create_cigre_network_lv(), str(tmp_path / "given.json"))
    street = tmp_path / "street"
    street.mkdir()
    (street / "scenario.toml").write_text("mine", encoding="utf-8")
    done = call(tmp_path / "given.json", "--out", street / "feeder.json")
    assert done.exit_code == 2
    assert "scenario.toml: expected no such file, found one; choose another folder by --out" in done.stderr
    assert [path.name for path in street.iterdir()] == ["scenario.toml"]
    assert (street / "scenario.toml").read_text(encoding="utf-8") == "mine"


def test_nothing_is_left_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    makers = {"a": lambda path: path.write_text("a"), "b": fail}
    with pytest.raises(ScenarioError, match="got No space left on device"):
        write_files(Prepared(tmp_path, makers, "", ()))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_its_name_is_removed_where_the_next_cannot_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(source: Path, target: Path) -> None:
        if target.name == "b":
            raise OSError(5, "Input/output error")
        source.replace(target)

    monkeypatch.setattr("cosim.nets.importing.written.os.rename", rename)
    makers = dict.fromkeys("ab", lambda path: path.write_text("text"))
    with pytest.raises(ScenarioError, match="got Input/output error"):
        write_files(Prepared(tmp_path, makers, "", ()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_participants_do_not_stand_for_is_kept_in_a_second_file(tmp_path: Path) -> None:
    net = pp.create_empty_network()
    pp.create_buses(net, 3, 20.0)
    pp.create_ext_grid(net, 0)
    for bus in (1, 2):
        pp.create_line(net, 0, bus, 1.0, "NA2XS2Y 1x95 RM/25 12/20 kV")
    pp.create_load(net, 1, 0.5, 0.1)
    pp.create_gen(net, 2, 0.3, 1.01)
    prepared = prepare_files(finish_import(net, "net"), tmp_path / "feeder.json", "two")
    write_files(prepared)
    of_run = read_net(tmp_path / "network_of_run.json")
    assert (len(of_run.load), len(of_run.gen)) == (0, 1)
    assert len(read_net(tmp_path / "feeder.json").load) == 1
    scenario = Scenario.load(tmp_path / "scenario.toml")
    assert scenario.network.keep_elements
    assert scenario.network.file == tmp_path / "network_of_run.json"
    assert any("a run keeps 1 gen" in note for note in prepared.notes)


@pytest.mark.slow
def test_a_network_of_transmission_has_no_scenario(tmp_path: Path) -> None:
    net = pp.create_empty_network()
    pp.create_bus(net, 110.0, name="town")
    pp.create_ext_grid(net, 0)
    pp.create_load(net, 0, 40.0)
    prepared = prepare_files(finish_import(net, "net"), tmp_path / "feeder.json", "town")
    assert (list(prepared.makers), prepared.scenario) == (["feeder.json"], "")
    assert "'town' exchanges 40 MWh in an interval, and participants at most 10" in prepared.notes[0]


@pytest.mark.slow
def test_the_account_as_json(tmp_path: Path) -> None:
    net = pn.create_cigre_network_lv()
    pp.to_json(net, str(tmp_path / "given.json"))
    done = call(tmp_path / "given.json", "--out", tmp_path / "new" / "feeder.json", "--json")
    said = json.loads(done.stdout)
    assert said["format"] == "pandapower"
    assert said["elements"]["line"] == len(net.line)
    assert all(Path(path).is_file() for path in said["wrote"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected the files of one network or the code of a SimBench grid, got neither"),
        (("x.json", "--simbench", "1-LV-rural1--0-sw"), "got both"),
        (("x.xyz",), "expected a format that can be imported (pandapower JSON .json;"),
        (("x.json", "y.json"), "y.json: expected one file or folder, got 2"),
        (("no.json",), "found none"),
    ],
)
def test_what_cannot_be_imported_is_refused(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = call(*arguments, "--out", tmp_path / "new" / "feeder.json")
    assert done.exit_code == 2
    assert said in done.stderr.replace("\n", " ")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "full"], "full: expected a new or empty folder, found mine.txt"),
        (["--out", "full", "--resume"], "go on with: gridsettle run full/scenario.toml --out full/run --resume"),
        (["mine.toml"], "--simbench: expected no scenario beside it, got 'mine.toml'"),
    ],
)
def test_a_run_of_a_grid_is_refused_before_anything_is_read(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full", "mine.txt").write_text("mine", encoding="utf-8")
    done = CliRunner().invoke(app, ["run", "--simbench", "1-LV-rural1--0-sw", *options])
    assert done.exit_code == 2
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_formats_are_told_by_their_endings(tmp_path: Path) -> None:
    assert choose_format([tmp_path]) == "tables"
    for name, kind in FORMATS.items():
        for ending in kind.endings:
            assert choose_format([Path(f"street{ending.upper()}")]) == name


def test_a_reader_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "cosim.nets.importing.opendss"
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(GridError, match=f"expected what reads OpenDSS, found no module {module}; install the extra"):
        import_network([Path("street.dss")])


def test_a_scenario_is_named_after_its_file() -> None:
    assert name_scenario(Path("nets/street 7.json")) == "street 7"
    assert name_scenario(Path("nets/.json")) == "imported"
