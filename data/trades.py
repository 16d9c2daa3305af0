"""Trades that somebody else has cleared: what can be judged from the file alone is judged here.

Columns: time, seller, buyer, energy_wh|energy_kwh, price_eur_per_kwh|price_eur_per_mwh|price_ueur_per_kwh. `time` is
the begin of the interval of delivery; `grid` as seller or buyer is the utility.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.files import check_columns, got, names, numbered, numbers, parse_frame, read_frame, times, where
from data.prices import PRICE_UNITS, prices_of

LARGEST_TRADE_WH = 1_000_000
ENERGY_UNITS = {"energy_wh": ("Wh", 1.0), "energy_kwh": ("kWh", 1000.0)}  # column: (unit, factor to Wh)


def read_trades(path: str | Path, *, timezone: str = "UTC") -> pd.DataFrame:
    """Trades from a CSV or Parquet file.

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
    return trades_from_frame(read_frame(path), Path(path).name, timezone)


def parse_trades(buffer: IO[str], source: str = "trades", *, timezone: str = "UTC") -> pd.DataFrame:
    r"""Trades from CSV text; see `read_trades`.

    Examples
    --------
    >>> import io
    >>> text = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-01-01T12:00Z,a,b,1.5,0.1\n"
    >>> parse_trades(io.StringIO(text)).energy_wh.tolist()
    [1500]
    """
    return trades_from_frame(parse_frame(buffer, source), source, timezone)


def trades_from_frame(frame: pd.DataFrame, source: str = "trades", timezone: str = "UTC") -> pd.DataFrame:
    """Trades from a DataFrame with these columns; see `read_trades`."""
    frame = numbered(frame, source)
    check_columns(frame, source, ("time", "seller", "buyer"), (*ENERGY_UNITS, *PRICE_UNITS))
    energy, price = _energy_column(frame, source), prices_of(frame, source)
    seller, sellers = names(frame, "seller", source)
    buyer, buyers = names(frame, "buyer", source)
    trades = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(times(frame, "time", source, timezone)).tz_localize("UTC"),
            "seller": np.array(sellers, dtype=object)[seller],
            "buyer": np.array(buyers, dtype=object)[buyer],
            "energy_wh": _energy_wh(frame, energy, source),
            "price_ueur_per_kwh": price,
        },
    ).set_axis(frame.index, axis=0)
    alone = (trades["seller"] == trades["buyer"]).to_numpy()
    if alone.any():
        raise DataError(
            f"{where(frame, source, 'buyer', alone)}: expected a buyer other than the seller, "
            f"got {got(frame, 'buyer', alone)}; correct or remove the row"
        )
    twice = trades.duplicated().to_numpy()
    if twice.any():
        raise DataError(
            f"{source}, row {frame.index[int(np.argmax(twice))]}: expected each trade once, "
            "got the same time, seller, buyer, energy and price again; remove the row"
        )
    return trades


def _energy_column(frame: pd.DataFrame, source: str) -> str:
    found = [name for name in ENERGY_UNITS if name in frame.columns]
    if len(found) != 1:
        raise DataError(
            f"{source}: expected one of the columns {', '.join(ENERGY_UNITS)}, got {', '.join(found) or 'none'}; "
            f"{'remove the other' if found else 'add it'}"
        )
    return found[0]


def _energy_wh(frame: pd.DataFrame, column: str, source: str) -> npt.NDArray[np.int64]:
    """Energies rounded to Wh; what would vanish by that is an error, most likely one of units."""
    unit, wh = ENERGY_UNITS[column]
    hint = f"the limit is 1 MWh per trade; is the column in another unit than {unit}?"
    values = numbers(frame, column, source, unit, LARGEST_TRADE_WH / wh, hint)
    energy_wh = np.rint(values * wh).astype(np.int64)
    vanished = (energy_wh == 0) & (values > 0.0)
    if vanished.any():
        raise DataError(
            f"{where(frame, source, column, vanished)}: expected 0 or more than half a Wh, "
            f"got {got(frame, column, vanished)}; is the column in another unit than {unit}?"
        )
    return energy_wh
