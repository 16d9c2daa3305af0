"""Write the report of a run: one HTML file that needs nothing else, and the table of branches beside it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from plotly.offline import get_plotlyjs

from cosim.errors import ScenarioError
from cosim.report.elements import PageSection
from cosim.report.figures.topology import distance_km
from cosim.report.sections.balance import energy_section
from cosim.report.sections.findings import (
    Headline,
    assumptions_section,
    intervals_beyond,
    ledger_section,
    outcome_counts,
    verdict,
    verdict_section,
)
from cosim.report.sections.hosting import hosting_section
from cosim.report.sections.market import (
    curtailment_section,
    houses_section,
    money_section,
    prices_section,
)
from cosim.report.sections.network import (
    network_sections,
    summary_of_branches,
    validation_section,
)
from cosim.report.sections.outage import outage_sections
from cosim.report.tables.houses import house_summary
from cosim.report.tables.run_tables import RunTables, read_run
from cosim.results.directory import write_whole
from cosim.results.result import Result
from cosim.validation.hosting import Hosting, scenario_hosting


def write_report(result: Result, path: str | Path | None = None, *, hosting: bool = False) -> Path:
    """Write the report of a run, and its tables `branch_summary` and `house_summary` into its directory.

    Parameters
    ----------
    result
        A finished run, in its directory or in memory.
    path
        HTML file to write; `report.html` in the run's directory if left out.
    hosting
        Whether to compute the hosting capacity for PV too; it takes a few seconds and also writes `hosting.csv`.

    Returns
    -------
    Path
        The HTML file. It opens without network.

    Raises
    ------
    cosim.errors.ScenarioError
        If a run in memory is given no path, or tables and network of a run do not belong together.
    """
    if path is None and result.directory is None:
        raise ScenarioError(
            "report: expected a path for the report of a run in memory, got none; name a file"
        )
    target = Path(path) if path is not None else Path(result.directory or ".") / "report.html"
    if not target.resolve().parent.is_dir():
        raise ScenarioError(f"{target}: expected an existing folder, found none; make it first")
    run = read_run(result)
    tables = {"branch_summary": summary_of_branches(run), "house_summary": house_summary(run)}
    capacity = scenario_hosting(result.scenario) if hosting else None
    if capacity is not None:
        tables["hosting"] = capacity.houses
    if result.directory is not None:
        for name, table in tables.items():
            write_whole(result.directory / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    write_whole(target, page_of(run, tables["branch_summary"], tables["house_summary"], capacity))
    return target


def page_of(run: RunTables, branches: pd.DataFrame, houses: pd.DataFrame, hosting: Hosting | None) -> str:
    """The report as HTML."""
    scenario = run.result.scenario
    times = run.intervals.index
    shed_kwh = 0.0 if run.resilience.empty else float(run.resilience["energy_not_served_kwh"].iloc[0])
    judged = verdict(outcome_counts(run.intervals), intervals_beyond(run), shed_kwh)
    subtitle = (
        f"{run.feeder.bus.size} participants on {len(run.feeder.net.bus)} buses · {times[0]:%Y-%m-%d %H:%M} to "
        f"{times[-1]:%Y-%m-%d %H:%M} UTC · {len(times):,} intervals of {scenario.horizon.interval_minutes} minutes · "
        f"market {scenario.market.mechanism}"
    )
    return render(
        f"Feeder loading report: {scenario.name}",
        subtitle,
        judged,
        sections_of(run, branches, houses, hosting),
    )


def sections_of(
    run: RunTables, branches: pd.DataFrame, houses: pd.DataFrame, hosting: Hosting | None
) -> list[PageSection]:
    """The report's sections: verdict and exceptions first, assumptions last."""
    capacity = (
        []
        if hosting is None
        else [hosting_section(hosting, distance_km(run.feeder.net, list(run.vm_pu.columns)))]
    )
    return [
        verdict_section(run),
        *network_sections(run, branches),
        validation_section(run),
        curtailment_section(run),
        *outage_sections(run),
        *capacity,
        energy_section(run),
        money_section(run),
        prices_section(run),
        houses_section(run, houses),
        ledger_section(run),
        assumptions_section(run),
    ]


def render(title: str, subtitle: str, judged: Headline | None, sections: list[PageSection]) -> str:
    """A page of sections as HTML, style and plotly included once; every text is escaped."""
    folder = files("cosim.report")
    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(folder.joinpath("report.html.j2").read_text(encoding="utf-8"))
    content: dict[str, Any] = {
        "title": title,
        "subtitle": subtitle,
        "verdict": judged,
        "sections": sections,
        "css": folder.joinpath("report.css").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs(),
        "footer": "Colours: Okabe and Ito, Cividis; distinguishable with every common colour vision.",
    }
    return template.render(content)
