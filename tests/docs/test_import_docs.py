"""docs/how-to/import-networks.md does what it says, and names every format and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_blocks import blocks, text_of, written_in
from typer.testing import CliRunner

from cosim import Result
from cosim.cli.app import app
from cosim.nets.importing.csv_tables import NUMBERS, THOUSANDTHS
from cosim.nets.importing.formats import FORMATS

PAGE = "docs/how-to/import-networks.md"


def run_commands(part: int) -> None:
    shells = [block for block in blocks(PAGE) if block.is_shell]
    for words in shells[part].commands:
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (words, done.output)


@pytest.mark.slow
def test_a_folder_of_tables_is_imported_solved_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("street").mkdir()
    for name, text in zip(("bus", "line", "trafo", "load"), written_in(PAGE, "text"), strict=True):
        Path("street", f"{name}.csv").write_text(text, encoding="utf-8")
    run_commands(0)
    energy = Result.load("mine-run").summary["energy_kwh"]
    assert energy["load"] == pytest.approx(24 * 5.75)


@pytest.mark.slow
def test_simbench_runs_in_one_command_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("simbench", reason="the extra gridsettle[simbench] is not installed")
    monkeypatch.chdir(tmp_path)
    run_commands(1)
    run_commands(2)
    assert Result.load("rural/run").summary["energy_kwh"]["pv"] > 0.0
    table = "intervals.parquet"
    assert Path("rural", "run", table).read_bytes() == Path("again", table).read_bytes()


def test_page_names_every_format_and_column() -> None:
    text = text_of(PAGE)
    for kind in FORMATS.values():
        assert all(f"`{ending}`" in text for ending in kind.endings)
    for table, columns in NUMBERS.items():
        assert f"| `{table}.csv` |" in text
        assert all(f"`{column}`" in text for column in (*columns, *THOUSANDTHS.values()))
