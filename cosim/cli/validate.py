"""The commands `gridsettle validate` and `gridsettle hosting`: trades of others, and the PV that a feeder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli.errors import bad_input_ends, fail

ANSWER_IS_NO = 1

NetFile = Annotated[Path, typer.Option("--net", help="pandapower JSON of the network.")]
TradesFile = Annotated[
    Path, typer.Option("--trades", help="CSV or Parquet: time, seller, buyer, energy_kwh, price_eur_per_kwh.")
]
ParticipantsFile = Annotated[
    Path | None,
    typer.Option(
        help="CSV participant,bus. Default: a participant is the name of a load of the net, else of a bus."
    ),
]
ProfilesFile = Annotated[
    Path | None,
    typer.Option(help="CSV or Parquet: load and PV of each participant. Default: the trades alone."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add both commands to an application."""
    app.command()(validate)
    app.command()(hosting)


def validate(
    net: NetFile,
    trades: TradesFile,
    participants: ParticipantsFile = None,
    profiles: ProfilesFile = None,
    rule: Annotated[
        str, typer.Option(help="least_curtailment, pro_rata, lifo, max_min or reject.")
    ] = "least_curtailment",
    min_vm_pu: Annotated[float, typer.Option(help="Lowest voltage, pu, where the net says none.")] = 0.90,
    max_vm_pu: Annotated[float, typer.Option(help="Highest voltage, pu, where the net says none.")] = 1.10,
    max_loading_percent: Annotated[
        float, typer.Option(help="Highest loading of lines and transformers, %, where the net says none.")
    ] = 100.0,
    pv_control: Annotated[
        str, typer.Option(help="Reactive power of PV inverters: none, cos_phi or q_v (VDE-AR-N 4105).")
    ] = "none",
    cos_phi: Annotated[
        float, typer.Option(help="Power factor of --pv-control cos_phi, underexcited.")
    ] = 0.95,
    keep_elements: Annotated[
        bool, typer.Option("--keep-elements", help="Keep the net's own loads and generators.")
    ] = False,
    interval_minutes: Annotated[
        int | None,
        typer.Option(help="Length of an interval: 15, 30 or 60. Default: as in the profiles, else 60."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Clock of times without an offset.")] = "UTC",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 when anything is not accepted as it is.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Directory for the tables, new or empty.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge trades that were cleared elsewhere: accepted, curtailed or rejected, and by which limit.

    Examples
    --------
      gridsettle validate --net feeder.json --trades trades.csv

      gridsettle validate --net feeder.json --trades trades.csv --profiles base.csv --strict --out judged
    """
    from cosim.cli.terminal import compiling_is_told
    from cosim.results.folders import check_empty, make_folder
    from cosim.validation.files import read_base, read_placement, write_validation
    from cosim.validation.validate import validate as validate_trades
    from data.trades import read_trades
    from grid_models.feeder.named_nets import read_net

    with compiling_is_told(), bad_input_ends():
        if out is not None:
            make_folder(check_empty(out).parent)  # the tables come there all at once, or not at all
        found = validate_trades(
            read_net(net),
            read_trades(trades, timezone=timezone),
            None if profiles is None else read_base(profiles, interval_minutes, timezone),
            participants=None if participants is None else read_placement(participants),
            rule=rule,
            limits={
                "min_vm_pu": min_vm_pu,
                "max_vm_pu": max_vm_pu,
                "max_loading_percent": max_loading_percent,
            },
            pv={"control": pv_control, "cos_phi": cos_phi},
            keep_elements=keep_elements,
            interval_minutes=interval_minutes or 60,
            source=trades.name,
        )
        if out is not None:
            write_validation(found, out)
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        from cosim.cli.validate_screen import show_validation

        show_validation(found, out)
    if strict and not found.accepted:
        raise typer.Exit(ANSWER_IS_NO)


def hosting(
    scenario: Annotated[str, typer.Argument(help="TOML file or bundled scenario.")] = "default",
    intervals: Annotated[
        int, typer.Option(help="How many intervals must stay clean: those with most PV over load.")
    ] = 24,
    largest_kw: Annotated[float, typer.Option(help="Largest PV at a house that is looked for, kW.")] = 1000.0,
    out: Annotated[Path | None, typer.Option(help="CSV file for the table.")] = None,
    as_json: AsJson = False,
) -> None:
    """How much PV a feeder holds: scaled alike at every house, and at one house alone."""
    from cosim.cli.terminal import compiling_is_told
    from cosim.results.directory import write_whole
    from cosim.scenario.files import load_scenario
    from cosim.validation.hosting import scenario_hosting

    with compiling_is_told(), bad_input_ends():
        if intervals < 1 or not largest_kw > 0:
            fail(f"--intervals, --largest-kw: expected numbers above 0, got {intervals} and {largest_kw}")
        capacity = scenario_hosting(load_scenario(scenario), n_intervals=intervals, largest_kw=largest_kw)
        if out is not None:
            write_whole(out, capacity.houses.to_csv(index=False, lineterminator="\n"))
    if as_json:
        typer.echo(json.dumps(capacity.as_dict(), indent=2))
    else:
        from cosim.cli.validate_screen import show_hosting

        show_hosting(capacity, scenario)
