"""Section on the unbalance of a run whose phases were solved each by itself, and findings in words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from cosim.report.elements import Column, Figure, PageSection, Table, tabulate
from cosim.report.figures.phases import draw_unbalance_duration
from cosim.report.tables.before_and_after import summarise_by_element, with_settled
from cosim.report.tables.branches import FULL_PERCENT
from cosim.report.tables.run_tables import RunTables
from cosim.results.labels import describe_conductor

TOP = 10
VOLTAGE_CAPTION = (
    "Voltage, pu, of each phase of each bus over its distance from the external grid along the lines, km: lowest to "
    "highest of the run, with the median as a dot; thin lines follow the branches."
)
KINDS = {"line": "line", "trafo": "transformer", "bus": "bus"}


def make_unbalance_section(run: RunTables, branches: pd.DataFrame) -> PageSection:
    """Duration curves of the largest unbalance and of the loading of neutrals, and loadings by conductor."""
    assert run.vuf_percent is not None
    limits, lines = run.limits, len(run.feeder.net.line)
    highest = {conductor: frame.iloc[:, :lines].max(axis=1) for conductor, frame in run.loadings.items()}
    figure = draw_unbalance_duration(
        *(run.vuf_percent.max(axis=1), highest if lines else {}, run.hours),
        *(float(limits.max_vuf_percent.min()), float(limits.max_line_loading_percent.min(initial=FULL_PERCENT))),
    )
    caption = (
        "Duration curves, %: for how many hours the largest unbalance of any bus, and the highest loading of the "
        "neutral and of each phase of any line, was reached or exceeded."
    )
    return PageSection(
        "unbalance",
        "Unbalance",
        (f"Phases of every house are in phases.csv; {describe_phases(run)}.",),
        tables=(make_conductors_table(run, branches),),
        figures=(Figure("unbalance-duration", caption, figure),),
    )


def describe_phases(run: RunTables) -> str:
    """How many loads are on which phases."""
    counts = run.phases["phase"].value_counts()
    listed = [f"{counts[p]:,} on {p}" for p in ("a", "b", "c") if p in counts]
    return "loads: " + ", ".join([*listed, *([f"{counts['abc']:,} on all three"] if "abc" in counts else [])])


def make_conductors_table(run: RunTables, branches: pd.DataFrame) -> Table:
    """Highest loading of each conductor of the most loaded elements."""
    top = branches.dropna(subset=["max_loading_percent"])
    top = top.sort_values("max_loading_percent", ascending=False, kind="stable").head(TOP)
    columns = [Column("element", "element"), Column("element_type", "type")]
    columns += [Column(f"max_loading_{c}_percent", f"{describe_conductor(c)}, max, %", 1) for c in run.loadings]
    caption = "Highest loading of each conductor of the ten most loaded elements; transformers have no neutral here."
    return tabulate("conductors", caption, columns, top)


def describe_most_frequent(run: RunTables) -> str:
    """What the exchanges as cleared broke most often, as a sentence; empty where nothing, or phases are alike."""
    if not run.unbalanced or run.violations.empty:
        return ""
    paired = with_settled(run.violations, run.settled(), run.feeder.net)
    first = summarise_by_element(paired, 1.0).iloc[0].to_dict()
    return f"As cleared, what occurs most is {describe_finding(first)}, in {int(first['hours_cleared']):,} intervals."


def describe_finding(row: Mapping[Hashable, Any]) -> str:
    """A violation in words: what is wrong, in which phase, where.

    Examples
    --------
    >>> row = {"element_type": "bus", "element": "pole 9", "quantity": "vm_pu", "side": "above", "phase": "b"}
    >>> describe_finding(row)
    'overvoltage in phase b at bus pole 9'
    >>> describe_finding({**row, "element_type": "line", "quantity": "loading_percent", "phase": "n"})
    'overload of the neutral of line pole 9'
    """
    kind, name = KINDS[row["element_type"]], str(row["element"])
    where = name if name.lower().startswith(kind) else f"{kind} {name}"
    if row["quantity"] == "vuf_percent":
        return f"unbalance (VUF) at {where}"
    if row["quantity"] == "neutral_v":
        return f"voltage of the neutral to earth at {where}"
    conductor = describe_conductor(row["phase"])
    if row["quantity"] == "loading_percent":
        return f"overload of {'the ' if row['phase'] == 'n' else ''}{conductor} of {where}"
    return f"{'over' if row['side'] == 'above' else 'under'}voltage in {conductor} at {where}"
