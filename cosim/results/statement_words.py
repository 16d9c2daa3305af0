"""The statement on EN 50160 in words, for the screen and the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from cosim.results.en50160 import MEAN_MINUTES, Word
from cosim.results.labels import name_place

CLAUSES = ("voltage", "unbalance")
SHOWN = {"voltage": "± 10 %", "unbalance": "2 %"}


def describe_statement(section: Mapping[str, Any]) -> list[str]:
    """Section `en50160` of a summary in words: a line a clause, then what was not counted and what is incomplete."""
    lines = [_describe_clause(section, clause) for clause in CLAUSES]
    off, islanded = section["means"]["off"], section["means"]["islanded"]
    if off or islanded:
        lines.append(f"EN 50160, means that are not valid and count nowhere: {off:,} off, {islanded:,} islanded")
    if section["resolution_minutes"] <= MEAN_MINUTES:
        lines += [
            f"EN 50160, incomplete week of {week['begin'][:10]}: {week['means']:,} of {week['of']:,} means"
            for week in section["incomplete_weeks"]
        ]
    return lines


def _describe_clause(section: Mapping[str, Any], clause: str) -> str:
    told, nodes = section[clause], section["nodes"]
    if told["word"] == Word.TOO_COARSE:
        spread = section["minutes"] < section["resolution_minutes"]
        known = f"{'profiles' if spread else 'means'} of {section['resolution_minutes']} minutes"
        judged = f"{'means' if spread else 'those'} of {MEAN_MINUTES}"
        words = f"{Word.TOO_COARSE} ({known}, the standard judges {judged})"
    elif told["word"] == Word.NOT_MODELLED:
        words = str(Word.NOT_MODELLED)
    else:
        words = ", ".join(f"{word} at {count:,} of {nodes:,} nodes" for word, count in told["nodes"].items())
        n = section["complete_weeks"]
        words += f" in {n:,} complete week{'s' * (n != 1)}"
        words += ", phases taken as alike" if section["unbalance"]["word"] == Word.NOT_MODELLED else ""
    return "; ".join([f"EN 50160, {clause} ({told['clause']}): {words}", *_list_figures(told, clause)])


def _list_figures(told: Mapping[str, Any], clause: str) -> Iterator[str]:
    if "lowest_share" not in told:
        return
    lowest = told["lowest_share"]
    if lowest["percent"] == 100.0:
        yield f"all means within {SHOWN[clause]}"
    else:
        place = f"{name_place(lowest)}, week of {lowest['week_of'][:10]}"
        yield f"lowest share of means within {SHOWN[clause]}: {show_share(lowest['percent'])} % ({place})"
    if clause == "voltage":
        beyond = f"{told['beyond']:,} means beyond + 10 % / - 15 %, " if told["beyond"] else ""
        yield f"{beyond}{told['lowest_vm_pu']:.4f} … {told['highest_vm_pu']:.4f} pu"
    else:
        yield f"highest {told['highest_vuf_percent']:.2f} %"


def show_share(percent: float) -> str:
    """A share rounded down: what is not kept never reads 95.00, and only all of them read 100.00.

    Examples
    --------
    >>> show_share(94.9999), show_share(100.0), show_share(95.04)
    ('94.99', '100.00', '95.04')
    """
    return f"{math.floor(percent * 100 + 1e-6) / 100:.2f}"
