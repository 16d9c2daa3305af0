"""Network charges of a run: a table by house and month with each part, and what all of it comes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.interval.chunk import Chunk
from cosim.results.columns import is_named
from cosim.results.sums import Parts, read_whole
from cosim.results.tables import encode_names, interval_times, make_table
from market.charges import sum_charges
from market.exchanges import CHARGE, CHARGED, NEUR_PER_EUR

CHARGES_TABLE = "charges"
_SUMMED = ("withdrawn_wh", *CHARGED, "total_neur")


def list_charge_tables(case: Case) -> tuple[str, ...]:
    """Name of the table of network charges, where there are any."""
    return () if case.terms is None else (CHARGES_TABLE,)


def make_charge_tables(case: Case, chunk: Chunk) -> dict[str, pa.Table]:
    """The table of a chunk: one row per house and month that ends in it, or with the run; empty where none does.

    `time` is the begin of the interval in whose block the charge stands, `month` that of `charges.timezone`; parts and
    their total are in nEUR.
    """
    if case.terms is None:
        return {}
    rows = np.zeros(0, CHARGE) if chunk.charges is None else chunk.charges.rows
    time = interval_times(case, rows["interval"])
    names = list(case.profiles.participants)
    return {
        CHARGES_TABLE: make_table(
            {
                "time": time,
                "month": pa.array(name_months(pd.DatetimeIndex(time.to_pandas()), case.scenario.charges.timezone)),
                "house": encode_names(rows["house"], names),
                "withdrawn_wh": rows["withdrawn_wh"],
                "peak_w": rows["peak_w"],
                **{name: rows[name] for name in CHARGED},
                "total_neur": sum_charges(rows),
            }
        )
    }


def name_months(time: pd.DatetimeIndex, timezone: str) -> pd.Series:
    """Calendar month that each time is in, such as "2017-06".

    Examples
    --------
    >>> name_months(pd.DatetimeIndex(["2017-05-31T22:00Z"]), "Europe/Vienna").tolist()
    ['2017-06']
    """
    return pd.Series(time.tz_convert(timezone).strftime("%Y-%m"), dtype="string")


def summarise_charges(case: Case, parts: Parts, exchange_sums: pa.Table) -> dict[str, Any]:
    """Section `charges` of a summary, sums over houses and months; nothing where nothing is charged.

    `operator_eur` is what is left to the network operator of the charges, once it has paid losses and compensation and
    has been paid and has paid for the net's own elements: its account at the end.
    """
    if case.terms is None:
        return {}
    table = read_whole(parts, CHARGES_TABLE, _SUMMED)
    sums = {name: int(pc.sum(table[name]).as_py() or 0) for name in _SUMMED}
    neur = {name.removesuffix("_neur"): sums[name] for name in _SUMMED[1:]}
    neur["operator"] = sums["total_neur"] + sum_of_operator(exchange_sums)
    return {
        CHARGES_TABLE: {
            "withdrawn_kwh": sums["withdrawn_wh"] / 1000,
            **{f"{name}_eur": value / NEUR_PER_EUR for name, value in neur.items()},
        }
    }


def sum_of_operator(exchange_sums: pa.Table) -> int:
    """What the operator earned by exchanges less what it paid, nEUR: losses, compensation, the net's own elements."""
    return _sum_of(exchange_sums, "seller") - _sum_of(exchange_sums, "buyer")


def _sum_of(exchange_sums: pa.Table, end: str) -> int:
    """Money of the exchanges that the operator sells, or buys, nEUR."""
    chosen = exchange_sums.filter(is_named(exchange_sums[end], "operator"))
    return int(pc.sum(chosen["amount_neur"].cast(pa.int64())).as_py() or 0)
