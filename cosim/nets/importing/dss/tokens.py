"""Lines of a script into words and properties, as OpenDSS's own parser takes them."""

from __future__ import annotations

from typing import NamedTuple

QUOTES = {'"': '"', "'": "'", "(": ")", "[": "]", "{": "}"}
SIGNS = frozenset("".join((*QUOTES, *QUOTES.values())))
LONGEST_LINE = 2_000_000


class Token(NamedTuple):
    """A value with the name before its `=`; empty where none is given. `quote` is the sign that opens it."""

    name: str
    value: str
    quote: str = ""

    def format(self) -> str:
        """The token as OpenDSS reads it back."""
        text = f"{self.quote}{self.value}{QUOTES[self.quote]}" if self.quote else self.value
        return f"{self.name}={text}" if self.name else text


def split_line(line: str) -> list[Token]:
    r"""Tokens of a line without its comment.

    Raises
    ------
    ValueError
        With what is wrong with it.

    Examples
    --------
    >>> split_line("new Load.x bus1 = b.1, kw=(3 4 +) ! a house")
    [Token(name='', value='new', quote=''), Token(name='', value='Load.x', quote=''), Token(name='bus1', value='b.1', quote=''), Token(name='kw', value='3 4 +', quote='(')]
    """  # noqa: E501
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line of at most {LONGEST_LINE:,} characters")
    if not line.replace("\t", " ").isprintable():
        raise ValueError("printable characters")
    tokens: list[Token] = []
    at, name = 0, ""
    while True:
        at = _skip(line, at, " \t,")
        if at >= len(line) or line[at] == "!" or line.startswith("//", at):
            break
        value, quote, at = _read_value(line, at)
        following = _skip(line, at, " \t")
        if not name and not quote and line[following : following + 1] == "=":
            name, at = value, following + 1
            continue
        tokens.append(Token(name.lower(), value, quote))
        name = ""
    if name:
        raise ValueError(f"a value behind '{name}='")
    return tokens


def _skip(line: str, at: int, signs: str) -> int:
    while at < len(line) and line[at] in signs:
        at += 1
    return at


def _read_value(line: str, at: int) -> tuple[str, str, int]:
    """Value, its opening quote, and the place behind it."""
    quote = line[at]
    if quote in QUOTES:
        end = line.find(QUOTES[quote], at + 1)
        if end < 0:
            raise ValueError(f"'{QUOTES[quote]}' to close '{quote}'")
        if line[end + 1 : end + 2] not in {"", *" \t,=!/"}:
            raise ValueError(f"a space behind '{QUOTES[quote]}'")
        return line[at + 1 : end], quote, end + 1
    end = at
    while end < len(line) and line[end] not in " \t,=!" and not line.startswith("//", end):
        end += 1
    if end == at:
        raise ValueError("a name before '='")
    if any(sign in line[at:end] for sign in SIGNS):
        raise ValueError("quotes and brackets around whole values only")
    return line[at:end], "", end


def strip_blocks(lines: list[str]) -> list[str]:
    """Lines with those of `/* … */` comments emptied, so that numbers of lines stay."""
    kept, inside = [], False
    for line in lines:
        comment = inside or line.lstrip().startswith("/*")
        inside = comment and "*/" not in line
        kept.append("" if comment else line)
    return kept
