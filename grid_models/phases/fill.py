"""Zero sequence of nets that have none: filled in by ratios that somebody named; what is filled in is said.

Lines: the current of a four-core cable returns by its fourth core, of the same section. With the self impedance z and
the mutual impedance m of cores that lie in a square and are transposed on average, `Z₁ = z - m`; of a zero-sequence
current I in each phase, -3 I in the neutral, `Z₀ = (z + 2m - 3m) - (3m - 3z) = 4 (z - m)` (method: Kersting,
Distribution System Modeling and Analysis, ch. 4; the ground carries nothing, as where there are few earths). `C₀` is at
most `C₁`; a kilometre of cable draws some 20 mA, so that it hardly matters.

Transformers: `vk0 = vk`, `vkr0 = vkr`, and a magnetising impedance of 15 times that, which is 0.6 to 0.9 of the rated
impedance (three-limb cores have 0.4 to 1.5: Wang & Lascu, Zero sequence circuit of three-legged core type
transformers), so that a Dyn transformer has 0.95 of its positive-sequence impedance (IEC 60076-8: 0.85 to 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.feeder.feeder import Feeder, Given

TRAFO_VALUES = {"mag0_percent": 1500.0, "mag0_rx": 0.0, "si0_hv_partial": 0.9}
"""Beside vk0 and vkr0; mag0_percent in per cent of vk0, as pandapower 3.5 reads it."""
SOURCE_VALUES = {"s_sc_max_mva": 1000.0, "rx_max": 0.1, "x0x_max": 1.0, "r0x0_max": 0.1}
"""Of an external grid: a strong one."""


class Ratios(NamedTuple):
    """Zero over positive sequence of lines: resistance, reactance, capacitance."""

    r0_over_r1: float
    x0_over_x1: float
    c0_over_c1: float


FOUR_CORE = Ratios(4.0, 4.0, 1.0)
"""Four-core cables, return by the neutral."""


class Filled(NamedTuple):
    """A net with zero-sequence values, and what was filled in, in words for the user."""

    net: Any
    notes: tuple[str, ...]


def fill_zero_sequence(net: Any, ratios: Ratios) -> Filled:
    """Net whose lines, transformers and external grids have zero-sequence values where they lacked them.

    Parameters
    ----------
    net
        pandapower net; it is not changed. What it says itself stays, be it right or wrong.
    ratios
        For its lines.
    """
    net = deepcopy(net)
    strip_clocks(net)
    return Filled(net, (*_fill_lines(net, ratios), *_fill_trafos(net), *_fill_sources(net)))


def with_zero_sequence(feeder: Feeder, ratios: Ratios | None) -> Feeder:
    """Feeder whose net is filled in by `fill_zero_sequence`, with notes; None: only vector groups lose their clocks."""
    given = feeder.as_given().net
    if ratios is not None:
        (net, notes), (given, _) = fill_zero_sequence(feeder.net, ratios), fill_zero_sequence(given, ratios)
        return replace(feeder, net=net, given=Given(given, net), notes=(*feeder.notes, *notes))
    net, given = deepcopy(feeder.net), deepcopy(given)
    strip_clocks(net)
    strip_clocks(given)
    return replace(feeder, net=net, given=Given(given, net))


def with_delta_star(feeder: Feeder) -> Feeder:
    """Feeder whose transformers are Dyn whatever their standard types say, with a note where one was not.

    The usual group of distribution transformers, and one that `runpp_3ph` can judge: its Yzn depends on the base power.
    """
    net, given = deepcopy(feeder.net), deepcopy(feeder.as_given().net)
    others = sorted({str(group) for group in net.trafo["vector_group"] if not str(group).startswith("Dyn")})
    for each in (net, given):
        each.trafo["vector_group"] = "Dyn"
    notes = [f"transformer taken as Dyn; its standard type has {', '.join(others)}"] if others else []
    return replace(feeder, net=net, given=Given(given, net), notes=(*feeder.notes, *notes))


def strip_clocks(net: Any) -> None:
    """Take the clock out of vector groups such as Dyn5 where `shift_degree` says the same; others stay."""
    if "vector_group" not in net.trafo:
        return
    for index, group in net.trafo["vector_group"].items():
        word = str(group)
        bare = word.rstrip("0123456789")
        clock = word[len(bare) :]
        if clock and float(net.trafo.at[index, "shift_degree"]) % 360.0 == int(clock) % 12 * 30.0:
            net.trafo.at[index, "vector_group"] = bare


def _fill(frame: Any, column: str, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Fill the empty cells of a column, which is made where it is not there; returns where, in service."""
    empty = frame[column].isna().to_numpy() if column in frame else np.ones(len(frame), bool)
    if empty.any():
        frame.loc[empty, column] = np.broadcast_to(np.asarray(values, dtype=np.float64), len(frame))[empty]
    return np.asarray(empty & frame["in_service"].to_numpy(bool))


def _fill_lines(net: Any, ratios: Ratios) -> Iterator[str]:
    line = net.line
    filled = (
        _fill(line, "r0_ohm_per_km", ratios.r0_over_r1 * line["r_ohm_per_km"])
        | _fill(line, "x0_ohm_per_km", ratios.x0_over_x1 * line["x_ohm_per_km"])
        | _fill(line, "c0_nf_per_km", ratios.c0_over_c1 * line["c_nf_per_km"])
    )
    if filled.any():
        r, x, c = (f"{ratio:g}" for ratio in ratios)
        yield f"zero sequence of {filled.sum()} lines filled in: r0 = {r} r1, x0 = {x} x1, c0 = {c} c1"


def _fill_trafos(net: Any) -> Iterator[str]:
    trafo = net.trafo
    yield from _fill_groups(trafo)
    filled = _fill(trafo, "vk0_percent", trafo["vk_percent"]) | _fill(trafo, "vkr0_percent", trafo["vkr_percent"])
    for column, value in TRAFO_VALUES.items():
        filled = filled | _fill(trafo, column, value)
    if filled.any():
        said = ", ".join(f"{column} = {value:g}" for column, value in TRAFO_VALUES.items())
        yield f"zero sequence of {filled.sum()} transformers filled in: vk0 = vk, vkr0 = vkr, {said}"


def _fill_groups(trafo: Any) -> Iterator[str]:
    """Dyn where no vector group is named and the clock is odd: the usual one of those that have a neutral."""
    if "vector_group" not in trafo:
        trafo["vector_group"] = None
    odd = (trafo["shift_degree"].to_numpy(np.float64) / 30.0) % 2.0 == 1.0
    lacking = trafo["vector_group"].isna().to_numpy() & odd
    trafo.loc[lacking, "vector_group"] = "Dyn"
    if lacking.any():
        yield f"vector group of {lacking.sum()} transformers filled in: Dyn"


def _fill_sources(net: Any) -> Iterator[str]:
    filled = np.zeros(len(net.ext_grid), bool)
    for column, value in SOURCE_VALUES.items():
        filled = filled | _fill(net.ext_grid, column, value)
    if filled.any():
        said = ", ".join(f"{column} = {value:g}" for column, value in SOURCE_VALUES.items())
        yield f"{filled.sum()} external grids filled in where they lacked it: {said}"
