"""Run a scenario: fold over its intervals, record what is final, and summarise it."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandas as pd
import pyarrow as pa

from cosim.case.case import Case, build_case
from cosim.case.checks import check_memory
from cosim.case.frames import take_frames
from cosim.case.kept import keep_inputs
from cosim.case.memory import Keeps
from cosim.case.tariff import summarise_tariff
from cosim.curtailment.feasible import Outcome
from cosim.interrupts.stop import stop_between_lines
from cosim.interval.chunk import Chunk, group_chunks
from cosim.interval.fold import run_intervals, scale_by_houses
from cosim.recording.acts import run_with_acts
from cosim.recording.recorder import Recorder, open_recorder
from cosim.results.applied_limits import list_limits
from cosim.results.background import measure_background
from cosim.results.battery_wear import WEAR_TABLE, make_wear_table
from cosim.results.binding import measure_curtailed
from cosim.results.charges import list_charge_tables, make_charge_tables, summarise_charges
from cosim.results.contract_power import (
    CONTRACT_TABLE,
    has_contracts,
    make_contract_table,
    summarise_contracts,
)
from cosim.results.directory import (
    check_directory,
    has_ledger,
    prepare_directory,
    write_json,
    write_table,
    write_whole,
)
from cosim.results.energy_balance import make_energy_balance_table
from cosim.results.envelopes import list_envelope_tables, make_envelope_tables, summarise_envelopes
from cosim.results.fairness import make_curtailed_by_house_table
from cosim.results.flexible import list_flexible_tables, make_flexible_tables, summarise_flexible
from cosim.results.fuel_cells import (
    FUEL_CELL_SUMMED,
    FUEL_CELL_TABLE,
    has_fuel_cells,
    make_fuel_cells_table,
    summarise_fuel_cells,
)
from cosim.results.integrity import FILES, MANIFEST, SUMMARY, hash_files
from cosim.results.outage_devices import measure_outage_devices
from cosim.results.outages import OUTAGE_INTERVALS, OUTAGE_TABLES, has_events, make_outage_tables
from cosim.results.parts import join_parts, read_parts, remove_parts, write_parts
from cosim.results.phases import PHASES_TABLE, make_phases_table
from cosim.results.private_files import CLEAR, explain_clear, write_for_owner
from cosim.results.resilience import (
    find_spells,
    find_times_without_grid,
    make_resilience_table,
    measure_resilience,
    price_lost_load,
)
from cosim.results.result import NETWORK_FILE, TABLES, Result
from cosim.results.summary import BACKGROUND_COLUMNS, background_kwh, summarise
from cosim.results.sums import (
    Parts,
    find_curtailed_exchanges,
    read_whole,
    sum_exchanges,
    sum_meters,
)
from cosim.results.tables import interval_times, make_chunk_tables, make_curtailment_table
from cosim.results.transformer import measure_transformer
from cosim.results.voltage_control import list_tap_columns, summarise_voltage_control
from cosim.results.voltage_statement import (
    STATEMENT_TABLE,
    make_statement,
    make_statement_table,
    summarise_statement,
)
from cosim.scenario.files import format_toml
from cosim.scenario.model import Scenario
from cosim.simulation.agreement import choose_sample, measure_agreement
from cosim.simulation.compile_ahead import compile_meanwhile
from cosim.simulation.resume import check_repeated, is_finished, list_files, must_repeat, name_run
from cosim.simulation.served import Served, is_served, read_served
from cosim.simulation.version import find_version
from data.profiles import Profiles

logger = logging.getLogger(__name__)

INTERVAL_COLUMNS = ("time", "outcome", "power_flows", "p_grid_kw")
GROUP = 4096
"""Intervals per group commit: ledger and tables are made durable together; fewer where there are many houses."""


class Progress(NamedTuple):
    """How far a run is.

    Attributes
    ----------
    done, total
        Intervals.
    curtailed
        Intervals whose exchanges the network could not carry as cleared.
    """

    done: int
    total: int
    curtailed: int


Listener = Callable[[Progress], None]

Recorded = Callable[[int], None]
"""Called with the number of blocks once they are durable."""


@stop_between_lines()
def run(
    scenario: Scenario,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    profiles: pd.DataFrame | None = None,
    houses: pd.DataFrame | None = None,
    recorded: Recorded | None = None,
) -> Result:
    """Run a scenario.

    Parameters
    ----------
    scenario
        What to simulate.
    out
        Run directory, new or empty. Without one the run stays in memory and writes no ledger.
    resume
        Go on with the interrupted run in `out`; ends with the same ledger head as an undisturbed run. Tables whose
        parts are damaged, and those of a finished run that are missing, are made again.
    listener
        Called after every chunk of intervals.
    profiles, houses
        Load, generation and prices, and the table of participants, as DataFrames in the layouts of their files. The
        run directory keeps both, so that it can be made again; a private one keeps no profiles.
    recorded
        Called with the number of blocks on the ledger, once they are durable: after every group of intervals.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    ConservationError, EngineDisagreementError
        If an identity fails or the fast engine departs from pandapower: defects, never the input's fault.

    Examples
    --------
    >>> result = run(Scenario().with_changes(horizon={"hours": 24}))
    >>> result.summary["network"]["intervals"]
    24
    """
    scenario, given = take_frames(scenario, profiles, houses)
    with compile_meanwhile(scenario.network.model), write_for_owner(scenario.ledger.private):
        if out is None:
            return run_in_memory(scenario, given, listener)
        return _run_into(Path(out), scenario, given, resume=resume, listener=listener, recorded=recorded)


def _run_into(
    directory: Path,
    scenario: Scenario,
    given: Profiles | None,
    *,
    resume: bool,
    listener: Listener | None,
    recorded: Recorded | None,
) -> Result:
    check_directory(directory, resume=resume)
    case = build_case(scenario, given)  # before anything is written: input that cannot be used leaves no trace
    prepare_directory(directory, resume=resume)
    with open_recorder(case, directory, resume=has_ledger(directory)) as recorder:
        head = recorder.head()
        served = read_served(recorder, directory) if is_served(directory) else None
        ended = case if served is None else served.ended
        finished = recorder.next_interval == case.n_intervals and is_finished(directory, list_all_tables(ended))
        if not finished and served is not None:
            _make_tables_of_served(recorder, directory, served)
        elif not finished:
            _record_all(recorder, directory, listener, recorded)
            head = recorder.head()
        manifest = {**make_manifest(case, head), **recorder.name_digests()}
    if finished:
        remove_parts(directory)
        return Result.load(directory)
    with join_parts(directory, list_tables(ended)):
        summary, derived = sum_up(ended, partial(read_parts, directory))
        for name, table in derived.items():
            write_table(directory, name, table)
    write_inputs(case, directory)
    write_json(directory / SUMMARY, summary := {**summary, "ledger": head})
    hashes = hash_files(directory, list_files(list_all_tables(ended)))
    clear = {CLEAR: explain_clear(hashes)} if scenario.ledger.private else {}
    write_json(directory / MANIFEST, {**manifest, **clear, FILES: hashes})
    remove_parts(directory)
    return Result(case.scenario, summary, directory, {}, case.feeder.net)


def _record_all(recorder: Recorder, directory: Path, listener: Listener | None, recorded: Recorded | None) -> None:
    """Run and record what the ledger has not, once the parts of what it has are known to be whole."""
    case, done = recorder.case, recorder.next_interval
    size = scale_by_houses(GROUP, case)
    if must_repeat(recorder, directory, list_tables(case)):
        stream = run_intervals(case, case.opening, stop=done)
        groups = group_chunks(_notify(stream, case, listener), size)
        for group in check_repeated(recorder, groups, directory):
            _write_group(recorder, directory, group)
    stream = run_intervals(case, recorder.state, done, recorder.network)
    for group in group_chunks(_notify(stream, case, listener), size):
        _write_group(recorder, directory, group)
        recorder.record(group)
        if recorded is not None:
            recorded(recorder.ledger.head().height + 1)
        logger.info("%d of %d intervals done", group[-1].stop, case.n_intervals)


def _make_tables_of_served(recorder: Recorder, directory: Path, served: Served) -> None:
    """Make the tables of a run that people took part in, once all of its intervals are on the ledger."""
    case, acts, ended = served
    if must_repeat(recorder, directory, list_tables(ended), served=True):
        for step in run_with_acts(case, acts, scale_by_houses(GROUP, case)):
            for group in check_repeated(recorder, iter([step.group] if step.group else []), directory):
                _write_group(recorder, directory, group, step.case, ended)


def _write_group(
    recorder: Recorder, directory: Path, group: list[Chunk], case: Case | None = None, ended: Case | None = None
) -> None:
    tables = _join_tables(make_tables(case or recorder.case, chunk, ended) for chunk in group)
    write_parts(directory, group[0].first, group[-1].stop, tables, name_run(recorder))


def run_in_memory(scenario: Scenario, given: Profiles | None = None, listener: Listener | None = None) -> Result:
    """`run` without a run directory; its profiles may be given."""
    case = build_case(scenario, given)
    check_memory(case.profiles.n_participants, case.n_intervals, keeps=Keeps.TABLES)
    stream = _notify(run_intervals(case, case.opening), case, listener)
    tables = _join_tables(make_tables(case, chunk) for group in group_chunks(stream, GROUP) for chunk in group)
    summary, derived = sum_up(case, lambda name, columns: iter([tables[name].select(columns)]))
    return Result(scenario, summary, None, {**tables, **derived}, case.feeder.net)


def sum_up(case: Case, parts: Parts) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Summary of a run, and the tables that follow from those that its intervals made."""
    rule = case.scenario.curtailment.rule
    intervals = read_whole(parts, "intervals", (*INTERVAL_COLUMNS, *list_tap_columns(case)))
    exchanges = sum_exchanges(parts, volt_watt=case.active is not None)
    unbalanced = case.feeder.connections is not None
    curtailed = find_curtailed_exchanges(parts, unbalanced=unbalanced)
    times = intervals["time"].take(pa.array(choose_sample(case))).combine_chunks()
    outages = OUTAGE_INTERVALS.empty_table()
    if has_events(case):
        outages = read_whole(parts, "outage_intervals", OUTAGE_INTERVALS.names)
        times = pa.concat_arrays([times, find_times_without_grid(outages)])
    meters, rows = sum_meters(parts, case.profiles.n_participants, times)
    derived = {
        "curtailment": make_curtailment_table(curtailed, rule),
        "curtailed_by_house": make_curtailed_by_house_table(exchanges, rule),
        WEAR_TABLE: make_wear_table(case, meters),
    }
    if unbalanced:
        derived[PHASES_TABLE] = make_phases_table(case)
    if has_contracts(case):
        derived[CONTRACT_TABLE] = make_contract_table(case, parts)
    by_house = derived["curtailed_by_house"]
    made = exchanges, curtailed, meters, by_house
    four_wires = case.scenario.network.model == "four_wire"
    found = summarise(parts, intervals, *made, unbalanced=unbalanced, four_wires=four_wires)
    cut, net = derived["curtailment"].to_pandas(), case.feeder.net
    found["curtailed"] = measure_curtailed(cut, exchanges, net, case.interval_minutes / 60.0)
    found["transformer"] = measure_transformer(net, intervals)
    if not case.feeder.background.is_empty:
        found["energy_kwh"] |= background_kwh(read_whole(parts, "energy_balance", BACKGROUND_COLUMNS))
    if has_events(case):
        share, minutes = case.scenario.community.critical_share, case.interval_minutes
        end = interval_times(case, np.array([case.n_intervals]))[0].as_py()
        devices = measure_outage_devices(case, parts, find_spells(outages, minutes))
        of_all = devices[0] if devices else {}
        value, metrics = (
            case.scenario.outage.lost_load_eur_per_kwh,
            measure_resilience(outages, rows, share, minutes, end),
        )
        found["resilience"] = {**metrics, **price_lost_load(metrics, value), **of_all}
        derived["resilience"] = make_resilience_table(outages, rows, share, minutes, end, devices, value)
    statement = make_statement(case, parts, outages)
    derived[STATEMENT_TABLE] = make_statement_table(statement)
    found |= summarise_statement(statement, derived[STATEMENT_TABLE])
    if has_fuel_cells(case):
        found["fuel_cells"] = summarise_fuel_cells(read_whole(parts, FUEL_CELL_TABLE, FUEL_CELL_SUMMED))
    found |= summarise_flexible(case, parts)
    found |= summarise_voltage_control(case, parts)
    found |= summarise_envelopes(case, parts)
    found |= summarise_charges(case, parts, exchanges)
    if case.scenario.tariff.bands:
        found["tariff"] = summarise_tariff(case.scenario, case.profiles)
    if CONTRACT_TABLE in derived:
        found[CONTRACT_TABLE] = summarise_contracts(derived[CONTRACT_TABLE])
    found["limits"] = list_limits(case.limits)
    if case.feeder.notes:
        found["network"]["notes"] = list(case.feeder.notes)
    if said := case.profiles.provenance.get("notes"):
        found["notes"] = str(said).split(" | ")
    return {**found, "agreement": measure_agreement(case, intervals, rows)}, derived


def list_tables(case: Case) -> tuple[str, ...]:
    """Names of the tables that a run writes part by part; those of events and devices only where there are any."""
    outages = OUTAGE_TABLES if has_events(case) else ()
    cells = (FUEL_CELL_TABLE,) if has_fuel_cells(case) else ()
    optional = (*list_flexible_tables(case), *list_envelope_tables(case), *list_charge_tables(case))
    return (*TABLES, "energy_balance", *outages, *cells, *optional)


def list_all_tables(case: Case) -> tuple[str, ...]:
    """Names of all tables of a run, also of those that follow from the others."""
    phases = () if case.feeder.connections is None else (PHASES_TABLE,)
    outages = ("resilience",) if has_events(case) else ()
    contracts = (CONTRACT_TABLE,) if has_contracts(case) else ()
    derived = ("curtailment", "curtailed_by_house", WEAR_TABLE, STATEMENT_TABLE)
    return (*list_tables(case), *derived, *phases, *outages, *contracts)


def make_tables(case: Case, chunk: Chunk, ended: Case | None = None) -> dict[str, pa.Table]:
    """All tables of a chunk; `ended` is the case at the end of the run, where people change it meanwhile."""
    ended = ended or case
    with_outages = has_events(ended)
    outages = make_outage_tables(case, chunk) if with_outages else {}
    cells = {FUEL_CELL_TABLE: make_fuel_cells_table(case, chunk)} if has_fuel_cells(ended) else {}
    found = make_chunk_tables(case, chunk)
    balance = make_energy_balance_table(found["houses"], found["exchanges"], measure_background(case, chunk))
    devices = make_flexible_tables(case, chunk, with_outages=with_outages)
    optional = {**make_envelope_tables(case, chunk), **make_charge_tables(case, chunk)}
    return {**found, "energy_balance": balance, **outages, **cells, **devices, **optional}


def write_inputs(case: Case, directory: Path) -> None:
    """Write the scenario with every default filled in, the network, and inputs from files into the run directory."""
    write_whole(directory / "scenario.toml", format_toml(case.scenario))
    write_whole(directory / NETWORK_FILE, pp.to_json(case.feeder.net))
    keep_inputs(case, directory)


def make_manifest(case: Case, head: dict[str, Any]) -> dict[str, Any]:
    """What it takes to repeat a run: versions, hashes, limits, ledger head."""
    return {
        "gridsettle": find_version("gridsettle"),
        "python": platform.python_version(),
        "libraries": {name: find_version(name) for name in ("pandapower", "numpy", "scipy", "numba")},
        "network_sha256": case.feeder.digest().hex(),
        "profiles": dict(case.profiles.provenance),
        "network_notes": list(case.feeder.notes),
        "power_flow": case.engine.refusal or "fast engine",
        "limits": case.scenario.limits.model_dump(),
        "ledger": head,
    }


_CUT = (Outcome.CURTAILED, Outcome.SHED, Outcome.DE_ENERGISED)


def _notify(stream: Iterator[Chunk], case: Case, listener: Listener | None) -> Iterator[Chunk]:
    curtailed = 0
    for chunk in stream:
        cut = int(np.isin(chunk.outcome, _CUT).sum())
        curtailed += cut
        logger.debug("intervals %d to %d: %d curtailed", chunk.first, chunk.stop - 1, cut)
        if listener is not None:
            listener(Progress(chunk.stop, case.n_intervals, curtailed))
        yield chunk


def _join_tables(parts: Iterable[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    listed = list(parts)
    return {name: pa.concat_tables([part[name] for part in listed]).unify_dictionaries() for name in listed[0]}
