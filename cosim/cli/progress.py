"""What the terminal shows while a command works: how far it is, and that functions are being compiled.

Everything goes to standard error: a bar on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numba.core.event import Listener, install_listener
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from cosim.simulation import simulate

ONCE = "compiling for this machine: takes up to a minute, and is done once"
EVERY_TIME = (
    "compiling: takes up to a minute, every time, as no folder can be written to for what is compiled; "
    "name one in the environment variable NUMBA_CACHE_DIR"
)


class _Once(Listener):  # type: ignore[misc] # numba has no types
    """Tells a message when the first function is compiled; loading one from the disk cache is no such event."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._told = tell, False

    def on_start(self, event: Any) -> None:
        """Numba begins to compile a function."""
        if not self._told:
            self._told = True
            kept = event.data["dispatcher"].stats.cache_path is not None
            self._tell(ONCE if kept else EVERY_TIME)

    def on_end(self, event: Any) -> None:
        """Numba has compiled it."""


@contextmanager
def tell_compiling(tell: Callable[[str], None] | None = None) -> Iterator[None]:
    """Tell one message if anything is compiled meanwhile: the command would seem to hang otherwise.

    That numba calls this while it compiles is also where Ctrl-C can stop it: see `cosim.interrupts.stop`.

    Parameters
    ----------
    tell
        Called with the message, at most once; prints to standard error if left out.
    """
    with install_listener("numba:compile", _Once(tell or Console(stderr=True).print)):
        yield


def _tell_nobody(message: str) -> None:
    pass


@contextmanager
def show_progress(*, quiet: bool, scenario: str) -> Iterator[simulate.Listener | None]:
    """Listener for a run that shows intervals per second, curtailed intervals and time left; None if quiet."""
    if quiet:
        with tell_compiling(_tell_nobody):
            yield None
        return
    console = Console(stderr=True)
    with tell_compiling(console.print):
        if not console.is_terminal:
            console.print(f"running scenario '{scenario}'")
            yield _every_tenth(console)
            return
        columns = [TextColumn(f"{{task.{field}}}") for field in ("description", "fields[intervals]", "fields[rate]")]
        with Progress(columns[0], BarColumn(), *columns[1:], TimeRemainingColumn(), console=console) as bar:
            yield _bar_listener(bar, scenario)


def _bar_listener(bar: Progress, scenario: str) -> simulate.Listener:
    task = bar.add_task(f"{scenario}: preparing", total=None, intervals="", rate="")

    def show(progress: simulate.Progress) -> None:
        """Move the bar on."""
        speed = bar.tasks[task].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        bar.update(
            task,
            description=scenario,
            total=progress.total,
            completed=progress.done,
            intervals=f"{progress.done:,} of {progress.total:,} intervals",
            rate=f"{rate} {progress.curtailed:,} curtailed",
        )

    return show


def _every_tenth(console: Console) -> simulate.Listener:
    shown = 0

    def show(progress: simulate.Progress) -> None:
        """Print a line where another tenth is done."""
        nonlocal shown
        tenth = 10 * progress.done // progress.total
        if tenth > shown:
            shown = tenth
            console.print(f"{progress.done:,} of {progress.total:,} intervals, {progress.curtailed:,} curtailed")

    return show


@contextmanager
def show_tasks(name: str) -> Iterator[Callable[[int, int], None]]:
    """Listener for a study that is called with (runs done, runs in all)."""
    console = Console(stderr=True)
    with tell_compiling(console.print):
        if not console.is_terminal:
            yield (lambda done, total: console.print(f"{name}: {done} of {total} runs") if done == total else None)
            return
        columns = (
            TextColumn(name),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def show_feeders() -> Iterator[Callable[[int, int], None]]:
    """Listener for a portfolio, called with (runs done, runs in all); the first call says how many feeders there are.

    What is beyond them are runs of the worst ones, made again with their files.
    """
    console = Console(stderr=True)
    with tell_compiling(console.print):
        if not console.is_terminal:
            yield _every_tenth_feeder(console)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            yield _feeder_bar(bar)


STARTING = "running {:,} feeders; the first ones compile for this machine, up to a minute"
FEEDERS, KEPT = "feeders", "runs kept"


def _every_tenth_feeder(console: Console) -> Callable[[int, int], None]:
    n, shown = -1, {FEEDERS: 0, KEPT: 0}

    def show(done: int, total: int) -> None:
        """Print a line where another tenth is done, of feeders and then of runs that are kept."""
        nonlocal n
        if n < 0:
            n = total
            if done < total:
                console.print(STARTING.format(total))
            return
        what, of_it, of_all = (FEEDERS, done, total) if total == n else (KEPT, done - n, total - n)
        tenth = 10 * of_it // of_all
        if tenth > shown[what]:
            shown[what] = tenth
            console.print(f"portfolio: {of_it:,} of {of_all:,} {what}")

    return show


def _feeder_bar(bar: Progress) -> Callable[[int, int], None]:
    n, tasks = -1, {}

    def show(done: int, total: int) -> None:
        """Move the bar of feeders on, or the second one of runs that are kept."""
        nonlocal n
        n = total if n < 0 else n
        what, of_it, of_all = (FEEDERS, done, total) if total == n else (KEPT, done - n, total - n)
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=of_all)
        bar.update(tasks[what], completed=of_it)

    return show
