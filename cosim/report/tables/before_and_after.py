"""Violations of the exchanges as cleared, against what was settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

TOLERANCE_PU, TOLERANCE_PERCENT, TOLERANCE_V = 1e-5, 0.01, 0.01
SCALES = {
    "vm_pu": ("pu", TOLERANCE_PU),
    "loading_percent": ("%", TOLERANCE_PERCENT),
    "vuf_percent": ("%", TOLERANCE_PERCENT),
    "neutral_v": ("V", TOLERANCE_V),
}
"""Unit of each quantity that is judged, and by how much a settled value may pass its limit and count as at it."""
KEYS = ["element_type", "name", "side", "quantity", "phase"]
"""Columns that tell the rows of the table by element apart."""


def with_settled(violations: pd.DataFrame, settled: Mapping[tuple[str, str], pd.DataFrame], net: Any) -> pd.DataFrame:
    """Violations with a column `settled`: the same quantity as settled; NaN if the element was switched off.

    Parameters
    ----------
    violations
        As in violations.csv: `time, element_type, element, name, quantity, value, limit`, and `phase` in an unbalanced
        run; without one it is added empty.
    settled
        (T, B) or (T, L) by quantity and phase, columns in the order of the net's tables.
    net
        pandapower net.
    """
    violations = violations if "phase" in violations else violations.assign(phase="")
    first = {"bus": 0, "line": 0, "trafo": len(net.line)}
    elements = zip(violations["element_type"], violations["element"], strict=True)
    columns = np.array([first[kind] + net[kind].index.get_loc(element) for kind, element in elements], np.int64)
    values = np.full(len(violations), np.nan)
    for (quantity, phase), frame in settled.items():
        at = np.flatnonzero((violations["quantity"] == quantity) & (violations["phase"] == phase))
        rows = frame.index.get_indexer(pd.DatetimeIndex(violations["time"].iloc[at]))
        values[at] = frame.to_numpy(np.float64)[rows, columns[at]]
    return violations.assign(settled=values)


def summarise_by_element(paired: pd.DataFrame, hours: float) -> pd.DataFrame:
    """One row per element, phase and limit: hours beyond it as cleared and as settled, worst values; most hours first.

    A settled value counts as beyond a limit if it is so by more than 1e-5 pu, 0.01 % or 0.01 V.
    """
    excess, beyond = paired["value"] - paired["limit"], paired["settled"] - paired["limit"]
    tolerance = np.array([SCALES[quantity][1] for quantity in paired["quantity"]], np.float64)
    paired = paired.assign(
        excess=excess.abs(),
        side=np.where(excess > 0, "above", "below"),
        still=beyond * np.sign(excess) > tolerance,
        off=paired["settled"].isna(),
    )
    grouped = paired.groupby(KEYS)
    hours_beyond = {
        "hours_cleared": hours * grouped.size(),
        "hours_settled": hours * grouped["still"].sum(),
        "hours_off": hours * grouped["off"].sum(),
    }
    names = {"value": "worst_cleared", "settled": "then_settled"}
    worst = paired.loc[grouped["excess"].idxmax()].set_index(KEYS)
    table = worst[["limit", *names]].rename(columns=names).assign(**hours_beyond).reset_index()
    table = table.rename(columns={"name": "element"})
    table["unit"] = [SCALES[quantity][0] for quantity in table["quantity"]]
    return table.sort_values("hours_cleared", ascending=False, kind="stable")
