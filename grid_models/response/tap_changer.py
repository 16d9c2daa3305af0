"""Transformers with on-load tap changers: one step at a time while a voltage is outside its band.

A changer waits `delay_s` before each step. In an interval it makes as many steps as there is time for, and the interval
is the state in which it comes to rest, or in which the time ends. The rule of a step is that of pandapower's
`DiscreteTapControl`.

Law: a step that leads from one side of the band beyond the other is hunting; such an interval is not solved.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Ints, Mask
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow
from grid_models.ranges import check_field
from grid_models.response.sensitivity import AnyPowerFlow, make_engine

TAP_FIELDS = ("tap_pos", "tap_min", "tap_max", "tap_neutral", "tap_step_percent", "tap_side")
"""What pandapower calls a transformer's taps, in its table `trafo`."""


@dataclass(frozen=True)
class TapSettings:
    """When the changers act.

    Attributes
    ----------
    vm_lower_pu, vm_upper_pu
        The band, its deadband: nothing happens inside.
    delay_s
        Time outside the band before each step; 0 for no delay.
    side
        Side whose bus is measured, `lv` or `hv`.
    bus
        Index of a bus beyond that side that is measured in its place; None for none.

    Raises
    ------
    GridError
        If the band is empty or a number outside its range.
    """

    vm_lower_pu: float = 0.98
    vm_upper_pu: float = 1.02
    delay_s: float = 60.0
    side: str = "lv"
    bus: int | None = None

    def __post_init__(self) -> None:
        check = partial(check_field, "tap changer", self)
        check("vm_lower_pu", 0, 2, above=True, remedy="give a voltage in pu")
        check("vm_upper_pu", 0, 2, above=True, remedy="give a voltage in pu")
        check("delay_s", 0, remedy="give seconds, 0 for none")
        if not self.vm_lower_pu < self.vm_upper_pu:
            raise GridError(
                f"tap changer: expected vm_lower_pu below vm_upper_pu, got {self.vm_lower_pu:g} and "
                f"{self.vm_upper_pu:g}; give the band between them"
            )

    def excess(self, vm_pu: Floats) -> Ints:
        """-1 below the band, 1 above it, 0 inside and where there is no voltage."""
        return (vm_pu > self.vm_upper_pu).astype(np.int64) - (vm_pu < self.vm_lower_pu)


class TapState(NamedTuple):
    """Positions of M changers, and how long each has been outside its band since its last step, s; (M,) each."""

    position: Ints
    waited_s: Floats


NO_TAPS = TapState(np.zeros(0, np.int64), np.zeros(0))


class Followed(NamedTuple):
    """K intervals with the changers where they come to rest.

    Attributes
    ----------
    position
        (K, M) positions.
    hunts
        (K,) whether a step led beyond the other side of the band.
    """

    position: Ints
    hunts: Mask


class TapChangers:
    """The tap changers of a feeder, with one power flow engine for each combination of positions that occurs.

    Parameters
    ----------
    feeder
        The network, as its transformers stand in the beginning.
    trafos
        Index of each of the M transformers that change taps.
    settings
        When they do.

    Attributes
    ----------
    opening
        (M,) positions in the beginning.
    lowest, highest
        (M,) their limits.

    Raises
    ------
    GridError
        If a transformer has no taps, or stands outside of them.
    """

    def __init__(self, feeder: Feeder, trafos: Ints, settings: TapSettings) -> None:
        self.feeder, self.trafos, self.settings = feeder, trafos, settings
        table = feeder.net.trafo.loc[trafos]
        for trafo in trafos:
            check_taps(feeder.net, int(trafo), settings)
        self.opening, self.lowest, self.highest = (
            table[name].to_numpy(np.float64).astype(np.int64) for name in ("tap_pos", "tap_min", "tap_max")
        )
        # A higher position lowers the low voltage where the taps are on the high side, and the other way round.
        on_measured = (table.tap_side == settings.side).to_numpy()
        self.direction = np.where(on_measured, 1, -1) * np.sign(table.tap_step_percent.to_numpy(np.float64)).astype(int)
        at = table[f"{settings.side}_bus"].to_numpy(np.int64)
        self._column = find_columns(feeder, at if settings.bus is None else np.full_like(at, settings.bus))
        self._engines: dict[tuple[int, ...], AnyPowerFlow] = {}

    def engine(self, position: Ints) -> AnyPowerFlow:
        """Engine of the network at some positions, (M,); made once."""
        key = tuple(int(step) for step in position)
        if key not in self._engines:
            self._engines[key] = make_engine(replace(self.feeder, net=with_taps(self.feeder.net, self.trafos, key)))
        return self._engines[key]

    def find_excess(self, flow: Flow) -> Ints:
        """Where each measured voltage is, (K, M): below its band, inside or above."""
        return self.settings.excess(np.asarray(flow.vm_pu[:, self._column].mean(axis=2)))

    def find_steps(self, position: Ints, excess: Ints) -> Ints:
        """Next step of each changer, (K, M): -1, 0 or 1; 0 at the end of the taps."""
        wanted = -excess * self.direction
        return np.asarray(np.clip(position + wanted, self.lowest, self.highest) - position)

    def is_at_rest(self, position: Ints, flow: Flow) -> Mask:
        """Whether no changer wants to step, (K,); position is that of all intervals, (M,)."""
        return np.asarray(~self.find_steps(position, self.find_excess(flow)).any(axis=1))

    def count_steps(self, waited_s: Floats, interval_s: float) -> Ints:
        """How many steps each changer has time for in an interval, (M,)."""
        if self.settings.delay_s == 0.0:
            return np.asarray(self.highest - self.lowest)
        return np.asarray(np.floor((waited_s + interval_s) / self.settings.delay_s + 1e-9), np.int64)

    def wait(self, before: TapState, position: Ints, flow: Flow, interval_s: float) -> TapState:
        """State after an interval that ended at `position`, (M,), with the flow of K = 1."""
        if not flow.converged[0]:
            return TapState(position, np.zeros(position.size))
        acts = self.find_steps(position[None], self.find_excess(flow))[0] != 0
        waited = before.waited_s + interval_s - np.abs(position - before.position) * self.settings.delay_s
        return TapState(position, np.where(acts, np.maximum(waited, 0.0), 0.0))


def check_taps(net: Any, trafo: int, settings: TapSettings) -> None:
    """Raise `GridError` unless a transformer has taps, stands within them, and a step of it is within the band."""
    row, name = net.trafo.loc[trafo], str(net.trafo["name"].get(trafo) or "")
    where = f"tap changer of transformer {trafo} '{name}'"
    numbers = [float(row.get(key, np.nan)) for key in TAP_FIELDS[:5]]
    if not np.isfinite(numbers).all() or numbers[4] == 0.0 or row.get("tap_side") not in ("hv", "lv"):
        said = ", ".join(f"{key} = {row.get(key)}" for key in TAP_FIELDS)
        raise GridError(f"{where}: expected taps, got {said}; set them in the net, or in [tap_changer]")
    position, low, high = numbers[:3]
    if not low <= position <= high or low == high or any(number % 1 for number in numbers[:3]):
        raise GridError(
            f"{where}: expected whole tap_min <= tap_pos <= tap_max with more than one position, got {low:g}, "
            f"{position:g} and {high:g}; correct them"
        )
    band, step = settings.vm_upper_pu - settings.vm_lower_pu, abs(numbers[4]) / 100.0
    if band < step - 1e-9:
        raise GridError(
            f"{where}: expected a band of at least one step, {step:g} pu, between vm_lower_pu and vm_upper_pu, got "
            f"{band:g} pu, which a step would cross from side to side; widen it"
        )


def with_taps(net: Any, trafos: Ints, position: tuple[int, ...]) -> Any:
    """Copy of a net with some transformers at other positions."""
    changed = deepcopy(net)
    changed.trafo.loc[trafos, "tap_pos"] = position
    return changed


def find_columns(feeder: Feeder, buses: Ints) -> npt.NDArray[np.int64]:
    """Columns of `Flow.vm_pu` of buses, (M, 1), or (M, 3) where phases are apart."""
    rows = np.array([feeder.net.bus.index.get_loc(bus) for bus in buses], np.int64)
    n = 1 if feeder.connections is None else 3
    return n * rows[:, None] + np.arange(n)


def follow_taps(
    changers: TapChangers,
    before: TapState,
    n_intervals: int,
    interval_s: float,
    solve: Callable[[AnyPowerFlow, Ints], Flow],
) -> Followed:
    """Step the changers of K alternatives of one interval until they rest or its time is over.

    Parameters
    ----------
    changers, before
        The tap changers, and their state before the interval.
    n_intervals
        Number of alternatives K.
    interval_s
        Length of the interval.
    solve
        Solves some of the alternatives, (k,), by an engine.

    Notes
    -----
    All changers step at the same time, as do pandapower's controllers of one level. An alternative that has no
    solution stays where it is.
    """
    position = np.tile(before.position, (n_intervals, 1))
    left = np.tile(changers.count_steps(before.waited_s, interval_s), (n_intervals, 1))
    last, hunts = np.zeros_like(position), np.zeros(n_intervals, bool)
    running = np.arange(n_intervals)
    while running.size:
        steps = np.zeros((running.size, position.shape[1]), np.int64)
        for where, chosen in group_by_position(position[running]):
            flow = solve(changers.engine(where), running[chosen])
            excess = changers.find_excess(flow) * flow.converged[:, None]
            steps[chosen] = changers.find_steps(where[None], excess)
        hunts[running] |= (steps * last[running] < 0).any(axis=1)
        steps[(left[running] <= 0) | hunts[running, None]] = 0
        position[running] += steps
        left[running] -= np.abs(steps)
        last[running] = np.where(steps != 0, steps, last[running])
        running = running[steps.any(axis=1)]
    return Followed(np.where(hunts[:, None], before.position, position), hunts)


def group_by_position(position: Ints) -> list[tuple[Ints, Ints]]:
    """Each combination of positions among K, (M,), with the places where it stands, (k,)."""
    found, place = np.unique(position, axis=0, return_inverse=True)
    return [(where, np.flatnonzero(place.reshape(-1) == k)) for k, where in enumerate(found)]
