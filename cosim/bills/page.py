"""Bills as a page that needs nothing else, a sheet of A4 each, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from cosim.bills.bill import Bill, Bills
from cosim.bills.lines import GROUPS, Line, format_eur
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole

NOT_INCLUDED = "Taxes, levies and value added tax are not included: the run knows none."
TOTAL = "Total"


def write_bills(bills: Bills, page: Path, *, csv: bool = False) -> list[Path]:
    """Write bills as a page, and as CSV beside it if that is asked for; each whole or not at all."""
    written = [page, page.with_suffix(".csv")] if csv else [page]
    write_whole(page, render_bills(bills))
    if csv:
        write_whole(written[1], format_csv(make_bill_table(bills.bills)))
    return written


def render_bills(bills: Bills) -> str:
    """Bills as HTML; every text is escaped."""
    folder = files("cosim.bills")
    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(folder.joinpath("bills.html.j2").read_text(encoding="utf-8"))
    return template.render(
        title=name_page(bills),
        css=folder.joinpath("bills.css").read_text(encoding="utf-8"),
        bills=[_show_bill(bill) for bill in bills.bills],
        run=bills.name,
        head=bills.head,
        timezone=bills.timezone,
        not_included=NOT_INCLUDED,
        charged=bills.is_charged,
    )


def name_page(bills: Bills) -> str:
    """Title of the page: the one bill, or how many."""
    if len(bills.bills) == 1:
        return f"Bill of {bills.bills[0].house}, {_name_month(bills.bills[0].month)}"
    return f"{len(bills.bills):,} bills of {bills.name}"


def _name_month(month: str) -> str:
    return f"{pd.Timestamp(month):%B %Y}"


def _show_bill(bill: Bill) -> dict[str, Any]:
    """What the template shows of a bill."""
    groups = [
        (name, [_show_line(line) for line in lines], format_eur(sum(line.neur for line in lines)))
        for name, lines in ((name, list(lines)) for name, lines in groupby(_sort(bill.lines), lambda line: line.group))
    ]
    return {
        "house": bill.house,
        "month": _name_month(bill.month),
        "begin": f"{bill.begin:%Y-%m-%d %H:%M}",
        "end": f"{bill.end:%Y-%m-%d %H:%M}",
        "groups": groups,
        "said": "To pay" if bill.total_neur < 0 else "To be paid to you",
        "total": format_eur(abs(bill.total_neur)),
        "moved": format_eur(bill.total_neur),
        "opening": format_eur(bill.opening_neur),
        "closing": format_eur(bill.closing_neur),
    }


def _sort(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: GROUPS.index(line.group))


def _show_line(line: Line) -> tuple[str, str, str, str]:
    energy = "" if line.wh is None else f"{line.wh / 1000:,.3f}"
    return line.label, energy, line.note, format_eur(line.neur)


def make_bill_table(bills: Sequence[Bill]) -> pd.DataFrame:
    """Every line of bills with exact numbers, and their totals; `amount_neur` is what it brings the house."""
    rows = [
        (bill.house, bill.month, line.group, line.label, line.wh, line.neur)
        for bill in bills
        for line in (*_sort(bill.lines), Line(TOTAL, "moves the account by", None, bill.total_neur))
    ]
    table = pd.DataFrame(rows, columns=["house", "month", "group", "what", "energy_wh", "amount_neur"])
    return table.astype({"energy_wh": "Int64", "amount_neur": "int64"})
