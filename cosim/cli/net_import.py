"""The command `gridsettle net import`, and what `gridsettle run --simbench` shares with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import bad_input_ends, fail, make_printable
from cosim.nets.importing import formats, simbench, written

if TYPE_CHECKING:
    from cosim.nets.importing.imported import Imported

MOST_SHOWN = 20
"""Elements left out that are named on the screen; all are in --json."""


def import_net(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE…",
            help="pandapower JSON of any version, MATPOWER .m, OpenDSS .dss, or a folder of CSV tables.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="File of the network to write; what a run needs is written beside it.")
    ] = Path("feeder.json"),
    code: Annotated[
        str | None, typer.Option("--simbench", metavar="CODE", help="A SimBench grid instead of files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What was read and left out, as JSON.")] = False,
) -> None:
    """Read a network of others and write it as ours, with participants, profiles and a scenario beside it.

    Nothing is dropped in silence: what has no place in our network is named, and what would change its power flow is
    refused. Files that are there are never overwritten.

    Examples
    --------
      gridsettle net import street.dss --out street/feeder.json

      gridsettle net import --simbench 1-LV-rural1--0-sw --out rural/feeder.json
    """
    with progress.tell_compiling(), bad_input_ends():
        paths = list(files or ())
        if (code is None) == (not paths):
            fail(
                "FILE, --simbench: expected the files of one network or the code of a SimBench grid, got "
                f"{'neither' if code is None else 'both'}"
            )
        if code is None:
            kind, source = formats.choose_format(paths), str(paths[0])
            imported, name = formats.import_network(paths), name_scenario(paths[0])
        else:
            kind, source, imported, name = "simbench", code, simbench.import_simbench(code), code
        prepared = written.prepare_files(imported, out, name)
        wrote = written.write_files(prepared)
        if as_json:
            said = {"format": kind, "source": source, **describe(imported, prepared, wrote)}
            typer.echo(json.dumps(said, indent=2))
        else:
            show_imported(imported, prepared, f"{source} as {kind}")
            terminal.show_written(wrote)
            if prepared.scenario:
                typer.echo(make_printable(f"run it with: gridsettle run {prepared.folder / written.SCENARIO}"))


def name_scenario(path: Path) -> str:
    """Name of a scenario after a file or folder."""
    stem = "".join(c for c in path.resolve().name.split(".")[0] if c.isprintable() and c not in "/\\").strip()
    return stem[:100].strip() or "imported"


def describe(imported: Imported, prepared: written.Prepared, wrote: tuple[Path, ...]) -> dict[str, Any]:
    """What was read, left out and written, for --json."""
    return {
        "model": imported.model.value,
        "elements": imported.elements,
        "left_out": [entry._asdict() for entry in imported.left_out],
        "notes": [*imported.notes, *prepared.notes],
        "wrote": [str(path) for path in wrote],
        "scenario": str(prepared.folder / written.SCENARIO) if prepared.scenario else None,
    }


def show_imported(imported: Imported, prepared: written.Prepared, what: str) -> None:
    """Print what was read, what had to be understood, and what was left out."""
    counted = ", ".join(f"{n:,} {element}" for element, n in imported.elements.items())
    typer.echo(make_printable(f"read {what}: {counted}"))
    for note in (*imported.notes, *prepared.notes):
        typer.echo(make_printable(f"note: {note}"))
    for entry in imported.left_out[:MOST_SHOWN]:
        typer.echo(make_printable(f"left out: {entry.element}: {entry.why}"))
    if len(imported.left_out) > MOST_SHOWN:
        typer.echo(f"left out: {len(imported.left_out) - MOST_SHOWN:,} more, all named by --json")
