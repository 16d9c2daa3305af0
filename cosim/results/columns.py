"""Columns of tables: their types by name, and how columns of names are searched."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("ms", tz="UTC")
"""Type of times, in memory as on disk: Parquet has no timestamps in seconds."""

_NAMES = (
    *("house", "device", "name", "element_type", "quantity", "kind", "seller", "buyer", "rule", "reason"),
    *(
        "answer",
        "supply",
        "former",
        "outage",
        "dispatch",
        "phase",
        "phase_pv",
        "phase_battery",
        "phase_fuel_cell",
        "phase_ev",
    ),
    *("bus", "voltage", "unbalance"),
)
_INTEGERS = (
    *("element", "part", "houses", "cleared_wh", "delivered_wh", "curtailed_wh", "energy_wh", "load_wh"),
    *("served_wh", "critical_wh", "critical_served_wh", "pv_wh", "fuel_cell_wh", "discharge_wh", "charge_wh"),
    *("losses_wh", "spilled_wh", "imported_wh", "stored_wh", "capacity_wh", "intervals_above"),
    *("week", "means", "off", "islanded", "valid", "beyond"),
)
_FLOATS = (
    *("value", "limit", "rated_kw", "capacity_kwh", "charged_kwh", "discharged_kwh", "full_cycles"),
    *(
        "mean_soc",
        "fade",
        "wear_eur",
        "soc",
        "frequency_hz",
        "power_kw",
        "hydrogen_kg",
        "tank_kg",
        "cost_eur",
        "contract_kw",
        "highest_kw",
        "kwh_above",
        "share_within_percent",
        "share_vuf_within_percent",
        "lowest_vm_pu",
        "highest_vm_pu",
        "highest_vuf_percent",
    ),
)
TYPES = {
    **dict.fromkeys(("time", "begin", "end", "time_of_highest"), TIME),
    **dict.fromkeys(_NAMES, pa.string()),
    **dict.fromkeys(_INTEGERS, pa.int64()),
    **dict.fromkeys(_FLOATS, pa.float64()),
    **dict.fromkeys(("in_band", "grid_ready", "start"), pa.bool_()),
    "seq": pa.uint32(),
}
"""Types of columns in tables that are made row by row, and in CSV files, which do not tell them."""


def make_schema(*names: str) -> pa.Schema:
    """Schema of some columns of `TYPES`.

    Examples
    --------
    >>> make_schema("house", "energy_wh").types
    [DataType(string), DataType(int64)]
    """
    return pa.schema([(name, TYPES[name]) for name in names])


def name_columns(quantity: str, conductors: Iterable[str]) -> dict[str, str]:
    """Columns of a quantity by the conductor that they are of; its own name where that is nameless.

    Examples
    --------
    >>> name_columns("vm_pu", ("a", "b")), name_columns("vm_pu", ("",))
    ({'a': 'vm_a_pu', 'b': 'vm_b_pu'}, {'': 'vm_pu'})
    """
    head, _, unit = quantity.rpartition("_")
    return {conductor: "_".join(filter(None, (head, conductor, unit))) for conductor in conductors}


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
