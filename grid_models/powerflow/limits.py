"""Limits of voltages and loadings, and where they come from.

A limit that a person asks for is kept: where the net has one of its own, the stricter one holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from grid_models.arrays import Floats, Mask
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder

DEFAULTS = {"min_vm_pu": 0.90, "max_vm_pu": 1.10, "max_loading_percent": 100.0}
"""Limits where neither net nor user say any: EN 50160 (10 % of nominal voltage) and the rating of the branch."""
MAX_VUF_PERCENT = 2.0
"""Voltage unbalance factor that EN 50160 admits."""

UNBALANCE_SCALE = 50.0
"""Unbalance is compared with loadings by this factor: the 2 % of EN 50160 are 100 % of what is admitted."""
NEUTRAL_SCALE = 2.0
"""Voltages of neutrals are compared with loadings by this factor, % per V: 50 V, which a body may touch, are 100 %."""
NO_LIMIT_V = 1e9
"""In place of a limit of neutrals' voltages that nobody asks for."""

_HELD_PU = 1e-6  # a source holds its voltage to the tolerance of the power flow


class Origin(NamedTuple):
    """Where the limits of some elements come from.

    Attributes
    ----------
    element_type, quantity
        `bus`, `line` or `trafo`; `min_vm_pu`, `max_vm_pu` or `max_loading_percent`.
    origin
        `default`, `net` (the column of that name in its table) or `asked`.
    elements
        Their number.
    lowest, highest
        Range of these limits.
    """

    element_type: str
    quantity: str
    origin: str
    elements: int
    lowest: float
    highest: float


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits of every element, or of each of its conductors in an unbalanced model, in the order of `Flow`'s columns.

    Attributes
    ----------
    min_vm_pu, max_vm_pu
        (B,) voltage band of each bus, between phase and neutral.
    max_line_loading_percent, max_trafo_loading_percent
        (L,), (R,) per cent of the rating.
    max_vuf_percent
        (U,) largest voltage unbalance factor of each bus; none, U = 0, in a balanced model.
    max_neutral_v
        (M,) largest voltage of each bus's neutral to earth, V; none, M = 0, where it is no conductor of its own.
    warn_loading_percent
        Loading from which an element is reported.
    origins
        Where they come from.
    """

    min_vm_pu: Floats
    max_vm_pu: Floats
    max_line_loading_percent: Floats
    max_trafo_loading_percent: Floats
    max_vuf_percent: Floats = field(default_factory=partial(np.zeros, 0))
    max_neutral_v: Floats = field(default_factory=partial(np.zeros, 0))
    warn_loading_percent: float = 80.0
    origins: tuple[Origin, ...] = ()

    @classmethod
    def from_feeder(
        cls,
        feeder: Feeder,
        *,
        min_vm_pu: float | None = None,
        max_vm_pu: float | None = None,
        max_loading_percent: float | None = None,
        max_vuf_percent: float | None = None,
        max_neutral_to_earth_v: float | None = None,
        warn_loading_percent: float = 80.0,
        override: bool = False,
    ) -> Limits:
        """Limits of a feeder.

        Parameters
        ----------
        feeder
            The network; columns `min_vm_pu`, `max_vm_pu`, `max_loading_percent` of its tables are its own limits.
        min_vm_pu, max_vm_pu, max_loading_percent
            Limits that a person asks for: with those of the net the stricter ones hold. None: those of the net, and
            `DEFAULTS` where it has none.
        max_vuf_percent
            Largest voltage unbalance factor in an unbalanced model; None: `MAX_VUF_PERCENT`.
        max_neutral_to_earth_v
            Largest voltage of the neutral where it is a conductor of its own; None: it is not judged.
        warn_loading_percent
            Loading from which an element is reported.
        override
            Whether limits that are asked for hold instead of the net's own, stricter or not.

        Raises
        ------
        GridError
            If a bus's lower limit is above its upper one, both are equal where no source holds the voltage, or a
            loading limit is not positive.
        """
        wanted = {"min_vm_pu": min_vm_pu, "max_vm_pu": max_vm_pu, "max_loading_percent": max_loading_percent}
        origins: list[Origin] = []

        def choose(table: str, quantity: str) -> Floats:
            values, where = _choose(feeder.net[table], quantity, wanted[quantity], override=override)
            for origin, at in where.items():
                if at.any():
                    low, high = float(values[at].min()), float(values[at].max())
                    origins.append(Origin(table, quantity, origin, int(at.sum()), low, high))
            return np.repeat(values, len(feeder.conductors(table)))

        extra = _choose_extra(feeder, max_vuf_percent, max_neutral_to_earth_v)
        limits = cls(
            choose("bus", "min_vm_pu"),
            choose("bus", "max_vm_pu"),
            choose("line", "max_loading_percent"),
            choose("trafo", "max_loading_percent"),
            extra.max_vuf_percent,
            extra.max_neutral_v,
            warn_loading_percent,
            (*origins, *extra.origins),
        )
        limits._check(feeder)
        return limits._with_held_voltages(feeder)

    @cached_property
    def max_branch_percent(self) -> Floats:
        """Limits of lines, then transformers, (L + R,) per cent."""
        return np.concatenate([self.max_line_loading_percent, self.max_trafo_loading_percent])

    @cached_property
    def max_end_percent(self) -> Floats:
        """Limits of the branch ends, (E,) per cent, in the order of `grid_models.response.response.Response`.

        Behind them those of the unbalance and of the neutrals, where there are any.
        """
        ends, of_buses = np.tile(self.max_branch_percent, 2), self.max_vuf_percent
        if of_buses.size == 0:
            return ends
        return np.concatenate([ends, UNBALANCE_SCALE * of_buses, NEUTRAL_SCALE * self.max_neutral_v])

    def _check(self, feeder: Feeder) -> None:
        """Raise `GridError` where a limit is not positive or a voltage band is empty."""
        low, high = (values[:: len(feeder.conductors("bus"))] for values in (self.min_vm_pu, self.max_vm_pu))
        held = _find_held(feeder)
        for b in np.flatnonzero(~((low >= 0.0) & ((low < high) | (held & (low == high))))):
            raise GridError(
                f"network '{feeder.name}', bus {feeder.net.bus.index[b]}: expected 0 <= min_vm_pu < max_vm_pu, "
                f"got {low[b]:g} and {high[b]:g}; the stricter of the net's and your limits hold: correct one, or let "
                "yours hold alone (--override-limits, [limits] override = true)"
            )
        loadings = {"line": self.max_line_loading_percent, "trafo": self.max_trafo_loading_percent}
        for table, limit in loadings.items():
            of_elements = limit[:: len(feeder.conductors(table))]
            for b in np.flatnonzero(~(of_elements > 0.0)):
                raise GridError(
                    f"network '{feeder.name}', {table} {feeder.net[table].index[b]}: expected "
                    f"max_loading_percent > 0, got {of_elements[b]:g}"
                )

    def _with_held_voltages(self, feeder: Feeder) -> Limits:
        """Equal limits at a bus whose voltage a source holds are met there, to the tolerance of the power flow."""
        equal = self.min_vm_pu == self.max_vm_pu
        if not equal.any():
            return self
        slack = np.where(equal, _HELD_PU, 0.0)
        return replace(self, min_vm_pu=self.min_vm_pu - slack, max_vm_pu=self.max_vm_pu + slack)


class _Extra(NamedTuple):
    """Limits of what an unbalanced model has besides."""

    max_vuf_percent: Floats
    max_neutral_v: Floats
    origins: tuple[Origin, ...]


def _choose_extra(feeder: Feeder, vuf_percent: float | None, neutral_v: float | None) -> _Extra:
    n, connections = len(feeder.net.bus), feeder.connections
    if connections is None:
        return _Extra(np.zeros(0), np.zeros(0), ())
    vuf = MAX_VUF_PERCENT if vuf_percent is None else vuf_percent
    origins = [Origin("bus", "max_vuf_percent", "default" if vuf_percent is None else "asked", n, vuf, vuf)]
    if connections.wires is None:
        return _Extra(np.full(n, vuf), np.zeros(0), tuple(origins))
    if neutral_v is not None:
        origins.append(Origin("bus", "max_neutral_to_earth_v", "asked", n, neutral_v, neutral_v))
    return _Extra(np.full(n, vuf), np.full(n, NO_LIMIT_V if neutral_v is None else neutral_v), tuple(origins))


def _choose(
    frame: pd.DataFrame, quantity: str, asked: float | None, *, override: bool
) -> tuple[Floats, dict[str, Mask]]:
    """Limits of the elements of a table, and which of them come from where."""
    own = frame[quantity].to_numpy(np.float64) if quantity in frame else np.full(len(frame), np.nan)
    stated = ~np.isnan(own)
    if asked is None:
        return np.where(stated, own, DEFAULTS[quantity]), {"default": ~stated, "net": stated}
    stricter = own > asked if quantity == "min_vm_pu" else own < asked
    net = stated & stricter & (not override)
    return np.where(net, own, asked), {"asked": ~net, "net": net}


def _find_held(feeder: Feeder) -> Mask:
    """Buses whose voltage a source holds, (B,)."""
    net = feeder.net
    tables = (net.ext_grid, net.gen)
    sources = [bus for frame in tables for bus in frame.loc[frame["in_service"].astype(bool), "bus"]]
    return np.isin(net.bus.index.to_numpy(), sources)
