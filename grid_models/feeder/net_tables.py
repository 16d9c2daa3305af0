"""Tables of a net: what pandapower's own columns must hold, and their types."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from grid_models.errors import GridError, shorten

NOT_OF_POWER_FLOW = ("controllable", "reactive_capability_curve", "current_source")
"""Flags of optimal power flow, limits of reactive power and short circuits; nets of SimBench leave them empty."""


def check_tables(net: Any, where: str) -> None:
    """Check that pandapower's own columns hold what they are for, and give them their types.

    Columns that pandapower makes as numbers or flags may arrive as objects; `runpp` solves or trips over those. They
    are converted where every cell is a number or a flag.

    Raises
    ------
    GridError
        If a cell is something else; table, index and column are named.
    """
    for table, expected in _list_expected_types().items():
        frame = net.get(table)
        if frame is None:
            continue
        if not isinstance(frame, pd.DataFrame):
            raise GridError(f"{where}, {table}: expected a table, got {type(frame).__name__}")
        for column in expected.index.intersection(frame.columns):
            wanted, found = expected[column], frame[column].dtype
            if (wanted.kind in "iuf" and found.kind not in "iuf") or (wanted.kind == "b" and found.kind != "b"):
                given = frame[column]
                if column in NOT_OF_POWER_FLOW:
                    given = given.map(lambda flag: False if pd.isna(flag) else flag)
                frame[column] = _converted(given, wanted, f"{where}, {table}")
        if not frame.index.is_unique or frame.index.dtype.kind not in "iu":
            raise GridError(f"{where}, {table}: expected an index of different integers")


@cache
def _list_expected_types() -> dict[str, pd.Series]:
    """Type of each column that pandapower gives a table, by tables."""
    return {
        table: expected.dtypes
        for table, expected in pp.create_empty_network().items()
        if isinstance(expected, pd.DataFrame) and not table.startswith(("_", "res_"))
    }


def _converted(column: pd.Series, kind: Any, place: str) -> pd.Series:
    """A column of objects as numbers or flags."""
    flags, may_lack = kind.kind == "b", kind.kind == "f" or isinstance(kind, ExtensionDtype)
    for label, value in column.items():
        missing = value is None or value is pd.NA or value != value
        number = isinstance(value, bool | int | float | np.bool_ | np.number) and not missing
        if not (value in (0, 1) if flags and number else number or (missing and may_lack)):
            raise GridError(
                f"{place}, row {label}, column {column.name}: "
                f"expected {'true or false' if flags else 'a number'}, "
                f"got {'nothing' if missing else shorten(repr(value))}"
            )
    return column.astype(float).astype(kind)


_THREE_POWERS = (*("p_a_mw", "p_b_mw", "p_c_mw"), *("q_a_mvar", "q_b_mvar", "q_c_mvar"), "scaling")
_LACKED = {
    **dict.fromkeys(("asymmetric_load", "asymmetric_sgen"), ("bus", *_THREE_POWERS)),
    **dict.fromkeys(("load", "sgen", "storage", "motor", "shunt", "ward", "xward", "ext_grid"), ("bus",)),
    "gen": ("bus", "slack"),
    "line": ("from_bus", "to_bus", "max_i_ka", "df", "g_us_per_km"),
    "trafo": ("hv_bus", "lv_bus", "df"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
    "impedance": ("from_bus", "to_bus"),
    "switch": ("bus", "element", "et", "closed", "z_ohm"),
}
"""Columns without which no power flow is solved, beside those of `NEEDED` and `in_service`."""


def check_columns(net: Any, where: str) -> None:
    """Check that tables with rows have the columns that a power flow reads; `where` begins messages.

    Raises
    ------
    GridError
        If a table lacks one.
    """
    for table in (*NEEDED, *_LACKED):
        wanted = (*NEEDED.get(table, ()), *_LACKED.get(table, ()), *(() if table == "switch" else ("in_service",)))
        lacking = [column for column in wanted if column not in net[table]]
        if len(net[table]) and lacking:
            raise GridError(
                f"{where}, {table}: expected a column '{lacking[0]}', as pandapower's own tables have it, found none"
            )


_POWER = ("p_mw", "q_mvar", "scaling")
NEEDED = {
    "bus": ("vn_kv",),
    "ext_grid": ("vm_pu", "va_degree"),
    "gen": ("p_mw", "vm_pu", "scaling"),
    "line": ("length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "parallel"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent", "parallel"),
    "load": _POWER,
    "sgen": _POWER,
    "storage": _POWER,
    "motor": ("pn_mech_mw", "cos_phi", "efficiency_percent", "loading_percent", "scaling"),
    "shunt": ("p_mw", "q_mvar", "step"),
    "ward": ("ps_mw", "qs_mvar", "pz_mw", "qz_mvar"),
    "xward": ("ps_mw", "qs_mvar", "pz_mw", "qz_mvar", "r_ohm", "x_ohm", "vm_pu"),
}
"""Numbers without which pandapower solves no power flow, by tables."""


def find_flaw(net: Any) -> str:
    """The first element in service that lacks a number; empty where none does."""
    return next((f"{table} {label}: {column} is empty" for table, label, column in list_empty(net)), "")


def list_empty(net: Any) -> Iterator[tuple[str, int, str]]:
    """Table, index and column of each number that an element in service lacks."""
    for table, columns in NEEDED.items():
        frame = net[table]
        frame = frame[frame["in_service"].astype(bool)]
        for column in frame.columns.intersection(list(columns)):
            for label in frame.index[frame[column].isna()]:
                yield table, int(label), column
