"""docs/how-to/mosaik.md: its example is run, and its figures are those of the runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import ROOT, blocks, text_of

PAGE = "docs/how-to/mosaik.md"


@pytest.mark.slow
def test_the_closed_loop_holds_the_voltage_up_as_the_page_says(tmp_path: Path) -> None:
    example = ROOT / "docs/examples/mosaik_charging.py"
    done = subprocess.run([sys.executable, example, tmp_path], capture_output=True, text=True, cwd=ROOT, check=True)
    said = done.stdout.splitlines()[-2:]
    assert "\n".join(said) in text_of(PAGE)
    uncontrolled, controlled = (float(line.split("voltage ")[1].split()[0]) for line in said)
    assert uncontrolled < controlled < 0.97


@pytest.mark.slow
def test_python_of_the_page_runs(tmp_path: Path) -> None:
    said = []
    for block in (block for block in blocks(PAGE) if block.is_python):
        done = subprocess.run(
            [sys.executable, "-c", block.text], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        said.append(done.stdout.splitlines()[-2:])
    assert said[0][-1].startswith("House-0 ")
    assert said[1] == ["clean True", "3"]
