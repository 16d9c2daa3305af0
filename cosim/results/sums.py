"""A run's long tables summed over its intervals, read some rows at a time: memory never holds a whole table.

Every function names the columns that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import is_named
from market.exchanges import METER

Parts = Callable[[str, Sequence[str]], Iterator[pa.Table]]
"""Reads some columns of the table of a name, some rows at a time."""

PARTIES = ("kind", "seller", "buyer", "host")
SUMMED = ("cleared_wh", "delivered_wh", "amount_neur", "fee_neur")
METERS = tuple(name for name in METER.names or () if name.endswith("_wh"))
"""Columns of the table `houses` that hold energy, Wh; see `market.exchanges.METER`."""
CURTAILED = (*("time", "seq", "kind", "seller", "buyer", "cleared_wh", "delivered_wh", "status", "reason", "element"),)
"""Columns of the table `exchanges` that are kept of curtailed exchanges."""


def read_whole(parts: Parts, name: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of a short table, all rows."""
    return pa.concat_tables(parts(name, columns)).unify_dictionaries()


def sum_exchanges(parts: Parts, *, volt_watt: bool = False) -> pa.Table:
    """Sums of energy and money by kind of exchange, seller, buyer and host.

    Parameters
    ----------
    parts
        Reads the table `exchanges`.
    volt_watt
        Whether inverters reduce their power by the voltage: what that took of an exchange is not in `cleared_wh`, so
        that the rest of it is what was curtailed.

    Returns
    -------
    pyarrow.Table
        `PARTIES`, names, and `SUMMED`, integers, Wh and nEUR; one row for each combination that occurs.

    Examples
    --------
    >>> hour = pa.table({name: ["p2p"] for name in PARTIES} | {name: [2] for name in SUMMED})
    >>> sum_exchanges(lambda name, columns: iter([hour, hour]))["delivered_wh"].to_pylist()
    [4]
    """
    columns = (*PARTIES, *SUMMED, "reason") if volt_watt else (*PARTIES, *SUMMED)
    tables = parts("exchanges", columns)
    sums = map(_group_exchanges, map(_without_reductions, tables) if volt_watt else tables)
    return _group_exchanges(pa.concat_tables(sums).unify_dictionaries())


def _without_reductions(exchanges: pa.Table) -> pa.Table:
    """Exchanges that P(V) cut as if only what is delivered had been cleared."""
    cleared = pc.if_else(is_named(exchanges["reason"], "volt_watt"), exchanges["delivered_wh"], exchanges["cleared_wh"])
    return exchanges.set_column(exchanges.column_names.index("cleared_wh"), "cleared_wh", cleared)


def _group_exchanges(exchanges: pa.Table) -> pa.Table:
    # One thread: a part has too few rows to share, and the order of the rows is that of the run.
    grouped = exchanges.group_by(list(PARTIES), use_threads=False).aggregate([(name, "sum") for name in SUMMED])
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def find_curtailed_exchanges(parts: Parts, *, unbalanced: bool = False) -> pa.Table:
    """Rows of the table `exchanges` that were not delivered as cleared: `CURTAILED`, and `phase` if it has that.

    Those that P(V) cut are not among them: no limit did.
    """
    exchanges = parts("exchanges", (*CURTAILED, "phase") if unbalanced else CURTAILED)
    rows = (part.filter(pc.invert(_is_whole(part))) for part in exchanges)
    return pa.concat_tables(rows).unify_dictionaries()


def _is_whole(exchanges: pa.Table) -> pa.ChunkedArray:
    """Which exchanges no limit has cut."""
    return pc.or_(is_named(exchanges["status"], "accepted"), is_named(exchanges["reason"], "volt_watt"))


def sum_meters(parts: Parts, n_houses: int, times: pa.Array) -> tuple[pa.Table, pa.Table]:
    """Sums of every meter by house, and the rows of some times; `houses` is read once for both.

    Parameters
    ----------
    parts
        Reads the table `houses`: every house in every interval, by time.
    n_houses
        Number of houses.
    times
        Starts of the intervals whose rows are wanted.

    Returns
    -------
    sums : pyarrow.Table
        `METERS`, integers, Wh, one row a house. `own_wh` and `hosted_wh`, which are contents at the end of an
        interval, are summed over all intervals too.
    rows : pyarrow.Table
        Rows of `houses` at `times`: `time`, `METERS`, and `q_var`.
    """
    sums = {name: np.zeros(n_houses, np.int64) for name in METERS}
    rows = []
    for part in parts("houses", ("time", *METERS, "q_var")):
        for name in METERS:
            sums[name] += part[name].to_numpy().reshape(-1, n_houses).sum(axis=0, dtype=np.int64)
        rows.append(part.filter(pc.is_in(part["time"], times)))
    return pa.table(sums), pa.concat_tables(rows).unify_dictionaries()
