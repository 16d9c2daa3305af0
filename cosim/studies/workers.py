"""Tasks over processes of this machine or workers of a Dask cluster; one whose worker is lost is tried again.

Answers come as they are finished. A task is taken from its iterator when there is a worker for it soon, so that what
many tasks hold is never in memory at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Generic, NamedTuple, TypeVar

from cosim.errors import ScenarioError
from cosim.interrupts.processes import open_pool

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

TRIES = 3
"""Workers that may end under a task before it counts as the cause."""
AHEAD = 2
"""Tasks in a cluster for each thread of its workers: none waits for the next one."""
SILENT = "distributed", "distributed.client", "distributed.core", "tornado.application"
"""Loggers of Dask that tell of a connection that is lost."""
LONGEST_CONNECT_S = 10.0
"""How long a scheduler may take to answer at first."""
LONGEST_ANSWER_S = 60.0
"""How long an answer that is finished may take to come."""
POLL_S = 1.0
"""How long a wait for the cluster lasts before its connection is looked at."""


class WorkerEndedError(RuntimeError):
    """Workers ended under a task, each time, before it answered."""


class ClusterLostError(ScenarioError):
    """The connection to a cluster's scheduler is lost; what has not answered is lost with it."""


class Answer(NamedTuple, Generic[R]):
    """What became of a task.

    Attributes
    ----------
    place
        Of the task among the tasks.
    value
        What the function returned; None where it raised.
    error
        What it raised, or `WorkerEndedError`; None where it returned.
    """

    place: int
    value: R | None
    error: BaseException | None

    def get(self) -> R:
        """The value; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class _Tried(NamedTuple):
    """A task, and how often its worker ended."""

    place: int
    item: Any
    ended: int = 0


def answer_on_processes(
    function: Callable[[T], R], items: Iterable[T], n_processes: int
) -> Generator[Answer[R], None, None]:
    """Answers of processes of this machine, as they come.

    Each process is a pool by itself: where one ends, it is known under which task.

    Parameters
    ----------
    function
        Of a module; called with an item.
    items
        What it is called with, taken one by one.
    n_processes
        Processes; no more are started than there are items.
    """
    queue = (_Tried(place, item) for place, item in enumerate(items))
    with ExitStack() as pools:
        running: dict[Future[R], tuple[ProcessPoolExecutor, _Tried]] = {}

        def begin(pool: ProcessPoolExecutor | None, task: _Tried | None) -> None:
            if task is None:
                return
            pool = pool or pools.enter_context(open_pool(1))
            try:
                future = pool.submit(function, task.item)
            except BrokenProcessPool:  # it ended between two tasks
                pool = pools.enter_context(open_pool(1))
                future = pool.submit(function, task.item)
            running[future] = pool, task

        for _ in range(n_processes):
            begin(None, next(queue, None))
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pool, task = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    task = task._replace(ended=task.ended + 1)
                    logger.warning("a worker ended under task %d, try %d of %d", task.place, task.ended, TRIES)
                    if task.ended < TRIES:
                        begin(None, task)
                        continue
                    error = WorkerEndedError(f"its worker ended {TRIES} times before it answered")
                    begin(None, next(queue, None))
                else:
                    begin(pool, next(queue, None))
                yield Answer(task.place, None if error else future.result(), error)


def answer_on_cluster(
    function: Callable[[T], R], items: Iterable[T], scheduler: str
) -> Generator[Answer[R], None, None]:
    """Answers of the workers of a Dask cluster, as they come; workers may come and go meanwhile.

    Parameters
    ----------
    function, items
        As for `answer_on_processes`; the workers must have the module of the function too.
    scheduler
        Address, e.g. tcp://10.0.0.1:8786.

    Raises
    ------
    ScenarioError
        If the scheduler cannot be used, or is lost.
    """
    try:
        import distributed
    except ImportError as reason:
        raise ScenarioError(
            "--scheduler: expected Dask to be installed, found none; run python -m pip install 'gridsettle[sweep]'"
        ) from reason
    with _connect(distributed, scheduler) as client:
        queue = enumerate(items)
        running: dict[Any, int] = {}
        room, threads, looked = 0, 1, -POLL_S
        while True:
            if time.monotonic() - looked > POLL_S:
                before, threads = threads, _count_threads(client)
                if before and not threads:
                    logger.warning("the cluster at %s has no worker: waiting for one", scheduler)
                room, looked = AHEAD * max(threads, 1), time.monotonic()
            while len(running) < room and (task := next(queue, None)) is not None:
                future = client.submit(function, task[1], pure=False, retries=0)
                running[future] = task[0]
            if not running:
                return
            for future in _wait(distributed, list(running)):
                place = running.pop(future)
                error = _find_error(future)
                if isinstance(error, distributed.KilledWorker):
                    error = WorkerEndedError(f"its worker ended {TRIES + 1} times before it answered")
                yield Answer(place, None if error else future.result(timeout=LONGEST_ANSWER_S), error)


@contextmanager
def _connect(distributed: Any, scheduler: str) -> Iterator[Any]:
    """A client of the cluster. Dask's own loggers are silent meanwhile: what they say of a lost one is said here."""
    loggers = [logging.getLogger(name) for name in SILENT]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        try:
            client = distributed.Client(scheduler, timeout=LONGEST_CONNECT_S)
        except (OSError, ValueError) as reason:
            raise ScenarioError(f"--scheduler: expected a Dask scheduler at {scheduler}, got {reason}") from reason
        try:
            yield client
        finally:
            with suppress(Exception):  # without its scheduler a client does not close, and says so in several ways
                client.close(timeout=2)
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _wait(distributed: Any, futures: list[Any]) -> Any:
    """Futures that are done; after a while also none."""
    try:
        return distributed.wait(futures, timeout=POLL_S, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        return ()
    except Exception as reason:  # a connection that is lost cancels all that was asked for
        raise _lost() from reason


def _find_error(future: Any) -> BaseException | None:
    """What a function raised on the cluster; an answer that is lost on the way is a lost cluster."""
    if future.status not in ("finished", "error"):
        raise _lost()
    try:
        error: BaseException | None = future.exception(timeout=LONGEST_ANSWER_S)
    except Exception as reason:
        raise _lost() from reason
    return error


def _count_threads(client: Any) -> int:
    """Threads of all workers there are now; a scheduler that is gone is a clear message."""
    _check_connected(client)
    try:
        return sum(client.nthreads().values())
    except Exception as reason:  # Dask lets errors of its connections and of its event loop through
        raise _lost() from reason


def _check_connected(client: Any) -> None:
    if client.status != "running":
        raise _lost()


def _lost() -> ClusterLostError:
    return ClusterLostError(
        "--scheduler: expected the connection to the Dask scheduler to hold, it is lost; start one and run again"
    )
