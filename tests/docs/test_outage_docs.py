"""The how-to on outages says what its script computes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import blocks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs/examples/outage_numbers.py"))


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs/how-to/outage.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_numbers_with_and_without_the_plugged_in_device_are_of_a_run(script: dict[str, Any], page: str) -> None:
    table = script["plugged_in_table"]()
    assert script["block"](page, "plugged in") == table
    cells = {row.split("|")[1].strip(): row.split("|")[2:4] for row in table.splitlines()}
    for month in ("January", "July"):
        less, more = (float(cell.strip(" %")) for cell in cells[f"load served, {month}"])
        assert less < more  # the plugged-in device raises the served share


@pytest.mark.slow
def test_means_of_random_outages_are_of_a_study(script: dict[str, Any], page: str) -> None:
    """Four of the eleven rows: all of them are minutes."""
    variants = ("base", "no fuel cell", "one more fuel cell plugged in", "no market, batteries idle")
    rows = script["study_table"](variants).splitlines()
    assert len(rows) == 2 + len(variants)
    assert set(rows) <= set(script["block"](page, "study").splitlines())


def test_chance_of_devices_that_fail_is_what_the_block_prints(capsys: pytest.CaptureFixture[str]) -> None:
    python, text = (block for block in blocks("docs/how-to/outage.md") if block.is_python or block.language == "text")
    exec(compile(python.text, "outage.md", "exec"), {})
    assert capsys.readouterr().out.strip() == text.text.strip()


@pytest.mark.slow
def test_curves_of_survival_are_of_a_study(script: dict[str, Any], page: str) -> None:
    curves = script["study_curves"]()
    assert script["block"](page, "survival") == script["survival_curves"].format_markdown(curves)
    assert script["FIGURE"].read_text(encoding="utf-8") == script["draw_curves"](curves)
    served = curves.pivot(index="hours", columns="variant", values="critical")
    assert (served["one more fuel cell plugged in"] >= served["base"]).all()
    assert (served["energy kept for critical load"] >= served["base"]).all()
