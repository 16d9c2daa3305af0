"""The structure of the package: no import circles, few lazy imports, short functions, rooms of cosim."""

from __future__ import annotations

import ast
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[2]
PACKAGES = ("cosim", "market", "grid_models", "data")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in FILES.items()}


def imported(module: str) -> Iterator[str]:
    """Modules of ours that a module imports anywhere: at its top, for type checking, in functions."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in FILES or node.module in FILES:
                    yield name if name in FILES else node.module


def excused() -> set[tuple[str, str]]:
    """Imports that the contracts of pyproject.toml leave out."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    lines = [line for contract in contracts["contracts"] for line in contract.get("ignore_imports", [])]
    return {(a.strip(), b.strip()) for a, b in (line.split("->") for line in lines)}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """All functions and methods, with their module."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{node.name}", node


def body_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = nx.DiGraph((a, b) for a in FILES if FILES[a].name != "__init__.py" for b in imported(a) if a != b)
    graph.remove_edges_from(excused())
    circles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert circles == []
    assert excused() == {
        ("cosim.results.result", "cosim.report.page"),
        ("cosim.scenario.model", "cosim.scenario.files"),
    }


def test_what_lies_directly_in_cosim() -> None:
    assert sorted(path.name for path in (ROOT / "cosim").glob("*.py")) == [
        "__init__.py",
        "errors.py",
        "notebook.py",
    ]


def test_few_imports_are_inside_functions() -> None:
    lazy = [name for name, f in functions() for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert len(lazy) <= 15, sorted(lazy)


def test_functions_are_short() -> None:
    sizes = {name: body_lines(function) for name, function in functions()}
    assert statistics.median(sizes.values()) <= 7
    assert {name: size for name, size in sizes.items() if size > 60} == {}
