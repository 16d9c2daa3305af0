"""The public API: what it names is documented, is there, and is imported when it is used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cosim

ROOT = Path(__file__).parents[3]


def test_the_documentation_names_the_public_api_and_nothing_else() -> None:
    documented = re.findall(r"^::: (.*)$", (ROOT / "docs/api.md").read_text(encoding="utf-8"), flags=re.M)
    assert sorted(documented) == [f"cosim.{name}" for name in cosim.__all__]


@pytest.mark.parametrize("name", cosim.__all__)
def test_every_public_name_is_there_with_a_docstring(name: str) -> None:
    assert getattr(cosim, name).__doc__
    assert name in dir(cosim)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        _ = cosim.runn


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cosim.__version__ == project["version"]


def test_importing_the_package_imports_no_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import cosim; "
        "print({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "{'cosim'}\n"


def test_packages_say_that_they_are_typed() -> None:
    for package in ("cosim", "data", "grid_models", "market"):
        assert (ROOT / package / "py.typed").exists()
