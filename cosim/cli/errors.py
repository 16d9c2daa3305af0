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


def fail(message: object) -> NoReturn:
    """Print one message to stderr and end with exit code 2."""
    typer.echo(f"gridsettle: {message}", err=True)
    raise typer.Exit(BAD_INPUT)


@contextmanager
def bad_input_ends() -> Iterator[None]:
    """Turn every error that is about the input into one message and exit code 2."""
    try:
        yield
    except (ScenarioError, DataError, GridError, MarketError) as error:
        fail(error)
