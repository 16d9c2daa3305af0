"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Argument(help="Run directory.")]
ScenarioName = Annotated[str, typer.Argument(help="TOML file or bundled scenario.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
SummaryAsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")]
LinesAsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
OpenWith = Annotated[
    Path | None, typer.Option("--open-with", help="Key that opens the operator's store of private records.")
]
