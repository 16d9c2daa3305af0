"""Checks of lines and transformers: ratings, lengths, impedances, and branches in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cosim.nets.doctor.finding import Found, Severity
from cosim.nets.doctor.subject import Subject
from grid_models.feeder.feeder import LARGEST_RATING_KA
from grid_models.feeder.voltage_dependence import group_buses
from grid_models.powerflow.taps import find_rated_kv

PLACEHOLDER_KA = 1.0
LOW_KV, MEDIUM_KV = 1.0, 60.0
"""Low voltage is up to the first, medium voltage up to the second."""
LONGEST_KM = {"low": 5.0, "medium": 100.0, "high": 1000.0}
"""No line of that voltage is longer."""
OHM_PER_KM = (0.005, 20.0)
"""Impedance of the thickest bundle and of the thinnest wire that is buried or hung, about 1.5 mm² of copper."""
R_OVER_X = (0.02, 100.0)
VK_PERCENT = (1.0, 25.0)
VKR_PERCENT = (0.05, 5.0)
LARGEST_MVA = {"low": 5.0, "medium": 100.0, "high": 2000.0}
"""No transformer with that voltage on its low side has more."""
UNEQUAL_RATIO = 0.002
"""Of the ratios of transformers in parallel; a fifth of what standards allow for the ratio of one is not seen."""
UNEQUAL_SHARE = 1.5


def name_level(kv: float) -> str:
    """Low, medium or high.

    Examples
    --------
    >>> [name_level(kv) for kv in (0.4, 20.0, 110.0)]
    ['low', 'medium', 'high']
    """
    return "low" if kv <= LOW_KV else "medium" if kv <= MEDIUM_KV else "high"


def find_placeholder_ratings(subject: Subject) -> Iterator[Found]:
    """Lines rated at exactly 1 kA, or above what any line carries."""
    for label, rating in subject.select("line")["max_i_ka"].items() if len(subject.net.line) else ():
        if rating == PLACEHOLDER_KA:
            yield Found("line", int(label), "rated at exactly 1 kA (max_i_ka), a placeholder", rating, "kA")
        elif LARGEST_RATING_KA < rating < np.inf:
            what = f"rated at {rating:g} kA (max_i_ka), above {LARGEST_RATING_KA:g} kA: a placeholder, or in A"
            yield Found("line", int(label), what, float(rating), "kA")


def find_missing_ratings(subject: Subject) -> Iterator[Found]:
    """Lines without a rating."""
    for label, rating in subject.select("line")["max_i_ka"].items() if len(subject.net.line) else ():
        if not 0.0 < rating < np.inf:
            said = "empty" if np.isnan(rating) else f"{rating:g} kA"
            yield Found("line", int(label), f"its rating (max_i_ka) is {said}", _finite(rating), "kA")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def find_long_lines(subject: Subject) -> Iterator[Found]:
    """Lines longer than any of their voltage."""
    line = subject.select("line")
    for label, bus, length in zip(line.index, line["from_bus"], line["length_km"], strict=True) if len(line) else ():
        kv = float(subject.net.bus["vn_kv"].at[bus])
        longest = LONGEST_KM[name_level(kv)]
        if longest < length < np.inf:
            what = f"{length:g} km long at {kv:g} kV, where no line is longer than {longest:g} km"
            yield Found("line", int(label), what, float(length), "km")


def find_line_impedances(subject: Subject) -> Iterator[Found]:
    """Lines with an impedance that no cable and no overhead line has; of several reasons the first."""
    line = subject.select("line")
    columns = line["r_ohm_per_km"], line["x_ohm_per_km"]
    for label, r, x in zip(line.index, *columns, strict=True) if len(line) else ():
        z = float(np.hypot(r, x))
        if not np.isfinite(z):
            continue
        if z == 0.0 or r < 0.0:
            what = f"r_ohm_per_km {r:g} and x_ohm_per_km {x:g}: " + ("no impedance" if z == 0.0 else "r below 0")
            yield Found("line", int(label), what, z if z == 0.0 else float(r), "ohm/km", Severity.ERROR)
        elif not OHM_PER_KM[0] <= z <= OHM_PER_KM[1]:
            what = f"{z:.4g} ohm/km, outside {OHM_PER_KM[0]:g} to {OHM_PER_KM[1]:g} ohm/km of cables and overhead lines"
            yield Found("line", int(label), what, z, "ohm/km")
        elif not R_OVER_X[0] * abs(x) <= r <= R_OVER_X[1] * x:
            ratio = f"R/X is {r / x:.4g}" if x else f"x_ohm_per_km is 0 beside r_ohm_per_km {r:g}, so R/X is infinite"
            what = f"{ratio}, outside {R_OVER_X[0]:g} to {R_OVER_X[1]:g}"
            yield Found("line", int(label), what, float(r / x) if x else None, "R/X")


def find_trafo_impedances(subject: Subject) -> Iterator[Found]:
    """Transformers with a short-circuit voltage that none has."""
    trafo = subject.select("trafo")
    for label, row in trafo.iterrows():
        for column, (low, high) in (("vk_percent", VK_PERCENT), ("vkr_percent", VKR_PERCENT)):
            value = float(row[column])
            if value == 0.0 and column == "vkr_percent":
                what = "vkr_percent is 0 %: it has no copper losses"
                yield Found("trafo", int(label), what, value, "%", Severity.NOTE)
            elif np.isfinite(value) and not low <= value <= high and not (value <= 0.0 and column == "vk_percent"):
                what = f"{column} is {value:g} %, outside {low:g} to {high:g} % of transformers"
                yield Found("trafo", int(label), what, value, "%")


def find_trafo_ratings(subject: Subject) -> Iterator[Found]:
    """Transformers larger than any for their low side."""
    for label, row in subject.select("trafo").iterrows():
        largest, mva = LARGEST_MVA[name_level(float(row["vn_lv_kv"]))], float(row["sn_mva"])
        if largest < mva < np.inf:
            what = f"rated at {mva:g} MVA (sn_mva) at {row['vn_lv_kv']:g} kV, where none has more than {largest:g} MVA"
            yield Found("trafo", int(label), what, mva, "MVA")


def find_unequal_parallels(subject: Subject) -> Iterator[Found]:
    """Transformers in parallel with unequal ratios, lines in parallel with unequal shares of the current."""
    group = pd.Series(group_buses(subject.net), index=subject.net.bus.index)
    trafo, line = subject.select("trafo"), subject.select("line")
    if len(trafo) > 1:
        for labels in _list_parallel(subject.net, "trafo", trafo, ("hv_bus", "lv_bus"), group):
            yield from _compare_trafos(subject.net, labels)
    for labels in _list_parallel(subject.net, "line", line, ("from_bus", "to_bus"), group) if len(line) > 1 else ():
        yield from _compare_lines(line, labels)


def _list_parallel(net: Any, table: str, frame: Any, sides: Sequence[str], group: pd.Series) -> Iterator[list[int]]:
    """Indices of branches between the same two groups of buses, two or more; those behind an open switch are none."""
    kind = {"line": "l", "trafo": "t"}[table]
    opened = set(net.switch["element"][(net.switch["et"] == kind) & ~net.switch["closed"].astype(bool)])
    on = frame[~frame.index.isin(opened)]
    ends = np.sort(np.column_stack([on[side].map(group).to_numpy(np.int64) for side in sides]), axis=1)
    pairs = pd.DataFrame(ends, index=on.index, columns=["a", "b"])
    for _, same in pairs[pairs["a"] != pairs["b"]].groupby(["a", "b"]):
        if len(same) > 1:
            yield [int(label) for label in same.index]


def _compare_trafos(net: Any, labels: list[int]) -> Iterator[Found]:
    frame = net.trafo.loc[labels]
    rated = pd.DataFrame(find_rated_kv(net), index=net.trafo.index).loc[labels]
    ratio, shift = (rated[0] / rated[1]).to_numpy(np.float64), frame["shift_degree"].to_numpy(np.float64) % 360.0
    vk = frame["vk_percent"].to_numpy(np.float64)
    for k in range(1, len(labels)):
        apart = abs(ratio[k] / ratio[0] - 1.0)
        beside = f"in parallel with trafo {labels[0]}"
        if shift[k] != shift[0]:
            what = f"{beside}, with a phase shift of {shift[k]:g}° for {shift[0]:g}°"
            yield Found("trafo", labels[k], what, float(shift[k] - shift[0]), "degree", Severity.ERROR)
        elif apart > UNEQUAL_RATIO:
            what = (
                f"{beside}, with a ratio of {ratio[k]:.5g} for {ratio[0]:.5g}, {100.0 * apart:.2f} % apart: about "
                f"{1e4 * apart / (vk[k] + vk[0]):.0f} % of the rated current circulates"
            )
            yield Found("trafo", labels[k], what, 100.0 * apart, "%")


def _compare_lines(line: Any, labels: list[int]) -> Iterator[Found]:
    rows = line.loc[labels]
    z = np.hypot(rows["r_ohm_per_km"], rows["x_ohm_per_km"]) * rows["length_km"] / rows["parallel"]
    rated = rows["max_i_ka"] * rows["df"] * rows["parallel"]
    with np.errstate(divide="ignore", invalid="ignore"):
        loading = (1.0 / (z * rated)).to_numpy(np.float64)
    for k in range(1, len(labels)):
        times = max(loading[k] / loading[0], loading[0] / loading[k])
        if UNEQUAL_SHARE < times < np.inf:
            first, second = (labels[k], labels[0]) if loading[k] > loading[0] else (labels[0], labels[k])
            what = f"in parallel with line {second}, and is loaded {times:.1f} times as much"
            yield Found("line", first, what, float(times), "times")
