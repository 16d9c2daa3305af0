"""Read trades that another market has cleared; what can be checked without a network is checked here.

Columns: time, seller, buyer, energy_wh|energy_kwh, price_eur_per_kwh|price_eur_per_mwh|price_ueur_per_kwh. `time` is
the begin of the interval of delivery; `grid` as seller or buyer is the utility. All other columns are carried through.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from data.columns import Column, Table
from data.errors import DataError
from data.files import make_table, parse_table, read_table
from data.prices import PRICE_UNITS, read_prices
from data.series import Integers

LARGEST_TRADE_WH = 1_000_000
NOTES = "notes"  # key of the attributes of a DataFrame of trades
ENERGY_UNITS = {"energy_wh": ("Wh", 1.0), "energy_kwh": ("kWh", 1000.0)}  # column: (unit, factor to Wh)
REACTIVE = re.compile(
    r"\b_?k?varh?\b|(^|_)k?varh?(_|$)|reactive|(cos|tan).?(phi|φ)|power.?factor|^(pf|q)$|^q[ _]|[ _]q$"
)
"""Names of columns, in lower case, that hold reactive power or a power factor."""


def read_trades(path: str | Path, *, timezone: str = "UTC", day_first: bool | None = None) -> pd.DataFrame:
    """Read trades from a CSV or Parquet file.

    Parameters
    ----------
    path
        The file.
    timezone
        Clock of times without an offset.
    day_first
        Whether 03/04/2017 is in April; None: another date of the file must decide.

    Returns
    -------
    DataFrame
        Columns `time` (UTC), `seller`, `buyer` (str), `energy_wh`, `price_ueur_per_kwh` (int64), in the order of the
        file, then all other columns as they are; the index `row` is the row of the file, the header being row 1.
        `attrs["notes"]`, if there, says what had to be understood to read the file.

    Raises
    ------
    DataError
        Naming file, column and row: missing columns, times that cannot be read, energies that are negative, not finite
        or above 1 MWh, or below half a Wh, sellers who buy from themselves.
    """
    return _make_trades(read_table(path), timezone, day_first)


def parse_trades(
    buffer: IO[str], source: str = "trades", *, timezone: str = "UTC", day_first: bool | None = None
) -> pd.DataFrame:
    r"""Parse trades from CSV text; see `read_trades`.

    Examples
    --------
    >>> import io
    >>> text = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-01-01T12:00Z,a,b,1.5,0.1\n"
    >>> parse_trades(io.StringIO(text)).energy_wh.tolist()
    [1500]
    """
    return _make_trades(parse_table(buffer, source), timezone, day_first)


def trades_from_frame(
    frame: pd.DataFrame, source: str = "trades", timezone: str = "UTC", day_first: bool | None = None
) -> pd.DataFrame:
    """Check trades in a DataFrame with these columns, or such as `read_trades` gives; see there."""
    trades = _make_trades(make_table(frame, source), timezone, day_first)
    if NOTES in frame.attrs:
        trades.attrs = {NOTES: frame.attrs[NOTES]}
    return trades


def _make_trades(table: Table, timezone: str, day_first: bool | None = None) -> pd.DataFrame:
    table = table.with_numbers((*ENERGY_UNITS, *PRICE_UNITS))
    table.check_columns(("time", "seller", "buyer"), table.frame.columns)
    energy, price = table.column(table.find_column(ENERGY_UNITS)), read_prices(table, may_be_negative=True)
    seller, sellers = table.column("seller").read_names()
    buyer, buyers = table.column("buyer").read_names()
    keys = (np.zeros(seller.size, np.int64), seller * len(buyers) + buyer)
    clock = table.column("time").read_times(timezone, day_first, keys)
    trades = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(clock.utc).tz_localize("UTC"),
            "seller": np.array(sellers, dtype=object)[seller],
            "buyer": np.array(buyers, dtype=object)[buyer],
            "energy_wh": _read_energy_wh(energy),
            "price_ueur_per_kwh": price,
        }
    ).set_axis(table.frame.index, axis=0)
    alone = (trades["seller"] == trades["buyer"]).to_numpy()
    table.column("buyer").check(alone, "a buyer other than the seller", "correct or remove the row")
    return _carry(table.say(*clock.said), trades, energy.name)


def _carry(table: Table, trades: pd.DataFrame, energy: str) -> pd.DataFrame:
    """Trades with all other columns of the table, and notes on how it was read."""
    used = {*trades.columns, energy, *PRICE_UNITS}
    other = table.frame[[name for name in table.frame.columns if name not in used]]
    _refuse_reactive(table, other)
    if len(other.columns):
        table = table.say(f"carried through: {', '.join(map(str, other.columns))} (no answer depends on them)")
    equal = table.frame.assign(time=trades["time"]).duplicated().to_numpy()
    if equal.any():
        row = table.frame.index[int(np.argmax(equal))]
        table = table.say(f"rows that equal an earlier one, each a trade: {int(equal.sum())} (the first is row {row})")
    trades = pd.concat([trades, other], axis=1)
    trades.attrs = {NOTES: table.notes} if table.notes else {}
    return trades


def _refuse_reactive(table: Table, other: pd.DataFrame) -> None:
    """Refuse columns of reactive power: a network's answer depends on it, and trades have none of their own."""
    for name in other.columns:
        if REACTIVE.search(str(name).lower()):
            raise DataError(
                f"{table.source}, column {name}: expected trades of active energy, got reactive power, which would be "
                "left out; give it by house, as load_kvarh in --profiles, load_cos_phi in --participants or "
                "--load-cos-phi, and remove the column"
            )


def _read_energy_wh(column: Column) -> Integers:
    """Energies rounded to Wh; one that rounds to 0 is an error, most likely one of units."""
    unit, wh = ENERGY_UNITS[column.name]
    another = f"is the column in another unit than {unit}?"
    values = column.read_numbers(unit, LARGEST_TRADE_WH / wh, f"the limit is 1 MWh per trade; {another}")
    energy_wh = np.rint(values * wh).astype(np.int64)
    column.check((energy_wh == 0) & (values > 0.0), "0 or more than half a Wh", another)
    return energy_wh
