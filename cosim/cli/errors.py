"""How a command ends when the answer is no, and on bad input: one message on stderr, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from cosim.errors import ScenarioError
from data.errors import DataError
from grid_models.errors import GridError
from market.errors import MarketError

ANSWER_IS_NO = 1
BAD_INPUT = 2


LONGEST_LINE = 600
"""Characters of a line of a message: what stands in a file or on the command line may be of any length."""


def fail(message: object) -> NoReturn:
    """Print one message to stderr and end with exit code 2."""
    typer.echo(f"gridsettle: {make_printable(str(message))}", err=True)
    raise typer.Exit(BAD_INPUT)


def make_printable(message: str) -> str:
    r"""The message without control characters, which could command a terminal, and without the midst of long lines.

    Examples
    --------
    >>> make_printable("expected a name, got \x1b[31mred")
    'expected a name, got \\x1b[31mred'
    """
    lines = ("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in message.split("\n"))
    half = LONGEST_LINE // 2
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}" for line in lines)


@contextmanager
def bad_input_ends() -> Iterator[None]:
    """Turn every error about the input, or about a file that cannot be used, into one message and exit code 2."""
    try:
        yield
    except (ScenarioError, DataError, GridError, MarketError) as error:
        fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "an input" if error.filename is None else error.filename
        fail(f"{where}: expected a file or folder that can be used, got {error.strerror or error}; choose another")
