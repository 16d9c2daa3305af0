"""The log on standard error that `-v` asks for. Library modules have loggers; only the command line shows them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cosim.cli.on_demand import PACKAGES

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""By how often `-v` is given."""


class _ToStderr(logging.Handler):
    """Writes to what `sys.stderr` is at the time, so that lines appear above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        typer.echo(self.format(record), err=True)


@contextmanager
def log_to_stderr(verbosity: int) -> Iterator[None]:
    """Show what this project logs while a command runs: steps at verbosity 1, every window of intervals at 2."""
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in PACKAGES]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(LEVELS[min(verbosity, len(LEVELS) - 1)])
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
