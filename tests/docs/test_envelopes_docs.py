"""The page docs/how-to/envelopes.md: its command runs, and its code prints what the page says of the rules."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest
from doc_blocks import code_blocks, written_in
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/envelopes.md"


@pytest.mark.slow
def test_the_command_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = pn.create_kerber_landnetz_kabel_1()
    net.load["name"] = [f"house {k}" for k in range(len(net.load))]
    pp.to_json(net, "feeder.json")
    active = pd.DataFrame({"participant": ["house 0", "house 1"], "most_export_kw": 30.0, "most_import_kw": 30.0})
    active.to_csv("active.csv", index=False)
    times = pd.date_range("2017-06-01", periods=2, freq="h", tz="UTC")
    others = [{"time": time, "participant": f"house {k}", "load_kwh": 1.5} for time in times for k in range(2, 8)]
    pd.DataFrame(others).assign(pv_kwh=0.5).to_csv("others.csv", index=False)
    (line,) = written_in(PAGE, "sh")
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv("envelopes.csv")) == 4


@pytest.mark.slow
def test_the_code_of_the_page_shows_what_rules_do(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [block.text for block in code_blocks(PAGE) if block.is_python]
    exec(compile(code, PAGE, "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("loadbus")]
    exports = [float(line[2]) for line in lines]
    assert len(set(exports[:6])) == 1  # equal
    assert exports[6] == 30.0 > 10.0 * exports[11]  # max_total: those close to the transformer
    assert sum(exports[6:]) > sum(exports[:6])
