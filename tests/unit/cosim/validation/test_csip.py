from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest
from envoy_schema.server.schema.sep2.der import DERControlListResponse
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.validation.csip import LARGEST_INT16, format_csip

TIMES = pd.date_range("2017-06-01T10:00Z", periods=3, freq="30min")


def _table(import_kw: list[float], export_kw: list[float], name: str = "house 1") -> pd.DataFrame:
    return pd.DataFrame({"time": TIMES, "participant": name, "import_kw": import_kw, "export_kw": export_kw})


def _read(text: str) -> DERControlListResponse:
    return DERControlListResponse.from_xml(text.encode())


def test_controls_are_what_the_schema_of_others_reads() -> None:
    read = _read(format_csip(_table([-1.5, -45.678, 0.0], [2.0, 0.0, 123.456]), 30)["house 1"])
    assert (read.all_, read.results) == (3, 3)
    controls = read.DERControl or []
    assert [control.interval.start for control in controls] == [int(time.timestamp()) for time in TIMES]
    assert {control.interval.duration for control in controls} == {1800}
    limits = [
        (power.value, power.multiplier)
        for control in controls
        for power in (control.DERControlBase_.opModImpLimW, control.DERControlBase_.opModExpLimW)
        if power is not None
    ]
    assert limits == [(1500, 0), (2000, 0), (4567, 1), (0, 0), (0, 0), (12345, 1)]
    assert len({control.mRID for control in controls}) == 3
    assert all(len(control.mRID) == 32 for control in controls)


def test_no_limit_is_wider_than_its_envelope() -> None:
    rng = np.random.default_rng(0)
    for kw in 10.0 ** rng.uniform(-4.0, 5.0, 60):
        controls = _read(format_csip(_table([-kw] * 3, [kw] * 3), 30)["house 1"]).DERControl or []
        for power in (controls[0].DERControlBase_.opModImpLimW, controls[0].DERControlBase_.opModExpLimW):
            assert power is not None
            watts = power.value * 10**power.multiplier
            assert watts <= 1000.0 * kw < watts + 10**power.multiplier + 1e-9
            assert power.value <= LARGEST_INT16


def test_the_same_envelopes_are_the_same_bytes() -> None:
    table = _table([-1.0, -2.0, -3.0], [1.0, 2.0, 3.0])
    assert format_csip(table, 30) == format_csip(table.copy(), 30)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    net = pn.create_kerber_landnetz_kabel_1()
    net.load["name"] = [f"house {k}" for k in range(len(net.load))]
    net.load.loc[0, "name"] = "../house <&> 0"
    pp.to_json(net, str(tmp_path / "net.json"))
    rows = [{"time": time, "participant": f"house {k}", "load_kwh": 1.0} for time in TIMES for k in (6, 7)]
    pd.DataFrame(rows).assign(pv_kwh=0.0).to_csv(tmp_path / "others.csv", index=False)
    customers = pd.DataFrame({"participant": ["../house <&> 0", "house 1"], "most_export_kw": 30, "most_import_kw": 30})
    customers.to_csv(tmp_path / "customers.csv", index=False)
    return tmp_path


def _run(files: Path, *options: str) -> tuple[int, str]:
    names = {"--net": "net.json", "--customers": "customers.csv"}
    given = [word for name, file in names.items() for word in (name, str(files / file))]
    answer = CliRunner().invoke(app, ["envelope", *given, *options])
    return answer.exit_code, answer.output


@pytest.mark.slow
def test_the_command_writes_a_file_for_each_customer_wherever_its_name_leads(files: Path) -> None:
    folder = files / "new" / "controls"
    code, said = _run(files, "--profiles", str(files / "others.csv"), "--csip", str(folder), "--json")
    assert code == 0, said
    assert json.loads(said)["intervals"] == 3
    written = sorted(folder.iterdir())
    assert [file.name for file in written] == ["..%2Fhouse %3C%26%3E 0.xml", "house 1.xml"]
    assert all(len(ElementTree.parse(file).getroot()) == 3 for file in written)


def test_controls_need_times(files: Path) -> None:
    code, said = _run(files, "--csip", str(files / "controls"))
    assert code == 2
    assert "--csip: expected --profiles" in said.replace("\n", " ")
    assert not (files / "controls").exists()


def test_a_folder_that_is_not_empty_is_refused(files: Path) -> None:
    code, said = _run(files, "--profiles", str(files / "others.csv"), "--csip", str(files))
    assert code == 2, said
    assert sorted(file.name for file in files.iterdir()) == ["customers.csv", "net.json", "others.csv"]
