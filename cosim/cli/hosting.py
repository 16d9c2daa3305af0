"""The command `gridsettle hosting`: how much a feeder holds, at every house alike, at one alone, or at random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import ScenarioName, SummaryAsJson
from cosim.results import csv_text, directory, folders
from cosim.scenario import files as scenario_files
from cosim.studies.hosting import compared
from cosim.studies.hosting import figure as hosting_figure
from cosim.studies.hosting import study as stochastic
from cosim.validation import envelope_files, files
from cosim.validation import hosting as hosting_capacity

LARGEST_KW = 1000.0


def hosting(
    scenario: ScenarioName = "default",
    intervals: Annotated[
        int,
        typer.Option(
            help="On how many intervals the search begins; the answer holds in all of them. With --draws: in how many "
            "each draw is judged."
        ),
    ] = 24,
    largest_kw: Annotated[
        float | None, typer.Option(help="Largest PV at a house that is looked for, kW. Default: 1000.")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="Place devices at random sites, of random sizes and phases, so many times: percentiles."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="With --draws: where random numbers begin. Default: 1.")] = None,
    technology: Annotated[
        str | None,
        typer.Option(help="With --draws: pv, ev, heat_pump, several with commas, or mix. Default: mix."),
    ] = None,
    per_site: Annotated[
        int | None, typer.Option(help="With --draws: most devices that are placed at a house. Default: 3.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="With --draws: empty, what houses have of the same technology is taken away first; today: more of it "
            "comes beside. Default: empty."
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="With --draws: added, violations that what is placed causes or makes worse; all, also those that "
            "stand without it. Default: added."
        ),
    ] = None,
    pv_control: Annotated[
        str | None,
        typer.Option(help="With --draws: none, cos_phi or q_v for all inverters. Default: that of the scenario."),
    ] = None,
    controls: Annotated[
        str | None,
        typer.Option(
            "--with",
            help="With --draws: the same draws without voltage control and with q_v, p_v or tap; several with commas, "
            "those at once with +, such as q_v,q_v+p_v.",
        ),
    ] = None,
    sizes: Annotated[
        Path | None, typer.Option(help="With --draws: CSV or Parquet technology,kw,weight in place of published sizes.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="With --draws: HTML file for the curve of chances and what draws host.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file for the table; with --draws also .parquet.")] = None,
    as_json: SummaryAsJson = False,
) -> None:
    """How much a feeder holds: PV scaled alike, or at one house alone; with --draws what comes at random."""
    of_draws = {
        "seed": seed,
        "technology": technology,
        "per_site": per_site,
        "start": start,
        "judge": judge,
        "pv_control": pv_control,
        "with": controls,
        "sizes": sizes,
        "figure": figure,
    }
    with progress.tell_compiling(), bad_input_ends():
        if draws is None:
            for name, value in of_draws.items():
                if value is not None:
                    fail(f"--{name.replace('_', '-')}: expected it with --draws, whose option it is, got none; add it")
            _search(scenario, intervals, LARGEST_KW if largest_kw is None else largest_kw, out, as_json=as_json)
            return
        if largest_kw is not None:
            fail("--largest-kw: expected it without --draws, which place what sizes say; leave one of them out")
        given = {name: value for name, value in of_draws.items() if value is not None}
        _draw(scenario, {"draws": draws, "n_intervals": intervals, **given}, out, as_json=as_json)


def _search(scenario: str, intervals: int, largest_kw: float, out: Path | None, *, as_json: bool) -> None:
    if intervals < 1 or not largest_kw > 0:
        fail(f"--intervals, --largest-kw: expected numbers above 0, got {intervals} and {largest_kw}")
    loaded = scenario_files.load_scenario(scenario)
    capacity = hosting_capacity.find_hosting(loaded, n_intervals=intervals, largest_kw=largest_kw)
    if out is not None:
        directory.write_whole(out, csv_text.format_csv(capacity.houses))
    if as_json:
        typer.echo(json.dumps(capacity.as_dict(), indent=2))
    else:
        terminal.show_hosting(capacity, scenario)


def _draw(scenario: str, asked: dict[str, Any], out: Path | None, *, as_json: bool) -> None:
    control, figure, controls = (asked.pop(name, None) for name in ("pv_control", "figure", "with"))
    if control is not None and controls is not None:
        fail("--pv-control: expected it without --with, which says the control of each answer; leave one of them out")
    if out is not None:
        folders.make_folder(envelope_files.check_ending(out).parent)
    loaded = scenario_files.load_scenario(scenario)
    if controls is not None:
        found: compared.ComparedHosting | stochastic.StochasticHosting = compared.compare_stochastic_hosting(
            loaded, controls, **asked
        )
    else:
        if control is not None:
            loaded = loaded.with_changes("--pv-control", pv=files.choose_control(control, None))
        found = stochastic.find_stochastic_hosting(loaded, **asked)
    if out is not None:
        envelope_files.write_table(found.draws, out)
    if figure is not None:
        directory.write_whole(figure, hosting_figure.draw_hosting(found, scenario))
    written = [path for path in (out, figure) if path is not None]
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    elif isinstance(found, compared.ComparedHosting):
        terminal.show_compared_hosting(found, scenario, written)
    else:
        terminal.show_stochastic_hosting(found, scenario, written)
