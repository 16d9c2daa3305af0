"""Console scripts of the project as an installer writes them, from the entry points of pyproject.toml."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]


def write_script(name: str, folder: Path) -> Path:
    """A file that runs a console script of the project by this interpreter."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"][name].partition(":")
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n", encoding="utf-8"
    )
    path.chmod(0o755)
    return path
