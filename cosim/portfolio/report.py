"""Report of a portfolio: one HTML page that needs no network, and the table of all feeders as CSV beside it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd

from cosim.interrupts.stop import stop_between_lines
from cosim.portfolio.heads import list_heads, show_root
from cosim.portfolio.keeping import RUNS, rank_rows
from cosim.portfolio.medium_voltage.results import read_summary
from cosim.portfolio.medium_voltage_section import make_medium_voltage_section
from cosim.portfolio.row import RUN
from cosim.portfolio.sections import (
    count_feeders,
    judge_portfolio,
    make_assumptions_section,
    make_failed_section,
    make_map_section,
    make_mends_section,
    make_overview_section,
    make_ranking_section,
    make_spread_section,
    make_statement_section,
    make_worst_section,
)
from cosim.portfolio.table import format_portfolio_csv, read_portfolio_table
from cosim.report.elements import PageSection, Table, words
from cosim.report.page import render_page
from cosim.results.directory import write_whole
from cosim.results.folders import list_names
from market.errors import LedgerError
from market.ledger.check.heads import find_wrong_heads, read_heads, read_own_key
from market.ledger.format.checkpoint import parse_checkpoint
from market.ledger.format.heads import HEADS_FILE, format_heads
from market.ledger.format.note import split_note

PAGE, CSV = "report.html", "portfolio.csv"


class Written(NamedTuple):
    """Files of a report."""

    page: Path
    csv: Path


@stop_between_lines()
def write_portfolio_report(directory: str | Path) -> Written:
    """Write `report.html` and `portfolio.csv` into the folder of a portfolio.

    Parameters
    ----------
    directory
        Folder of a portfolio that has its table; names of feeders whose runs are kept lead to their reports.

    Raises
    ------
    ScenarioError
        If there is no table, or a file cannot be written.
    market.errors.LedgerError
        If the heads of the portfolio are not those of its table.
    """
    folder = Path(directory)
    frame = read_portfolio_table(folder)
    page = make_portfolio_page(folder, frame)
    written = Written(folder / PAGE, folder / CSV)
    write_whole(written.csv, format_portfolio_csv(frame))
    write_whole(written.page, page)
    return written


def make_portfolio_page(folder: Path, frame: pd.DataFrame) -> str:
    """The report as HTML; reports of feeders that it leads to are those in the folder."""
    ranked = rank_feeders(frame)
    subtitle = (
        f"{count_feeders(len(frame))} · {int(ranked['houses'].sum()):,} houses · "
        f"{int(ranked['intervals'].sum()):,} intervals in all"
    )
    sections, net = make_sections(folder, frame, ranked), read_summary(folder)
    headline = judge_portfolio(frame, 0 if net is None else int(net["broken_intervals"]))  # sections have checked it
    return render_page("Portfolio report", subtitle, headline, sections)


def rank_feeders(frame: pd.DataFrame) -> pd.DataFrame:
    """Feeders that ran, the worst first, with their `place` from 1."""
    columns = ["feeder", "status", "cut_kwh", "highest_loading_percent"]
    rows = [{str(k): v for k, v in row.items()} for row in frame[columns].fillna({columns[3]: 0.0}).to_dict("records")]
    names = [row["feeder"] for row in rank_rows(rows)]
    ranked = frame.set_index("feeder", drop=False).loc[names].reset_index(drop=True)
    return ranked.assign(place=range(1, len(ranked) + 1))


def make_sections(folder: Path, frame: pd.DataFrame, ranked: pd.DataFrame) -> list[PageSection]:
    """The report's sections: what happened and the worst first, then how all are spread, assumptions last."""
    found = set(list_names(folder / RUNS))

    def link(name: str) -> str:
        kept = name in found and (folder / RUNS / name / PAGE).is_file()
        return f"{RUNS}/{quote(name, safe='')}/{PAGE}" if kept else ""

    if ranked.empty:
        return [make_overview_section(frame), *make_failed_section(frame)]
    of_net = make_medium_voltage_section(folder)
    return [
        make_overview_section(frame),
        *of_net,
        make_worst_section(ranked, link),
        make_mends_section(ranked),
        make_spread_section(ranked),
        *make_map_section(ranked),
        make_statement_section(ranked),
        *make_failed_section(frame),
        make_ranking_section(ranked, link),
        *make_heads_section(folder, frame),
        make_assumptions_section(ranked, under_net=bool(of_net)),
    ]


def make_heads_section(folder: Path, frame: pd.DataFrame) -> list[PageSection]:
    """The signed checkpoint over all heads, and how a feeder's ledger is verified against it.

    Raises
    ------
    market.errors.LedgerError
        If it is not over the heads of the table.
    """
    if not (folder / HEADS_FILE).exists():
        return []
    heads, key = read_heads(folder), read_own_key(folder)
    if wrong := find_wrong_heads(heads, key.public_key, key.name):
        raise LedgerError(f"{folder / HEADS_FILE}: expected the heads that were signed, got others: {wrong}")
    ran = frame["status"] == RUN
    of_table = frame.assign(height=frame["height"].where(ran, 0).astype("int64")).to_dict(orient="records")
    if format_heads(heads.heads) != format_heads(list_heads(of_table)):
        raise LedgerError(
            f"{folder / HEADS_FILE}: expected the heads of portfolio.parquet, got others; go on with --resume, which "
            "writes both"
        )
    checkpoint = parse_checkpoint(split_note(heads.checkpoint)[0])
    rows = [
        (words("feeders"), words(f"{checkpoint.size:,}")),
        (words("root of the tree, base64"), words(show_root(checkpoint))),
        (words("origin"), words(checkpoint.origin)),
    ]
    text = (
        f"To verify one feeder's ledger against it: gridsettle ledger verify {folder / RUNS}/NAME --portfolio {folder}",
        "A root noted elsewhere shows whether these are the same feeders and heads: compare it with the one below.",
    )
    table = Table("heads", "Signed checkpoint over the heads of all feeders", ("what", "value"), rows)
    return [PageSection("heads", "Ledgers", text, tables=(table,))]
