"""Report of a run: one HTML file that needs no network, and the tables of branches and houses beside it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from plotly.offline import get_plotlyjs

from cosim.case.checks import check_memory
from cosim.case.memory import Keeps
from cosim.errors import ScenarioError
from cosim.interrupts.stop import stop_between_lines
from cosim.report.elements import Figure, PageSection
from cosim.report.figures.topology import distance_km
from cosim.report.sections.agreed import make_agreed_sections
from cosim.report.sections.balance import make_energy_section
from cosim.report.sections.charges import make_charge_sections
from cosim.report.sections.envelopes import make_envelope_sections
from cosim.report.sections.fairness import make_fairness_section
from cosim.report.sections.findings import (
    Headline,
    count_beyond_limits,
    judge_run,
    make_assumptions_section,
    make_ledger_section,
    make_verdict_section,
    sort_outcomes,
)
from cosim.report.sections.flexible import make_flexible_sections
from cosim.report.sections.hosting import make_hosting_section
from cosim.report.sections.market import (
    make_curtailment_section,
    make_houses_section,
    make_money_section,
    make_prices_section,
)
from cosim.report.sections.network import make_network_sections, make_validation_section
from cosim.report.sections.outage import make_outage_sections
from cosim.report.sections.overview import describe_reason, make_overview_section, make_worst_hours_section
from cosim.report.sections.statement import make_statement_sections
from cosim.report.sections.unbalance import describe_most_frequent
from cosim.report.tables.branches import summarise_branches
from cosim.report.tables.houses import summarise_houses
from cosim.report.tables.run_tables import RunTables, read_run
from cosim.report.tables.worst_hours import list_worst_hours
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.results.local_time import show_time
from cosim.results.private_files import write_for_owner
from cosim.results.result import Result
from cosim.results.voltage_words import describe_voltage_control
from cosim.validation.hosting import Hosting, find_hosting


@stop_between_lines()
def write_report(result: Result, path: str | Path | None = None, *, hosting: bool = False) -> Path:
    """Write the report of a run, and its tables `branch_summary`, `house_summary` and `worst_hours` into its directory.

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
        raise ScenarioError("report: expected a path for the report of a run in memory, got none; name a file")
    target = Path(result.directory or ".") / "report.html" if path is None else Path(path)
    if not target.resolve().parent.is_dir():
        raise ScenarioError(f"{target}: expected an existing folder, found none; make it first")
    with result.check_files():
        net, n_intervals = result.net, result.summary["network"]["intervals"]
        n_elements = len(net.bus) + len(net.line) + len(net.trafo)
        keeps = Keeps.REPORT if result.scenario.network.model == "balanced" else Keeps.REPORT_OF_PHASES
        check_memory(len(net.load), n_intervals, n_elements=n_elements, keeps=keeps)
        run = read_run(result)
        tables = {"branch_summary": summarise_branches(run), "house_summary": summarise_houses(run)}
        capacity = find_hosting(result.scenario) if hosting else None
        if len(run.binding):
            tables["worst_hours"] = list_worst_hours(run)
        page = make_page(run, tables, capacity)
    if capacity is not None:
        tables["hosting"] = capacity.houses
    with write_for_owner(result.scenario.ledger.private):
        if result.directory is not None:
            for name, table in tables.items():
                write_whole(result.directory / f"{name}.csv", format_csv(table))
        write_whole(target, page)
    return target


def make_page(run: RunTables, tables: Mapping[str, pd.DataFrame], hosting: Hosting | None) -> str:
    """The report as HTML; `tables` are those that are written beside it, by name."""
    scenario, summary = run.result.scenario, run.result.summary
    times = run.result.intervals.index
    judged = judge_run(sort_outcomes(summary), count_beyond_limits(run), summary.get("resilience", {}))
    if most := describe_most_frequent(run):
        judged = judged._replace(text=f"{judged.text} {most}")
    if "voltage_control" in summary:
        said = describe_voltage_control(summary["voltage_control"])
        judged = judged._replace(text=f"{judged.text} Control of voltages: {'; '.join(said)}.")
    judged = judged._replace(why=describe_reason(run))
    minutes = scenario.horizon.interval_minutes
    subtitle = (
        f"{run.feeder.bus.size} participants on {len(run.feeder.net.bus)} buses · {show_time(times[0], run.zone)} to "
        f"{show_time(times[-1], run.zone)} · {len(times):,} intervals of {minutes} minute{'s' * (minutes != 1)} · "
        f"market {scenario.market.mechanism}"
    )
    sections = make_sections(run, tables, hosting)
    return render_page(
        f"Feeder loading report: {scenario.name}",
        subtitle,
        judged,
        sections,
    )


def make_sections(run: RunTables, tables: Mapping[str, pd.DataFrame], hosting: Hosting | None) -> list[PageSection]:
    """The report's sections: what happened and why first, then exceptions; assumptions last."""
    distance = distance_km(run.feeder.net, run.buses)
    capacity = [] if hosting is None else [make_hosting_section(hosting, distance)]
    return [
        make_overview_section(run),
        *(make_worst_hours_section(run, tables["worst_hours"]) if "worst_hours" in tables else []),
        make_verdict_section(run),
        *make_network_sections(run, tables["branch_summary"]),
        *make_statement_sections(run),
        make_validation_section(run),
        make_curtailment_section(run),
        *make_envelope_sections(run),
        *make_fairness_section(run),
        *make_flexible_sections(run),
        *make_outage_sections(run),
        *capacity,
        make_energy_section(run),
        make_money_section(run),
        *make_charge_sections(run),
        make_prices_section(run),
        *make_agreed_sections(run),
        make_houses_section(run, tables["house_summary"]),
        make_ledger_section(run),
        make_assumptions_section(run),
    ]


def render_page(title: str, subtitle: str, judged: Headline | None, sections: list[PageSection]) -> str:
    """A page of sections as HTML, style and plotly, where figures need it, included once; every text is escaped."""
    folder = files("cosim.report")
    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(folder.joinpath("report.html.j2").read_text(encoding="utf-8"))
    content: dict[str, Any] = {
        "title": title,
        "subtitle": subtitle,
        "verdict": judged,
        "sections": sections,
        "css": folder.joinpath("report.css").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs() if _need_plotly(sections) else "",
        "footer": "Colours: Okabe and Ito, Cividis; distinguishable with every common colour vision.",
    }
    return template.render(content)


def _need_plotly(sections: list[PageSection]) -> bool:
    return any(isinstance(figure, Figure) for section in sections for figure in section.figures)
