"""Map of the feeder: loading as width and colour of lines, voltage as colour of buses, one interval at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from cosim.report.figures.sampling import round_values
from cosim.report.figures.topology import ELONGATED
from cosim.report.palette import BLACK, BLUE, HEAT, ORANGE, PALE, SKY, VERMILION, plain_text, style_figure
from cosim.results.labels import describe_conductor
from cosim.results.local_time import show_time
from grid_models.arrays import Floats
from grid_models.powerflow.limits import Limits


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
MOST_NAMES = 60
"""Of more the names are not shown until the legend is clicked."""
DARK = "without supply"


class Worst(NamedTuple):
    """Values of some times, (K, n), and the names of the conductors that they are of; empty where these have none."""

    values: pd.DataFrame
    conductor: npt.NDArray[np.str_]


def choose_worst(frames: Mapping[str, pd.DataFrame], times: pd.DatetimeIndex, limits: Limits | None = None) -> Worst:
    """Highest value of any conductor at some times; of voltages, that closest to the limits of its bus.

    Parameters
    ----------
    frames
        (T, n) by conductor.
    times
        K of them.
    limits
        Limits of the n buses; None: the highest value is the worst.
    """
    index = next(iter(frames.values())).index
    rows = index.get_indexer(times.astype(index.dtype))  # of another resolution they would be compared one by one
    stacked = np.stack([frame.to_numpy(np.float64)[rows] for frame in frames.values()])
    height = stacked if limits is None else -np.minimum(stacked - limits.min_vm_pu, limits.max_vm_pu - stacked)
    at = np.where(np.isnan(height), -np.inf, height).argmax(axis=0)
    values = np.take_along_axis(stacked, at[None], axis=0)[0]
    columns = next(iter(frames.values())).columns
    return Worst(pd.DataFrame(values, index=times, columns=columns), np.array(list(frames))[at])


def choose_hours(
    loading_percent: pd.DataFrame,
    highest_vm_pu: pd.DataFrame,
    lowest_vm_pu: pd.DataFrame,
    p_grid_kw: pd.Series,
    curtailed_kwh: pd.Series,
) -> dict[str, pd.Timestamp]:
    """Intervals with an extreme of the run, by its name; an interval with several appears once."""
    candidates = {
        "highest loading": loading_percent.max(axis=1),
        "highest voltage": highest_vm_pu.max(axis=1),
        "lowest voltage": -lowest_vm_pu.min(axis=1),
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
    loading: Worst,
    voltage: Worst,
    hours: Mapping[str, pd.Timestamp],
    zone: ZoneInfo | None = None,
    *,
    to_scale: bool,
) -> Any:
    """Drawing of the feeder with a slider over the given hours.

    Parameters
    ----------
    places
        x, y of each bus, in the order of the columns of `voltage`.
    ends
        Bus positions `a`, `b` of each branch, in the order of the columns of `loading`.
    loading, voltage
        (K, L) per cent and (K, B) pu of the K hours.
    hours
        What to show: label → time.
    zone
        Time zone of the local time beside UTC.
    to_scale
        Whether x and y are coordinates of the same scale.
    """
    low, high = _find_color_range(voltage.values.to_numpy(np.float64))
    figure = go.Figure()
    for k in range(len(hours)):
        percent, texts = loading.values.iloc[k], _describe(loading, k, 1, "%")
        traces = _make_branch_traces(places, ends, percent, texts)
        traces.append(_make_bus_trace(places, voltage.values.iloc[k], _describe(voltage, k, 4, "pu"), low, high))
        traces.append(_make_transformer_trace(places, ends, percent, texts))
        for trace in traces:
            figure.add_trace(trace.update(visible=k == 0))
    per_hour, of_hours = len(CLASSES) + 3, len(figure.data)
    for trace in _make_name_traces(places, ends, loading.values, voltage.values):
        figure.add_trace(trace)
    steps = [
        {
            "label": f"{label}, {show_time(time, zone)}",
            "method": "restyle",
            "args": ["visible", [i // per_hour == k for i in range(of_hours)], list(range(of_hours))],
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
    if to_scale and width_over_height(places) < ELONGATED:
        figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return figure


def _describe(worst: Worst, k: int, digits: int, unit: str) -> list[str]:
    """What is shown of each element at the k-th time: its name, the value, and the conductor where it has a name."""
    names = worst.values.columns.get_level_values(-1)  # of branches, whose type is the first level
    texts = []
    for name, value, conductor in zip(names, worst.values.iloc[k], worst.conductor[k], strict=True):
        label = plain_text(name)
        where = f", {describe_conductor(conductor)}" if conductor else ""
        texts.append(f"{label}: " + ("no supply" if np.isnan(value) else f"{value:.{digits}f} {unit}{where}"))
    return texts


def _make_branch_traces(places: pd.DataFrame, ends: pd.DataFrame, loading: pd.Series, texts: list[str]) -> list[Any]:
    """One trace for branches without supply, beneath others and last in the legend, and one per class of loading."""
    a, b = places.to_numpy()[ends["a"]], places.to_numpy()[ends["b"]]
    points = np.stack([a, (a + b) / 2, b, np.full_like(a, np.nan)], axis=1)  # (L, 4, 2); a gap after each branch
    values = loading.to_numpy(np.float64)
    looks = [(c.label, (values >= c.low) & (values < c.high), c.color, c.width) for c in CLASSES]
    looks.insert(0, (DARK, np.isnan(values), PALE, 2.0))
    return [
        go.Scatter(
            x=points[inside, :, 0].reshape(-1),
            y=points[inside, :, 1].reshape(-1),
            text=[text for k in np.flatnonzero(inside) for text in (texts[k], texts[k], texts[k], "")],
            mode="lines",
            name=label,
            legendgroup=label,
            legendrank=1001 if label == DARK else None,
            line={"color": color, "width": width},
            hovertemplate="%{text}<extra></extra>",
        )
        for label, inside, color, width in looks
    ]


def _make_name_traces(
    places: pd.DataFrame, ends: pd.DataFrame, loading: pd.DataFrame, vm_pu: pd.DataFrame
) -> list[Any]:
    """Names of the ends of the feeder, and of the first line of each of its branches; the legend hides them."""
    points, degree = places.to_numpy(np.float64), np.bincount(ends.to_numpy().reshape(-1), minlength=len(places))
    last = np.flatnonzero(degree == 1).tolist()
    is_trafo = np.asarray(loading.columns.get_level_values(0) == "trafo")
    of_trafos = set(ends[is_trafo].to_numpy().reshape(-1).tolist())
    joined = pd.concat([ends, ends.rename(columns={"a": "b", "b": "a"})]).drop_duplicates("a").set_index("a")["b"]
    below = points[last, 1] <= points[joined.loc[last], 1]
    leaves = [plain_text(str(vm_pu.columns[k]).removeprefix("bus ")) for k in last]
    leaves = [f"<br>{name}" if k in of_trafos else name for k, name in zip(last, leaves, strict=True)]  # off the ring
    firsts = find_first_lines(ends, is_trafo)
    middle = (points[ends["a"].iloc[firsts]] + points[ends["b"].iloc[firsts]]) / 2
    lines = [f"<b>{plain_text(loading.columns[k][1])}</b>" for k in firsts]
    return [
        _make_names(
            "names of ends", points[last], leaves, np.where(below, "bottom", "top"), shown=len(last) <= MOST_NAMES
        ),
        _make_names("names of branches", middle, lines, np.full(len(firsts), "top"), shown=len(firsts) <= MOST_NAMES),
    ]


def find_first_lines(ends: pd.DataFrame, is_trafo: npt.NDArray[np.bool_]) -> list[int]:
    """Positions of lines at which a branch of the feeder begins: those with one end at a transformer.

    Parameters
    ----------
    ends
        Bus positions `a`, `b` of each branch.
    is_trafo
        Whether each branch is a transformer.
    """
    busbars = set(ends[is_trafo].to_numpy().reshape(-1).tolist())
    pairs = zip(ends["a"], ends["b"], is_trafo, strict=True)
    return [k for k, (a, b, trafo) in enumerate(pairs) if not trafo and (a in busbars) != (b in busbars)]


def _make_names(name: str, points: Floats, texts: list[str], sides: npt.NDArray[np.str_], *, shown: bool) -> Any:
    return go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        text=texts,
        mode="text",
        name=name,
        textposition=[f"{side} center" for side in sides],
        textfont={"size": 10, "color": BLACK},
        hoverinfo="skip",
        visible=True if shown else "legendonly",
        legendrank=1002,
    )


def _make_transformer_trace(places: pd.DataFrame, ends: pd.DataFrame, loading: pd.Series, texts: list[str]) -> Any:
    """Rings around transformers, which are too short to be seen as lines."""
    chosen = np.flatnonzero(loading.index.get_level_values(0) == "trafo")
    middle = (places.to_numpy()[ends["a"]] + places.to_numpy()[ends["b"]])[chosen] / 2
    values = loading.to_numpy(np.float64)[chosen]
    shown = [texts[k] for k in chosen]
    colors = [next((c.color for c in CLASSES if c.low <= v < c.high), PALE) for v in values]
    marker = {"symbol": "circle-open", "size": 26, "color": colors, "line": {"width": 4}}
    return _make_markers("transformer", middle, shown, marker)


def _make_bus_trace(places: pd.DataFrame, vm_pu: pd.Series, texts: list[str], low: float, high: float) -> Any:
    values = vm_pu.to_numpy(np.float64)
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


def _find_color_range(vm_pu: Floats) -> tuple[float, float]:
    known = vm_pu[~np.isnan(vm_pu)]
    return (float(known.min()), float(known.max())) if known.size else (0.9, 1.1)


def width_over_height(places: pd.DataFrame) -> float:
    """Of a drawing, the longer side over the shorter one."""
    size = places.max() - places.min()
    shorter, longer = sorted((float(size["x"]), float(size["y"])))
    return longer / shorter if shorter > 0 else np.inf
