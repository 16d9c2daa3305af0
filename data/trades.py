"""Read trades that another market has cleared; what can be checked without a network is checked here.

Columns: time, seller, buyer, energy_wh|energy_kwh, price_eur_per_kwh|price_eur_per_mwh|price_ueur_per_kwh. `time` is
the begin of the interval of delivery; `grid` as seller or buyer is the utility.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from data.errors import DataError
from data.files import Column, Table, make_table, parse_table, read_table
from data.prices import PRICE_UNITS, read_prices
from data.series import Integers

LARGEST_TRADE_WH = 1_000_000
ENERGY_UNITS = {"energy_wh": ("Wh", 1.0), "energy_kwh": ("kWh", 1000.0)}  # column: (unit, factor to Wh)


def read_trades(path: str | Path, *, timezone: str = "UTC") -> pd.DataFrame:
    """Read trades from a CSV or Parquet file.

    Parameters
    ----------
    path
        The file.
    timezone
        Clock of times without an offset.

    Returns
    -------
    DataFrame
        Columns `time` (UTC), `seller`, `buyer` (str), `energy_wh`, `price_ueur_per_kwh` (int64), in the order of the
        file; the index `row` is the row of the file, the header being row 1.

    Raises
    ------
    DataError
        Naming file, column and row: unknown or missing columns, times that cannot be read, energies that are negative,
        not finite or above 1 MWh, or below half a Wh, sellers who buy from themselves, rows that occur twice.
    """
    return _make_trades(read_table(path), timezone)


def parse_trades(buffer: IO[str], source: str = "trades", *, timezone: str = "UTC") -> pd.DataFrame:
    r"""Parse trades from CSV text; see `read_trades`.

    Examples
    --------
    >>> import io
    >>> text = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-01-01T12:00Z,a,b,1.5,0.1\n"
    >>> parse_trades(io.StringIO(text)).energy_wh.tolist()
    [1500]
    """
    return _make_trades(parse_table(buffer, source), timezone)


def trades_from_frame(frame: pd.DataFrame, source: str = "trades", timezone: str = "UTC") -> pd.DataFrame:
    """Check trades in a DataFrame with these columns; see `read_trades`."""
    return _make_trades(make_table(frame, source), timezone)


def _make_trades(table: Table, timezone: str) -> pd.DataFrame:
    table.check_columns(("time", "seller", "buyer"), (*ENERGY_UNITS, *PRICE_UNITS))
    energy, price = table.column(table.find_column(ENERGY_UNITS)), read_prices(table)
    seller, sellers = table.column("seller").read_names()
    buyer, buyers = table.column("buyer").read_names()
    time = table.column("time").read_times(timezone)
    trades = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(time).tz_localize("UTC"),
            "seller": np.array(sellers, dtype=object)[seller],
            "buyer": np.array(buyers, dtype=object)[buyer],
            "energy_wh": _read_energy_wh(energy),
            "price_ueur_per_kwh": price,
        }
    ).set_axis(table.frame.index, axis=0)
    alone = (trades["seller"] == trades["buyer"]).to_numpy()
    table.column("buyer").check(alone, "a buyer other than the seller", "correct or remove the row")
    twice = trades.duplicated().to_numpy()
    if twice.any():
        raise DataError(
            f"{table.source}, row {trades.index[int(np.argmax(twice))]}: expected each trade once, "
            "got the same time, seller, buyer, energy and price again; remove the row"
        )
    return trades


def _read_energy_wh(column: Column) -> Integers:
    """Energies rounded to Wh; one that rounds to 0 is an error, most likely one of units."""
    unit, wh = ENERGY_UNITS[column.name]
    another = f"is the column in another unit than {unit}?"
    values = column.read_numbers(unit, LARGEST_TRADE_WH / wh, f"the limit is 1 MWh per trade; {another}")
    energy_wh = np.rint(values * wh).astype(np.int64)
    column.check((energy_wh == 0) & (values > 0.0), "0 or more than half a Wh", another)
    return energy_wh
