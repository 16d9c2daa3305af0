"""The how-to on trades of one's own does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs/how-to/validate-trades.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


@pytest.mark.slow
def test_ten_trades_on_cigre_lv_are_judged_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    net, _, call = blocks("python")
    trades, base = blocks("")[:2]
    exec(compile(net, "validate-trades.md", "exec"), {})
    Path("trades.csv").write_text(trades)
    Path("base.csv").write_text(base)
    alone, strict = (line.split()[1:] for line in "".join(blocks("sh")[:2]).splitlines())
    first = CliRunner().invoke(app, alone)
    assert first.exit_code == 0, first.output
    assert "9 accepted, 1 curtailed, 0 rejected" in first.output
    assert "row 8 curtailed: overvoltage, Bus R18 at 1.0471 pu, limit 1.045 pu" in first.output
    second = CliRunner().invoke(app, strict)
    judged = pd.read_csv("judged/trades.csv")
    assert second.exit_code == int((judged["status"] != "accepted").any()), second.output
    assert len(judged) == 10
    capsys.readouterr()
    exec(compile(call, "validate-trades.md", "exec"), {})
    assert "curtailed" in capsys.readouterr().out


@pytest.mark.slow
def test_the_street_of_one_phase_houses_is_judged_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[1], "validate-trades.md", "exec"), {})
    for name, text in zip(("street.csv", "participants.csv"), blocks("")[2:], strict=True):
        Path(name).write_text(text)
    balanced, phases = (line.split()[1:] for line in blocks("sh")[2].splitlines())
    first = CliRunner().invoke(app, balanced)
    assert "4 accepted, 0 curtailed, 0 rejected" in first.output
    assert "1.0141 pu before" in first.output
    assert "note: phases of 3 participants are left out" in first.output
    second = CliRunner().invoke(app, phases)
    assert second.exit_code == 0, second.output
    assert blocks("text")[1] in second.output
