"""Run the scripts of this folder cell by cell and write each as a page: its text, its code, and what it printed.

python docs/examples/as_page.py [FOLDER]

A script is in the percent format that editors and Jupyter open as a notebook: `# %% [markdown]` begins text, `# %%`
begins code. It runs in an empty folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
SCRIPTS = ("first_hour.py", "own_network.py", "overloaded_cable.py", "winter_outage.py")
NOTEBOOKS = ("first_hour.py",)
"""Scripts that are written as notebooks too."""
TEXT, CODE = "# %% [markdown]\n", "# %%\n"


def cells(source: str) -> list[tuple[bool, str]]:
    """Cells of a script in order: whether it is text, and its content."""
    found: list[tuple[bool, list[str]]] = []
    for line in source.splitlines(keepends=True):
        if line in (TEXT, CODE):
            found.append((line == TEXT, []))
        elif found:
            is_text, lines = found[-1]
            lines.append(line.removeprefix("#").removeprefix(" ") if is_text else line)
    return [(is_text, "".join(lines).strip("\n")) for is_text, lines in found]


class Cell(NamedTuple):
    """A cell as run: whether it is text, its content, and what it printed."""

    is_text: bool
    content: str
    printed: str = ""


def run_cells(script: Path) -> list[Cell]:
    """Run a script cell by cell in an empty folder."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    done: list[Cell] = []
    found = cells(script.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for is_text, content in found:
            printed = io.StringIO()
            if not is_text:
                with contextlib.redirect_stdout(printed):
                    exec(compile(content, script.name, "exec"), namespace)
            lines = [line.rstrip() for line in printed.getvalue().splitlines()]
            done.append(Cell(is_text, content, "\n".join(lines)))
    return done


def page(script: Path, done: list[Cell] | None = None) -> str:
    """The script as Markdown, run now if it is not yet `done`."""
    parts: list[str] = []
    for cell in done or run_cells(script):
        parts.append(cell.content if cell.is_text else f"```python\n{cell.content}\n```")
        if cell.printed:
            parts.append(f"```text\n{cell.printed}\n```")
    parts.append(
        f"Code and output of this page are those of `docs/examples/{script.name}`, which opens as a notebook in Jupyter "
        "(jupytext) and in most editors; a test runs it and compares."
    )
    if script.name in NOTEBOOKS:
        name = script.with_suffix(".ipynb").name
        parts.append(f"The same as a notebook: [{name}]({name}).")
    return "\n\n".join(parts) + "\n"


def notebook(done: list[Cell]) -> str:
    """Cells that were run as a Jupyter notebook, format 4.5: what they printed is their output, figures are not kept."""
    book = {
        "cells": [_as_notebook_cell(number, cell) for number, cell in enumerate(done, start=1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _as_notebook_cell(number: int, cell: Cell) -> dict[str, Any]:
    source = cell.content.splitlines(keepends=True)
    common = {"id": f"cell-{number}", "metadata": {}, "source": source}
    if cell.is_text:
        return {"cell_type": "markdown", **common}
    text = f"{cell.printed}\n".splitlines(keepends=True)
    outputs = [{"name": "stdout", "output_type": "stream", "text": text}] if cell.printed else []
    return {"cell_type": "code", "execution_count": None, **common, "outputs": outputs}


def write(folder: Path) -> None:
    """Write the pages and notebooks."""
    for name in SCRIPTS:
        done = run_cells(HERE / name)
        (folder / name).with_suffix(".md").write_text(page(HERE / name, done), encoding="utf-8")
        if name in NOTEBOOKS:
            (folder / name).with_suffix(".ipynb").write_text(notebook(done), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
