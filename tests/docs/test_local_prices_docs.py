"""The page docs/how-to/local-prices.md: its command runs, and its code prints what the page says of prices."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest
from doc_blocks import code_blocks, written_in
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/local-prices.md"


@pytest.mark.slow
def test_the_command_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = written_in(PAGE, "sh")
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert "3 of 3 intervals priced, 3 of them congested" in result.output
    table, limits = pd.read_csv("prices.csv"), pd.read_csv("limits.csv")
    assert table["interval"].unique().tolist() == [977, 978, 979]
    parts = [f"{part}_ueur_per_kwh" for part in ("energy", "loss", "congestion")]
    assert (table[parts].sum(axis=1) == table["price_ueur_per_kwh"]).all()
    assert 0.125 <= table["price_ueur_per_kwh"].max() / 1e6 <= 0.135  # "up to 0.13 EUR"
    phase_b = table[table["phase"] == "b"]
    assert (phase_b["price_ueur_per_kwh"] < phase_b["energy_ueur_per_kwh"]).any()
    assert set(zip(limits["phase"], limits["quantity"], limits["limit"], strict=True)) == {("a", "min_vm_pu", 0.95)}
    assert "Local prices" in Path("prices.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_code_of_the_page_shows_a_price_that_falls_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [block.text for block in code_blocks(PAGE) if block.is_python]
    exec(compile(code, PAGE, "exec"), {})
    words = capsys.readouterr().out.splitlines()
    prices = [int(line.split()[-1]) for line in words if line.split() and line.split()[-1].isdigit()]
    assert len(prices) == 3
    assert any("max_vm_pu" in line for line in words)
    assert prices[0] > prices[1] > prices[2] == 0
