"""What happens between two intervals of a run that people take part in: devices come and go, the operator switches.

An act takes effect at the begin of an interval. It is no part of the scenario; the ledger holds it, so that the run can
be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.plugged import Joins, Leaves, Stage, with_joined, with_left
from cosim.case.state import NetworkState
from cosim.errors import ScenarioError
from cosim.scenario.events import OutageEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import list_outages
from market.ledger.format.records import Change


class Switches(NamedTuple):
    """The operator opens something, or closes it again, from the begin of an interval on.

    `change` is GRID_OUT (the connection to the grid, element 0), LINE_OUT or SWITCH_OPEN with the index of the element.
    """

    interval: int
    change: Change
    element: int
    opens: bool


Act = Joins | Leaves | Switches


def make_switching(case: Case, interval: int, change: Change, element: int, *, opens: bool) -> Switches:
    """A command of the operator, checked against net and commands in force.

    Raises
    ------
    ScenarioError
        If there is no such element, its name is not its own, or it is open, or closed, already.
    """
    command = Switches(interval, change, element, opens)
    outage = make_outage(case.scenario, case.feeder.net, command)
    if (find_commanded(case, outage) is not None) == opens:
        wanted = "closed" if opens else "opened by a command"
        raise ScenarioError(f"{_describe(outage)}: expected it {wanted}, it is not")
    return command


def make_outage(scenario: Scenario, net: Any, command: Switches) -> OutageEvent:
    """The outage that a command begins; it lasts to the end of the run, unless a command ends it.

    Raises
    ------
    ScenarioError
        If there is no such element, or others bear its name: an outage opens by name.
    """
    names: dict[str, tuple[str, ...]] = {}
    if command.change == Change.GRID_OUT:
        if command.element != 0:
            raise ScenarioError(f"grid: expected element 0, got {command.element}")
    elif command.change == Change.LINE_OUT:
        names["lines"] = (_find_name(net, "line", command.element),)
    elif command.change == Change.SWITCH_OPEN:
        names["switches"] = (_find_name(net, "switch", command.element),)
    else:
        raise ScenarioError(f"command: expected grid, line or switch, got change {int(command.change)}")
    horizon = scenario.horizon
    if not 0 <= command.interval < horizon.n_intervals:
        raise ScenarioError(f"command: expected one before the end of the run, got interval {command.interval}")
    start = horizon.start + timedelta(minutes=command.interval * horizon.interval_minutes)
    hours = (horizon.n_intervals - command.interval) * horizon.interval_minutes / 60.0
    grid = command.change == Change.GRID_OUT
    return OutageEvent(kind="outage", start=start, hours=hours, grid=grid, **names)


def list_commanded(scenario: Scenario, net: Any, commands: Sequence[Switches]) -> tuple[OutageEvent, ...]:
    """The outages that commands have begun, each to the command that ended it; commands in their order."""
    found = list[OutageEvent]()
    for command in commands:
        outage = make_outage(scenario, net, command)
        if command.opens:
            found.append(outage)
            continue
        for k, other in enumerate(found):
            if (
                _opens_same(other, outage)
                and other.start + timedelta(seconds=round(other.hours * 3600.0)) > outage.start
            ):
                hours = (outage.start - other.start).total_seconds() / 3600.0
                found[k] = other.model_copy(update={"hours": hours})
    return tuple(outage for outage in found if outage.hours > 0)


def _opens_same(one: OutageEvent, other: OutageEvent) -> bool:
    return (one.grid, one.lines, one.switches) == (other.grid, other.lines, other.switches)


def _find_name(net: Any, table: str, element: int) -> str:
    frame = net[table]
    if element not in frame.index:
        raise ScenarioError(f"{table} {element}: expected an element of the network, found none of that number")
    name = frame.name.at[element]
    if not isinstance(name, str) or int((frame.name == name).sum()) != 1:
        raise ScenarioError(f"{table} {element}: expected a name of its own, got {name!r}; outages go by names")
    return name


def _describe(outage: OutageEvent) -> str:
    return "grid" if outage.grid else ", ".join((*outage.lines, *outage.switches))


def find_commanded(case: Case, outage: OutageEvent) -> int | None:
    """Number of the outage of the same elements that a command has begun and none has ended, None if there is none.

    The scenario's own outages come first; they have an end of their own, and no command ends them.
    """
    n_given = len(list_outages(case.scenario))
    for k, other in enumerate(case.timeline.outages):
        if k >= n_given and _opens_same(other, outage) and case.timeline.open[-1, k]:
            return k
    return None


def with_act(stage: Stage, act: Act) -> Stage:
    """What a run goes on with from the begin of the act's interval on; acts come in the order of their intervals."""
    if isinstance(act, Joins):
        return with_joined(stage, act.device)
    return with_left(stage, act) if isinstance(act, Leaves) else _with_command(stage, act)


def _with_command(stage: Stage, command: Switches) -> Stage:
    case, state, network, fresh = stage
    timeline, t, outage = case.timeline, command.interval, make_outage(case.scenario, case.feeder.net, command)
    opened, outages, k = timeline.open.copy(), timeline.outages, find_commanded(case, outage)
    if command.opens:
        outages, network = (*outages, outage), _with_outage(network)
        opened = np.column_stack([opened, np.arange(case.n_intervals) >= t])
        case = replace(case, opening_network=_with_outage(case.opening_network))
    elif k is not None:
        opened[t:, k] = False
    has_event = timeline.has_event.copy()
    others = (*timeline.requests, *timeline.retired, *timeline.departing)
    has_event[t:] = opened[t:].any(axis=1)
    has_event[[at for at in others if at >= t]] = True
    timeline = replace(timeline, outages=outages, open=opened, has_event=has_event)
    return Stage(replace(case, timeline=timeline), state, network, fresh)


def _with_outage(network: NetworkState) -> NetworkState:
    """The state of the network with one more outage, which is not in force yet."""
    return network._replace(in_force=np.append(network.in_force, False))
