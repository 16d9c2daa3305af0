"""The feeder as an inline SVG: loading as width and colour of lines, voltage as colour of buses.

Colours of loadings are those of the report's map; they stand in the style sheet, as classes, so that they follow light
and dark. What is shown to others than the operator is coarse: classes of loadings, voltages to 0.01 pu; strangers see
places by number. A line that feeds one house says how much that house takes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import plotly.colors
from markupsafe import Markup, escape

from cosim.case.case import Case
from cosim.recording.topology import Changes
from cosim.report.figures.feeder_map import CLASSES
from cosim.report.figures.topology import find_places, fit_places
from cosim.report.palette import HEAT
from cosim.results.labels import describe_conductor
from cosim.web.pages.words import PlaceName, name_by_number
from grid_models.arrays import Floats, Ints
from grid_models.powerflow.flow import Flow
from market.ledger.format.records import Change

WIDTH, HEIGHT, MARGIN = 720, 360, 24


class FeederMap(NamedTuple):
    """Where the feeder's buses and branches are drawn.

    Attributes
    ----------
    points
        (B, 2) of the buses, in the picture's coordinates.
    ends
        (L + R, 2) places of the buses at both ends of each branch, lines first.
    buses, branches
        (B,) numbers of the buses, and (L + R,) of lines and transformers, in the net's tables.
    n_lines
        L.
    conductors
        Names of the conductors of a bus, a line and a transformer, one empty name in a balanced model.
    band_pu
        Lowest and highest limit of a bus: between them voltages are told apart by colour.
    """

    points: Floats
    ends: Ints
    buses: Ints
    branches: Ints
    n_lines: int
    conductors: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    band_pu: tuple[float, float]


class Worst(NamedTuple):
    """Value of each element's worst conductor, NaN without supply, and that conductor's name."""

    values: Floats
    names: tuple[str, ...]


def make_feeder_map(case: Case) -> FeederMap:
    """Lay the feeder out as the report does."""
    net, feeder = case.feeder.net, case.feeder
    places, to_scale = find_places(net)
    ends = np.column_stack(
        [
            net.bus.index.get_indexer([*net.line.from_bus, *net.trafo.hv_bus]),
            net.bus.index.get_indexer([*net.line.to_bus, *net.trafo.lv_bus]),
        ]
    )
    conductors = feeder.conductors("bus"), feeder.conductors("line"), feeder.conductors("trafo")
    points = fit_places(places.to_numpy(np.float64), (WIDTH, HEIGHT), MARGIN, to_scale=to_scale)
    branches = np.array([*net.line.index, *net.trafo.index], np.int64)
    buses, band_pu = net.bus.index.to_numpy(np.int64), find_band(case.limits.min_vm_pu, case.limits.max_vm_pu)
    return FeederMap(points, ends, buses, branches, len(net.line), conductors, band_pu)


def find_band(min_vm_pu: Floats, max_vm_pu: Floats) -> tuple[float, float]:
    """Band of voltages that colours tell apart: the widest limits of any bus, 0.9 to 1.1 pu where these say nothing.

    Examples
    --------
    >>> find_band(np.array([0.95, 0.94]), np.array([1.05, 1.05])), find_band(np.zeros(1), np.full(1, np.inf))
    ((0.94, 1.05), (0.9, 1.1))
    """
    low, high = float(min_vm_pu.min(initial=1.0)), float(max_vm_pu.max(initial=1.0))
    return (low, high) if 0.5 < low < high < 1.5 else (0.9, 1.1)


def find_worst(values: Floats, conductors: tuple[str, ...], *, voltage: bool) -> Worst:
    """Worst conductor of each element, of values (n · conductors,): highest loading, voltage farthest from 1 pu.

    Examples
    --------
    >>> find_worst(np.array([0.99, 1.04, 1.0]), ("a", "b", "c"), voltage=True)
    Worst(values=array([1.04]), names=('b',))
    """
    grouped = values.reshape(-1, len(conductors))
    height = np.abs(grouped - 1.0) if voltage else grouped
    at = np.where(np.isnan(height), -np.inf, height).argmax(axis=1)
    return Worst(grouped[np.arange(len(grouped)), at], tuple(conductors[k] for k in at))


def find_open(net: Any, changes: Changes) -> frozenset[int]:
    """Which branches of a map, lines first, are out: by themselves, or by a switch at one of their ends."""
    switched = [element for change, element in changes if change == Change.SWITCH_OPEN]
    behind = {(net.switch.et[switch], int(net.switch.element[switch])) for switch in switched}
    lines = {element for change, element in changes if change == Change.LINE_OUT}
    trafos = {element for change, element in changes if change == Change.TRANSFORMER_OUT}
    lines |= {element for kind, element in behind if kind == "l"}
    trafos |= {element for kind, element in behind if kind == "t"}
    found = [*net.line.index.get_indexer(sorted(lines)), *(len(net.line) + net.trafo.index.get_indexer(sorted(trafos)))]
    return frozenset(int(k) for k in found)


def draw_map(
    feeder: FeederMap,
    flow: Flow,
    *,
    exact: bool,
    opened: frozenset[int] = frozenset(),
    place: PlaceName = name_by_number,
) -> Markup:
    """Picture of the feeder in one interval.

    Parameters
    ----------
    feeder
        Where everything is.
    flow
        AC solution of that interval, K = 1.
    exact
        Whether values are told exactly, for the operator.
    opened
        Numbers of the branches that are out, as of `find_open`.
    place
        What elements are called.
    """
    bus, line, trafo = feeder.conductors
    voltage = find_worst(flow.vm_pu[0], bus, voltage=True)
    lines = find_worst(flow.line_loading_percent[0], line, voltage=False)
    trafos = find_worst(flow.trafo_loading_percent[0], trafo, voltage=False)
    loading = Worst(np.concatenate([lines.values, trafos.values]), (*lines.names, *trafos.names))
    branches, buses = name_branches(feeder, place), [str(escape(place("bus", int(k)))) for k in feeder.buses]
    parts = [
        _draw_branch(feeder, k, loading, branches[k], exact=exact, is_open=k in opened) for k in range(len(branches))
    ]
    parts += [_draw_bus(feeder, k, voltage, buses[k], exact=exact) for k in range(len(buses))]
    summary = describe_map(voltage, loading, len(opened))
    return Markup(
        f'<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{summary}">{"".join(parts)}</svg>'
    )


def name_branches(feeder: FeederMap, place: PlaceName) -> list[str]:
    """What the branches of a map are called, lines first, escaped."""
    n = feeder.n_lines
    tables = ["line"] * n + ["transformer"] * (len(feeder.branches) - n)
    return [str(escape(place(table, int(k)))) for table, k in zip(tables, feeder.branches, strict=True)]


def describe_map(voltage: Worst, loading: Worst, n_open: int = 0) -> str:
    """The picture in a sentence, for those who do not see it."""
    if np.isnan(voltage.values).all():
        return "The feeder: no bus has supply."
    low, high = np.nanmin(voltage.values), np.nanmax(voltage.values)
    most = np.nanmax(loading.values, initial=0.0)
    opened = f", {n_open} of them open" if n_open else ""
    return (
        f"The feeder: {len(voltage.values)} buses with voltages from {low:.2f} to {high:.2f} pu, {len(loading.values)} "
        f"lines and transformers{opened}, the highest loading is {most:.0f} %."
    )


def find_class(percent: float) -> int | None:
    """Number of the report's class of a loading; None without supply.

    Examples
    --------
    >>> [find_class(percent) for percent in (3.0, 99.0, 250.0, float("nan"))]
    [0, 3, 4, None]
    """
    return next((k for k, each in enumerate(CLASSES) if each.low <= percent < each.high), None)


def color_voltage(vm_pu: float, band_pu: tuple[float, float]) -> str:
    """Colour of a voltage, on the report's scale from dark (low) to bright (high).

    Examples
    --------
    >>> color_voltage(0.5, (0.9, 1.1)) == color_voltage(0.9, (0.9, 1.1)) != color_voltage(1.1, (0.9, 1.1))
    True
    """
    low, high = band_pu
    place = min(max((vm_pu - low) / (high - low), 0.0), 1.0)
    return _color_place(round(100 * place))


@cache
def _color_place(percent: int) -> str:
    """Colour at a place of the scale; plotly takes a millisecond for it, and every bus of every interval asks."""
    return str(plotly.colors.sample_colorscale(HEAT, [percent / 100])[0])


def _draw_branch(feeder: FeederMap, k: int, loading: Worst, name: str, *, exact: bool, is_open: bool) -> str:
    (x1, y1), (x2, y2) = feeder.points[feeder.ends[k]]
    percent, place = float(loading.values[k]), find_class(float(loading.values[k]))
    if is_open:
        look, title = "load-open", f"<title>{name}: open</title>"
    else:
        value = "no supply" if place is None else f"{percent:.1f} %" if exact else CLASSES[place].label
        look = "load-none" if place is None else f"load-{place}"
        title = f"<title>{_name_conductor(name, loading.names[k])}: {value}</title>"
    if k < feeder.n_lines:
        return f'<line class="{look}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}">{title}</line>'
    drawn = f'<line class="{look}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"></line>'
    x, y = round((x1 + x2) / 2, 1), round((y1 + y2) / 2, 1)
    return f'{drawn}<circle class="trafo {look}" cx="{x}" cy="{y}" r="13">{title}</circle>'


def _draw_bus(feeder: FeederMap, k: int, voltage: Worst, name: str, *, exact: bool) -> str:
    (x, y), vm_pu = feeder.points[k], float(voltage.values[k])
    if np.isnan(vm_pu):
        cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
        return f'<path class="dark-bus" d="{cross}"><title>{name}: no supply</title></path>'
    value = f"{vm_pu:.4f} pu" if exact else f"{vm_pu:.2f} pu"
    title = f"<title>{_name_conductor(name, voltage.names[k])}: {value}</title>"
    return (
        f'<circle class="bus" cx="{x}" cy="{y}" r="5.5" fill="{color_voltage(vm_pu, feeder.band_pu)}">{title}</circle>'
    )


def _name_conductor(name: str, conductor: str) -> str:
    return f"{name}, {describe_conductor(conductor)}" if conductor else name


class Legend(NamedTuple):
    """What the map's colours mean: (class of the style sheet, words) of loadings, (colour, words) of voltages."""

    loadings: tuple[tuple[str, str], ...]
    voltages: tuple[tuple[str, str], ...]


def make_legend(band_pu: tuple[float, float]) -> Legend:
    """Legend of a map, with three voltages of its band."""
    low, high = band_pu
    loadings = (*((f"load-{k}", each.label) for k, each in enumerate(CLASSES)), ("load-open", "open"))
    shown = (low, (low + high) / 2, high)
    return Legend(loadings, tuple((color_voltage(vm_pu, band_pu), f"{vm_pu:.4g} pu") for vm_pu in shown))
