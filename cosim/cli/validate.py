"""The command `gridsettle validate`: trades that were cleared elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends
from cosim.cli.options import SummaryAsJson
from cosim.results import folders
from cosim.validation import files
from cosim.validation import validate as validation
from data import trades as trade_files
from grid_models.feeder import net_file

NetFile = Annotated[Path, typer.Option("--net", help="pandapower JSON of the network.")]
TradesFile = Annotated[
    Path, typer.Option("--trades", help="CSV or Parquet: time, seller, buyer, energy_kwh, price_eur_per_kwh.")
]
ParticipantsFile = Annotated[
    Path | None,
    typer.Option(
        help="CSV participant,bus, perhaps phase. Default: a participant is the name of a load of the net, else a bus."
    ),
]
ProfilesFile = Annotated[
    Path | None,
    typer.Option(help="CSV or Parquet: load and PV of each participant. Default: the trades alone."),
]


def validate(
    net: NetFile,
    trades: TradesFile,
    participants: ParticipantsFile = None,
    profiles: ProfilesFile = None,
    rule: Annotated[
        str, typer.Option(help="least_curtailment, pro_rata, lifo, max_min or reject.")
    ] = "least_curtailment",
    min_vm_pu: Annotated[
        float | None, typer.Option(help="Lowest voltage, pu. Default: that in the net, else 0.90 (EN 50160).")
    ] = None,
    max_vm_pu: Annotated[
        float | None, typer.Option(help="Highest voltage, pu. Default: that in the net, else 1.10 (EN 50160).")
    ] = None,
    max_loading_percent: Annotated[
        float | None, typer.Option(help="Highest loading of a branch, %. Default: that in the net, else 100.")
    ] = None,
    override_limits: Annotated[
        bool,
        typer.Option("--override-limits", help="These limits hold instead of the net's own, not the stricter of both."),
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            help="balanced; three_phase: each phase by itself, the neutral earthed everywhere; four_wire: with neutral."
        ),
    ] = "balanced",
    max_vuf_percent: Annotated[
        float | None, typer.Option(help="Largest voltage unbalance, %, unless balanced. Default: 2 (EN 50160).")
    ] = None,
    max_neutral_to_earth_v: Annotated[
        float | None, typer.Option(help="Largest voltage of the neutral of four wires, V. Default: not judged.")
    ] = None,
    star_earth_ohm: Annotated[
        float | None,
        typer.Option(help="Earth of star points, 0.001 to 10,000 ohm, of four wires. Default: 1."),
    ] = None,
    house_earth_ohm: Annotated[
        float | None,
        typer.Option(help="Earth of the neutral at every participant, ohm, four wires. Default: none."),
    ] = None,
    zero_sequence: Annotated[
        str | None,
        typer.Option(
            help="What a net lacks unless balanced, e.g. r0_over_r1=4,x0_over_x1=4,c0_over_c1=1 of four-core cables."
        ),
    ] = None,
    pv_control: Annotated[
        str, typer.Option(help="Reactive power of PV inverters: none, cos_phi or q_v (VDE-AR-N 4105).")
    ] = "none",
    cos_phi: Annotated[
        float | None, typer.Option(help="Power factor of --pv-control cos_phi, underexcited. Default: 0.95.")
    ] = None,
    load_cos_phi: Annotated[
        float | None,
        typer.Option(
            help="Power factor of the loads, negative: capacitive. Default: that of the net's own at the bus."
        ),
    ] = None,
    keep_elements: Annotated[
        bool, typer.Option("--keep-elements", help="Keep the net's own loads and generators.")
    ] = False,
    interval_minutes: Annotated[
        int | None,
        typer.Option(
            help="Length of an interval: 1, 5, 10, 15, 30 or 60. Default: as in the profiles, else as trades ask for."
        ),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Clock of times without an offset.")] = "UTC",
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="What comes first in dates like 03/04/2017, if none decides."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 when anything is not accepted as it is.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Directory for the tables, new or empty.")] = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Judge trades that were cleared elsewhere: accepted, curtailed or rejected, and by which limit.

    Examples
    --------
      gridsettle validate --net feeder.json --trades trades.csv

      gridsettle validate --net feeder.json --trades trades.csv --profiles base.csv --strict --out judged
    """
    with progress.tell_compiling(), bad_input_ends():
        if out is not None:
            folders.make_folder(folders.check_empty(out).parent)  # the tables come there all at once, or not at all
        placement = None if participants is None else files.read_placement(participants, model)
        wanted = min_vm_pu, max_vm_pu, max_loading_percent, max_vuf_percent, max_neutral_to_earth_v
        found = validation.validate(
            net_file.read_net(net),
            trade_files.read_trades(trades, timezone=timezone, day_first=day_first),
            None if profiles is None else files.read_base(profiles, interval_minutes, timezone, day_first),
            participants=None if placement is None else placement.buses,
            rule=rule,
            limits=files.choose_limits(*wanted, override=override_limits),
            pv=files.choose_control(pv_control, cos_phi),
            load_cos_phi=files.choose_power_factors(load_cos_phi, placement),
            keep_elements=keep_elements,
            model=model,
            phases=None if placement is None else placement.phases,
            zero_sequence=files.choose_zero_sequence(zero_sequence),
            earthing=files.choose_earthing(star_earth_ohm, house_earth_ohm),
            interval_minutes=interval_minutes,
            source=trades.name,
            notes=() if placement is None else placement.notes,
        )
        if out is not None:
            files.write_validation(found, out)
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        terminal.show_validation(found, out)
    if strict and not found.accepted:
        raise typer.Exit(ANSWER_IS_NO)
