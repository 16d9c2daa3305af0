"""Entries of a portfolio under one medium-voltage net: each gets the series of its head on which all agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cosim.case.case import Case
from cosim.errors import ScenarioError
from cosim.portfolio.entry import Entry, Source
from cosim.portfolio.medium_voltage.agree import Agreed, agree
from cosim.portfolio.medium_voltage.feeders import FeederUnder, build_cases
from cosim.portfolio.medium_voltage.net import MediumVoltage, Placement, read_medium_voltage
from cosim.portfolio.medium_voltage.results import HEADS, write_agreed
from cosim.portfolio.placement import with_houses_at_loads

MOST_UNDER = 1_000
"""Feeders under one net: all of them are in memory at once."""


class Under(NamedTuple):
    """Entries that were placed under a medium-voltage net.

    Attributes
    ----------
    entries, feeders, cases
        Each feeder as the index gives it, as it is simulated, and ready to run.
    mv
        The net.
    """

    entries: Sequence[Entry]
    feeders: Sequence[FeederUnder]
    mv: MediumVoltage
    cases: Sequence[Case]

    def digest(self) -> str:
        """SHA-256 over the net, its limits, and the buses of its feeders, hexadecimal."""
        return self.mv.feeder.digest().hex()


def find_agreement(net: Any, feeders: Sequence[FeederUnder]) -> Agreed:
    """Voltages and limits of all heads on which a medium-voltage net and its feeders agree.

    Parameters
    ----------
    net
        A pandapower net, or the path of one that `pandapower.to_json` wrote.
    feeders
        Names, buses and scenarios.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used, or voltages do not agree.
    """
    return agree(*_read(net, feeders))


def place_entries(entries: Sequence[Entry], net: Any) -> Under:
    """Place feeders under a medium-voltage net and read all of them; nothing is solved or written yet.

    Parameters
    ----------
    entries
        Feeders by name, each with its bus.
    net
        As of `find_agreement`.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used: a net without one of its feeders is another net.
    """
    if len(entries) > MOST_UNDER:
        raise ScenarioError(
            f"--mv: expected at most {MOST_UNDER:,} feeders under one net, got {len(entries):,}; split the index"
        )
    feeders = [_place(entry) for entry in entries]
    return Under(entries, feeders, *_read(net, feeders))


def with_heads(under: Under, directory: Path) -> list[Entry]:
    """Entries that are run with the series of their heads, which are written into the portfolio's folder.

    Table and summary of the medium-voltage net are written beside them. Nothing is written before all agree.

    Parameters
    ----------
    under
        What `place_entries` found.
    directory
        Folder of the portfolio, which nobody else writes to.

    Raises
    ------
    ScenarioError
        If voltages do not agree, or a file cannot be written.
    """
    paths = write_agreed(agree(under.mv, under.cases), directory)
    return [
        entry._replace(
            scenario=feeder.scenario.with_changes(network={"head_file": path}),
            sources=(*entry.sources, Source("network.head_file", path, f"{HEADS}/{path.name}")),
            houses_at_loads=False,
        )
        for entry, feeder, path in zip(under.entries, under.feeders, paths, strict=True)
    ]


def _read(net: Any, feeders: Sequence[FeederUnder]) -> tuple[MediumVoltage, list[Case]]:
    """The net with the feeders at their buses, and their cases."""
    mv = read_medium_voltage(net, [Placement(feeder.name, feeder.mv_bus) for feeder in feeders])
    return mv, build_cases(mv, feeders)


def _place(entry: Entry) -> FeederUnder:
    """The feeder of an entry at its bus."""
    where = f"feeder '{entry.name}'"
    if entry.scenario is None:
        raise ScenarioError(f"{where}, under --mv: expected every feeder to run, got: {entry.refused}")
    if not entry.mv_bus:
        raise ScenarioError(
            f"{where}, mv_bus: expected index or name of a bus of the medium-voltage net, got none; fill the column "
            "'mv_bus' of the index"
        )
    scenario = with_houses_at_loads(entry.scenario) if entry.houses_at_loads else entry.scenario
    return FeederUnder(entry.name, entry.mv_bus, scenario)


def check_no_buses(entries: Sequence[Entry]) -> None:
    """Raise ScenarioError where entries name buses of a medium-voltage net, and there is none."""
    placed = [entry for entry in entries if entry.mv_bus]
    if placed:
        raise ScenarioError(
            f"feeder '{placed[0].name}', mv_bus: expected --mv and the medium-voltage net that has bus "
            f"'{placed[0].mv_bus}', got none; add it, or leave the column 'mv_bus' out"
        )
