"""Files and options of envelopes: who takes part, voltages of the head, and the table that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cosim.errors import ScenarioError
from cosim.results.csv_text import format_csv
from cosim.results.directory import replace_when_whole
from cosim.validation.envelopes import COLUMNS, check_customers
from cosim.validation.files import Placement
from data.errors import DataError
from data.files import read_table
from data.profiles import Profiles

CONNECTION_KW = 30.0
"""What a connection can do where nobody says it: about three phases of 43 A."""

PARQUET, CSV, HTML = (".parquet", ".pq"), (".csv",), (".html", ".htm")


def choose_customers(
    path: Path | None, connection_kw: float | None, placement: Placement | None, profiles: Profiles | None, net: Any
) -> pd.DataFrame:
    """Customers of a file; without one all participants, or all named loads of the net, with one connection for all.

    Raises
    ------
    ScenarioError, DataError
        If both or neither can be used.
    """
    if path is not None:
        if connection_kw is not None:
            raise ScenarioError(
                f"--connection-kw: expected none beside --customers, whose table says it, got {connection_kw:g}; "
                "leave one of them out"
            )
        return check_customers(read_table(path, what="a table " + ",".join(COLUMNS)).frame, str(path))
    names: list[str] = [] if placement is None else list(placement.buses)
    if placement is None:
        found = net.load["name"].dropna() if profiles is None else profiles.participants
        names = list(dict.fromkeys(map(str, found)))
    if not names:
        raise DataError(
            "customers: expected loads of the net with names, or a table of customers, got neither; give one with "
            "--customers"
        )
    most = CONNECTION_KW if connection_kw is None else connection_kw
    return check_customers(pd.DataFrame({COLUMNS[0]: names, COLUMNS[1]: most, COLUMNS[2]: most}), "--connection-kw")


def read_heads(words: str | None) -> tuple[float, ...]:
    """Voltages of the external grid, pu, from `0.98,1.03`.

    Raises
    ------
    ScenarioError
        If a part is no number.

    Examples
    --------
    >>> read_heads("0.98, 1.03"), read_heads(None)
    ((0.98, 1.03), ())
    """
    try:
        return () if words is None else tuple(float(word) for word in words.split(","))
    except ValueError as reason:
        raise ScenarioError(
            f"--head-vm-pu: expected voltages such as 0.98,1.03, got '{words}'; write numbers with a decimal point"
        ) from reason


def check_ending(out: Path, option: str = "--out") -> Path:
    """The file itself if its ending says what to write.

    Raises
    ------
    ScenarioError
        If it does not.
    """
    if out.suffix.lower() not in (*CSV, *PARQUET):
        raise ScenarioError(f"{option}: expected a file that ends in .csv or .parquet, got {out}; rename it")
    return out


def check_page(page: Path, profiles: Path | None) -> Path:
    """The file of a figure over the day itself, if that is what its ending says and there is a day.

    Raises
    ------
    ScenarioError
        If it is not.
    """
    if profiles is None:
        raise ScenarioError("--figure: expected --profiles, whose day it shows, got none; give them")
    return check_html(page)


def check_html(page: Path) -> Path:
    """The file of a figure itself, if its ending says that it is a page.

    Raises
    ------
    ScenarioError
        If it does not.
    """
    if page.suffix.lower() not in HTML:
        raise ScenarioError(f"--figure: expected a file that ends in .html, got {page}; rename it")
    return page


def write_page(page: str, out: Path) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    with replace_when_whole(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write the table as CSV or Parquet, whole or not at all.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    with replace_when_whole(out) as temporary:
        if out.suffix.lower() in PARQUET:
            table.to_parquet(temporary, index=False)
        else:
            temporary.write_text(format_csv(table), encoding="utf-8", newline="")
