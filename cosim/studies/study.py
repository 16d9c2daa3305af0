"""A study: many runs that differ in a few keys of one scenario, over processes or a Dask cluster, as one table."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cosim.case.case import build_market
from cosim.case.idle_keys import without_idle_keys
from cosim.results.folders import check_empty, make_folder
from cosim.scenario.model import Scenario
from cosim.studies.market_run import sum_market
from cosim.studies.workers import Answer, answer_on_cluster, answer_on_processes
from market.cores import count_usable_cores
from market.mechanisms import find_mechanism


def measure_market(scenario: Scenario) -> dict[str, Any]:
    """Totals of a scenario's market, run without its network; see `cosim.studies.market_run`."""
    return dict(sum_market(build_market(scenario)))


class Task(NamedTuple):
    """One run of a study: its labels in the table, its scenario, and what is measured."""

    labels: dict[str, Any]
    scenario: Scenario
    measure: Callable[[Scenario], dict[str, Any]] = measure_market


def vary(scenario: Scenario, where: str, /, **changes: Any) -> Scenario:
    """A variant of a scenario, in which keys that the changes leave without effect are at their defaults."""
    changed = scenario.with_changes(where, **changes)
    return without_idle_keys(changed, find_mechanism(changed.market.mechanism))


def run_task(task: Task) -> dict[str, Any]:
    """Labels and measures of one task."""
    return {**task.labels, **task.measure(task.scenario)}


def run_tasks(
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    listener: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Run the tasks over processes; one row a task, in the order of the tasks whatever finishes first.

    Parameters
    ----------
    tasks
        What to run.
    workers
        Processes; as many as the machine has cores if left out. 1 stays in this process.
    scheduler
        Address of a Dask scheduler, e.g. tcp://10.0.0.1:8786; its workers run the tasks instead.
    listener
        Called with (done, total) after every task.

    Raises
    ------
    ScenarioError
        If the scheduler cannot be used.
    """
    stream = (
        _run_local(tasks, workers or count_usable_cores())
        if scheduler is None
        else answer_on_cluster(run_task, tasks, scheduler)
    )
    rows: dict[int, dict[str, Any]] = {}
    with closing(stream):
        for answer in stream:
            rows[answer.place] = answer.get()
            if listener is not None:
                listener(len(rows), len(tasks))
    return pd.DataFrame([rows[place] for place in sorted(rows)])


def _run_local(tasks: Sequence[Task], workers: int) -> Generator[Answer[dict[str, Any]], None, None]:
    if workers == 1 or len(tasks) == 1:
        yield from (Answer(place, run_task(task), None) for place, task in enumerate(tasks))
        return
    # The first run compiles what is not compiled yet; the processes load that from numba's cache on disk.
    yield Answer(0, run_task(tasks[0]), None)
    for answer in answer_on_processes(run_task, tasks[1:], workers):
        yield answer._replace(place=answer.place + 1)


def make_directory(name: str, out: Path | None) -> Path:
    """Folder that a study writes into, made if it does not exist; by default `runs/study-NAME`.

    Raises
    ------
    ScenarioError
        If it cannot be made, or holds files already.
    """
    return make_folder(check_empty(out or Path("runs") / f"study-{name}"))
