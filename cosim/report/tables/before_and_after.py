"""Violations of the exchanges as cleared, against what was settled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

TOLERANCE_PU, TOLERANCE_PERCENT = 1e-5, 0.01


def with_settled(
    violations: pd.DataFrame, vm_pu: pd.DataFrame, loading_percent: pd.DataFrame, net: Any
) -> pd.DataFrame:
    """Violations with a column `settled`: the same quantity as settled; NaN if the element was switched off.

    Parameters
    ----------
    violations
        As in violations.csv: `time, element_type, element, name, quantity, value, limit`.
    vm_pu, loading_percent
        (T, B) and (T, L), columns in the order of the net's tables.
    net
        pandapower net.
    """
    first = {"bus": 0, "line": len(net.bus), "trafo": len(net.bus) + len(net.line)}
    elements = zip(violations["element_type"], violations["element"], strict=True)
    columns = [first[kind] + net[kind].index.get_loc(element) for kind, element in elements]
    rows = vm_pu.index.get_indexer(pd.DatetimeIndex(violations["time"]))
    return violations.assign(settled=np.hstack([vm_pu, loading_percent])[rows, columns])


def summarise_by_element(paired: pd.DataFrame, hours: float) -> pd.DataFrame:
    """One row per element and limit: hours beyond it as cleared and as settled, worst values; most hours first.

    A settled value counts as beyond a limit if it is so by more than 1e-5 pu or 0.01 %.
    """
    excess, beyond = paired["value"] - paired["limit"], paired["settled"] - paired["limit"]
    tolerance = np.where(paired["quantity"] == "vm_pu", TOLERANCE_PU, TOLERANCE_PERCENT)
    paired = paired.assign(
        excess=excess.abs(),
        side=np.where(excess > 0, "above", "below"),
        still=beyond * np.sign(excess) > tolerance,
        off=paired["settled"].isna(),
    )
    grouped = paired.groupby(["element_type", "name", "side"])
    hours_beyond = {
        "hours_cleared": hours * grouped.size(),
        "hours_settled": hours * grouped["still"].sum(),
        "hours_off": hours * grouped["off"].sum(),
    }
    names = {"value": "worst_cleared", "settled": "then_settled"}
    worst = paired.loc[grouped["excess"].idxmax()].set_index(["element_type", "name", "side"])
    table = worst[["limit", *names]].rename(columns=names).assign(**hours_beyond).reset_index()
    table = table.rename(columns={"name": "element"})
    table["unit"] = np.where(table["element_type"] == "bus", "pu", "%")
    return table.sort_values("hours_cleared", ascending=False, kind="stable")
