"""Pages of the documentation, their fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")),
)
SHELLS = ("sh", "bash", "console", "shell")
STARTS = ("gridsettle ", "python ", "pip ", "pre-commit ", "$ ")


class Block(NamedTuple):
    """A fenced block: its language (`text` if none is given) and its content."""

    language: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.language in ("python", "py", "pycon")

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands, said so or not."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        unnamed = self.language == "text" and bool(lines) and all(line.startswith(STARTS) for line in lines)
        return self.language in SHELLS or unnamed

    @property
    def commands(self) -> list[list[str]]:
        """Commands of a shell block as words, one for each part of `a && b`."""
        parts = [part for line in self.text.splitlines() for part in line.removeprefix("$ ").split("&&")]
        words = [shlex.split(part, comments=True) for part in parts]
        return [word for word in words if word]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    found = re.findall(r"^```([^\n]*)\n(.*?)^```\s*$", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return [Block(language.strip() or "text", text) for language, text in found]


def written_in(page: str, language: str) -> list[str]:
    """Contents of the page's blocks of a language."""
    return [block.text for block in blocks(page) if block.language == language]


def code_blocks(page: str) -> list[Block]:
    """Blocks that somebody would run."""
    return [block for block in blocks(page) if block.is_python or block.is_shell]


def commands(page: str) -> list[list[str]]:
    """The page's `gridsettle` commands: of its shell blocks, and those written in a line."""
    of_blocks = [words for block in code_blocks(page) if block.is_shell for words in block.commands]
    in_lines = [shlex.split(code) for code in re.findall(r"`(gridsettle [^`\n]+)`", text_of(page))]
    return [words for words in of_blocks + in_lines if words[0] == "gridsettle"]
