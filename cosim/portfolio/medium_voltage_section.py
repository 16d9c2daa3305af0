"""Section of a portfolio's report on the medium-voltage net that its feeders hang on."""

from __future__ import annotations

from pathlib import Path

from cosim.errors import ScenarioError
from cosim.portfolio.medium_voltage.results import LISTED, MV_SUMMARY, MV_TABLE, describe_net, read_summary
from cosim.portfolio.sections import shorten_text
from cosim.report.elements import PageSection, Table, words
from cosim.results.applied_limits import describe_limits
from cosim.scenario.messages import shorten

MOST_BROKEN = 200
"""Rows of broken limits that a page shows."""


def make_medium_voltage_section(folder: Path) -> list[PageSection]:
    """Extremes of the net, its limits, and those that stay broken; nothing where there is no such net.

    Raises
    ------
    ScenarioError
        If the summary in the folder is not one that a portfolio wrote.
    """
    summary = read_summary(folder)
    if summary is None:
        return []
    try:
        limits = "; ".join(describe_limits(summary["limits"]))
        text = (*(f"{sentence}." for sentence in describe_net(summary)), f"Limits: {limits}.")
        rows = [
            (words(each["time"]), words(shorten_text(limit["limit"])), words(shorten_text(limit["why"])))
            for each in summary["broken"][:LISTED]
            for limit in each["limits"]
        ]
        broken = int(summary["broken_intervals"])
    except (LookupError, TypeError, ValueError, AttributeError) as reason:
        raise ScenarioError(
            f"{folder / MV_SUMMARY}: expected the summary of a medium-voltage net as a portfolio wrote it, got another "
            f"({type(reason).__name__}: {shorten(reason)}); go on with --resume, which makes it again"
        ) from reason
    shown = tuple(shorten_text(sentence[:1].upper() + sentence[1:]) for sentence in text)
    if not rows:
        return [PageSection("medium-voltage", "Medium voltage", shown)]
    rest = ""
    if broken > LISTED or len(rows) > MOST_BROKEN:
        rest = f" These are the first of {broken:,} intervals; all values are in {MV_TABLE}."
    caption = f"Limits of the medium-voltage net that stay broken, and why.{rest}"
    table = Table("broken", caption, ("time, UTC", "limit", "why"), rows[:MOST_BROKEN])
    return [PageSection("medium-voltage", "Medium voltage", shown, tables=(table,))]
