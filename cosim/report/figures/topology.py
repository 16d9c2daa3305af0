"""Positions of buses: their distance from the grid along the lines, and their coordinates on a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from pandapower.topology import calc_distance_to_bus, create_nxgraph

from cosim.report.figures.sampling import round_values
from cosim.results.coordinates import read_point
from grid_models.arrays import Floats

ELONGATED = 5.0
"""Width over height from which a drawing is stretched instead of kept to scale."""


def find_sources(net: Any) -> list[int]:
    """Buses with an external grid or a generator of fixed voltage in service."""
    slack = net.gen[net.gen.slack.astype(bool) & net.gen.in_service.astype(bool)] if len(net.gen) else net.gen
    grid = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    return [int(bus) for bus in [*grid.bus, *slack.bus]]


def distance_km(net: Any, names: list[str]) -> pd.Series:
    """Length of the shortest path of lines from a source to each bus, km; NaN where none leads.

    Parameters
    ----------
    net
        pandapower net.
    names
        Names of its buses, in the order of its table.
    """
    paths = [calc_distance_to_bus(net, bus) for bus in find_sources(net)]
    nearest = pd.concat(paths, axis=1).min(axis=1) if paths else pd.Series(dtype=float)
    return pd.Series(nearest.reindex(net.bus.index).to_numpy(np.float64), index=names, name="distance_km")


def list_pairs(net: Any, names: list[str]) -> list[tuple[str, str]]:
    """Names of the two buses of every line and transformer in service.

    Parameters
    ----------
    net
        pandapower net.
    names
        Names of its buses, in the order of its table.
    """
    at = dict(zip(net.bus.index, names, strict=True))
    line, trafo = (table[table["in_service"].astype(bool)] for table in (net.line, net.trafo))
    first, second = [*line.from_bus, *trafo.hv_bus], [*line.to_bus, *trafo.lv_bus]
    return [(at[a], at[b]) for a, b in zip(first, second, strict=True)]


def join_buses(
    place_km: pd.Series, values: npt.ArrayLike, pairs: Sequence[tuple[str, str]], color: str, group: str
) -> Any:
    """Trace that joins values of buses, pu, along the branches between them.

    Parameters
    ----------
    place_km
        Distance of each bus that is drawn, by its name; pairs with another bus are left out.
    values
        Their values, (B,).
    pairs
        Buses that a branch joins.
    color, group
        Colour of the line, and the group of the legend that shows and hides it.
    """
    at = {str(name): k for k, name in enumerate(place_km.index)}
    ends = np.array([(at[a], at[b]) for a, b in pairs if a in at and b in at], np.int64).reshape(-1, 2)
    gap = np.full((len(ends), 1), np.nan)
    x, y = (np.hstack([np.asarray(axis, np.float64)[ends], gap]).reshape(-1) for axis in (place_km, values))
    return go.Scatter(
        x=round_values(x, 4),
        y=round_values(y, 5),
        mode="lines",
        line={"color": color, "width": 1},
        opacity=0.6,
        legendgroup=group,
        showlegend=False,
        hoverinfo="skip",
    )


def find_places(net: Any) -> tuple[pd.DataFrame, bool]:
    """Coordinates x, y of each bus, and whether they are the net's own.

    Geodata is used only if every bus has it; else the feeder is laid out as a tree, distance in km to the right.
    """
    known = [read_point(value) for value in net.bus.geo] if "geo" in net.bus else []
    if known and all(point is not None and np.isfinite(point).all() for point in known):
        return pd.DataFrame(known, index=net.bus.index, columns=["x", "y"]), True
    return lay_out_tree(net), False


def lay_out_tree(net: Any) -> pd.DataFrame:
    """Coordinates x, y of each bus: x its distance from the grid, y such that branches do not cross in a tree.

    In a part without supply the distance is that from its first bus.
    """
    graph = nx.Graph(create_nxgraph(net, multi=False))
    graph.add_nodes_from(int(bus) for bus in net.bus.index)
    y: dict[int, float] = {}
    away: dict[int, float] = {}
    for root in [*find_sources(net), *sorted(graph)]:
        if root not in y:
            _place_below(graph, root, y)
            away |= nx.single_source_dijkstra_path_length(graph, root)
    x = distance_km(net, [str(bus) for bus in net.bus.index]).to_numpy()
    x = np.where(np.isnan(x), [away[int(bus)] for bus in net.bus.index], x)
    return pd.DataFrame({"x": x, "y": [y[int(bus)] for bus in net.bus.index]}, index=net.bus.index)


def fit_places(places: Floats, size: tuple[float, float], margin: float, *, to_scale: bool) -> Floats:
    """Coordinates in a picture whose y points down, (B, 2), rounded.

    Parameters
    ----------
    places
        (B, 2) coordinates x, y.
    size
        Width and height of the picture.
    margin
        Room that stays free at each side.
    to_scale
        Whether x and y have one scale, which is kept where the drawing is not too long.

    Examples
    --------
    >>> fit_places(np.array([[0.0, 0.0], [2.0, 1.0]]), (720, 360), 24, to_scale=False).tolist()
    [[24.0, 336.0], [696.0, 24.0]]
    """
    low, extent = places.min(axis=0), np.ptp(places, axis=0)
    room = np.array(size, dtype=np.float64) - 2.0 * margin
    scale = room / np.where(extent > 0, extent, 1.0)
    longer, shorter = extent.max(), extent.min()
    if to_scale and shorter > 0 and longer / shorter < ELONGATED:
        scale = np.full(2, scale.min())
    inside: Floats = np.round((places - low) * scale + (room - extent * scale) / 2 + margin, 1)
    inside[:, 1] = size[1] - inside[:, 1]
    return inside


def _place_below(graph: Any, root: int, y: dict[int, float]) -> None:
    """Give every leaf below `root` a row of its own, and every other bus the mean of the buses below it."""
    row = max(y.values(), default=-1.0) + 1.0
    tree = nx.bfs_tree(graph, root)
    for bus in nx.dfs_postorder_nodes(tree, root):
        below = list(tree.successors(bus))
        y[bus] = float(np.mean([y[other] for other in below])) if below else row
        row += not below
