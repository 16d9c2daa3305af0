"""How long critical load, and all load, is served without the grid: outages of every length from hours over a year.

The undisturbed run says what batteries, wallets and devices hold when an outage begins. From there the network goes on
without the grid, hour by hour by the rules of any outage (`cosim.interval.event`), for the longest length that is
asked for: nobody looks ahead, so that its first d hours are those of an outage of d hours.

Law: a curve never rises with the length, and all load is never served longer than critical load.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from cosim.case.case import Case, build_case, build_market
from cosim.case.charges import check_no_charges
from cosim.case.devices import FuelCellDevice
from cosim.case.event_checks import list_left_out
from cosim.case.fleet import Fleet
from cosim.case.state import NetworkState
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.interval.event import with_admitted_devices
from cosim.interval.fold import run_intervals
from cosim.interval.optimistic import settle_optimistically
from cosim.scenario.events import OutageEvent, RandomOutagesEvent, RegisterEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import HOURS_PER_YEAR
from cosim.studies.outage_chances import find_chances
from cosim.studies.outage_failures import Failures, can_fail
from cosim.studies.outage_lanes import PRIORITIES, OutageLanes, Start
from cosim.studies.outages import BASE, PLUGGED_IN, VARIANTS, find_changes, find_model
from cosim.studies.study import Task, vary
from cosim.studies.survival_curves import DRAWN, FAILING
from market.state import State, hosted_wh

LOOKS_AHEAD, HOURLY = "energy kept for critical load", "hour by hour"
BATCHES, FEW_STARTS = 3, 200
"""Most tasks of a variant, and outages for which there is but one: each makes the undisturbed run up to its outages."""
COMPARED = (BASE, LOOKS_AHEAD, HOURLY, PLUGGED_IN, "no market, batteries idle")
"""Variants by name; of the second and the third one is what the scenario does anyway, and left out."""
DISPATCH = {LOOKS_AHEAD: {"outage": {"dispatch": "ahead"}}, HOURLY: {"outage": {"dispatch": "hourly"}}}
_GOLDEN = (5.0**0.5 - 1.0) / 2.0


def list_starts(n: int, hours: int = HOURS_PER_YEAR) -> list[int]:
    """Hours at which outages begin: one in each of `n` equal spans of some hours, at changing times of the day.

    Its place in the span goes on by the golden ratio from span to span. As many as there are hours are all of them.

    Examples
    --------
    >>> list_starts(4)
    [0, 3543, 4896, 8440]
    >>> list_starts(3, 3)
    [0, 1, 2]
    """
    bounds = [k * hours // n for k in range(n + 1)]
    return [low + int(k * _GOLDEN % 1.0 * (high - low)) for k, (low, high) in enumerate(pairwise(bounds))]


class Outset(NamedTuple):
    """What outages begin with, shares of all that batteries and tanks hold; None for what they hold in the run."""

    charge: float | None = None
    tank: float | None = None


AS_IN_THE_RUN = Outset()


def list_survival_tasks(
    scenario: Scenario,
    starts: int,
    longest: int,
    hours: int,
    *,
    outset: Outset = AS_IN_THE_RUN,
    failures: Failures | None = None,
) -> list[Task]:
    """Tasks of a scenario as it is, dispatched the other way, with one more fuel cell, and without a market.

    Parameters
    ----------
    scenario
        What to vary; its own outages say what opens, its other events are left out.
    starts
        Number of outages, spread evenly over the hours from the scenario's start on.
    longest
        Their length, hours.
    hours
        Hours in which outages begin.
    outset
        What outages begin with.
    failures
        How devices fail in them, to be told beside; None where none does.

    Raises
    ------
    ScenarioError, data.errors.DataError
        If there are more outages than hours, or an input cannot be used.
    """
    check_no_charges(scenario, "study survival")
    if starts > hours:
        raise ScenarioError(f"--starts: expected at most one outage an hour, {hours}, got {starts}; ask for fewer")
    if outset.charge is not None:
        _check_batteries(scenario, "--charge")
    if failures is not None and can_fail(failures.batteries):
        _check_batteries(scenario, "--battery-availability and --battery-hours")
    begins = np.array_split(np.array(list_starts(starts, hours)), min(BATCHES, 1 + starts // FEW_STARTS))
    tasks = []
    for name, alone in _list_variants(scenario, longest, hours).items():
        for batch in begins:
            begins_at = tuple(batch.tolist())
            measure = partial(measure_survival, starts=begins_at, longest=longest, outset=outset, failures=failures)
            tasks.append(Task({"variant": name}, alone, measure))
    return tasks


def _check_batteries(scenario: Scenario, option: str) -> None:
    """Raise ScenarioError for an option about batteries where nobody has one."""
    opening = build_market(vary(scenario, "study", events=[], horizon={"hours": 1})).opening
    if not opening.ratings.soc_max_wh.any():
        raise ScenarioError(f"{option}: expected batteries in scenario '{scenario.name}', got none; leave it out")


def _list_variants(scenario: Scenario, longest: int, hours: int) -> dict[str, Scenario]:
    """Scenarios without the grid by name; one that changes nothing is left out."""
    outage = open_for(scenario, hours + longest)
    found: dict[str, Scenario] = {}
    for name in COMPARED:
        changes = DISPATCH[name] if name in DISPATCH else VARIANTS[name]
        sections = {key: value for key, value in changes.items() if key != "plugged_in"}
        events = [*([_plug_in(scenario)] if name == PLUGGED_IN else []), outage]
        one = vary(scenario, "study", **sections, events=events, horizon={"hours": hours + longest})
        if one not in found.values():
            found[name] = one
    return found


def open_for(scenario: Scenario, hours: int) -> dict[str, Any]:
    """An outage of some hours from the start on, of what the scenario's random outages open, or of the whole grid."""
    opens = find_model(scenario).model_dump(include={"grid", "switches", "lines"})
    return {"kind": "outage", "start": scenario.horizon.start, "hours": hours, **opens}


def with_grid(scenario: Scenario) -> Scenario:
    """The scenario without its outages, and without keys that have no effect then."""
    kept = [one.model_dump(exclude_unset=True) for one in scenario.events if not isinstance(one, OutageEvent)]
    return vary(scenario, "study", events=kept)


def _plug_in(scenario: Scenario) -> dict[str, Any]:
    """The fuel cell that the scenario has plugged in first, or an ordinary one, from the first hour on."""
    cells = [one for one in scenario.events if isinstance(one, RegisterEvent) and one.device == "fuel_cell"]
    if cells:
        return cells[0].model_dump(exclude_unset=True) | {"at": scenario.horizon.start}
    house = find_changes(scenario)[PLUGGED_IN]["plugged_in"]
    return {"kind": "register", "at": scenario.horizon.start, "participant": house, "device": "fuel_cell"}


def list_survival_notes(scenario: Scenario) -> list[str]:
    """Remarks on what of a scenario the study leaves out."""
    return list_left_out(scenario, "the survival study", RandomOutagesEvent)


def measure_survival(
    scenario: Scenario,
    *,
    starts: tuple[int, ...],
    longest: int,
    outset: Outset = AS_IN_THE_RUN,
    failures: Failures | None = None,
) -> dict[str, list[Any]]:
    """Load not served in every hour of outages that begin at some hours of an undisturbed run, as columns.

    Parameters
    ----------
    scenario
        Without the grid from first to last; the undisturbed run is that of `with_grid`.
    starts
        Hours at which the outages begin, ascending.
    longest
        Their length, hours.
    outset, failures
        What outages begin with, and how devices fail in them.

    Returns
    -------
    dict
        `begins`, `hour` (1 … longest), `critical_short_wh`, and `not_served_wh` with one column a priority, of as many
        rows as all outages have hours; with `failures` also `critical_failing`, the chance that all critical load is
        served up to the hour by devices that may fail, and whether failures were drawn.
    """
    case, without = build_case(with_grid(scenario)), with_tanks(build_case(scenario), outset.tank)
    lanes = OutageLanes(without)
    per_hour = 60 // case.interval_minutes
    found: dict[str, list[Any]] = {}
    for begins, (state, network) in zip(starts, follow_undisturbed(case, starts), strict=True):
        start = Start(with_charge(state, outset.charge), network, begins * per_hour)
        plan, rows = lanes.try_plans(start, longest * per_hour)
        short = rows.reshape(longest, per_hour, -1).sum(axis=1).T
        names = ("critical_short_wh", *(f"not_served_{name}_wh" for name in PRIORITIES))
        columns = {
            "begins": np.full(longest, begins),
            "hour": np.arange(1, longest + 1),
            **dict(zip(names, short, strict=True)),
        }
        if failures is not None:
            chances, drawn = find_chances(without, lanes, start, rows[:, 0], plan, failures)
            columns |= {FAILING: chances[per_hour - 1 :: per_hour], DRAWN: np.full(longest, drawn)}
        for name, values in columns.items():
            found.setdefault(name, []).extend(values.tolist())
    return found


def with_charge(state: State, share: float | None) -> State:
    """The state with a share of each battery's range charged, energy of others that it holds counted."""
    if share is None:
        return state
    r = state.ratings
    wanted = r.soc_min_wh + np.floor(share * (r.soc_max_wh - r.soc_min_wh)).astype(np.int64)
    return state._replace(own_wh=np.maximum(wanted - hosted_wh(state.lots, wanted.size), r.soc_min_wh))


def with_tanks(case: Case, share: float | None) -> Case:
    """The case with tanks filled to a share when the grid goes."""
    if share is None:
        return case
    devices = [
        replace(one, plant=replace(one.plant, tank_kg=share * one.plant.tank_kg))
        if isinstance(one, FuelCellDevice)
        else one
        for one in case.fleet.devices
    ]
    return replace(case, fleet=Fleet(devices, case.profiles, case.fleet.flexible))


def follow_undisturbed(case: Case, starts: tuple[int, ...]) -> Iterator[tuple[State, NetworkState]]:
    """State of market and network before each of some hours, ascending.

    Intervals are run in the long windows of any run. Within a window all is clean, and its market is settled once more
    up to the hour.
    """
    wanted = [hour * 60 // case.interval_minutes for hour in starts]
    state, network, t, k = case.opening, case.opening_network, 0, 0
    for chunk in run_intervals(case, state, 0, network, wanted[-1]):
        if wanted[k] < chunk.stop:
            inside = with_admitted_devices(case, network)
            while wanted[k] < chunk.stop:
                if wanted[k] > t:
                    settled = settle_optimistically(inside, state, t, wanted[k] - t).state
                    state, t = _with_losses(settled, chunk, wanted[k]), wanted[k]
                yield state, network
                k += 1
        state, network, t = chunk.window.state, chunk.network, chunk.stop
    yield state, network


def _with_losses(state: State, chunk: Chunk, t: int) -> State:
    """State before an interval with the losses that the operator has bought until then in the chunk's window."""
    n = state.own_wh.size
    return state._replace(pools_neur=chunk.window.accounts[t - 1 - chunk.first, 2 * n : 2 * n + 3].copy())
