"""Before and after: what the exchanges as cleared would have violated, against what was settled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from plotly.subplots import make_subplots

from cosim.report.palette import BLUE, ORANGE, VERMILION, style_figure

POINTS = 800
BOTH = (("vm_pu", "voltage, pu"), ("loading_percent", "loading, %"))


def with_settled(
    violations: pd.DataFrame, vm_pu: pd.DataFrame, loading_percent: pd.DataFrame, net: Any
) -> pd.DataFrame:
    """Violations with a column `settled`: what the same element had after validation; NaN if switched off.

    Parameters
    ----------
    violations
        As in violations.csv: `time, element_type, element, name, quantity, value, limit`.
    vm_pu, loading_percent
        (T, B) and (T, L), columns in the order of the net's tables.
    net
        pandapower net.
    """
    place = {
        "bus": {int(index): k for k, index in enumerate(net.bus.index)},
        "line": {int(index): k for k, index in enumerate(net.line.index)},
        "trafo": {int(index): len(net.line) + k for k, index in enumerate(net.trafo.index)},
    }
    rows = vm_pu.index.get_indexer(pd.DatetimeIndex(violations["time"]))
    voltages, loadings = vm_pu.to_numpy(), loading_percent.to_numpy()
    settled = [
        (voltages if kind == "bus" else loadings)[row, place[kind][int(element)]]
        for row, kind, element in zip(rows, violations["element_type"], violations["element"], strict=True)
    ]
    return violations.assign(settled=np.asarray(settled, dtype=np.float64))


def still_violated(paired: pd.DataFrame) -> pd.Series:
    """Whether the settled value lies beyond the limit that the cleared one broke (tolerances 1e-5 pu, 0.01 %)."""
    sign = np.sign(paired["value"] - paired["limit"])
    tolerance = np.where(paired["quantity"] == "vm_pu", 1e-5, 0.01)
    return (paired["settled"] - paired["limit"]) * sign > tolerance


def summarise_by_element(paired: pd.DataFrame, hours: float) -> pd.DataFrame:
    """One row per element and limit: hours beyond it as cleared and as settled, worst values; most hours first."""
    sign = np.sign(paired["value"] - paired["limit"])
    paired = paired.assign(
        excess=(paired["value"] - paired["limit"]).abs(),
        side=np.where(sign > 0, "above", "below"),
        still=still_violated(paired),
        off=paired["settled"].isna(),
    )
    rows = []
    for (kind, name, side), group in paired.groupby(["element_type", "name", "side"], sort=True):
        worst = group.iloc[int(group["excess"].to_numpy().argmax())]
        rows.append(
            {
                "element_type": kind,
                "element": name,
                "limit": worst["limit"],
                "side": side,
                "hours_cleared": hours * len(group),
                "hours_settled": hours * int(group["still"].sum()),
                "hours_off": hours * int(group["off"].sum()),
                "worst_cleared": worst["value"],
                "then_settled": worst["settled"],
                "unit": "pu" if kind == "bus" else "%",
            }
        )
    table = pd.DataFrame(rows)
    return table.sort_values("hours_cleared", ascending=False, kind="stable") if rows else table


def draw_before_and_after(paired: pd.DataFrame) -> Any:
    """Worst voltage, pu, and loading, %, of each interval that was not clean: as cleared and as settled."""
    present = [(name, title) for name, title in BOTH if (paired["quantity"] == name).any()]
    figure = make_subplots(max(1, len(present)), 1, shared_xaxes="all", vertical_spacing=0.2)
    for row, (quantity, title) in enumerate(present, start=1):
        worst = _worst_of_each_interval(paired[paired["quantity"] == quantity])
        digits = 4 if quantity == "vm_pu" else 1
        for column, label, color, symbol in (
            ("value", "as cleared", ORANGE, "circle-open"),
            ("settled", "as settled", BLUE, "circle"),
        ):
            figure.add_scatter(
                x=worst["time"],
                y=worst[column].round(digits + 2),
                text=worst["name"],
                name=label,
                legendgroup=label,
                showlegend=row == 1,
                mode="markers",
                marker={"color": color, "symbol": symbol, "size": 6},
                hovertemplate=f"%{{text}}: %{{y:.{digits}f}}<extra>{label}</extra>",
                row=row,
                col=1,
            )
        for limit in sorted(set(worst["limit"])):
            figure.add_hline(y=limit, line={"color": VERMILION, "dash": "dash", "width": 1.5}, row=row, col=1)
        figure.update_yaxes(title_text=title, row=row, col=1)
    figure = style_figure(figure, height=140 + 260 * max(1, len(present)))
    return figure.update_xaxes(title_text="time, UTC", showticklabels=True)


def _worst_of_each_interval(violations: pd.DataFrame) -> pd.DataFrame:
    """The row furthest beyond its limit of each interval; of many intervals the worst ones."""
    ordered = violations.assign(excess=(violations["value"] - violations["limit"]).abs())
    ordered = ordered.sort_values("excess", ascending=False, kind="stable").drop_duplicates("time")
    return ordered.head(POINTS).sort_values("time")
