"""Checks of a scenario against what it names: files, profiles, participants, network.

`build_case` makes them all, so `gridsettle scenario check` and `gridsettle run` refuse the same scenarios. What the
scenario file alone can tell is checked by `cosim.scenario.model`, a file's content by whoever reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from cosim.case.community import COMMUNITY
from cosim.case.event_checks import number_events
from cosim.case.memory import Keeps, estimate_bytes, find_available_bytes
from cosim.case.timeline import find_interval
from cosim.errors import ScenarioError
from cosim.scenario.base import is_whole
from cosim.scenario.events import LoadEvent, OutageEvent, RandomOutagesEvent
from cosim.scenario.model import Scenario
from cosim.scenario.sections import PvSection
from data.profiles import Profiles
from grid_models.arrays import Floats
from grid_models.devices.inverter import Characteristic
from grid_models.errors import GridError, NothingToSolveError
from grid_models.feeder.background import list_unsound
from grid_models.feeder.connection import NAMES as PHASES
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.topology import (
    NONE,
    Supply,
    find_elements,
    find_fused_buses,
    find_grid_transformers,
    find_islands,
    open_elements,
)
from grid_models.powerflow.admittance import read_matrices


def check_given(scenario: Scenario, section: str, key: str) -> Any:
    """The file or name that a section must give for its source.

    Raises
    ------
    ScenarioError
        If it gives none.
    """
    table = getattr(scenario, section)
    given = getattr(table, key)
    if given is None:
        what = f'a file for {section}.source = "{table.source}"', f'{key} = "…"'
        if section == "pv":
            what = f'one for pv.source = "{table.source}"', f"{key} = …"
        if key == "name":
            what = "the name of a pandapower net", 'e.g. name = "cigre_lv"'
        raise ScenarioError(f"scenario '{scenario.name}', {section}.{key}: expected {what[0]}, got none; add {what[1]}")
    return given


def check_placement(table: list[tuple[str, str]], participants: Sequence[str], path: Path | str) -> None:
    """Raise ScenarioError unless the table (participant, bus) lists the participants of the profiles and no others."""
    listed = {name for name, _ in table}
    for missing in [name for name in participants if name not in listed]:
        raise ScenarioError(
            f"{path}: expected a bus for participant '{missing}' of the profiles, found none; add the row"
        )
    for extra in [name for name, _ in table if name not in participants]:
        raise ScenarioError(
            f"{path}: expected participants of the profiles only, got '{extra}'; remove the row or add profiles"
        )


def check_community(scenario: Scenario, participants: Sequence[str]) -> None:
    """Raise ScenarioError if a participant of the profiles has the community's name."""
    if scenario.community.enabled and COMMUNITY in participants:
        raise ScenarioError(
            f"profiles: expected no participant '{COMMUNITY}' where community.enabled = true, got one; rename it"
        )


def check_horizon(scenario: Scenario, profiles: Profiles) -> None:
    """Raise ScenarioError unless the profiles, in intervals of the scenario, have intervals for the whole horizon."""
    horizon, minutes = scenario.horizon, profiles.interval_minutes
    start = np.datetime64(horizon.start.replace(tzinfo=None), "s")
    first, rest = find_interval(profiles, horizon.start)
    if rest:
        raise ScenarioError(
            f"scenario '{scenario.name}', horizon.start: expected a whole number of {minutes}-minute "
            f"intervals after the profiles' start {profiles.start} UTC, got {start}; move the start"
        )
    if first < 0 or first + horizon.n_intervals > profiles.n_intervals:
        raise ScenarioError(
            f"scenario '{scenario.name}', horizon: expected profiles from {start} UTC for {horizon.hours} h, "
            f"got {profiles.start} to {_find_end(profiles)} UTC; change horizon.start or horizon.hours"
        )


def check_events(scenario: Scenario, profiles: Profiles) -> None:
    """Raise ScenarioError unless events name participants, and begin and end with intervals of the profiles."""
    names, minutes = profiles.participants, profiles.interval_minutes
    shown = ", ".join(names if len(names) <= 4 else (*names[:3], "…", names[-1]))
    for where, event in number_events(scenario):
        if isinstance(event, RandomOutagesEvent):
            continue
        if not isinstance(event, OutageEvent) and event.participant not in names:
            raise ScenarioError(f"{where}, participant: expected one of {shown}, got '{event.participant}'; correct it")
        begin, hours = (event.start, event.hours) if isinstance(event, OutageEvent | LoadEvent) else (event.at, 0.0)
        t, rest = find_interval(profiles, begin)
        if rest or not 0 <= t < profiles.n_intervals:
            raise ScenarioError(
                f"{where}: expected the begin of a {minutes}-minute interval from {profiles.start} to before "
                f"{_find_end(profiles)} UTC, got {begin:%Y-%m-%dT%H:%M:%S}; move the event or the horizon"
            )
        if hours and not is_whole(hours, minutes):
            raise ScenarioError(f"{where}, hours: expected whole {minutes}-minute intervals, got {hours:g} h; round it")


def _find_end(profiles: Profiles) -> np.datetime64:
    return profiles.start + profiles.n_intervals * np.timedelta64(60 * profiles.interval_minutes, "s")


def check_priorities(scenario: Scenario, participants: Sequence[str]) -> None:
    """Raise ScenarioError if a priority of curtailment names nobody."""
    for name in scenario.curtailment.priority:
        if name not in participants:
            raise ScenarioError(
                f"curtailment.priority: expected names of participants such as {', '.join(participants[:3])}, "
                f"got '{name}'; correct the name or leave it out"
            )


def check_outages(scenario: Scenario, feeder: Feeder) -> None:
    """Raise GridError if an outage names a switch or line that the net has not, ScenarioError if it is open already."""
    for where, event in number_events(scenario):
        if isinstance(event, OutageEvent | RandomOutagesEvent):
            for name in event.switches:
                closed = feeder.net.switch.loc[find_elements(feeder.net, "switch", (name,)), "closed"]
                _check_is_on(f"{where}, switches", name, "open", on=bool(closed.any()))
            for name in event.lines:
                in_service = feeder.net.line.loc[find_elements(feeder.net, "line", (name,)), "in_service"]
                _check_is_on(f"{where}, lines", name, "out of service", on=bool(in_service.any()))


def _check_is_on(where: str, name: str, state: str, *, on: bool) -> None:
    if not on:
        raise ScenarioError(
            f"{where}: expected what an outage can open, got '{name}', which is {state} in the net already; remove it"
        )


def check_islands(scenario: Scenario, feeder: Feeder) -> None:
    """Raise GridError if an outage may put an element into an island of participants that no island can carry."""
    unsound = list_unsound(feeder.net)
    outages = [event for event in scenario.events if isinstance(event, OutageEvent | RandomOutagesEvent)]
    if not unsound or not outages:
        return
    for some in _combine(outages):
        islands = find_islands(_open_outages(feeder.net, some))
        off_grid = [islands.find_supply([bus])[0] != Supply.GRID for bus in feeder.bus]
        parts = set(islands.find_part(feeder.bus)[off_grid].tolist()) - {NONE}
        for element in unsound:
            if parts & set(islands.find_part(element.bus).tolist()):
                raise GridError(
                    f"network '{feeder.name}', {element.what}: expected elements that can be carried without the grid "
                    "(constant loads and generators, storages, motors, shunts, wards), got one that holds a voltage or "
                    "depends on it; an outage leaves it in an island: replace it by a load or sgen, take it out of "
                    "service, or remove the outage"
                )


def check_sources(scenario: Scenario, feeder: Feeder) -> None:
    """Raise GridError if an outage may leave the grid nothing but its own bus, and that with something at it."""
    outages = [event for event in scenario.events if isinstance(event, OutageEvent | RandomOutagesEvent)]
    at = {*feeder.bus.tolist(), *feeder.net.bus.index[feeder.background.row].tolist()}
    sources = find_fused_buses(feeder.net, {int(bus) for bus in feeder.net.ext_grid.bus})
    for some in _combine(outages) if at & sources else ():
        net = _open_outages(feeder.net, some)
        islands = find_islands(net)
        on_grid = set(islands.bus[islands.find_supply(islands.bus) == Supply.GRID].tolist())
        if on_grid and on_grid <= sources and at & on_grid:
            try:
                read_matrices(net, feeder.name)
            except NothingToSolveError as reason:
                raise GridError(
                    f"network '{feeder.name}': expected outages that leave the grid more than its own bus, got some "
                    f"that leave the external grid alone with what is at its bus {min(at & on_grid)}: open another "
                    "element, or put what is there behind a line"
                ) from reason


def _combine(
    outages: Sequence[OutageEvent | RandomOutagesEvent],
) -> Iterator[Sequence[OutageEvent | RandomOutagesEvent]]:
    """Outages that may be in force together: every combination of what a few of them open, else pairs and all."""
    different = list({(event.grid, event.switches, event.lines): event for event in outages}.values())
    n = len(different)
    for size in range(1, n + 1) if n <= 5 else (1, 2, n):
        yield from combinations(different, size)


def _open_outages(net: Any, outages: Sequence[OutageEvent | RandomOutagesEvent]) -> Any:
    grid = any(outage.grid for outage in outages)
    return open_elements(
        net,
        switches=[name for outage in outages for name in outage.switches],
        lines=[name for outage in outages for name in outage.lines],
        trafos=find_grid_transformers(net) if grid else (),
        grid=grid,
    )


def check_memory(n_houses: int, n_intervals: int, *, n_elements: int | None = None, keeps: Keeps = Keeps.PARTS) -> None:
    """Raise ScenarioError if a run of so many houses, intervals, and buses with branches cannot fit into memory."""
    needed, available = estimate_bytes(n_houses, n_intervals, n_elements, keeps), find_available_bytes()
    if available is not None and needed > available:
        raise ScenarioError(
            f"memory: expected a run that fits, got one of {n_houses:,} houses and {n_intervals:,} intervals that "
            f"needs about {needed / 2**30:,.1f} GiB, with {available / 2**30:,.1f} GiB available; take fewer houses "
            f"or a shorter horizon{_HINTS[keeps]}"
        )


_HINTS = {
    Keeps.PARTS: "",
    **dict.fromkeys((Keeps.REPORT, Keeps.REPORT_OF_PHASES), ", or leave the report out (--no-report)"),
    Keeps.TABLES: ", or give the run a directory",
}


def check_split(scenario: Scenario, profiles: Profiles, feeder: Feeder, panels_kw: Floats) -> None:
    """Raise ScenarioError where a meter would not say which phase draws which reactive power.

    A meter has one number for load and inverter. Where the profiles have the reactive power of the load and the
    inverter is under control, nothing else tells the two apart, and so they must be on the same phases. `panels_kw` is
    the power of each participant's panels, (N,), 0 where it has none.
    """
    connections = feeder.connections
    if connections is None or profiles.load_varh is None or scenario.pv.control == "none":
        return
    apart = np.flatnonzero((connections.load != connections.pv) & (panels_kw > 0.0))
    if apart.size:
        k = int(apart[0])
        load, pv = PHASES[connections.load[k]], PHASES[connections.pv[k]]
        raise ScenarioError(
            f"participant '{feeder.participants[k]}': expected panels on the phase of the load where profiles have "
            f'reactive power and pv.control = "{scenario.pv.control}", got load on {load} and panels on {pv} '
            f"({apart.size} such participants); leave out the reactive power of the profiles, set pv.control = "
            '"none", or connect both alike'
        )


def check_characteristic(section: PvSection) -> None:
    """Raise GridError unless the points of the inverters' Q(V) characteristic rise in voltage and fall in Q."""
    if section.control != "none":
        try:
            Characteristic(section.q_v_vm_pu, section.q_v_q_pu)
        except GridError as reason:
            raise GridError(f"pv.q_v_vm_pu, pv.q_v_q_pu: {reason}") from reason


def check_envelopes(scenario: Scenario) -> None:
    """Raise ScenarioError where envelopes before the market do not go together with something else that is set."""
    if scenario.market.network != "envelope":
        return
    for section, key, why in (
        ("pv", "control", "envelopes are found for inverters without reactive power"),
        ("pv", "volt_watt", "envelopes are found for inverters that inject all power"),
        ("tap_changer", "enabled", "envelopes are found for one position of the taps"),
        ("ledger", "facts", "clearing is verified from orders as houses made them, not as they were clipped"),
        ("ledger", "private", "the records of envelopes cannot be hidden yet"),
    ):
        given, expected = getattr(getattr(scenario, section), key), "none" if key == "control" else False
        if given != expected:
            raise ScenarioError(
                f"scenario '{scenario.name}', {section}.{key}: expected {str(expected).lower()} where market.network = "
                f'"envelope", since {why}, got {str(given).lower()}; change one of the two'
            )


def check_no_envelopes(scenario: Scenario, what: str) -> None:
    """Raise ScenarioError where orders are to be clipped to envelopes, in something that knows none."""
    if scenario.market.network == "envelope":
        raise ScenarioError(
            f"scenario '{scenario.name}', market.network: expected \"after\" for {what}, which knows no envelopes, got "
            '"envelope"; leave the key out'
        )
