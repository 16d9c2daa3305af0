"""`gridsettle net`: tables, exit codes, judges, refusals."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from click.testing import Result
from phase_nets import make_laterals, make_two_stars
from typer.testing import CliRunner

from cosim.cli.app import app

REFERENCE = Path(__file__).parents[3] / "reference" / "four_wire"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["net", *map(str, arguments)])


@pytest.fixture
def net_file(tmp_path: Path) -> Path:
    path = tmp_path / "street.json"
    pp.to_json(make_two_stars(), str(path))
    return path


@pytest.mark.parametrize(("model", "judge"), [("balanced", "runpp"), ("three_phase", "runpp_3ph")])
def test_a_net_is_solved_and_judged(net_file: Path, tmp_path: Path, model: str, judge: str) -> None:
    out = tmp_path / "solved"
    done = call("solve", net_file, "--model", model, "--out", out, "--judge", judge)
    assert done.exit_code == 0, done.output
    assert float(done.stdout.split("largest difference")[1].split()[0]) < 1e-9
    voltage, current = pd.read_csv(out / "voltage.csv"), pd.read_csv(out / "branch_current.csv")
    assert list(voltage.columns) == ["bus", "conductor", "vm_v", "vm_pu", "va_degree"]
    assert list(current.columns) == ["branch", "end", "conductor", "i_a", "loading_percent"]
    net = pp.from_json(str(net_file))
    assert voltage.bus.tolist() == np.repeat(net.bus.index, 3).tolist()
    assert voltage.conductor.tolist() == list("abc") * len(net.bus)
    base = net.bus.vn_kv.loc[voltage.bus].to_numpy() * 1000.0 / np.sqrt(3.0)
    assert voltage.vm_v.to_numpy() == pytest.approx(voltage.vm_pu.to_numpy() * base)
    assert set(current.branch) == {"line 0", "line 1", "trafo 0"}
    row = current[(current.branch == "trafo 0") & (current.end == "hv") & (current.conductor == "a")].iloc[0]
    assert row.loading_percent == pytest.approx(100.0 * row.i_a / (0.4e6 / np.sqrt(3.0) / 20e3))


def test_a_folder_of_tables_is_four_wires(tmp_path: Path) -> None:
    done = call("solve", REFERENCE, "--out", tmp_path / "solved")
    assert done.exit_code == 0, done.output
    voltage = pd.read_csv(tmp_path / "solved" / "voltage.csv").set_index(["bus", "conductor"])
    expected = pd.read_csv(REFERENCE / "solution_voltage.csv").set_index(["bus", "conductor"])
    assert np.abs(voltage.vm_v - expected.vm_v).max() < 1e-5
    h3 = voltage.loc["h3", "n"]
    assert h3.vm_pu == pytest.approx(h3.vm_v / (400.0 / np.sqrt(3.0)))
    current = pd.read_csv(tmp_path / "solved" / "branch_current.csv").set_index(["branch", "end", "conductor"])
    of_lines = pd.read_csv(REFERENCE / "solution_current.csv").set_index(["line", "conductor"])
    for line, conductor in of_lines.index:
        row = current.loc[line, "from", conductor]
        assert row.i_a == pytest.approx(of_lines.loc[(line, conductor), "i_from_a"], abs=1e-6)
    assert current.loc[("l0", "to", "a"), "loading_percent"] == pytest.approx(
        current.loc[("l0", "to", "a"), "i_a"] / 2.7
    )


@pytest.mark.parametrize("model", ["balanced", "three_phase"])
def test_no_solution_ends_with_one_and_writes_nothing(tmp_path: Path, model: str) -> None:
    net = make_two_stars()
    net.asymmetric_load["scaling"] = 300.0
    pp.to_json(net, str(tmp_path / "heavy.json"))
    done = call("solve", tmp_path / "heavy.json", "--model", model, "--out", tmp_path / "solved")
    assert done.exit_code == 1
    assert "no solution; nothing is written" in done.stderr
    assert not (tmp_path / "solved").exists()


def test_no_solution_of_four_wires(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE, tmp_path / "net")
    (tmp_path / "net" / "load.csv").write_text(
        "load,bus,from_conductor,to_conductor,p_kw,q_kvar\nx,h3,a,n,900,0\n", encoding="utf-8"
    )
    assert call("solve", tmp_path / "net").exit_code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "five_wire"], "--model: expected balanced, three_phase, four_wire, got 'five_wire'"),
        (["--model", "four_wire"], "expected a folder of tables for four_wire"),
        (["--judge", "opendss"], "--judge: expected a judge of the model balanced (runpp), got 'opendss'"),
        (["--judge", "oracle"], "got 'oracle'"),
        (["--out", "."], "expected a new or empty folder"),
    ],
)
def test_bad_options_end_with_two(net_file: Path, options: list[str], message: str) -> None:
    done = call("solve", net_file, *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_has_no_three_phase_model() -> None:
    done = call("solve", REFERENCE, "--model", "three_phase")
    assert done.exit_code == 2
    assert "a folder of tables is solved by --model four_wire" in done.stderr


def test_missing_zero_sequence_ends_with_two_and_names_the_lines(tmp_path: Path) -> None:
    net = make_two_stars()
    net.line.drop(columns="r0_ohm_per_km", inplace=True)
    pp.to_json(net, str(tmp_path / "net.json"))
    done = call("solve", tmp_path / "net.json", "--model", "three_phase", "--out", tmp_path / "solved")
    assert done.exit_code == 2
    assert f"{tmp_path / 'net.json'}, line 0, 1: expected r0_ohm_per_km" in done.stderr
    assert not (tmp_path / "solved").exists()


def test_a_file_runs_no_code(tmp_path: Path, net_file: Path) -> None:
    document = json.loads(net_file.read_text(encoding="utf-8"))
    document["_object"]["name"] = {"_module": "os", "_class": "system", "_object": "touch pwned"}
    (tmp_path / "bad.json").write_text(json.dumps(document), encoding="utf-8")
    done = call("solve", tmp_path / "bad.json", "--model", "three_phase")
    assert done.exit_code == 2
    assert "got an object of os.system; remove it" in done.stderr


def test_power_grid_model_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("power_grid_model")
    pp.to_json(make_laterals(), str(tmp_path / "net.json"))
    done = call("solve", tmp_path / "net.json", "--model", "three_phase", "--judge", "pgm")
    assert done.exit_code == 0, done.output
    assert float(done.stdout.split("pgm: largest difference")[1].split()[0]) < 1e-9


def test_what_a_judge_refuses_ends_with_two_before_anything_is_written(net_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("power_grid_model")
    out = tmp_path / "solved"
    done = call("solve", net_file, "--model", "three_phase", "--judge", "pgm", "--out", out)
    assert done.exit_code == 2
    assert "power-grid-model: expected loads of type wye, got one of type delta at bus 2" in done.stderr
    assert not out.exists()


def test_a_judge_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "opendssdirect":
            raise ImportError(name)
        return ordinary(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    done = call("solve", REFERENCE, "--judge", "opendss")
    assert done.exit_code == 2
    assert "pip install 'gridsettle[phases]'" in done.stderr


def test_names_of_a_folder_are_only_text(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE, tmp_path / "net")
    for table in ("bus", "line", "load"):
        path = tmp_path / "net" / f"{table}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace("h3", "=[bold]cmd"), encoding="utf-8")
    path = tmp_path / "net" / "earthing.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("h3", "=[bold]cmd"), encoding="utf-8")
    done = call("solve", tmp_path / "net", "--out", tmp_path / "solved")
    assert done.exit_code == 0, done.output
    assert "=[bold]cmd" in done.stdout
    assert "\n'=[bold]cmd,a," in (tmp_path / "solved" / "voltage.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_script_of_opendss_is_written_that_opendss_solves(net_file: Path, tmp_path: Path, kind: str) -> None:
    dss = pytest.importorskip("opendssdirect")
    done = call("export", net_file if kind == "file" else REFERENCE, "--opendss", tmp_path / "net.dss")
    assert done.exit_code == 0, done.output
    dss.Text.Command(f'redirect "{tmp_path / "net.dss"}"')
    assert dss.Solution.Converged()
    names = dict(line[2:].split(" = ") for line in (tmp_path / "net.dss").read_text().splitlines() if " = " in line)
    assert set(names.values()) >= ({"0", "4"} if kind == "file" else {"hv", "h3"})
    if kind == "folder":
        number = next(k for k, bus in names.items() if bus == "h3")
        dss.Circuit.SetActiveBus(number)
        vm = pd.read_csv(REFERENCE / "solution_voltage.csv").set_index(["bus", "conductor"]).vm_v
        assert dss.Bus.VMagAngle()[0::2] == pytest.approx([vm["h3", c] for c in "abcn"], abs=1e-4)


def test_what_opendss_cannot_have_is_refused(tmp_path: Path) -> None:
    net = make_two_stars()
    net.trafo["vector_group"] = "Yzn"
    pp.to_json(net, str(tmp_path / "net.json"))
    done = call("export", tmp_path / "net.json", "--opendss", tmp_path / "net.dss")
    assert done.exit_code == 2
    assert "expected Dyn with an odd clock or YNyn0, got Yzn and 0 degrees" in done.stderr
    assert not (tmp_path / "net.dss").exists()


def test_a_script_never_takes_the_place_of_its_network(net_file: Path) -> None:
    before = net_file.read_bytes()
    done = call("export", net_file, "--opendss", net_file)
    assert (done.exit_code, net_file.read_bytes()) == (2, before)
    assert "--opendss: expected a place that is not read" in done.stderr


def test_two_tables_of_prices_have_two_names(tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    done = CliRunner().invoke(app, ["prices", "rural", "--out", str(one), "--limits", str(one)])
    assert (done.exit_code, one.exists()) == (2, False)
    assert "--limits: expected another file than --out" in done.stderr
