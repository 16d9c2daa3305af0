"""The commands `gridsettle profiles …`: energies of meters as profiles of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import terminal
from cosim.cli.errors import bad_input_ends, fail, make_printable
from cosim.imbalances import metered
from cosim.results import csv_text, directory
from data import forecasts, tables
from data.meters import account, energies, importing, told, writing

Files = Annotated[list[Path], typer.Argument(metavar="FILES_OR_FOLDER...", help="Files of meters, or folders of them.")]

profiles_app = typer.Typer(help="Energies of meters as profiles of a run.", no_args_is_help=True)


@profiles_app.callback()
def profiles() -> None:
    """Energies of meters as profiles of a run."""


@profiles_app.command("import")
def import_profiles(
    files: Files,
    out: Annotated[Path, typer.Option(help="Table of profiles to write, .csv or .parquet.")],
    report: Annotated[
        Path | None, typer.Option(help="CSV to write: what was read, cut, filled, refused, written, by meter.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Clock of times without an offset, such as Europe/Madrid or UTC. Default: asked for.")
    ] = "",
    interval: Annotated[
        int, typer.Option(help="Minutes of an interval: 1, 5, 10, 15, 30 or 60. Default: as in the files.")
    ] = 0,
    unit: Annotated[str, typer.Option(help="kWh, Wh, MWh, kW or W, where no header says it.")] = "",
    kind: Annotated[
        str, typer.Option(help="interval (energies), register (a counter) or power (means), where nothing says it.")
    ] = "",
    stamp: Annotated[str, typer.Option(help="Times are the start or the end of intervals.")] = "",
    positive: Annotated[
        str, typer.Option(help="Of readings with a sign positive ones are import (drawn) or export (fed in).")
    ] = "",
    fill: Annotated[str, typer.Option(help="Gaps: none (refused), zero, interpolate or last-week.")] = "none",
    duplicates: Annotated[
        str, typer.Option(help="Unequal readings of one interval: refuse, first, last or sum.")
    ] = "refuse",
    register_digits: Annotated[
        int,
        typer.Option(help="Digits of a counter before the decimal mark, in its unit: it rolls over. 0: it does not."),
    ] = 0,
    register_reset: Annotated[
        str, typer.Option(help="A counter that falls: refuse; zero: a new one from 0; gap: what is between is unknown.")
    ] = "refuse",
    span: Annotated[
        str, typer.Option(help="Meters that begin or end apart: all intervals, or those in common. Default: asked for.")
    ] = "",
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="What comes first in dates like 03/04/2017, if none decides."),
    ] = None,
    time_column: Annotated[str, typer.Option(help="Name of the column of times.")] = "",
    meter_column: Annotated[str, typer.Option(help="Name of the column of meters.")] = "",
    value_column: Annotated[str, typer.Option(help="Name of the column of values.")] = "",
    leave_out: Annotated[list[str] | None, typer.Option(help="Name of a column not to read; may be repeated.")] = None,
    meter: Annotated[str, typer.Option(help="Name of the meter of a single file. Default: the file's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was read, and how, as JSON on stdout.")] = False,
) -> None:
    """Make profiles of files of meters: tables of portals and loggers, NEM12, Green Button, DSMR.

    Energies are spread and joined so that their sums are kept to the Wh. What changes a number and is
    not in the files is asked for, never guessed.

    Examples
    --------
      gridsettle profiles import house.csv --timezone Europe/Madrid --stamp start --out profiles.csv

      gridsettle profiles import meters/ --out profiles.parquet --report report.csv --fill last-week
    """
    with bad_input_ends():
        _check_outputs(out, report, files)
        said = told.Told(
            timezone=timezone,
            unit=unit,
            kind=kind,
            stamp=stamp,
            positive=positive,
            interval_minutes=interval,
            fill=fill,
            duplicates=duplicates,
            register_reset=register_reset,
            register_digits=register_digits,
            span=span,
            day_first=day_first,
            time_column=time_column,
            meter_column=meter_column,
            value_column=value_column,
            leave_out=tuple(leave_out or ()),
            meter=meter,
        )
        found = importing.import_meters(files, said)
        lines = account.make_account_table(found.account)
        written = [out, *([] if report is None else [report])]
        if report is not None:
            directory.write_whole(report, csv_text.format_csv(lines))
        with directory.replace_when_whole(out) as unfinished:
            writing.write_profile_table(writing.make_profile_table(found), unfinished, out.name)
    if as_json:
        typer.echo(json.dumps(make_summary(found, written), indent=2))
    else:
        terminal.show_meters(account.sum_account(found.account), found.account, found.said, written)


@profiles_app.command("forecast")
def forecast_profiles(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Table of profiles, .csv or .parquet.")],
    out: Annotated[Path, typer.Option(help="Table of forecasts to write, .csv or .parquet.")],
    rule: Annotated[str, typer.Option(help="persistence (24 hours before) or last-week (168 hours before).")],
    timezone: Annotated[str, typer.Option(help="Clock of times without an offset.")] = "UTC",
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="What comes first in dates like 03/04/2017, if none decides."),
    ] = None,
) -> None:
    """Forecast each interval of a table by the same interval a day or a week before, and say how far off that was.

    Intervals that have none so far before them are left out. Prices, where there are any, are those of the interval
    itself. What is written is a table of profiles that a scenario can name.
    """
    with bad_input_ends():
        _check_outputs(out, None, [table])
        actual = metered.read_energies(table, None, timezone, day_first)
        forecast = forecasts.make_forecast(actual, rule)
        tables.write_profiles(forecast, out, with_price=bool(actual.price_ueur_per_kwh.any()))
    real = actual.window(actual.n_intervals - forecast.n_intervals, actual.n_intervals)
    typer.echo(f"{forecast.n_participants:,} houses, {forecast.n_intervals:,} intervals from {forecast.start} UTC")
    for what in ("load", "pv"):
        wh = [getattr(each, f"{what}_wh").sum(axis=1, keepdims=True) for each in (forecast, real)]
        off = forecasts.measure_errors(*wh)
        typer.echo(
            f"Forecast of all {what}: MAE {off.mae_kwh[0]:,.3f}, RMSE {off.rmse_kwh[0]:,.3f}, bias "
            f"{off.bias_kwh[0]:+,.3f} kWh an interval"
        )
    typer.echo(f"wrote {make_printable(str(out))}")


def _check_outputs(out: Path, report: Path | None, files: list[Path]) -> None:
    """End where a table could not be told by its name, or would take the place of another or of what is read."""
    if out.suffix not in (".csv", ".parquet", ".pq"):
        fail(f"--out: expected a file that ends with .csv or .parquet, got {out}; rename it")
    taken = [path.resolve() for path in files]
    for name, path in (("--out", out), ("--report", report)):
        if path is not None and (path.resolve() in taken or path.resolve().parent in taken):
            fail(f"{name}: expected a place that is not read, got {path}; write it beside the folder of the meters")
        taken += [path.resolve()] if path is not None else []


def make_summary(found: importing.Metered, written: list[Path]) -> dict[str, object]:
    """What was read and how, as JSON holds it."""
    return {
        "start": energies.name_time(found.start),
        "interval_minutes": found.interval_minutes,
        "intervals": len(found.load_wh),
        "meters": account.sum_account(found.account).to_dict(orient="records"),
        "account": [line._asdict() for line in found.account],
        "understood": list(found.said),
        "written": [str(path) for path in written],
    }
