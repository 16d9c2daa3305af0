"""A figure as plotly's script takes it: plain dicts, put together without plotly's objects.

Those check every property while a figure is drawn, and copy it; that takes longer than all else of a report.
What figures are made of is checked by plotly itself in tests.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

Spec = dict[str, Any]


class Place(NamedTuple):
    """Row and column of a panel, from 1 on, and the number of its axes in a layout, which the first has not."""

    row: int
    col: int
    number: str


class Plot:
    """A figure that is drawn step by step: traces, and a layout whose parts are merged.

    Parameters
    ----------
    traces
        Dicts with a `type`.
    places
        Panels of `make_panels`; one that fills the figure if there are none.
    layout
        Of `make_panels`.
    """

    def __init__(self, *traces: Spec, places: Sequence[Place] = (), layout: Mapping[str, Any] | None = None) -> None:
        self.data: list[Spec] = list(traces)
        self.layout: Spec = dict(layout or {})
        self._places = tuple(places) or (Place(1, 1, ""),)

    def add_trace(self, trace: Spec, row: int | None = None, col: int | None = None) -> Self:
        """Add a trace, to a panel if it names one."""
        if row is not None or col is not None:
            (place,) = self._find_places(row, col)
            trace = {**trace, "xaxis": f"x{place.number}", "yaxis": f"y{place.number}"}
        self.data.append(trace)
        return self

    def add_scatter(self, *, row: int | None = None, col: int | None = None, **trace: Any) -> Self:
        """Add lines or markers."""
        return self.add_trace({"type": "scatter", **trace}, row, col)

    def add_bar(self, *, row: int | None = None, col: int | None = None, **trace: Any) -> Self:
        """Add bars."""
        return self.add_trace({"type": "bar", **trace}, row, col)

    def add_heatmap(self, *, row: int | None = None, col: int | None = None, **trace: Any) -> Self:
        """Add cells."""
        return self.add_trace({"type": "heatmap", **trace}, row, col)

    def add_hline(
        self,
        y: float,
        line: Spec,
        annotation: Spec | None = None,
        row: int | None = None,
        col: int | None = None,
    ) -> None:
        """Draw a line across every panel that shows something, or across one, with a text above its left end."""
        shown = {trace.get("xaxis", "x") for trace in self.data}
        for place in self._find_places(row, col):
            x, at = f"x{place.number}", {"xref": f"x{place.number} domain", "yref": f"y{place.number}"}
            if x not in shown:
                continue
            shape = {"type": "line", "x0": 0, "x1": 1, "y0": float(y), "y1": float(y), "line": line, **at}
            self.layout.setdefault("shapes", []).append(shape)
            if annotation is not None:
                put = {"x": 0, "xanchor": "left", "y": float(y), "yanchor": "bottom", "showarrow": False}
                self.layout.setdefault("annotations", []).append({**annotation, **put, **at})

    def update_layout(self, **layout: Any) -> Self:
        """Merge into the layout, dict by dict."""
        merge(self.layout, layout)
        return self

    def update_xaxes(self, *, row: int | None = None, col: int | None = None, **axis: Any) -> Self:
        """Merge into the x axes of all panels, or of those in a row or column."""
        return self._update_axes("xaxis", row, col, axis)

    def update_yaxes(self, *, row: int | None = None, col: int | None = None, **axis: Any) -> Self:
        """Merge into the y axes of all panels, or of those in a row or column."""
        return self._update_axes("yaxis", row, col, axis)

    def to_dict(self) -> Spec:
        """The figure as plotly's script reads it, arrays as bytes or lists."""
        return {"data": [pack(trace) for trace in self.data], "layout": pack(self.layout)}

    def _update_axes(self, kind: str, row: int | None, col: int | None, axis: Spec) -> Self:
        for place in self._find_places(row, col):
            merge(self.layout.setdefault(f"{kind}{place.number}", {}), axis)
        return self

    def _find_places(self, row: int | None, col: int | None) -> list[Place]:
        return [at for at in self._places if row in (None, at.row) and col in (None, at.col)]


def make_panels(
    rows: int,
    cols: int,
    *,
    column_widths: Sequence[float] | None = None,
    row_heights: Sequence[float] | None = None,
    horizontal_spacing: float = 0.0,
    vertical_spacing: float = 0.0,
    share_x: bool = False,
    share_y: bool = False,
    titles: Iterable[str] = (),
) -> Plot:
    """A figure of panels, row by row, as `plotly.subplots.make_subplots` lays them out.

    Parameters
    ----------
    rows, cols
        How many there are.
    column_widths, row_heights
        In any unit; all alike if left out. Spacings are shares of the figure.
    share_x
        Whether the panels of a column have the lowest one's x axis.
    share_y
        Whether the panels of a row have the first one's y axis.
    titles
        Of the first panels.
    """
    across = list(_divide(column_widths or [1.0] * cols, horizontal_spacing))
    up = list(_divide((row_heights or [1.0] * rows)[::-1], vertical_spacing))[::-1]
    places = [Place(k // cols + 1, k % cols + 1, str(k + 1) if k else "") for k in range(rows * cols)]
    layout: Spec = {}
    for row, col, number in places:
        x: Spec = {"anchor": f"y{number}", "domain": list(across[col - 1])}
        y: Spec = {"anchor": f"x{number}", "domain": list(up[row - 1])}
        if share_x and row < rows:
            x |= {"matches": f"x{places[(rows - 1) * cols + col - 1].number}", "showticklabels": False}
        if share_y and col > 1:
            y |= {"matches": f"y{places[(row - 1) * cols].number}", "showticklabels": False}
        layout |= {f"xaxis{number}": x, f"yaxis{number}": y}
    named = [
        {
            "text": title,
            "font": {"size": 16},
            "showarrow": False,
            "x": sum(across[place.col - 1]) / 2.0,
            "xanchor": "center",
            "xref": "paper",
            "y": up[place.row - 1][1],
            "yanchor": "bottom",
            "yref": "paper",
        }
        for place, title in zip(places, titles, strict=False)
    ]
    return Plot(places=places, layout={**layout, "annotations": named} if named else layout)


def _divide(sizes: Sequence[float], spacing: float) -> Iterator[tuple[float, float]]:
    """Begin and end of parts of a length of 1 with room between them."""
    room, begin = 1.0 - spacing * (len(sizes) - 1), 0.0
    for size in sizes:
        end = min(begin + room * size / sum(sizes), 1.0)
        yield begin, end
        begin = end + spacing


def merge(into: Spec, other: Mapping[str, Any]) -> None:
    """Set what the other dict has, in dicts within it too.

    Examples
    --------
    >>> margins = {"margin": {"t": 30, "b": 55}}
    >>> merge(margins, {"margin": {"t": 50}, "height": 380})
    >>> margins
    {'margin': {'t': 50, 'b': 55}, 'height': 380}
    """
    for key, value in other.items():
        if isinstance(value, Mapping):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def pack(spec: Mapping[str, Any]) -> Spec:
    """A part of a figure with arrays as plotly's script reads them; what is None is left out.

    Examples
    --------
    >>> pack({"y": np.array([1.0], dtype=np.float32), "name": None, "x": pd.DatetimeIndex(["2017-01-01T01:00Z"])})
    {'y': {'dtype': 'f4', 'bdata': 'AACAPw=='}, 'x': ['2017-01-01T01:00:00']}
    """
    return {key: _pack_value(value) for key, value in spec.items() if value is not None}


def _pack_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return pack(value)
    if isinstance(value, pd.Series | pd.Index):
        value = value.to_numpy("datetime64[s]") if isinstance(value.dtype, pd.DatetimeTZDtype) else value.to_numpy()
    return _pack_array(value) if isinstance(value, np.ndarray) else value


def _pack_array(values: npt.NDArray[Any]) -> Any:
    """Floats as the bytes that they are, times to the second, all else as a list."""
    if values.dtype.kind == "M":
        texts = np.datetime_as_string(values.astype("datetime64[s]")).tolist()
        return [None if text == "NaT" else text for text in texts]
    if values.dtype.kind != "f" or not values.size:
        return values.tolist()
    packed = {"dtype": f"f{values.itemsize}", "bdata": base64.b64encode(values.tobytes()).decode()}
    return packed if values.ndim == 1 else {**packed, "shape": ", ".join(str(n) for n in values.shape)}
