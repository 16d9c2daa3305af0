"""Sections of the report on a portfolio: what happened in words and tiles, the worst feeders, what would mend them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cosim.portfolio.figures import MOST_POINTS, draw_places, draw_spread
from cosim.portfolio.mends import BY_NO_SHIFT, BY_SHIFT, NOT_TOLD
from cosim.portfolio.row import FAILED, KINDS_OF_BINDING, RUN
from cosim.report.elements import (
    Cell,
    Column,
    Drawing,
    Fact,
    PageSection,
    Table,
    count_decimals,
    number,
    show_hours,
    tabulate,
    words,
)
from cosim.report.sections.findings import Headline
from cosim.results.en50160 import ORDER, Word
from cosim.results.labels import CURTAILED_HOURS, CUT_KWH, CUT_PERCENT, ENERGY, NETWORK

WORST = 20
MOST_ROWS, MOST_FAILED = 1000, 200
"""Rows of the ranking and of the failed feeders that a page shows; the table beside it has all."""
LONGEST_TEXT = 400
CLAUSES = {"en50160_voltage": "voltage (4.2.2)", "en50160_unbalance": "unbalance (4.2.4)"}
KINDS = (*KINDS_OF_BINDING.values(), "other")
Link = Callable[[str], str]
"""Where the report of a feeder is, by its name; empty where there is none."""

RANKING = (
    Column("place", "place", 0),
    Column("feeder", "feeder"),
    Column("houses", "houses", 0),
    Column("curtailed_hours", f"{CURTAILED_HOURS}, h", 0, exact=True),
    Column("cut_kwh", f"{CUT_KWH}, kWh", 1),
    Column("cut_percent", f"{CUT_PERCENT}, %", 1),
    Column("binding", "binding element"),
    Column("highest_loading_percent", f"{NETWORK['highest_loading']}, %", 1),
    Column("lowest_vm_pu", f"{NETWORK['lowest_voltage']}, pu", 4),
    Column("highest_vm_pu", f"{NETWORK['highest_voltage']}, pu", 4),
    Column("en50160", "EN 50160, voltage"),
)
HOSTING = Column("hosting_kw", "hosting capacity, kW", 1)
"""Shown where it was asked for."""
MENDS = (
    Column("feeder", "feeder"),
    Column("mend_rating_percent", "rating must grow, %", 1),
    Column("rating", "of"),
    Column("voltage", "voltage of the head"),
    Column("mend_head_shift_pu", "by, pu", 4),
    Column("mend_tap_steps", "or tap_pos by", 0),
    Column("mend_export_cut_kw", "largest sale cut, kW", 1),
    Column("mend_import_cut_kw", "largest purchase cut, kW", 1),
)


def judge_portfolio(frame: pd.DataFrame, net_broken: int = 0) -> Headline:
    """Headline of a portfolio: how many feeders carry what their markets clear, and what keeps the others from it.

    Intervals in which limits of a medium-voltage net above them stay broken are `net_broken`.
    """
    ran, n_failed = frame[frame["status"] == RUN], int((frame["status"] == FAILED).sum())
    cut, off = int((ran["curtailed_hours"] > 0).sum()), int((ran["de_energised_intervals"] > 0).sum())
    failed = f" {count_feeders(n_failed)} failed." if n_failed else ""
    if ran.empty:
        return Headline("bad", "No feeder ran.", failed.strip())
    of_all = f"of {count_feeders(len(ran))}"
    if off:
        return Headline(
            "bad", "Feeders were off.", f"{off:,} {of_all} had to be switched off at times.{failed}", _why(ran)
        )
    if net_broken:
        text = f"Limits of the medium-voltage net stay broken in {net_broken:,} intervals; {cut:,} {of_all} "
        text += f"{'was' if cut == 1 else 'were'} curtailed.{failed}"
        return Headline("bad", "The net above does not carry it.", text, _why(ran))
    if cut:
        verb = "does" if cut == 1 else "do"
        text = f"{cut:,} {of_all} {verb} not carry what is cleared in every hour.{failed}"
        return Headline("bad" if n_failed else "warn", "Some feeders are too weak.", text, _why(ran))
    return Headline(
        "bad" if n_failed else "good", "Every feeder that ran carries it.", f"None {of_all} was curtailed.{failed}"
    )


def count_feeders(n: int) -> str:
    """A number of feeders, in words.

    Examples
    --------
    >>> count_feeders(1), count_feeders(1234)
    ('1 feeder', '1,234 feeders')
    """
    return f"{n:,} feeder{'s' * (n != 1)}"


def _why(ran: pd.DataFrame) -> str:
    """Hours curtailed over all feeders by the kind of the binding element, most first."""
    hours = {kind: float(ran[f"{kind}_binding_hours"].sum()) for kind in KINDS}
    named = [f"{kind} {show_hours(h)} h" for kind, h in sorted(hours.items(), key=lambda item: -item[1]) if h > 0]
    return f"curtailed by {', '.join(named)}" if named else ""


def make_overview_section(frame: pd.DataFrame) -> PageSection:
    """Tiles: feeders, hours and energy cut, extremes with their feeders, losses."""
    ran = frame[frame["status"] == RUN]
    cut = int((ran["curtailed_hours"] > 0).sum())
    hours = float(ran["curtailed_hours"].sum())
    facts = [
        Fact("feeders_run", "feeders run", number(len(ran), 0)),
        Fact("feeders_failed", "feeders failed", number(len(frame) - len(ran), 0)),
        Fact("feeders_curtailed", "feeders curtailed in some hour", number(cut, 0)),
        Fact("curtailed_hours", f"{CURTAILED_HOURS}, all feeders", number(hours, count_decimals([hours])), "h"),
        Fact("cut_mwh", f"{CUT_KWH}, all feeders", _sum(ran["cut_kwh"]), "MWh"),
        _find_extreme(ran, "highest_loading_percent", "highest_loading", 1, "%"),
        _find_extreme(ran, "lowest_vm_pu", "lowest_voltage", 4, "pu"),
        _find_extreme(ran, "highest_vm_pu", "highest_voltage", 4, "pu"),
        *(
            Fact(f"{key}_mwh", f"{ENERGY[key]}, all feeders", _sum(ran[f"{key}_kwh"]), "MWh")
            for key in ("load", "pv", "shed", "losses")
        ),
    ]
    return PageSection("overview", "What happened", facts=tuple(facts))


def _sum(kwh: pd.Series) -> Cell:
    """Sum over all feeders, MWh; a dash where it is known of none."""
    return number(float(kwh.sum()) / 1000.0 if kwh.notna().any() else None)


def _find_extreme(ran: pd.DataFrame, column: str, key: str, digits: int, unit: str) -> Fact:
    """The feeder with the extreme of a column, and its value."""
    values = ran[column].dropna()
    if values.empty:
        return Fact(key, NETWORK[key], number(None), unit)
    numbers = values.to_numpy(np.float64)
    at = int(numbers.argmin() if key.startswith("lowest") else numbers.argmax())
    name = ran.loc[values.index, "feeder"].iloc[at]
    return Fact(key, f"{NETWORK[key]}, {name}", number(float(numbers[at]), digits), unit)


def make_worst_section(ranked: pd.DataFrame, link: Link) -> PageSection:
    """The worst feeders: most energy cut first, then the highest loading."""
    worst = ranked.head(WORST)
    kept = sum(bool(link(name)) for name in worst["feeder"])
    caption = (
        f"The {len(worst)} worst of {count_feeders(len(ranked))}: most energy cut first, then the highest loading. "
        f"{'No run was kept.' if not kept else f'The names of {kept} lead to their own reports.'}"
    )
    return PageSection("worst", "The worst feeders", tables=(_tabulate("worst", caption, worst, link),))


def make_ranking_section(ranked: pd.DataFrame, link: Link) -> PageSection:
    """All feeders in the same order, as many as a page holds."""
    shown = ranked.head(MOST_ROWS)
    rest = "" if len(shown) == len(ranked) else f" The other {len(ranked) - len(shown):,} are in portfolio.csv."
    caption = f"{len(shown):,} of {count_feeders(len(ranked))} that ran, the worst first.{rest}"
    return PageSection("ranking", "Ranking", tables=(_tabulate("ranking", caption, shown, link),))


def _tabulate(key: str, caption: str, ranked: pd.DataFrame, link: Link) -> Table:
    """Table of feeders, whose names lead to their reports."""
    hours = ranked["binding_element_hours"]
    shown = ranked.assign(
        binding=[
            "" if pd.isna(name) else f"{shorten_text(name)}, {show_hours(h)} h"
            for name, h in zip(ranked["binding_element"], hours, strict=True)
        ],
        en50160=[shorten_word(word) for word in ranked["en50160_voltage"]],
    )
    asked = () if ranked["hosting_kw"].isna().all() else (HOSTING,)
    table = tabulate(key, caption, (*RANKING, *asked), shown)
    rows = [
        (row[0], row[1]._replace(link=link(name)), *row[2:])
        for row, name in zip(table.rows, ranked["feeder"], strict=True)
    ]
    return table._replace(rows=rows)


def shorten_text(text: Any) -> str:
    """A text as long as a cell may be.

    Examples
    --------
    >>> len(shorten_text(10_000 * "a"))
    401
    """
    shown = str(text)
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…"


def shorten_word(word: Any) -> str:
    """A word of the statement on EN 50160 for a narrow column; a dash where nothing can be shown or said.

    Examples
    --------
    >>> [shorten_word(word) for word in ("not kept", "cannot be shown by an incomplete week", None)]
    ['not kept', '–', '–']
    """
    return str(word) if word in (Word.KEPT, Word.NOT_KEPT) else "–"


def make_mends_section(ranked: pd.DataFrame) -> PageSection:
    """What would mend the feeders: counts over all that are curtailed, and the worst of them one by one."""
    sick = ranked[ranked["curtailed_hours"] > 0]
    if sick.empty:
        return PageSection("mends", "What would mend them", ("No feeder that ran needs mending.",))
    if sick["mend_voltage"].isna().all():
        return PageSection("mends", "What would mend them", ("The table has no mends; run the portfolio again.",))
    shift = sick["mend_voltage"]
    facts = (
        Fact(
            "mend_rating",
            "feeders with a rating that must grow",
            number(int((sick["mend_rating_percent"] > 0).sum()), 0),
        ),
        Fact("mend_shift", "feeders mended by another voltage of the head", number(int((shift == BY_SHIFT).sum()), 0)),
        Fact(
            "mend_tap",
            "of them by steps of their transformer",
            number(int(((shift == BY_SHIFT) & sick["mend_tap_steps"].notna()).sum()), 0),
        ),
        Fact("mend_no_shift", "feeders whose voltages lie too far apart", number(int((shift == BY_NO_SHIFT).sum()), 0)),
    )
    worst = sick.head(WORST)
    shown = worst.assign(
        rating=[_name_rating(row) for row in worst.to_dict(orient="records")],
        voltage=[_name_voltage(row) for row in worst.to_dict(orient="records")],
    )
    caption = (
        f"What would mend the {len(worst)} worst of {count_feeders(len(sick))} curtailed; a dash: it does not, "
        "or cannot be told."
    )
    text = (
        "Ratings and voltages are told from the exchanges as they were cleared, before anything was cut. A larger "
        "rating mends overloads only, another voltage of the head or tap position voltages only. Sales and purchases "
        "are the most that was cut of one house in one interval.",
    )
    return PageSection("mends", "What would mend them", text, facts, (tabulate("mends", caption, MENDS, shown),))


def _name_rating(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["mend_rating_element"]):
        return ""
    more = int(row["mend_rating_elements"]) - 1
    return f"{shorten_text(row['mend_rating_element'])}{f' and {more} more' if more > 0 else ''}"


def _name_voltage(row: Mapping[Any, Any]) -> str:
    word = row["mend_voltage"]
    if word == BY_NO_SHIFT and not pd.isna(row["mend_band_lacks_pu"]):
        return f"{word}: {row['mend_band_lacks_pu']:.4f} pu too far apart"
    if word == NOT_TOLD and not pd.isna(row["mend_note"]):
        return f"{word} ({shorten_text(row['mend_note'])})"
    return "–" if pd.isna(word) else shorten_text(word)


def make_spread_section(ran: pd.DataFrame) -> PageSection:
    """How loadings, voltages and hours curtailed are spread over the feeders."""
    of_hours = ran["intervals"] * ran["interval_minutes"] / 60.0
    share = 100.0 * ran["curtailed_hours"] / of_hours
    voltages = {
        NETWORK[key]: ran[column]
        for key, column in (("lowest_voltage", "lowest_vm_pu"), ("highest_voltage", "highest_vm_pu"))
    }
    loading = {NETWORK["highest_loading"]: ran["highest_loading_percent"]}
    curtailed = {"share of hours curtailed": share[share > 0]}
    figures = [
        Drawing(
            "loading",
            "Feeders by their highest loading as settled, %.",
            draw_spread(loading, "%", 2.0, "highest loading, %"),
        ),
        Drawing(
            "voltage",
            "Feeders by their lowest and highest voltage as settled, pu.",
            draw_spread(voltages, "pu", 0.002, "voltage, pu"),
        ),
    ]
    if (share > 0).any():
        text = (
            f"{count_feeders(int((share > 0).sum()))} that were curtailed by the share of hours in which they were, %."
        )
        figures.append(Drawing("curtailed", text, draw_spread(curtailed, "%", 0.1, "share of hours curtailed, %")))
    return PageSection("spread", "How they are spread", figures=tuple(figures))


def make_map_section(ranked: pd.DataFrame) -> list[PageSection]:
    """Map of the feeders, where any has coordinates."""
    x, y = (pd.to_numeric(ranked[name]).to_numpy(np.float64) for name in ("x", "y"))
    placed = ranked[np.isfinite(x) & np.isfinite(y)]
    if placed.empty:
        return []
    shown = placed.head(MOST_POINTS)
    caption = f"{len(shown):,} of {count_feeders(len(ranked))} that ran, at their coordinates, by hours curtailed, h."
    if len(shown) < len(placed):
        caption += f" Of {len(placed):,} with coordinates the worst are drawn."
    return [PageSection("map", "Map", figures=(Drawing("map", caption, draw_places(shown)),))]


def make_statement_section(ran: pd.DataFrame) -> PageSection:
    """Words of the statement on EN 50160, counted."""
    counts = {clause: ran[clause].value_counts() for clause in CLAUSES}
    said = [
        *map(str, ORDER),
        *sorted({str(word) for count in counts.values() for word in count.index} - set(map(str, ORDER))),
    ]
    rows = [
        (words(shorten_text(word)), *(number(int(counts[clause].get(word, 0)), 0) for clause in CLAUSES))
        for word in said
        if any(counts[clause].get(word, 0) for clause in CLAUSES)
    ]
    without = [int(ran[clause].isna().sum()) for clause in CLAUSES]
    if any(without):
        rows.append((words("no word: no node of low voltage"), *(number(n, 0) for n in without)))
    table = Table(
        "en50160",
        "Feeders by the word on each clause, over all their nodes and weeks.",
        ("word", *CLAUSES.values()),
        rows,
    )
    return PageSection("en50160", "EN 50160", tables=(table,))


def make_failed_section(frame: pd.DataFrame) -> list[PageSection]:
    """Feeders that failed, with their messages."""
    failed = frame[frame["status"] == FAILED]
    if failed.empty:
        return []
    shown = failed.head(MOST_FAILED)
    rest = "" if len(shown) == len(failed) else f" The other {len(failed) - len(shown):,} are in portfolio.csv."
    rows = [
        (words(name), words(shorten_text(message)))
        for name, message in zip(shown["feeder"], shown["message"], strict=True)
    ]
    table = Table("failed", f"{count_feeders(len(failed))} that failed, and why.{rest}", ("feeder", "message"), rows)
    return [PageSection("failed", "Feeders that failed", tables=(table,))]


def make_assumptions_section(ran: pd.DataFrame, *, under_net: bool) -> PageSection:
    """What the numbers are, and what they are not; `under_net` where feeders hang on one medium-voltage net."""
    lengths = sorted(
        {(int(n), int(minutes)) for n, minutes in zip(ran["intervals"], ran["interval_minutes"], strict=True)}
    )
    alone = (
        "Every feeder is a run of its own, with the voltage that its network's head has: feeders do not act on one "
        "another, and nothing above their heads is judged."
    )
    together = (
        "Every feeder is a run of its own, at the voltages that the medium-voltage net gave its head, and within what "
        "that net asked for: so feeders act on one another. Limits of that net are judged, and nothing above it."
    )
    text = [
        together if under_net else alone,
        "Loadings and voltages are those that were settled, after curtailment; what was asked for is told under what "
        "would mend a feeder. What a mended feeder is asked for may be a little more, since more of it is carried.",
        "Labels and numbers are those of each feeder's own report. The columns of portfolio.csv are those of "
        "portfolio.parquet.",
    ]
    if len(lengths) > 1:
        text.append(
            "Runs differ in length or intervals; hours and energies of feeders are not comparable as they stand."
        )
    if len(lengths) == 1:
        n, minutes = lengths[0]
        text.insert(0, f"Each feeder ran {n:,} intervals of {minutes} minute{'s' * (minutes != 1)}.")
    return PageSection("assumptions", "Assumptions and limits of this report", tuple(text))
