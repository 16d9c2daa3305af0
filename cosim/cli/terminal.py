"""What a run shows on the terminal: a progress bar while it runs, one table at its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from cosim.results.result import Result
    from cosim.simulation.simulate import Listener
    from cosim.simulation.simulate import Progress as RunProgress


@contextmanager
def compiling_is_told(console: Console | None = None) -> Iterator[None]:
    """One line on standard error if anything is compiled meanwhile: a first use would seem to hang otherwise."""
    from cosim.cli.compiling import told_when_compiling

    with told_when_compiling((console or Console(stderr=True)).print):
        yield


@contextmanager
def progress_listener(*, quiet: bool, scenario: str) -> Iterator[Listener | None]:
    """Listener that shows intervals per second, curtailed intervals and time left; plain lines off a terminal."""
    if quiet:
        yield None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"running scenario '{scenario}'")
        with compiling_is_told(console):
            yield _every_tenth(console)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[intervals]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task(f"{scenario}: preparing", total=None, intervals="", rate="")

        def show(progress: RunProgress) -> None:
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

        with compiling_is_told(console):
            yield show


def _every_tenth(console: Console) -> Listener:
    shown = 0

    def show(progress: RunProgress) -> None:
        """Print a line where another tenth is done."""
        nonlocal shown
        tenth = 10 * progress.done // progress.total
        if tenth > shown:
            shown = tenth
            console.print(
                f"{progress.done:,} of {progress.total:,} intervals, {progress.curtailed:,} curtailed"
            )

    return show


@contextmanager
def task_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Progress of a study, called with (done, total); plain lines off a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with compiling_is_told(console):
            yield (
                lambda done, total: (
                    console.print(f"{name}: {done} of {total} runs") if done == total else None
                )
            )
        return
    with Progress(
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(name, total=None)
        with compiling_is_told(console):
            yield lambda done, total: bar.update(task, completed=done, total=total)


def show_summary(result: Result, file: Any = None) -> None:
    """Print a result's summary as one table."""
    console = Console(file=file or sys.stdout)
    summary = result.summary
    energy, money, network = summary["energy_kwh"], summary["money_eur"], summary["network"]
    table = Table(title=f"gridsettle: scenario '{result.scenario.name}'", title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for label, value, unit in (
        ("load", energy["load"], "kWh"),
        ("PV generation", energy["pv"], "kWh"),
        ("from the grid", energy["imported"], "kWh"),
        ("traded P2P", energy["p2p"] + energy["lot_sale"], "kWh"),
        ("shared", energy["shared"], "kWh"),
        ("spilled", energy["spilled"], "kWh"),
        ("curtailed exchanges", energy["curtailed"], "kWh"),
        ("shed load", energy["shed"], "kWh"),
        ("network losses", energy["losses"], "kWh"),
        ("paid to the grid", money["paid_to_grid"], "EUR"),
        ("earned from P2P trading", money["earned_from_p2p"], "EUR"),
        ("earned from sharing", money["earned_from_sharing"], "EUR"),
    ):
        table.add_row(label, f"{value:,.2f}" if unit == "EUR" else f"{value:,.1f}", unit)
    table.add_section()
    for label, value in _network_rows(network, summary):
        table.add_row(label, *value)
    console.print(table)
    if result.directory is not None:
        console.print(f"results in {result.directory}", soft_wrap=True)


def _network_rows(network: Any, summary: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    yield "intervals, all AC-checked", (f"{network['intervals']:,}", "")
    for outcome, count in sorted(network["outcomes"].items()):
        yield f"  {outcome.replace('_', ' ')}", (f"{count:,}", "")
    for label, key, value, unit in (
        ("lowest voltage", "lowest_voltage", "vm_pu", "pu"),
        ("highest voltage", "highest_voltage", "vm_pu", "pu"),
        ("highest loading", "highest_loading", "loading_percent", "%"),
    ):
        if key in network:
            spot = network[key]
            place = spot.get("bus") or spot.get("element")
            yield f"{label} ({place})", (f"{spot[value]:.4f}" if unit == "pu" else f"{spot[value]:.1f}", unit)
    agreement = summary.get("agreement", {})
    if agreement.get("intervals"):
        yield (
            f"engine against pandapower ({agreement['intervals']} intervals)",
            (f"{agreement['max_vm_error_pu']:.1e}", "pu"),
        )
    if summary.get("ledger"):
        head = summary["ledger"]
        yield f"ledger head, block {head['height']}", (head["hash"][:16] + "…", "")
