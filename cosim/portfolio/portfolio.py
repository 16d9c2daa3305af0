"""Run a portfolio: every feeder of an index a task, every finished row durable at once, one table at the end.

The table follows from the index alone: not from who runs which feeder, in what order, or how often it was interrupted.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.errors import ScenarioError
from cosim.interrupts.stop import stop_between_lines
from cosim.portfolio import DEFAULT_KEEP
from cosim.portfolio.entry import Entry, read_source
from cosim.portfolio.folders import WORKSPACE
from cosim.portfolio.heads import list_heads, sign_heads, write_heads
from cosim.portfolio.identity import INDEX, LOCK, Identity, check_begun, has_begun, hash_content, make_identity
from cosim.portfolio.index import read_index, sort_entries
from cosim.portfolio.keeping import RUNS, Keep, choose_kept, is_kept, parse_keep
from cosim.portfolio.medium_voltage.under import Under, check_no_buses, place_entries, with_heads
from cosim.portfolio.records import TIMINGS, Record, append_record, find_record_fault, open_records, read_records
from cosim.portfolio.row import FAILED, make_failed_row, make_rows_table
from cosim.portfolio.table import TABLE, read_bounded_table
from cosim.portfolio.task import Finished, NoRoomError, SentFile, Task, describe_unforeseen, run_feeder
from cosim.results.directory import make_parquet_options, replace_when_whole
from cosim.results.folders import make_folder
from cosim.scenario.messages import shorten
from cosim.scenario.model import Scenario
from cosim.simulation.version import find_version
from cosim.studies.workers import (
    Answer,
    ClusterLostError,
    WorkerEndedError,
    answer_on_cluster,
    answer_on_processes,
)
from market.cores import count_usable_cores
from market.ledger.durable import write_durably
from market.ledger.store.store import lock_for_writing

logger = logging.getLogger(__name__)

TIMING = "timing.parquet"

Listener = Callable[[int, int], None]
"""Called with (done, in all) at the begin, when the row of a feeder is durable, then after each run that is kept."""


class HeadDiffersError(RuntimeError):
    """A feeder that was run twice has two ledger heads: a defect, or workers that are not alike."""


@dataclass(frozen=True, eq=False)
class Portfolio:
    """A portfolio that was run.

    Attributes
    ----------
    directory
        Its folder.
    table
        A row a feeder by name, see `cosim.portfolio.row.SCHEMA`.
    taken_over
        Rows that `resume` took from the folder: they are believed, not computed here.
    """

    directory: Path
    table: pa.Table
    taken_over: int = 0

    @classmethod
    def load(cls, directory: str | Path) -> Portfolio:
        """A finished portfolio.

        Raises
        ------
        ScenarioError
            If the folder holds none.
        """
        return cls(Path(directory), read_bounded_table(Path(directory) / TABLE))

    @property
    def feeders(self) -> pd.DataFrame:
        """The table as a frame, by the name of the feeder."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame.set_index("feeder")

    @property
    def failed(self) -> dict[str, str]:
        """Why feeders failed, by their names."""
        rows = self.table.select(("feeder", "status", "message")).to_pylist()
        return {row["feeder"]: row["message"] for row in rows if row["status"] == FAILED}


@stop_between_lines()
def run_portfolio(
    index: str | Path | Sequence[Entry],
    out: str | Path,
    *,
    scenario: Scenario | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    keep: str = DEFAULT_KEEP,
    hosting: bool = False,
    key: Ed25519PrivateKey | None = None,
    mv: Any = None,
    listener: Listener | None = None,
) -> Portfolio:
    """Run every feeder of an index, on the cores of this machine or a Dask cluster.

    Parameters
    ----------
    index
        CSV or Parquet with a row a feeder, a folder with a file a feeder, or entries that were made.
    out
        Folder of the portfolio, new or empty.
    scenario
        What feeders have that have no scenario of their own; the default scenario if left out.
    scheduler
        Address of a Dask scheduler, e.g. tcp://10.0.0.1:8786, whose workers run the feeders.
    workers
        Processes of this machine; as many as it has cores if left out.
    resume
        Go on with the interrupted portfolio in `out`; ends with the same table as an undisturbed one.
    keep
        Whose runs are kept in `runs`, with their reports: `all`, `none`, or `worst 20`: those with most energy cut,
        then with the highest loading, then by name.
    hosting
        Whether the hosting capacity of each feeder is wanted too.
    key
        Private key that signs the checkpoint over all heads; the demonstration key if left out.
    mv
        A medium-voltage net that all feeders hang on, or its path; their entries or rows name their buses (`mv_bus`).
    listener
        Called with how many runs are done and how many there are in all, at the begin and after every run. Feeders
        that are kept are run again after all others; then the number in all grows by theirs.

    Raises
    ------
    ScenarioError
        If the index, the folder or the scheduler cannot be used, or the disk is full. A feeder that fails is a row.
    HeadDiffersError
        If a feeder that is kept runs to another ledger head than before: a defect, never the input's fault.
    """
    kept = parse_keep(keep)
    if kept.every and scheduler is not None:
        raise ScenarioError(
            "--keep all: expected processes of this machine, which write where the command does, got --scheduler; "
            "choose 'worst 20', or no scheduler"
        )
    entries = (
        read_index(Path(index), scenario or Scenario())
        if isinstance(index, str | Path)
        else sort_entries(index, "entries")
    )
    directory = Path(out).absolute()
    has_begun(directory, resume=resume)
    under = _place_under(entries, mv, hosting=hosting)
    given = make_identity(entries, hosting=hosting, mv=under.digest() if under else "")
    check_begun(directory, given, resume=resume)
    make_folder(directory)
    with (
        closing(lock_for_writing(directory / Path(LOCK).stem)),
        _say_how_to_go_on(directory),
    ):
        begun = check_begun(directory, given, resume=resume)  # again: another command may have ended meanwhile
        identity = make_identity(with_heads(under, directory), hosting=hosting, mv=under.digest()) if under else given
        del under  # all its feeders, which are not needed any more
        if not begun:
            write_durably(directory / INDEX, json.dumps(given.as_dict(), indent=2) + "\n")
        with _make_workspace(directory):
            start = _Starter(directory, identity, scheduler, workers or count_usable_cores(), hosting)
            records = _read_standing(start)
            taken_over = len(records)
            _run_missing(start, records, kept, listener)
            table = make_rows_table(record.row for record in records.values())
            _write_parquet(directory / TABLE, table)
            write_heads(directory, sign_heads(list_heads(table.to_pylist()), given.digest(), key))
            timings = sorted(
                (record.timing for record in records.values() if record.timing), key=lambda each: each["feeder"]
            )
            _write_parquet(directory / TIMING, pa.Table.from_pylist(timings, TIMINGS))
            _keep_runs(start, table.to_pylist(), kept, listener)
    return Portfolio(directory, table, taken_over)


def _place_under(entries: list[Entry], mv: Any, *, hosting: bool) -> Under | None:
    """The entries under a medium-voltage net; None where there is none."""
    if mv is None:
        check_no_buses(entries)
        return None
    if hosting:
        raise ScenarioError(
            "--hosting: expected feeders by themselves, got --mv, under which the room of one depends on all others; "
            "leave one of the two out"
        )
    return place_entries(entries, mv)


@dataclass(frozen=True)
class _Starter:
    """Where and how feeders are run."""

    directory: Path
    identity: Identity
    scheduler: str | None
    workers: int
    hosting: bool

    def answer(self, entries: Sequence[Entry], *, keep: bool) -> Generator[Answer[Finished], None, None]:
        """Answers of the workers, as they come; runs that are kept are of this machine's processes."""
        if self.scheduler is not None and not keep:
            return answer_on_cluster(run_feeder, self._list_tasks(entries, None), self.scheduler)
        tasks = self._list_tasks(entries, self.directory / WORKSPACE, keep=keep)
        return answer_on_processes(run_feeder, tasks, self.workers)

    def _list_tasks(self, entries: Iterable[Entry], workspace: Path | None, *, keep: bool = False) -> Iterator[Task]:
        """Tasks of entries, with what their files hold: they are read as each is taken."""
        for entry in entries:
            if entry.scenario is not None:
                files = tuple(self._read_files(entry))
                to = self.directory / RUNS / entry.name if keep else None
                yield Task(
                    entry.name, entry.scenario, files, entry.houses_at_loads, self.hosting and not keep, workspace, to
                )

    def _read_files(self, entry: Entry) -> Iterator[SentFile]:
        for source in entry.sources:
            content = read_source(source)
            if hash_content(content) != self.identity.hashes[entry.name][source.key]:
                raise ScenarioError(
                    f"feeder '{entry.name}', {source.shown}: expected the file as it was when the command began, got "
                    "another; put it back"
                )
            yield SentFile(source.key, source.path.name, source.shown, content)


def _read_standing(start: _Starter) -> dict[str, Record]:
    """Records of rows that stand, by the names of feeders."""
    found, digests = read_records(start.directory), start.identity.digests
    return {name: record for name, record in found.items() if digests.get(name) == record.digest}


def _run_missing(start: _Starter, records: dict[str, Record], keep: Keep, listener: Listener | None) -> None:
    """Run what has no row that stands; `records` are of all feeders then."""
    digests, entries = start.identity.digests, start.identity.entries
    missing = [entry for entry in entries if entry.name not in records]
    if listener is not None:
        listener(len(records), len(entries))
    with open_records(start.directory, records) as file:

        def finish(record: Record) -> None:
            append_record(file, record)
            records[record.row["feeder"]] = record
            if listener is not None:
                listener(len(records), len(entries))

        for entry in missing:
            if entry.scenario is None:
                finish(Record(digests[entry.name], make_failed_row(entry.name, entry.refused), {}))
        to_run = [entry for entry in missing if entry.scenario is not None]
        with closing(start.answer(to_run, keep=keep.every)) as answers:
            for answer in answers:
                finish(_make_record(to_run[answer.place].name, answer, digests))


def _make_record(name: str, answer: Answer[Finished], digests: dict[str, str]) -> Record:
    """Record of an answer; one whose row may be another on another machine is tried again by `--resume`.

    Raises
    ------
    ScenarioError
        If it is not the feeder that failed: a disk is full, or a worker is of another version.
    """
    if isinstance(answer.error, WorkerEndedError):
        message = (
            f"expected an answer, got none: {answer.error}; it may need more memory than there is, or end its process: "
            "run it by itself, or go on with --resume"
        )
        return Record("", make_failed_row(name, message), {})
    if isinstance(answer.error, ImportError):
        raise ScenarioError(
            f"--scheduler: expected workers that have gridsettle, got one with {answer.error}; install it"
        )
    if answer.error is not None and not isinstance(answer.error, ScenarioError):
        return Record("", make_failed_row(name, describe_unforeseen(answer.error)), {})
    return _check_answer(name, answer.get(), digests)


def _check_answer(name: str, found: object, digests: dict[str, str]) -> Record:
    """Record of what a worker answered: whoever can reach a scheduler can be a worker, and answer anything.

    Raises
    ------
    ScenarioError
        If it is of another version.
    """
    if not isinstance(found, Finished):
        return _refuse_answer(name, "no row")
    if found.version != find_version("gridsettle"):
        where = found.timing.get("worker") if isinstance(found.timing, dict) else None
        raise ScenarioError(
            f"worker {shorten(where)}: expected gridsettle {find_version('gridsettle')}, as here, got "
            f"{shorten(found.version)}; install the same"
        )
    record = Record(digests[name] if found.stands is True else "", found.row, found.timing)
    if fault := find_record_fault(record):
        return _refuse_answer(name, fault)
    if {record.row["feeder"], record.timing.get("feeder", "")} != {name}:
        return _refuse_answer(name, "that of another feeder")
    logger.info("feeder %s: %s in %.1f s", name, record.row["status"], record.timing["seconds"] or 0.0)
    return record


def _refuse_answer(name: str, got: str) -> Record:
    message = f"expected a row of this feeder from its worker, got {got}; mend the worker, and go on with --resume"
    return Record("", make_failed_row(name, message), {})


def _keep_runs(start: _Starter, rows: list[dict[str, Any]], keep: Keep, listener: Listener | None) -> None:
    """Have the chosen feeders run again where their runs are not there yet, and compare their heads."""
    heads = {row["feeder"]: row["head"] for row in rows}
    chosen = {name for name in choose_kept(rows, keep) if not is_kept(start.directory, name, heads[name])}
    entries = [entry for entry in start.identity.entries if entry.name in chosen]
    if not entries:
        return
    logger.info("keeping the runs of %d feeders", len(entries))
    make_folder(start.directory / RUNS)
    with closing(start.answer(entries, keep=True)) as answers:
        for done, answer in enumerate(answers, start=1):
            name, row = entries[answer.place].name, answer.get().row
            if row["head"] != heads[name]:
                got = row["head"] or row["message"]
                raise HeadDiffersError(f"feeder '{name}': expected ledger head {heads[name]} again, got {got}")
            if listener is not None:
                listener(len(rows) + done, len(rows) + len(entries))


def _write_parquet(path: Path, table: pa.Table) -> None:
    with replace_when_whole(path) as temporary:
        pq.write_table(table, temporary, **make_parquet_options(table.schema))


@contextmanager
def _make_workspace(directory: Path) -> Iterator[None]:
    """A folder for runs that are under way; what a killed command left in it is removed."""
    workspace = directory / WORKSPACE
    shutil.rmtree(workspace, ignore_errors=True)
    make_folder(workspace)
    try:
        yield
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


@contextmanager
def _say_how_to_go_on(directory: Path) -> Iterator[None]:
    """End messages about what is not the index's fault by how to go on."""
    how = f"then go on with --resume --out {directory}"
    try:
        yield
    except ClusterLostError as reason:
        raise ScenarioError(
            f"--scheduler: expected the connection to the Dask scheduler to hold, it is lost; start one, {how}"
        ) from reason
    except NoRoomError as reason:
        raise ScenarioError(f"{reason}, {how}") from reason
    except OSError as reason:
        raise ScenarioError(
            f"{reason.filename or directory}: expected a file that can be written, got {reason.strerror or reason}; "
            f"make room or mend the disk, {how}"
        ) from reason
