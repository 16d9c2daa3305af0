"""A feeder as one task: run in a folder of its own that is removed, answered by its row.

The answer follows from the task alone, wherever it runs. The one exception are its times, which stand apart from the
row. A feeder that fails in any way answers by a row that says so; a disk that is full is nobody's fault but the
machine's, and raises.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from cosim.errors import ScenarioError
from cosim.portfolio.placement import with_houses_at_loads
from cosim.portfolio.row import make_failed_row, make_row
from cosim.results.directory import write_json, write_whole
from cosim.results.integrity import FILES, MANIFEST, hash_files, read_manifest
from cosim.results.result import Result
from cosim.scenario.files import format_toml, list_paths, load_scenario
from cosim.scenario.messages import shorten
from cosim.scenario.model import Scenario
from cosim.simulation.compile_ahead import compile_once
from cosim.simulation.simulate import run
from cosim.simulation.version import find_version
from cosim.validation.hosting import find_hosting
from data.errors import DataError
from grid_models.errors import GridError
from market.errors import MarketError
from market.ledger.format.checkpoint import checkpoint_path

resource = import_module("resource") if find_spec("resource") else None  # Windows has none

SCENARIO = "scenario.toml"
BAD_INPUT = (ScenarioError, DataError, GridError, MarketError)
LONGEST_MESSAGE = 600
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_ONE_AT_A_TIME = threading.Lock()
"""Workers of a cluster may have several threads; random generators of libraries and masks of files are of a process."""


class NoRoomError(ScenarioError):
    """The disk of the machine that runs a feeder takes no more; the feeder is not to blame."""


class SentFile(NamedTuple):
    """A file that a scenario reads: its key in the scenario, its name, what it is called in messages, its content."""

    key: str
    name: str
    shown: str
    content: bytes


class Task(NamedTuple):
    """A feeder to run.

    Attributes
    ----------
    name
        Of the feeder.
    scenario
        Its scenario; paths of files are those of `files`.
    files
        What the scenario reads.
    houses_at_loads
        Whether it has as many houses as its network has buses with loads.
    hosting
        Whether its hosting capacity is wanted too.
    workspace
        Where folders of runs are made; None: where the machine has temporary files.
    keep
        Folder that is to hold the run and its report; None: the run is removed.
    """

    name: str
    scenario: Scenario
    files: tuple[SentFile, ...] = ()
    houses_at_loads: bool = False
    hosting: bool = False
    workspace: Path | None = None
    keep: Path | None = None


class Finished(NamedTuple):
    """What became of a task.

    Attributes
    ----------
    row
        Of `cosim.portfolio.row`.
    stands
        Whether it would be the same elsewhere: so where the feeder ran, or its input is bad. What the machine lacked,
        and what nobody foresaw, may be otherwise next time.
    timing
        What differs between two runs: seconds, worker, memory.
    version
        Of the package that ran it.
    """

    row: dict[str, Any]
    stands: bool
    timing: dict[str, Any]
    version: str


def run_feeder(task: Task) -> Finished:
    """Run a feeder and answer by its row.

    Raises
    ------
    NoRoomError
        If the disk is full.
    """
    with _ONE_AT_A_TIME:
        compile_once(task.scenario.network.model)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        row, stands = _run_in_folder(task)
        timing = {
            "feeder": task.name,
            "seconds": time.perf_counter() - begin,
            "cpu_seconds": time.process_time() - begin_cpu,
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "peak_mib": _measure_peak_mib(),
        }
    return Finished(row, stands, timing, find_version("gridsettle"))


def _run_in_folder(task: Task) -> tuple[dict[str, Any], bool]:
    """Row of a task, and whether it stands."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="gridsettle-", dir=task.workspace))
    except OSError as reason:
        raise NoRoomError(
            f"{reason.filename}: expected a folder for a run, got {reason.strerror}; make room"
        ) from reason
    try:
        return _make_row_in(folder, task), True
    except Exception as reason:
        _check_room(reason)
        message = _describe(reason, folder, task)
        return make_failed_row(task.name, message), isinstance(reason, BAD_INPUT) and not _is_of_machine(reason)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_row_in(folder: Path, task: Task) -> dict[str, Any]:
    scenario = _unpack(folder, task)
    if task.houses_at_loads:
        scenario = with_houses_at_loads(scenario)
    result = run(scenario, folder / "run")
    hosting_kw = _measure_hosting_kw(result) if task.hosting else None
    row = make_row(task.name, result, hosting_kw=hosting_kw)
    if task.keep is not None:
        result.report()
        _name_given_files(folder / "run", task)
        _move_run(folder / "run", task.keep)
    return row


def _name_given_files(run: Path, task: Task) -> None:
    """Have the scenario of a kept run name the files that were given: those that it read go with the folder."""
    given, changes, path = list_paths(task.scenario), dict[str, Any](), run / SCENARIO
    for file in task.files:
        section, _, key = file.key.partition(".")
        changes.setdefault(section, {})[key] = given[file.key]
    if changes:
        write_whole(path, format_toml(load_scenario(path).with_changes(**changes)))
        manifest = read_manifest(run / MANIFEST)
        manifest[FILES] |= hash_files(run, [SCENARIO])
        write_json(run / MANIFEST, manifest)


def _move_run(run: Path, to: Path) -> None:
    """Move a run and the checkpoint beside it, the run last: where it is, all is."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.move(checkpoint_path(run), checkpoint_path(to))
    shutil.move(run, to)


def _unpack(folder: Path, task: Task) -> Scenario:
    """Write the files that a scenario reads, each where no other has its name, and let it read them."""
    changes: dict[str, Any] = {}
    for file in task.files:
        path = _place(folder, file)
        path.parent.mkdir(parents=True)
        path.write_bytes(file.content)
        section, _, key = file.key.partition(".")
        changes.setdefault(section, {})[key] = path
    return task.scenario.with_changes(**changes) if changes else task.scenario


def _place(folder: Path, file: SentFile) -> Path:
    return folder / "given" / file.key / file.name


def _measure_hosting_kw(result: Result) -> float:
    """Largest PV that the feeder holds, all houses scaled alike, kW: the factor times what is rated today."""
    hosting = find_hosting(result.scenario)
    hours = result.scenario.horizon.interval_minutes / 60.0
    rated_wh = result.table("houses", ("house", "pv_wh")).group_by("house").aggregate([("pv_wh", "max")])
    return float(hosting.scaling * sum(rated_wh["pv_wh_max"].to_pylist()) / 1000.0 / hours)


def _describe(reason: Exception, folder: Path, task: Task) -> str:
    """What went wrong, without the worker's paths: the same message wherever the feeder runs."""
    if isinstance(reason, MemoryError):
        return "expected the run to fit into memory, got more; try fewer houses or intervals, or fewer workers"
    if isinstance(reason, BAD_INPUT):
        message = str(reason)
    elif _is_of_machine(reason):
        message = f"expected a machine whose files can be used, got {reason}; mend it, and go on with --resume"
    else:
        message = describe_unforeseen(reason)
    for file in task.files:
        message = message.replace(str(_place(folder, file)), file.shown)
    return shorten(message.replace(f"{folder}{os.sep}", ""), LONGEST_MESSAGE)


def describe_unforeseen(reason: BaseException) -> str:
    """Message about an error that nobody foresaw."""
    return f"unforeseen error, a defect of gridsettle ({type(reason).__name__}: {reason}); please report it"


def _check_room(reason: BaseException) -> None:
    """Raise `NoRoomError` if a disk that is full is behind an error."""
    for cause in _list_causes(reason):
        full = isinstance(cause, OSError) and cause.errno in _NO_ROOM
        if full or "disk is full" in str(cause):  # as SQLite says it
            raise NoRoomError(
                f"{socket.gethostname()}: expected room on the disk for the files of a run, got {cause}; make room"
            ) from reason


def _is_of_machine(reason: BaseException) -> bool:
    """Whether memory, files or the database of the machine are behind an error.

    What a feeder's files hold may raise an `OSError` too, as of damaged gzip: it has no number of the system.
    """
    return any(
        isinstance(cause, MemoryError | sqlite3.Error) or (isinstance(cause, OSError) and cause.errno is not None)
        for cause in _list_causes(reason)
    )


def _list_causes(reason: BaseException | None) -> Iterator[BaseException]:
    while reason is not None:
        yield reason
        reason = reason.__cause__ or reason.__context__


def _measure_peak_mib() -> float | None:
    """Largest memory that this process ever had, MiB; None where nothing tells."""
    return None if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
