"""The networks an audit solves: the recorded one as each block's topology left it, and what that topology must obey."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from cosim.recording.topology import Changes, changes_of, find_changed
from cosim.scenario.events import OutageEvent
from cosim.scenario.model import Scenario
from grid_models.arrays import Floats
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.topology import Islands, Supply, find_islands
from grid_models.powerflow.admittance import read_matrices
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.runpp import Reference
from market.ledger.format.records import Change

ROUNDING_WH = 1.0
"""Energy an interval by which a former may seem to carry more than its meter: meters are whole Wh."""


class Switched(NamedTuple):
    """The network with some changes made.

    Attributes
    ----------
    feeder, islands
        As switched, with formers in place, and its parts.
    reference
        Solves it by `pandapower.runpp`; None where nothing supplies any part.
    formers
        (bus, place in `Flow.p_slack_kw`) of each former.
    """

    feeder: Feeder
    islands: Islands
    reference: Reference | None
    formers: tuple[tuple[int, int], ...]

    @property
    def islanded(self) -> bool:
        """Whether a participant is without the grid."""
        return bool((self.islands.supply_of(self.feeder.bus) != Supply.GRID).any())

    def in_the_dark(self, p_kw: Floats) -> list[str]:
        """Participants who inject or draw though nothing supplies their bus."""
        dark = self.islands.supply_of(self.feeder.bus) == Supply.DARK
        return [
            f"energy flowed at '{self.feeder.participants[i]}', which nothing supplies"
            for i in np.flatnonzero(dark & (p_kw[0] != 0))
        ]

    def out_of_balance(self, flow: Flow, interval_minutes: int) -> list[str]:
        """Formers that carry what no meter recorded: their islands use more, or less, than was generated."""
        found = []
        for bus, place in self.formers:
            wh = float(flow.p_slack_kw[0, place]) * 1000.0 * interval_minutes / 60.0
            if abs(wh) > ROUNDING_WH:
                found.append(
                    f"settled though the island of the former at bus {bus} is out of balance by {wh:.1f} Wh"
                )
        return found


class Networks:
    """Networks of a recorded feeder, each made once.

    Parameters
    ----------
    feeder
        As recorded.
    """

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._made: dict[Changes, Switched] = {}

    def of(self, changes: Changes) -> Switched:
        """The network with some changes made.

        Raises
        ------
        grid_models.errors.GridError
            If it has no such element.
        """
        if changes not in self._made:
            self._made[changes] = self._make(changes)
        return self._made[changes]

    def _make(self, changes: Changes) -> Switched:
        net = find_changed(self._feeder.net, changes) if changes else self._feeder.net
        feeder, islands = replace(self._feeder, net=net), find_islands(net)
        if not (islands.supply != Supply.DARK).any():
            return Switched(feeder, islands, None, ())
        reference = Reference(feeder, read_matrices(net))
        gens = net.gen.bus.loc[reference.slacks.gens].tolist()
        at = zip(gens, reference.slacks.gen_bus.tolist(), strict=True)
        return Switched(
            feeder, islands, reference, tuple(pair for pair in at if (Change.FORMER, pair[0]) in changes)
        )


def unlike_scenario(feeder: Feeder, scenario: Scenario, changes: Changes, interval_start: int) -> list[str]:
    """What a recorded topology has that the scenario's outages do not explain, or lacks.

    An outage that is over may stay in force until its island is joined again.

    Parameters
    ----------
    feeder
        As recorded.
    scenario
        Whose outages they are.
    changes
        As recorded for the interval.
    interval_start
        Begin of the interval, seconds since 1970-01-01 UTC.
    """
    now = datetime.fromtimestamp(interval_start, UTC)
    outages = [event for event in scenario.events if isinstance(event, OutageEvent)]
    begun = [event for event in outages if event.start <= now]
    on = [event for event in begun if now < event.start + timedelta(hours=event.hours)]
    switched: Changes = frozenset(pair for pair in changes if pair[0] != Change.FORMER)
    return [
        *_named("recorded as open, though no outage opened it", switched - changes_of(feeder.net, begun)),
        *_named("recorded as in service, though an outage opened it", changes_of(feeder.net, on) - switched),
    ]


def _named(what: str, changes: Changes) -> list[str]:
    words = {
        Change.SWITCH_OPEN: "switch",
        Change.LINE_OUT: "line",
        Change.TRANSFORMER_OUT: "transformer",
        Change.GRID_OUT: "external grid",
    }
    return [f"{words[change]} {element}: {what}" for change, element in sorted(changes)]
