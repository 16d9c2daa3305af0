"""The network as outages leave it: its connected parts, and one power-flow engine for each set of grid formers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.timeline import Mask
from cosim.scenario.events import OutageEvent
from grid_models.feeder.background import Background, Use, with_use
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.topology import Islands, find_grid_transformers, find_islands, open_elements, with_formers
from grid_models.response.sensitivity import AnyPowerFlow, make_engine

Uses = tuple[tuple[int, Use], ...]
"""How the background is run in the islands of the grid formers at some buses; whole in those that are not named."""

_ENGINES_KEPT = 8


class Topology(NamedTuple):
    """A net with some outages in force, and its parts."""

    net: Any
    islands: Islands


class Switching:
    """Topologies and engines of a feeder, each made once and kept. A cache: it never changes a result.

    Parameters
    ----------
    feeder, engine
        The network when nothing is open.
    outages
        The E outages of the scenario.
    """

    def __init__(self, feeder: Feeder, engine: AnyPowerFlow, outages: Sequence[OutageEvent]) -> None:
        self._feeder, self._outages = feeder, outages
        self._topologies: dict[bytes, Topology] = {}
        none = np.zeros(len(outages), bool)
        self._engines: dict[tuple[bytes, tuple[int, ...], Uses], AnyPowerFlow] = {(none.tobytes(), (), ()): engine}

    def topology(self, in_force: Mask) -> Topology:
        """Topology with the outages of a mask, (E,), in force.

        Raises
        ------
        GridError
            If an outage names a switch or line that the net has not.
        """
        key = in_force.tobytes()
        if key not in self._topologies:
            on = [outage for outage, force in zip(self._outages, in_force, strict=True) if force]
            net = self._feeder.net
            net = open_elements(
                net,
                switches=[name for outage in on for name in outage.switches],
                lines=[name for outage in on for name in outage.lines],
                trafos=find_grid_transformers(net) if any(outage.grid for outage in on) else (),
                grid=any(outage.grid for outage in on),
            )
            self._topologies[key] = Topology(net, find_islands(net))
        return self._topologies[key]

    def engine(self, in_force: Mask, former_buses: Sequence[int], uses: Uses = ()) -> AnyPowerFlow:
        """Engine of a topology with grid formers at some buses, and the background of their islands run otherwise.

        Raises
        ------
        GridError
            If pandapower cannot solve it without the participants.
        """
        key = in_force.tobytes(), tuple(sorted(former_buses)), tuple(sorted(uses))
        if key not in self._engines:
            formed = with_formers(with_uses(self.topology(in_force), self._feeder.background, key[2]), key[1])
            self._forget_shares()
            self._engines[key] = make_engine(replace(self._feeder, net=formed))
        return self._engines[key]

    def _forget_shares(self) -> None:
        """Drop the oldest of many engines with a share of a generation: they are hardly met in another interval."""
        shared = [key for key in self._engines if any(0.0 < use.generation < 1.0 for _, use in key[2])]
        for key in shared[: max(len(shared) - _ENGINES_KEPT, 0)]:
            del self._engines[key]

    def largest_step_pu(self, in_force: Mask, vm_pu: npt.NDArray[np.float64]) -> float:
        """Largest difference between an island's voltage and the grid's where closing the outages would join them.

        Parameters
        ----------
        in_force
            (E,) outages that are to end.
        vm_pu
            (B,) voltages of the island's buses, or (3B,) of their phases, NaN elsewhere.
        """
        net = self._feeder.net
        buses: set[int] = set()
        for outage in (o for o, on in zip(self._outages, in_force, strict=True) if on):
            if outage.grid:
                buses |= {int(b) for b in net.ext_grid.bus}
                buses |= {int(net.trafo.lv_bus.at[k]) for k in find_grid_transformers(net)}
            lines = net.line[net.line.name.isin(outage.lines)]
            switches = net.switch[net.switch.name.isin(outage.switches)]
            buses |= {int(b) for b in [*lines.from_bus, *lines.to_bus, *switches.bus]}
        seen = vm_pu.reshape(len(net.bus), -1)[np.isin(net.bus.index.to_numpy(), list(buses))]
        grid_pu = float(net.ext_grid.vm_pu.iloc[0])
        return float(np.nanmax(np.abs(seen - grid_pu), initial=0.0))


def with_uses(topology: Topology, background: Background, uses: Uses) -> Any:
    """The net of a topology with its background run as `uses` say."""
    net = topology.net
    for bus, use in uses:
        inside = topology.islands.part == topology.islands.find_part([bus])[0]
        net = with_use(net, background, inside, use)
    return net
