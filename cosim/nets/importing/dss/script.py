"""Read the script of a circuit and the files that it redirects to; nothing is run here.

Law: what reaches the engine is written anew, word by word, from an allow-list. Redirected files and files of numbers
are read here, inside the folder of the first script, and their content takes the place of their names: the engine opens
no file and is told to write none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cosim.nets.importing.dss.tokens import Token, split_line, strip_blocks
from cosim.nets.importing.dss.words import (
    CLASSES,
    COMMANDS,
    HARMFUL,
    LEFT_OUT,
    NAMED_ONLY,
    NOT_RUN,
    OPTIONS,
    OPTIONS_NOT_SET,
)
from cosim.nets.importing.imported import LeftOut
from grid_models.errors import GridError, shorten, suggest_name
from grid_models.feeder.net_file import read_regular_text

MAX_FILES = 500
MAX_CHARACTERS = 64 * 2**20
MAX_COMMANDS = 200_000
MAX_DEPTH = 20
READS_A_FILE = re.compile(r"file\s*=", re.IGNORECASE)
ONLY = 0
"""Column of a file that has no other."""
REMOVE = "remove the line, or put ! before it"


class Command(NamedTuple):
    """A command for the engine, and the place that messages name."""

    text: str
    place: str


class Script(NamedTuple):
    """Commands of a circuit, how many elements of each class never reach the engine, and what is left out."""

    commands: tuple[Command, ...]
    skipped: dict[str, int]
    left_out: tuple[LeftOut, ...]


def read_script(path: Path) -> Script:
    """Commands of a script, checked.

    Raises
    ------
    GridError
        If a file is missing, too large or outside the folder, or a line has a command, class, option or property that
        is not allowed.
    """
    reader = _Reader(path)
    reader.read(path, str(path), ())
    if not reader.circuits:
        raise GridError(f"{path}: expected a circuit ('new circuit.name'), found none; name the file that begins it")
    left_out = [LeftOut(element, why) for element, why in reader.left_out.items()]
    return Script(tuple(reader.commands), reader.skipped, tuple(left_out))


class _Reader:
    """Walks through the lines of files; collects commands."""

    def __init__(self, path: Path) -> None:
        self.root = path.parent.resolve()
        self.files, self.characters = 0, 0
        self._begin()

    def _begin(self) -> None:
        self.commands: list[Command] = []
        self.skipped: dict[str, int] = {}
        self.left_out: dict[str, str] = {}
        self.circuits = 0
        self.active = ""  # class of the element that `more` goes on with

    def read(self, path: Path, place: str, above: tuple[Path, ...]) -> None:
        """Read a file and those that it redirects to; `above` are the files in which this one is named."""
        real = path.resolve()
        if real in above or len(above) == MAX_DEPTH:
            raise GridError(f"{place}: expected no file that redirects to itself, got {path.name}; {REMOVE}")
        for number, line in enumerate(strip_blocks(self._read_text(path, place).split("\n")), start=1):
            where = f"{path}, line {number}"
            try:
                tokens = split_line(line.rstrip("\r"))
            except ValueError as expected:
                raise GridError(f"{where}: expected {expected}, got '{shorten(line)}'") from None
            if tokens:
                self._take(tokens, where, path, (*above, real))

    def _read_text(self, path: Path, place: str) -> str:
        self.files += 1
        if self.files > MAX_FILES:
            raise GridError(f"{place}: expected at most {MAX_FILES} files, got more")
        try:
            text = read_regular_text(path, "a script of OpenDSS, or numbers that it names")
        except GridError as error:
            raise GridError(str(error) if place == str(path) else f"{place}: {error}") from error
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            raise GridError(f"{place}: expected at most {MAX_CHARACTERS:,} characters in all files, got more")
        return text

    def _find(self, name: str, path: Path, where: str) -> Path:
        """A file named in a script: relative to it, inside the folder; upper and lower case are alike where unique."""
        wanted = name.replace("\\", "/")
        found = path.parent / wanted
        inside = not wanted.startswith("/") and ":" not in wanted and found.resolve().is_relative_to(self.root)
        if not inside:
            raise GridError(
                f"{where}: expected a file inside the folder {self.root}, got '{shorten(name)}'; copy it there and "
                "name it relative to this file"
            )
        if not found.exists() and found.parent.is_dir():
            alike = [each for each in found.parent.iterdir() if each.name.lower() == found.name.lower()]
            if len(alike) == 1 and alike[0].resolve().is_relative_to(self.root):
                return alike[0]
        return found

    def _take(self, tokens: list[Token], where: str, path: Path, above: tuple[Path, ...]) -> None:
        """One command."""
        first = tokens[0]
        if first.name.count(".") == 2:  # load.x.kw=5
            kind, name, prop = first.name.split(".")
            tokens = [Token("", "edit"), Token("", f"{kind}.{name}"), first._replace(name=prop), *tokens[1:]]
            first = tokens[0]
        word = "" if first.name or first.quote else first.value.lower()
        command = COMMANDS.get(word)
        if command is None:
            said = shorten(first.format())
            raise GridError(
                f"{where}: expected a command that builds a circuit ({', '.join(sorted(set(COMMANDS.values())))}), got "
                f"'{said}', which is not run; {suggest_name(word, COMMANDS, REMOVE, 0.8)}"
            )
        for token in tokens[1:]:
            if token.value.startswith("@"):
                raise GridError(f"{where}: expected values, got the variable '{shorten(token.value)}'; write its value")
        if command == "redirect":
            self._redirect(tokens, where, path, above)
        else:
            TAKE[command](self, command, tokens[1:], where, path)

    def _redirect(self, tokens: list[Token], where: str, path: Path, above: tuple[Path, ...]) -> None:
        if len(tokens) != 2:
            raise GridError(
                f"{where}: expected the name of one file, in quotes where it has spaces, got {len(tokens) - 1} words"
            )
        self.read(self._find(tokens[1].value, path, where), where, above)

    def _clear(self, command: str, tokens: list[Token], where: str, path: Path) -> None:
        if self.circuits:
            self._begin()

    def _leave_out(self, command: str, tokens: list[Token], where: str, path: Path) -> None:
        self.left_out.setdefault(command, f"{NOT_RUN[command]} (first in {where})")
        if command == "solve":
            self._set("set", tokens, where, path)

    def _add(self, where: str, command: str, tokens: list[Token]) -> None:
        if len(self.commands) == MAX_COMMANDS:
            raise GridError(f"{where}: expected at most {MAX_COMMANDS:,} commands, got more")
        self.commands.append(Command(" ".join((command, *(token.format() for token in tokens))), where))

    def _set(self, command: str, tokens: list[Token], where: str, path: Path) -> None:
        for token in tokens:
            if token.name in OPTIONS_NOT_SET:
                self.left_out.setdefault(f"set {token.name}", OPTIONS_NOT_SET[token.name])
            elif token.name in OPTIONS:
                self._check_value(token, where)
                self._add(where, command, [token])
            else:
                raise GridError(
                    f"{where}: expected options of set among {', '.join(sorted(OPTIONS))}, got "
                    f"'{shorten(token.format())}'; {suggest_name(token.name, OPTIONS, REMOVE, 0.8)}"
                )

    def _voltages(self, command: str, tokens: list[Token], where: str, path: Path) -> None:
        for token in tokens:
            self._check_value(token, where)
        self._add(where, command, tokens)

    def _element(self, command: str, tokens: list[Token], where: str, path: Path) -> None:
        """New, edit, batchedit, open, close, enable, disable: an element of a class, and what is said of it."""
        named = tokens[0] if tokens else Token("", "")
        kind, dot, name = named.value.partition(".")
        kind = kind.lower()
        if named.name not in ("", "object") or not dot or not name:
            raise GridError(f"{where}: expected class.name behind {command}, got '{shorten(named.format())}'")
        if kind not in CLASSES:
            raise GridError(
                f"{where}: expected an element of {', '.join(sorted(CLASSES))}, got "
                f"'{shorten(named.value)}', which has no counterpart here; {suggest_name(kind, CLASSES, REMOVE, 0.8)}"
            )
        if command == "new":
            self._count_new(kind, named.value, where)
        self.active = kind
        if kind not in LEFT_OUT:
            self._add(where, command, [named._replace(name=""), *self._read_properties(kind, tokens[1:], where, path)])

    def _count_new(self, kind: str, name: str, where: str) -> None:
        self.circuits += kind == "circuit"
        if self.circuits > 1:
            raise GridError(f"{where}: expected one circuit, got a second one; put 'clear' before it, or remove one")
        if kind in LEFT_OUT:
            self.skipped[kind] = self.skipped.get(kind, 0) + 1
            self.left_out[name.lower()] = LEFT_OUT[kind]

    def _more(self, command: str, tokens: list[Token], where: str, path: Path) -> None:
        if not self.active:
            raise GridError(f"{where}: expected an element before what goes on with it, found none")
        if self.active not in LEFT_OUT:
            self._add(where, command, self._read_properties(self.active, tokens, where, path))

    def _read_properties(self, kind: str, tokens: list[Token], where: str, path: Path) -> list[Token]:
        """Properties of an element; names of files give way to the numbers in them."""
        if kind in NAMED_ONLY and any(not token.name for token in tokens):
            raise GridError(f"{where}: expected name=value for each property of a {kind}, got a value without a name")
        return [self._read_property(kind, token, where, path) for token in tokens]

    def _read_property(self, kind: str, token: Token, where: str, path: Path) -> Token:
        if token.name == "csvfile" and kind == "loadshape":
            return Token("mult", self._read_numbers(token.value, ONLY, False, where, path), "[")
        if token.name and any(word.startswith(token.name) for word in HARMFUL):
            raise GridError(
                f"{where}: expected no property that opens a file, loads a program or writes, got "
                f"'{token.name}'; {REMOVE}"
            )
        if token.quote and READS_A_FILE.search(token.value):
            return token._replace(value=self._read_array(token, where, path), quote="[")
        self._check_value(token, where)
        return token

    def _check_value(self, token: Token, where: str) -> None:
        if READS_A_FILE.search(token.value):
            raise GridError(f"{where}: expected no name of a file here, got '{shorten(token.format())}'; {REMOVE}")

    def _read_array(self, token: Token, where: str, path: Path) -> str:
        """Numbers of `(file=name, column=2, header=yes)`."""
        try:
            said = {part.name: part.value for part in split_line(token.value)}
            column = int(said.pop("column", said.pop("col", "1")))
            header = said.pop("header", "no").lower() in ("y", "yes", "t", "true")
            name = said.pop("file")
            if said or column < 1:
                raise ValueError
        except (ValueError, KeyError):
            raise GridError(
                f"{where}: expected (file=NAME, column=NUMBER, header=yes|no), got '{shorten(token.value)}'"
            ) from None
        return self._read_numbers(name, column, header, where, path)

    def _read_numbers(self, name: str, column: int, header: bool, where: str, path: Path) -> str:
        """A column of a file as numbers with spaces between them."""
        found = self._find(name, path, where)
        lines = self._read_text(found, where).splitlines()[int(header) :]
        cells = [re.split(r"[,;\s]+", line.strip()) for line in lines if line.strip()]
        wanted = "one number" if column == ONLY else f"a number in column {column}"
        numbers = []
        for number, row in enumerate(cells, start=1):
            try:
                (cell,) = row if column == ONLY else row[column - 1 : column]
                numbers.append(float(cell))
            except ValueError:
                raise GridError(
                    f"{found}, row {number}, named in {where}: expected {wanted}, got '{shorten(' '.join(row))}'"
                ) from None
        return " ".join(map(repr, numbers))


TAKE: dict[str, Callable[[_Reader, str, list[Token], str, Path], None]] = {
    "clear": _Reader._clear,
    "set": _Reader._set,
    "calcvoltagebases": _Reader._voltages,
    "setkvbase": _Reader._voltages,
    "more": _Reader._more,
    **dict.fromkeys(("new", "edit", "batchedit", "open", "close", "enable", "disable"), _Reader._element),
    **dict.fromkeys(NOT_RUN, _Reader._leave_out),
}
"""What is done with each command but `redirect`."""
