"""The wheel by itself: what it holds is enough to run, and a fresh environment has nothing else of the project."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cosim", "data", "grid_models", "market")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources: setuptools leaves a folder beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.nb[ic]")
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(folder / "source")], check=True)
    return next(folder.glob("gridsettle-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_says_that_it_is_typed(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        modules = {str(file.relative_to(ROOT)) for file in (ROOT / package).rglob("*.py")}
        assert modules <= held
        assert f"{package}/py.typed" in held
    assert "market/contract/compiled/Anchor.json" in held
    assert "market/contract/solidity/Anchor.sol" in held


@pytest.mark.slow
def test_the_wheel_alone_runs_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    venv.create(home)
    paths = {"base": str(home), "platbase": str(home)}
    python = Path(sysconfig.get_path("scripts", "venv", paths)) / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True)
    # The libraries that it needs are those of this environment. Paths named in a .pth file come behind its own.
    libraries = Path(sysconfig.get_path("purelib", "venv", paths)) / "libraries.pth"
    libraries.write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command: str) -> str:
        options = {"cwd": empty, "env": environment, "check": True, "capture_output": True, "text": True}
        return subprocess.run(command, **options).stdout

    assert run(str(python.with_name("gridsettle")), "--version") == f"gridsettle {wheel.name.split('-')[1]}\n"
    assert "default" in run(str(python.with_name("gridsettle")), "scenario", "list")
    assert Path(run(str(python), "-c", "import cosim; print(cosim.__file__)")).is_relative_to(home)
