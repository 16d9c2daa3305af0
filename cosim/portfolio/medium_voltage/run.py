"""Run feeders under one medium-voltage net, each into a directory of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.errors import ScenarioError
from cosim.interrupts.stop import stop_between_lines
from cosim.portfolio.medium_voltage.agree import Agreed, agree
from cosim.portfolio.medium_voltage.feeders import FeederUnder, build_cases
from cosim.portfolio.medium_voltage.net import Placement, read_medium_voltage
from cosim.portfolio.medium_voltage.results import summarise, write_agreed
from cosim.results.folders import check_empty, make_folder
from cosim.results.result import Result
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run

RUNS = "runs"


@dataclass(frozen=True, eq=False)
class MediumVoltageRun:
    """Feeders run under a medium-voltage net.

    Attributes
    ----------
    agreed
        The net, and what it and its feeders agreed on.
    results
        Each feeder's run, by name.
    summary
        What `mv_summary.json` holds.
    """

    agreed: Agreed
    results: Mapping[str, Result]
    summary: dict[str, Any]


def find_agreement(net: Any, feeders: Sequence[FeederUnder], limits: Mapping[str, Any] | None = None) -> Agreed:
    """Voltages and limits of all heads on which a medium-voltage net and its feeders agree.

    Parameters
    ----------
    net
        A pandapower net, or the path of one that `pandapower.to_json` wrote.
    feeders
        Names, buses and scenarios.
    limits
        Limits of the net as in a scenario's section `limits`; those of the net if left out.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used, or voltages do not agree.
    """
    if not feeders:
        raise ScenarioError("medium voltage: expected at least one feeder, got none; name one")
    placements = [Placement(feeder.name, feeder.mv_bus) for feeder in feeders]
    mv = read_medium_voltage(net, placements, **(limits or {}))
    return agree(mv, build_cases(mv, feeders))


@stop_between_lines()
def run_under_medium_voltage(
    net: Any, feeders: Sequence[FeederUnder], out: str | Path, limits: Mapping[str, Any] | None = None
) -> MediumVoltageRun:
    """Run feeders under one medium-voltage net: voltages and powers of their heads are exchanged until they agree.

    Parameters
    ----------
    net, feeders, limits
        As of `find_agreement`.
    out
        A new or empty directory. It gets `mv.parquet`, `mv_summary.json`, the series of the heads in `heads`, and the
        run of each feeder in `runs/NAME`.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used, or voltages do not agree; then nothing is written.
    """
    directory = Path(out)
    check_empty(directory)
    agreed = find_agreement(net, feeders, limits)
    paths = write_agreed(agreed, make_folder(directory))
    make_folder(directory / RUNS)
    results = {
        feeder.name: run(with_head_file(feeder, path), directory / RUNS / feeder.name)
        for feeder, path in zip(feeders, paths, strict=True)
    }
    return MediumVoltageRun(agreed, results, summarise(agreed))


def with_head_file(feeder: FeederUnder, path: Path) -> Scenario:
    """The scenario of a feeder with the series of its head."""
    return feeder.scenario.with_changes(network={"head_file": path})
