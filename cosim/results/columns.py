"""What columns of all tables have in common: times in UTC, and names kept as a dictionary."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("ms", tz="UTC")
"""Type of times, in memory as in Parquet, which knows no seconds."""


def is_named(column: pa.ChunkedArray, *names: str) -> pa.ChunkedArray:
    """Whether each value of a column of names is one of these; the dictionary is asked, not every row.

    Parameters
    ----------
    column
        Strings, or a dictionary of strings, (n,).
    names
        What is looked for.

    Returns
    -------
    pyarrow.ChunkedArray
        Booleans, (n,).

    Examples
    --------
    >>> kinds = pa.chunked_array([pa.array(["p2p", "loss", "p2p"]).dictionary_encode()])
    >>> is_named(kinds, "loss").to_pylist()
    [False, True, False]
    """
    wanted = pa.array(names, pa.string())
    if not pa.types.is_dictionary(column.type):
        return pc.is_in(column, wanted)
    found = [pc.take(pc.is_in(chunk.dictionary, wanted), chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(found, pa.bool_())
