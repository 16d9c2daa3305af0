"""Map of the feeder: loading as width and colour of lines, voltage as colour of buses, one interval at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cosim.report.figures.sampling import round_values
from cosim.report.palette import BLACK, BLUE, HEAT, ORANGE, PALE, SKY, VERMILION, plain_text, style_figure
from grid_models.arrays import Floats


class LoadingClass(NamedTuple):
    """Branches from `low` to below `high` per cent, and how they are drawn."""

    low: float
    high: float
    color: str
    width: float

    @property
    def label(self) -> str:
        """Name in the legend."""
        return f"{self.low:g}–{self.high:g} %" if np.isfinite(self.high) else f"{self.low:g} % and more"


CLASSES = (
    LoadingClass(0, 20, SKY, 2.0),
    LoadingClass(20, 50, BLUE, 3.0),
    LoadingClass(50, 80, BLACK, 4.0),
    LoadingClass(80, 100, ORANGE, 5.5),
    LoadingClass(100, np.inf, VERMILION, 7.0),
)
ELONGATED = 5.0
"""Width over height from which a drawing is stretched instead of kept to scale."""


def choose_hours(
    loading_percent: pd.DataFrame, vm_pu: pd.DataFrame, p_grid_kw: pd.Series, curtailed_kwh: pd.Series
) -> dict[str, pd.Timestamp]:
    """Intervals with an extreme of the run, by its name; an interval with several appears once."""
    candidates = {
        "highest loading": loading_percent.max(axis=1),
        "highest voltage": vm_pu.max(axis=1),
        "lowest voltage": -vm_pu.min(axis=1),
        "largest export": -p_grid_kw[p_grid_kw < 0],
        "largest import": p_grid_kw[p_grid_kw > 0],
        "most curtailed": curtailed_kwh[curtailed_kwh > 0],
    }
    chosen: dict[pd.Timestamp, str] = {}
    for label, values in candidates.items():
        known = values.dropna()
        if len(known):
            at = pd.Timestamp(known.index[int(known.to_numpy().argmax())])
            chosen[at] = f"{chosen[at]}, {label}" if at in chosen else label
    return {label: at for at, label in chosen.items()}


def draw_feeder_map(
    places: pd.DataFrame,
    ends: pd.DataFrame,
    loading_percent: pd.DataFrame,
    vm_pu: pd.DataFrame,
    hours: Mapping[str, pd.Timestamp],
    *,
    to_scale: bool,
) -> Any:
    """Drawing of the feeder with a slider over the given hours.

    Parameters
    ----------
    places
        x, y of each bus, in the order of the columns of `vm_pu`.
    ends
        Bus positions `a`, `b` of each branch, in the order of the columns of `loading_percent`.
    loading_percent, vm_pu
        (T, L) per cent and (T, B) pu.
    hours
        What to show: label → time.
    to_scale
        Whether x and y are coordinates of the same scale.
    """
    rows = vm_pu.index.get_indexer(pd.DatetimeIndex(list(hours.values())))
    shown = vm_pu.iloc[rows].to_numpy(np.float64)
    low, high = _find_color_range(shown)
    figure = go.Figure()
    for k, row in enumerate(rows):
        loading = loading_percent.iloc[row]
        traces = _make_branch_traces(places, ends, loading)
        traces.append(_make_bus_trace(places, vm_pu.iloc[row], low, high))
        traces.append(_make_transformer_trace(places, ends, loading))
        for trace in traces:
            figure.add_trace(trace.update(visible=k == 0))
    per_hour = len(CLASSES) + 3
    steps = [
        {
            "label": f"{label}, {time:%Y-%m-%d %H:%M} UTC",
            "method": "restyle",
            "args": ["visible", [i // per_hour == k for i in range(per_hour * len(hours))]],
        }
        for k, (label, time) in enumerate(hours.items())
    ]
    figure = style_figure(figure, height=600, hovermode="closest")
    slider = {
        "active": 0,
        "steps": steps,
        "currentvalue": {"prefix": "shown: ", "font": {"color": BLACK, "size": 14}},
        "pad": {"t": 20},
        "font": {"color": "rgba(0,0,0,0)", "size": 1},  # the labels of all steps would overlap
    }
    figure.update_layout(sliders=[slider], margin={"l": 20, "r": 20, "b": 60, "t": 40})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    if to_scale and _width_over_height(places) < ELONGATED:
        figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return figure


def _make_branch_traces(places: pd.DataFrame, ends: pd.DataFrame, loading: pd.Series) -> list[Any]:
    """One trace per class of loading, and one for branches without supply."""
    a, b = places.to_numpy()[ends["a"]], places.to_numpy()[ends["b"]]
    points = np.stack([a, (a + b) / 2, b, np.full_like(a, np.nan)], axis=1)  # (L, 4, 2); a gap after each branch
    values = loading.to_numpy(np.float64)
    texts = [_describe_branch(name[1], value) for name, value in zip(loading.index, values, strict=True)]
    looks = [(c.label, (values >= c.low) & (values < c.high), c.color, c.width) for c in CLASSES]
    looks.append(("without supply", np.isnan(values), PALE, 2.0))
    return [
        go.Scatter(
            x=points[inside, :, 0].reshape(-1),
            y=points[inside, :, 1].reshape(-1),
            text=[text for k in np.flatnonzero(inside) for text in (texts[k], texts[k], texts[k], "")],
            mode="lines",
            name=label,
            legendgroup=label,
            line={"color": color, "width": width},
            hovertemplate="%{text}<extra></extra>",
        )
        for label, inside, color, width in looks
    ]


def _make_transformer_trace(places: pd.DataFrame, ends: pd.DataFrame, loading: pd.Series) -> Any:
    """Rings around transformers, which are too short to be seen as lines."""
    chosen = np.flatnonzero(loading.index.get_level_values(0) == "trafo")
    middle = (places.to_numpy()[ends["a"]] + places.to_numpy()[ends["b"]])[chosen] / 2
    values = loading.to_numpy(np.float64)[chosen]
    texts = [_describe_branch(name[1], v) for name, v in zip(loading.index[chosen], values, strict=True)]
    colors = [next((c.color for c in CLASSES if c.low <= v < c.high), PALE) for v in values]
    marker = {"symbol": "circle-open", "size": 26, "color": colors, "line": {"width": 4}}
    return _make_markers("transformer", middle, texts, marker)


def _make_bus_trace(places: pd.DataFrame, vm_pu: pd.Series, low: float, high: float) -> Any:
    values = vm_pu.to_numpy(np.float64)
    texts = [
        f"{plain_text(name)}: " + ("no supply" if np.isnan(value) else f"{value:.4f} pu")
        for name, value in zip(vm_pu.index, values, strict=True)
    ]
    marker = {
        "size": 10,
        "color": round_values(np.nan_to_num(values, nan=low), 5),
        "colorscale": HEAT,
        "cmin": low,
        "cmax": high,
        "line": {"color": "white", "width": 1},
        "symbol": np.where(np.isnan(values), "x", "circle").tolist(),
        "colorbar": {"title": {"text": "voltage, pu"}, "thickness": 14},
    }
    return _make_markers("bus", places.to_numpy(), texts, marker)


def _make_markers(name: str, points: Floats, texts: list[str], marker: dict[str, Any]) -> Any:
    return go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        text=texts,
        mode="markers",
        name=name,
        showlegend=False,
        marker=marker,
        hovertemplate="%{text}<extra></extra>",
    )


def _describe_branch(name: str, loading_percent: float) -> str:
    return f"{plain_text(name)}: " + ("no supply" if np.isnan(loading_percent) else f"{loading_percent:.1f} %")


def _find_color_range(vm_pu: Floats) -> tuple[float, float]:
    known = vm_pu[~np.isnan(vm_pu)]
    return (float(known.min()), float(known.max())) if known.size else (0.9, 1.1)


def _width_over_height(places: pd.DataFrame) -> float:
    size = places.max() - places.min()
    shorter, longer = sorted((float(size["x"]), float(size["y"])))
    return longer / shorter if shorter > 0 else np.inf
