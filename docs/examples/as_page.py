"""Run the scripts of this folder cell by cell and write each as a page: its text, its code, and what it printed.

python docs/examples/as_page.py [FOLDER]

A script is in the percent format that editors and Jupyter open as a notebook: `# %% [markdown]` begins text, `# %%`
begins code. It runs in an empty folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = ("own_network.py", "overloaded_cable.py", "winter_outage.py")
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


def page(script: Path) -> str:
    """The script as Markdown, run now."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    parts: list[str] = []
    found, back = cells(script.read_text(encoding="utf-8")), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for is_text, content in found:
                if is_text:
                    parts.append(content)
                    continue
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile(content, script.name, "exec"), namespace)
                parts.append(f"```python\n{content}\n```")
                output = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
                if output:
                    parts.append(f"```text\n{output}\n```")
        finally:
            os.chdir(back)
    parts.append(
        f"Code and output of this page are those of `docs/examples/{script.name}`, which opens as a notebook in Jupyter "
        "(jupytext) and in most editors; a test runs it and compares."
    )
    return "\n\n".join(parts) + "\n"


def write(folder: Path) -> None:
    """Write the pages."""
    for name in SCRIPTS:
        (folder / name).with_suffix(".md").write_text(page(HERE / name), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
