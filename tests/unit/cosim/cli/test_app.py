"""What holds for every command: help is quick, the version, the log."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cosim
from cosim.cli.app import app
from cosim.cli.on_demand import PACKAGES, import_on_demand

ROOT = Path(__file__).parents[4]
LIBRARIES = ("highspy", "numba", "numpy", "pandapower", "pandas", "plotly", "pyarrow", "scipy")
DAY = ("run", "rural", "--until", "2017-01-02", "--no-report", "--quiet")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["envelope", "--help"],
        ["ledger", "verify", "--help"],
        ["study", "storage", "--help"],
    ],
)
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    program = (
        "import sys; from cosim.cli.app import app; app(sys.argv[1:], standalone_mode=False); "
        f"print('loaded:', [name for name in {LIBRARIES} if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")


def test_a_module_imported_on_demand_is_executed_on_first_use() -> None:
    program = (
        "import sys; from cosim.cli.on_demand import import_on_demand\n"
        "with import_on_demand():\n"
        "    from cosim.scenario import files\n"
        "print('pydantic' in sys.modules, files.load_scenario('default').name, 'pydantic' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False default True\n"


def test_imports_are_ordinary_again_afterwards() -> None:
    finders = list(sys.meta_path)
    with pytest.raises(ModuleNotFoundError, match=r"cosim\.nothing"), import_on_demand():
        import cosim.nothing  # noqa: F401
    assert sys.meta_path == finders


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"gridsettle {cosim.__version__}\n")


@pytest.mark.slow
def test_a_run_logs_its_steps_on_stderr_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, [*DAY, "--out", "silent"]).stderr == ""
    done = CliRunner().invoke(app, ["-v", *DAY, "--out", "steps"])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    for step in (
        "cosim.case.case: inputs: 26 participants, 24 intervals of 60 minutes",
        "cosim.case.case: network 'generated",
        "cosim.recording.recorder: ledger: blocks of intervals 0 to 23 committed",
        "cosim.simulation.simulate: 24 of 24 intervals done",
        f"cosim.results.directory: wrote {Path('steps') / 'summary.json'}",
    ):
        assert step in done.stderr
    assert ": 0 curtailed" not in done.stderr
    assert "intervals 0 to 23: 0 curtailed" in CliRunner().invoke(app, ["-vv", *DAY, "--out", "all"]).stderr


def test_the_log_leaves_no_trace_behind_a_command() -> None:
    CliRunner().invoke(app, ["--verbose", "scenario", "list"])
    for name in PACKAGES:
        logger = logging.getLogger(name)
        assert not logger.handlers
        assert logger.level == logging.NOTSET


def test_library_code_prints_nothing_and_configures_no_log() -> None:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            if "cli" not in file.parts:
                assert "basicConfig" not in text
                assert "addHandler" not in text
            assert not re.search(r"^\s*print\(", text, flags=re.M)
