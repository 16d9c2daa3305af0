"""Exchanges of a run summed over its intervals: who sold how much of what to whom, a few rows instead of millions."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

PARTIES = ("kind", "seller", "buyer", "host")
SUMMED = ("cleared_wh", "delivered_wh", "amount_neur", "fee_neur")


def booked(parts: Iterable[pa.Table]) -> pa.Table:
    """Sums of energy and money by kind of exchange, seller, buyer and host.

    Parameters
    ----------
    parts
        The table `exchanges`, or its columns `PARTIES` and `SUMMED`, some intervals at a time.

    Returns
    -------
    pyarrow.Table
        `PARTIES`, names, and `SUMMED`, integers, Wh and nEUR; one row for each combination that occurs.

    Examples
    --------
    >>> hour = pa.table({name: ["p2p"] for name in PARTIES} | {name: [2] for name in SUMMED})
    >>> booked([hour, hour])["delivered_wh"].to_pylist()
    [4]
    """
    summed = pa.concat_tables([_summed(part) for part in parts]).unify_dictionaries()
    return _summed(summed)


def _summed(exchanges: pa.Table) -> pa.Table:
    # One thread: a part has too few rows to share, and the order of the rows is that of the run.
    grouped = exchanges.group_by(list(PARTIES), use_threads=False).aggregate(
        [(name, "sum") for name in SUMMED]
    )
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])
