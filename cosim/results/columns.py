"""What the columns of all tables share: the type of times, and how columns of names are searched."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("ms", tz="UTC")
"""Type of times, in memory as on disk: Parquet has no timestamps in seconds."""


def is_named(column: pa.ChunkedArray, *names: str) -> pa.ChunkedArray:
    """Whether each value of a column is one of some names; of a dictionary column only the dictionary is searched.

    Parameters
    ----------
    column
        Strings, or a dictionary of strings, (n,).
    names
        Names to look for.

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
