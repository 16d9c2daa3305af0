"""The command `gridsettle envelope`: for each customer and interval a range of power that the wires will carry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail
from cosim.cli.options import SummaryAsJson
from cosim.cli.validate import NetFile, ParticipantsFile
from cosim.report.figures import envelopes as bands
from cosim.results import folders
from cosim.studies import figures
from cosim.validation import csip as csip_files
from cosim.validation import envelope_files, envelopes, files
from grid_models.feeder import net_file
from market import cores


def envelope(
    net: NetFile,
    customers: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet: participant, most_export_kw, most_import_kw of those who take part. "
            "Default: all participants, else all loads of the net that have a name."
        ),
    ] = None,
    connection_kw: Annotated[
        float | None,
        typer.Option(help="What every connection can do either way, kW, without --customers. Default: 30."),
    ] = None,
    profiles: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: load and PV of all others. Default: they do nothing.")
    ] = None,
    participants: ParticipantsFile = None,
    rule: Annotated[
        str, typer.Option(help="equal, proportional (to what connections can do), max_total or max_min.")
    ] = "equal",
    head_vm_pu: Annotated[
        str | None,
        typer.Option(help="Lowest and highest voltage of the external grid, e.g. 0.98,1.03. Default: that of the net."),
    ] = None,
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
        str, typer.Option(help="balanced, three_phase or four_wire, as of gridsettle validate.")
    ] = "balanced",
    max_vuf_percent: Annotated[
        float | None, typer.Option(help="Largest voltage unbalance, %, unless balanced. Default: 2 (EN 50160).")
    ] = None,
    zero_sequence: Annotated[
        str | None,
        typer.Option(help="What a net lacks unless balanced, e.g. r0_over_r1=4,x0_over_x1=4,c0_over_c1=1."),
    ] = None,
    load_cos_phi: Annotated[
        float | None, typer.Option(help="Power factor of the loads of all others. Default: that in the net.")
    ] = None,
    keep_elements: Annotated[
        bool, typer.Option("--keep-elements", help="Keep the net's own loads and generators.")
    ] = False,
    timezone: Annotated[str, typer.Option(help="Clock of times without an offset.")] = "UTC",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, for 1,000 intervals or more. Default: one per core."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 when an interval has no envelope that is safe.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File for the table: .csv or .parquet.")] = None,
    csip: Annotated[
        Path | None,
        typer.Option(help="Folder for IEEE 2030.5 / CSIP-AUS controls, new or empty: one XML a customer."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="HTML page: the ranges over the day, a picture for each customer.")
    ] = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Operating envelopes: for each customer a range of power in which any combination is safe, judged by AC."""
    with progress.tell_compiling(), bad_input_ends():
        if out is not None:
            folders.make_folder(envelope_files.check_ending(out).parent)
        if figure is not None:
            folders.make_folder(envelope_files.check_page(figure, profiles).parent)
        if csip is not None:
            if profiles is None:
                fail("--csip: expected --profiles, whose times the controls are for, got none; give them")
            folders.make_folder(folders.check_empty(csip, "--csip").parent)
        placement = None if participants is None else files.read_placement(participants, model)
        base = None if profiles is None else files.read_base(profiles, None, timezone)
        given = net_file.read_net(net)
        wanted = min_vm_pu, max_vm_pu, max_loading_percent, max_vuf_percent, None
        found = envelopes.find_operating_envelopes(
            given,
            envelope_files.choose_customers(customers, connection_kw, placement, base, given),
            base,
            participants=None if placement is None else placement.buses,
            rule=rule,
            limits=files.choose_limits(*wanted, override=override_limits),
            head_vm_pu=envelope_files.read_heads(head_vm_pu),
            load_cos_phi=files.choose_power_factors(load_cos_phi, placement),
            keep_elements=keep_elements,
            model=model,
            phases=None if placement is None else placement.phases,
            zero_sequence=files.choose_zero_sequence(zero_sequence),
            workers=workers or cores.count_usable_cores(),
        )
        if out is not None:
            envelope_files.write_table(found.table, out)
        if figure is not None:
            page = figures.make_page(bands.draw_envelopes(found.table, rule, timezone))
            envelope_files.write_page(page, figure)
        if csip is not None and base is not None:
            csip_files.write_csip(found.table, base.interval_minutes, csip)
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        terminal.show_envelopes(found, [path for path in (out, figure, csip) if path is not None])
    if strict and len(found.failing):
        raise typer.Exit(ANSWER_IS_NO)
