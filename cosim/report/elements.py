"""What a page is made of: numbers that keep their full value, tables, figures, sections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """What a cell shows, and the number behind it, unrounded; None for words."""

    text: str
    value: float | None = None


class Fact(NamedTuple):
    """A number of its own: `key` names it for machines, `label` for people."""

    key: str
    label: str
    cell: Cell
    unit: str = ""


class Table(NamedTuple):
    """A table; numbers are set to the right, `printed` says whether it is worth paper."""

    key: str
    caption: str
    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    printed: bool = True


class Figure(NamedTuple):
    """A plotly figure; the caption names what is shown and its unit, `printed` says whether it is worth paper."""

    key: str
    caption: str
    figure: Any
    printed: bool = True

    @property
    def html(self) -> str:
        """The figure without plotly itself, as part of a page."""
        config = {"displaylogo": False, "responsive": True}
        return str(
            self.figure.to_html(
                full_html=False, include_plotlyjs=False, div_id=f"figure-{self.key}", config=config
            )
        )


class PageSection(NamedTuple):
    """A part of a page; `printed` says whether it is worth paper."""

    key: str
    title: str
    text: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    printed: bool = True


def words(text: object) -> Cell:
    """Cell without a number."""
    return Cell(str(text))


def number(value: float | None, digits: int = 1) -> Cell:
    """Cell with a number, rounded for the eye only; a dash where there is none.

    Examples
    --------
    >>> number(1234.567)
    Cell(text='1,234.6', value=1234.567)
    >>> number(float("nan")).text
    '–'
    """
    if value is None or math.isnan(value):
        return Cell("–")
    return Cell(f"{value:,.{digits}f}", float(value))
