"""Operating envelopes over the day, one small picture for each customer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cosim.report.palette import BLACK, BLUE, ORANGE, plain_text, style_figure

COLUMNS, MOST = 4, 60
"""Pictures side by side, and customers shown at most: those with the narrowest ranges."""

ROW_PX = 165
"""Height of a row of pictures."""

ALWAYS, AT_BEST = "safe on every day", "safe on the best day"
FILL = {ALWAYS: 0.55, AT_BEST: 0.18}


def draw_envelopes(table: pd.DataFrame, rule: str, timezone: str = "UTC") -> go.Figure:
    """Ranges of power over the hours of the day: what is safe on every day, and on the best one where there are more.

    Parameters
    ----------
    table
        Of `cosim.validation.envelopes.OperatingEnvelopes`, with times.
    rule
        Name of the rule, for the title.
    timezone
        Clock of the day.
    """
    time = table["time"].dt.tz_convert(timezone)
    daily = table.assign(hour=time.dt.hour + time.dt.minute / 60.0)
    names = _choose_names(daily)
    rows = -(-len(names) // COLUMNS)
    figure = make_subplots(
        rows,
        min(COLUMNS, len(names)),
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[plain_text(name) for name in names],
        horizontal_spacing=0.02,
        vertical_spacing=0.28 / rows,
    )
    several = time.dt.date.nunique() > 1
    for k, name in enumerate(names):
        hours = daily[daily["participant"] == name].groupby("hour")
        place = {"row": k // COLUMNS + 1, "col": k % COLUMNS + 1}
        _add_bands(figure, hours, several, shown=k == 0, place=place)
    figure.update_xaxes(range=[0, 24], dtick=6, zeroline=False)
    low, high = float(table["import_kw"].min()), float(table["export_kw"].max())
    room = 0.06 * max(high - low, 1.0)
    figure.update_yaxes(range=[low - room, high + room], zerolinecolor=BLACK, zerolinewidth=1)
    figure.update_annotations(font_size=12)
    figure = style_figure(figure, height=ROW_PX * rows + 150, titled=True)
    left_out = table["participant"].nunique() - len(names)
    more = f"; {left_out} customers with wider ranges are not shown" if left_out else ""
    figure.update_layout(title=f"Operating envelopes by rule {rule}, hours of {timezone}{more}", margin_t=130)
    figure.update_xaxes(title_text="hour", row=rows, title_font_size=11)
    figure.update_yaxes(title_text="kW", col=1, title_font_size=11)
    return figure


def _choose_names(table: pd.DataFrame) -> list[str]:
    """Customers in their order; of many those whose ranges are narrowest."""
    names = list(dict.fromkeys(table["participant"]))
    width = (table["export_kw"] - table["import_kw"]).groupby(table["participant"]).mean()
    chosen = set(width.nsmallest(MOST, keep="first").index)
    return [name for name in names if name in chosen]


def _add_bands(figure: go.Figure, hours: Any, several: bool, *, shown: bool, place: dict[str, int]) -> None:
    """Add the bands of one customer: exports above 0, imports below."""
    bands = {ALWAYS: (hours["import_kw"].max(), hours["export_kw"].min())}
    if several:
        bands = {AT_BEST: (hours["import_kw"].min(), hours["export_kw"].max()), **bands}
    for label, (low, high) in bands.items():
        for side, values, colour in (("export", high, (0, 114, 178)), ("import", low, (230, 159, 0))):
            x, y = _make_steps(values)
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines",
                line={"width": 1 if label == ALWAYS else 0, "color": {"export": BLUE, "import": ORANGE}[side]},
                fill="tozeroy",
                fillcolor=f"rgba{(*colour, FILL[label])}",
                name=f"{side} {label}" if several else side,
                legendgroup=f"{side} {label}",
                showlegend=shown,
                hovertemplate="%{x:.2f} h: %{y:.2f} kW<extra></extra>",
                **place,
            )


def _make_steps(values: pd.Series[float]) -> tuple[Any, Any]:
    """Corners of a curve that keeps each value until the next hour, and the last one until the day ends."""
    at = values.index.to_numpy(np.float64)
    ends = np.append(at[1:], 24.0)
    return np.stack([at, ends], axis=1).ravel().round(4), np.repeat(values.to_numpy(np.float64), 2).round(3)
