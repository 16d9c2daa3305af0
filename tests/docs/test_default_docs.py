"""README's table, sentences and picture of the default scenario are those of its run."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest
from doc_blocks import ROOT, text_of
from typer.testing import CliRunner

from cosim import Result
from cosim.cli.app import app

PICTURE = ROOT / "docs/images/default.svg"
SCRIPT = ROOT / "docs/examples/picture_of_the_default.py"
ROUNDING = re.compile(r"│ engine against .*\n")
"""The row whose value is the rounding of two programs, which is not the same on every machine."""


@pytest.fixture(scope="module")
def printed_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What `gridsettle run` prints, and the folder it was called in."""
    folder = tmp_path_factory.mktemp("default")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["run", "--no-report"], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done.stdout, folder


@pytest.mark.slow  # a year
def test_readme_shows_what_the_run_prints(printed_run: tuple[str, Path]) -> None:
    shown = next(text for text in text_of("README.md").split("```") if "scenario 'default'" in text)
    printed = printed_run[0][printed_run[0].index("gridsettle: scenario") :]
    assert ROUNDING.sub("", shown).split() == ROUNDING.sub("", printed).split()


@pytest.mark.slow  # the same year
def test_readme_says_what_the_run_found(printed_run: tuple[str, Path]) -> None:
    result = Result.load(printed_run[1] / "runs/default-001")
    curtailed, houses = result.summary["curtailed"], result.scenario.houses
    words = " ".join(text_of("README.md").split())
    for said in (
        f"{houses.n_houses} houses",
        f"{houses.n_prosumers} roofs",
        f"{result.summary['cars']['number']} cars",
        f"{result.summary['heat_pumps']['number']} heat pumps",
        f"In {curtailed['hours']:.0f} of its {result.summary['network']['intervals']:,} hours",
        f"{curtailed['cut_kwh']:.1f} kWh",
    ):
        assert said in words


@pytest.mark.slow  # the same year
def test_the_picture_is_what_its_script_draws(printed_run: tuple[str, Path], tmp_path: Path) -> None:
    runpy.run_path(str(SCRIPT))["make"](tmp_path / "new.svg", printed_run[1] / "runs/default-001")
    assert (tmp_path / "new.svg").read_bytes() == PICTURE.read_bytes(), f"run python {SCRIPT.relative_to(ROOT)}"


def test_the_picture_is_small_static_and_made_of_text() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert len(text) < 150_000
    assert tags <= {"svg", "title", "desc", "style", "rect", "circle", "path", "text", "tspan"}
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_readme_begins_with_the_picture() -> None:
    top = text_of("README.md").split("```")[0]
    alt = re.search(r"!\[([^\]]+)\]\(docs/images/default\.svg\)", top)
    assert alt is not None
    assert alt[1].endswith(".")
    assert len(alt[1].split()) > 8
