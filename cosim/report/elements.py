"""Elements of a page: sections of text, facts, tables and figures. Numbers keep their full value beside what is shown.

`words` and `number` make the cells of a table, `tabulate` a table of a frame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

import pandas as pd
import plotly.io

from cosim.report.plot import Plot

TINY = 1e-9
_TEMPLATE = files("plotly").joinpath("package_data", "templates", "plotly_white.json")


class Cell(NamedTuple):
    """What a cell shows, the number behind it, unrounded (None for words), and where its text leads, if anywhere."""

    text: str
    value: float | None = None
    link: str = ""


class Fact(NamedTuple):
    """A single number: `key` names it for machines, `label` for people."""

    key: str
    label: str
    cell: Cell
    unit: str = ""


class Column(NamedTuple):
    """A column of a table: its key in a frame, its header, and the decimals of its numbers; None for words.

    Numbers of an exact column get more decimals where they have them: hours, which are multiples of the interval.
    """

    key: str
    header: str
    digits: int | None = None
    exact: bool = False


class Table(NamedTuple):
    """A table; numbers are aligned to the right."""

    key: str
    caption: str
    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


class Figure(NamedTuple):
    """A plotly figure; the caption names what is shown and its unit."""

    key: str
    caption: str
    figure: Plot

    @property
    def html(self) -> str:
        """The figure in the report's template, as part of a page that includes plotly itself.

        The template is plotly's own text of it: made into objects it would take longer than many a figure.
        """
        shown = self.figure.to_dict()
        shown["layout"]["template"] = _read_template()
        options = {"full_html": False, "include_plotlyjs": False, "validate": False}
        config = {"displaylogo": False, "responsive": True}
        return str(plotly.io.to_html(shown, div_id=f"figure-{self.key}", config=config, **options))


@lru_cache(maxsize=1)
def _read_template() -> dict[str, Any]:
    return dict(json.loads(_TEMPLATE.read_text(encoding="utf-8")))


class Drawing(NamedTuple):
    """A drawing in SVG, which a page shows without plotly; the caption names what is shown and its unit."""

    key: str
    caption: str
    svg: str

    @property
    def html(self) -> str:
        """The drawing, wide enough to be read: a narrow screen scrolls it."""
        region = f'class="scroll" id="figure-{self.key}" tabindex="0" role="region" aria-label="{escape(self.caption)}"'
        return f"<div {region}>{self.svg}</div>"


class PageSection(NamedTuple):
    """A part of a page, on screen and on paper."""

    key: str
    title: str
    text: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure | Drawing, ...] = ()


def words(text: object) -> Cell:
    """Cell without a number."""
    return Cell(str(text))


def number(value: float | None, digits: int = 1) -> Cell:
    """Cell with a number that is shown rounded; a dash where there is none.

    Examples
    --------
    >>> number(1234.567)
    Cell(text='1,234.6', value=1234.567, link='')
    >>> number(float("nan")).text
    '–'
    """
    if value is None or math.isnan(value):
        return Cell("–")
    return Cell(f"{value:,.{digits}f}", float(value))


def count_decimals(values: Iterable[float | None]) -> int:
    """Decimals that show all these values as they are, up to two.

    Examples
    --------
    >>> [count_decimals(hours) for hours in ([16.0], [15.5, 2.0], [0.25])]
    [0, 1, 2]
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    return next((n for n in (0, 1) if all(abs(value - round(value, n)) < TINY for value in known)), 2)


def show_hours(hours: float) -> str:
    """Hours as text, without rounding a half or a quarter away."""
    return number(hours, count_decimals([hours])).text


def tabulate(key: str, caption: str, columns: Sequence[Column], frame: pd.DataFrame) -> Table:
    """Table of a frame: one row per row of the frame, some of its columns.

    Examples
    --------
    >>> frame = pd.DataFrame({"house": ["a"], "kwh": [2.25]})
    >>> tabulate("t", "Houses.", [Column("house", "house"), Column("kwh", "load, kWh", 1)], frame).rows
    [(Cell(text='a', value=None, link=''), Cell(text='2.2', value=2.25, link=''))]
    """
    digits = [
        max(c.digits, count_decimals(frame[c.key])) if c.exact and c.digits is not None else c.digits for c in columns
    ]
    rows = [
        tuple(
            words(row[c.key]) if n is None else number(float(row[c.key]), n)
            for c, n in zip(columns, digits, strict=True)
        )
        for row in frame.to_dict(orient="records")
    ]
    return Table(key, caption, tuple(column.header for column in columns), rows)
