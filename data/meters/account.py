"""The account of an import: of each meter and direction what was read, cut, filled, refused and written, counts and Wh.

It balances to the Wh: read − cut + filled = written. What was refused never was part of what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from data.errors import DataError

READ, CUT, FILLED, REFUSED, WRITTEN, MARKED = "read", "cut", "filled", "refused", "written", "of which"
COLUMNS = ("meter", "direction", "what", "rule", "begin", "end", "number", "wh")


class Line(NamedTuple):
    """A line of the account.

    Attributes
    ----------
    meter, direction
        Whose; `import` or `export`, or a stream by its name.
    what
        `read`, `of which` (a part of what was read, such as estimated ones), `cut`, `filled`, `refused` or `written`.
    rule
        By which rule, or why.
    begin, end
        From when to when, UTC; empty where it is no time in a row.
    number
        How many readings, of what was filled, cut and written how many intervals.
    wh
        Energy, Wh.
    """

    meter: str
    direction: str
    what: str
    rule: str
    begin: str
    end: str
    number: int
    wh: int


def make_account_table(lines: Sequence[Line]) -> pd.DataFrame:
    """The account as a table."""
    return pd.DataFrame(lines, columns=pd.Index(COLUMNS))


def sum_account(lines: Sequence[Line]) -> pd.DataFrame:
    """The account with one row a meter and direction: counts and Wh of what was read, filled, refused and written."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for line in lines:
        if line.what != MARKED:
            row = rows.setdefault((line.meter, line.direction), {})
            for name, value in (("count", line.number), ("wh", line.wh)):
                row[f"{line.what}_{name}"] = row.get(f"{line.what}_{name}", 0) + value
    columns = [f"{what}_{name}" for what in (READ, CUT, FILLED, REFUSED, WRITTEN) for name in ("count", "wh")]
    table = pd.DataFrame(
        [{"meter": meter, "direction": way, **row} for (meter, way), row in rows.items()],
        columns=pd.Index(["meter", "direction", *columns]),
    )
    return table.fillna(dict.fromkeys(columns, 0)).astype(dict.fromkeys(columns, "int64"))


def check_account(lines: Sequence[Line]) -> None:
    """Raise DataError unless read − cut + filled = written for every meter and direction."""
    for row in sum_account(lines).to_dict(orient="records"):
        if row[f"{READ}_wh"] - row[f"{CUT}_wh"] + row[f"{FILLED}_wh"] != row[f"{WRITTEN}_wh"]:
            raise DataError(f"meter '{row['meter']}', {row['direction']}: expected an account that balances, got {row}")
