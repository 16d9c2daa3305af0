"""Section on EN 50160: its words and figures, and the nodes and weeks that are closest to not keeping it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.elements import Column, PageSection, Table, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.en50160 import MEAN_MINUTES, Word
from cosim.results.statement_words import CLAUSES, describe_statement
from cosim.results.voltage_statement import STATEMENT_TABLE
from data.profiles import SPREAD

TOP = 10
SHOWN = (Word.KEPT, Word.NOT_KEPT)
"""Words that have room in the table; why something cannot be shown stands above it."""
SHARES = ("share_within_percent", "share_vuf_within_percent")
HOW = (
    "In each week 95 % of the valid means of {minutes} minutes are to lie within ± 10 % of the nominal voltage and all "
    "of them within + 10 % / - 15 %, in every phase (EN 50160:2010+A1:2015, 4.2.2), and 95 % of them are to have an "
    "unbalance |V2|/|V1| of 2 % at most (4.2.4). Means in which a node was off or islanded are not valid. Weeks begin "
    "with the run. Every node of up to 1 kV and every week is in en50160.csv."
)
COLUMNS = (
    Column("bus", "node"),
    Column("week_of", "week of (UTC)"),
    Column("voltage", "voltage"),
    Column("unbalance", "unbalance"),
    Column("phase", "phase"),
    Column("share_within_percent", "within ± 10 %, %", 2),
    Column("beyond", "beyond + 10 % / - 15 %", 0),
    Column("lowest_vm_pu", "lowest, pu", 4),
    Column("highest_vm_pu", "highest, pu", 4),
    Column("share_vuf_within_percent", "unbalance within 2 %, %", 2),
    Column("highest_vuf_percent", "largest unbalance, %", 2),
)


def make_statement_sections(run: RunTables) -> list[PageSection]:
    """The section; none where the net has no node of low voltage, or an earlier version made the run."""
    section = run.result.summary.get(STATEMENT_TABLE)
    if section is None or not run.result.has_table(STATEMENT_TABLE):
        return []
    spread = [f"About the profiles: {note}." for note in run.result.summary.get("notes", ()) if SPREAD in note]
    how = HOW.format(minutes=max(section["minutes"], MEAN_MINUTES))
    text = (*describe_statement(section), *spread, how)
    table = make_worst_table(run.result.table(STATEMENT_TABLE).to_pandas())
    return [PageSection("en50160", "EN 50160", text, tables=(table,))]


def make_worst_table(rows: pd.DataFrame) -> Table:
    """The rows of the table `en50160` that come first in what is not kept: means beyond all bounds, then least shares.

    A dash is what cannot be shown. Shares are rounded down, so that 94.999 % does not read 95.
    """
    shares = [name for name in SHARES if name in rows]
    floored = {name: np.floor(rows[name] * 100.0 + 1e-6) / 100.0 for name in shares}
    least = rows[shares].min(axis=1)
    words = {clause: rows[clause].map(lambda word: word if word in SHOWN else "–") for clause in CLAUSES}
    shown = rows.assign(**floored, **words, least=least, never=rows["beyond"] == 0)
    shown["week_of"] = rows["begin"].dt.strftime("%Y-%m-%d")
    first = shown.sort_values(["never", "least"], kind="stable").head(TOP)
    caption = f"The {len(first)} of {len(rows):,} nodes and weeks that are closest to a bound; a dash: cannot be shown."
    return tabulate("en50160", caption, [column for column in COLUMNS if column.key in shown], first)
