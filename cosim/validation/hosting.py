"""Hosting capacity: the largest PV that keeps every limit in every interval, by batched bisection on AC.

Batteries are idle and nothing is curtailed: the result is what the wires alone can take.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.case.community import sun_shape
from cosim.case.event_checks import list_left_out
from cosim.case.head import check_no_head
from cosim.case.unhindered import DeviceLoad, find_device_load, find_drawn_kw
from cosim.case.voltage_control import list_controls_left_out
from cosim.delivery.setpoints import at_device, mean_kw
from cosim.interrupts.stop import stop_between_lines
from cosim.results.tables import list_bus_names
from cosim.scenario.events import LoadEvent
from cosim.scenario.model import Scenario
from cosim.validation.largest_clean import LargestClean, Searches, find_largest_clean
from cosim.validation.tables import describe_violation
from grid_models.arrays import Floats, Ints
from grid_models.feeder.connection import ABC, LARGEST_ONE_PHASE_KVA, NAMES
from market.exchanges import CAR, HEAT_PUMP

LARGEST_SCALING = 100.0


@dataclass(frozen=True, eq=False)
class Hosting:
    """How much PV a feeder holds.

    Attributes
    ----------
    scaling
        Largest factor on the PV of all houses.
    reached_end
        Whether that is the end of the search, so that the feeder may hold more.
    bound_by
        The limit that the next larger factor breaks; in words where it is none.
    n_intervals
        Intervals in which every answer was solved and found clean.
    houses
        One row per house: bus, largest rated PV there with none anywhere else, whether that is the end of the search,
        and what binds it. In an unbalanced model also the phases of its panels, `phase_pv`, and that of the limit.
    notes
        Remarks on the network, on the answer, and on what of the scenario it leaves out.
    """

    scaling: float
    reached_end: bool
    bound_by: str
    n_intervals: int
    houses: pd.DataFrame
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "scaling": self.scaling,
            "reached_end": self.reached_end,
            "bound_by": self.bound_by,
            "intervals": self.n_intervals,
            "houses": self.houses.to_dict(orient="records"),
            "notes": list(self.notes),
        }


@stop_between_lines()
def find_hosting(scenario: Scenario, *, n_intervals: int = 24, largest_kw: float = 1000.0) -> Hosting:
    """Hosting capacity of a scenario's feeder over all its intervals.

    Parameters
    ----------
    scenario
        Network, limits, load and generation.
    n_intervals
        On how many intervals a search begins. The answer holds in all intervals, whatever this number; it changes the
        time that the search takes.
    largest_kw
        Largest PV at a house that is looked for, kW.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    check_no_head(scenario, "hosting capacity")
    case = build_case(scenario)
    every = np.arange(case.n_intervals)
    found = find_hosting_capacity(case, every, n_first=n_intervals, largest_kw=largest_kw)
    # The answer is that of the whole network, with the devices of the beginning.
    left_out = list_left_out(scenario, "hosting capacity", LoadEvent)
    controls = list_controls_left_out(scenario, "hosting capacity")
    return replace(found, notes=(*case.feeder.notes, *found.notes, *left_out, *controls))


def find_hosting_capacity(
    case: Case,
    intervals: npt.NDArray[np.integer[Any]],
    *,
    n_first: int = 24,
    largest_kw: float = 1000.0,
    largest_scaling: float = LARGEST_SCALING,
) -> Hosting:
    """Largest uniform PV scaling, and largest PV at each house by itself, that keep `intervals` clean.

    Parameters
    ----------
    case
        Feeder, limits and profiles, and cars and heat pumps, which take what they want where nothing is cut.
    intervals
        Intervals of the profiles that must stay clean, (K,).
    n_first
        On how many of them a search begins: those with the largest injections at its end.
    largest_kw, largest_scaling
        Where the search ends, kW and as a factor.

    Returns
    -------
    Hosting
        A house's PV follows the sum of the profiles' generation, and is rated at its largest value of all intervals.
        Where a limit is broken without any PV, a capacity is 0, unless the end of the search is clean.

    Notes
    -----
    Every answer is clean in all of `intervals`, and one level above it, by 2⁻²⁴ of the range, is not. Bisection assumes
    that a limit broken by some PV stays broken with more. That holds for overvoltage and overload by reverse flow; not
    where PV raises a voltage that is too low without it.

    In an unbalanced model nothing of the kind is assumed: PV at a house is at the phases of its panels, and may mend
    one phase before it breaks another. An answer is the end of the clean levels from 0 up, as
    `cosim.validation.largest_clean` tries them; what is clean again above a level that is not does not count.
    """
    connections = case.feeder.connections
    devices = find_device_load(case)
    load = find_drawn_kw(case, devices, intervals.astype(np.int64))
    pv = mean_kw(case.profiles.pv_wh[intervals], case.interval_minutes)
    shape = sun_shape(case.profiles.pv_wh)
    sun = shape[intervals] if shape.any() else np.ones(len(intervals))

    def scaled(_: Ints, interval: Ints, level: Floats) -> Floats:
        of_panels = at_device(level[:, None] * pv[interval], "pv", connections)
        return np.asarray(of_panels - load[interval])

    def at_each(search: Ints, interval: Ints, level: Floats) -> Floats:
        injections = -load[interval]
        at = search if connections is None else connections.column("pv")[search]
        injections[np.arange(search.size), at] += level * sun[interval]
        return injections

    q_kvar = list_load_q_kvar(case, devices, intervals)
    alike = Searches(case, scaled, len(intervals), np.array([largest_scaling]), q_kvar)
    alone = Searches(case, at_each, len(intervals), np.full(case.feeder.bus.size, largest_kw), q_kvar)
    factor, kw = find_largest_clean(alike, n_first), find_largest_clean(alone, n_first)
    houses = _make_houses_frame(case, kw)
    bound = _describe_bounds(factor, "times today's PV")[0]
    notes = (*_list_control_notes(case), *_list_device_notes(case), *_list_notes(case, kw))
    return Hosting(float(factor.level[0]), bool(factor.reached_end[0]), bound, len(intervals), houses, notes)


def list_load_q_kvar(case: Case, devices: DeviceLoad, intervals: npt.NDArray[np.integer[Any]]) -> Floats | None:
    """Reactive injections of the loads in some intervals, (K, C) kvar; None where there are none."""
    if case.load_reactive is None:
        return None
    chosen = intervals.astype(np.int64)
    drawn_wh = (case.profiles.load_wh + devices.cars_wh + devices.heat_pumps_wh)[chosen]
    of_loads = case.load_reactive.drawn_var(drawn_wh, chosen[:, None]) / -1000.0
    return at_device(of_loads, "load", case.feeder.connections)


def _describe_bounds(found: LargestClean, unit: str) -> list[str]:
    """What ends each search, in words."""

    def describe(level: float, reached: bool, bound: object) -> str:
        if reached:
            return f"no limit up to {level:g} {unit}, the end of the search"
        if bound is None:
            return "the power flow, which has no solution"
        return f"{bound}" if level > 0.0 else f"{bound}, without any PV"

    return [describe(*answer) for answer in zip(*found, strict=True)]


def _list_control_notes(case: Case) -> tuple[str, ...]:
    """That inverters inject no reactive power here, where the scenario wants them to."""
    if case.control is None:
        return ()
    rule = case.control.inverter.rule
    return (f"left out: reactive control of inverters (pv.control = {rule}); with --draws it is kept",)


def _list_device_notes(case: Case) -> tuple[str, ...]:
    """What an answer takes cars and heat pumps for, where there are any."""
    kinds = case.inputs.devices.kind
    counts = {"cars": int((kinds == CAR).sum()), "heat pumps": int((kinds == HEAT_PUMP).sum())}
    words = " and ".join(f"{count} {name}" for name, count in counts.items() if count)
    if not words:
        return ()
    return (
        f"load includes {words}: what they take by their strategy, with today's PV, where the network puts nothing off",
    )


def _list_notes(case: Case, found: LargestClean) -> tuple[str, ...]:
    """What an answer of an unbalanced model takes as given: the phases of the panels."""
    connections = case.feeder.connections
    if connections is None:
        return ()
    names = [NAMES[code] for code in connections.pv]
    counts = ", ".join(f"{name} {names.count(name)}" for name in ("a", "b", "c", "abc"))
    notes = [f"PV at the phases of each house's panels: {counts}"]
    larger = (connections.pv != ABC) & (found.level > LARGEST_ONE_PHASE_KVA)
    if larger.any():
        notes.append(
            f"{larger.sum()} one-phase answers are above {LARGEST_ONE_PHASE_KVA:g} kVA, the most that VDE-AR-N 4105 "
            "admits on one phase: larger PV is on three"
        )
    return tuple(notes)


def _make_houses_frame(case: Case, found: LargestClean) -> pd.DataFrame:
    names = list_bus_names(case)
    buses = case.feeder.net.bus.index.get_indexer(case.feeder.bus)
    answers = zip(case.feeder.participants, buses, *found, _describe_bounds(found, "kW"), strict=True)
    connections = case.feeder.connections
    phased = connections is not None
    rows = [
        {
            "house": house,
            "bus": names[bus],
            "largest_kw": kw,
            "reached_end": bool(reached),
            "bound_by": words,
            **describe_violation(bound, with_phase=phased),
        }
        for house, bus, kw, reached, bound, words in answers
    ]
    frame = pd.DataFrame(rows).drop(columns=["quantity", "value"]).astype({"element": "Int64"})
    if connections is not None:
        frame.insert(2, "phase_pv", [NAMES[code] for code in connections.pv])
    return frame
