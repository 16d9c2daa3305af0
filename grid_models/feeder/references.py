"""What the elements of a net refer to: the buses that they are at, and the branches that switches stand in.

pandapower takes a bus that there is not for another one (an index below zero, or in a gap of the index), ignores a
switch whose kind it does not know or whose bus-bar there is not, or stops with an index; which of it depends on the
table. Here a reference to nothing is refused, in every table that a power flow reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from grid_models.arrays import Mask
from grid_models.errors import GridError, shorten

REFERENCES = {
    **dict.fromkeys(("bus", "from_bus", "to_bus", "hv_bus", "mv_bus", "lv_bus"), "bus"),
    **dict.fromkeys(("bus_dc", "from_bus_dc", "to_bus_dc", "bus_dc_plus", "bus_dc_minus"), "bus_dc"),
}
"""Columns that hold an index of another table, by the table."""
SWITCHED = {"b": "bus", "l": "line", "t": "trafo", "t3": "trafo3w"}
"""Table of a switch's `element`, by its kind `et`."""
ENDS = {
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
}
NOT_READ = ("measurement", "pwl_cost", "poly_cost", "group", "controller")
"""Tables that no power flow reads; what they refer to does not matter."""
_REMEDY = "correct it, or remove the row"


def check_references(net: Any, where: str) -> None:
    """Check that every element is at buses of the net, and every switch in a branch of it; `where` begins messages.

    Elements out of service count too: pandapower looks up their buses as well.

    Raises
    ------
    GridError
        If one refers to what the net has not, a switch is of no known kind or not at an end of its branch, or a closed
        switch between buses has no impedance. Table, index and column are named.
    """
    for table, frame in net.items():
        if isinstance(frame, pd.DataFrame) and not table.startswith(("_", "res_")) and table not in NOT_READ:
            for column in frame.columns.intersection(list(REFERENCES)):
                _check_column(net, where, table, column)
    _check_switches(net, where)


def _check_column(net: Any, where: str, table: str, column: str) -> None:
    wanted = REFERENCES[column]
    known = net[wanted].index if wanted in net else pd.Index([])
    _refuse(net, where, table, column, ~net[table][column].isin(known).to_numpy(), f"the index of a {wanted}")


def _check_switches(net: Any, where: str) -> None:
    switch = net.switch
    _refuse(net, where, "switch", "et", ~switch["et"].isin(SWITCHED).to_numpy(), f"one of {', '.join(SWITCHED)}")
    for kind, table in SWITCHED.items():
        of_kind = (switch["et"] == kind).to_numpy()
        known = switch["element"].isin(net[table].index).to_numpy()
        _refuse(net, where, "switch", "element", of_kind & ~known, f"the index of a {table}, since et is {kind}")
        if table in ENDS:
            ends = net[table].loc[switch["element"][of_kind], list(ENDS[table])].to_numpy()
            strange = of_kind.copy()
            strange[of_kind] = (ends != switch["bus"].to_numpy()[of_kind, None]).all(axis=1)
            _refuse(net, where, "switch", "bus", strange, f"an end of the {table} in column element")
    if "z_ohm" in switch:
        # With numba pandapower takes an empty impedance for none, without for an open switch.
        wrong = (switch["et"] == "b") & switch["closed"].astype(bool) & ~(switch["z_ohm"] >= 0.0)
        _refuse(net, where, "switch", "z_ohm", wrong.to_numpy(), "a number, 0 for no impedance or above")


def _refuse(net: Any, where: str, table: str, column: str, wrong: Mask, expected: str) -> None:
    """Raise `GridError` for the first of the rows of a table that are wrong."""
    for row in np.flatnonzero(wrong)[:1]:
        value = net[table][column].iloc[row]
        found = "nothing" if pd.isna(value) or value == "" else shorten(value)
        place = f"{where}, {table} {net[table].index[row]}, column {column}"
        raise GridError(f"{place}: expected {expected}, got {found}; {_REMEDY}")
